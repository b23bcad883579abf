/*
 * Four threads read, fill, write, flush, sweep, list and reconfigure. The tables are counters in
 * this file, written the way a session writes: bump, change, bump, and only then is the write
 * "heard of". A reader may never be given a reply that is older than a write it could have heard of
 * before it looked.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLES = 6, KEYS = 600, THREADS = 4, ROUNDS = 30000 };

static struct cache *cache;
static _Atomic uint64_t truth[TABLES]; /* what a query would see */
static _Atomic uint64_t heard[TABLES]; /* of finished writes, the latest value */
static _Atomic uint64_t stale, torn, hits;

struct row { /* the reply: what both tables held when the query ran, and padding that repeats it */
    uint64_t seen[2];
    unsigned char fill[3000];
};

static void write_table(uint32_t t)
{
    pw_cache_bump_table(cache, DB, t);
    uint64_t value = atomic_fetch_add(&truth[t], 1) + 1;
    pw_cache_bump_table(cache, DB, t);
    uint64_t before = atomic_load(&heard[t]);
    while (before < value && !atomic_compare_exchange_weak(&heard[t], &before, value))
        ;
}

static void fill(struct slice key, uint64_t hash, const uint32_t *tables, size_t len, uint64_t now)
{
    struct cache_stamp s;
    struct row row;
    if (!pw_cache_stamp_take(cache, &s, DB, tables, 2))
        return;
    struct cache_fill *f = pw_cache_fill_new(cache, &s, key, hash, now);
    if (!f)
        return;
    for (int i = 0; i < 2; i++)
        row.seen[i] = atomic_load(&truth[tables[i]]);
    memset(row.fill, (int)(row.seen[0] & 0xff), sizeof row.fill);
    size_t half = len / 2;
    if (pw_cache_fill_rows(f, pw_slice((const char *)&row, half)) &&
        pw_cache_fill_rows(f, pw_slice((const char *)&row + half, len - half)) &&
        pw_cache_fill_tag(f, PW_SLICE_LIT("C")))
        (void)pw_cache_fill_commit(f, 1, 1, 20 + now % 100, 1,
                                   now); /* some expire before they are evicted */
    else
        pw_cache_fill_abandon(f);
}

static void check(const struct cache_entry *e, const uint64_t *floor)
{
    const struct rcbuf *rows = pw_cache_entry_reply(e)->rows;
    struct row row;
    memcpy(&row, rows->data, rows->len);
    atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed);
    if (row.seen[0] < floor[0] || row.seen[1] < floor[1])
        atomic_fetch_add(&stale, 1);
    if (row.fill[0] != (row.seen[0] & 0xff) ||
        row.fill[rows->len - sizeof row.seen - 1] != (row.seen[0] & 0xff))
        atomic_fetch_add(&torn, 1);
}

static void read_key(uint32_t k, uint64_t now)
{
    char text[16];
    int n = snprintf(text, sizeof text, "key%u", k);
    struct slice key = pw_slice(text, (size_t)n);
    uint64_t hash = pw_hash_bytes(key.ptr, key.len);
    uint32_t tables[2] = {k % TABLES, k / TABLES % TABLES};
    uint64_t floor[2] = {atomic_load(&heard[tables[0]]), atomic_load(&heard[tables[1]])};
    struct cache_entry *e = pw_cache_get(cache, key, hash, now);
    if (!e) {
        fill(key, hash, tables, 200 + k * 4, now);
        return;
    }
    check(e, floor);
    pw_cache_entry_unref(e);
}

static void reconfigure(size_t memory)
{
    const struct cache_options o = {.memory_bytes = memory, .max_entry_bytes = 1 << 20};
    struct cache_entry_info rows[10];
    pw_cache_configure(cache, &o);
    (void)pw_cache_list(cache, rows, 10, 0);
}

static void *run(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    const struct cache_filter family = {.by_family = true, .family = 1}, all = {0};
    for (uint64_t now = 0; now < ROUNDS; now++) {
        uint32_t dice = (uint32_t)rand_r(&seed);
        uint32_t k = (uint32_t)rand_r(&seed);
        if (dice % 20 == 0)
            write_table(k % TABLES);
        else if (dice % 1000 == 1)
            pw_cache_flush(cache, dice % 3 ? &family : &all);
        else if (dice % 1000 == 2)
            pw_cache_bump_database(cache, DB);
        else if (dice % 1000 == 4)
            reconfigure(dice % 3 ? 512 * 1024 : 400 * 1024);
        else if (dice % 100 == 3)
            pw_cache_sweep(cache, now, 50);
        else
            read_key(dice % 2 ? k % KEYS : k % 8, now); /* half of them want the same few */
    }
    return NULL;
}

static void no_reader_gets_an_old_reply(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    cache = new_cache(512 * 1024); /* less than the keys need: eviction all the time */
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct cache_stats st = stats_of(cache);
    assert_int_equal(stale, 0);
    assert_int_equal(torn, 0);
    assert_int_equal(st.hits, hits);
    assert_true(hits > ROUNDS / 10);
    if (!st.evictions || !st.invalidations || !st.expirations)
        fail_msg("%llu evictions, %llu invalidations, %llu expirations",
                 (unsigned long long)st.evictions, (unsigned long long)st.invalidations,
                 (unsigned long long)st.expirations);
    const struct cache_filter all = {0};
    assert_int_equal(pw_cache_flush(cache, &all), st.entries);
    assert_int_equal(stats_of(cache).memory_used, 0);
    pw_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_reader_gets_an_old_reply)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
