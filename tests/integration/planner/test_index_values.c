/* Families whose plan depends on the values or changes without DDL: both plans are shown, each
 * index with its share of the calls; and a family that became slow is looked at again at once. */
#include "live.h"
#include "planner/index_log.h"
#include "proxy/base/clock.h"

static const char *const setup[] = {
    "SET search_path TO public",
    "DROP TABLE IF EXISTS skew, grown",
    "CREATE TABLE skew (id int PRIMARY KEY, kind int, pad text)",
    "INSERT INTO skew SELECT i, i / 999 * (i % 999 = 0)::int, '' FROM generate_series(1, 60000) i",
    "CREATE INDEX skew_kind ON skew (kind)",
    "CREATE TABLE grown (id int PRIMARY KEY, a int)",
    "INSERT INTO grown SELECT i, i FROM generate_series(1, 20000) i",
    "CREATE INDEX grown_a ON grown (a)",
    "ALTER TABLE skew SET (autovacuum_enabled = off)",
    "ALTER TABLE grown SET (autovacuum_enabled = off)",
    "VACUUM ANALYZE",
};

static const char skewed[] = "select count(pad) from skew where kind = $1";
static const char growing[] = "select count(id) from grown where a = 5";

struct looker {
    struct live l;
    struct index_log *log;
    struct families *families; /* as the worker would have them: they go on */
    uint64_t now_us;
};

static void looker_init(struct looker *k)
{
    memset(k, 0, sizeof *k);
    live_init(&k->l, setup, sizeof setup / sizeof setup[0]);
    k->log = pw_index_log_new(&k->l.f.uv, &(struct index_log_options){
                                              .interval_us = UINT64_C(3600000000), .share = 1000});
    pw_index_log_database(k->log, 1, "postgres", live_url);
    k->families = pw_families_new(&(struct families_options){.samples = true});
    k->now_us = pw_clock_us();
}

static void looker_free(struct looker *k)
{
    pw_families_free(k->families);
    pw_index_log_free(k->log);
    live_free(&k->l);
}

static void run(struct looker *k, const char *sql, const char *value, int calls, uint64_t took_us)
{
    const struct plan *p = live_plan(&k->l, sql);
    k->now_us += 2000000;
    for (int i = 0; i < calls; i++)
        pw_family_record(
            k->families, p,
            &(struct family_sample){.database_id = 1, .total_us = took_us, .now_us = k->now_us});
    const struct family_offer offer = {.sql = pw_slice_str(sql),
                                       .types = value ? "int4" : NULL,
                                       .values = value,
                                       .took_us = took_us};
    pw_family_offer(k->families, p, 1, &offer, k->now_us);
    pw_plan_unref(p);
}

/* As often as anything could be due. */
static void look(struct looker *k)
{
    for (int i = 0; i < 5; i++) {
        struct families_snapshot *s = pw_families_snapshot(k->families);
        k->now_us += 2000000;
        pw_index_log_take(k->log, s, k->now_us);
        while (pw_index_log_is_busy(k->log))
            uv_run(&k->l.f.uv, UV_RUN_ONCE);
        pw_families_snapshot_free(s);
    }
}

static struct index_family told(struct looker *k, const char *sql)
{
    struct index_family out;
    const struct plan *p = live_plan(&k->l, sql);
    pw_index_log_family(k->log, 1, p->family, &out);
    pw_plan_unref(p);
    return out;
}

static uint64_t uses(struct looker *k, const char *index)
{
    struct index_use use;
    (void)pw_index_log_use(k->log, 1, index, &use);
    return use.uses;
}

static void test_both_plans(void **state)
{
    (void)state;
    struct looker k;
    looker_init(&k);
    run(&k, skewed, "'0'", 1, 9000); /* sequential: the slowest */
    for (int i = 0; i < 3; i++)
        run(&k, skewed, "'7'", 3, 100); /* by the index: the latest, and typical */
    look(&k);
    struct index_family f = told(&k, skewed);
    assert_int_equal(f.looked_at, 2); /* two different texts, once each */
    assert_int_equal(f.plan_changes, 0);
    assert_int_equal(uses(&k, "public.skew_kind"), 10);

    run(&k, skewed, "'7'", 20, 100);
    look(&k);
    assert_int_equal(told(&k, skewed).looked_at, 2);    /* not due */
    assert_int_equal(uses(&k, "public.skew_kind"), 20); /* its half of them */
    assert_int_equal(uses(&k, "public.skew_pkey"), 0);

    /* The index is lost: what is left is a plan that was known, and a change all the same. */
    uint64_t generation = live_plan_generation(&k.l, skewed);
    live_foreign(&k.l, "DROP INDEX public.skew_kind");
    while (live_plan_generation(&k.l, skewed) == generation || !live_is_settled(&k.l))
        uv_run(&k.l.f.uv, UV_RUN_ONCE);
    run(&k, skewed, "'7'", 1, 100);
    look(&k);
    f = told(&k, skewed);
    assert_int_equal(f.looked_at, 4);
    assert_int_equal(f.plan_changes, 1);
    uint64_t last = uses(&k, "public.skew_kind");
    run(&k, skewed, "'7'", 20, 100);
    look(&k);
    assert_int_equal(uses(&k, "public.skew_kind"), last);
    looker_free(&k);
}

/* No DDL: only its statistics change, and the durations that are reported. */
static void test_again_after_a_jump(void **state)
{
    (void)state;
    struct looker k;
    looker_init(&k);
    for (int i = 0; i < 3; i++) {
        run(&k, growing, NULL, 20, 2000);
        look(&k);
    }
    assert_int_equal(told(&k, growing).looked_at, 1);
    uint64_t generation = live_plan_generation(&k.l, growing), before = told(&k, growing).plan_hash;
    live_foreign(&k.l, "UPDATE public.grown SET a = 5");
    live_foreign(&k.l, "ANALYZE public.grown");
    run(&k, growing, NULL, 20, 3000); /* a little slower: not worth a look */
    look(&k);
    assert_int_equal(told(&k, growing).looked_at, 1);
    run(&k, growing, NULL, 20, 30000);
    assert_int_equal(live_plan_generation(&k.l, growing), generation);
    look(&k);
    struct index_family f = told(&k, growing);
    assert_int_equal(f.looked_at, 2);
    assert_int_equal(f.plan_changes, 1);
    assert_true(f.plan_hash != before);
    look(&k);
    assert_int_equal(told(&k, growing).looked_at, 2); /* once for one jump */
    looker_free(&k);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    live_url = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_plans),
                                       cmocka_unit_test(test_again_after_a_jump)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
