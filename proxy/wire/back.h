/*
 * Decoding of what servers send; their bytes are trusted no more than a client's. Each function
 * takes the body of one whole message; false means a protocol violation. Borrows the body. Any
 * thread.
 */
#ifndef PROXY_WIRE_BACK_H
#define PROXY_WIRE_BACK_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"
#include "proxy/wire/front.h"
#include "proxy/wire/reader.h"
#include "proxy/wire/startup.h"

struct back_rowdesc {
    uint16_t nfields;
    struct slice fields; /* validated; pw_back_field_next */
};
struct back_field {
    struct slice name;
    uint32_t table_oid, type_oid;
    uint16_t column, format;
    int16_t type_len;
    int32_t type_mod;
};
struct back_datarow {
    uint16_t ncolumns;
    struct slice columns; /* validated; pw_wire_value_next */
};
struct back_key {
    uint32_t pid;
    struct slice key; /* 4 to 256 bytes */
};
struct back_oids { /* ParameterDescription */
    uint16_t count;
    struct slice oids; /* 4 bytes each */
};
struct back_copy { /* CopyInResponse, CopyOutResponse, CopyBothResponse */
    uint8_t format;
    uint16_t ncolumns;
    struct slice formats;
};
struct back_notification {
    uint32_t pid;
    struct slice channel, payload;
};
struct back_negotiate {
    uint32_t minor;       /* newest minor version the server speaks */
    uint32_t noptions;    /* protocol extensions it does not know */
    struct slice options; /* that many strings, validated */
};

enum auth_code {
    AUTH_CODE_OK = 0,
    AUTH_CODE_KERBEROS5 = 2,
    AUTH_CODE_CLEARTEXT = 3,
    AUTH_CODE_MD5 = 5,
    AUTH_CODE_GSS = 7,
    AUTH_CODE_GSS_CONTINUE = 8,
    AUTH_CODE_SSPI = 9,
    AUTH_CODE_SASL = 10,
    AUTH_CODE_SASL_CONTINUE = 11,
    AUTH_CODE_SASL_FINAL = 12,
};
struct back_auth {
    uint32_t code;     /* enum auth_code, or one we do not know */
    struct slice data; /* MD5: the 4 bytes of salt; SASL: mechanism strings; others: as sent */
};

bool pw_back_rowdesc(struct slice body, struct back_rowdesc *out);
bool pw_back_field_next(struct slice *rest, struct back_field *out);
bool pw_back_datarow(struct slice body, struct back_datarow *out);
bool pw_back_parameter_status(struct slice body, struct name_value *out);
bool pw_back_key(struct slice body, struct back_key *out);
bool pw_back_ready(struct slice body, char *status); /* 'I', 'T' or 'E' */
bool pw_back_command_complete(struct slice body, struct slice *tag);
bool pw_back_auth(struct slice body, struct back_auth *out);
/* Does an AUTH_CODE_SASL message offer this mechanism? */
bool pw_back_auth_offers(const struct back_auth *a, const char *mechanism);
bool pw_back_notification(struct slice body, struct back_notification *out);
bool pw_back_oids(struct slice body, struct back_oids *out);
bool pw_back_copy(struct slice body, struct back_copy *out);
bool pw_back_negotiate(struct slice body, struct back_negotiate *out);

/* The row count that ends a tag ("INSERT 0 5", "SELECT 7"); false for tags without one. */
bool pw_back_tag_rows(struct slice tag, uint64_t *rows);

static inline uint32_t pw_back_oid(const struct back_oids *o, uint16_t i)
{
    return i < o->count ? pw_load_u32(o->oids.ptr + 4 * (size_t)i) : 0;
}

#endif
