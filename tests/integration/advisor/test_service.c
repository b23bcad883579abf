/* The live service: runs, applies, undoes, judges; and JIT and function advice against a real
 * server. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "advisor/advisor.h"
#include "advisor/profile.h"
#include "fixture.h"

/* Waits for a callback of the advisor's thread. */
struct latch {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool called, ok;
    char error[256];
};

static void on_done(void *arg, bool ok, const char *error, struct advice_set *set)
{
    struct latch *l = arg;
    (void)set;
    pthread_mutex_lock(&l->lock);
    l->called = true;
    l->ok = ok;
    snprintf(l->error, sizeof(l->error), "%s", error);
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
}

static void wait_for(struct latch *l)
{
    pthread_mutex_lock(&l->lock);
    while (!l->called)
        pthread_cond_wait(&l->wake, &l->lock);
    l->called = false;
    pthread_mutex_unlock(&l->lock);
}

static const struct latch new_latch = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                       .wake = PTHREAD_COND_INITIALIZER};

/* The proxy's measurements, as the test wants them. */
struct latencies {
    struct latency_moments m;
};

static bool latency(void *arg, const char *database, uint64_t family, struct latency_moments *out)
{
    struct latencies *l = arg;
    (void)database;
    (void)family;
    *out = l->m;
    return true;
}

static void record(struct latencies *l, int n, double ms)
{
    for (int k = 0; k < n; k++) {
        double v = log(ms * 1000) + (k % 7 - 3) * 0.05;
        l->m.n++;
        l->m.sum += v;
        l->m.sum2 += v * v;
    }
}

static int start(void **state)
{
    if (pw_fixture_start(state) != 0)
        return -1;
    pw_fixture_sql(
        *state,
        "CREATE EXTENSION hypopg; CREATE TABLE t (id int PRIMARY KEY, a int, b text);"
        "INSERT INTO t SELECT i, i % 5000, md5(i::text) FROM generate_series(1, 100000) i;");
    pw_fixture_sql(*state, "VACUUM ANALYZE t");
    return 0;
}

static struct workload *live_workload(void)
{
    struct workload *w = pw_workload_new("live");
    struct workload_family *f =
        pw_workload_add(w, 0x1234, "SELECT * FROM t WHERE a = $1", 1000, 5000, 20000);
    const char *params[] = {"77"};
    pw_workload_add_sample(f, pw_slice_str("SELECT * FROM t WHERE a = $1"), 1, params);
    return w;
}

static void applies_measures_and_undoes(void **state)
{
    struct fixture *f = *state;
    struct latencies seen = {{0, 0, 0}};
    struct latch done = new_latch;
    struct advisor_options o = {.max_columns = 2};
    struct advisor *a = pw_advisor_new(&o, latency, &seen);
    assert_null(pw_advisor_latest(a, NULL));
    assert_true(pw_advisor_run(a, ADVISE_INDEXES, "postgres", f->conninfo, live_workload(), on_done,
                               &done));
    wait_for(&done);
    assert_true(done.ok);
    struct advice_set *s = pw_advisor_latest(a, "postgres");
    assert_int_equal(pw_advice_count(s, ADVICE_CREATE), 1);
    assert_string_equal(s->source, "live");
    char id[16], database[64];
    snprintf(id, sizeof(id), "%s", s->items[0].id);
    pw_advice_set_unref(s);
    assert_true(pw_advisor_find(a, id, database, sizeof(database)));
    assert_string_equal(database, "postgres");

    record(&seen, 100, 5.0);
    assert_true(pw_advisor_apply(a, id, f->conninfo, live_workload(), on_done, &done));
    wait_for(&done);
    assert_string_equal(done.error, "");
    assert_true(done.ok);
    assert_string_equal(pw_fixture_value(f, "SELECT indisvalid FROM pg_index WHERE indexrelid ="
                                            " 't_a_idx'::regclass"),
                        "t");
    struct advice_outcome out[4];
    assert_int_equal(pw_advisor_outcomes(a, out, 4), 1);
    assert_int_equal(out[0].verdict, ADVICE_MEASURING);
    record(&seen, 100, 0.2);
    pw_advisor_outcomes(a, out, 4);
    assert_int_equal(out[0].verdict, ADVICE_HELPED);
    assert_true(out[0].p_value < 0.001);
    assert_true(out[0].before_ms > 4 && out[0].after_ms < 0.3);

    /* It exists now: applying again is refused and changes nothing. */
    assert_true(pw_advisor_apply(a, id, f->conninfo, live_workload(), on_done, &done));
    wait_for(&done);
    assert_false(done.ok);
    assert_non_null(strstr(done.error, "exists"));

    assert_true(pw_advisor_undo(a, id, f->conninfo, on_done, &done));
    wait_for(&done);
    assert_true(done.ok);
    assert_string_equal(pw_fixture_value(f, "SELECT to_regclass('t_a_idx') IS NULL"), "t");
    pw_advisor_outcomes(a, out, 4);
    assert_true(out[0].verdict == ADVICE_UNDONE || out[1].verdict == ADVICE_UNDONE);
    assert_true(pw_advisor_undo(a, "c-000000", f->conninfo, on_done, &done));
    wait_for(&done);
    assert_false(done.ok);
    pw_advisor_free(a);
}

static void tells_harm_from_nothing(void **state)
{
    struct fixture *f = *state;
    for (int worse = 0; worse < 2; worse++) {
        struct latencies seen = {{0, 0, 0}};
        struct latch done = new_latch;
        struct advisor_options o = {.max_columns = 2};
        struct advisor *a = pw_advisor_new(&o, latency, &seen);
        assert_true(pw_advisor_run(a, ADVISE_INDEXES, "postgres", f->conninfo, live_workload(),
                                   on_done, &done));
        wait_for(&done);
        struct advice_set *s = pw_advisor_latest(a, NULL);
        record(&seen, 100, 1.0);
        assert_true(
            pw_advisor_apply(a, s->items[0].id, f->conninfo, live_workload(), on_done, &done));
        wait_for(&done);
        assert_true(done.ok);
        record(&seen, 100, worse ? 2.0 : 1.0);
        struct advice_outcome out;
        assert_int_equal(pw_advisor_outcomes(a, &out, 1), 1);
        assert_int_equal(out.verdict, worse ? ADVICE_HURT : ADVICE_NEUTRAL);
        assert_true(pw_advisor_undo(a, s->items[0].id, f->conninfo, on_done, &done));
        wait_for(&done);
        pw_advice_set_unref(s);
        pw_advisor_free(a);
    }
}

/* What did not change its plan says nothing about an index, however its latency moves. */
static void judges_only_whose_plan_changed(void **state)
{
    struct fixture *f = *state;
    struct latencies seen = {{0, 0, 0}};
    struct latch done = new_latch;
    struct advisor_options o = {.max_columns = 2, .min_index_size = 1};
    struct advisor *a = pw_advisor_new(&o, latency, &seen);
    struct advice_outcome out;
    assert_true(pw_advisor_run(a, ADVISE_INDEXES, "postgres", f->conninfo, live_workload(), on_done,
                               &done));
    wait_for(&done);
    struct advice_set *s = pw_advisor_latest(a, NULL);
    struct workload *other = pw_workload_new("live");
    struct workload_family *moved = pw_workload_add(other, 0x1234, "SELECT 1 FROM t", 1, 1, 1);
    pw_workload_add_sample(moved, pw_slice_str("SELECT b FROM t WHERE id = 3"), 0, NULL);
    record(&seen, 100, 1.0);
    assert_true(pw_advisor_apply(a, s->items[0].id, f->conninfo, other, on_done, &done));
    wait_for(&done);
    assert_true(done.ok);
    record(&seen, 100, 9.0); /* the family that was promised: its plan does not use the index */
    assert_int_equal(pw_advisor_outcomes(a, &out, 1), 1);
    assert_int_equal(out.verdict, ADVICE_NEUTRAL);
    assert_true(isnan(out.p_value));
    assert_true(pw_advisor_undo(a, s->items[0].id, f->conninfo, on_done, &done));
    wait_for(&done);
    pw_advice_set_unref(s);

    /* A drop has no promise: whose plan used the index is watched. */
    pw_fixture_sql(f, "CREATE INDEX twice_1 ON t (a); CREATE INDEX twice_2 ON t (a)");
    assert_true(pw_advisor_run(a, ADVISE_INDEXES, "postgres", f->conninfo, live_workload(), on_done,
                               &done));
    wait_for(&done);
    s = pw_advisor_latest(a, NULL);
    assert_int_equal(pw_advice_count(s, ADVICE_DROP_REDUNDANT), 1);
    const struct advice *drop = NULL;
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_DROP_REDUNDANT)
            drop = &s->items[k];
    char uses[256], plan[512];
    snprintf(uses, sizeof(uses), "EXPLAIN SELECT * FROM t WHERE a = 77");
    struct pgresult *r = pw_pgsync_query(f->pg, uses, 0, NULL);
    snprintf(plan, sizeof(plan), "%s %s", pw_pgresult_get(r, 0, 0), pw_pgresult_get(r, 1, 0));
    for (int k = 2; k < pw_pgresult_rows(r); k++)
        snprintf(plan + strlen(plan), sizeof(plan) - strlen(plan), " %s", pw_pgresult_get(r, k, 0));
    pw_pgresult_free(r);
    bool used = strstr(plan, strchr(drop->object, '.') + 1) != NULL;
    assert_true(pw_advisor_apply(a, drop->id, f->conninfo, live_workload(), on_done, &done));
    wait_for(&done);
    assert_true(done.ok);
    record(&seen, 100, 40.0);
    assert_int_equal(pw_advisor_outcomes(a, &out, 1), 1);
    assert_int_equal(out.verdict, used ? ADVICE_HURT : ADVICE_NEUTRAL);
    pw_fixture_sql(f, "DROP INDEX IF EXISTS twice_1; DROP INDEX IF EXISTS twice_2");
    pw_advice_set_unref(s);
    pw_advisor_free(a);
}

static void an_unreachable_server_is_said(void **state)
{
    (void)state;
    struct latch done = new_latch;
    struct advisor_options o = {.max_columns = 2};
    struct advisor *a = pw_advisor_new(&o, NULL, NULL);
    assert_true(pw_advisor_run(a, ADVISE_INDEXES, "x", "host=127.0.0.1 port=1 dbname=x",
                               live_workload(), on_done, &done));
    wait_for(&done);
    assert_false(done.ok);
    assert_true(strlen(done.error) > 0);
    assert_null(pw_advisor_latest(a, NULL));
    /* Queued requests are answered when it closes. */
    assert_true(pw_advisor_run(a, ADVISE_INDEXES, "x", "host=127.0.0.1 port=1 dbname=x",
                               live_workload(), on_done, &done));
    pw_advisor_free(a);
    wait_for(&done);
}

static const struct advice *by_object(const struct advice_set *s, enum advice_kind kind,
                                      const char *object, const char *sql)
{
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == kind && strstr(s->items[k].object, object) &&
            strstr(s->items[k].sql, sql))
            return &s->items[k];
    pw_fixture_print(s);
    fail_msg("no advice on %s with %s", object, sql);
    return NULL;
}

/* A number of the evidence; NAN: it is not there. */
static double fact(const struct advice *a, const char *name)
{
    for (size_t k = 0; k < a->n_facts; k++)
        if (strcmp(a->facts[k].name, name) == 0)
            return atof(a->facts[k].value);
    return NAN;
}

/* Every figure that measuring leaves is there and in range, and what is advised is what the figures
 * say; which of two is faster on this machine today is not ours to assert. */
static void check_measured(const struct advice_set *s, const char *object)
{
    for (size_t k = 0; k < s->n_items; k++) {
        const struct advice *a = &s->items[k];
        if (!strstr(a->object, object))
            continue;
        double now = fact(a, "us_per_call_now"), then = fact(a, "us_per_call_inlined");
        assert_true(now > 0 && then > 0 && then < now);
        assert_true(fact(a, "p_value") < 0.05);
        assert_true(fact(a, "runs_per_arm") == 9 && fact(a, "calls_per_run") == 10000);
        assert_non_null(strstr(a->reason, "Measured: "));
        return;
    }
    for (size_t k = 0; k < s->n_refused; k++)
        if (strstr(s->refused[k].object, object)) {
            assert_non_null(strstr(s->refused[k].reason, "no real difference"));
            return;
        }
    fail_msg("%s was not looked at", object);
}

static void functions_that_cannot_be_inlined(void **state)
{
    struct fixture *f = *state;
    pw_fixture_sql(
        f, "CREATE FUNCTION f_strict(a int) RETURNS int LANGUAGE sql STRICT AS 'SELECT coalesce(a, "
           "0) + 1';"
           "CREATE FUNCTION f_plp(a int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN a * 2; END';"
           "CREATE FUNCTION f_fine(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + 1';"
           "CREATE FUNCTION f_fine_too(a int) RETURNS int LANGUAGE sql STRICT AS 'SELECT a + 1';"
           "CREATE FUNCTION f_writes(a int) RETURNS int LANGUAGE plpgsql AS"
           " 'BEGIN INSERT INTO t VALUES (a); RETURN 1; END';"
           "CREATE FUNCTION f_definer(a int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT "
           "a + 1';"
           "CREATE FUNCTION f_set(a int) RETURNS SETOF int LANGUAGE sql AS 'SELECT id FROM t WHERE "
           "id < a';"
           "CREATE FUNCTION f_wrong(a int) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS"
           " 'SELECT now() + a * interval ''1 day''';");
    static const char workload[] = "SELECT f_strict(id), f_plp(id), f_fine(id), f_fine_too(id),"
                                   " f_definer(id), f_wrong(id) FROM t;"
                                   "SELECT f_writes(1); SELECT * FROM f_set(10);";
    struct advise_job job = {.what = ADVISE_FUNCTIONS};
    struct advice_set *s = pw_fixture_advise(f, workload, &job);
    /* Measured where it can be, and never by running what might act. */
    check_measured(s, "f_plp");
    check_measured(s, "f_strict");
    assert_true(isnan(fact(by_object(s, ADVICE_FUNCTION, "f_set", ""), "us_per_call_now")));
    pw_advice_set_unref(s);
    job.what = ADVISE_FUNCTIONS_UNMEASURED;
    s = pw_fixture_advise(f, workload, &job);
    assert_true(isnan(fact(by_object(s, ADVICE_FUNCTION, "f_plp", ""), "us_per_call_now")));
    by_object(s, ADVICE_FUNCTION, "f_strict", "CALLED ON NULL INPUT");
    by_object(s, ADVICE_FUNCTION, "f_plp", "LANGUAGE sql");
    by_object(s, ADVICE_FUNCTION, "f_set", "STABLE");
    by_object(s, ADVICE_FUNCTION, "f_wrong", "STABLE");
    assert_int_equal(s->n_items, 4);
    /* What is advised works: the planner inlines it afterwards. */
    for (size_t k = 0; k < s->n_items; k++)
        pw_fixture_sql(f, s->items[k].sql);
    struct pgresult *r = pw_pgsync_query(
        f->pg, "EXPLAIN (VERBOSE, COSTS OFF) SELECT f_strict(id), f_plp(id) FROM t, f_set(5)", 0,
        NULL);
    for (int k = 0; k < pw_pgresult_rows(r); k++)
        assert_null(strstr(pw_pgresult_get(r, k, 0), "f_"));
    pw_pgresult_free(r);
    pw_advice_set_unref(s);
    assert_string_equal(pw_fixture_value(f, "SELECT count(*) FROM t"), "100000");
}

static void jit_that_only_costs_is_found(void **state)
{
    struct fixture *f = *state;
    pw_fixture_sql(f, "CREATE TABLE parts (id int, v int, w int) PARTITION BY RANGE (id)");
    pw_fixture_sql(
        f, "DO $$BEGIN FOR i IN 0..99 LOOP EXECUTE format('CREATE TABLE parts_%s PARTITION OF "
           "parts FOR VALUES FROM (%s) TO (%s)', i, i * 1000, i * 1000 + 1000); END LOOP; END$$");
    pw_fixture_sql(f, "INSERT INTO parts SELECT i, i, i FROM generate_series(0, 99999) i");
    pw_fixture_sql(f, "ANALYZE parts; ALTER DATABASE postgres SET jit = on;"
                      " ALTER DATABASE postgres SET jit_above_cost = 100");
    struct advise_job job = {.what = ADVISE_JIT};
    struct advice_set *s = pw_fixture_advise(f,
                                             "SELECT sum(v), max(w), min(v + w), avg(v * 2) FROM "
                                             "parts WHERE v > 5 AND w > 7 AND v + w > 3;",
                                             &job);
    if (s->n_notes && strstr(s->notes[0], "LLVM")) {
        pw_advice_set_unref(s);
        skip(); /* a server without LLVM */
    }
    const struct advice *family = NULL, *database = NULL;
    for (size_t k = 0; k < s->n_items; k++) {
        if (strstr(s->items[k].sql, "SET LOCAL jit = off"))
            family = &s->items[k];
        if (strstr(s->items[k].sql, "ALTER DATABASE"))
            database = &s->items[k];
    }
    if (!family || !database)
        pw_fixture_print(s);
    assert_non_null(family);
    assert_non_null(database);
    assert_true(family->benefit_pct > 10);
    assert_true(fact(family, "compile_ms") > 0);
    assert_true(fact(family, "functions") > 100);
    assert_true(fact(family, "partitions_read") == 100);
    assert_non_null(strstr(family->reason, "reads 100 partitions"));
    assert_true(fact(family, "compiled_warmup_ms") > 0);
    assert_true(fact(family, "p_value") < 0.05);
    pw_advice_set_unref(s);
    pw_fixture_sql(
        f, "ALTER DATABASE postgres RESET jit_above_cost; ALTER DATABASE postgres RESET jit");
}

struct reading_latch {
    struct latch latch;
    struct server_reading *reading;
};

static void on_reading(void *arg, struct server_reading *r, const char *error)
{
    struct reading_latch *l = arg;
    l->reading = r;
    on_done(&l->latch, r != NULL, error, NULL);
}

static void a_profile_says_what_happened(void **state)
{
    struct fixture *f = *state;
    struct advisor_options o = {.max_columns = 2};
    struct advisor *a = pw_advisor_new(&o, NULL, NULL);
    struct reading_latch before = {.latch = new_latch}, after = {.latch = new_latch};
    pw_fixture_sql(f, "CREATE EXTENSION pg_stat_statements");
    pw_fixture_sql(f, "SELECT count(*) FROM t WHERE b = 'x'");
    assert_true(pw_advisor_read_server(a, f->conninfo, on_reading, &before));
    wait_for(&before.latch);
    assert_non_null(before.reading);
    for (int k = 0; k < 5; k++)
        pw_fixture_sql(f, "SELECT count(*) FROM t WHERE b = 'x'");
    assert_true(pw_advisor_read_server(a, f->conninfo, on_reading, &after));
    wait_for(&after.latch);
    assert_non_null(after.reading);

    struct workload *w = pw_workload_new("live"); /* for the family's number */
    pw_workload_add_file(w, PW_SLICE_LIT("SELECT count(*) FROM t WHERE b = 'x'"));
    struct profile *p = pw_profile_new(1000000, 2000000);
    struct profile_family row = {.family = w->families[0].id,
                                 .database = "post<gres",
                                 .text = w->families[0].text,
                                 .calls = 5,
                                 .bytes = 500,
                                 .total_ms = 30,
                                 .wait_ms = 5,
                                 .server_ms = 20};
    pw_profile_add_family(p, &row);
    pw_profile_add_reading(p, "host", "cpu", "%", 50, NAN);
    pw_profile_add_server(p, "post<gres", before.reading, after.reading);
    struct buf b;
    pw_buf_init(&b, 1 << 22);
    assert_true(pw_profile_render_json(p, &b));
    cJSON *tree = cJSON_ParseWithLength(b.data, b.len);
    const cJSON *family = cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "families"), 0);
    assert_non_null(family);
    assert_true(cJSON_GetObjectItem(family, "proxy_ms")->valuedouble == 5);
    assert_true(cJSON_GetObjectItem(family, "server_calls")->valuedouble == 5);
    assert_true(cJSON_GetObjectItem(family, "blocks_hit")->valuedouble > 0);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "readings")) > 5);
    cJSON_Delete(tree);
    pw_buf_reset(&b);
    assert_true(pw_profile_render_text(p, &b));
    pw_buf_reset(&b);
    assert_true(pw_profile_render_html(p, &b));
    pw_buf_append_u8(&b, 0);
    assert_null(strstr(b.data, "post<gres"));
    pw_buf_free(&b);
    pw_profile_free(p);
    pw_workload_free(w);
    pw_server_reading_free(before.reading);
    pw_server_reading_free(after.reading);
    pw_advisor_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(applies_measures_and_undoes),
        cmocka_unit_test(tells_harm_from_nothing),
        cmocka_unit_test(judges_only_whose_plan_changed),
        cmocka_unit_test(an_unreachable_server_is_said),
        cmocka_unit_test(a_profile_says_what_happened),
        cmocka_unit_test(functions_that_cannot_be_inlined),
        cmocka_unit_test(jit_that_only_costs_is_found),
    };
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
