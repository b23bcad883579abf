/*
 * The first packet of a connection, which has no type byte: SSLRequest, GSSENCRequest,
 * CancelRequest or StartupMessage. Everything decoded borrows the packet. Any thread.
 */
#ifndef PROXY_WIRE_STARTUP_H
#define PROXY_WIRE_STARTUP_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"
#include "proxy/wire/frame.h"

enum {
    STARTUP_HEADER = 8,      /* length and code */
    STARTUP_LEN_MAX = 10004, /* MAX_STARTUP_PACKET_LENGTH and the length field itself */
    STARTUP_CODE_CANCEL = 1234 << 16 | 5678,
    STARTUP_CODE_SSL = 1234 << 16 | 5679,
    STARTUP_CODE_GSSENC = 1234 << 16 | 5680,
    STARTUP_PROTOCOL_3_0 = 3 << 16,
    CANCEL_KEY_MIN = 4,
    CANCEL_KEY_MAX = 256, /* protocol 3.2 */
};

enum startup_kind { STARTUP_SSL, STARTUP_GSSENC, STARTUP_CANCEL, STARTUP_MESSAGE };

struct startup {
    enum startup_kind kind;
    uint16_t major, minor; /* STARTUP_MESSAGE; params is empty unless major is 3 */
    struct slice params;   /* the name and value strings, validated; walk with pw_startup_next */
    uint32_t pid;          /* STARTUP_CANCEL */
    struct slice key;      /* STARTUP_CANCEL: 4 to 256 bytes */
};

struct name_value {
    struct slice name, value;
};

/* *len is the whole packet's length once FRAME_OK. */
enum frame_result pw_startup_peek(struct slice in, uint32_t *len);
/* packet is exactly one whole packet; false means a protocol violation. */
bool pw_startup_decode(struct slice packet, struct startup *out);

/* Walks s->params: start with a copy of it; false at the end. Slices end in a NUL. */
bool pw_startup_next(struct slice *rest, struct name_value *out);
/* The last value given for the name (PostgreSQL lets the last one win). */
bool pw_startup_find(const struct startup *s, const char *name, struct slice *value);
/* "_pq_.*": a protocol extension; one that is not known goes into NegotiateProtocolVersion. */
bool pw_startup_is_extension(struct slice name);

/*
 * The `options` parameter as the backend reads it (pg_split_opts, process_postgres_switches):
 * "-c name=value" and "--name=value", blanks separate, a backslash escapes, '-' in names is '_'.
 */
enum options_result { OPTIONS_PAIR, OPTIONS_END, OPTIONS_BAD };
struct options_iter {
    struct slice rest;   /* BORROW */
    struct buf *scratch; /* BORROW: holds the current pair, overwritten by each call */
};
/* OPTIONS_BAD: malformed, or a switch other than -c and --, which we cannot carry over. */
enum options_result pw_startup_options_next(struct options_iter *it, struct name_value *out);

#endif
