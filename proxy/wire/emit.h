/*
 * Encoding of every message that the proxy itself sends. Each call appends one whole message, or
 * nothing and returns false: the buffer is at its maximum (its `failed` stays set, so a sequence
 * can be checked once), or the arguments cannot be put on the wire (a NUL inside a string). Borrows
 * its arguments for the call; any thread.
 */
#ifndef PROXY_WIRE_EMIT_H
#define PROXY_WIRE_EMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"
#include "proxy/base/status.h"
#include "proxy/wire/front.h"
#include "proxy/wire/msgtypes.h"
#include "proxy/wire/startup.h"

/* ---- any message: begin, append with pw_buf_append*, end ---- */
struct emit {
    struct buf *out; /* BORROW */
    size_t start;
    bool bad; /* an argument could not be encoded */
};
struct emit pw_emit_begin(struct buf *out, uint8_t type);
bool pw_emit_end(struct emit *e);
void pw_emit_str(struct emit *e, struct slice s);        /* with its NUL; refuses inner NULs */
void pw_emit_value(struct emit *e, struct wire_value v); /* length-prefixed */
/* A whole message whose body is at hand. */
bool pw_emit_raw(struct buf *out, uint8_t type, struct slice body);

/* ---- to clients ---- */
struct error_fields {
    const char *severity; /* "ERROR", "FATAL", "NOTICE", ... */
    const char *sqlstate; /* five characters */
    const char *message;
    const char *detail, *hint; /* may be NULL */
};
bool pw_emit_error(struct buf *out, const struct error_fields *f);
bool pw_emit_notice(struct buf *out, const struct error_fields *f);
/* Severity, SQLSTATE and text from the row of status.def; detail may be NULL. */
bool pw_emit_error_status(struct buf *out, enum pw_status status, const char *detail);

bool pw_emit_auth(struct buf *out, uint32_t code, struct slice data);
bool pw_emit_auth_ok(struct buf *out);
bool pw_emit_auth_cleartext(struct buf *out);
bool pw_emit_auth_md5(struct buf *out, const uint8_t salt[4]);
bool pw_emit_auth_sasl(struct buf *out, const char *const *mechanisms, size_t count);
bool pw_emit_auth_sasl_continue(struct buf *out, struct slice data);
bool pw_emit_auth_sasl_final(struct buf *out, struct slice data);
bool pw_emit_parameter_status(struct buf *out, struct slice name, struct slice value);
bool pw_emit_backend_key(struct buf *out, uint32_t pid, struct slice key);
bool pw_emit_ready(struct buf *out, char status);
/* options: noptions strings each with its NUL. */
bool pw_emit_negotiate(struct buf *out, uint32_t minor, uint32_t noptions, struct slice options);

/* Text columns, for the console. */
bool pw_emit_text_rowdesc(struct buf *out, const struct slice *names, uint16_t count);
bool pw_emit_datarow(struct buf *out, const struct wire_value *values, uint16_t count);
bool pw_emit_command_complete(struct buf *out, const char *tag);
bool pw_emit_parameter_description(struct buf *out, const uint32_t *oids, uint16_t count);
bool pw_emit_parse_complete(struct buf *out);
bool pw_emit_bind_complete(struct buf *out);
bool pw_emit_close_complete(struct buf *out);
bool pw_emit_no_data(struct buf *out);
bool pw_emit_empty_query(struct buf *out);
bool pw_emit_portal_suspended(struct buf *out);

/* ---- to servers ---- */
bool pw_emit_startup(struct buf *out, const struct name_value *params, size_t count);
bool pw_emit_ssl_request(struct buf *out);
bool pw_emit_cancel(struct buf *out, uint32_t pid, struct slice key);
bool pw_emit_query(struct buf *out, struct slice sql);
bool pw_emit_parse(struct buf *out, struct slice name, struct slice sql, const uint32_t *oids,
                   uint16_t noids);

/* For pw_emit_bind: formats are text when nformats is 0, otherwise one for all or one each. */
struct emit_bind {
    struct slice portal, statement;
    const uint16_t *formats;
    uint16_t nformats;
    const struct wire_value *values;
    uint16_t nvalues;
    const uint16_t *result_formats;
    uint16_t nresult_formats;
};
bool pw_emit_bind(struct buf *out, const struct emit_bind *b);
bool pw_emit_describe(struct buf *out, char kind, struct slice name);
bool pw_emit_close(struct buf *out, char kind, struct slice name);
bool pw_emit_execute(struct buf *out, struct slice portal, uint32_t max_rows);
bool pw_emit_flush(struct buf *out);
bool pw_emit_sync(struct buf *out);
bool pw_emit_copy_fail(struct buf *out, const char *reason);
bool pw_emit_password(struct buf *out, struct slice password);
bool pw_emit_sasl_initial(struct buf *out, const char *mechanism, struct slice data);
bool pw_emit_sasl_response(struct buf *out, struct slice data);
bool pw_emit_terminate(struct buf *out);

#endif
