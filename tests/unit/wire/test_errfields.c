/* Error fields: missing, damaged, rewritten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"

static const char full[] = "SFEHLER\0VERROR\0C42P01\0Mno table\0Hlook\0P15\0";

static void find(void **state)
{
    (void)state;
    struct slice v, body = pw_slice(full, sizeof full);
    assert_true(pw_errfields_find(body, 'M', &v) && pw_slice_is(v, "no table"));
    assert_true(pw_errfields_find(body, 'P', &v) && pw_slice_is(v, "15"));
    assert_false(pw_errfields_find(body, 'D', &v));
    assert_int_equal(v.len, 0);
    assert_true(pw_slice_is(pw_errfields_sqlstate(body), "42P01"));
    assert_false(pw_errfields_is_fatal(body));
    assert_true(pw_errfields_is_fatal(PW_SLICE_LIT("SFATAL\0")));
    assert_false(pw_errfields_is_fatal(PW_SLICE_LIT("SFATAL\0VERROR\0")));
}

static void damage_is_absence(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= sizeof full; cut++) {
        struct slice v, body = pw_slice(full, cut);
        assert_int_equal(pw_errfields_find(body, 'M', &v), cut >= 32);
        assert_int_equal(pw_errfields_sqlstate(body).len, 5);
        pw_errfields_is_fatal(body);
    }
    assert_true(pw_slice_is(pw_errfields_sqlstate((struct slice){0}), "XX000"));
    assert_true(pw_slice_is(pw_errfields_sqlstate(PW_SLICE_LIT("C42\0")), "XX000"));
}

static void rewrite(void **state)
{
    (void)state;
    struct buf out;
    pw_buf_init(&out, 4096);
    assert_true(pw_errfields_rewrite(&out, 'E', pw_slice(full, sizeof full), "FATAL", "gone"));
    const char want[] = "SFATAL\0VFATAL\0C42P01\0Mgone\0Hlook\0P15\0";
    assert_int_equal(out.len, FRAME_HEADER + sizeof want);
    assert_memory_equal(out.data + FRAME_HEADER, want, sizeof want);
    pw_buf_reset(&out);
    assert_true(pw_errfields_rewrite(&out, 'E', pw_slice(full, sizeof full), NULL, NULL));
    assert_int_equal(out.len, FRAME_HEADER + sizeof full);
    assert_memory_equal(out.data + FRAME_HEADER, full, sizeof full);
    pw_buf_reset(&out);
    assert_true(pw_errfields_rewrite(&out, 'N', PW_SLICE_LIT(""), NULL, NULL));
    const char none[] = "SNOTICE\0VNOTICE\0CXX000\0Mno message\0";
    assert_memory_equal(out.data + FRAME_HEADER, none, sizeof none);
    pw_buf_free(&out);
}

static void annotate(void **state)
{
    (void)state;
    struct buf out;
    pw_buf_init(&out, 4096);
    assert_true(pw_errfields_annotate(&out, pw_slice(full, sizeof full), "FATAL", "where", "next"));
    struct slice body = pw_slice(out.data + FRAME_HEADER, out.len - FRAME_HEADER), v;
    assert_true(pw_errfields_is_fatal(body));
    assert_true(pw_slice_is(pw_errfields_sqlstate(body), "42P01"));
    assert_true(pw_errfields_find(body, 'D', &v) && pw_slice_is(v, "where"));
    assert_true(pw_errfields_find(body, 'H', &v) &&
                pw_slice_is(v, "look\nnext")); /* the server's comes first */
    assert_true(pw_errfields_find(body, 'P', &v) && pw_slice_is(v, "15"));
    pw_buf_reset(&out);
    assert_true(pw_errfields_annotate(&out, PW_SLICE_LIT("\0\1"), "FATAL", "where", "next"));
    body = pw_slice(out.data + FRAME_HEADER, out.len - FRAME_HEADER);
    assert_true(pw_slice_is(pw_errfields_sqlstate(body), "XX000"));
    assert_true(pw_errfields_find(body, 'H', &v) && pw_slice_is(v, "next"));
    pw_buf_free(&out);
}

static void status_error(void **state)
{
    (void)state;
    struct buf out;
    struct slice v;
    pw_buf_init(&out, 4096);
    assert_true(pw_emit_error_status(&out, PW_TLS_REQUIRED, "d"));
    struct slice body = pw_slice(out.data + 5, out.len - 5);
    assert_true(pw_errfields_is_fatal(body));
    assert_true(pw_slice_is(pw_errfields_sqlstate(body), "28000"));
    assert_true(pw_errfields_find(body, 'D', &v) && pw_slice_is(v, "d"));
    assert_false(pw_errfields_find(body, 'H', &v));
    pw_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find),     cmocka_unit_test(damage_is_absence), cmocka_unit_test(rewrite),
        cmocka_unit_test(annotate), cmocka_unit_test(status_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
