/* Reference-counted bytes: who frees them, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "proxy/mem/pool.h"
#include "proxy/mem/rcbuf.h"

static void heap_buffer_lives_until_last_unref(void **state)
{
    (void)state;
    struct rcbuf *b = pw_rcbuf_try_new(100);
    assert_non_null(b);
    assert_int_equal(b->len, 0);
    assert_int_equal(b->cap, 100);
    memset(b->data, 'x', 100);
    b->len = 100;
    assert_ptr_equal(pw_rcbuf_ref(b), b);
    pw_rcbuf_unref(b);
    assert_int_equal(b->data[99], 'x');
    pw_rcbuf_unref(b);
    pw_rcbuf_unref(NULL);
}

static void pool_buffer_counts_in_its_pool(void **state)
{
    (void)state;
    struct mem_pool *p = pw_pool_new("test", 1 << 20);
    struct rcbuf *b = pw_rcbuf_try_new_in(p, 1000);
    assert_non_null(b);
    memset(b->data, 1, 1000);
    struct mem_pool_stats st;
    pw_pool_stats(p, &st);
    assert_int_equal(st.used, sizeof *b + 1000); /* the header is part of the allocation */
    assert_int_equal(st.allocations, 1);
    pw_rcbuf_unref(b);
    pw_pool_stats(p, &st);
    assert_int_equal(st.allocations, 0);
    assert_null(pw_rcbuf_try_new_in(p, 2 << 20));
    pw_pool_free(p);
}

static void *churn(void *arg)
{
    struct rcbuf *b = arg;
    for (int i = 0; i < 10000; i++)
        pw_rcbuf_unref(pw_rcbuf_ref(b));
    pw_rcbuf_unref(b);
    return NULL;
}

static void threads_share_one_buffer(void **state)
{
    (void)state;
    struct mem_pool *p = pw_pool_new("test", 1 << 20);
    struct rcbuf *b = pw_rcbuf_try_new_in(p, 10);
    assert_non_null(b);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, churn, pw_rcbuf_ref(b)), 0);
    pw_rcbuf_unref(b);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    pw_pool_free(p); /* asserts that nothing is live */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_buffer_lives_until_last_unref),
        cmocka_unit_test(pool_buffer_counts_in_its_pool),
        cmocka_unit_test(threads_share_one_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
