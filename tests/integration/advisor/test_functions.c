/*
 * Function advice about what a function does to the statements that call it: each is given where it
 * is due and not beside it, and what it says is so: the server's own plans change as promised, and
 * UNDO brings back what was there.
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
    "CREATE TABLE t (id int PRIMARY KEY, tenant int, b text);"
    "INSERT INTO t SELECT i, i % 50, repeat('b', 100) FROM generate_series(1, 80000) i;"
    "CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small SELECT generate_series(1, 100);"
    "CREATE ROLE app; GRANT ALL ON t, small TO app;"
    "CREATE SCHEMA auth; GRANT USAGE ON SCHEMA auth TO app;"
    "CREATE FUNCTION auth.tenant(int) RETURNS int LANGUAGE sql STABLE AS"
    " $$SELECT current_setting('app.tenant', true)::int + $1$$;"
    "CREATE FUNCTION auth.tenants() RETURNS int[] LANGUAGE sql STABLE AS"
    " $$SELECT ARRAY[current_setting('app.tenant', true)::int]$$;"
    "CREATE FUNCTION auth.dice() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';"
    "CREATE FUNCTION shift(a int) RETURNS int LANGUAGE plpgsql AS"
    " 'DECLARE x int; BEGIN x := a; RETURN x + 1; END';"
    "CREATE FUNCTION shift_fixed(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS"
    " 'DECLARE x int; BEGIN x := a; RETURN x + 1; END';"
    "CREATE FUNCTION inlined(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + 1';"
    "CREATE FUNCTION counts() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM small';"
    "CREATE FUNCTION acts(a int) RETURNS int LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO small VALUES (a); RETURN 1; END';"
    "CREATE FUNCTION catches(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS"
    " $$BEGIN RETURN 1 / a; EXCEPTION /* of a */ WHEN division_by_zero THEN RETURN 0; END$$;"
    "CREATE FUNCTION raises(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS"
    " $$BEGIN -- exception when\n IF a < 0 THEN RAISE EXCEPTION 'exception when %', a; END IF;"
    " RETURN a; END$$;"
    "CREATE FUNCTION with_path(a int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE"
    " SET search_path = public, \"Odd, one\" SET work_mem = '5MB' AS 'SELECT a + 1';"
    "CREATE FUNCTION with_jit(a int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE"
    " SET jit = off AS 'SELECT a + 1';"
    "CREATE FUNCTION hardened(a int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE"
    " SECURITY DEFINER SET search_path = public AS 'SELECT a + 1';";

static int start(void **state)
{
    return pw_fixture_start_with(state, schema_sql);
}

static struct advice_set *advise(struct fixture *f, const char *workload)
{
    struct advise_job job = {.what = ADVISE_FUNCTIONS_UNMEASURED};
    return pw_fixture_advise(f, workload, &job);
}

static const char *fact(const struct advice *a, const char *name)
{
    for (size_t k = 0; k < a->n_facts; k++)
        if (strcmp(a->facts[k].name, name) == 0)
            return a->facts[k].value;
    return "";
}

/* By rule ("FN-4") and object; NULL: not advised. */
static const struct advice *find(const struct advice_set *s, const char *rule, const char *object)
{
    for (size_t k = 0; k < s->n_items; k++)
        if (strstr(fact(&s->items[k], "rule"), rule) && strstr(s->items[k].object, object))
            return &s->items[k];
    return NULL;
}

static const struct advice *must_find(const struct advice_set *s, const char *rule,
                                      const char *object)
{
    const struct advice *a = find(s, rule, object);
    if (!a)
        pw_fixture_print(s);
    assert_non_null(a);
    return a;
}

static bool plan_has(struct fixture *f, const char *sql, const char *what)
{
    char text[512];
    bool found = false;
    snprintf(text, sizeof(text), "EXPLAIN %s", sql);
    struct pgresult *r = pw_pgsync_query(f->pg, text, 0, NULL);
    assert_true(pw_pgresult_ok(r));
    for (int k = 0; k < pw_pgresult_rows(r); k++)
        found = found || strstr(pw_pgresult_get(r, k, 0), what);
    pw_pgresult_free(r);
    return found;
}

static void fn4_a_call_hides_an_index(void **state)
{
    struct advice_set *s = advise(*state, "SELECT * FROM t WHERE shift_fixed(id) = 7;"
                                          "SELECT * FROM t WHERE shift(t.id) < 7;"
                                          "SELECT inlined(id) FROM t WHERE id = inlined(7);"
                                          "SELECT * FROM t WHERE raises(tenant) = 3;");
    const struct advice *a = must_find(s, "FN-4", "shift_fixed");
    assert_string_equal(fact(a, "hidden_index"), "\"public.t_pkey\"");
    assert_null(strstr(a->reason, "make the function IMMUTABLE"));
    a = must_find(s, "FN-4", "shift");
    for (size_t k = 0; k < s->n_items; k++)
        if (strcmp(s->items[k].object, "public.shift") == 0 &&
            strstr(fact(&s->items[k], "rule"), "FN-4"))
            assert_non_null(strstr(s->items[k].reason, "make the function IMMUTABLE"));
    assert_null(find(s, "FN-4", "inlined")); /* on the other side, the index is used */
    assert_null(find(s, "FN-4", "raises"));  /* no index on that column */
    pw_advice_set_unref(s);
}

static void fn5_a_policy_calls_once(void **state)
{
    struct fixture *f = *state;
    pw_fixture_sql(f, "ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
                      "CREATE POLICY \"of the tenant\" ON t USING (tenant = auth.tenant(0)"
                      " AND b <> ')' || current_setting('app.other', true) AND auth.tenant(id) > 0)"
                      " WITH CHECK (tenant = auth.tenant(0));"
                      "CREATE POLICY many ON t USING (tenant = ANY (auth.tenants()));"
                      "CREATE POLICY dice ON t USING (tenant = auth.dice());"
                      "CREATE POLICY done ON t USING (tenant = (SELECT auth.tenant(0)));"
                      "ALTER TABLE small ENABLE ROW LEVEL SECURITY;"
                      "CREATE POLICY few ON small USING (id = auth.tenant(0));");
    static const char before[] = "SELECT pg_get_expr(polqual, polrelid) || pg_get_expr("
                                 "polwithcheck, polrelid) FROM pg_policy WHERE polname = 'of the "
                                 "tenant'";
    char *old = strdup(pw_fixture_value(f, before));
    struct advice_set *s = advise(f, "SELECT count(*) FROM t; SELECT * FROM small;");
    const struct advice *a = must_find(s, "FN-5", "of the tenant");
    assert_null(find(s, "FN-5", "many"));
    assert_null(find(s, "FN-5", "dice"));
    assert_null(find(s, "FN-5", "done"));
    assert_null(find(s, "FN-5", "few"));
    pw_fixture_sql(f, a->sql);
    /* Both calls, and not the one that reads a column. */
    assert_string_equal(
        pw_fixture_value(f, "SELECT count(*) FROM pg_policy, regexp_matches(pg_get_expr(polqual, "
                            "polrelid), 'SELECT', 'g') WHERE polname = 'of the tenant'"),
        "2");
    pw_fixture_sql(f, "DROP POLICY many ON t; DROP POLICY dice ON t; DROP POLICY done ON t");
    pw_fixture_sql(f, "SET ROLE app; SET app.tenant = '7'; SET app.other = 'x'");
    assert_true(plan_has(f, "SELECT * FROM t", "InitPlan"));
    assert_string_equal(pw_fixture_value(f, "SELECT count(*) FROM t"), "1600");
    pw_fixture_sql(f, "RESET ROLE");
    pw_fixture_sql(f, a->undo_sql);
    assert_string_equal(pw_fixture_value(f, before), old);
    free(old);
    pw_fixture_sql(f, "DROP POLICY \"of the tenant\" ON t; ALTER TABLE t DISABLE ROW LEVEL "
                      "SECURITY; ALTER TABLE small DISABLE ROW LEVEL SECURITY;");
    pw_advice_set_unref(s);
}

static void fn6_a_subtransaction_each_call(void **state)
{
    struct advice_set *s =
        advise(*state, "-- weight: 5000\nSELECT catches(id), raises(id) FROM t WHERE id = 3;");
    must_find(s, "FN-6", "catches");
    assert_null(find(s, "FN-6", "raises"));
    pw_advice_set_unref(s);
    s = advise(*state, "-- weight: 10\nSELECT catches(id) FROM t WHERE id = 3;");
    assert_null(find(s, "FN-6", "catches")); /* seldom */
    pw_advice_set_unref(s);
}

static void fn7_a_label_forbids_parallel_plans(void **state)
{
    struct fixture *f = *state;
    struct advice_set *s = advise(f, "SELECT sum(inlined(tenant)) FROM t;"
                                     "SELECT acts(id) FROM t; SELECT shift_fixed(id) FROM t;"
                                     "SELECT shift(id) FROM t; SELECT id, counts() FROM t;");
    const struct advice *a = must_find(s, "FN-7", "inlined");
    assert_int_equal(must_find(s, "FN-7", "shift")->confidence, ADVICE_LOW);
    assert_null(find(s, "FN-7", "acts"));
    assert_null(find(s, "FN-7", "shift_fixed")); /* safe already */
    must_find(s, "FN-7", "counts");
    pw_fixture_sql(f, "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;"
                      "SET min_parallel_table_scan_size = 0");
    assert_false(plan_has(f, "SELECT sum(inlined(tenant)) FROM t", "Gather"));
    pw_fixture_sql(f, a->sql);
    assert_true(plan_has(f, "SELECT sum(inlined(tenant)) FROM t", "Gather"));
    pw_fixture_sql(f, a->undo_sql);
    assert_false(plan_has(f, "SELECT sum(inlined(tenant)) FROM t", "Gather"));
    pw_advice_set_unref(s);
    s = advise(f, "SELECT inlined(id) FROM small;");
    assert_null(find(s, "FN-7", "inlined")); /* nothing to read in parallel */
    pw_advice_set_unref(s);
}

static void fn8_a_setting_forbids_inlining(void **state)
{
    struct fixture *f = *state;
    static const char config[] = "SELECT proconfig FROM pg_proc WHERE proname = 'with_path'";
    struct advice_set *s =
        advise(f, "SELECT with_path(id), with_jit(id), hardened(id) FROM small;");
    const struct advice *a = must_find(s, "FN-8", "with_path");
    assert_non_null(strstr(a->reason, "qualify"));
    assert_non_null(strstr(must_find(s, "FN-8", "with_jit")->reason, "set jit for the role"));
    assert_null(find(s, "FN-8", "hardened"));
    char *old = strdup(pw_fixture_value(f, config));
    assert_true(plan_has(f, "(VERBOSE) SELECT with_path(id) FROM small", "with_path"));
    pw_fixture_sql(f, a->sql);
    assert_false(plan_has(f, "(VERBOSE) SELECT with_path(id) FROM small", "with_path"));
    pw_fixture_sql(f, a->undo_sql);
    assert_string_equal(pw_fixture_value(f, config), old);
    free(old);
    bool refused = false;
    for (size_t k = 0; k < s->n_refused; k++)
        refused = refused || (strstr(s->refused[k].object, "hardened") &&
                              strstr(s->refused[k].reason, "SECURITY DEFINER with a SET"));
    assert_true(refused);
    pw_advice_set_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fn4_a_call_hides_an_index),
        cmocka_unit_test(fn5_a_policy_calls_once),
        cmocka_unit_test(fn6_a_subtransaction_each_call),
        cmocka_unit_test(fn7_a_label_forbids_parallel_plans),
        cmocka_unit_test(fn8_a_setting_forbids_inlining),
    };
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
