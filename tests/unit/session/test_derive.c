/* Derivations: one for all who ask, remembered, failing alone, given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/base/hashmap.h"
#include "proxy/session/derive.h"

struct asker {
    struct derive_waiter waiter;
    int calls;
    bool ok;
    struct scram_keys keys;
};

static uv_loop_t loop;
static struct derivations *derivations;
static const uint8_t seed[32] = {7};

static void on_derived(struct derive_waiter *w, const struct scram_keys *keys)
{
    struct asker *a = PW_CONTAINER_OF(w, struct asker, waiter);
    assert_false(pw_derive_is_pending(w));
    a->calls++;
    a->ok = keys != NULL;
    if (keys)
        a->keys = *keys;
}

static bool ask(struct asker *a, const char *password, const char *salt, uint32_t iterations)
{
    const struct scram_job job = {pw_slice_str(password), pw_slice_str(salt), iterations};
    *a = (struct asker){.waiter.on_derived = on_derived};
    return pw_derive(derivations, &job, &a->keys, &a->waiter);
}

static struct scram_keys right(const char *password, const char *salt, uint32_t iterations)
{
    struct scram_keys keys;
    assert_true(pw_scram_derive(pw_slice_str(password), pw_slice_str(salt), iterations, &keys));
    return keys;
}

static int set_up(void **state)
{
    (void)state;
    pw_hash_seed_init();
    assert_int_equal(uv_loop_init(&loop), 0);
    derivations = pw_derivations_new(&loop, seed);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    pw_derivations_free(derivations);
    return uv_loop_close(&loop);
}

static void one_for_all_and_remembered(void **state)
{
    (void)state;
    struct asker a[5], other, later;
    for (size_t i = 0; i < 5; i++)
        assert_false(ask(&a[i], "secret", "salt", 4096));
    assert_false(ask(&other, "secret", "tlas", 4096));
    uv_run(&loop, UV_RUN_DEFAULT);
    const struct scram_keys want = right("secret", "salt", 4096);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(a[i].calls, 1);
        assert_memory_equal(&a[i].keys, &want, sizeof want);
    }
    assert_memory_not_equal(&other.keys, &want, sizeof want);
    assert_true(ask(&later, "secret", "salt", 4096)); /* at once, and without a call */
    assert_memory_equal(&later.keys, &want, sizeof want);
    assert_int_equal(later.calls, 0);
}

/* Nothing of a job may be taken for another's: not where one text ends and the next begins, not the
 * count. */
static void no_job_is_anothers(void **state)
{
    (void)state;
    struct asker first, a, b, c;
    assert_false(ask(&first, "ab", "cd", 10));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_false(ask(&a, "abc", "d", 10));
    assert_false(ask(&b, "a", "bcd", 10));
    assert_false(ask(&c, "ab", "cd", 11));
    uv_run(&loop, UV_RUN_DEFAULT);
    const struct scram_keys want = right("abc", "d", 10);
    assert_memory_equal(&a.keys, &want, sizeof want);
    assert_memory_not_equal(&first.keys, &c.keys, sizeof want);
    assert_memory_not_equal(&first.keys, &b.keys, sizeof want);
}

static void failure_is_not_remembered(void **state)
{
    (void)state;
    struct asker a, again;
    assert_false(ask(&a, "secret", "salt", 0));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(a.calls, 1);
    assert_false(a.ok);
    assert_false(ask(&again, "secret", "salt", 0));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(again.calls, 1);
}

static void who_gave_up_is_not_called(void **state)
{
    (void)state;
    struct asker a[20], stays;
    for (size_t i = 0; i < 20; i++) {
        char password[8] = {'p', (char)('a' + i), 0};
        assert_false(ask(&a[i], password, "salt", 4096));
    }
    assert_false(ask(&stays, "pa", "salt", 4096));
    for (size_t i = 0; i < 20; i++)
        pw_derive_cancel(&a[i].waiter);
    pw_derive_cancel(&a[0].waiter); /* twice is once */
    uv_run(&loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(a[i].calls, 0);
    assert_int_equal(stays.calls, 1);
    assert_true(stays.ok);
    assert_true(pw_derivations_is_quiet(derivations));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_for_all_and_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_job_is_anothers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failure_is_not_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_gave_up_is_not_called, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
