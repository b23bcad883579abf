/* Recording: pieces of any size, limits, and every order of stamp, bump and commit. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

static void pieces_become_one_buffer(void **state)
{
    (void)state;
    struct cache *c = new_cache(16 << 20);
    static char rows[600000];
    for (size_t i = 0; i < sizeof rows; i++)
        rows[i] = (char)(i * 31 + i / 256);
    static const size_t pieces[] = {1, 5, 511, 512, 513, 8191, 16384, 100000, sizeof rows};
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        struct cache_fill *f = begin(c, "k", 1, 0);
        size_t total = pieces[p] < 100 ? 3000 : sizeof rows;
        for (size_t at = 0; at < total; at += pieces[p]) {
            size_t len = total - at < pieces[p] ? total - at : pieces[p];
            assert_true(pw_cache_fill_rows(f, pw_slice(rows + at, len)));
            assert_true(pw_cache_fill_rows(f, pw_slice(NULL, 0)));
        }
        assert_true(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
        assert_true(pw_cache_fill_commit(f, 9, 0, 0, 0, 0));
        struct cache_entry *e = get(c, "k", 0);
        assert_non_null(e);
        const struct cache_reply *r = pw_cache_entry_reply(e);
        assert_null(r->description);
        assert_int_equal(r->rows->len, total);
        assert_int_equal(r->rows->cap, total); /* nothing wasted in what stays */
        assert_memory_equal(r->rows->data, rows, total);
        pw_cache_entry_unref(e);
        assert_int_equal(stats_of(c).entries, 1); /* the same key: replaced */
    }
    pw_cache_free(c);
}

static void a_description_may_come_in_pieces(void **state)
{
    (void)state;
    struct cache *c = new_cache(1 << 20);
    struct cache_fill *f = begin(c, "k", 1, 0);
    for (int i = 0; i < 4; i++)
        assert_true(pw_cache_fill_description(f, pw_slice(&"abcdefgh"[2 * i], 2)));
    assert_true(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
    assert_true(pw_cache_fill_commit(f, 0, 0, 0, 0, 0));
    struct cache_entry *e = get(c, "k", 0);
    assert_non_null(e);
    assert_int_equal(pw_cache_entry_reply(e)->description->len, 8);
    assert_memory_equal(pw_cache_entry_reply(e)->description->data, "abcdefgh", 8);
    pw_cache_entry_unref(e);
    pw_cache_free(c);
}

static void an_empty_result_has_no_rows(void **state)
{
    (void)state;
    struct cache *c = new_cache(1 << 20);
    struct cache_fill *f = begin(c, "k", 1, 0);
    assert_true(pw_cache_fill_description(f, PW_SLICE_LIT("T")));
    assert_true(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
    assert_true(pw_cache_fill_commit(f, 0, 0, 0, 0, 0));
    struct cache_entry *e = get(c, "k", 0);
    assert_non_null(e);
    assert_null(pw_cache_entry_reply(e)->rows);
    pw_cache_entry_unref(e);
    pw_cache_free(c);
}

static void max_entry_is_a_limit(void **state)
{
    (void)state;
    static char rows[20000];
    const struct cache_options o = {.memory_bytes = 4 << 20, .max_entry_bytes = 10000};
    struct cache *c = pw_cache_new(&o);
    struct cache_fill *f = begin(c, "key", 1, 0);
    assert_true(pw_cache_fill_description(f, pw_slice(rows, 1000)));
    assert_true(pw_cache_fill_rows(f, pw_slice(rows, 5000)));
    assert_true(pw_cache_fill_rows(f, pw_slice(rows, 3000)));
    assert_true(pw_cache_fill_tag(f, pw_slice(rows, 997))); /* with the key: 10000 exactly */
    assert_true(pw_cache_fill_commit(f, 1, 0, 0, 0, 0));
    assert_true(has(c, "key", 0));

    f = begin(c, "key", 1, 0);
    assert_true(pw_cache_fill_rows(f, pw_slice(rows, 9997)));
    assert_false(pw_cache_fill_rows(f, pw_slice(rows, 1)));
    assert_false(pw_cache_fill_rows(f, pw_slice(NULL, 0))); /* once refused, it stays so */
    assert_false(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
    assert_false(pw_cache_fill_commit(f, 1, 0, 0, 0, 0));
    assert_true(has(c, "key", 0)); /* the old one is still current */

    f = begin(c, "key", 1, 0);
    assert_false(pw_cache_fill_description(f, pw_slice(rows, 9998)));
    pw_cache_fill_abandon(f);
    struct cache_stamp s = stamp_of(c, 1);
    assert_null(pw_cache_fill_new(c, &s, pw_slice(rows, 10001), 1, 0));
    pw_cache_fill_abandon(NULL);
    pw_cache_free(c);
}

static void an_incomplete_reply_is_not_published(void **state)
{
    (void)state;
    struct cache *c = new_cache(1 << 20);
    struct cache_entry *e;
    struct cache_fill *f = begin(c, "k", 1, 0);
    assert_true(pw_cache_fill_rows(f, PW_SLICE_LIT("D")));
    assert_false(pw_cache_fill_commit_entry(f, 1, 0, 0, 0, 0, &e));
    assert_null(e);
    f = begin(c, "k", 1, 0);
    assert_true(pw_cache_fill_rows(f, PW_SLICE_LIT("D")));
    pw_cache_fill_abandon(f);
    assert_int_equal(stats_of(c).memory_used, 0);
    pw_cache_free(c);
}

static void more_than_one_result_is_refused(void **state)
{
    (void)state;
    struct cache *c = new_cache(1 << 20);
    static bool (*const again[])(struct cache_fill *, struct slice) = {
        pw_cache_fill_description, pw_cache_fill_rows, pw_cache_fill_tag};
    for (int i = 0; i < 3; i++) {
        struct cache_fill *f = begin(c, "k", 1, 0);
        assert_true(pw_cache_fill_description(f, PW_SLICE_LIT("T")));
        assert_true(pw_cache_fill_rows(f, PW_SLICE_LIT("D")));
        if (i > 0) /* a description is refused after rows already */
            assert_true(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
        assert_false(again[i](f, PW_SLICE_LIT("X")));
        assert_false(pw_cache_fill_commit(f, 1, 0, 0, 0, 0));
    }
    assert_int_equal(stats_of(c).memory_used, 0);
    pw_cache_free(c);
}

static void fills_hold_a_bounded_share(void **state)
{
    (void)state;
    static char rows[100000];
    struct cache_fill *fills[100];
    struct cache *c = new_cache(4 << 20);
    int n = 0;
    while (n < 100 && (fills[n] = begin(c, "k", 1, 0)) != NULL) {
        if (!pw_cache_fill_rows(fills[n++], pw_slice(rows, sizeof rows)))
            break;
    }
    assert_int_equal(n, 11); /* ten fit into a quarter of 4 MB */
    for (int i = 0; i < n; i++)
        pw_cache_fill_abandon(fills[i]);
    assert_true(put(c, "k", 1, pw_slice(rows, sizeof rows), 0, 0)); /* all was given back */
    pw_cache_free(c);
}

static void cheap_and_expired_replies_are_not_admitted(void **state)
{
    (void)state;
    const struct cache_options o = {
        .memory_bytes = 1 << 20, .max_entry_bytes = 10000, .min_cost_us = 500};
    struct cache *c = pw_cache_new(&o);
    static const struct {
        uint64_t cost_us, ttl_us, end_us;
        bool published;
    } cases[] = {{499, 0, 1000, false},
                 {500, 0, 1000, true},
                 {500, 900, 999, true},
                 {500, 900, 1000, false},
                 {500, UINT64_MAX, 1000, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cache_entry *e;
        struct cache_fill *f = begin(c, "k", 1, 100);
        assert_true(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
        assert_int_equal(pw_cache_fill_commit_entry(f, 0, cases[i].cost_us, cases[i].ttl_us, 0,
                                                    cases[i].end_us, &e),
                         cases[i].published);
        assert_non_null(e); /* followers are served all the same */
        pw_cache_entry_unref(e);
    }
    assert_int_equal(stats_of(c).stale_fills_refused, 0);
    pw_cache_free(c);
}

/* Rule 4: whatever the order of stamp, bump and commit, no stale reply is served. */
static void no_stale_fill(void **state)
{
    (void)state;
    struct cache *c = new_cache(1 << 20);
    for (int bump_at = 0; bump_at < 4; bump_at++) {
        struct cache_entry *e;
        if (bump_at == 0)
            pw_cache_bump_table(c, DB, 1);
        struct cache_stamp s = stamp_of(c, 1);
        if (bump_at == 1)
            pw_cache_bump_table(c, DB, 1);
        struct slice k = PW_SLICE_LIT("k");
        struct cache_fill *f = pw_cache_fill_new(c, &s, k, pw_hash_bytes(k.ptr, k.len), 0);
        assert_true(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
        if (bump_at == 2)
            pw_cache_bump_table(c, DB, 1);
        bool published = pw_cache_fill_commit_entry(f, 0, 0, 0, 0, 0, &e);
        assert_int_equal(published, bump_at == 0 || bump_at == 3);
        assert_non_null(e);
        assert_memory_equal(pw_cache_entry_reply(e)->tag->data, "C", 1);
        pw_cache_entry_unref(e);
        if (bump_at == 3)
            pw_cache_bump_table(c, DB, 1);
        assert_int_equal(has(c, "k", 0), bump_at == 0);
    }
    assert_int_equal(stats_of(c).stale_fills_refused, 2);
    pw_cache_free(c);
}

static void a_stale_commit_leaves_a_fresh_entry_alone(void **state)
{
    (void)state;
    struct cache *c = new_cache(1 << 20);
    struct cache_fill *slow = begin(c, "k", 1, 0);
    assert_true(pw_cache_fill_tag(slow, PW_SLICE_LIT("old")));
    pw_cache_bump_table(c, DB, 1);
    struct cache_fill *quick = begin(c, "k", 1, 0);
    assert_true(pw_cache_fill_tag(quick, PW_SLICE_LIT("new")));
    assert_true(pw_cache_fill_commit(quick, 0, 0, 0, 0, 0));
    assert_false(pw_cache_fill_commit(slow, 0, 0, 0, 0, 0));
    struct cache_entry *e = get(c, "k", 0);
    assert_non_null(e);
    assert_memory_equal(pw_cache_entry_reply(e)->tag->data, "new", 3);
    pw_cache_entry_unref(e);
    pw_cache_free(c);
}

static void followers_share_the_published_bytes(void **state)
{
    (void)state;
    struct cache *c = new_cache(1 << 20);
    struct cache_entry *e;
    struct cache_fill *f = begin(c, "k", 1, 0);
    assert_true(pw_cache_fill_rows(f, PW_SLICE_LIT("D")));
    assert_true(pw_cache_fill_tag(f, PW_SLICE_LIT("C")));
    assert_true(pw_cache_fill_commit_entry(f, 1, 0, 0, 0, 0, &e));
    struct cache_entry *follower = pw_cache_entry_ref(e);
    struct cache_entry *hit = get(c, "k", 0);
    assert_ptr_equal(hit, e);
    pw_cache_entry_unref(e);
    pw_cache_entry_unref(hit);
    pw_cache_bump_all(c);
    assert_false(has(c, "k", 0));
    assert_memory_equal(pw_cache_entry_reply(follower)->rows->data, "D", 1);
    pw_cache_entry_unref(follower);
    assert_int_equal(stats_of(c).memory_used, 0);
    pw_cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_become_one_buffer),
        cmocka_unit_test(a_description_may_come_in_pieces),
        cmocka_unit_test(an_empty_result_has_no_rows),
        cmocka_unit_test(max_entry_is_a_limit),
        cmocka_unit_test(an_incomplete_reply_is_not_published),
        cmocka_unit_test(more_than_one_result_is_refused),
        cmocka_unit_test(fills_hold_a_bounded_share),
        cmocka_unit_test(cheap_and_expired_replies_are_not_admitted),
        cmocka_unit_test(no_stale_fill),
        cmocka_unit_test(a_stale_commit_leaves_a_fresh_entry_alone),
        cmocka_unit_test(followers_share_the_published_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
