/* room: wire */
/* The first packet, and the options parameter in it. What is accepted must survive a round trip. */
#include <stdint.h>

#include "proxy/base/check.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/startup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk_options(struct slice text)
{
    struct buf scratch;
    struct name_value nv;
    pw_buf_init(&scratch, STARTUP_LEN_MAX);
    struct options_iter it = {text, &scratch};
    while (pw_startup_options_next(&it, &nv) == OPTIONS_PAIR)
        PW_CHECK(nv.name.len > 0 && nv.name.len + nv.value.len < text.len);
    pw_buf_free(&scratch);
}

static void round_trip(const struct startup *s, struct slice packet)
{
    struct name_value all[STARTUP_LEN_MAX / 2];
    struct slice rest = s->params;
    size_t n = 0;
    while (pw_startup_next(&rest, &all[n])) {
        if (pw_slice_is(all[n].name, "options"))
            walk_options(all[n].value);
        pw_startup_is_extension(all[n].name);
        n++;
    }
    struct buf out;
    pw_buf_init(&out, 2 * STARTUP_LEN_MAX);
    PW_CHECK(rest.len == 0 && pw_emit_startup(&out, all, n));
    /* Only the version may differ: we always speak 3.0. */
    PW_CHECK(out.len == packet.len);
    PW_CHECK(memcmp(out.data + 8, packet.ptr + 8, packet.len - 8) == 0);
    pw_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = pw_slice((const char *)data, size), value;
    struct startup s;
    uint32_t len = 0;
    if (pw_startup_peek(in, &len) == FRAME_OK && len <= size)
        in.len = len;
    walk_options(in);
    if (!pw_startup_decode(in, &s))
        return 0;
    pw_startup_find(&s, "user", &value);
    if (s.kind == STARTUP_MESSAGE && s.major == 3)
        round_trip(&s, in);
    return 0;
}
