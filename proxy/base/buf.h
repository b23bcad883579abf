/*
 * A growable byte buffer with a maximum given at creation. Appends may refuse (the maximum or
 * memory is reached); a refused append leaves the buffer unchanged and sets `failed`, so that a
 * sequence of appends can be checked once at the end. Not thread-safe.
 */
#ifndef PROXY_BASE_BUF_H
#define PROXY_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/slice.h"

struct buf {
    char *data; /* OWN */
    size_t len, cap, max;
    bool failed; /* an append was refused since the last pw_buf_reset */
};

void pw_buf_init(struct buf *b, size_t max);
void pw_buf_free(struct buf *b);                  /* releases memory; usable again afterwards */
void pw_buf_reset(struct buf *b);                 /* forgets the contents, keeps the memory */
bool pw_buf_reserve(struct buf *b, size_t extra); /* room for `extra` more bytes, or false */
bool pw_buf_append(struct buf *b, const void *data, size_t len);
bool pw_buf_append_str(struct buf *b, const char *text);  /* without the NUL */
bool pw_buf_append_cstr(struct buf *b, const char *text); /* with the NUL */
bool pw_buf_append_u8(struct buf *b, uint8_t v);
bool pw_buf_append_u16(struct buf *b, uint16_t v); /* network byte order */
bool pw_buf_append_u32(struct buf *b, uint32_t v);
bool pw_buf_append_u64(struct buf *b, uint64_t v);
bool pw_buf_printf(struct buf *b, const char *fmt, ...) PW_PRINTF(2, 3);
bool pw_buf_vprintf(struct buf *b, const char *fmt, va_list args) PW_PRINTF(2, 0);
void pw_buf_consume(struct buf *b, size_t len); /* drops bytes from the front */

static inline struct slice pw_buf_slice(const struct buf *b)
{
    return (struct slice){b->data, b->len};
}

#endif
