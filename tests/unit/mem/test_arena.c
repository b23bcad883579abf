/* Arenas: alignment, the limit, and what a reset keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proxy/mem/arena.h"

static void allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a;
    char *last = NULL;
    pw_arena_init(&a, 1 << 20);
    for (size_t size = 0; size < 700; size++) {
        char *p = pw_arena_try_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_ptr_not_equal(p, last);
        memset(p, (int)size, size);
        last = p;
    }
    pw_arena_free(&a);
}

static void limit_holds_and_a_refusal_changes_nothing(void **state)
{
    (void)state;
    struct arena a;
    pw_arena_init(&a, 100000);
    assert_null(pw_arena_try_alloc(&a, 100001));
    assert_null(pw_arena_try_alloc(&a, SIZE_MAX));
    assert_null(pw_arena_try_alloc(&a, SIZE_MAX - 7));
    assert_int_equal(a.used, 0);
    assert_non_null(pw_arena_try_alloc(&a, 99984));
    assert_non_null(pw_arena_try_alloc(&a, 16));
    assert_null(pw_arena_try_alloc(&a, 1));
    assert_int_equal(a.used, 100000);
    pw_arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(pw_arena_try_alloc(&a, 1));
    pw_arena_free(&a);
}

static void reset_recycles_a_block(void **state)
{
    (void)state;
    struct arena a;
    pw_arena_init(&a, 1 << 20);
    void *first = pw_arena_try_alloc(&a, 100);
    assert_non_null(first);
    pw_arena_reset(&a);
    assert_ptr_equal(pw_arena_try_alloc(&a, 100), first);
    for (int i = 0; i < 100; i++)
        assert_non_null(pw_arena_try_alloc(&a, 5000));
    pw_arena_reset(&a);
    assert_non_null(a.blocks);
    pw_arena_free(&a);
    assert_null(a.blocks);
}

static void reset_does_not_keep_a_huge_block(void **state)
{
    (void)state;
    struct arena a;
    pw_arena_init(&a, 1 << 20);
    assert_non_null(pw_arena_try_alloc(&a, 500000));
    pw_arena_reset(&a);
    assert_null(a.blocks);
    pw_arena_free(&a);
}

static void strings_are_copied_with_their_end(void **state)
{
    (void)state;
    struct arena a;
    pw_arena_init(&a, 64);
    assert_string_equal(pw_arena_try_strndup(&a, "hello world", 5), "hello");
    assert_string_equal(pw_arena_try_strndup(&a, "", 0), "");
    assert_null(pw_arena_try_strndup(&a, "x", SIZE_MAX));
    assert_null(pw_arena_try_strndup(&a, "0123456789012345678901234567890123456789", 40));
    pw_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(limit_holds_and_a_refusal_changes_nothing),
        cmocka_unit_test(reset_recycles_a_block),
        cmocka_unit_test(reset_does_not_keep_a_huge_block),
        cmocka_unit_test(strings_are_copied_with_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
