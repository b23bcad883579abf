/*
 * A cursor over borrowed bytes. Every read is checked; the first one that does not fit clears `ok`
 * and all that follow yield zero, so a decoder checks once at its end. No allocation; any thread.
 */
#ifndef PROXY_WIRE_READER_H
#define PROXY_WIRE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proxy/base/slice.h"

struct reader {
    const char *at, *end; /* BORROW */
    bool ok;
};

static inline struct reader pw_reader(struct slice s)
{
    static const char none[1] = "";
    const char *ptr = s.ptr ? s.ptr : none;
    return (struct reader){ptr, ptr + (s.ptr ? s.len : 0), true};
}

static inline size_t pw_reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

/* True when nothing failed and nothing is left over: PostgreSQL's pq_getmsgend. */
static inline bool pw_reader_done(const struct reader *r)
{
    return r->ok && r->at == r->end;
}

static inline struct slice pw_reader_bytes(struct reader *r, size_t len)
{
    if (!r->ok || len > pw_reader_left(r)) {
        r->ok = false;
        r->at = r->end;
        return (struct slice){r->end, 0};
    }
    struct slice s = {r->at, len};
    r->at += len;
    return s;
}

static inline uint16_t pw_load_u16(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t pw_load_u32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline uint8_t pw_reader_u8(struct reader *r)
{
    struct slice s = pw_reader_bytes(r, 1);
    return s.len ? (uint8_t)s.ptr[0] : 0;
}

static inline uint16_t pw_reader_u16(struct reader *r)
{
    struct slice s = pw_reader_bytes(r, 2);
    return s.len ? pw_load_u16(s.ptr) : 0;
}

static inline uint32_t pw_reader_u32(struct reader *r)
{
    struct slice s = pw_reader_bytes(r, 4);
    return s.len ? pw_load_u32(s.ptr) : 0;
}

/* A NUL-terminated string; the slice excludes the NUL, which is there: s.ptr[s.len] == 0. */
static inline struct slice pw_reader_cstr(struct reader *r)
{
    size_t left = pw_reader_left(r);
    const char *nul = r->ok && left ? memchr(r->at, 0, left) : NULL;
    if (!nul) {
        r->ok = false;
        r->at = r->end;
        return (struct slice){r->end, 0};
    }
    struct slice s = {r->at, (size_t)(nul - r->at)};
    r->at = nul + 1;
    return s;
}

/* Everything that is left. */
static inline struct slice pw_reader_rest(struct reader *r)
{
    return pw_reader_bytes(r, pw_reader_left(r));
}

#endif
