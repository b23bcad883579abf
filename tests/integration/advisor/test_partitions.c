/*
 * Partitioned tables: each kind of index is advised on the parent and, once built by the SQL of the
 * advice, is what the server's own plan uses in every partition it reads; two levels deep, and also
 * for statements that read a few partitions only.
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
    "CREATE TABLE ev (id int, day int, a int, doc jsonb, r int4range, p point, txt text)"
    " PARTITION BY RANGE (day);"
    "CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM (0) TO (10);"
    "CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM (10) TO (20);"
    "CREATE TABLE ev_3 PARTITION OF ev FOR VALUES FROM (20) TO (30);"
    "INSERT INTO ev SELECT i, i % 30, i % 5000, jsonb_build_object('k', i % 3000),"
    " int4range(i * 3, i * 3 + 2), point(i % 1000, i / 100), md5(i::text)"
    " FROM generate_series(1, 90000) i;";

static int start(void **state)
{
    return pw_fixture_start_with(state, schema_sql);
}

struct shape {
    const char *sql, *index, *plan;
    int scans; /* partitions whose index the plan names */
};

static const struct shape shapes[] = {
    {"SELECT * FROM ev WHERE a = 7", "(a)", "a = 7", 3},
    {"SELECT id FROM ev WHERE doc @> '{\"k\": 17}'", "USING gin (doc jsonb_path_ops)", "doc @>", 3},
    {"SELECT id FROM ev WHERE txt LIKE '%abc12%'", "USING gin (txt gin_trgm_ops)", "txt ~~", 3},
    {"SELECT id FROM ev WHERE r && int4range(300, 310)", "USING gist (r)", "r &&", 3},
    {"SELECT id FROM ev WHERE p <@ box '((10,10),(12,12))'", "USING gist (p)", "p <@", 3},
    {"SELECT id FROM ev ORDER BY p <-> point '(5,5)' LIMIT 3", "USING gist (p)", "p <->", 3},
    {"SELECT id FROM ev WHERE doc @> '{\"k\": 17}' AND day = 13", "USING gin (doc", "doc @>", 1},
    {"SELECT * FROM ev WHERE lower(txt) = 'abc'", "(lower(txt))", "lower", 3},
};

/* A statement a line: CONCURRENTLY cannot run together with others. */
static void build(struct fixture *f, const char *sql)
{
    char *all = strdup(sql);
    for (char *at = all, *line; (line = strsep(&at, "\n"));)
        if (*line)
            pw_fixture_sql(f, line);
    free(all);
}

static int lines_with(struct fixture *f, const char *sql, const char *a, const char *b)
{
    char text[1024];
    int n = 0, others = 0;
    snprintf(text, sizeof(text), "EXPLAIN %s", sql);
    struct pgresult *r = pw_pgsync_query(f->pg, text, 0, NULL);
    for (int k = 0; k < pw_pgresult_rows(r); k++) {
        n += strstr(pw_pgresult_get(r, k, 0), a) != NULL;
        others += strstr(pw_pgresult_get(r, k, 0), b) != NULL;
    }
    for (int k = 0; !others && k < pw_pgresult_rows(r); k++)
        fprintf(stderr, "%s\n", pw_pgresult_get(r, k, 0));
    pw_pgresult_free(r);
    return others ? n : -1;
}

static bool check(struct fixture *f, const struct shape *shape)
{
    struct advice_set *s = pw_fixture_advise(f, shape->sql, NULL);
    const struct advice *found = NULL;
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE && strcmp(s->items[k].table, "public.ev") == 0 &&
            strstr(s->items[k].sql, shape->index))
            found = &s->items[k];
    bool ok = found && found->n_queries == 1 &&
              found->queries[0].cost_after < found->queries[0].cost_before &&
              found->queries[0].cost_after > 0;
    if (!ok)
        pw_fixture_print(s);
    if (ok) {
        build(f, found->sql);
        pw_fixture_sql(f, "ANALYZE ev"); /* expressions */
        int scans = lines_with(f, shape->sql, "ev_", shape->plan);
        int indexed = lines_with(f, shape->sql, "_idx", shape->plan);
        ok = scans >= shape->scans && indexed == shape->scans;
        if (!ok)
            fprintf(stderr, "%s: %d of %d partitions by index\n", shape->sql, indexed,
                    shape->scans);
        pw_fixture_sql(f, found->undo_sql);
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

/* What is read of the other partitions is not saved by an index. */
static void a_saving_is_of_the_partitions_that_are_read(void **state)
{
    struct fixture *f = *state;
    double saved[2];
    const char *const sql[] = {"SELECT id FROM ev WHERE doc @> '{\"k\": 17}' AND day = 13",
                               "SELECT id FROM ev WHERE doc @> '{\"k\": 17}'"};
    for (int k = 0; k < 2; k++) {
        struct advice_set *s = pw_fixture_advise(f, sql[k], NULL);
        assert_int_equal(pw_advice_count(s, ADVICE_CREATE), 1);
        saved[k] = s->summary.cost_before - s->summary.cost_after;
        pw_advice_set_unref(s);
    }
    assert_true(saved[0] > 0 && saved[1] > 2.5 * saved[0] && saved[1] < 3.5 * saved[0]);
}

/* A build is of one partition, CONCURRENTLY, or of no rows at all. */
static void assert_builds_without_blocking(const char *sql)
{
    char *all = strdup(sql);
    for (char *at = all, *line; (line = strsep(&at, "\n"));)
        if (strncmp(line, "CREATE INDEX", 12) == 0)
            assert_true(strstr(line, " CONCURRENTLY ") || strstr(line, " ON ONLY ") ||
                        (fprintf(stderr, "%s\n", line), false));
    free(all);
}

static void a_foreign_key_of_a_partitioned_table(void **state)
{
    struct fixture *f = *state;
    pw_fixture_sql(f, "CREATE TABLE owner (id int PRIMARY KEY);"
                      "INSERT INTO owner SELECT generate_series(0, 999);"
                      "CREATE TABLE owned (id int, day int, owner int REFERENCES owner)"
                      " PARTITION BY RANGE (day);"
                      "CREATE TABLE owned_1 PARTITION OF owned FOR VALUES FROM (0) TO (10)"
                      " PARTITION BY HASH (id);"
                      "CREATE TABLE owned_1a PARTITION OF owned_1 FOR VALUES WITH (MODULUS 1, "
                      "REMAINDER 0);"
                      "CREATE TABLE owned_2 PARTITION OF owned FOR VALUES FROM (10) TO (20);"
                      "INSERT INTO owned SELECT i, i % 20, i % 1000 FROM generate_series(1, 60000) "
                      "i; ANALYZE owner, owned;");
    struct advice_set *s =
        pw_fixture_advise(f, "-- weight: 7\nDELETE FROM owner WHERE id = 5;", NULL);
    const struct advice *found = NULL;
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_FK_INDEX && strcmp(s->items[k].table, "public.owned") == 0)
            found = &s->items[k];
    assert_true(found || (pw_fixture_print(s), false));
    assert_int_equal(found->confidence, ADVICE_HIGH);
    assert_non_null(strstr(found->reason, "7 times"));
    assert_true(found->size_bytes > 100000 && found->size_bytes < 1000000);
    assert_builds_without_blocking(found->sql);
    build(f, found->sql);
    assert_string_equal(
        pw_fixture_value(f, "SELECT count(*) FROM pg_index WHERE indisvalid AND indrelid IN "
                            "('owned'::regclass, 'owned_1'::regclass, 'owned_1a'::regclass, "
                            "'owned_2'::regclass)"),
        "4");
    pw_advice_set_unref(s);
}

static void two_levels_deep(void **state)
{
    struct fixture *f = *state;
    pw_fixture_sql(f, "CREATE TABLE deep (id int, day int, doc jsonb) PARTITION BY RANGE (day);"
                      "CREATE TABLE deep_1 PARTITION OF deep FOR VALUES FROM (0) TO (10)"
                      " PARTITION BY HASH (id);"
                      "CREATE TABLE deep_1a PARTITION OF deep_1 FOR VALUES WITH (MODULUS 2, "
                      "REMAINDER 0);"
                      "CREATE TABLE deep_1b PARTITION OF deep_1 FOR VALUES WITH (MODULUS 2, "
                      "REMAINDER 1);"
                      "INSERT INTO deep SELECT i, i % 10, jsonb_build_object('k', i % 3000)"
                      " FROM generate_series(1, 60000) i; ANALYZE deep;");
    struct advice_set *s =
        pw_fixture_advise(f, "SELECT id FROM deep WHERE doc @> '{\"k\": 17}'", NULL);
    assert_int_equal(pw_advice_count(s, ADVICE_CREATE), 1);
    assert_string_equal(s->items[0].table, "public.deep");
    assert_builds_without_blocking(s->items[0].sql);
    build(f, s->items[0].sql);
    assert_string_equal(
        pw_fixture_value(f, "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid"
                            " WHERE indrelid IN ('deep'::regclass, 'deep_1'::regclass,"
                            " 'deep_1a'::regclass, 'deep_1b'::regclass) AND indisvalid"),
        "4");
    pw_advice_set_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shape_is_advised_and_used),
        cmocka_unit_test(a_saving_is_of_the_partitions_that_are_read),
        cmocka_unit_test(two_levels_deep),
        cmocka_unit_test(a_foreign_key_of_a_partitioned_table),
    };
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
