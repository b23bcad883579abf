/*
 * A schema of 68 indexes, each labelled with what must be said about it: the advice has to be
 * exactly that. Unused, redundant, needed, vital though rare, bloated, fresh, deduplicated,
 * invalid, foreign keys, partial, expression, partitioned, constraints, other access methods.
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
    "CREATE EXTENSION hypopg; CREATE EXTENSION pgstattuple; CREATE EXTENSION btree_gist;"
    "SET maintenance_work_mem = '256MB';"
    /* 1 pkey, 11 others: used, unused, redundant in every way the exact rule knows */
    "CREATE TABLE a (id int PRIMARY KEY, x int, y int, z int, t text, u uuid, d numeric, j jsonb);"
    "INSERT INTO a SELECT i, i % 5000, i % 70, (i * 7) % 200000, md5(i::text), gen_random_uuid(), "
    "i,"
    " '{}' FROM generate_series(1, 200000) i;"
    "CREATE INDEX a_x_used ON a (x);"
    "CREATE INDEX a_y_unused ON a (y);"
    "CREATE INDEX a_z_desc_nl ON a (z DESC NULLS LAST);" /* not the flip of (z) */
    "CREATE INDEX a_z ON a (z);"
    "CREATE INDEX a_z_flipped ON a (z DESC);" /* is the flip of (z): redundant */
    "CREATE INDEX a_t_default ON a (t);"
    "CREATE INDEX a_t_c ON a (t COLLATE \"C\");"
    "CREATE INDEX a_t_pattern ON a (t text_pattern_ops);"
    "CREATE INDEX a_xy ON a (x, y);" /* a_x_used is its prefix: redundant */
    "CREATE INDEX a_x_include ON a (x) INCLUDE (d);"
    "CREATE UNIQUE INDEX a_u_unique ON a (u);"
    "CREATE INDEX a_u_dup ON a (u);" /* redundant to the unique one */
    "CREATE INDEX a_x_hash ON a USING hash (x);"
    "CREATE INDEX a_j_gin ON a USING gin (j);"
    /* attribute numbers 1 and 10: prefix of texts is not prefix of keys */
    "CREATE TABLE wide (c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, "
    "c10 int);"
    "INSERT INTO wide SELECT i, i, i, i, i, i, i, i, i, i FROM generate_series(1, 100000) i;"
    "CREATE INDEX wide_1 ON wide (c1); CREATE INDEX wide_10 ON wide (c10);"
    "CREATE INDEX wide_1_2 ON wide (c1, c2); CREATE INDEX wide_2_1 ON wide (c2, c1);"
    /* partial and expression */
    "CREATE TABLE p (id int PRIMARY KEY, s text, v int, w int);"
    "INSERT INTO p SELECT i, CASE WHEN i % 50 = 0 THEN 'open' ELSE 'done' END, i % 1000, i"
    " FROM generate_series(1, 200000) i;"
    "CREATE INDEX p_v ON p (v);"
    "CREATE INDEX p_v_open ON p (v) WHERE s = 'open';"
    "CREATE INDEX p_v_open_again ON p (v) WHERE s = 'open';"
    "CREATE INDEX p_v_done ON p (v) WHERE s = 'done';"
    "CREATE INDEX p_lower ON p (lower(s));"
    "CREATE INDEX p_expr_stats ON p ((v % 7));"
    "CREATE INDEX p_w_include ON p (w) INCLUDE (v); CREATE INDEX p_w ON p (w);"
    /* foreign keys */
    "CREATE TABLE parent (id int PRIMARY KEY, k int, UNIQUE (k, id));"
    "INSERT INTO parent SELECT i, i % 10 FROM generate_series(1, 20000) i;"
    "CREATE TABLE child1 (id int PRIMARY KEY, pid int REFERENCES parent);" /* no index at all */
    "CREATE TABLE child2 (id int PRIMARY KEY, pid int REFERENCES parent);" /* only a partial one */
    "CREATE INDEX child2_partial ON child2 (pid) WHERE id < 1000;"
    "CREATE TABLE child3 (id int PRIMARY KEY, k int, x int, pid int,"
    " FOREIGN KEY (k, pid) REFERENCES parent (k, id));"
    "CREATE INDEX child3_gap ON child3 (k, x, pid);" /* a gap: no support */
    "CREATE TABLE child4 (id int PRIMARY KEY, k int, pid int,"
    " FOREIGN KEY (k, pid) REFERENCES parent (k, id));"
    "CREATE INDEX child4_swapped ON child4 (pid, k);" /* any order serves */
    "CREATE TABLE child5 (id int PRIMARY KEY, pid int REFERENCES parent);"
    "CREATE INDEX child5_hash ON child5 USING hash (pid);"
    "CREATE TABLE child6 (id int PRIMARY KEY, pid int REFERENCES parent);" /* tiny: not worth it */
    "INSERT INTO child1 SELECT i, 1 + i % 20000 FROM generate_series(1, 50000) i;"
    "INSERT INTO child2 SELECT i, 1 + i % 20000 FROM generate_series(1, 50000) i;"
    "INSERT INTO child3 SELECT i, (1 + i % 20000) % 10, i, 1 + i % 20000 FROM generate_series(1, "
    "50000) i;"
    "INSERT INTO child4 SELECT i, (1 + i % 20000) % 10, 1 + i % 20000 FROM generate_series(1, "
    "50000) i;"
    "INSERT INTO child5 SELECT i, 1 + i % 20000 FROM generate_series(1, 50000) i;"
    "INSERT INTO child6 SELECT i, i FROM generate_series(1, 100) i;"
    /* constraints and special duties */
    "CREATE TABLE duty (id int PRIMARY KEY, a int UNIQUE, b int NOT NULL, c int, r int4range,"
    " EXCLUDE USING gist (r WITH &&));"
    "INSERT INTO duty SELECT i, i, i, i, int4range(i * 2, i * 2 + 1) FROM generate_series(1, "
    "60000) i;"
    "CREATE UNIQUE INDEX duty_ri ON duty (b); ALTER TABLE duty REPLICA IDENTITY USING INDEX "
    "duty_ri;"
    "CREATE INDEX duty_cluster ON duty (c); ALTER TABLE duty CLUSTER ON duty_cluster;"
    "CREATE TABLE target (id int); INSERT INTO target SELECT generate_series(1, 60000);"
    "CREATE UNIQUE INDEX target_id ON target (id);"
    "CREATE TABLE pointer (id int REFERENCES target (id));"
    /* size: bloated, fresh, deduplicated, random */
    "CREATE TABLE bloat (id int PRIMARY KEY, k int, dup int, u uuid);"
    "INSERT INTO bloat SELECT i, i, i % 20, gen_random_uuid() FROM generate_series(1, 400000) i;"
    "CREATE INDEX bloat_fresh_dup ON bloat (dup); CREATE INDEX bloat_k ON bloat (k);"
    "CREATE TABLE fresh (id int PRIMARY KEY, n int, dup text, t text);"
    "INSERT INTO fresh SELECT i, CASE WHEN i % 3 = 0 THEN i END, 'value ' || i % 9, md5(i::text)"
    " FROM generate_series(1, 300000) i;"
    "CREATE INDEX fresh_n ON fresh (n); CREATE INDEX fresh_dup ON fresh (dup);"
    "CREATE INDEX fresh_t ON fresh (t); CREATE INDEX fresh_t_n ON fresh (t, n);"
    "CREATE INDEX fresh_n_inc ON fresh (n) INCLUDE (dup);"
    /* partitions */
    "CREATE TABLE m (id int, at date, v int) PARTITION BY RANGE (at);"
    "CREATE TABLE m1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');"
    "CREATE TABLE m2 PARTITION OF m FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');"
    "INSERT INTO m SELECT i, date '2024-01-01' + i % 360, i FROM generate_series(1, 100000) i;"
    "CREATE INDEX m_id ON m (id); CREATE INDEX m_v_unused ON m (v);"
    "CREATE INDEX m_id_v ON m (id, v);" /* m_id is its prefix */
    /* another schema, a quoted name, a small one */
    "CREATE SCHEMA \"Other\"; CREATE TABLE \"Other\".\"T x\" (\"Id\" int, \"V\" int);"
    "INSERT INTO \"Other\".\"T x\" SELECT i, i FROM generate_series(1, 100000) i;"
    "CREATE INDEX \"Bad \"\" name\" ON \"Other\".\"T x\" (\"V\");"
    "CREATE TABLE small (id int); INSERT INTO small SELECT generate_series(1, 100);"
    "CREATE INDEX small_unused ON small (id);";

/* One scan of each index that is used; a_z_flipped, a_u_dup, ... are judged by rule, not by use. */
static const char use_sql[] =
    "SET enable_seqscan = off; SET enable_bitmapscan = off;"
    "SELECT count(*) FROM wide WHERE c10 = 5; SELECT count(*) FROM wide WHERE c2 = 5;"
    "SELECT count(*) FROM wide WHERE c1 = 4;"
    "SELECT * FROM a ORDER BY t LIMIT 1; SELECT count(*) FROM a WHERE t COLLATE \"C\" > 'zz';"
    "SELECT count(*) FROM a WHERE t LIKE 'zzz%';"
    "SELECT * FROM a ORDER BY z DESC NULLS LAST LIMIT 1;"
    "SELECT d FROM a WHERE x = 3;"
    "SELECT count(*) FROM p WHERE lower(s) = 'q'; SELECT count(*) FROM p WHERE s = 'done' AND v = "
    "3;"
    "SELECT w, v FROM p WHERE w = 3; SELECT count(*) FROM p WHERE v = 3;"
    "SELECT count(*) FROM bloat WHERE k = 3; SELECT count(*) FROM bloat WHERE dup = 30;"
    "SELECT count(*) FROM fresh WHERE n = 3; SELECT dup FROM fresh WHERE n = 3;"
    "SELECT count(*) FROM fresh WHERE dup = 'q'; SELECT count(*) FROM fresh WHERE t = 'q';"
    "SELECT count(*) FROM child3 WHERE k = 1 AND x = 1;"
    "SELECT count(*) FROM child2 WHERE pid = 1 AND id < 1000;"
    "SELECT * FROM m WHERE id = 3 AND v = 3;"
    "SET enable_bitmapscan = on; SELECT count(*) FROM a WHERE j @> '{\"q\": 1}';"
    "RESET enable_seqscan; RESET enable_bitmapscan;";

struct label {
    enum advice_kind kind;
    const char *object;
};

static const struct label expected[] = {
    {ADVICE_DROP_REDUNDANT, "a_x_used"},
    {ADVICE_DROP_REDUNDANT, "a_z_flipped"},
    {ADVICE_DROP_REDUNDANT, "a_u_dup"},
    {ADVICE_DROP_REDUNDANT, "wide_1"},
    {ADVICE_DROP_REDUNDANT, "p_v_open_again"},
    {ADVICE_DROP_REDUNDANT, "p_w"},
    {ADVICE_DROP_REDUNDANT, "m_id"},
    {ADVICE_DROP_REDUNDANT, "fresh_n"},
    {ADVICE_DROP_REDUNDANT, "fresh_t"},
    {ADVICE_DROP_UNUSED, "a_y_unused"},
    {ADVICE_DROP_UNUSED, "a_x_hash"},
    {ADVICE_DROP_UNUSED, "m_v_unused"},
    {ADVICE_DROP_UNUSED, "Bad \" name"},
    {ADVICE_DROP_INVALID, "broken"},
    {ADVICE_FK_INDEX, "child1_pid_fk_idx"},
    {ADVICE_FK_INDEX, "child2_pid_fk_idx"},
    {ADVICE_FK_INDEX, "child3_k_fk_idx"},
    {ADVICE_REBUILD, "bloat_pkey"},
    {ADVICE_REBUILD, "bloat_k"},
};

static void build(struct fixture *f)
{
    pw_fixture_sql(f, schema_sql);
    pw_fixture_sql(f, "VACUUM ANALYZE");
    pw_fixture_sql(f, "DELETE FROM bloat WHERE id % 10 < 7");
    pw_fixture_sql(f, "DELETE FROM parent WHERE id = 20000 AND false");
    pw_fixture_sql(f, "VACUUM ANALYZE bloat");
    pw_fixture_sql(f, "REINDEX INDEX bloat_fresh_dup");
    pw_fixture_sql(f, "VACUUM ANALYZE bloat");
    pw_fixture_sql(f, use_sql);
    /* A unique build over duplicates fails and leaves an invalid index behind. */
    struct pgresult *r =
        pw_pgsync_query(f->pg, "CREATE UNIQUE INDEX CONCURRENTLY broken ON a (y)", 0, NULL);
    assert_false(pw_pgresult_ok(r));
    pw_pgresult_free(r);
    pw_fixture_sql(f, "SELECT pg_stat_force_next_flush()");
}

static void exactly_the_expected_advice(void **state)
{
    struct fixture *f = *state;
    build(f);
    assert_true(
        atoi(pw_fixture_value(f, "SELECT count(*) FROM pg_index x JOIN pg_class c ON c.oid ="
                                 " x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
                                 " WHERE n.nspname IN ('public', 'Other')")) >= 60);
    struct advice_set *s = pw_fixture_advise(f, NULL, NULL);
    bool wrong = false;
    for (size_t k = 0; k < PW_COUNT_OF(expected); k++)
        if (!pw_fixture_find(s, expected[k].kind, expected[k].object)) {
            fprintf(stderr, "missing: %s %s\n", pw_advice_kind_text(expected[k].kind),
                    expected[k].object);
            wrong = true;
        }
    for (size_t k = 0; k < s->n_items; k++) {
        bool known = false;
        for (size_t e = 0; e < PW_COUNT_OF(expected); e++)
            known =
                known || &s->items[k] == pw_fixture_find(s, expected[e].kind, expected[e].object);
        if (!known) {
            fprintf(stderr, "false: %s %s: %s\n", pw_advice_kind_text(s->items[k].kind),
                    s->items[k].object, s->items[k].reason);
            wrong = true;
        }
    }
    for (size_t k = 0; wrong && k < s->n_refused; k++)
        fprintf(stderr, "refused: %s: %s\n", s->refused[k].object, s->refused[k].reason);
    pw_advice_set_unref(s);
    assert_false(wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_expected_advice),
    };
    return cmocka_run_group_tests(tests, pw_fixture_start, pw_fixture_stop);
}
