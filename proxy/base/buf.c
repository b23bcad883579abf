#include "proxy/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

void pw_buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void pw_buf_free(struct buf *b)
{
    pw_free(b->data);
    pw_buf_init(b, b->max);
}

void pw_buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

bool pw_buf_reserve(struct buf *b, size_t extra)
{
    if (extra <= b->cap - b->len)
        return true;
    if (extra > b->max || b->len > b->max - extra) {
        b->failed = true;
        return false;
    }
    size_t want = b->len + extra;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < want)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    char *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

bool pw_buf_append(struct buf *b, const void *data, size_t len)
{
    if (!pw_buf_reserve(b, len))
        return false;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return true;
}

bool pw_buf_append_str(struct buf *b, const char *text)
{
    return pw_buf_append(b, text, strlen(text));
}

bool pw_buf_append_cstr(struct buf *b, const char *text)
{
    return pw_buf_append(b, text, strlen(text) + 1);
}

bool pw_buf_append_u8(struct buf *b, uint8_t v)
{
    return pw_buf_append(b, &v, 1);
}

bool pw_buf_append_u16(struct buf *b, uint16_t v)
{
    const uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    return pw_buf_append(b, bytes, sizeof bytes);
}

bool pw_buf_append_u32(struct buf *b, uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v};
    return pw_buf_append(b, bytes, sizeof bytes);
}

bool pw_buf_append_u64(struct buf *b, uint64_t v)
{
    return pw_buf_append_u32(b, (uint32_t)(v >> 32)) && pw_buf_append_u32(b, (uint32_t)v);
}

bool pw_buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    bool ok = len >= 0 && pw_buf_reserve(b, (size_t)len + 1);
    if (ok) {
        vsnprintf(b->data + b->len, (size_t)len + 1, fmt, again);
        b->len += (size_t)len;
    }
    va_end(again);
    return ok;
}

bool pw_buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    bool ok = pw_buf_vprintf(b, fmt, args);
    va_end(args);
    return ok;
}

void pw_buf_consume(struct buf *b, size_t len)
{
    PW_CHECK(len <= b->len);
    if (len < b->len)
        memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}
