/*
 * Framing: the five bytes in front of every typed message. The hot path of both directions, so all
 * of it is inline. Borrows the bytes for the call; keeps nothing; any thread.
 */
#ifndef PROXY_WIRE_FRAME_H
#define PROXY_WIRE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/slice.h"
#include "proxy/wire/msgtypes.h"
#include "proxy/wire/reader.h"

enum frame_result {
    FRAME_OK,   /* the header is complete and its length is possible */
    FRAME_MORE, /* fewer than five bytes */
    FRAME_BAD,  /* the stream is not the protocol: close */
};

enum { FRAME_HEADER = 5 };

struct frame {
    uint32_t len; /* of the whole message, type byte and length field included */
    uint8_t type;
};

/* max bounds the whole message. FRAME_OK says nothing about how much of the body is here. */
static inline enum frame_result pw_frame_peek_max(struct slice in, uint32_t max, struct frame *f)
{
    if (PW_UNLIKELY(in.len < FRAME_HEADER))
        return FRAME_MORE;
    uint32_t len = pw_load_u32(in.ptr + 1);
    if (PW_UNLIKELY(len < 4 || len >= max))
        return FRAME_BAD;
    f->type = (uint8_t)in.ptr[0];
    f->len = len + 1;
    return FRAME_OK;
}

/* The protocol's own maximum: PostgreSQL accepts no message of 1 GB or more. */
static inline enum frame_result pw_frame_peek(struct slice in, struct frame *f)
{
    return pw_frame_peek_max(in, (uint32_t)MSG_MAX_LARGE + 1, f);
}

/* Is the whole message in `in`? Only after FRAME_OK. */
static inline bool pw_frame_complete(struct slice in, const struct frame *f)
{
    return in.len >= f->len;
}

/* The body of a complete message. */
static inline struct slice pw_frame_body(struct slice in, const struct frame *f)
{
    return (struct slice){in.ptr + FRAME_HEADER, f->len - FRAME_HEADER};
}

/* As pw_frame_peek, and the type must exist in that direction and keep its own maximum. */
enum frame_result pw_frame_peek_front(struct slice in, struct frame *f);
enum frame_result pw_frame_peek_back(struct slice in, struct frame *f);

#endif
