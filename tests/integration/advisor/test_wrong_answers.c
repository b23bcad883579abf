/*
 * The wrong answers that other tools were seen to give (field notes, section 1c), one test each:
 * here they must come out right.
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

static int start(void **state)
{
    if (pw_fixture_start(state) != 0)
        return -1;
    pw_fixture_sql(*state, "CREATE EXTENSION hypopg; CREATE EXTENSION pg_trgm;"
                           "CREATE EXTENSION pgstattuple");
    return 0;
}

/* The tables of one test: made, advised on (small indexes too), and dropped. */
static struct advice_set *advise(struct fixture *f, const char *schema, const char *workload)
{
    struct advise_job job = {.o = {.min_index_size = 1}};
    pw_fixture_sql(f,
                   "DROP SCHEMA IF EXISTS w CASCADE; CREATE SCHEMA w; SET search_path = w, public");
    pw_fixture_sql(f, schema);
    pw_fixture_sql(f, "SELECT pg_stat_force_next_flush()");
    pw_fixture_sql(f, "VACUUM ANALYZE");
    return pw_fixture_advise(f, workload, &job);
}

static bool drops(const struct advice_set *s, const char *index)
{
    return pw_fixture_find(s, ADVICE_DROP_REDUNDANT, index) ||
           pw_fixture_find(s, ADVICE_DROP_UNUSED, index);
}

#define ROWS " FROM generate_series(1, 30000) i;"

/* 1: direction, NULLS, access method, INCLUDE and operator class are part of what an index is. */
static void other_order_method_or_class_is_no_duplicate(void **state)
{
    struct advice_set *s =
        advise(*state,
               "CREATE TABLE t (z int, x text, y int); INSERT INTO t SELECT i, i::text, i" ROWS
               "CREATE INDEX z_asc ON t (z); CREATE INDEX z_desc_last ON t (z DESC NULLS LAST);"
               "CREATE INDEX z_hash ON t USING hash (z); CREATE INDEX z_inc ON t (z) INCLUDE (y);"
               "CREATE INDEX x_plain ON t (x); CREATE INDEX x_pattern ON t (x text_pattern_ops);"
               "CREATE INDEX x_trgm ON t USING gin (x gin_trgm_ops);",
               NULL);
    assert_null(pw_fixture_find(s, ADVICE_DROP_REDUNDANT, "z_desc_last"));
    assert_null(pw_fixture_find(s, ADVICE_DROP_REDUNDANT, "z_hash"));
    assert_null(pw_fixture_find(s, ADVICE_DROP_REDUNDANT, "z_inc"));
    assert_null(pw_fixture_find(s, ADVICE_DROP_REDUNDANT, "x_plain"));
    assert_null(pw_fixture_find(s, ADVICE_DROP_REDUNDANT, "x_pattern"));
    assert_null(pw_fixture_find(s, ADVICE_DROP_REDUNDANT, "x_trgm"));
    assert_non_null(pw_fixture_find(s, ADVICE_DROP_REDUNDANT, "z_asc")); /* z_inc has it all */
    pw_advice_set_unref(s);
}

/* 2: another collation is another order; column 1 is no prefix of column 10. */
static void other_collation_or_column_is_no_duplicate(void **state)
{
    struct advice_set *s =
        advise(*state,
               "CREATE TABLE t (c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9"
               " int, c10 int, x text); INSERT INTO t (c1, c10, x) SELECT i, i, i::text" ROWS
               "CREATE INDEX c_1 ON t (c1); CREATE INDEX c_10 ON t (c10);"
               "CREATE INDEX x_default ON t (x); CREATE INDEX x_c ON t (x COLLATE \"C\");",
               NULL);
    assert_int_equal(pw_advice_count(s, ADVICE_DROP_REDUNDANT), 0);
    pw_advice_set_unref(s);
}

/* 3: a partial index or one with a gap does not serve a foreign key; any order of its columns does.
 */
static void foreign_keys_both_ways(void **state)
{
    struct advice_set *s =
        advise(*state,
               "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); INSERT INTO p SELECT i, i" ROWS
               "CREATE TABLE q (id int PRIMARY KEY); INSERT INTO q SELECT i" ROWS
               "CREATE TABLE c1 (id int, r int REFERENCES q); INSERT INTO c1 SELECT i, i" ROWS
               "CREATE INDEX c1_part ON c1 (r) WHERE id > 5;"
               "CREATE TABLE c2 (a int, x int, b int, FOREIGN KEY (a, b) REFERENCES p);"
               "INSERT INTO c2 SELECT i, i, i" ROWS "CREATE INDEX c2_gap ON c2 (a, x, b);"
               "CREATE TABLE c3 (a int, b int, FOREIGN KEY (a, b) REFERENCES p);"
               "INSERT INTO c3 SELECT i, i" ROWS "CREATE INDEX c3_swapped ON c3 (b, a);",
               NULL);
    assert_non_null(pw_fixture_find(s, ADVICE_FK_INDEX, "c1_r_fk_idx"));
    assert_non_null(pw_fixture_find(s, ADVICE_FK_INDEX, "c2_a_fk_idx"));
    assert_int_equal(pw_advice_count(s, ADVICE_FK_INDEX), 2);
    assert_false(drops(s, "c3_swapped")); /* never scanned, but deletes need it */
    pw_advice_set_unref(s);
}

/* 4: of a redundant pair, both never scanned, one stays. */
static void never_both_halves(void **state)
{
    struct advice_set *s =
        advise(*state,
               "CREATE TABLE t (a int, b int, c int); INSERT INTO t SELECT i, i, i" ROWS
               "CREATE INDEX a_1 ON t (a); CREATE INDEX a_2 ON t (a); CREATE INDEX bc ON t (b, c);"
               "CREATE INDEX b ON t (b); CREATE INDEX c1 ON t (c); CREATE INDEX c2 ON t (c);"
               "CREATE INDEX c3 ON t (c);",
               NULL);
    assert_int_equal(drops(s, "a_1") + drops(s, "a_2"), 1);
    assert_int_equal(drops(s, "b") + drops(s, "bc"), 1);
    assert_int_equal(drops(s, "c1") + drops(s, "c2") + drops(s, "c3"), 2);
    pw_advice_set_unref(s);
}

/* 5: what was just built is not bloated: with many equal keys, with NULLs, with INCLUDE, unique. */
static void fresh_is_not_bloated(void **state)
{
    struct advice_set *s = advise(
        *state,
        "CREATE TABLE t (id int PRIMARY KEY, n int, d int, x text, e numeric);"
        "INSERT INTO t SELECT i, CASE WHEN i % 2 = 0 THEN i END, i % 7, md5(i::text), i FROM"
        " generate_series(1, 400000) i;"
        "CREATE INDEX n ON t (n); CREATE INDEX d ON t (d); CREATE INDEX x ON t (x);"
        "CREATE INDEX inc ON t (n) INCLUDE (x); CREATE INDEX e ON t (e); CREATE UNIQUE INDEX u ON t"
        " (x, id); CREATE INDEX half ON t (id) WHERE n IS NULL; CREATE INDEX expr ON t ((id % "
        "100));",
        NULL);
    if (pw_advice_count(s, ADVICE_REBUILD))
        pw_fixture_print(s);
    assert_int_equal(pw_advice_count(s, ADVICE_REBUILD), 0);
    pw_advice_set_unref(s);
}

/* 6 and 7: names that need quotes are advised on, and what is advised runs as it is. */
static void quoted_names_are_advised_and_run(void **state)
{
    static const char workload[] =
        "SELECT * FROM w.\"CamelCase\" WHERE \"User Id\" = 7;"
        "SELECT * FROM w.\"select\" t WHERE t.\"from\" = 7 AND t.\"a\"\"b\" = 3;";
    struct advice_set *s = advise(
        *state,
        "CREATE TABLE \"CamelCase\" (\"User Id\" int, v text); INSERT INTO \"CamelCase\" SELECT i, "
        "i" ROWS "CREATE TABLE \"select\" (\"from\" int, \"a\"\"b\" int); INSERT INTO \"select\" "
        "SELECT i, i" ROWS "CREATE TABLE camelcase (\"User Id\" int);",
        workload);
    assert_int_equal(pw_advice_count(s, ADVICE_CREATE), 2);
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE) {
            assert_true(strstr(s->items[k].sql, "w.\"CamelCase\" (\"User Id\"") ||
                        strstr(s->items[k].sql, "w.\"select\" ("));
            pw_fixture_sql(*state, s->items[k].sql);
        }
    pw_fixture_sql(*state, "ANALYZE");
    struct advice_set *again = pw_fixture_advise(*state, workload, NULL);
    if (pw_advice_count(again, ADVICE_CREATE))
        pw_fixture_print(again);
    assert_int_equal(pw_advice_count(again, ADVICE_CREATE), 0);
    pw_advice_set_unref(again);
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE)
            pw_fixture_sql(*state, s->items[k].undo_sql);
    pw_advice_set_unref(s);
}

/* 8: a hypothetical index seems cheaper than the same real one; what exists is not advised again,
 * nor its prefix, nor its reverse. */
static void what_exists_is_not_advised(void **state)
{
    struct advice_set *s = advise(
        *state,
        "CREATE TABLE t (a int, b int, c text); INSERT INTO t SELECT i % 3000, i, md5(i::text)" ROWS
        "CREATE TABLE u (a int, d int); INSERT INTO u SELECT i % 3000, i" ROWS
        "CREATE INDEX ab ON t (a, b); CREATE INDEX ua ON u (a); CREATE INDEX lc ON t"
        " (lower(c));",
        "SELECT * FROM w.t JOIN w.u USING (a) WHERE t.a < 100 AND u.d < 900;"
        "SELECT * FROM w.t WHERE a = 5; SELECT * FROM w.t WHERE a = 5 ORDER BY b DESC LIMIT 3;"
        "SELECT * FROM w.t WHERE lower(c) = 'x';");
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE) {
            assert_null(strstr(s->items[k].sql, "w.t (a)"));
            assert_null(strstr(s->items[k].sql, "w.t (a, b)"));
            assert_null(strstr(s->items[k].sql, "w.t (a, b DESC"));
            assert_null(strstr(s->items[k].sql, "w.u (a)"));
            assert_null(strstr(s->items[k].sql, "lower"));
        }
    pw_advice_set_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_order_method_or_class_is_no_duplicate),
        cmocka_unit_test(other_collation_or_column_is_no_duplicate),
        cmocka_unit_test(foreign_keys_both_ways),
        cmocka_unit_test(never_both_halves),
        cmocka_unit_test(fresh_is_not_bloated),
        cmocka_unit_test(quoted_names_are_advised_and_run),
        cmocka_unit_test(what_exists_is_not_advised),
    };
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
