/* Permits: the limit over all workers, and who gets one when several ask. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/pool/permits.h"

enum { WORKERS = 4, ROUNDS = 20000, LIMIT = 3, LATER_US = 1000 * 1000 };

static unsigned woken; /* bit per worker */

static void wake(void *arg, unsigned worker)
{
    (void)arg;
    if (worker < WORKERS)
        __atomic_fetch_or(&woken, 1u << worker, __ATOMIC_SEQ_CST);
}

static int setup(void **state)
{
    woken = 0;
    *state = pw_permits_new(wake, NULL);
    return 0;
}

static int teardown(void **state)
{
    pw_permits_free(*state);
    return 0;
}

static void accounts_are_by_database_and_user(void **state)
{
    struct permit_account *a = pw_permits_account(*state, "d", "u");
    assert_ptr_equal(pw_permits_account(*state, "d", "u"), a);
    assert_ptr_not_equal(pw_permits_account(*state, "d", "v"), a);
    assert_ptr_not_equal(pw_permits_account(*state, "", "u"), a);
}

static void the_limit_holds(void **state)
{
    struct permit_account *a = pw_permits_account(*state, "d", "u");
    for (int i = 0; i < LIMIT; i++)
        assert_true(pw_permits_try_take(a, LIMIT));
    assert_false(pw_permits_try_take(a, LIMIT));
    assert_true(pw_permits_try_take(a, LIMIT + 1)); /* the reserve */
    pw_permits_give(*state, a);
    assert_false(pw_permits_try_take(a, LIMIT));
    pw_permits_give(*state, a);
    assert_true(pw_permits_try_take(a, LIMIT));
}

static void asking_wakes_the_others_once(void **state)
{
    struct permit_account *a = pw_permits_account(*state, "d", "u");
    pw_permits_ask(*state, a, 1, 100);
    assert_int_equal(woken, 0xf & ~(1u << 1));
    woken = 0;
    pw_permits_ask(*state, a, 1, 200); /* its next request: it asked before */
    assert_int_equal(woken, 0);
    assert_true(pw_permits_try_take(a, 1));
    pw_permits_give(*state, a); /* and giving back wakes who asks */
    assert_int_equal(woken, 1u << 1);
}

static void who_has_waited_longest_is_answered(void **state)
{
    struct permit_account *a = pw_permits_account(*state, "d", "u");
    assert_false(pw_permits_answer(a, 0, 0)); /* nobody asks */
    pw_permits_ask(*state, a, 1, 2 * LATER_US);
    pw_permits_ask(*state, a, 2, 1 * LATER_US);
    assert_false(pw_permits_answer(a, 0, LATER_US)); /* its own requests wait as long */
    assert_true(pw_permits_is_turn(a, 2, LATER_US));
    assert_false(pw_permits_is_turn(a, 1, 2 * LATER_US));
    assert_false(pw_permits_is_turn(a, 0, 3 * LATER_US));
    assert_false(pw_permits_is_turn(a, 0, 0));          /* min_pool_size has to wait too */
    assert_true(pw_permits_answer(a, 0, 3 * LATER_US)); /* for worker 2 */
    assert_false(
        pw_permits_answer(a, 0, 2 * LATER_US)); /* not for 2 again, and 1 has not waited longer */
    assert_true(pw_permits_answer(a, 0, 0));    /* for worker 1 */
    assert_false(pw_permits_answer(a, 0, 0));
    pw_permits_ask(*state, a, 2, LATER_US); /* somebody else was quicker: it asks again */
    assert_true(pw_permits_answer(a, 0, 0));
}

static void who_asks_no_more_is_in_nobodys_way(void **state)
{
    struct permit_account *a = pw_permits_account(*state, "d", "u");
    pw_permits_ask(*state, a, 1, 1);
    assert_false(pw_permits_is_turn(a, 0, LATER_US));
    pw_permits_ask_no_more(a, 1);
    assert_true(pw_permits_is_turn(a, 0, LATER_US));
    assert_false(pw_permits_answer(a, 0, 0));
}

static void a_worker_does_not_answer_itself(void **state)
{
    struct permit_account *a = pw_permits_account(*state, "d", "u");
    pw_permits_ask(*state, a, 3, 1);
    assert_false(pw_permits_answer(a, 3, 0));
    assert_true(pw_permits_is_turn(a, 3, LATER_US));
}

static void clients_are_counted(void **state)
{
    struct permit_account *a = pw_permits_account(*state, "d", "u");
    assert_true(pw_permits_try_enter(&a->clients, 0)); /* no limit, counted all the same */
    assert_true(pw_permits_try_enter(&a->clients, 2));
    assert_false(pw_permits_try_enter(&a->clients, 2));
    assert_int_equal(atomic_load(&a->clients), 2);
    pw_permits_leave(&a->clients);
    assert_true(pw_permits_try_enter(&a->clients, 2));
}

/* Several threads at once: never more than the limit, and nothing is lost. */

static _Atomic uint32_t held, most;

struct player {
    struct permits *permits;
    unsigned worker;
};

static void *play(void *arg)
{
    const struct player *p = arg;
    struct permit_account *a = pw_permits_account(p->permits, "d", "u");
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        if (!pw_permits_try_take(a, LIMIT)) {
            pw_permits_ask(p->permits, a, p->worker, i);
            continue;
        }
        uint32_t now = atomic_fetch_add(&held, 1) + 1, seen = atomic_load(&most);
        while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
            ;
        pw_permits_answer(a, p->worker, 0);
        pw_permits_ask_no_more(a, p->worker);
        atomic_fetch_sub(&held, 1);
        pw_permits_give(p->permits, a);
    }
    pw_permits_ask_no_more(a, p->worker);
    return NULL;
}

static void threads_together(void **state)
{
    pthread_t threads[WORKERS];
    struct player players[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        players[i] = (struct player){*state, i};
        assert_int_equal(pthread_create(&threads[i], NULL, play, &players[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    struct permit_account *a = pw_permits_account(*state, "d", "u");
    assert_int_equal(atomic_load(&a->used), 0);
    assert_int_equal(atomic_load(&a->asking), 0);
    assert_in_range(atomic_load(&most), 1, LIMIT);
}

/* A name that nobody holds any more leaves nothing behind, and comes back as new. */
static void dropped_accounts_are_gone(void **state)
{
    struct permits *permits = *state;
    struct permit_account *a = pw_permits_account(permits, "made up", "nobody");
    assert_ptr_equal(pw_permits_account(permits, "made up", "nobody"), a);
    assert_true(pw_permits_try_take(a, 1));
    pw_permits_drop(permits, a);
    assert_false(
        pw_permits_try_take(pw_permits_account(permits, "made up", "nobody"), 1)); /* still held */
    pw_permits_give(permits, a);
    pw_permits_drop(permits, a);
    pw_permits_ask(permits, a, 1, 5);
    pw_permits_drop(permits, a);
    a = pw_permits_account(permits, "made up", "nobody");
    assert_int_equal(atomic_load(&a->asking), 0);
    assert_int_equal(atomic_load(&a->used), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accounts_are_by_database_and_user, setup, teardown),
        cmocka_unit_test_setup_teardown(the_limit_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(asking_wakes_the_others_once, setup, teardown),
        cmocka_unit_test_setup_teardown(who_has_waited_longest_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(who_asks_no_more_is_in_nobodys_way, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worker_does_not_answer_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(dropped_accounts_are_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_together, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
