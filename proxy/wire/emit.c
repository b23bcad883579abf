/* Message encoding, shared part and what both directions use. Owns nothing; any thread. */
#include "proxy/wire/emit.h"

#include <string.h>

static void store_u32(char *p, uint32_t v)
{
    p[0] = (char)(v >> 24);
    p[1] = (char)(v >> 16);
    p[2] = (char)(v >> 8);
    p[3] = (char)v;
}

struct emit pw_emit_begin(struct buf *out, uint8_t type)
{
    struct emit e = {out, out->len, false};
    /* One reservation for the header, so that it is there whole or not at all. */
    if (pw_buf_reserve(out, FRAME_HEADER)) {
        pw_buf_append_u8(out, type);
        pw_buf_append_u32(out, 0);
    } else {
        e.bad = true;
    }
    return e;
}

bool pw_emit_end(struct emit *e)
{
    struct buf *out = e->out;
    size_t len = out->len - e->start;
    if (e->bad || out->failed || len < FRAME_HEADER || len > MSG_MAX_LARGE) {
        out->len = e->start;
        return false;
    }
    store_u32(out->data + e->start + 1, (uint32_t)(len - 1));
    return true;
}

void pw_emit_str(struct emit *e, struct slice s)
{
    if (s.len && memchr(s.ptr, 0, s.len)) {
        e->bad = true;
        return;
    }
    pw_buf_append(e->out, s.ptr, s.len);
    pw_buf_append_u8(e->out, 0);
}

void pw_emit_value(struct emit *e, struct wire_value v)
{
    if (v.null) {
        pw_buf_append_u32(e->out, UINT32_MAX);
    } else if (v.bytes.len > MSG_MAX_LARGE) {
        e->bad = true;
    } else {
        pw_buf_append_u32(e->out, (uint32_t)v.bytes.len);
        pw_buf_append(e->out, v.bytes.ptr, v.bytes.len);
    }
}

bool pw_emit_raw(struct buf *out, uint8_t type, struct slice body)
{
    struct emit e = pw_emit_begin(out, type);
    pw_buf_append(out, body.ptr, body.len);
    return pw_emit_end(&e);
}
