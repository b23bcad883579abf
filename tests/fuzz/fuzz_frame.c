/* room: wire */
/* Framing of a byte stream, in both directions, cut anywhere. */
#include <stdint.h>
#include <stdlib.h>

#include "proxy/base/check.h"
#include "proxy/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct slice in, enum frame_result (*peek)(struct slice, struct frame *))
{
    for (;;) {
        struct frame f = {0};
        enum frame_result r = peek(in, &f);
        if (r != FRAME_OK)
            return;
        PW_CHECK(f.len >= FRAME_HEADER);
        if (!pw_frame_complete(in, &f))
            return;
        struct slice body = pw_frame_body(in, &f);
        PW_CHECK(body.len + FRAME_HEADER == f.len && f.len <= in.len);
        in = pw_slice(in.ptr + f.len, in.len - f.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = pw_slice((const char *)data, size);
    walk(in, pw_frame_peek);
    walk(in, pw_frame_peek_front);
    walk(in, pw_frame_peek_back);
    return 0;
}
