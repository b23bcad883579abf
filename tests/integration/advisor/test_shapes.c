/*
 * Every shape of index the advisor knows: each is advised for the statement that needs it, then
 * built, and the server's own plan must use it. What HypoPG can imagine must have been judged by
 * HypoPG's plan.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

static const char schema_sql[] =
    "CREATE EXTENSION hypopg; CREATE EXTENSION pg_trgm;"
    "CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int, txt text, code varchar(40),"
    " raw text COLLATE \"C\", at timestamptz, gone timestamptz, doc jsonb, tags int[], r int4range,"
    " p point, words tsvector, flag boolean NOT NULL, email text);"
    "INSERT INTO t SELECT i, i % 5000, (i * 7919) % 4999, i % 10, md5(i::text), md5((i * 3)::text),"
    " md5((i * 5)::text), timestamptz '2024-01-01' + (i * 7919 % 100000) * interval '1 min',"
    " CASE WHEN i % 40 <> 0 THEN timestamptz '2024-01-01' END,"
    " jsonb_build_object('k', i % 3000, 'only' || i % 5000, 1), ARRAY[i % 3000, i % 2999],"
    " int4range(i * 3, i * 3 + 2), point(i % 1000, i / 100), to_tsvector('simple', md5(i::text)),"
    " i % 100 = 0, 'User' || i || '@Example.com' FROM generate_series(1, 100000) i;"
    "CREATE TABLE u (id int PRIMARY KEY, t_id int, n int);"
    "INSERT INTO u SELECT i, (i * 7919) % 100000, i % 4000 FROM generate_series(1, 60000) i;"
    "CREATE VIEW v AS SELECT t.id AS key, t.b AS bee, lower(t.email) AS mail, u.n AS en"
    " FROM t JOIN u ON u.t_id = t.id;"
    "CREATE VIEW vv AS SELECT bee AS wasp, key FROM v;"
    "CREATE SCHEMA \"Odd Schema\";"
    "CREATE TABLE \"Odd Schema\".old (id int, n int); CREATE TABLE \"Odd Schema\".new (id int, n "
    "int);"
    "INSERT INTO \"Odd Schema\".old SELECT i, i % 3000 FROM generate_series(1, 50000) i;"
    "INSERT INTO \"Odd Schema\".new SELECT i, i % 3000 FROM generate_series(1, 50000) i;"
    "CREATE VIEW \"Odd Schema\".\"All\" AS SELECT id, n FROM \"Odd Schema\".old UNION ALL"
    " SELECT id, n FROM \"Odd Schema\".new;"
    "CREATE TABLE big (id int, at timestamptz, v int);"
    "INSERT INTO big SELECT i, timestamptz '2024-01-01' + i * interval '1 sec', i % 7 FROM"
    " generate_series(1, 1100000) i;";

static int start(void **state)
{
    return pw_fixture_start_with(state, schema_sql);
}

struct shape {
    const char *sql;
    const char *indexes[3]; /* parts of the SQL of each index that is needed */
    const char *plan;       /* part of the plan once they are there */
    uint64_t budget;
    bool own_model; /* HypoPG cannot imagine it */
};

static const struct shape shapes[] = {
    /* equality before range, order after equality, direction and NULLS as asked */
    {.sql = "SELECT * FROM t WHERE a = 7", .indexes = {"ON public.t (a)"}, .plan = "Index Scan"},
    {.sql = "SELECT * FROM t WHERE at > '2024-02-01' AND at < '2024-02-03' AND c = 3",
     .indexes = {"ON public.t (c, at)"},
     .plan = "Index Cond: ((c = 3) AND"},
    {.sql = "SELECT * FROM t WHERE c = 3 ORDER BY at DESC LIMIT 5",
     .indexes = {"ON public.t (c, at)"},
     .plan = "Backward"},
    {.sql = "SELECT id FROM t ORDER BY c, at DESC LIMIT 5",
     .indexes = {"(c, at DESC"},
     .plan = "Index"},
    {.sql = "SELECT id FROM t ORDER BY gone DESC NULLS LAST LIMIT 5",
     .indexes = {"(gone DESC NULLS LAST"},
     .plan = "Index"},
    {.sql = "SELECT max(at) FROM t", .indexes = {"(at)"}, .plan = "Index Only Scan"},
    {.sql = "SELECT sum(c) FROM t WHERE a BETWEEN 10 AND 200",
     .indexes = {"ON public.t (a) INCLUDE (c)"},
     .plan = "Index Only Scan"},
    {.sql = "SELECT b, count(*) FROM t GROUP BY b",
     .indexes = {"ON public.t (b)"},
     .plan = "Index Only Scan"},
    /* joins: the inner side */
    {.sql = "SELECT u.n FROM t JOIN u ON u.t_id = t.id WHERE t.id = 77",
     .indexes = {"ON public.u (t_id)"},
     .plan = "t_id"},
    {.sql = "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id) AND id < 50",
     .indexes = {"ON public.u (t_id)"},
     .plan = "t_id"},
    /* OR: an index for each arm */
    {.sql = "SELECT * FROM t WHERE a = 7 OR b = 11",
     .indexes = {"ON public.t (a)", "ON public.t (b)"},
     .plan = "BitmapOr"},
    {.sql = "SELECT * FROM t WHERE a IN (3, 5, 9)", .indexes = {"ON public.t (a)"}, .plan = "ANY"},
    {.sql = "SELECT * FROM t WHERE b = ANY (ARRAY[4, 8])",
     .indexes = {"ON public.t (b)"},
     .plan = "ANY"},
    /* patterns, with the operator class each collation needs */
    {.sql = "SELECT id FROM t WHERE txt LIKE 'abc12%'",
     .indexes = {"(txt text_pattern_ops)"},
     .plan = "~>=~"},
    {.sql = "SELECT id FROM t WHERE code LIKE 'abc12%'",
     .indexes = {"(code varchar_pattern_ops)"},
     .plan = "~>=~"},
    {.sql = "SELECT id FROM t WHERE raw LIKE 'abc12%'",
     .indexes = {"ON public.t (raw)"},
     .plan = "raw >= 'abc12'"},
    {.sql = "SELECT id FROM t WHERE txt LIKE '%abc12%'",
     .indexes = {"USING gin (txt gin_trgm_ops)"},
     .plan = "Bitmap Index Scan",
     .own_model = true},
    {.sql = "SELECT id FROM t WHERE txt ILIKE 'ABC12%'",
     .indexes = {"USING gin (txt gin_trgm_ops)"},
     .plan = "Bitmap Index Scan",
     .own_model = true},
    /* containers */
    {.sql = "SELECT id FROM t WHERE doc @> '{\"k\": 17}'",
     .indexes = {"USING gin (doc jsonb_path_ops)"},
     .plan = "Bitmap Index Scan",
     .own_model = true},
    {.sql = "SELECT id FROM t WHERE doc ? 'only77'",
     .indexes = {"USING gin (doc)"},
     .plan = "Bitmap Index Scan",
     .own_model = true},
    {.sql = "SELECT id FROM t WHERE tags && ARRAY[17]",
     .indexes = {"USING gin (tags)"},
     .plan = "Bitmap Index Scan",
     .own_model = true},
    {.sql = "SELECT id FROM t WHERE words @@ 'abc'::tsquery",
     .indexes = {"USING gin (words)"},
     .plan = "Bitmap Index Scan",
     .own_model = true},
    {.sql = "SELECT id FROM t WHERE r && int4range(300, 310)",
     .indexes = {"USING gist (r)"},
     .plan = "Index",
     .own_model = true},
    {.sql = "SELECT id FROM t WHERE r @> 303",
     .indexes = {"USING gist (r)"},
     .plan = "Index",
     .own_model = true},
    {.sql = "SELECT id FROM t WHERE p <@ box '((10,10),(12,12))'",
     .indexes = {"USING gist (p)"},
     .plan = "Index",
     .own_model = true},
    {.sql = "SELECT id FROM t ORDER BY p <-> point '(5,5)' LIMIT 3",
     .indexes = {"USING gist (p)"},
     .plan = "Order By: (p <-> ",
     .own_model = true},
    /* where a btree does not fit the budget */
    {.sql = "SELECT count(v) FROM big WHERE at >= '2024-01-03' AND at < '2024-01-03 02:00'",
     .indexes = {"USING brin (at)"},
     .plan = "Bitmap Index Scan",
     .budget = 1 << 20},
    /* partial and expression */
    {.sql = "SELECT id FROM t WHERE gone IS NULL ORDER BY at LIMIT 10",
     .indexes = {"(at) WHERE gone IS NULL"},
     .plan = "Index Scan"},
    {.sql = "SELECT id FROM t WHERE flag ORDER BY at LIMIT 10",
     .indexes = {"(at) WHERE flag"},
     .plan = "Index Scan"},
    {.sql = "SELECT * FROM t WHERE lower(email) = 'user77@example.com'",
     .indexes = {"(lower(email))"},
     .plan = "lower(email)"},
    {.sql = "SELECT * FROM t WHERE a + b = 12345", .indexes = {"((a + b))"}, .plan = "(a + b)"},
    /* through views, subselects, CTEs: to the tables behind them */
    {.sql = "SELECT * FROM v WHERE bee = 13", .indexes = {"ON public.t (b)"}, .plan = "b = 13"},
    {.sql = "SELECT key FROM vv x WHERE x.wasp = 13",
     .indexes = {"ON public.t (b)"},
     .plan = "b = 13"},
    {.sql = "SELECT key FROM v WHERE mail = 'user77@example.com'",
     .indexes = {"(lower(email))"},
     .plan = "lower",
     .own_model = true}, /* HypoPG matches expressions only to the first table */
    {.sql = "SELECT u.n FROM u JOIN t ON t.id = u.t_id WHERE t.gone IS NULL AND t.b = 9",
     .indexes = {"ON public.t (gone, b)", "ON public.u (t_id)"},
     .plan = "gone IS NULL"},
    {.sql = "SELECT * FROM \"Odd Schema\".\"All\" WHERE n = 17",
     .indexes = {"ON \"Odd Schema\".old (n)", "ON \"Odd Schema\".new (n)"},
     .plan = "n = 17"},
    {.sql = "SELECT s.x FROM (SELECT b AS x, id FROM t) s (x, y) WHERE s.x = 13",
     .indexes = {"ON public.t (b)"},
     .plan = "b = 13"},
    {.sql = "WITH w AS (SELECT * FROM t) SELECT id FROM w WHERE b = 13",
     .indexes = {"ON public.t (b)"},
     .plan = "b = 13"},
};

static bool is_hypopg(const struct advice *a)
{
    for (size_t k = 0; k < a->n_facts; k++)
        if (strcmp(a->facts[k].name, "estimated_with") == 0)
            return strcmp(a->facts[k].value, "\"hypopg\"") == 0;
    return false;
}

static const struct advice *find(const struct advice_set *s, const char *part)
{
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE && strstr(s->items[k].sql, part))
            return &s->items[k];
    return NULL;
}

/* Plan of the statement as it is now, in one text. */
static char *explain(struct fixture *f, const char *sql)
{
    char text[1024], *out = calloc(1, 65536);
    snprintf(text, sizeof(text), "EXPLAIN %s", sql);
    struct pgresult *r = pw_pgsync_query(f->pg, text, 0, NULL);
    for (int k = 0; k < pw_pgresult_rows(r); k++) {
        strcat(out, pw_pgresult_get(r, k, 0));
        strcat(out, "\n");
    }
    pw_pgresult_free(r);
    return out;
}

static bool check(struct fixture *f, const struct shape *shape)
{
    char workload[1024];
    snprintf(workload, sizeof(workload), "-- weight: 100\n%s;\n", shape->sql);
    struct advise_job job = {.o = {.budget_bytes = shape->budget}};
    struct advice_set *s = pw_fixture_advise(f, workload, &job);
    bool ok = true;
    const char *names[3] = {NULL, NULL, NULL};
    for (int k = 0; k < 3 && shape->indexes[k]; k++) {
        const struct advice *a = find(s, shape->indexes[k]);
        if (!a || is_hypopg(a) == shape->own_model || a->n_queries != 1 ||
            a->queries[0].cost_after >= a->queries[0].cost_before) {
            fprintf(stderr, "%s: %s is not advised%s\n", shape->sql, shape->indexes[k],
                    a ? " for the right reason" : "");
            ok = false;
            continue;
        }
        names[k] = strchr(a->object, '.') + 1;
        pw_fixture_sql(f, a->sql);
    }
    if (ok) {
        /* What the planner needs to know about what was built: statistics of expressions. */
        pw_fixture_sql(f, "ANALYZE t");
        char *plan = explain(f, shape->sql);
        for (int k = 0; k < 3 && names[k]; k++)
            if (!strstr(plan, names[k]) || !strstr(plan, shape->plan)) {
                fprintf(stderr, "%s: the plan does not use %s (%s):\n%s\n", shape->sql, names[k],
                        shape->plan, plan);
                ok = false;
            }
        free(plan);
    } else {
        pw_fixture_print(s);
    }
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE) {
            char drop[512];
            snprintf(drop, sizeof(drop), "DROP INDEX IF EXISTS %s",
                     strstr(s->items[k].undo_sql, "CONCURRENTLY") + strlen("CONCURRENTLY"));
            pw_fixture_sql(f, drop);
        }
    pw_advice_set_unref(s);
    return ok;
}

static void each_shape_is_advised_and_used(void **state)
{
    size_t wrong = 0;
    for (size_t k = 0; k < PW_COUNT_OF(shapes); k++)
        wrong += !check(*state, &shapes[k]);
    assert_int_equal(wrong, 0);
}

/* An index for one arm of an OR is worth nothing: all or none, whatever the budget. */
static void an_or_gets_all_of_its_indexes_or_none(void **state)
{
    bool none = false, both = false;
    for (uint64_t kb = 200; kb < 4000; kb += 200) {
        struct advise_job job = {.o = {.budget_bytes = kb << 10}};
        struct advice_set *s =
            pw_fixture_advise(*state, "SELECT * FROM t WHERE a = 7 OR b = 11;", &job);
        bool a = find(s, "ON public.t (a"), b = find(s, "ON public.t (b");
        assert_int_equal(a, b);
        none = none || !a;
        both = both || a;
        pw_advice_set_unref(s);
    }
    assert_true(none && both);
}

/* A constant that is not the same in every sample makes no partial index. */
static void a_parameter_makes_no_partial_index(void **state)
{
    struct advice_set *s = pw_fixture_advise(*state,
                                             "SELECT * FROM t WHERE c = 3 AND b = 5;"
                                             "SELECT * FROM t WHERE c = 4 AND b = 5;",
                                             NULL);
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE)
            assert_null(strstr(s->items[k].sql, "WHERE"));
    pw_advice_set_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shape_is_advised_and_used),
        cmocka_unit_test(an_or_gets_all_of_its_indexes_or_none),
        cmocka_unit_test(a_parameter_makes_no_partial_index),
    };
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
