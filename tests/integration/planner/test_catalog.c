/* What the catalog proves: cacheable or not and why, what is read, what a write may touch, and how
 * changes made behind the proxy's back are seen. */
#include "live.h"

static const char *const setup[] = {
    "SET search_path TO public",
    "CREATE ROLE alice LOGIN",
    "CREATE TABLE t (id serial PRIMARY KEY, a text, d date, ts timestamptz, j jsonb, n numeric)",
    "CREATE TABLE child (tid int REFERENCES t ON DELETE CASCADE, x int)",
    "CREATE TABLE grandchild (a int)",
    "CREATE TABLE restricted (tid int REFERENCES t)",
    "ALTER TABLE child ADD COLUMN k int PRIMARY KEY",
    "CREATE TABLE setnull (k int REFERENCES child ON UPDATE SET NULL)",
    "CREATE TABLE p (k int, v text) PARTITION BY RANGE (k)",
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (k)",
    "CREATE TABLE p11 PARTITION OF p1 FOR VALUES FROM (0) TO (5)",
    "CREATE TABLE base (a int)",
    "CREATE TABLE derived (b int) INHERITS (base)",
    "CREATE VIEW v AS SELECT id, a FROM t WHERE id > 5",
    "CREATE VIEW vv AS SELECT * FROM v JOIN p ON p.k = v.id",
    "CREATE VIEW vnow AS SELECT now() AS n, id FROM t",
    "CREATE VIEW vrandom AS SELECT random() AS r FROM t",
    "CREATE VIEW vuser AS SELECT * FROM t WHERE a = current_user",
    "CREATE MATERIALIZED VIEW m AS SELECT * FROM t",
    "CREATE TABLE rls (a int)",
    "ALTER TABLE rls ENABLE ROW LEVEL SECURITY",
    "CREATE TABLE tz (a timetz, b timestamptz)",
    "CREATE TABLE audit (x text)",
    "CREATE TABLE audited (x int)",
    "CREATE FUNCTION audit_it() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN INSERT INTO audit VALUES ('x'); RETURN NEW; END $$",
    "CREATE TRIGGER audit_it AFTER INSERT ON audited FOR EACH ROW EXECUTE FUNCTION audit_it()",
    "CREATE TABLE touched (x int, at timestamptz)",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN IF TG_OP = 'UPDATE' THEN NEW.at := coalesce(NEW.at, now()); END IF; RETURN NEW; END "
    "$$",
    "CREATE TRIGGER touch BEFORE UPDATE ON touched FOR EACH ROW EXECUTE FUNCTION touch()",
    "CREATE TABLE ruled (x int)",
    "CREATE RULE r AS ON INSERT TO ruled DO ALSO INSERT INTO audit VALUES ('r')",
    "CREATE FUNCTION f_immutable(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1'",
    "CREATE FUNCTION f_liar(int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT count(*) FROM t'",
    "CREATE FUNCTION f_stable(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
    "CREATE FUNCTION f_volatile(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION f_writes(int) RETURNS int LANGUAGE sql AS 'INSERT INTO audit VALUES (''w'') "
    "RETURNING 1'",
    "CREATE FUNCTION f_sets() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET search_path TO x; END "
    "$$",
    "CREATE FUNCTION f_dynamic(x text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE x; END $$",
    "CREATE FUNCTION f_calls() RETURNS int LANGUAGE sql AS 'SELECT f_writes(1)'",
    "CREATE FUNCTION f_lock() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_lock(1)'",
    "CREATE FUNCTION full_name(t) RETURNS text LANGUAGE sql AS 'SELECT $1.a || now()'",
    "CREATE PROCEDURE proc() LANGUAGE sql AS 'DELETE FROM audit'",
    "CREATE AGGREGATE agg_volatile(int) (sfunc = int4pl, stype = int, initcond = '0')",
    "CREATE DOMAIN dom AS date",
    "CREATE TYPE mood AS ENUM ('sad', 'happy')",
    "CREATE FUNCTION odd_eq(mood, int) RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT true'",
    "CREATE OPERATOR ==== (leftarg = mood, rightarg = int, function = odd_eq)",
    "CREATE FUNCTION eq_imm(mood, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'",
    "CREATE OPERATOR === (leftarg = mood, rightarg = int, function = eq_imm)",
    "CREATE SCHEMA s1",
    "CREATE TABLE s1.t (z int)",
    "CREATE TABLE s1.lonely (z int)",
    "CREATE TABLE withdefault (x int, y int DEFAULT f_writes(1))",
    "CREATE TABLE ident (x int GENERATED ALWAYS AS IDENTITY, y int)",
    "CREATE SEQUENCE seq",
    "CREATE FUNCTION f_tables(k int) RETURNS int LANGUAGE plpgsql STABLE AS $$ DECLARE r record; "
    "n int := (SELECT count(*) FROM child); BEGIN IF EXISTS (SELECT FROM base WHERE a = k) THEN "
    "n := (SELECT max(x) FROM s1.lonely, audited); END IF; FOR r IN SELECT * FROM m LOOP "
    "PERFORM r.a; END LOOP; RETURN n; END $$",
    /* Hostile bodies are kept out, or understood, but they kill nobody. */
    "SET check_function_bodies TO off",
    "DO $do$ BEGIN EXECUTE format('CREATE FUNCTION f_h1() RETURNS int LANGUAGE plpgsql STABLE AS "
    "%L', "
    "repeat('BEGIN ', 2000) || repeat('END; ', 2000)); "
    "EXECUTE format('CREATE FUNCTION f_h2() RETURNS int LANGUAGE plpgsql STABLE AS %L', "
    "'BEGIN RETURN ' || repeat('(', 6000) || '1' || repeat(')', 6000) || '; END'); "
    "EXECUTE format('CREATE FUNCTION f_h3() RETURNS int LANGUAGE plpgsql STABLE AS %L', "
    "'BEGIN RETURN 1' || repeat('+1', 6000) || '; END'); "
    "EXECUTE format('CREATE FUNCTION f_h4() RETURNS int LANGUAGE plpgsql STABLE AS %L', "
    "repeat('/*', 8000)); "
    "EXECUTE format('CREATE FUNCTION f_h5() RETURNS int LANGUAGE plpgsql STABLE AS %L', "
    "repeat('IF true THEN ', 1200)); "
    "EXECUTE format('CREATE FUNCTION f_h6(\"a b\" int DEFAULT 1, VARIADIC x text[] DEFAULT NULL) "
    "RETURNS TABLE (y int, \"z z\" text) LANGUAGE plpgsql STABLE AS %L', "
    "'DECLARE c CURSOR FOR SELECT * FROM t; x t%ROWTYPE; z t.a%TYPE; BEGIN RETURN; END'); "
    "EXECUTE format('CREATE FUNCTION f_h7() RETURNS int LANGUAGE plpgsql STABLE AS %L', "
    "'BEGIN RETURN ' || repeat('CASE WHEN true THEN ', 700) || '1' || repeat(' END', 700) || '; "
    "END'); END $do$",
};

#define WHY(x) PLAN_WHY_##x

/* tables: names of tables_read (for reads) or tables_written, sorted, comma-separated. */
static const struct {
    const char *sql;
    enum plan_reason why;
    unsigned has, has_not; /* flags */
    const char *tables;
} rows[] = {
    {"select * from t where id = 5 and a like 'x%'", WHY(NOT_NONE),
     PLAN_F_CACHEABLE | PLAN_F_PIPELINE, 0, "t"},
    {"select * from public.t", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "t"},
    {"select * from only t", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "t"},
    {"select * from v", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "t,v"},
    {"select * from vv", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "p,p1,p11,t,v,vv"},
    {"select * from vnow", WHY(SPECIAL_VALUE), PLAN_F_PIPELINE, PLAN_F_CACHEABLE, "t,vnow"},
    {"select * from vrandom", WHY(VOLATILE_FUNCTION), PLAN_F_VOLATILE, PLAN_F_PIPELINE,
     "t,vrandom"},
    {"select * from vuser", WHY(SPECIAL_VALUE), 0, PLAN_F_CACHEABLE, "t,vuser"},
    {"select * from m", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "m"},
    {"select * from p where k = 3", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "p,p1,p11"},
    {"select * from p1", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "p1,p11"},
    {"select * from base", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "base,derived"},
    {"select * from rls", WHY(ROW_SECURITY), 0, PLAN_F_CACHEABLE, "rls"},
    {"select * from nothing", WHY(UNKNOWN_TABLE), 0, PLAN_F_PIPELINE, ""},
    {"select * from pg_class", WHY(SYSTEM_TABLE), PLAN_F_PIPELINE, PLAN_F_CACHEABLE, ""},
    {"select * from information_schema.tables", WHY(SYSTEM_TABLE), PLAN_F_PIPELINE, 0, ""},
    {"select * from pg_settings", WHY(SYSTEM_TABLE), PLAN_F_SESSION_READ, PLAN_F_PIPELINE, ""},
    {"select last_value from seq", WHY(UNSUPPORTED), 0, PLAN_F_CACHEABLE, "seq"},
    {"with x as (select * from t) select * from x", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "t"},
    {"with recursive r as (select 1 as n union all select n + 1 from r where n < 5) select * from "
     "r",
     WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, ""},
    {"select (select max(x) from child c where c.tid = t.id) from t", WHY(NOT_NONE),
     PLAN_F_CACHEABLE, 0, "child,t"},
    {"select a, count(*) from t group by a having count(*) > 1 order by 2 desc limit 10",
     WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "t"},
    {"select sum(n) over (partition by a order by id) from t", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0,
     "t"},
    {"select j->'a'->>'b', j @> '{}' from t", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "t"},
    {"select lower(a) || id, to_char(ts, 'YYYY'), date_trunc('day', ts) from t", WHY(NOT_NONE),
     PLAN_F_CACHEABLE, 0, "t"},
    {"select ts::date, d::timestamptz from t where ts > '2020-01-01'", WHY(NOT_NONE),
     PLAN_F_CACHEABLE, 0, "t"},
    {"select a::date from t", WHY(UNSUPPORTED), 0, PLAN_F_CACHEABLE, "t"},
    {"select date(a) from t", WHY(UNSUPPORTED), 0, PLAN_F_CACHEABLE, "t"},
    {"select (a || '')::date from t", WHY(UNSUPPORTED), 0, PLAN_F_CACHEABLE, "t"},
    {"select (j->>'at')::timestamptz from t", WHY(UNSUPPORTED), 0, PLAN_F_CACHEABLE, "t"},
    {"select q.d::date from (select a as d from t) q", WHY(UNSUPPORTED), 0, PLAN_F_CACHEABLE, "t"},
    {"select $1::date, d from t", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "t"},
    {"select d from t where d = 'today'", WHY(SPECIAL_VALUE), 0, PLAN_F_CACHEABLE, "t"},
    {"select d from t where d = ' yesterday '", WHY(SPECIAL_VALUE), 0, PLAN_F_CACHEABLE, "t"},
    {"select d from t where d = e'tod\\x61y'", WHY(SPECIAL_VALUE), 0, PLAN_F_CACHEABLE, "t"},
    {"select '2020-01-01'::dom", WHY(UNSUPPORTED), 0, PLAN_F_CACHEABLE, ""},
    {"select '10:00'::timetz", WHY(UNSUPPORTED), 0, PLAN_F_CACHEABLE, ""},
    {"select 't'::regclass", WHY(UNSUPPORTED), 0, PLAN_F_CACHEABLE, ""},
    {"select 'sad'::mood", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, ""},
    {"select '{1,2}'::int[], array[1]::text[]", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, ""},
    {"select ts at time zone 'UTC' from t", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "t"},
    {"select a at time zone 'UTC' from tz", WHY(VOLATILE_FUNCTION), 0, PLAN_F_CACHEABLE, "tz"},
    {"select ts + interval '1 day' from t", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "t"},
    {"select ts - now() from t", WHY(SPECIAL_VALUE), PLAN_F_PIPELINE, PLAN_F_CACHEABLE, "t"},
    {"select age(ts) from t", WHY(SPECIAL_VALUE), 0, PLAN_F_CACHEABLE, "t"},
    {"select current_database()", WHY(SPECIAL_VALUE), 0, PLAN_F_CACHEABLE, ""},
    {"select f_immutable(1)", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, ""},
    {"select f_liar(1)", WHY(STABLE_FUNCTION), 0, PLAN_F_CACHEABLE, ""},
    {"select f_stable(1)", WHY(STABLE_FUNCTION), PLAN_F_PIPELINE, PLAN_F_CACHEABLE, ""},
    {"select f_tables(1)", WHY(STABLE_FUNCTION), 0, PLAN_F_CACHEABLE,
     "audited,base,child,m,s1.lonely"},
    {"select f_h1()", WHY(STABLE_FUNCTION), 0, PLAN_F_CACHEABLE, ""},
    {"select f_h2()", WHY(STABLE_FUNCTION), 0, PLAN_F_CACHEABLE, ""},
    {"select f_h3()", WHY(STABLE_FUNCTION), 0, PLAN_F_CACHEABLE, ""},
    {"select f_h4()", WHY(STABLE_FUNCTION), 0, PLAN_F_CACHEABLE, ""},
    {"select f_h5()", WHY(STABLE_FUNCTION), 0, PLAN_F_CACHEABLE, ""},
    {"select f_h6()", WHY(STABLE_FUNCTION), 0, PLAN_F_CACHEABLE, "s1.t,t"},
    {"select f_h7()", WHY(STABLE_FUNCTION), 0, PLAN_F_CACHEABLE, ""},
    {"select f_volatile(1)", WHY(VOLATILE_FUNCTION), PLAN_F_VOLATILE,
     PLAN_F_PIPELINE | PLAN_F_WRITES | PLAN_F_PINS, ""},
    {"select f_writes(1)", WHY(VOLATILE_FUNCTION), PLAN_F_WRITES_ALL, PLAN_F_PINS, ""},
    {"select f_calls()", WHY(VOLATILE_FUNCTION), PLAN_F_WRITES_ALL, PLAN_F_PINS, ""},
    {"select f_sets()", WHY(VOLATILE_FUNCTION), PLAN_F_PINS, PLAN_F_PIPELINE, ""},
    {"select f_dynamic('x')", WHY(VOLATILE_FUNCTION),
     PLAN_F_PINS | PLAN_F_WRITES_ALL | PLAN_F_CATALOG, 0, ""},
    {"select f_lock()", WHY(VOLATILE_FUNCTION), PLAN_F_PINS | PLAN_F_LOCKS, 0, ""},
    {"select no_such_function(1)", WHY(UNKNOWN_FUNCTION), PLAN_F_PINS | PLAN_F_WRITES_ALL, 0, ""},
    {"select t.full_name from t", WHY(SPECIAL_VALUE), PLAN_F_VOLATILE, PLAN_F_CACHEABLE, "t"},
    {"select (t).full_name from t", WHY(SPECIAL_VALUE), PLAN_F_VOLATILE, PLAN_F_CACHEABLE, "t"},
    {"select agg_volatile(id) from t", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, "t"},
    {"select 'sad'::mood === 1", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, ""},
    {"select 'sad'::mood ==== 1", WHY(VOLATILE_FUNCTION), PLAN_F_VOLATILE, PLAN_F_CACHEABLE, ""},
    {"select 1 @@@@ 2", WHY(UNKNOWN_OPERATOR), 0, PLAN_F_CACHEABLE, ""},
    {"select to_tsvector(a) @@ to_tsquery('x') from t", WHY(UNKNOWN_OPERATOR), 0, PLAN_F_CACHEABLE,
     "t"},
    {"select * from t for update", WHY(LOCKING), PLAN_F_LOCKS, PLAN_F_PIPELINE, "t"},
    {"select * from generate_series(1, 5) g", WHY(NOT_NONE), PLAN_F_CACHEABLE, 0, ""},
    {"select * from pg_temp.x", WHY(TEMP_TABLE), 0, PLAN_F_PIPELINE, ""},
    /* writes */
    {"insert into t (a) values ('x')", WHY(NOT_SELECT), PLAN_F_WRITES | PLAN_F_SEQUENCE,
     PLAN_F_WRITES_ALL, "t"},
    {"insert into t (id) values (1) on conflict (id) do update set a = 'x'", WHY(NOT_SELECT),
     PLAN_F_WRITES, PLAN_F_WRITES_ALL, "child,setnull,t"},
    {"delete from t", WHY(NOT_SELECT), PLAN_F_WRITES, PLAN_F_WRITES_ALL, "child,setnull,t"},
    {"insert into t (a) values ('x'); delete from t", WHY(NOT_SELECT), PLAN_F_WRITES,
     PLAN_F_WRITES_ALL, "child,setnull,t"},
    {"with x as (delete from t returning a) insert into t (a) select a from x", WHY(NOT_SELECT),
     PLAN_F_WRITES, PLAN_F_WRITES_ALL, "child,setnull,t"},
    {"update child set x = 1", WHY(NOT_SELECT), PLAN_F_WRITES, PLAN_F_WRITES_ALL | PLAN_F_SEQUENCE,
     "child,setnull"},
    {"truncate t cascade", WHY(NOT_SELECT), PLAN_F_WRITES, 0, "child,setnull,t"},
    {"insert into p values (1)", WHY(NOT_SELECT), PLAN_F_WRITES, PLAN_F_WRITES_ALL, "p,p1,p11"},
    {"update base set a = 1", WHY(NOT_SELECT), PLAN_F_WRITES, PLAN_F_WRITES_ALL, "base,derived"},
    {"insert into audited values (1)", WHY(NOT_SELECT), PLAN_F_WRITES_ALL, PLAN_F_PINS, "audited"},
    {"update touched set x = 1", WHY(NOT_SELECT), PLAN_F_WRITES, PLAN_F_WRITES_ALL | PLAN_F_PINS,
     "touched"},
    {"insert into ruled values (1)", WHY(NOT_SELECT), PLAN_F_WRITES_ALL, 0, "ruled"},
    {"insert into v values (1, 'a')", WHY(NOT_SELECT), PLAN_F_WRITES_ALL, 0, "v"},
    {"insert into withdefault values (1)", WHY(NOT_SELECT), PLAN_F_WRITES_ALL, 0, "withdefault"},
    {"insert into ident (y) values (1)", WHY(NOT_SELECT), PLAN_F_WRITES | PLAN_F_SEQUENCE,
     PLAN_F_WRITES_ALL, "ident"},
    {"insert into s1.lonely values (1)", WHY(NOT_SELECT), PLAN_F_WRITES,
     PLAN_F_WRITES_ALL | PLAN_F_SEQUENCE, "s1.lonely"},
    {"insert into nothing values (1)", WHY(NOT_SELECT), PLAN_F_WRITES_ALL, 0, ""},
    {"insert into pg_temp.x values (1)", WHY(NOT_SELECT), PLAN_F_WRITES | PLAN_F_WRITES_ALL, 0, ""},
    {"with x as (delete from child returning *) select * from x", WHY(WRITABLE_CTE), PLAN_F_WRITES,
     PLAN_F_WRITES_ALL, "child,setnull"},
    {"copy child from stdin", WHY(NOT_SELECT), PLAN_F_WRITES | PLAN_F_COPY_IN, PLAN_F_WRITES_ALL,
     "child"},
    {"merge into child using t on true when matched then delete", WHY(NOT_SELECT), PLAN_F_WRITES,
     PLAN_F_WRITES_ALL, "child,setnull"},
    {"explain analyze update child set x = 2", WHY(NOT_SELECT), PLAN_F_WRITES, PLAN_F_WRITES_ALL,
     "child,setnull"},
    {"call proc()", WHY(NOT_SELECT), PLAN_F_WRITES_ALL, PLAN_F_PINS, ""},
    {"update pg_class set relname = 'x'", WHY(NOT_SELECT),
     PLAN_F_WRITES_ALL | PLAN_F_CATALOG | PLAN_F_RIGHTS, 0, ""},
};

static void names_of(struct live *l, const uint32_t *oids, uint32_t n, char *out, size_t size)
{
    struct buf list;
    pw_buf_init(&list, 10000);
    for (uint32_t i = 0; i < n; i++)
        pw_buf_printf(&list, "%s%u", i ? "," : "", oids[i]);
    pw_buf_append_u8(&list, 0);
    const char *params[] = {list.data};
    struct pgresult *r =
        pw_pgsync_query(l->pg,
                        "SELECT coalesce(string_agg(c.oid::regclass::text, ',' ORDER BY "
                        "c.oid::regclass::text), '') "
                        "FROM pg_class c WHERE c.oid::text = ANY (string_to_array($1, ','))",
                        1, params);
    assert_true(pw_pgresult_ok(r));
    snprintf(out, size, "%s", pw_pgresult_get(r, 0, 0));
    pw_pgresult_free(r);
    pw_buf_free(&list);
}

static void test_table(void **state)
{
    struct live *l = *state;
    int failures = 0;
    live_sql(l, "SET search_path TO public");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct plan *p = live_plan(l, rows[i].sql);
        char names[1000];
        if (p->flags & PLAN_F_WRITES && p->n_written)
            names_of(l, p->tables_written, p->n_written, names, sizeof names);
        else
            names_of(l, p->tables_read, p->flags & PLAN_F_WRITES ? 0 : p->n_read, names,
                     sizeof names);
        if (p->reason != rows[i].why || (p->flags & rows[i].has) != rows[i].has ||
            (p->flags & rows[i].has_not) || strcmp(names, rows[i].tables) != 0) {
            print_error("%s: flags %x (%x, not %x), %s (%s), %s (%s)\n", rows[i].sql, p->flags,
                        rows[i].has, p->flags & rows[i].has_not, pw_plan_reason_text(p->reason),
                        pw_plan_reason_text(rows[i].why), names, rows[i].tables);
            failures++;
        }
        pw_plan_unref(p);
    }
    assert_int_equal(failures, 0);
}

static const struct plan *plan_as(struct live *l, const char *user, const char *path,
                                  const char *sql)
{
    const struct plan_context *before = l->f.ctx;
    l->f.ctx = pw_plan_context(l->f.planner,
                               &(struct plan_context_key){.database_id = 1,
                                                          .user = user,
                                                          .search_path = path,
                                                          .standard_conforming_strings = true,
                                                          .encoding_is_safe = true});
    const struct plan *p = live_plan(l, sql);
    l->f.ctx = before;
    return p;
}

static void assert_reads(struct live *l, const char *user, const char *path, const char *sql,
                         const char *tables)
{
    const struct plan *p = plan_as(l, user, path, sql);
    char names[1000];
    names_of(l, p->tables_read, p->n_read, names, sizeof names);
    assert_string_equal(names, tables);
    pw_plan_unref(p);
}

static void test_search_path(void **state)
{
    struct live *l = *state;
    assert_reads(l, "u", NULL, "select * from t", "t");
    assert_reads(l, "u", "s1", "select * from t", "s1.t");
    /* Which of several schemas the role may use is not known: what it may read is all of them. */
    assert_reads(l, "u", "s1, public", "select * from t", "s1.t,t");
    assert_reads(l, "u", "\"$user\", public", "select * from only t", "t");
    assert_reads(l, "s1", "\"$user\"", "select * from t", "s1.t");
    assert_reads(l, "u", "public", "select * from s1.t", "s1.t");
    const struct plan *p = plan_as(l, "u", "public", "select z from \"lonely\"");
    assert_int_equal(p->reason, PLAN_WHY_UNKNOWN_TABLE);
    pw_plan_unref(p);
    p = plan_as(l, "u", "", "select * from t");
    assert_int_equal(p->reason, PLAN_WHY_UNKNOWN_TABLE);
    pw_plan_unref(p);
    live_sql(l, "ALTER ROLE alice SET search_path TO s1");
    pw_planner_catalog_changed(l->f.planner, 1);
    live_settle(l);
    /* Sessions of hers may have begun before, and keep the path of then. */
    assert_reads(l, "alice", NULL, "select * from t", "s1.t,t");
    assert_reads(l, "u", NULL, "select * from t", "t");
}

static bool was_reported(const struct live *l, uint32_t oid)
{
    for (size_t i = 0; i < l->n_oids; i++) {
        if (l->oids[i] == oid)
            return true;
    }
    return false;
}

static void wait_reported(struct live *l, uint32_t oid)
{
    while (!was_reported(l, oid))
        uv_run(&l->f.uv, UV_RUN_ONCE);
    l->n_oids = 0;
}

static void test_foreign_writes(void **state)
{
    struct live *l = *state;
    uint32_t t = live_number(l, "SELECT 't'::regclass::oid"),
             m = live_number(l, "SELECT 'm'::regclass::oid");
    l->n_oids = 0;
    live_foreign(l, "INSERT INTO t (a) VALUES ('x')");
    wait_reported(l, t);
    live_foreign(l, "UPDATE t SET a = 'y'");
    wait_reported(l, t);
    live_foreign(l, "DELETE FROM t");
    wait_reported(l, t);
    live_foreign(l, "TRUNCATE t CASCADE"); /* no row is counted, but the file is another one */
    wait_reported(l, t);
    live_foreign(l, "REFRESH MATERIALIZED VIEW m");
    wait_reported(l, m);
}

static void test_foreign_ddl(void **state)
{
    struct live *l = *state;
    const struct plan *before = live_plan(l, "select * from child");
    assert_true(pw_plan_has(before, PLAN_F_CACHEABLE));
    l->all_written = false;
    live_foreign(l, "ALTER TABLE child ENABLE ROW LEVEL SECURITY");
    live_wait_reason(l, "select * from child", PLAN_WHY_ROW_SECURITY, true);
    assert_false(pw_plan_is_current(l->f.ctx, before));
    assert_true(l->all_written); /* what was cached is gone too */
    pw_plan_unref(before);
    live_foreign(l, "CREATE TABLE nothing (a int)");
    live_wait_reason(l, "select * from nothing", PLAN_WHY_UNKNOWN_TABLE, false);
    live_foreign(l, "DROP TABLE nothing");
    live_wait_reason(l, "select * from nothing", PLAN_WHY_UNKNOWN_TABLE, true);
    l->all_written = false;
    live_foreign(l, "GRANT SELECT ON t TO alice");
    while (!l->all_written)
        uv_run(&l->f.uv, UV_RUN_ONCE);
}

static void test_changed_through_the_proxy(void **state)
{
    struct live *l = *state;
    const struct plan *p = live_plan(l, "select * from base");
    assert_true(pw_plan_has(p, PLAN_F_CACHEABLE));
    pw_planner_catalog_changed(l->f.planner, 1);
    assert_false(pw_plan_is_current(l->f.ctx, p)); /* at once */
    pw_plan_unref(p);
    live_wait_reason(l, "select * from base", PLAN_WHY_NOT_NONE, true);
}

static void test_lost_connection(void **state)
{
    struct live *l = *state;
    live_sql(l, "UPDATE pg_database SET datallowconn = false WHERE datname = 'postgres'");
    live_sql(l,
             "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
             "AND backend_type = 'client backend'");
    live_wait_reason(l, "select * from base", PLAN_WHY_NO_CATALOG, true);
    live_sql(l, "UPDATE pg_database SET datallowconn = true WHERE datname = 'postgres'");
    live_wait_reason(l, "select * from base", PLAN_WHY_NOT_NONE, true);
}

static int before_all(void **state)
{
    static struct live l;
    live_init(&l, setup, sizeof setup / sizeof setup[0]);
    *state = &l;
    return 0;
}

static int after_all(void **state)
{
    live_free(*state);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    live_url = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_search_path),
        cmocka_unit_test(test_foreign_writes),
        cmocka_unit_test(test_foreign_ddl),
        cmocka_unit_test(test_changed_through_the_proxy),
        cmocka_unit_test(test_lost_connection),
    };
    return cmocka_run_group_tests(tests, before_all, after_all);
}
