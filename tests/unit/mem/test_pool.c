/* The memory pool: classes, the budget, eviction, true statistics, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/mem/pool.h"

static struct mem_pool_stats stats(const struct mem_pool *p)
{
    struct mem_pool_stats st;
    pw_pool_stats(p, &st);
    return st;
}

static void every_size_is_aligned_and_usable(void **state)
{
    (void)state;
    struct mem_pool *p = pw_pool_new("test", 64 << 20);
    for (size_t size = 0; size < 300000; size += size < 3000 ? 1 : 997) {
        char *a = pw_pool_try_alloc(p, size);
        char *b = pw_pool_try_alloc(p, size);
        assert_non_null(a);
        assert_non_null(b);
        assert_int_equal((uintptr_t)a % PW_POOL_ALIGN, 0);
        memset(a, 1, size);
        memset(b, 2, size);
        if (size > 0)
            assert_int_equal(a[size - 1], 1);
        assert_int_equal(stats(p).used, 2 * size);
        pw_pool_release(p, a, size);
        pw_pool_release(p, b, size);
    }
    assert_int_equal(stats(p).used, 0);
    assert_int_equal(stats(p).allocations, 0);
    assert_int_equal(stats(p).allocated_total, stats(p).freed_total);
    pw_pool_free(p);
}

static size_t fill(struct mem_pool *p, size_t size, void **out, size_t max)
{
    size_t n = 0;
    while (n < max && (out[n] = pw_pool_try_alloc(p, size)))
        n++;
    return n;
}

static void release_all(struct mem_pool *p, size_t size, void **ptrs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pw_pool_release(p, ptrs[i], size);
}

enum { MANY = 20000 };

static void the_budget_holds_and_is_usable(void **state)
{
    (void)state;
    static void *ptrs[MANY];
    static const size_t sizes[] = {64, 100, 500, 3000, 9000, 16000, 70000, 500000};
    struct mem_pool *p = pw_pool_new("test", 1 << 20);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = fill(p, sizes[i], ptrs, MANY);
        struct mem_pool_stats st = stats(p);
        assert_true(n * sizes[i] <= 1 << 20);
        /* All of it can be had, but for rounding to classes (at most a quarter and a line). */
        assert_true((double)n * (double)(sizes[i] + sizes[i] / 4 + 64) > 0.85 * (1 << 20));
        assert_true(st.available < sizes[i] + sizes[i] / 4 + 64);
        assert_int_equal(st.failed_total, i + 1);
        release_all(p, sizes[i], ptrs, n);
    }
    assert_null(pw_pool_try_alloc(p, (1 << 20) + 1));
    assert_null(pw_pool_try_alloc(p, SIZE_MAX));
    pw_pool_free(p);
}

static void available_is_what_can_be_had(void **state)
{
    (void)state;
    static void *ptrs[MANY];
    struct mem_pool *p = pw_pool_new("test", 1 << 20);
    assert_true(stats(p).available > 1000000);
    size_t n = fill(p, 1024, ptrs, MANY);
    assert_int_equal(stats(p).available, 0);
    assert_true(stats(p).fragmentation < 0.02);
    /* Every other chunk back: the space is there for this class, and half of it is holes. */
    for (size_t i = 0; i < n; i += 2)
        pw_pool_release(p, ptrs[i], 1024);
    assert_int_equal(stats(p).available, (n + 1) / 2 * 1024);
    assert_true(stats(p).fragmentation > 0.45 && stats(p).fragmentation < 0.55);
    for (size_t i = 0; i < n; i += 2)
        assert_non_null(ptrs[i] = pw_pool_try_alloc(p, 1024));
    assert_null(pw_pool_try_alloc(p, 1024));
    release_all(p, 1024, ptrs, n);
    assert_true(stats(p).fragmentation == 0);
    pw_pool_free(p);
}

static void classes_exchange_memory(void **state)
{
    (void)state;
    static void *ptrs[MANY];
    struct mem_pool *p = pw_pool_new("test", 1 << 20);
    for (int round = 0; round < 20; round++) {
        size_t size = (size_t)64 << (round % 9);
        size_t n = fill(p, size, ptrs, MANY);
        assert_true(n * size > 800000);
        release_all(p, size, ptrs, n);
    }
    pw_pool_free(p);
}

/* A FIFO of blocks that the evictor drops from its old end. */
struct fifo {
    struct mem_pool *pool;
    void *ptrs[MANY];
    size_t sizes[MANY], head, tail;
};

static bool drop_oldest(void *arg, size_t wanted)
{
    struct fifo *f = arg;
    size_t freed = 0;
    while (freed < wanted && f->head < f->tail) {
        freed += f->sizes[f->head];
        pw_pool_release(f->pool, f->ptrs[f->head], f->sizes[f->head]);
        f->head++;
    }
    return freed > 0;
}

static void a_full_pool_evicts_and_tries_again(void **state)
{
    (void)state;
    static struct fifo f;
    uint64_t used = 0;
    f = (struct fifo){.pool = pw_pool_new("test", 4 << 20)};
    pw_pool_set_evictor(f.pool, drop_oldest, &f);
    srand(7);
    for (; f.tail < MANY; f.tail++) {
        size_t size = (size_t)(rand() % 100 ? rand() % 2000 : rand() % 200000);
        void *ptr = pw_pool_try_alloc(f.pool, size);
        assert_non_null(ptr);
        memset(ptr, 3, size);
        f.ptrs[f.tail] = ptr;
        f.sizes[f.tail] = size;
        used += stats(f.pool).used;
    }
    assert_true(stats(f.pool).evict_calls > 100);
    assert_int_equal(stats(f.pool).failed_total, 0);
    assert_true(used / MANY > 2 << 20); /* on average, with blocks of all sizes */
    drop_oldest(&f, SIZE_MAX);
    assert_false(drop_oldest(&f, 1));
    pw_pool_free(f.pool);
}

static void memory_in_another_class_is_recovered(void **state)
{
    (void)state;
    static struct fifo f;
    f = (struct fifo){.pool = pw_pool_new("test", 4 << 20)};
    while (f.tail < MANY && (f.ptrs[f.tail] = pw_pool_try_alloc(f.pool, 640)))
        f.sizes[f.tail++] = 640;
    pw_pool_set_evictor(f.pool, drop_oldest, &f);
    void *ptr = pw_pool_try_alloc(f.pool, 10000);
    assert_non_null(ptr);
    assert_true(f.tail - f.head > 3000); /* the price: one slab or a few, not the pool */
    void *big = pw_pool_try_alloc(f.pool, 1000000);
    assert_non_null(big);
    pw_pool_release(f.pool, ptr, 10000);
    pw_pool_release(f.pool, big, 1000000);
    drop_oldest(&f, SIZE_MAX);
    pw_pool_free(f.pool);
}

static void shrinking_evicts_and_growing_gives(void **state)
{
    (void)state;
    static struct fifo f;
    f = (struct fifo){.pool = pw_pool_new("test", 4 << 20)};
    pw_pool_set_evictor(f.pool, drop_oldest, &f);
    for (; f.tail < 3000; f.tail++) {
        f.sizes[f.tail] = 1024;
        assert_non_null(f.ptrs[f.tail] = pw_pool_try_alloc(f.pool, 1024));
    }
    pw_pool_resize(f.pool, 1 << 20);
    struct mem_pool_stats st = stats(f.pool);
    assert_int_equal(st.total, 1 << 20);
    assert_true(st.used <= 1 << 20);
    assert_true(st.used > 700000); /* and not everything is gone */
    pw_pool_resize(f.pool, 4 << 20);
    uint64_t calls = stats(f.pool).evict_calls;
    for (; f.tail < 5000; f.tail++) {
        f.sizes[f.tail] = 1024;
        assert_non_null(f.ptrs[f.tail] = pw_pool_try_alloc(f.pool, 1024));
    }
    assert_int_equal(stats(f.pool).evict_calls, calls);
    pw_pool_resize(f.pool, 0);
    assert_int_equal(stats(f.pool).allocations, 0);
    assert_null(pw_pool_try_alloc(f.pool, 1));
    pw_pool_free(f.pool);
}

static void *churn(void *arg)
{
    struct mem_pool *p = arg;
    void *ptrs[16] = {0};
    size_t sizes[16] = {0};
    unsigned seed = (unsigned)(uintptr_t)&ptrs;
    for (int i = 0; i < 30000; i++) {
        size_t k = (size_t)rand_r(&seed) % 16;
        if (ptrs[k]) {
            assert_int_equal(((unsigned char *)ptrs[k])[sizes[k] - 1], k);
            pw_pool_release(p, ptrs[k], sizes[k]);
        }
        sizes[k] = 1 + (size_t)rand_r(&seed) % (i % 50 ? 5000 : 100000);
        ptrs[k] = pw_pool_try_alloc(p, sizes[k]);
        if (ptrs[k])
            memset(ptrs[k], (int)k, sizes[k]);
    }
    for (size_t k = 0; k < 16; k++)
        if (ptrs[k])
            pw_pool_release(p, ptrs[k], sizes[k]);
    return NULL;
}

static void threads_share_the_pool(void **state)
{
    (void)state;
    struct mem_pool *p = pw_pool_new("test", 2 << 20);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, churn, p), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(stats(p).used, 0);
    pw_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_aligned_and_usable),
        cmocka_unit_test(the_budget_holds_and_is_usable),
        cmocka_unit_test(available_is_what_can_be_had),
        cmocka_unit_test(classes_exchange_memory),
        cmocka_unit_test(a_full_pool_evicts_and_tries_again),
        cmocka_unit_test(memory_in_another_class_is_recovered),
        cmocka_unit_test(shrinking_evicts_and_growing_gives),
        cmocka_unit_test(threads_share_the_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
