/* Budgets: chains, refusals that leave nothing behind, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "proxy/mem/budget.h"

static void charges_go_up_the_chain(void **state)
{
    (void)state;
    struct budget process, worker;
    pw_budget_init(&process, NULL, 100);
    pw_budget_init(&worker, &process, 80);
    assert_true(pw_budget_try_charge(&worker, 60));
    assert_int_equal(process.used, 60);
    assert_int_equal(worker.used, 60);
    pw_budget_release(&worker, 60);
    assert_int_equal(process.used, 0);
    assert_true(pw_budget_try_charge(&worker, 80));
    assert_true(pw_budget_try_charge(&process, 20));
    assert_false(pw_budget_try_charge(&process, 1));
    pw_budget_release(&process, 20);
    pw_budget_release(&worker, 80);
}

static void a_refusal_leaves_nothing_behind(void **state)
{
    (void)state;
    struct budget process, worker, session;
    pw_budget_init(&process, NULL, 100);
    pw_budget_init(&worker, &process, 1000);
    pw_budget_init(&session, &worker, 1000);
    assert_false(pw_budget_try_charge(&session, 101));
    assert_false(pw_budget_try_charge(&session, SIZE_MAX));
    assert_int_equal(session.used, 0);
    assert_int_equal(worker.used, 0);
    assert_int_equal(process.used, 0);
    process.limit = 0;
    assert_true(pw_budget_try_charge(&session, 0));
}

static void *churn(void *arg)
{
    struct budget *b = arg;
    for (int i = 0; i < 20000; i++)
        if (pw_budget_try_charge(b, 7))
            pw_budget_release(b, 7);
    return NULL;
}

static void threads_add_up_to_zero(void **state)
{
    (void)state;
    struct budget process, worker[2];
    pthread_t t[4];
    pw_budget_init(&process, NULL, 20);
    pw_budget_init(&worker[0], &process, 10);
    pw_budget_init(&worker[1], &process, 10);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, churn, &worker[i % 2]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(process.used, 0);
    assert_int_equal(worker[0].used, 0);
    assert_int_equal(worker[1].used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charges_go_up_the_chain),
        cmocka_unit_test(a_refusal_leaves_nothing_behind),
        cmocka_unit_test(threads_add_up_to_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
