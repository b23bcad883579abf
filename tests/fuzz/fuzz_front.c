/* room: wire */
/* Every frontend decoder on the body of every message of the stream. */
#include <stdint.h>

#include "proxy/base/check.h"
#include "proxy/wire/frame.h"
#include "proxy/wire/front.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct slice part, struct slice whole)
{
    PW_CHECK(part.len == 0 || (part.ptr >= whole.ptr && part.len <= whole.len &&
                               part.ptr + part.len <= whole.ptr + whole.len));
}

static void walk_values(struct slice values, uint16_t count, struct slice body)
{
    struct wire_value v;
    for (uint16_t i = 0; i < count; i++) {
        PW_CHECK(pw_wire_value_next(&values, &v));
        inside(v.bytes, body);
    }
    PW_CHECK(values.len == 0);
}

static void decode_bind(struct slice body)
{
    struct front_bind b;
    if (!pw_front_bind(body, &b))
        return;
    inside(b.portal, body);
    inside(b.statement, body);
    walk_values(b.params, b.nparams, body);
    for (uint32_t i = 0; i < 70; i++) {
        pw_front_bind_format(&b, (uint16_t)i);
        pw_front_bind_result_format(&b, (uint16_t)(i * 1000));
    }
}

static void decode_all(struct slice body)
{
    struct front_query q;
    struct front_parse p;
    struct front_target t;
    struct front_execute e;
    struct front_call c;
    struct front_sasl_initial s;
    struct slice a, b;
    size_t used;
    if (pw_front_query(body, &q))
        PW_CHECK(q.sql.ptr[q.sql.len] == 0 && q.sql.len + 1 == body.len);
    if (pw_front_parse(body, &p)) {
        inside(p.oids, body);
        for (uint16_t i = 0; i < p.nparams; i++)
            pw_front_parse_oid(&p, i);
        PW_CHECK(pw_front_two_names(body, &a, &b, &used) && pw_slice_eq(b, p.sql));
    }
    decode_bind(body);
    if (pw_front_target(body, &t))
        inside(t.name, body);
    if (pw_front_execute(body, &e))
        inside(e.portal, body);
    if (pw_front_call(body, &c))
        walk_values(c.args, c.nargs, body);
    if (pw_front_sasl_initial(body, &s))
        inside(s.data, body);
    pw_front_copy_fail(body, &a);
    if (pw_front_two_names(body, &a, &b, &used))
        PW_CHECK(used <= body.len && a.len + b.len + 2 == used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = pw_slice((const char *)data, size);
    struct frame f = {0};
    while (pw_frame_peek_front(in, &f) == FRAME_OK && pw_frame_complete(in, &f)) {
        decode_all(pw_frame_body(in, &f));
        in = pw_slice(in.ptr + f.len, in.len - f.len);
    }
    return 0;
}
