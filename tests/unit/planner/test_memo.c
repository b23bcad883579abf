/*
 * The memo and the analysis thread: hits, several waiters, cancelling, eviction, an end while jobs
 * are under way; and hostile SQL, which must neither crash nor keep others from being answered.
 */
#include "planner_fixture.h"

#include "planner/explain_cache.h"
#include "planner/state.h"
#include "proxy/base/alloc.h"

static void test_hit_after_miss(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 100);
    pw_plan_unref(fixture_plan(&f, "select 1", 8));
    struct fixture_waiter w = {.waiter = {.on_plan = fixture_on_plan}};
    assert_non_null(pw_plan_get(f.memo, f.ctx, PW_SLICE_LIT("SELECT  22 -- same"), &w.waiter));
    struct plan_memo_stats s;
    pw_plan_memo_stats(f.memo, &s);
    assert_int_equal(s.hits, 1);
    assert_int_equal(s.misses, 1);
    assert_int_equal(s.entries, 1);
    assert_int_equal(s.waiting, 0);
    fixture_free(&f);
}

static void test_many_waiters_one_job(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 100);
    struct fixture_waiter w[10] = {{.plan = NULL}};
    for (int i = 0; i < 10; i++) {
        w[i].waiter.on_plan = fixture_on_plan;
        assert_null(pw_plan_get(f.memo, f.ctx, PW_SLICE_LIT("select * from t"), &w[i].waiter));
    }
    pw_plan_cancel(&w[3].waiter);
    pw_plan_cancel(&w[3].waiter);
    struct plan_memo_stats s;
    pw_plan_memo_stats(f.memo, &s);
    assert_int_equal(s.waiting, 9);
    while (!w[9].plan)
        uv_run(&f.uv, UV_RUN_ONCE);
    for (int i = 0; i < 10; i++) {
        assert_true(i == 3 ? !w[i].plan : w[i].plan == w[0].plan);
        pw_plan_unref(w[i].plan);
    }
    fixture_free(&f);
}

static void test_bounded(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 10);
    char sql[64];
    for (int i = 0; i < 100; i++) {
        int n = snprintf(sql, sizeof sql, "select a%d", i);
        pw_plan_unref(fixture_plan(&f, sql, (size_t)n));
    }
    struct plan_memo_stats s;
    pw_plan_memo_stats(f.memo, &s);
    assert_int_equal(s.entries, 10);
    assert_int_equal(s.evictions, 90);
    fixture_free(&f);
}

static void test_end_while_waiting(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct fixture f;
        fixture_init(&f, 100);
        struct fixture_waiter w[20] = {{.plan = NULL}};
        char sql[64];
        for (int i = 0; i < 20; i++) {
            w[i].waiter.on_plan = fixture_on_plan;
            int n = snprintf(sql, sizeof sql, "select a%d from t", i);
            pw_plan_get(f.memo, f.ctx, pw_slice(sql, (size_t)n), &w[i].waiter);
        }
        if (round % 2)
            uv_run(&f.uv, UV_RUN_ONCE);
        for (int i = 0; i < 20; i++)
            pw_plan_unref(w[i].plan);
        fixture_free(&f);
    }
}

static void test_opaque_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 100);
    struct plan_context_key key = {
        .database_id = 1, .user = "u", .standard_conforming_strings = true};
    const struct plan_context *unsafe = pw_plan_context(f.planner, &key);
    struct fixture_waiter w = {.waiter = {.on_plan = fixture_on_plan}};
    assert_ptr_equal(pw_plan_get(f.memo, unsafe, PW_SLICE_LIT("select 1"), &w.waiter),
                     pw_plan_opaque());
    assert_ptr_equal(pw_plan_get(f.memo, f.ctx, PW_SLICE_LIT("select 'x"), &w.waiter),
                     pw_plan_opaque());
    assert_ptr_equal(pw_plan_get(f.memo, f.ctx, pw_slice("select 1\0;", 10), &w.waiter),
                     pw_plan_opaque());
    pw_plan_unref(pw_plan_opaque());
    assert_ptr_equal(pw_plan_context(f.planner, &key), unsafe);
    fixture_free(&f);
}

/* head, then `unit` as often as fits in `size` bytes, then `tail`. */
static char *repeat(const char *head, const char *unit, const char *tail, size_t size)
{
    size_t h = strlen(head), u = strlen(unit), t = strlen(tail), n = h;
    char *out = pw_alloc(size + h + u + t + 1);
    memcpy(out, head, h);
    while (n + u + t <= size) {
        memcpy(out + n, unit, u);
        n += u;
    }
    memcpy(out + n, tail, t + 1);
    return out;
}

static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *head, *unit, *tail;
    } shapes[] = {
        {"select 1", "+1", ""},
        {"select a", "||a", ""},
        {"select ", "not ", "true"},
        {"select ", "(", ""},
        {"select ", "- ", "1"},
        {"select 1", "::int", ""},
        {"select 1", " union select 1", ""},
        {"", "/*", ""},
        {"select 1 ", "/* */", ""},
        {"select 1 ", "+-*/<>", " 1"},
        {"select ", "f(", ""},
        {"select a", "[1]", ""},
        {"select 'a'", " 'a'", ""},
        {"", "select 1;", ""},
        {"select ", "case when true then ", ""},
        {"select * from t where a in (1", ",1", ")"},
        {"", "(select ", ""},
        {"select a", ".b", ""},
        {"select \"", "\"\"", "\""},
        {"select $a$", "$", "$a$"},
        {"select a and b", " or a and b", ""},
        {"with x as (select 1)", ", x as (select 1)", " select 1"},
        {"", "\xff", ""},
        {"values (1)", ",(1)", ""},
        {"select * from t", ", t", ""},
        {"select ", "exists (select ", ""},
        {"", "begin;", ""},
        {"select 1 where ", "1=1 and ", "1=1"},
    };
    static const size_t sizes[] = {1000, 10000, 32000, 32768, 1000000};
    struct fixture f;
    fixture_init(&f, 1000);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            char *sql = repeat(shapes[i].head, shapes[i].unit, shapes[i].tail, sizes[k]);
            const struct plan *p = fixture_plan(&f, sql, strlen(sql));
            assert_true(p->cls == PLAN_OPAQUE || p->n_statements > 0 || p->cls == PLAN_EMPTY);
            pw_plan_unref(p);
            /* A bystander is still answered. */
            p = fixture_plan(&f, "select 1", 8);
            assert_int_equal(p->cls, PLAN_READ);
            pw_plan_unref(p);
            pw_free(sql);
        }
    }
    fixture_free(&f);
}

static void on_explained(void *arg, const struct explain_answer *a)
{
    char *out = arg;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->rows[i].item, "cacheable") == 0 ||
            strcmp(a->rows[i].item, "shares a connection") == 0)
            snprintf(out, 200, "%s", a->rows[i].answer);
    }
}

static void explain(struct fixture *f, const char *sql, enum explain_what what, const char *want)
{
    char out[200] = "";
    pw_explain_ask(f->memo, f->ctx, pw_slice_str(sql), what, on_explained, out);
    while (!*out)
        uv_run(&f->uv, UV_RUN_ONCE);
    assert_string_equal(out, want);
}

static void test_explain(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 100);
    explain(&f, "select 1", EXPLAIN_CACHE, "yes");
    explain(&f, "select 1", EXPLAIN_BATCH, "yes");
    explain(&f, "select 1 for update", EXPLAIN_BATCH,
            "no: it has a locking clause (FOR UPDATE, FOR SHARE ...)");
    explain(&f, "select 1 /* pgweir: cache=off */", EXPLAIN_CACHE, "no: a hint or rule says off");
    char out[200] = "";
    struct explain_request *r = pw_explain_ask(f.memo, f.ctx, PW_SLICE_LIT("select 1, 2"),
                                               EXPLAIN_CACHE, on_explained, out);
    assert_non_null(r);
    pw_explain_cancel(r);
    fixture_free(&f);
    assert_string_equal(out, "");
}

/* ---- functions that only the catalog knows, while it is being read */

static const struct slice unknown = {"select no_such_function(1)", 26};

static void wait_init(struct fixture *f, uint64_t catalog_wait_us)
{
    fixture_init(f, 100);
    atomic_store(&f->planner->catalog_wait_us, catalog_wait_us);
    pw_planner_database_expect(f->planner, 1, true);
}

static const struct plan *wait_plan(struct fixture *f, struct fixture_waiter *w)
{
    while (!w->plan)
        uv_run(&f->uv, UV_RUN_ONCE);
    return w->plan;
}

/* Who may not wait gets the careful answer at once, who may gets it when there will be no catalog.
 */
static void test_catalog_is_waited_for(void **state)
{
    (void)state;
    struct fixture f;
    wait_init(&f, UINT64_C(3600000000));
    struct fixture_waiter patient[2] = {{.waiter = {.on_plan = fixture_on_plan}},
                                        {.waiter = {.on_plan = fixture_on_plan}}};
    struct fixture_waiter hasty = {.waiter = {.on_plan = fixture_on_plan, .is_impatient = true}};
    assert_null(pw_plan_get(f.memo, f.ctx, unknown, &patient[0].waiter));
    assert_null(pw_plan_get(f.memo, f.ctx, unknown, &hasty.waiter));
    const struct plan *p = wait_plan(&f, &hasty);
    assert_true(p->is_provisional && pw_plan_has(p, PLAN_F_PINS));
    assert_null(patient[0].plan);
    assert_ptr_equal(pw_plan_get(f.memo, f.ctx, unknown, &hasty.waiter), p);
    assert_null(pw_plan_get(f.memo, f.ctx, unknown, &patient[1].waiter));
    pw_plan_unref(fixture_plan(&f, "select count(*) from t", 22)); /* nothing unknown: no waiting */
    assert_null(patient[0].plan);
    assert_null(patient[1].plan);
    pw_planner_database_expect(f.planner, 1, false);
    for (int i = 0; i < 2; i++) {
        assert_false(wait_plan(&f, &patient[i])->is_provisional);
        assert_true(pw_plan_has(patient[i].plan, PLAN_F_PINS));
        assert_int_equal(patient[i].plan->reason, PLAN_WHY_UNKNOWN_FUNCTION);
        pw_plan_unref(patient[i].plan);
    }
    pw_plan_unref(p);
    fixture_free(&f);
}

/* One that may not wait joins those that do, after the plan they all had is out of date. */
static void test_catalog_is_not_waited_for_by_all(void **state)
{
    (void)state;
    struct fixture f;
    wait_init(&f, UINT64_C(3600000000));
    struct fixture_waiter patient = {.waiter = {.on_plan = fixture_on_plan}};
    struct fixture_waiter hasty = {.waiter = {.on_plan = fixture_on_plan, .is_impatient = true}};
    assert_null(pw_plan_get(f.memo, f.ctx, unknown, &patient.waiter));
    assert_null(pw_plan_get(f.memo, f.ctx, unknown, &hasty.waiter));
    pw_plan_unref(wait_plan(&f, &hasty));
    hasty.plan = NULL;
    pw_planner_catalog_changed(f.planner, 1);
    assert_null(pw_plan_get(f.memo, f.ctx, unknown, &hasty.waiter));
    const struct plan *p = wait_plan(&f, &hasty);
    assert_true(p->is_provisional && pw_plan_is_current(f.ctx, p));
    pw_plan_unref(p);
    assert_null(patient.plan);
    pw_plan_cancel(&patient.waiter);
    fixture_free(&f);
}

/* DDL that may write more than it says: only the catalog knows of event triggers. */
static void test_what_waits_for_the_catalog(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool waits;
    } rows[] = {
        {"create temp table x (a int)", true}, {"create temp table x as select 1", true},
        {"select 1 into temp x", true},        {"comment on table t is 'x'", true},
        {"explain select no_such_f(1)", true}, {"explain select lower('x')", false},
        {"create table x (a int)", false},     {"truncate t", false},
    };
    struct fixture f;
    wait_init(&f, UINT64_C(3600000000));
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        struct fixture_waiter hasty = {
            .waiter = {.on_plan = fixture_on_plan, .is_impatient = true}};
        assert_null(pw_plan_get(f.memo, f.ctx, pw_slice_str(rows[i].sql), &hasty.waiter));
        if (wait_plan(&f, &hasty)->is_provisional != rows[i].waits)
            fail_msg("%s", rows[i].sql);
        pw_plan_unref(hasty.plan);
    }
    fixture_free(&f);
}

static void test_waiting_for_the_catalog_ends(void **state)
{
    (void)state;
    static const uint64_t waits[] = {0, 1, 20000};
    for (int i = 0; i < 3; i++) {
        struct fixture f;
        wait_init(&f, waits[i]);
        struct fixture_waiter w = {.waiter = {.on_plan = fixture_on_plan}};
        assert_null(pw_plan_get(f.memo, f.ctx, unknown, &w.waiter));
        assert_true(wait_plan(&f, &w)->is_provisional);
        pw_plan_unref(w.plan);
        /* The time is up for whoever comes later, too. */
        assert_ptr_equal(pw_plan_get(f.memo, f.ctx, unknown, &w.waiter), w.plan);
        fixture_free(&f);
    }
}

static void test_end_while_the_catalog_is_waited_for(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct fixture f;
        wait_init(&f, UINT64_C(3600000000));
        struct fixture_waiter w[20] = {{.plan = NULL}};
        char sql[64];
        for (int i = 0; i < 20; i++) {
            w[i].waiter.on_plan = fixture_on_plan;
            int n = snprintf(sql, sizeof sql, "select f%d()", i);
            pw_plan_get(f.memo, f.ctx, pw_slice(sql, (size_t)n), &w[i].waiter);
        }
        pw_plan_unref(fixture_plan(&f, "select 1", 8));
        fixture_free(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hit_after_miss),
        cmocka_unit_test(test_many_waiters_one_job),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_end_while_waiting),
        cmocka_unit_test(test_opaque_at_once),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_catalog_is_waited_for),
        cmocka_unit_test(test_catalog_is_not_waited_for_by_all),
        cmocka_unit_test(test_what_waits_for_the_catalog),
        cmocka_unit_test(test_waiting_for_the_catalog_ends),
        cmocka_unit_test(test_end_while_the_catalog_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
