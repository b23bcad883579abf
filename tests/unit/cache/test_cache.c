/* Lookups, freshness, expiry, eviction, flushing and what SHOW sees. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/mem/pool.h"

static const struct slice ROW = {"D....row", 8};

static void an_entry_comes_back_byte_for_byte(void **state)
{
    (void)state;
    struct cache *c = new_cache(4 << 20);
    assert_false(has(c, "k", 0));
    assert_true(put(c, "k", 1, ROW, 0, 0));
    struct cache_entry *e = get(c, "k", 0);
    assert_non_null(e);
    const struct cache_reply *r = pw_cache_entry_reply(e);
    assert_int_equal(r->n_rows, 1);
    assert_int_equal(r->description->len, 5);
    assert_memory_equal(r->rows->data, ROW.ptr, ROW.len);
    assert_memory_equal(r->tag->data, "C....SELECT 1", 13);
    struct cache_stats st = stats_of(c);
    assert_int_equal(st.hits, 1);
    assert_int_equal(st.misses, 1);
    assert_int_equal(st.fills, 1);
    assert_int_equal(st.entries, 1);
    assert_true(st.hit_rate == 0.5);
    assert_true(st.memory_used > 0 && st.memory_used < st.memory_total);
    /* A reference outlives the flush of its entry. */
    const struct cache_filter all = {0};
    assert_int_equal(pw_cache_flush(c, &all), 1);
    assert_false(has(c, "k", 0));
    assert_memory_equal(r->rows->data, ROW.ptr, ROW.len);
    pw_cache_entry_unref(e);
    assert_int_equal(stats_of(c).memory_used, 0);
    pw_cache_free(c);
}

static void keys_are_compared_not_only_hashed(void **state)
{
    (void)state;
    struct cache *c = new_cache(4 << 20);
    struct cache_stamp s = stamp_of(c, 1);
    const char *keys[] = {"a", "b", "ab", "a\1"};
    for (int i = 0; i < 4; i++) {
        struct cache_fill *f = pw_cache_fill_new(c, &s, pw_slice_str(keys[i]), 77, 0);
        assert_non_null(f);
        assert_true(pw_cache_fill_tag(f, pw_slice_str(keys[i])));
        assert_true(pw_cache_fill_commit(f, 0, 0, 0, 0, 0));
    }
    for (int i = 0; i < 4; i++) {
        struct cache_entry *e = pw_cache_get(c, pw_slice_str(keys[i]), 77, 0);
        assert_non_null(e);
        struct rcbuf *tag = pw_cache_entry_reply(e)->tag;
        assert_true(pw_slice_eq(pw_slice(tag->data, tag->len), pw_slice_str(keys[i])));
        pw_cache_entry_unref(e);
    }
    assert_null(pw_cache_get(c, PW_SLICE_LIT("c"), 77, 0));
    assert_null(pw_cache_get(c, PW_SLICE_LIT(""), 77, 0));
    pw_cache_free(c);
}

static void a_write_invalidates_its_readers_only(void **state)
{
    (void)state;
    struct cache *c = new_cache(4 << 20);
    assert_true(put(c, "one", 1, ROW, 0, 0));
    assert_true(put(c, "two", 2, ROW, 0, 0));
    pw_cache_bump_table(c, DB, 1);
    assert_false(has(c, "one", 0));
    assert_true(has(c, "two", 0));
    assert_int_equal(stats_of(c).invalidations, 1);
    assert_int_equal(stats_of(c).entries, 1);
    pw_cache_bump_table(c, DB + 1, 2); /* the same number in another database */
    assert_true(has(c, "two", 0));
    pw_cache_bump_database(c, DB + 1);
    assert_true(has(c, "two", 0));
    pw_cache_bump_database(c, DB);
    assert_false(has(c, "two", 0));
    assert_true(put(c, "two", 2, ROW, 0, 0));
    pw_cache_bump_all(c);
    assert_false(has(c, "two", 0));
    assert_int_equal(stats_of(c).invalidations, 3);
    assert_int_equal(stats_of(c).hits, 3);
    assert_int_equal(stats_of(c).misses, 3);
    pw_cache_free(c);
}

static void every_dependency_counts(void **state)
{
    (void)state;
    struct cache *c = new_cache(4 << 20);
    uint32_t tables[PW_CACHE_DEPS_MAX + 1];
    struct cache_stamp s;
    for (uint32_t i = 0; i <= PW_CACHE_DEPS_MAX; i++)
        tables[i] = 16384 + i;
    assert_false(pw_cache_stamp_take(c, &s, DB, tables, PW_CACHE_DEPS_MAX + 1));
    for (uint32_t i = 0; i < PW_CACHE_DEPS_MAX; i++) {
        assert_true(pw_cache_stamp_take(c, &s, DB, tables, PW_CACHE_DEPS_MAX));
        assert_true(pw_cache_stamp_is_current(c, &s));
        struct cache_fill *f = pw_cache_fill_new(c, &s, PW_SLICE_LIT("k"), 1, 0);
        assert_non_null(f);
        assert_true(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
        assert_true(pw_cache_fill_commit(f, 0, 0, 0, 0, 0));
        pw_cache_bump_table(c, DB, tables[i]);
        assert_false(pw_cache_stamp_is_current(c, &s));
        assert_null(pw_cache_get(c, PW_SLICE_LIT("k"), 1, 0));
    }
    assert_true(pw_cache_stamp_take(c, &s, DB, NULL, 0)); /* SELECT 1: no table at all */
    pw_cache_bump_table(c, DB, 1);
    assert_true(pw_cache_stamp_is_current(c, &s));
    pw_cache_bump_database(c, DB);
    assert_false(pw_cache_stamp_is_current(c, &s));
    pw_cache_free(c);
}

static void entries_expire(void **state)
{
    (void)state;
    struct cache *c = new_cache(4 << 20);
    assert_true(put(c, "k", 1, ROW, 10 * SECOND, 100 * SECOND));
    assert_true(put(c, "forever", 1, ROW, 0, 100 * SECOND));
    assert_true(has(c, "k", 110 * SECOND - 1));
    assert_false(has(c, "k", 110 * SECOND));
    assert_true(has(c, "forever", UINT64_MAX - 1));
    assert_int_equal(stats_of(c).expirations, 1);
    assert_int_equal(stats_of(c).entries, 1);
    pw_cache_free(c);
}

static void the_sweep_drops_what_nobody_asks_for(void **state)
{
    (void)state;
    struct cache *c = new_cache(8 << 20);
    char key[32];
    for (int i = 0; i < 1000; i++) { /* one expires every 100 ms, within 100 s: the wheel wraps */
        snprintf(key, sizeof key, "k%d", i);
        assert_true(put(c, key, 1, ROW, (uint64_t)(i + 1) * 100000, 7 * SECOND));
    }
    assert_true(put(c, "forever", 1, ROW, 0, 7 * SECOND));
    assert_int_equal(pw_cache_sweep(c, 7 * SECOND, 5000), 0);
    size_t dropped = 0;
    for (uint64_t t = 1; t <= 50; t++) {
        dropped += pw_cache_sweep(c, (7 + t) * SECOND, 5000);
        assert_int_equal(dropped, t * 10); /* exactly those that are due */
    }
    assert_int_equal(pw_cache_sweep(c, 107 * SECOND, 7), 7); /* after a pause, in two calls */
    assert_int_equal(pw_cache_sweep(c, 107 * SECOND, 5000), 493);
    assert_int_equal(stats_of(c).entries, 1);
    assert_int_equal(stats_of(c).expirations, 1000);
    pw_cache_free(c);
}

static void a_full_cache_drops_the_oldest(void **state)
{
    (void)state;
    struct cache *c = new_cache(2 << 20);
    char key[32], row[1000];
    memset(row, 'r', sizeof row);
    assert_true(put(c, "hot", 1, pw_slice(row, sizeof row), 0, 0));
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_true(put(c, key, 1, pw_slice(row, sizeof row), 0, 0));
        assert_true(has(c, "hot", 0)); /* used all the time: never the victim */
        assert_true(has(c, key, 0));
    }
    struct cache_stats st = stats_of(c);
    assert_true(st.memory_used <= 2 << 20);
    assert_true(st.memory_used > 1 << 20);
    assert_int_equal(st.evictions + st.entries, 20001);
    assert_true(st.entries > 1000);
    /* What is left is young: of the last half of the survivors' number, nearly all are here. */
    int found = 0, asked = (int)st.entries / 2;
    for (int i = 20000 - asked; i < 20000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        found += has(c, key, 0);
    }
    assert_true(found > asked * 9 / 10);
    assert_false(has(c, "k0", 0));
    pw_cache_free(c);
}

static void a_smaller_memory_takes_effect_at_once(void **state)
{
    (void)state;
    struct cache *c = new_cache(8 << 20);
    char key[32], row[1000];
    memset(row, 'r', sizeof row);
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_true(put(c, key, 1, pw_slice(row, sizeof row), 0, 0));
    }
    struct cache_options o = {.memory_bytes = 2 << 20, .max_entry_bytes = 1 << 20};
    pw_cache_configure(c, &o);
    assert_int_equal(stats_of(c).memory_total, 2 << 20);
    assert_true(stats_of(c).memory_used <= 2 << 20);
    assert_true(stats_of(c).entries > 500);
    o.memory_bytes = 0; /* off */
    pw_cache_configure(c, &o);
    assert_int_equal(stats_of(c).entries, 0);
    assert_false(put(c, "k", 1, ROW, 0, 0));
    pw_cache_free(c);
}

static bool put_in(struct cache *c, const char *key, uint32_t db, uint32_t table, uint64_t family)
{
    struct cache_stamp s;
    struct slice k = pw_slice_str(key);
    assert_true(pw_cache_stamp_take(c, &s, db, &table, 1));
    struct cache_fill *f = pw_cache_fill_new(c, &s, k, pw_hash_bytes(k.ptr, k.len), 0);
    assert_non_null(f);
    assert_true(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
    return pw_cache_fill_commit(f, 0, 0, 0, family, 0);
}

static void flushes_are_selective(void **state)
{
    (void)state;
    struct cache *c = new_cache(4 << 20);
    assert_true(put_in(c, "a", 1, 10, 100));
    assert_true(put_in(c, "b", 1, 20, 200));
    assert_true(put_in(c, "c", 2, 10, 200));
    struct cache_filter f = {.by_family = true, .family = 100};
    assert_int_equal(pw_cache_flush(c, &f), 1);
    assert_false(has(c, "a", 0));
    f = (struct cache_filter){.by_table = true, .table_slot = pw_cache_table_slot(2, 10)};
    assert_int_equal(pw_cache_flush(c, &f), 1);
    assert_true(has(c, "b", 0));
    assert_false(has(c, "c", 0));
    f = (struct cache_filter){.by_database = true, .database_id = 2};
    assert_int_equal(pw_cache_flush(c, &f), 0);
    assert_true(has(c, "b", 0));
    f.database_id = 1;
    assert_int_equal(pw_cache_flush(c, &f), 1);
    assert_int_equal(stats_of(c).entries, 0);
    pw_cache_free(c);
}

static void a_flush_outdates_fills_under_way(void **state)
{
    (void)state;
    struct cache *c = new_cache(4 << 20);
    const struct cache_filter filters[] = {
        {0},
        {.by_database = true, .database_id = DB},
        {.by_table = true, .table_slot = pw_cache_table_slot(DB, 1)},
    };
    for (int i = 0; i < 3; i++) {
        struct cache_fill *f = begin(c, "k", 1, 0);
        assert_true(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
        pw_cache_flush(c, &filters[i]);
        assert_false(pw_cache_fill_commit(f, 0, 0, 0, 0, 0));
    }
    assert_int_equal(stats_of(c).stale_fills_refused, 3);
    pw_cache_free(c);
}

static void the_list_shows_the_hottest_first(void **state)
{
    (void)state;
    struct cache *c = new_cache(4 << 20);
    struct cache_entry_info rows[200];
    char key[32];
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_true(put(c, key, 1, ROW, 60 * SECOND, SECOND));
        for (int hit = 0; hit < i * 37 % 100; hit++)
            assert_true(has(c, key, SECOND));
    }
    assert_int_equal(pw_cache_list(c, rows, 0, SECOND), 0);
    assert_int_equal(pw_cache_list(c, rows, 10, 3 * SECOND), 10);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(rows[i].hits, 99 - i);
    assert_int_equal(rows[0].age_us, 2 * SECOND);
    assert_int_equal(rows[0].ttl_left_us, 58 * SECOND);
    assert_int_equal(rows[0].n_rows, 1);
    assert_int_equal(rows[0].n_tables, 1);
    assert_int_equal(rows[0].cost_us, 1000);
    assert_int_equal(rows[0].family, 1);
    assert_int_equal(rows[0].database_id, DB);
    assert_int_equal(pw_cache_list(c, rows, 200, SECOND), 100);
    uint64_t bytes = 0;
    for (int i = 0; i < 100; i++)
        bytes += rows[i].bytes;
    assert_int_equal(bytes, stats_of(c).memory_used); /* every byte belongs to an entry */
    pw_cache_free(c);
}

static void reasons_are_counted(void **state)
{
    (void)state;
    struct cache *c = new_cache(1 << 20);
    uint64_t out[PW_CACHE_REASONS_MAX];
    pw_cache_reason_count(c, 0);
    pw_cache_reason_count(c, 63);
    pw_cache_reason_count(c, 63);
    pw_cache_reason_count(c, 64);
    pw_cache_reason_count(c, -1);
    pw_cache_reasons(c, out);
    assert_int_equal(out[0], 1);
    assert_int_equal(out[63], 2);
    assert_int_equal(out[1], 0);
    pw_cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_comes_back_byte_for_byte),
        cmocka_unit_test(keys_are_compared_not_only_hashed),
        cmocka_unit_test(a_write_invalidates_its_readers_only),
        cmocka_unit_test(every_dependency_counts),
        cmocka_unit_test(entries_expire),
        cmocka_unit_test(the_sweep_drops_what_nobody_asks_for),
        cmocka_unit_test(a_full_cache_drops_the_oldest),
        cmocka_unit_test(a_smaller_memory_takes_effect_at_once),
        cmocka_unit_test(flushes_are_selective),
        cmocka_unit_test(a_flush_outdates_fills_under_way),
        cmocka_unit_test(the_list_shows_the_hottest_first),
        cmocka_unit_test(reasons_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
