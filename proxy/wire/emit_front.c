/* Messages to servers. Owns nothing; any thread. */
#include "proxy/wire/emit.h"

/* The untyped packets: length, code, body. The length is known before, so nothing is patched. */
static bool begin_untyped(struct buf *out, size_t body, uint32_t code)
{
    if (body > STARTUP_LEN_MAX - STARTUP_HEADER || out->failed)
        return false;
    if (!pw_buf_reserve(out, STARTUP_HEADER + body))
        return false;
    pw_buf_append_u32(out, (uint32_t)(STARTUP_HEADER + body));
    return pw_buf_append_u32(out, code);
}

/* A name must not be empty: an empty one ends the list. */
static bool encodable(struct name_value nv)
{
    return nv.name.len > 0 && !memchr(nv.name.ptr, 0, nv.name.len) &&
           (nv.value.len == 0 || !memchr(nv.value.ptr, 0, nv.value.len));
}

bool pw_emit_startup(struct buf *out, const struct name_value *params, size_t count)
{
    size_t body = 1;
    for (size_t i = 0; i < count; i++) {
        if (!encodable(params[i]) || params[i].name.len > STARTUP_LEN_MAX ||
            params[i].value.len > STARTUP_LEN_MAX || body > STARTUP_LEN_MAX)
            return false;
        body += params[i].name.len + params[i].value.len + 2;
    }
    if (!begin_untyped(out, body, STARTUP_PROTOCOL_3_0))
        return false;
    for (size_t i = 0; i < count; i++) {
        pw_buf_append(out, params[i].name.ptr, params[i].name.len);
        pw_buf_append_u8(out, 0);
        pw_buf_append(out, params[i].value.ptr, params[i].value.len);
        pw_buf_append_u8(out, 0);
    }
    return pw_buf_append_u8(out, 0);
}

bool pw_emit_ssl_request(struct buf *out)
{
    return begin_untyped(out, 0, STARTUP_CODE_SSL);
}

bool pw_emit_cancel(struct buf *out, uint32_t pid, struct slice key)
{
    if (key.len < CANCEL_KEY_MIN || key.len > CANCEL_KEY_MAX)
        return false;
    return begin_untyped(out, 4 + key.len, STARTUP_CODE_CANCEL) && pw_buf_append_u32(out, pid) &&
           pw_buf_append(out, key.ptr, key.len);
}

bool pw_emit_query(struct buf *out, struct slice sql)
{
    struct emit e = pw_emit_begin(out, FRONT_QUERY);
    pw_emit_str(&e, sql);
    return pw_emit_end(&e);
}

bool pw_emit_parse(struct buf *out, struct slice name, struct slice sql, const uint32_t *oids,
                   uint16_t noids)
{
    struct emit e = pw_emit_begin(out, FRONT_PARSE);
    pw_emit_str(&e, name);
    pw_emit_str(&e, sql);
    pw_buf_append_u16(out, noids);
    for (uint16_t i = 0; i < noids; i++)
        pw_buf_append_u32(out, oids[i]);
    return pw_emit_end(&e);
}

static void emit_formats(struct buf *out, const uint16_t *formats, uint16_t count)
{
    pw_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++)
        pw_buf_append_u16(out, formats[i]);
}

bool pw_emit_bind(struct buf *out, const struct emit_bind *b)
{
    struct emit e = pw_emit_begin(out, FRONT_BIND);
    pw_emit_str(&e, b->portal);
    pw_emit_str(&e, b->statement);
    emit_formats(out, b->formats, b->nformats);
    pw_buf_append_u16(out, b->nvalues);
    for (uint16_t i = 0; i < b->nvalues; i++)
        pw_emit_value(&e, b->values[i]);
    emit_formats(out, b->result_formats, b->nresult_formats);
    return pw_emit_end(&e);
}

static bool emit_target(struct buf *out, uint8_t type, char kind, struct slice name)
{
    struct emit e = pw_emit_begin(out, type);
    e.bad |= kind != 'S' && kind != 'P';
    pw_buf_append_u8(out, (uint8_t)kind);
    pw_emit_str(&e, name);
    return pw_emit_end(&e);
}

bool pw_emit_describe(struct buf *out, char kind, struct slice name)
{
    return emit_target(out, FRONT_DESCRIBE, kind, name);
}

bool pw_emit_close(struct buf *out, char kind, struct slice name)
{
    return emit_target(out, FRONT_CLOSE, kind, name);
}

bool pw_emit_execute(struct buf *out, struct slice portal, uint32_t max_rows)
{
    struct emit e = pw_emit_begin(out, FRONT_EXECUTE);
    pw_emit_str(&e, portal);
    pw_buf_append_u32(out, max_rows);
    return pw_emit_end(&e);
}

bool pw_emit_flush(struct buf *out)
{
    return pw_emit_raw(out, FRONT_FLUSH, (struct slice){0});
}

bool pw_emit_sync(struct buf *out)
{
    return pw_emit_raw(out, FRONT_SYNC, (struct slice){0});
}

bool pw_emit_copy_fail(struct buf *out, const char *reason)
{
    struct emit e = pw_emit_begin(out, FRONT_COPY_FAIL);
    pw_emit_str(&e, pw_slice_str(reason));
    return pw_emit_end(&e);
}

bool pw_emit_password(struct buf *out, struct slice password)
{
    struct emit e = pw_emit_begin(out, FRONT_PASSWORD);
    pw_emit_str(&e, password);
    return pw_emit_end(&e);
}

bool pw_emit_sasl_initial(struct buf *out, const char *mechanism, struct slice data)
{
    struct emit e = pw_emit_begin(out, FRONT_PASSWORD);
    pw_emit_str(&e, pw_slice_str(mechanism));
    pw_emit_value(&e, (struct wire_value){.bytes = data});
    return pw_emit_end(&e);
}

bool pw_emit_sasl_response(struct buf *out, struct slice data)
{
    return pw_emit_raw(out, FRONT_PASSWORD, data);
}

bool pw_emit_terminate(struct buf *out)
{
    return pw_emit_raw(out, FRONT_TERMINATE, (struct slice){0});
}
