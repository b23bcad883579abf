/* The checked variants of the frame peek. Keeps nothing; any thread. */
#include "proxy/wire/frame.h"

static enum frame_result peek_typed(struct slice in, struct frame *f,
                                    const struct msgtype *(*lookup)(uint8_t))
{
    /* An unknown type is refused at its first byte: garbage must not wait for four more. */
    if (in.len == 0)
        return FRAME_MORE;
    const struct msgtype *t = lookup((uint8_t)in.ptr[0]);
    return t ? pw_frame_peek_max(in, t->max + 1, f) : FRAME_BAD;
}

enum frame_result pw_frame_peek_front(struct slice in, struct frame *f)
{
    return peek_typed(in, f, pw_msgtype_front);
}

enum frame_result pw_frame_peek_back(struct slice in, struct frame *f)
{
    return peek_typed(in, f, pw_msgtype_back);
}
