/* Missing indexes from a workload: what is proposed, what is refused, what is never touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "fixture.h"

static const char schema_sql[] =
    "CREATE EXTENSION hypopg; CREATE EXTENSION pg_trgm; CREATE EXTENSION pg_stat_statements;"
    "CREATE TABLE customer (id int PRIMARY KEY, email text, region int);"
    "INSERT INTO customer SELECT i, 'user' || i || '@example.com', i % 50 FROM generate_series(1, "
    "50000) i;"
    "CREATE TABLE sale (id int PRIMARY KEY, cid int REFERENCES customer, state text, at "
    "timestamptz,"
    " total int, pad text);"
    "INSERT INTO sale SELECT i, 1 + (i * 7919) % 50000, CASE WHEN i % 100 = 0 THEN 'open' ELSE "
    "'done'"
    " END, timestamptz '2024-01-01' + i * interval '1 min', i % 1000, repeat('x', 60)"
    " FROM generate_series(1, 200000) i;"
    "CREATE TABLE \"Camel Case\" (\"The Key\" int, \"Select\" text);"
    "INSERT INTO \"Camel Case\" SELECT i, md5(i::text) FROM generate_series(1, 50000) i;"
    "CREATE TABLE part (id int, at date, v int) PARTITION BY RANGE (at);"
    "CREATE TABLE part1 PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');"
    "CREATE TABLE part2 PARTITION OF part FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');"
    "INSERT INTO part SELECT i, date '2024-01-01' + i % 360, i FROM generate_series(1, 100000) i;"
    "CREATE TABLE touched (n int);"
    "CREATE FUNCTION touch(i int) RETURNS int LANGUAGE plpgsql VOLATILE AS"
    " $$BEGIN INSERT INTO touched VALUES (i); RETURN i; END$$;"
    "CREATE SEQUENCE seq;"
    "CREATE TABLE counter (id int PRIMARY KEY, n int, tag int);"
    "INSERT INTO counter SELECT i, i, i % 500 FROM generate_series(1, 50000) i;";

static int start(void **state)
{
    return pw_fixture_start_with(state, schema_sql);
}

/* The create advice whose SQL contains this. */
static const struct advice *creates(const struct advice_set *s, const char *part)
{
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE && strstr(s->items[k].sql, part))
            return &s->items[k];
    pw_fixture_print(s);
    fail_msg("no index %s is advised", part);
    return NULL;
}

static void proposes_what_each_shape_needs(void **state)
{
    struct advice_set *s = pw_fixture_advise(
        *state,
        "-- weight: 500\n"
        "SELECT total FROM sale WHERE cid = 42;\n"
        "-- weight: 100\n"
        "SELECT id FROM sale WHERE state = 'open' ORDER BY at DESC LIMIT 10;\n"
        "-- weight: 50\n"
        "SELECT \"Select\" FROM \"Camel Case\" WHERE \"The Key\" = 7;\n"
        "-- weight: 50\n"
        "SELECT * FROM part WHERE v = 17;\n"
        "-- weight: 20\n"
        "SELECT * FROM customer WHERE lower(email) = 'user9@example.com';\n"
        "-- weight: 20\n"
        "SELECT id FROM customer WHERE email LIKE 'user123%';\n"
        "SELECT \"The Key\" FROM \"Camel Case\" WHERE \"Select\" LIKE '%abc12%';\n",
        NULL);
    creates(s, "ON public.sale (cid)");
    assert_non_null(strstr(creates(s, "ON public.sale (at")->sql, "WHERE state = 'open'"));
    creates(s, "ON public.\"Camel Case\" (\"The Key\")");
    creates(s, "(lower(email))");
    creates(s, "(email text_pattern_ops)");
    creates(s, "USING gin (\"Select\" gin_trgm_ops)");
    const char *sql = creates(s, "ON ONLY public.part (v)")->sql;
    assert_non_null(strstr(sql, "CONCURRENTLY part1_p1_idx ON public.part1 (v)"));
    assert_non_null(strstr(sql, "ATTACH PARTITION public.part2_p2_idx"));
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE) {
            assert_true(s->items[k].n_queries > 0);
            assert_true(s->items[k].queries[0].cost_before > s->items[k].queries[0].cost_after);
            assert_true(s->items[k].size_bytes > 0);
        }
    assert_true(s->summary.cost_after < s->summary.cost_before);
    assert_int_equal(pw_advice_count(s, ADVICE_FK_INDEX), 0); /* sale(cid) serves it */
    pw_advice_set_unref(s);
}

static void what_is_advised_can_be_built_and_is_then_used(void **state)
{
    struct fixture *f = *state;
    static const char workload[] = "-- weight: 100\nSELECT * FROM sale WHERE cid = 42;\n"
                                   "SELECT * FROM \"Camel Case\" WHERE \"The Key\" = 7;\n"
                                   "SELECT * FROM part WHERE v = 17;\n";
    struct advice_set *s = pw_fixture_advise(f, workload, NULL);
    assert_int_equal(pw_advice_count(s, ADVICE_CREATE), 3);
    double promised = s->summary.cost_after;
    for (size_t k = 0; k < s->n_items; k++) {
        char *sql = strdup(s->items[k].sql), *save = NULL;
        for (char *line = strtok_r(sql, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
            pw_fixture_sql(f, line);
        free(sql);
    }
    pw_fixture_sql(f, "ANALYZE");
    struct advice_set *again = pw_fixture_advise(f, workload, NULL);
    assert_int_equal(pw_advice_count(again, ADVICE_CREATE), 0);
    /* The promise was about what the real indexes give (row estimates move with each ANALYZE). */
    assert_true(again->summary.cost_before < promised * 1.3);
    assert_true(again->summary.cost_before > promised * 0.7);
    for (size_t k = 0; k < s->n_items; k++) {
        const char *object = strchr(s->items[k].object, '.') + 1;
        char sql[512];
        snprintf(sql, sizeof(sql),
                 "SELECT pg_relation_size(c.oid) FROM pg_class c WHERE relname = '%s'"
                 " AND relkind = 'i'",
                 object);
        double real = atof(pw_fixture_value(f, sql));
        if (real >
            0) /* our size, not HypoPG's: which takes what ANALYZE guessed about distinct values */
            assert_true(s->items[k].size_bytes < real * 1.3 + 16384 &&
                        s->items[k].size_bytes > real * 0.7 - 16384);
        char *undo = strdup(s->items[k].undo_sql);
        pw_fixture_sql(f, undo);
        free(undo);
    }
    pw_advice_set_unref(again);
    pw_advice_set_unref(s);
}

static void stays_within_the_budget(void **state)
{
    static const char workload[] =
        "SELECT total FROM sale WHERE cid = 42; SELECT id FROM sale WHERE total = 5;"
        "SELECT id FROM sale WHERE at > '2024-05-01' AND at < '2024-05-02'; SELECT * FROM customer "
        "WHERE "
        "region = 7; SELECT * FROM customer WHERE email = 'x'; SELECT * FROM part WHERE v = 1;";
    double last = 1e300;
    for (int mb = 1; mb <= 16; mb *= 2) {
        struct advise_job job = {.o = {.budget_bytes = (uint64_t)mb << 20}};
        struct advice_set *s = pw_fixture_advise(*state, workload, &job);
        double bytes = 0;
        for (size_t k = 0; k < s->n_items; k++)
            bytes += s->items[k].kind == ADVICE_CREATE ? s->items[k].size_bytes : 0;
        assert_true(bytes <= (double)job.o.budget_bytes);
        assert_true(s->summary.cost_after <= last * 1.0001);
        last = s->summary.cost_after;
        pw_advice_set_unref(s);
    }
}

static void writes_are_charged(void **state)
{
    /* The index would help one rare read a little and cost every write. */
    struct advice_set *s =
        pw_fixture_advise(*state,
                          "-- weight: 100000\nUPDATE counter SET tag = 5 WHERE id = 77;\n"
                          "SELECT count(*) FROM counter WHERE tag = 5;\n",
                          NULL);
    assert_int_equal(pw_advice_count(s, ADVICE_CREATE), 0);
    pw_advice_set_unref(s);
    s = pw_fixture_advise(*state,
                          "UPDATE counter SET tag = 5 WHERE id = 77;\n"
                          "-- weight: 1000\nSELECT count(*) FROM counter WHERE tag = 5;\n",
                          NULL);
    creates(s, "ON public.counter (tag)");
    pw_advice_set_unref(s);
}

static void nothing_that_exists_is_proposed(void **state)
{
    struct fixture *f = *state;
    pw_fixture_sql(f, "CREATE INDEX sale_total_at ON sale (total, at); ANALYZE sale");
    struct advice_set *s =
        pw_fixture_advise(f,
                          "SELECT * FROM sale WHERE total = 5;"
                          "SELECT * FROM sale WHERE total = 5 ORDER BY at LIMIT 3;"
                          "SELECT * FROM sale WHERE id = 5;",
                          NULL);
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE)
            fail_msg("proposed: %s", s->items[k].sql);
    pw_advice_set_unref(s);
    pw_fixture_sql(f, "DROP INDEX sale_total_at");
}

static void advising_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct advice_set *s = pw_fixture_advise(
        f,
        "SELECT touch(1); SELECT nextval('seq'); DELETE FROM sale; UPDATE sale SET total = 0;"
        "INSERT INTO touched VALUES (1); WITH d AS (DELETE FROM customer RETURNING *) SELECT * "
        "FROM d;"
        "SELECT * FROM sale WHERE cid = touch(3); DROP TABLE sale; SELECT id INTO stolen FROM "
        "sale;",
        NULL);
    assert_true(s->partial); /* DROP TABLE is no query: said */
    pw_advice_set_unref(s);
    assert_string_equal(pw_fixture_value(f, "SELECT count(*) FROM sale"), "200000");
    assert_string_equal(pw_fixture_value(f, "SELECT sum(total) > 0 FROM sale"), "t");
    assert_string_equal(pw_fixture_value(f, "SELECT count(*) FROM touched"), "0");
    assert_string_equal(pw_fixture_value(f, "SELECT is_called FROM seq"), "f");
    assert_string_equal(pw_fixture_value(f, "SELECT to_regclass('stolen') IS NULL"), "t");
}

static void says_what_it_skipped(void **state)
{
    struct advice_set *s = pw_fixture_advise(*state,
                                             "SELECT 1;\n\nSELEC broken;\n"
                                             "SELECT secret_column FROM sale WHERE id = 777123;\n"
                                             "SELECT * FROM absent;\n"
                                             "SELECT total FROM sale WHERE cid = 42;",
                                             NULL);
    assert_true(s->partial);
    bool line3 = false, line4 = false, line5 = false;
    for (size_t k = 0; k < s->n_notes; k++) {
        line3 = line3 || strstr(s->notes[k], "line 3 skipped");
        line4 = line4 || strstr(s->notes[k], "line 4 skipped");
        line5 = line5 || strstr(s->notes[k], "line 5 skipped");
        assert_null(strstr(s->notes[k], "777123"));
    }
    assert_true(line3 && line4 && line5);
    creates(s, "ON public.sale (cid)");
    pw_advice_set_unref(s);
}

static void works_without_hypopg(void **state)
{
    struct advise_job job = {.no_hypopg = true};
    struct advice_set *s = pw_fixture_advise(
        *state, "SELECT total FROM sale WHERE cid = 42; SELECT * FROM customer WHERE id = 3;",
        &job);
    assert_int_equal(creates(s, "ON public.sale (cid)")->confidence, ADVICE_LOW);
    assert_int_equal(pw_advice_count(s, ADVICE_CREATE), 1);
    assert_true(s->partial);
    pw_advice_set_unref(s);
}

static void reads_pg_stat_statements(void **state)
{
    struct fixture *f = *state;
    pw_fixture_sql(f, "SELECT pg_stat_statements_reset()");
    pw_fixture_sql(f, "SELECT total FROM sale WHERE cid = 123456");
    pw_fixture_sql(f, "SELECT total FROM sale WHERE cid = 123457");
    pw_fixture_sql(f, "SELECT id FROM sale WHERE at > timestamptz '2024-01-05' - interval '1 day'"
                      " AND state = 'open' ORDER BY at LIMIT 3");
    struct advice_set *s = pw_fixture_advise(f, "pg_stat_statements", NULL);
    const struct advice *a = creates(s, "ON public.sale (cid)");
    assert_int_equal(a->confidence, ADVICE_MEDIUM); /* the values were drawn from statistics */
    assert_true(a->queries[0].calls == 2);
    assert_string_equal(s->source, "pg_stat_statements");
    struct buf b;
    pw_buf_init(&b, 1 << 24);
    pw_advice_render_json(s, &b);
    pw_buf_append_u8(&b, 0);
    assert_null(strstr(b.data, "12345")); /* no value anywhere */
    pw_buf_free(&b);
    pw_advice_set_unref(s);
}

static void says_what_its_role_may_not_see(void **state)
{
    struct fixture *f = *state;
    pw_fixture_sql(f, "CREATE ROLE guest LOGIN");
    char conninfo[256];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d user=guest dbname=postgres",
             f->port);
    struct advise_job job = {.conninfo = conninfo};
    struct advice_set *s = pw_fixture_advise(f, "SELECT total FROM sale WHERE cid = 42;", &job);
    assert_true(s->partial);
    assert_true(s->n_notes > 0);
    pw_advice_set_unref(s);
    pw_fixture_sql(f, "GRANT SELECT ON sale TO guest");
    s = pw_fixture_advise(f, "SELECT total FROM sale WHERE cid = 42;", &job);
    creates(s, "ON public.sale (cid)");
    pw_advice_set_unref(s);
}

static void every_report_is_complete(void **state)
{
    struct advice_set *s = pw_fixture_advise(
        *state, "SELECT \"Select\" AS \"<i>x\" FROM \"Camel Case\" WHERE \"The Key\" = 7;", NULL);
    struct buf b;
    pw_buf_init(&b, 1 << 24);
    assert_true(pw_advice_render_json(s, &b));
    cJSON *tree = cJSON_ParseWithLength(b.data, b.len);
    assert_non_null(tree);
    static const char *const fields[] = {"generated_at", "database", "source",
                                         "window",       "summary",  "advice"};
    for (size_t k = 0; k < PW_COUNT_OF(fields); k++)
        assert_non_null(cJSON_GetObjectItem(tree, fields[k]));
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "advice"), 0);
    static const char *const inner[] = {
        "id",         "kind",        "table",      "object", "columns",  "sql",    "undo_sql",
        "size_bytes", "benefit_pct", "confidence", "reason", "evidence", "queries"};
    for (size_t k = 0; k < PW_COUNT_OF(inner); k++)
        assert_non_null(cJSON_GetObjectItem(first, inner[k]));
    cJSON_Delete(tree);
    pw_buf_reset(&b);
    assert_true(pw_advice_render_html(s, &b));
    pw_buf_append_u8(&b, 0);
    assert_null(strstr(b.data, "<i>")); /* escaped */
    assert_null(strstr(b.data, "http"));
    pw_buf_reset(&b);
    assert_true(pw_advice_render_sql(s, &b));
    pw_buf_append_u8(&b, 0);
    assert_non_null(strstr(b.data, "CREATE INDEX CONCURRENTLY"));
    pw_buf_free(&b);
    pw_advice_set_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proposes_what_each_shape_needs),
        cmocka_unit_test(what_is_advised_can_be_built_and_is_then_used),
        cmocka_unit_test(stays_within_the_budget),
        cmocka_unit_test(writes_are_charged),
        cmocka_unit_test(nothing_that_exists_is_proposed),
        cmocka_unit_test(advising_changes_nothing),
        cmocka_unit_test(says_what_it_skipped),
        cmocka_unit_test(works_without_hypopg),
        cmocka_unit_test(reads_pg_stat_statements),
        cmocka_unit_test(says_what_its_role_may_not_see),
        cmocka_unit_test(every_report_is_complete),
    };
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
