/* The list of names and values: order, replacement, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/wire/params.h"

static void order_replacement_bounds(void **state)
{
    (void)state;
    struct params p;
    struct slice v;
    char *big = calloc(1, PARAMS_BYTES_MAX);
    memset(big, 'x', PARAMS_BYTES_MAX - 1);
    pw_params_init(&p);
    assert_true(pw_params_set(&p, PW_SLICE_LIT("a"), PW_SLICE_LIT("1")));
    assert_true(pw_params_set(&p, PW_SLICE_LIT("b"), PW_SLICE_LIT("")));
    assert_true(pw_params_set(&p, PW_SLICE_LIT("c"), PW_SLICE_LIT("3")));
    assert_true(pw_params_set(&p, PW_SLICE_LIT("B"), PW_SLICE_LIT("two")));
    assert_memory_equal(p.text.data, "a\0001\0B\0two\0c\0003\0", 14);
    assert_int_equal(p.text.len, 14);
    assert_int_equal(p.count, 3);
    assert_false(pw_params_set(&p, PW_SLICE_LIT(""), PW_SLICE_LIT("x")));
    assert_false(pw_params_set(&p, PW_SLICE_LIT("a\0b"), PW_SLICE_LIT("x")));
    assert_false(pw_params_set(&p, PW_SLICE_LIT("a"), PW_SLICE_LIT("x\0y")));
    assert_false(pw_params_set(&p, PW_SLICE_LIT("a"), pw_slice(big, PARAMS_BYTES_MAX - 12)));
    assert_int_equal(p.text.len, 14);
    assert_true(pw_params_find(&p, "A", &v) && pw_slice_is(v, "1"));
    /* A value that lives in the list itself. */
    assert_true(pw_params_find(&p, "b", &v) && pw_params_set(&p, PW_SLICE_LIT("a"), v));
    assert_true(pw_params_find(&p, "a", &v) && pw_slice_is(v, "two"));
    assert_false(pw_params_find(&p, "d", &v));
    pw_params_free(&p);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_replacement_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
