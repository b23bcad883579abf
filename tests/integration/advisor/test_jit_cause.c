/* Why a statement gets compiled, read from plans that a real server executed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "advisor/jit_cause.h"
#include "fixture.h"
#include "planner/ast.h"

static int start(void **state)
{
    if (pw_fixture_start(state) != 0)
        return -1;
    pw_fixture_sql(*state,
                   "CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int);"
                   "INSERT INTO t SELECT i, i % 100, i % 100, i FROM generate_series(1, 50000) i;"
                   "CREATE TABLE p (id int, v int) PARTITION BY HASH (id);");
    for (int k = 0; k < 60; k++) {
        char sql[128];
        snprintf(sql, sizeof(sql),
                 "CREATE TABLE p_%d PARTITION OF p FOR VALUES WITH (MODULUS 60, REMAINDER %d)", k,
                 k);
        pw_fixture_sql(*state, sql);
    }
    pw_fixture_sql(*state, "ANALYZE");
    return 0;
}

static const char *cause_of(struct fixture *f, const char *sql, double functions,
                            struct jit_cause *out, struct arena *mem)
{
    struct pgresult *r = pw_pgsync_query(
        f->pg, pw_mem_printf(mem, "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) %s", sql), 0, NULL);
    assert_true(pw_pgresult_ok(r));
    cJSON *tree = cJSON_Parse(pw_pgresult_get(r, 0, 0));
    pw_jit_cause_read(pw_ast_get(cJSON_GetArrayItem(tree, 0), "Plan"), out);
    cJSON_Delete(tree);
    pw_pgresult_free(r);
    return pw_jit_cause_text(out, functions, mem);
}

static void causes_are_told_apart(void **state)
{
    struct fixture *f = *state;
    struct jit_cause c;
    struct arena mem;
    pw_arena_init(&mem, PW_MEM_MAX);

    /* an ordinary aggregate has none */
    const char *text = cause_of(f, "SELECT sum(c) FROM t WHERE a < 90", 5, &c, &mem);
    assert_string_equal(text, "");
    assert_true(c.partitions == 0 && !c.stops_early);

    /* expressions by the dozen */
    text = cause_of(f, "SELECT sum(c) FROM t WHERE a < 90", 500, &c, &mem);
    assert_non_null(strstr(text, "500 functions for a plan of 2 nodes"));

    /* partitions, also under an aggregate */
    text = cause_of(f, "SELECT sum(v) FROM p", 500, &c, &mem);
    assert_true(c.partitions == 60);
    assert_non_null(strstr(text, "reads 60 partitions"));
    text = cause_of(f, "SELECT sum(v) FROM p WHERE id = 7", 5, &c, &mem);
    assert_true(c.partitions <= 1);

    /* an estimate: two conditions that exclude each other, which no statistics say */
    text = cause_of(f, "SELECT sum(c) FROM t WHERE a < 50 AND b >= 50", 5, &c, &mem);
    assert_true(pw_jit_cause_is_estimate(&c) && c.expected > 10000 && c.seen == 1);
    assert_non_null(strstr(text, "Seq Scan on t where 1 come"));

    /* a LIMIT that needs a little of what is below, whose rows say nothing of the estimate */
    text = cause_of(f, "SELECT * FROM t WHERE a >= 0 LIMIT 3", 5, &c, &mem);
    assert_true(c.stops_early && !pw_jit_cause_is_estimate(&c));
    assert_non_null(strstr(text, "LIMIT stops it early"));
    text = cause_of(f, "SELECT * FROM t ORDER BY c LIMIT 3", 5, &c, &mem);
    assert_false(c.stops_early); /* all is sorted first */
    pw_jit_cause_read(NULL, &c);
    assert_string_equal(pw_jit_cause_text(&c, 0, &mem), "");
    pw_arena_free(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(causes_are_told_apart)};
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
