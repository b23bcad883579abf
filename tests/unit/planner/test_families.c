/* planner/families: counts, percentiles, eviction, samples, merge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/draft.h"
#include "planner/families.h"

static struct plan *make_plan(uint64_t family)
{
    struct draft d;
    pw_draft_init(&d);
    d.cls = PLAN_READ;
    d.tag = "SELECT";
    struct plan *p =
        pw_draft_finish(&d, &(struct draft_identity){.family = family, .family_text = "select $1"});
    pw_draft_free(&d);
    return p;
}

static void record(struct families *f, const struct plan *p, uint64_t us, const char *sqlstate)
{
    pw_family_record(f, p,
                     &(struct family_sample){.database_id = 1,
                                             .rows = 2,
                                             .bytes = 10,
                                             .total_us = us,
                                             .now_us = us,
                                             .sqlstate = sqlstate,
                                             .outcome = FAMILY_SERVER});
}

static void test_buckets(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < FAMILY_BUCKETS; b++) {
        assert_int_equal(pw_family_bucket(pw_family_bucket_floor(b)), b);
        if (b)
            assert_int_equal(pw_family_bucket(pw_family_bucket_floor(b) - 1), b - 1);
    }
    assert_int_equal(pw_family_bucket(UINT64_MAX), FAMILY_BUCKETS - 1);
}

static void test_counts_and_percentiles(void **state)
{
    (void)state;
    struct families *f = pw_families_new(&(struct families_options){0});
    struct plan *p = make_plan(7);
    for (uint64_t i = 1; i <= 1000; i++)
        record(f, p, i * 10, i % 100 == 0 ? "23505" : NULL);
    struct families_snapshot *s = pw_families_snapshot(f);
    assert_int_equal(s->n, 1);
    const struct family_stats *r = &s->rows[0];
    assert_int_equal(r->calls, 1000);
    assert_int_equal(r->rows, 2000);
    assert_int_equal(r->errors, 10);
    assert_string_equal(r->by_sqlstate[0].sqlstate, "23505");
    char text[100];
    pw_family_errors_text(r, text, sizeof text);
    assert_string_equal(text, "23505: 10");
    assert_int_equal(r->max_us, 10000);
    /* Buckets are 1/4 of a power of two wide. */
    assert_in_range(pw_family_percentile(r, 0.5), 4000, 6000);
    assert_in_range(pw_family_percentile(r, 0.99), 9000, 10000);
    assert_int_equal((int)pw_family_mean_us(r), 5005);
    pw_families_snapshot_free(s);
    pw_families_free(f);
    pw_plan_unref(p);
}

static void test_frequent_survive(void **state)
{
    (void)state;
    struct families *f = pw_families_new(&(struct families_options){.max_families = 10});
    struct plan *hot = make_plan(1);
    for (int i = 0; i < 1000; i++)
        record(f, hot, 5, NULL);
    for (uint64_t i = 100; i < 600; i++) {
        struct plan *p = make_plan(i);
        record(f, p, 1, NULL);
        pw_plan_unref(p);
    }
    struct families_snapshot *s = pw_families_snapshot(f);
    pw_families_sort(s);
    assert_int_equal(s->n, 10);
    assert_int_equal(s->rows[0].family, 1);
    assert_int_equal(s->rows[0].calls, 1000);
    assert_int_equal(s->rows[0].overcount, 0);
    assert_int_equal(s->evictions, 491);
    pw_families_snapshot_free(s);
    pw_families_free(f);
    pw_plan_unref(hot);
}

static void test_samples_are_bounded(void **state)
{
    (void)state;
    struct families *f =
        pw_families_new(&(struct families_options){.samples = true, .sample_bytes_max = 20});
    struct plan *a = make_plan(1), *b = make_plan(2);
    record(f, a, 1, NULL);
    record(f, b, 1, NULL);
    pw_family_offer_sample(f, a, 1, PW_SLICE_LIT("select 1 -- 12"), 5000000);
    pw_family_offer_sample(f, b, 1, PW_SLICE_LIT("select 22222"), 5000000); /* no room */
    pw_family_offer_sample(f, a, 1, PW_SLICE_LIT("select 3"), 5000001);     /* too soon */
    struct families_snapshot *s = pw_families_snapshot(f);
    for (size_t i = 0; i < s->n; i++) {
        if (s->rows[i].family == 1)
            assert_string_equal(s->rows[i].texts[FAMILY_LATEST]->sql, "select 1 -- 12");
        else
            assert_null(s->rows[i].texts[FAMILY_LATEST]);
    }
    pw_families_snapshot_free(s);
    pw_families_free(f);
    pw_plan_unref(a);
    pw_plan_unref(b);
}

static void offer(struct families *f, const struct plan *p, const char *sql, uint64_t took_us,
                  uint64_t now_us)
{
    const struct family_offer o = {.sql = pw_slice_str(sql), .took_us = took_us};
    pw_family_offer(f, p, 1, &o, now_us);
}

static void assert_texts(const struct family_stats *s, const char *latest, const char *slowest,
                         const char *typical)
{
    assert_string_equal(s->texts[FAMILY_LATEST]->sql, latest);
    assert_string_equal(s->texts[FAMILY_SLOWEST]->sql, slowest);
    assert_string_equal(s->texts[FAMILY_TYPICAL]->sql, typical);
}

static void test_three_texts(void **state)
{
    (void)state;
    struct families *f = pw_families_new(&(struct families_options){.samples = true});
    struct families *g = pw_families_new(&(struct families_options){.samples = true});
    struct plan *a = make_plan(1);
    for (int i = 0; i < 10; i++)
        record(f, a, 100, NULL);
    offer(f, a, "first", 20, 1000000);
    assert_false(pw_family_wants_sample(f, a, 1, 40, 1500000));
    assert_true(pw_family_wants_sample(f, a, 1, 41, 1500000)); /* much slower than any */
    offer(f, a, "slow", 5000, 1500000);
    offer(f, a, "usual", 101, 3000000);
    offer(f, a, "quick", 1, 5000000);
    struct families_snapshot *s = pw_families_snapshot(f);
    assert_texts(&s->rows[0], "quick", "slow", "usual");
    record(g, a, 100, NULL);
    offer(g, a, "slower", 6000, 4000000);
    struct families_snapshot *t = pw_families_snapshot(g);
    pw_families_merge(s, t);
    assert_texts(&s->rows[0], "quick", "slower", "usual");
    /* An hour later all of that is long ago. */
    offer(f, a, "now", 2, UINT64_C(3700000000));
    t = pw_families_snapshot(f);
    assert_texts(&t->rows[0], "now", "now", "now");
    pw_families_snapshot_free(s);
    pw_families_snapshot_free(t);
    pw_families_free(f);
    pw_families_free(g);
    pw_plan_unref(a);
}

/* Room for one text only: it is the latest. */
static void test_texts_share_the_room(void **state)
{
    (void)state;
    struct families *f =
        pw_families_new(&(struct families_options){.samples = true, .sample_bytes_max = 10});
    struct plan *a = make_plan(1);
    record(f, a, 100, NULL);
    offer(f, a, "12345678", 50, 1000000);
    offer(f, a, "abcdefgh", 1, 3000000);
    offer(f, a, "far too long", 1, 5000000);
    struct families_snapshot *s = pw_families_snapshot(f);
    assert_string_equal(s->rows[0].texts[FAMILY_LATEST]->sql, "abcdefgh");
    assert_null(s->rows[0].texts[FAMILY_SLOWEST]);
    pw_families_snapshot_free(s);
    pw_families_reset(f);
    record(f, a, 100, NULL);
    offer(f, a, "1234567890", 50, 1000000);
    s = pw_families_snapshot(f);
    assert_texts(&s->rows[0], "1234567890", "1234567890", "1234567890");
    pw_families_snapshot_free(s);
    pw_families_free(f);
    pw_plan_unref(a);
}

static void test_merge(void **state)
{
    (void)state;
    struct families *f = pw_families_new(&(struct families_options){.samples = true});
    struct families *g = pw_families_new(&(struct families_options){.samples = true});
    struct plan *a = make_plan(1), *b = make_plan(2), *c = make_plan(3);
    record(f, a, 10, "23505");
    record(f, b, 20, NULL);
    record(g, b, 30, "42P01");
    record(g, c, 5, NULL);
    pw_family_offer_sample(f, b, 1, PW_SLICE_LIT("old"), 10);
    pw_family_offer_sample(g, b, 1, PW_SLICE_LIT("new"), 20);
    struct families_snapshot *s = pw_families_snapshot(f);
    pw_families_merge(s, pw_families_snapshot(g));
    pw_families_sort(s);
    assert_int_equal(s->n, 3);
    assert_int_equal(s->rows[0].family, 2);
    assert_int_equal(s->rows[0].calls, 2);
    assert_int_equal(s->rows[0].total_us, 50);
    assert_int_equal(s->rows[0].errors, 1);
    assert_string_equal(s->rows[0].texts[FAMILY_LATEST]->sql, "new");
    assert_int_equal(s->rows[2].family, 3);
    pw_families_snapshot_free(s);
    pw_families_free(f);
    pw_families_free(g);
    pw_plan_unref(a);
    pw_plan_unref(b);
    pw_plan_unref(c);
}

static void test_errors_by_sqlstate(void **state)
{
    (void)state;
    struct families *f = pw_families_new(&(struct families_options){.max_families = 2});
    struct plan *p = make_plan(1);
    static const char *const codes[] = {"23505", "40001", "23505", "22012",
                                        "42P01", "57014", "55P03", "25P02"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        record(f, p, 1, codes[i]);
    struct families_snapshot *s = pw_families_snapshot(f), *copy = pw_families_copy(s);
    char text[100];
    pw_family_errors_text(&copy->rows[0], text, sizeof text);
    assert_string_equal(text, "23505: 2, 40001: 1, 22012: 1, 42P01: 1, 57014: 1, *****: 2");
    assert_int_equal(copy->rows[0].errors, 8);
    pw_families_snapshot_free(copy);
    pw_families_snapshot_free(s);
    pw_families_free(f);
    pw_plan_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_counts_and_percentiles),
        cmocka_unit_test(test_frequent_survive),
        cmocka_unit_test(test_samples_are_bounded),
        cmocka_unit_test(test_three_texts),
        cmocka_unit_test(test_texts_share_the_room),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_errors_by_sqlstate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
