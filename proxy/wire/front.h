/*
 * Decoding of what clients send. Each function takes the body of one whole message (pw_frame_body)
 * and checks every length in it; false means a protocol violation. Strings end in a NUL that is not
 * counted. Everything decoded borrows the body. Any thread.
 */
#ifndef PROXY_WIRE_FRONT_H
#define PROXY_WIRE_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"
#include "proxy/wire/reader.h"

struct front_query {
    struct slice sql;
};
struct front_parse {
    struct slice name, sql;
    uint16_t nparams;
    struct slice oids; /* nparams * 4 bytes; pw_front_parse_oid */
};
struct front_bind {
    struct slice portal, statement;
    uint16_t nparam_formats, nparams, nresult_formats;
    struct slice param_formats;  /* 2 bytes each */
    struct slice params;         /* length-prefixed values; pw_wire_value_next */
    struct slice result_formats; /* 2 bytes each */
};
struct front_target { /* Describe and Close */
    uint8_t kind;     /* 'S' statement or 'P' portal */
    struct slice name;
};
struct front_execute {
    struct slice portal;
    uint32_t max_rows; /* 0: all. PostgreSQL treats a negative number as 0, and so does this */
};
struct front_call { /* FunctionCall */
    uint32_t function_oid;
    uint16_t nformats, nargs, result_format;
    struct slice formats, args;
};
struct front_sasl_initial {
    struct slice mechanism;
    bool has_data; /* an initial response may be absent */
    struct slice data;
};
struct wire_value {
    struct slice bytes;
    bool null;
};

bool pw_front_query(struct slice body, struct front_query *out);
bool pw_front_parse(struct slice body, struct front_parse *out);
bool pw_front_bind(struct slice body, struct front_bind *out);
bool pw_front_target(struct slice body, struct front_target *out);
bool pw_front_execute(struct slice body, struct front_execute *out);
bool pw_front_call(struct slice body, struct front_call *out);
bool pw_front_copy_fail(struct slice body, struct slice *reason);
bool pw_front_password(struct slice body, struct slice *password);
bool pw_front_sasl_initial(struct slice body, struct front_sasl_initial *out);
/* Sync, Flush, CopyDone and Terminate have no body; CopyData and SASLResponse are only body. */
static inline bool pw_front_empty(struct slice body)
{
    return body.len == 0;
}

/*
 * The first strings of a Parse (name, text) or Bind (portal, statement) whose body is not all here
 * yet: true once both are complete; *used is the number of body bytes they take.
 */
bool pw_front_two_names(struct slice body_part, struct slice *first, struct slice *second,
                        size_t *used);

/* Walks length-prefixed values (Bind parameters, DataRow columns): start with a copy of the slice.
 */
bool pw_wire_value_next(struct slice *rest, struct wire_value *out);

static inline uint32_t pw_front_parse_oid(const struct front_parse *p, uint16_t i)
{
    return i < p->nparams ? pw_load_u32(p->oids.ptr + 4 * (size_t)i) : 0;
}

/* The rule for both directions: none given means text, one given stands for all. */
static inline uint16_t pw_wire_format(struct slice formats, uint16_t count, uint16_t i)
{
    if (count == 0)
        return 0;
    if (count == 1)
        i = 0;
    return i < count ? pw_load_u16(formats.ptr + 2 * (size_t)i) : 0;
}

static inline uint16_t pw_front_bind_format(const struct front_bind *b, uint16_t i)
{
    return pw_wire_format(b->param_formats, b->nparam_formats, i);
}

static inline uint16_t pw_front_bind_result_format(const struct front_bind *b, uint16_t i)
{
    return pw_wire_format(b->result_formats, b->nresult_formats, i);
}

#endif
