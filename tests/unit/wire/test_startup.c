/* The first packet and the options parameter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/wire/emit.h"
#include "proxy/wire/startup.h"

static struct buf out;

static int setup(void **state)
{
    (void)state;
    pw_buf_init(&out, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pw_buf_free(&out);
    return 0;
}

/* A packet of this code and body in `out`. */
static struct slice packet(uint32_t code, const char *body, size_t len)
{
    pw_buf_reset(&out);
    pw_buf_append_u32(&out, (uint32_t)(8 + len));
    pw_buf_append_u32(&out, code);
    pw_buf_append(&out, body, len);
    return pw_buf_slice(&out);
}
#define PACKET(code, body) packet(code, body, sizeof(body) - 1)

static void round_trip(void **state)
{
    (void)state;
    const struct name_value params[] = {{PW_SLICE_LIT("user"), PW_SLICE_LIT("ann")},
                                        {PW_SLICE_LIT("database"), PW_SLICE_LIT("")},
                                        {PW_SLICE_LIT("_pq_.x"), PW_SLICE_LIT("1")},
                                        {PW_SLICE_LIT("user"), PW_SLICE_LIT("bob")}};
    assert_true(pw_emit_startup(&out, params, 4));
    struct slice all = pw_buf_slice(&out);
    struct startup s;
    uint32_t len = 0;
    for (size_t n = 0; n < 4; n++)
        assert_int_equal(pw_startup_peek(pw_slice(all.ptr, n), &len), FRAME_MORE);
    assert_int_equal(pw_startup_peek(all, &len), FRAME_OK);
    assert_int_equal(len, all.len);
    for (size_t n = 0; n < all.len; n++)
        assert_false(pw_startup_decode(pw_slice(all.ptr, n), &s));
    assert_true(pw_startup_decode(all, &s));
    assert_int_equal(s.kind, STARTUP_MESSAGE);
    assert_int_equal(s.major, 3);
    assert_int_equal(s.minor, 0);
    struct slice rest = s.params;
    struct name_value nv;
    for (int i = 0; i < 4; i++) {
        assert_true(pw_startup_next(&rest, &nv));
        assert_true(pw_slice_eq(nv.name, params[i].name) && pw_slice_eq(nv.value, params[i].value));
        assert_int_equal(pw_startup_is_extension(nv.name), i == 2);
    }
    assert_false(pw_startup_next(&rest, &nv));
    struct slice value;
    assert_true(pw_startup_find(&s, "user", &value) && pw_slice_is(value, "bob"));
    assert_true(pw_startup_find(&s, "database", &value) && value.len == 0);
    assert_false(pw_startup_find(&s, "options", &value));
}

static void requests(void **state)
{
    (void)state;
    struct startup s;
    assert_true(pw_emit_ssl_request(&out));
    assert_true(pw_startup_decode(pw_buf_slice(&out), &s) && s.kind == STARTUP_SSL);
    assert_memory_equal(out.data, "\0\0\0\x08\x04\xd2\x16\x2f", 8);
    assert_true(pw_startup_decode(PACKET(STARTUP_CODE_GSSENC, ""), &s));
    assert_int_equal(s.kind, STARTUP_GSSENC);
    assert_false(pw_startup_decode(PACKET(STARTUP_CODE_SSL, "x"), &s));
}

static void cancel(void **state)
{
    (void)state;
    char key[4 + CANCEL_KEY_MAX + 1];
    memset(key, 7, sizeof key);
    struct startup s;
    for (size_t n = 0; n <= CANCEL_KEY_MAX + 1; n++) {
        pw_buf_reset(&out);
        bool fits = n >= CANCEL_KEY_MIN && n <= CANCEL_KEY_MAX;
        assert_int_equal(pw_emit_cancel(&out, 0x80000001u, pw_slice(key, n)), fits);
        assert_int_equal(out.len, fits ? 12 + n : 0);
        if (!fits)
            continue;
        assert_true(pw_startup_decode(pw_buf_slice(&out), &s));
        assert_int_equal(s.kind, STARTUP_CANCEL);
        assert_true(s.pid == 0x80000001u && pw_slice_eq(s.key, pw_slice(key, n)));
    }
    assert_false(pw_startup_decode(PACKET(STARTUP_CODE_CANCEL, "\0\0\0\1key"), &s));
    assert_false(pw_startup_decode(PACKET(STARTUP_CODE_CANCEL, "\0\0"), &s));
    assert_true(pw_startup_decode(packet(STARTUP_CODE_CANCEL, key, 260), &s));
    assert_false(pw_startup_decode(packet(STARTUP_CODE_CANCEL, key, 261), &s));
}

static void layout_errors(void **state)
{
    (void)state;
    struct startup s;
    uint32_t len;
    const uint32_t v3 = STARTUP_PROTOCOL_3_0;
    assert_true(pw_startup_decode(PACKET(v3, "\0"), &s));
    assert_false(pw_startup_decode(PACKET(v3, ""), &s));
    assert_false(pw_startup_decode(PACKET(v3, "user\0ann\0"), &s));
    assert_false(pw_startup_decode(PACKET(v3, "user\0ann"), &s));
    assert_false(pw_startup_decode(PACKET(v3, "user\0"), &s));
    assert_false(pw_startup_decode(PACKET(v3, "user\0ann\0\0x"), &s));
    assert_false(pw_startup_decode(PACKET(v3, "user\0ann\0\0\0"), &s));
    assert_true(pw_startup_decode(PACKET(2 << 16, "anything"), &s));
    assert_int_equal(s.major, 2);
    assert_int_equal(s.params.len, 0);
    assert_true(pw_startup_decode(PACKET((3 << 16) + 2, "user\0ann\0\0"), &s));
    assert_int_equal(s.minor, 2);
    assert_int_equal(pw_startup_peek(pw_slice("\0\0\0\x07", 4), &len), FRAME_BAD);
    assert_int_equal(pw_startup_peek(pw_slice("\0\0\x27\x14", 4), &len), FRAME_OK);
    assert_int_equal(pw_startup_peek(pw_slice("\0\0\x27\x15", 4), &len), FRAME_BAD);
    assert_int_equal(pw_startup_peek(pw_slice("GET ", 4), &len), FRAME_BAD);
}

static void emit_refuses(void **state)
{
    (void)state;
    char *big = calloc(1, 20000);
    memset(big, 'x', 20000);
    const struct name_value inner_nul = {PW_SLICE_LIT("user"), PW_SLICE_LIT("a\0b")};
    const struct name_value no_name = {PW_SLICE_LIT(""), PW_SLICE_LIT("a")};
    const struct name_value too_long = {PW_SLICE_LIT("user"), {big, 9990}};
    const struct name_value longest = {PW_SLICE_LIT("user"), {big, 9989}};
    assert_false(pw_emit_startup(&out, &inner_nul, 1));
    assert_false(pw_emit_startup(&out, &no_name, 1));
    assert_false(pw_emit_startup(&out, &too_long, 1));
    assert_int_equal(out.len, 0);
    assert_true(pw_emit_startup(&out, &longest, 1));
    assert_int_equal(out.len, STARTUP_LEN_MAX);
    struct startup s;
    assert_true(pw_startup_decode(pw_buf_slice(&out), &s));
    free(big);
}

/* expect: "name=value;name=value;" then "." at the end or "!" when bad. */
static void check_options(const char *text, const char *expect)
{
    struct buf got;
    pw_buf_init(&got, 4096);
    struct options_iter it = {pw_slice_str(text), &out};
    struct name_value nv;
    enum options_result r;
    while ((r = pw_startup_options_next(&it, &nv)) == OPTIONS_PAIR) {
        pw_buf_append(&got, nv.name.ptr, nv.name.len);
        pw_buf_append_str(&got, "=");
        pw_buf_append(&got, nv.value.ptr, nv.value.len);
        pw_buf_append_str(&got, ";");
    }
    pw_buf_append_cstr(&got, r == OPTIONS_END ? "." : "!");
    assert_string_equal(got.data, expect);
    pw_buf_free(&got);
}

static void options(void **state)
{
    (void)state;
    check_options("", ".");
    check_options("  \t\n", ".");
    check_options("-c a=b", "a=b;.");
    check_options(" -c  a=b  --c-d=e ", "a=b;c_d=e;.");
    check_options("-ca-b=c-d", "a_b=c-d;.");
    check_options("-c search_path=a,\\ b\\\\c", "search_path=a, b\\c;.");
    check_options("-c a=", "a=;.");
    check_options("-c a=b=c", "a=b=c;.");
    check_options("-c", "!");
    check_options("-c a", "!");
    check_options("-c =b", "!");
    check_options("--", "!");
    check_options("--a", "!");
    check_options("a=b", "!");
    check_options("-c a=b -F", "a=b;!");
    check_options("-", "!");
    check_options("\\", "!");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(requests, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(layout_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(emit_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(options, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
