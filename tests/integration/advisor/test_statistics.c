/* Statistics advice: given where an estimate is off, silent elsewhere; and when it is followed the
 * planner's estimate is right. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "advisor/plan_read.h"
#include "fixture.h"

static const char schema_sql[] =
    "CREATE EXTENSION hypopg;"
    /* zip says which city: pairs are no more than zips */
    "CREATE TABLE place (id int PRIMARY KEY, city int, zip int, free1 int, free2 int, mail text);"
    "INSERT INTO place SELECT i, (i % 1000) / 10, i % 1000, i % 97, (i / 97) % 89,"
    " CASE WHEN i % 2 = 0 THEN 'Same@x' ELSE 'U' || i END FROM generate_series(1, 100000) i;"
    /* 300 values in 300 rows each, and 10,000 that are alone: more than a hundred common values */
    "CREATE TABLE skew (id int PRIMARY KEY, v int);"
    "INSERT INTO skew SELECT i, CASE WHEN i <= 90000 THEN i % 300 ELSE i END FROM"
    " generate_series(1, 100000) i;"
    "CREATE TABLE moved (id int PRIMARY KEY, v int);"
    "INSERT INTO moved SELECT i, i FROM generate_series(1, 10000) i;"
    "CREATE TABLE unseen (id int, v int);";

static int start(void **state)
{
    if (pw_fixture_start(state) != 0)
        return -1;
    pw_fixture_sql(*state, schema_sql);
    pw_fixture_sql(*state, "SELECT pg_stat_force_next_flush()"); /* before ANALYZE counts */
    pw_fixture_sql(*state, "VACUUM ANALYZE place, skew, moved");
    pw_fixture_sql(*state, "UPDATE moved SET v = v + 1");
    pw_fixture_sql(*state, "INSERT INTO unseen SELECT i, i FROM generate_series(1, 5000) i");
    pw_fixture_sql(*state, "SELECT pg_stat_force_next_flush()");
    return 0;
}

/* A live family: 100 calls that returned so many rows each. */
struct task {
    struct fixture *f;
    const char *text, *sql;
    double rows;
    struct advice_set *out;
};

static void *advise(void *arg)
{
    struct task *t = arg;
    struct advise_job job = {.conninfo = t->f->conninfo};
    bool reached;
    pw_advise_defaults(&job.o);
    struct workload *w = pw_workload_new("live");
    struct workload_family *f = pw_workload_add(w, 77, t->text, 100, 500, 100 * t->rows);
    pw_workload_add_sample(f, pw_slice_str(t->sql), 0, NULL);
    t->out = pw_advise_run(&job, w, NULL, &reached);
    pw_workload_free(w);
    return NULL;
}

static struct advice_set *advise_live(struct fixture *f, const char *text, const char *sql,
                                      double rows)
{
    struct task t = {f, text, sql, rows, NULL};
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)64 << 20);
    assert_int_equal(pthread_create(&thread, &attr, advise, &t), 0);
    pthread_attr_destroy(&attr);
    pthread_join(thread, NULL);
    return t.out;
}

static const struct advice *statistics(const struct advice_set *s, const char *part)
{
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_STATISTICS && strstr(s->items[k].sql, part))
            return &s->items[k];
    return NULL;
}

static double estimate(struct fixture *f, const char *sql)
{
    char text[512];
    struct plan_facts facts;
    snprintf(text, sizeof(text), "EXPLAIN (FORMAT JSON) %s", sql);
    struct pgresult *r = pw_pgsync_query(f->pg, text, 0, NULL);
    assert_true(pw_pgresult_ok(r) && pw_plan_read(pw_pgresult_get(r, 0, 0), &facts));
    pw_pgresult_free(r);
    return facts.rows;
}

static void follow(struct fixture *f, const char *sql)
{
    char *copy = strdup(sql), *save = NULL;
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        pw_fixture_sql(f, line);
    free(copy);
}

/* The estimate before, the advice, the estimate after, and the undo. */
static void improves(struct fixture *f, const struct advice *a, const char *sql, double rows)
{
    double before = estimate(f, sql);
    assert_true(fmax(before, rows) / fmin(before, rows) >= 10);
    follow(f, a->sql);
    double after = estimate(f, sql);
    if (fmax(after, rows) / fmin(after, rows) > 2)
        fail_msg("%s: %f before, %f after, %f rows", sql, before, after, rows);
    assert_true(strlen(a->undo_sql) > 0);
    follow(f, a->undo_sql);
    pw_fixture_sql(f, "ANALYZE place, skew");
}

static void columns_that_depend_on_each_other(void **state)
{
    static const char sql[] = "SELECT * FROM place WHERE city = 33 AND zip = 335";
    struct advice_set *s =
        pw_fixture_advise(*state, "SELECT * FROM place WHERE city = 33 AND zip = 335;", NULL);
    const struct advice *a = statistics(s, "ON city, zip FROM public.place");
    if (!a)
        pw_fixture_print(s);
    assert_non_null(a);
    assert_int_equal(a->confidence, ADVICE_MEDIUM);
    improves(*state, a, sql, 100);
    pw_advice_set_unref(s);
    /* and where the rows that came agree */
    s = advise_live(*state, "SELECT * FROM place WHERE city = $1 AND zip = $2", sql, 100);
    a = statistics(s, "ON city, zip");
    assert_non_null(a);
    assert_int_equal(a->confidence, ADVICE_HIGH);
    pw_advice_set_unref(s);
}

static void columns_that_do_not(void **state)
{
    struct advice_set *s = pw_fixture_advise(*state,
                                             "SELECT * FROM place WHERE free1 = 3 AND free2 = 5; "
                                             "SELECT * FROM place WHERE id = 3 AND zip = 3;",
                                             NULL);
    assert_null(statistics(s, "CREATE STATISTICS"));
    pw_advice_set_unref(s);
}

static void what_exists_is_not_advised_again(void **state)
{
    pw_fixture_sql(*state, "CREATE STATISTICS mine (dependencies) ON zip, city FROM place");
    struct advice_set *s =
        pw_fixture_advise(*state, "SELECT * FROM place WHERE city = 33 AND zip = 335;", NULL);
    assert_null(statistics(s, "CREATE STATISTICS"));
    pw_advice_set_unref(s);
    pw_fixture_sql(*state, "DROP STATISTICS mine");
}

static void more_common_values_than_are_kept(void **state)
{
    struct fixture *f = *state;
    char sql[128];
    /* A value that is common, but not among those kept. */
    const char *v = pw_fixture_value(
        f, "SELECT g FROM generate_series(0, 299) g WHERE g <> ALL (ARRAY(SELECT unnest("
           "most_common_vals::text::int[]) FROM pg_stats WHERE tablename = 'skew' AND"
           " attname = 'v')) LIMIT 1");
    assert_true(v[0] != 0);
    snprintf(sql, sizeof(sql), "SELECT * FROM skew WHERE v = %s", v);
    struct advice_set *s = advise_live(f, "SELECT * FROM skew WHERE v = $1", sql, 300);
    const struct advice *a = statistics(s, "ALTER COLUMN v SET STATISTICS 1000");
    if (!a)
        pw_fixture_print(s);
    assert_non_null(a);
    improves(f, a, sql, 300);
    pw_advice_set_unref(s);
    /* An estimate that is right, and one call too few to say: silence. */
    s = advise_live(f, "SELECT * FROM skew WHERE v = $1", sql, estimate(f, sql));
    assert_int_equal(pw_advice_count(s, ADVICE_STATISTICS), 2); /* moved and unseen */
    pw_advice_set_unref(s);
}

static void an_expression_the_planner_knows_nothing_of(void **state)
{
    static const char sql[] = "SELECT * FROM place WHERE lower(mail) = 'same@x'";
    struct advice_set *s =
        advise_live(*state, "SELECT * FROM place WHERE lower(mail) = $1", sql, 50000);
    const struct advice *a = statistics(s, "ON (lower(mail)) FROM public.place");
    if (!a) /* an index on it is advised: that brings the statistics too */
        for (size_t k = 0; k < s->n_items; k++)
            if (s->items[k].kind == ADVICE_CREATE && strstr(s->items[k].sql, "lower(mail)"))
                a = &s->items[k];
    if (!a)
        pw_fixture_print(s);
    assert_non_null(a);
    if (a->kind == ADVICE_STATISTICS)
        improves(*state, a, sql, 50000);
    pw_advice_set_unref(s);
}

static void tables_that_need_analyze(void **state)
{
    struct advice_set *s = pw_fixture_advise(*state, NULL, NULL);
    assert_non_null(statistics(s, "ANALYZE public.moved;"));
    assert_non_null(statistics(s, "ANALYZE public.unseen;"));
    assert_int_equal(pw_advice_count(s, ADVICE_STATISTICS), 2);
    pw_advice_set_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_that_depend_on_each_other),
        cmocka_unit_test(columns_that_do_not),
        cmocka_unit_test(what_exists_is_not_advised_again),
        cmocka_unit_test(more_common_values_than_are_kept),
        cmocka_unit_test(an_expression_the_planner_knows_nothing_of),
        cmocka_unit_test(tables_that_need_analyze),
    };
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
