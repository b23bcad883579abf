/* Messages to clients. Owns nothing; any thread. */
#include "proxy/wire/emit.h"

#include "proxy/wire/back.h"

static void error_field(struct emit *e, char code, const char *text)
{
    if (!text)
        return;
    pw_buf_append_u8(e->out, (uint8_t)code);
    pw_emit_str(e, pw_slice_str(text));
}

static bool error_or_notice(struct buf *out, uint8_t type, const struct error_fields *f)
{
    struct emit e = pw_emit_begin(out, type);
    error_field(&e, 'S', f->severity);
    error_field(&e, 'V', f->severity);
    error_field(&e, 'C', f->sqlstate);
    error_field(&e, 'M', f->message);
    error_field(&e, 'D', f->detail);
    error_field(&e, 'H', f->hint);
    pw_buf_append_u8(out, 0);
    return pw_emit_end(&e);
}

bool pw_emit_error(struct buf *out, const struct error_fields *f)
{
    return error_or_notice(out, BACK_ERROR_RESPONSE, f);
}

bool pw_emit_notice(struct buf *out, const struct error_fields *f)
{
    return error_or_notice(out, BACK_NOTICE_RESPONSE, f);
}

bool pw_emit_error_status(struct buf *out, enum pw_status status, const char *detail)
{
    const struct error_fields f = {.severity = pw_status_is_fatal(status) ? "FATAL" : "ERROR",
                                   .sqlstate = pw_status_sqlstate(status),
                                   .message = pw_status_text(status),
                                   .detail = detail};
    return pw_emit_error(out, &f);
}

bool pw_emit_auth(struct buf *out, uint32_t code, struct slice data)
{
    struct emit e = pw_emit_begin(out, BACK_AUTHENTICATION);
    pw_buf_append_u32(out, code);
    pw_buf_append(out, data.ptr, data.len);
    return pw_emit_end(&e);
}

bool pw_emit_auth_ok(struct buf *out)
{
    return pw_emit_auth(out, AUTH_CODE_OK, (struct slice){0});
}

bool pw_emit_auth_cleartext(struct buf *out)
{
    return pw_emit_auth(out, AUTH_CODE_CLEARTEXT, (struct slice){0});
}

bool pw_emit_auth_md5(struct buf *out, const uint8_t salt[4])
{
    return pw_emit_auth(out, AUTH_CODE_MD5, (struct slice){(const char *)salt, 4});
}

bool pw_emit_auth_sasl(struct buf *out, const char *const *mechanisms, size_t count)
{
    struct emit e = pw_emit_begin(out, BACK_AUTHENTICATION);
    pw_buf_append_u32(out, AUTH_CODE_SASL);
    for (size_t i = 0; i < count; i++)
        pw_emit_str(&e, pw_slice_str(mechanisms[i]));
    pw_buf_append_u8(out, 0);
    return pw_emit_end(&e);
}

bool pw_emit_auth_sasl_continue(struct buf *out, struct slice data)
{
    return pw_emit_auth(out, AUTH_CODE_SASL_CONTINUE, data);
}

bool pw_emit_auth_sasl_final(struct buf *out, struct slice data)
{
    return pw_emit_auth(out, AUTH_CODE_SASL_FINAL, data);
}

bool pw_emit_parameter_status(struct buf *out, struct slice name, struct slice value)
{
    struct emit e = pw_emit_begin(out, BACK_PARAMETER_STATUS);
    pw_emit_str(&e, name);
    pw_emit_str(&e, value);
    return pw_emit_end(&e);
}

bool pw_emit_backend_key(struct buf *out, uint32_t pid, struct slice key)
{
    struct emit e = pw_emit_begin(out, BACK_BACKEND_KEY_DATA);
    e.bad |= key.len < CANCEL_KEY_MIN || key.len > CANCEL_KEY_MAX;
    pw_buf_append_u32(out, pid);
    pw_buf_append(out, key.ptr, key.len);
    return pw_emit_end(&e);
}

bool pw_emit_ready(struct buf *out, char status)
{
    return pw_emit_raw(out, BACK_READY_FOR_QUERY, (struct slice){&status, 1});
}

bool pw_emit_negotiate(struct buf *out, uint32_t minor, uint32_t noptions, struct slice options)
{
    struct emit e = pw_emit_begin(out, BACK_NEGOTIATE_PROTOCOL_VERSION);
    pw_buf_append_u32(out, minor);
    pw_buf_append_u32(out, noptions);
    pw_buf_append(out, options.ptr, options.len);
    return pw_emit_end(&e);
}

bool pw_emit_text_rowdesc(struct buf *out, const struct slice *names, uint16_t count)
{
    enum { TYPE_TEXT = 25 };
    struct emit e = pw_emit_begin(out, BACK_ROW_DESCRIPTION);
    pw_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++) {
        pw_emit_str(&e, names[i]);
        pw_buf_append_u32(out, 0); /* table */
        pw_buf_append_u16(out, 0); /* column */
        pw_buf_append_u32(out, TYPE_TEXT);
        pw_buf_append_u16(out, UINT16_MAX); /* variable length */
        pw_buf_append_u32(out, UINT32_MAX); /* no modifier */
        pw_buf_append_u16(out, 0);          /* text format */
    }
    return pw_emit_end(&e);
}

bool pw_emit_datarow(struct buf *out, const struct wire_value *values, uint16_t count)
{
    struct emit e = pw_emit_begin(out, BACK_DATA_ROW);
    pw_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++)
        pw_emit_value(&e, values[i]);
    return pw_emit_end(&e);
}

bool pw_emit_command_complete(struct buf *out, const char *tag)
{
    struct emit e = pw_emit_begin(out, BACK_COMMAND_COMPLETE);
    pw_emit_str(&e, pw_slice_str(tag));
    return pw_emit_end(&e);
}

bool pw_emit_parameter_description(struct buf *out, const uint32_t *oids, uint16_t count)
{
    struct emit e = pw_emit_begin(out, BACK_PARAMETER_DESCRIPTION);
    pw_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++)
        pw_buf_append_u32(out, oids[i]);
    return pw_emit_end(&e);
}

bool pw_emit_parse_complete(struct buf *out)
{
    return pw_emit_raw(out, BACK_PARSE_COMPLETE, (struct slice){0});
}

bool pw_emit_bind_complete(struct buf *out)
{
    return pw_emit_raw(out, BACK_BIND_COMPLETE, (struct slice){0});
}

bool pw_emit_close_complete(struct buf *out)
{
    return pw_emit_raw(out, BACK_CLOSE_COMPLETE, (struct slice){0});
}

bool pw_emit_no_data(struct buf *out)
{
    return pw_emit_raw(out, BACK_NO_DATA, (struct slice){0});
}

bool pw_emit_empty_query(struct buf *out)
{
    return pw_emit_raw(out, BACK_EMPTY_QUERY_RESPONSE, (struct slice){0});
}

bool pw_emit_portal_suspended(struct buf *out)
{
    return pw_emit_raw(out, BACK_PORTAL_SUSPENDED, (struct slice){0});
}
