/* Framing: every split point, every length boundary, and the per-type maxima. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/wire/frame.h"

static void more_until_header(void **state)
{
    (void)state;
    const char msg[] = "Q\0\0\0\x0bselect";
    struct frame f = {0};
    for (size_t n = 0; n < FRAME_HEADER; n++)
        assert_int_equal(pw_frame_peek(pw_slice(msg, n), &f), FRAME_MORE);
    for (size_t n = FRAME_HEADER; n <= sizeof msg; n++) {
        assert_int_equal(pw_frame_peek(pw_slice(msg, n), &f), FRAME_OK);
        assert_int_equal(f.type, 'Q');
        assert_int_equal(f.len, 12);
        assert_int_equal(pw_frame_complete(pw_slice(msg, n), &f), n >= 12);
    }
    struct slice body = pw_frame_body(pw_slice(msg, 12), &f);
    assert_int_equal(body.len, 7);
    assert_string_equal(body.ptr, "select");
}

static enum frame_result peek_len(uint32_t len, uint32_t max, struct frame *f)
{
    const char msg[5] = {'D', (char)(len >> 24), (char)(len >> 16), (char)(len >> 8), (char)len};
    return pw_frame_peek_max(pw_slice(msg, 5), max, f);
}

static void length_bounds(void **state)
{
    (void)state;
    struct frame f = {0};
    for (uint32_t len = 0; len < 4; len++)
        assert_int_equal(peek_len(len, UINT32_MAX, &f), FRAME_BAD);
    assert_int_equal(peek_len(4, UINT32_MAX, &f), FRAME_OK);
    assert_int_equal(f.len, 5);
    assert_int_equal(peek_len(UINT32_MAX, UINT32_MAX, &f), FRAME_BAD);
    assert_int_equal(peek_len(UINT32_MAX - 1, UINT32_MAX, &f), FRAME_OK);
    assert_int_equal(f.len, UINT32_MAX);
    assert_int_equal(peek_len(99, 100, &f), FRAME_OK);
    assert_int_equal(peek_len(100, 100, &f), FRAME_BAD);
    const char huge[5] = {'D', 0x40, 0, 0, 0};
    assert_int_equal(pw_frame_peek(pw_slice(huge, 5), &f), FRAME_BAD);
    const char large[5] = {'D', 0x3f, (char)0xff, (char)0xff, (char)0xff};
    assert_int_equal(pw_frame_peek(pw_slice(large, 5), &f), FRAME_OK);
}

static void types_keep_their_maximum(void **state)
{
    (void)state;
    struct frame f = {0};
    const char sync_ok[5] = {'S', 0, 0, 0, 4}, sync_long[5] = {'S', 0, 0, 0x27, 0x11};
    assert_int_equal(pw_frame_peek_front(pw_slice(sync_ok, 5), &f), FRAME_OK);
    assert_int_equal(pw_frame_peek_front(pw_slice(sync_long, 5), &f), FRAME_BAD);
    /* ParameterStatus has the same byte and may be longer. */
    assert_int_equal(pw_frame_peek_back(pw_slice(sync_long, 5), &f), FRAME_OK);
    const char password_long[5] = {'p', 0, 1, 0, 0};
    assert_int_equal(pw_frame_peek_front(pw_slice(password_long, 5), &f), FRAME_BAD);
    assert_int_equal(pw_frame_peek_front(pw_slice("\x16", 1), &f), FRAME_BAD);
    assert_int_equal(pw_frame_peek_back(pw_slice("H", 1), &f), FRAME_MORE);
    assert_int_equal(pw_frame_peek_back(pw_slice("p", 1), &f), FRAME_BAD);
    assert_int_equal(pw_frame_peek_back(pw_slice("", 0), &f), FRAME_MORE);
}

static void table(void **state)
{
    (void)state;
    int front = 0, back = 0;
    for (int i = 0; i < 256; i++) {
        front += pw_msgtype_front((uint8_t)i) != NULL;
        back += pw_msgtype_back((uint8_t)i) != NULL;
    }
    assert_int_equal(front, 14);
    assert_int_equal(back, 24);
    assert_string_equal(pw_msgtype_front('D')->name, "DESCRIBE");
    assert_string_equal(pw_msgtype_back('D')->name, "DATA_ROW");
    assert_true(pw_msgtype_back('D')->stream);
    assert_false(pw_msgtype_back('T')->stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_until_header),
        cmocka_unit_test(length_bounds),
        cmocka_unit_test(types_keep_their_maximum),
        cmocka_unit_test(table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
