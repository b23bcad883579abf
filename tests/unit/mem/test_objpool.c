/* Object pools: recycling, the limit on free objects, and the registry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proxy/mem/objpool.h"

static void objects_are_recycled(void **state)
{
    (void)state;
    struct objpool p;
    pw_objpool_init(&p, "ticket", 200, 8);
    void *a = pw_objpool_get(&p);
    void *b = pw_objpool_get(&p);
    assert_ptr_not_equal(a, b);
    memset(a, 1, 200);
    assert_int_equal(p.created, 2);
    assert_int_equal(p.in_use, 2);
    pw_objpool_put(&p, a);
    assert_ptr_equal(pw_objpool_try_get(&p), a);
    assert_int_equal(p.created, 2);
    assert_int_equal(p.reused, 1);
    pw_objpool_put(&p, a);
    pw_objpool_put(&p, b);
    assert_int_equal(p.in_use, 0);
    pw_objpool_destroy(&p);
}

static void keeps_at_most_keep_max(void **state)
{
    (void)state;
    struct objpool p;
    void *objects[5];
    pw_objpool_init(&p, "small", 1, 2); /* smaller than a link: rounded up */
    for (int i = 0; i < 5; i++)
        objects[i] = pw_objpool_get(&p);
    for (int i = 0; i < 5; i++)
        pw_objpool_put(&p, objects[i]);
    assert_int_equal(p.free_count, 2);
    for (int i = 0; i < 3; i++)
        objects[i] = pw_objpool_get(&p);
    assert_int_equal(p.created, 6);
    assert_int_equal(p.reused, 2);
    for (int i = 0; i < 3; i++)
        pw_objpool_put(&p, objects[i]);
    pw_objpool_destroy(&p);
}

static const struct objpool_stats *find(const struct objpool_stats *rows, size_t n,
                                        const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static void pools_of_one_name_are_added_up(void **state)
{
    (void)state;
    struct objpool p[3];
    struct objpool_stats rows[8];
    pw_objpool_init(&p[0], "session", 64, 8);
    pw_objpool_init(&p[1], "session", 64, 8);
    pw_objpool_init(&p[2], "ticket", 64, 8);
    void *a = pw_objpool_get(&p[0]);
    void *b = pw_objpool_get(&p[1]);
    pw_objpool_put(&p[1], b);
    b = pw_objpool_get(&p[1]);
    size_t n = pw_objpool_stats(rows, 8);
    assert_int_equal(n, 2);
    const struct objpool_stats *row = find(rows, n, "session");
    assert_non_null(row);
    assert_int_equal(row->created, 2);
    assert_int_equal(row->reused, 1);
    assert_int_equal(row->in_use, 2);
    assert_true(row->efficiency > 0.333 && row->efficiency < 0.334);
    row = find(rows, n, "ticket");
    assert_non_null(row);
    assert_true(row->efficiency == 0);
    assert_int_equal(pw_objpool_stats(rows, 1), 1);
    assert_int_equal(pw_objpool_stats(rows, 0), 0);
    pw_objpool_put(&p[0], a);
    pw_objpool_put(&p[1], b);
    for (int i = 0; i < 3; i++)
        pw_objpool_destroy(&p[i]);
    assert_int_equal(pw_objpool_stats(rows, 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_recycled),
        cmocka_unit_test(keeps_at_most_keep_max),
        cmocka_unit_test(pools_of_one_name_are_added_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
