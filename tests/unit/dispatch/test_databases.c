/* Names that are tried in vain leave nothing behind; names that are good stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/dispatch/databases.h"

static unsigned n_new;

static void on_new(void *arg, uint32_t id, const char *name)
{
    (void)arg;
    (void)id;
    (void)name;
    n_new++;
}

static size_t count_rows(struct databases *d)
{
    size_t n = 0;
    for (struct pool_row *row = pw_databases_rows(d); row; row = row->next)
        n++;
    return n;
}

static void test_in_vain(void **state)
{
    (void)state;
    n_new = 0;
    struct databases *d = pw_databases_new(on_new, NULL);
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "made_up_%d", i);
        struct pool_row *row = pw_databases_pool_row(d, name, name, 0);
        assert_int_equal(row->database_id, 0);
        assert_int_equal(count_rows(d), 0);
        pw_databases_row_drop(d, row);
    }
    assert_int_equal(n_new, 0);
    struct pool_row *good = pw_databases_pool_row(d, "app", "ann", 0);
    pw_databases_row_proven(d, good);
    assert_int_equal(good->database_id, 1); /* no number was spent */
    assert_int_equal(n_new, 1);
    assert_int_equal(count_rows(d), 1);
    pw_databases_row_drop(d, good); /* its pool may go and come again */
    assert_ptr_equal(pw_databases_pool_row(d, "app", "ann", 0), good);
    pw_databases_row_proven(d, good);
    assert_int_equal(count_rows(d), 1);
    pw_databases_free(d);
}

/* A database's clients are counted together, also those whose names are not proven yet. */
static void test_clients_of_a_database(void **state)
{
    (void)state;
    struct databases *d = pw_databases_new(NULL, NULL);
    struct pool_row *first = pw_databases_pool_row(d, "app", "ann", 0);
    struct pool_row *second = pw_databases_pool_row(d, "app", "bob", 1);
    assert_ptr_equal(first->database_clients, second->database_clients);
    pw_databases_row_drop(d, first);
    atomic_fetch_add(second->database_clients, 1);
    struct pool_row *third = pw_databases_pool_row(d, "app", "ann", 0);
    assert_int_equal(atomic_load(third->database_clients), 1);
    pw_databases_row_proven(d, third);
    assert_ptr_equal(third->database_clients, second->database_clients);
    pw_databases_row_drop(d, second);
    assert_int_equal(atomic_load(third->database_clients), 1);
    pw_databases_free(d);
}

/* What an operator decided about a name is kept although nobody has logged in to it. */
static void test_disabled(void **state)
{
    (void)state;
    struct databases *d = pw_databases_new(NULL, NULL);
    struct pool_row *row = pw_databases_pool_row(d, "app", "ann", 0);
    pw_databases_disable(d, "app", true);
    pw_databases_row_drop(d, row);
    assert_true(pw_databases_is_disabled(d, "app"));
    pw_databases_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_in_vain),
                                       cmocka_unit_test(test_clients_of_a_database),
                                       cmocka_unit_test(test_disabled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
