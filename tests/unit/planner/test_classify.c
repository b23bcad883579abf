/* What each kind of statement is taken for, without a catalog: class, flags, reason, pin, settings.
 */
#include "planner_fixture.h"

static struct fixture f; /* of all tests */

static int setup(void **state)
{
    (void)state;
    fixture_init(&f, 1000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_free(&f);
    return 0;
}

static const struct plan *plan_of(const char *sql)
{
    return fixture_plan(&f, sql, strlen(sql));
}

enum {
    WALL = PLAN_F_WRITES | PLAN_F_WRITES_ALL,
    RIGHTS = WALL | PLAN_F_CATALOG | PLAN_F_RIGHTS, /* DDL: there may be event triggers */
    INS = WALL | PLAN_F_SEQUENCE,
    PIPE = PLAN_F_PIPELINE,
    BOTH = PLAN_F_PIPELINE | PLAN_F_CACHEABLE,
    PIN = PLAN_F_PINS,
    UNDO = PLAN_F_UNDOES,
    OPQ = WALL | PLAN_F_CATALOG | PLAN_F_RIGHTS | PLAN_F_PINS | PLAN_F_VOLATILE | PLAN_F_LOCKS |
          PLAN_F_SESSION_READ | PLAN_F_SEQUENCE,
    EXEC = WALL | PLAN_F_VOLATILE | PLAN_F_SEQUENCE | PLAN_F_LOCKS | PIN,
    UNKNOWN_CALL = WALL | PLAN_F_VOLATILE | PIN,
};
#define WHY(x) PLAN_WHY_##x

static const struct {
    const char *sql;
    enum plan_class cls;
    unsigned flags;
    enum plan_reason why;
    enum pin_reason pin;
} rows[] = {
    {"", PLAN_EMPTY, 0, WHY(NOT_SELECT), PIN_NONE},
    {" -- nothing", PLAN_EMPTY, 0, WHY(NOT_SELECT), PIN_NONE},
    {";", PLAN_EMPTY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"select 1", PLAN_READ, BOTH, WHY(NOT_NONE), PIN_NONE},
    {"values (1, 'a'), (2, 'b')", PLAN_READ, BOTH, WHY(NOT_NONE), PIN_NONE},
    {"(select 1) union all (select 2) order by 1", PLAN_READ, BOTH, WHY(NOT_NONE), PIN_NONE},
    {"select 'now'", PLAN_READ, PIPE, WHY(SPECIAL_VALUE), PIN_NONE},
    {"select current_user", PLAN_READ, PIPE, WHY(SPECIAL_VALUE), PIN_NONE},
    {"select current_timestamp", PLAN_READ, PIPE, WHY(SPECIAL_VALUE), PIN_NONE},
    {"select localtime", PLAN_READ, PIPE, WHY(SPECIAL_VALUE), PIN_NONE},
    {"select * from t", PLAN_READ, PIPE, WHY(NO_CATALOG), PIN_NONE},
    {"table t", PLAN_READ, PIPE, WHY(NO_CATALOG), PIN_NONE},
    {"select a + 1 from t", PLAN_READ, PIPE, WHY(NO_CATALOG), PIN_NONE},
    {"select * from t for update", PLAN_READ, PLAN_F_LOCKS, WHY(NO_CATALOG), PIN_NONE},
    {"select 1 for share", PLAN_READ, PLAN_F_LOCKS, WHY(LOCKING), PIN_NONE},
    {"select 1 for no key update skip locked", PLAN_READ, PLAN_F_LOCKS, WHY(LOCKING), PIN_NONE},
    {"select * from t tablesample system(1)", PLAN_READ, PIPE, WHY(TABLESAMPLE), PIN_NONE},
    {"select xmlparse(document 'x')", PLAN_READ, 0, WHY(UNSUPPORTED), PIN_NONE},
    {"select 1 as a; select 2", PLAN_READ, PLAN_F_MULTI, WHY(MULTI), PIN_NONE},
    {"select 1;", PLAN_READ, BOTH, WHY(NOT_NONE), PIN_NONE},
    {"select into x from t", PLAN_WRITE, RIGHTS, WHY(INTO), PIN_NONE},
    {"select 1 into temp x", PLAN_WRITE, RIGHTS | PIN, WHY(INTO), PIN_TEMP_TABLE},
    {"select 1 into pg_temp.x", PLAN_WRITE, RIGHTS | PIN, WHY(INTO), PIN_TEMP_TABLE},
    {"select count(*), max(1)", PLAN_READ, 0, WHY(NO_CATALOG), PIN_NONE},
    {"select now()", PLAN_READ, 0, WHY(SPECIAL_VALUE), PIN_NONE},
    {"select random()", PLAN_READ, PLAN_F_VOLATILE, WHY(VOLATILE_FUNCTION), PIN_NONE},
    {"select pg_sleep(1)", PLAN_READ, PLAN_F_VOLATILE, WHY(VOLATILE_FUNCTION), PIN_NONE},
    {"select nextval('s')", PLAN_READ, PLAN_F_VOLATILE | PLAN_F_SEQUENCE, WHY(VOLATILE_FUNCTION),
     PIN_NONE},
    {"select setval('s', 5)", PLAN_READ, PLAN_F_VOLATILE | PLAN_F_SEQUENCE, WHY(VOLATILE_FUNCTION),
     PIN_NONE},
    {"select currval('s')", PLAN_READ, PLAN_F_VOLATILE | PLAN_F_CURRVAL | PLAN_F_SESSION_READ | PIN,
     WHY(VOLATILE_FUNCTION), PIN_SEQUENCE},
    {"select lastval()", PLAN_READ, PLAN_F_VOLATILE | PLAN_F_CURRVAL | PLAN_F_SESSION_READ | PIN,
     WHY(VOLATILE_FUNCTION), PIN_SEQUENCE},
    {"select pg_advisory_lock(1)", PLAN_READ, PLAN_F_VOLATILE | PLAN_F_LOCKS | PIN,
     WHY(VOLATILE_FUNCTION), PIN_ADVISORY_LOCK},
    {"select pg_try_advisory_lock(1, 2)", PLAN_READ, PLAN_F_VOLATILE | PLAN_F_LOCKS | PIN | UNDO,
     WHY(VOLATILE_FUNCTION), PIN_ADVISORY_LOCK},
    {"select pg_advisory_unlock(1)", PLAN_READ, PLAN_F_VOLATILE | PLAN_F_LOCKS | UNDO,
     WHY(VOLATILE_FUNCTION), PIN_NONE},
    {"select pg_advisory_xact_lock(1)", PLAN_READ, PLAN_F_VOLATILE | PLAN_F_LOCKS,
     WHY(VOLATILE_FUNCTION), PIN_NONE},
    {"select pg_catalog.pg_advisory_lock(1)", PLAN_READ, PLAN_F_VOLATILE | PLAN_F_LOCKS | PIN,
     WHY(VOLATILE_FUNCTION), PIN_ADVISORY_LOCK},
    {"select setseed(0.5)", PLAN_READ, WALL | PLAN_F_VOLATILE | PIN, WHY(VOLATILE_FUNCTION),
     PIN_FUNCTION},
    {"select pg_backend_pid()", PLAN_READ, PLAN_F_SESSION_READ, WHY(SPECIAL_VALUE), PIN_NONE},
    {"select current_setting('x')", PLAN_READ, PLAN_F_SESSION_READ, WHY(SPECIAL_VALUE), PIN_NONE},
    {"select pg_notify('a', 'b')", PLAN_READ, PLAN_F_VOLATILE, WHY(VOLATILE_FUNCTION), PIN_NONE},
    {"select my_function(1)", PLAN_READ, UNKNOWN_CALL, WHY(UNKNOWN_FUNCTION), PIN_FUNCTION},
    {"select s.lower('x')", PLAN_READ, UNKNOWN_CALL, WHY(UNKNOWN_FUNCTION), PIN_FUNCTION},
    {"select * from my_function(1) f", PLAN_READ, UNKNOWN_CALL, WHY(UNKNOWN_FUNCTION),
     PIN_FUNCTION},
    {"select set_config('a.b', 'c', false) from t", PLAN_READ, PLAN_F_VOLATILE | PIN,
     WHY(VOLATILE_FUNCTION), PIN_SET},
    {"select set_config('a.b', $1, false)", PLAN_SESSION, PLAN_F_SETS | PIN, WHY(NOT_SELECT),
     PIN_SET},
    {"select set_config($1, $2, true)", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT, WHY(NOT_SELECT),
     PIN_NONE},
    {"select set_config('search_path', 'c', false) from t", PLAN_READ,
     PLAN_F_VOLATILE | PLAN_F_CONTEXT | PIN, WHY(VOLATILE_FUNCTION), PIN_SET},
    {"select set_config('ROLE', $1, false)", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT | PIN,
     WHY(NOT_SELECT), PIN_SET},
    {"select set_config($1, 'x', false)", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT | PIN,
     WHY(NOT_SELECT), PIN_SET},
    {"set session authorization 'x'", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT | PIN,
     WHY(NOT_SELECT), PIN_SET},
    {"set session authorization default", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT | PIN,
     WHY(NOT_SELECT), PIN_SET},
    {"reset session authorization", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT | PIN,
     WHY(NOT_SELECT), PIN_SET},
    {"reset \"Session_Authorization\"", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT | PIN,
     WHY(NOT_SELECT), PIN_SET},
    {"set local session authorization default", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT | PIN,
     WHY(NOT_SELECT), PIN_SET},
    {"select set_config('session_authorization', 'x', true)", PLAN_SESSION,
     PLAN_F_SETS | PLAN_F_CONTEXT | PIN, WHY(NOT_SELECT), PIN_SET},
    {"set \"Seed\" to 0.5", PLAN_SESSION, PLAN_F_SETS | PIN, WHY(NOT_SELECT), PIN_SET},
    {"set \"Transaction_Read_Only\" to on", PLAN_TXN, 0, WHY(NOT_SELECT), PIN_NONE},
    {"truncate t cascade", PLAN_DDL, WALL | PLAN_F_SEQUENCE, WHY(NOT_SELECT), PIN_NONE},
    {"insert into pg_temp.t values (1)", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"select xmax from t", PLAN_READ, PIPE, WHY(SYSTEM_COLUMN), PIN_NONE},
    {"select pg_reload_conf()", PLAN_READ, RIGHTS | PLAN_F_VOLATILE, WHY(VOLATILE_FUNCTION),
     PIN_NONE},
    {"drop database d", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create database d", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"select \"set_config\"('a', 'b', false), 1", PLAN_READ, PLAN_F_VOLATILE | PIN,
     WHY(VOLATILE_FUNCTION), PIN_SET},
    /* writes */
    {"insert into t values (1)", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"insert into t select * from u returning *", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"insert into t values (1) on conflict (a) do update set b = 2", PLAN_WRITE, INS,
     WHY(NOT_SELECT), PIN_NONE},
    {"update t set a = 1 where b = 2", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"update t set (a, b) = (1, 2) from u where current of c", PLAN_WRITE, INS, WHY(NOT_SELECT),
     PIN_NONE},
    {"delete from t using u where t.a = u.a", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"merge into t using s on a = b when not matched then insert values (1)", PLAN_WRITE, INS,
     WHY(NOT_SELECT), PIN_NONE},
    {"with x as (insert into t values (1) returning a) select * from x", PLAN_WRITE, INS,
     WHY(NO_CATALOG), PIN_NONE},
    {"with x as (delete from t) select 1", PLAN_WRITE, INS, WHY(WRITABLE_CTE), PIN_NONE},
    {"with x as (select 1) update t set a = 1", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"create table x as select 1", PLAN_WRITE, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create temp table x as select 1", PLAN_WRITE, RIGHTS | PIN, WHY(NOT_SELECT), PIN_TEMP_TABLE},
    {"refresh materialized view concurrently m", PLAN_WRITE, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"copy t from stdin", PLAN_COPY, INS | PLAN_F_COPY_IN, WHY(NOT_SELECT), PIN_NONE},
    {"copy t (a, b) from stdin with (format csv)", PLAN_COPY, INS | PLAN_F_COPY_IN, WHY(NOT_SELECT),
     PIN_NONE},
    {"copy t from '/x'", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"copy t from program 'x'", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"copy t to stdout", PLAN_COPY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"copy (select 1) to stdout", PLAN_COPY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"copy (delete from t returning *) to stdout", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"copy t to '/x'", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"do $$ begin perform 1; end $$", PLAN_WRITE, OPQ, WHY(NOT_SELECT), PIN_FUNCTION},
    {"call p(1)", PLAN_WRITE, UNKNOWN_CALL | PLAN_F_CATALOG | PLAN_F_RIGHTS | PLAN_F_SEQUENCE,
     WHY(NOT_SELECT), PIN_FUNCTION},
    {"explain select * from t", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"explain select my_function(1)", PLAN_UTILITY, WALL | PIN, WHY(NOT_SELECT), PIN_FUNCTION},
    {"explain delete from t", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"explain analyze delete from t", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"explain (analyze, costs off) delete from t", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"explain (analyze false) delete from t", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"explain (analyze off) delete from t", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"explain (analyze 0) delete from t", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"explain (analyze on) delete from t", PLAN_WRITE, INS, WHY(NOT_SELECT), PIN_NONE},
    {"explain analyze select 1", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"explain analyze create table x as select 1", PLAN_WRITE, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"explain analyze execute p(1)", PLAN_SESSION, EXEC, WHY(NOT_SELECT), PIN_SQL_PREPARE},
    /* schema */
    {"create table x (a int)", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create unlogged table if not exists x (a int)", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create temp table x (a int)", PLAN_DDL, RIGHTS | PIN, WHY(NOT_SELECT), PIN_TEMP_TABLE},
    {"create table pg_temp.x (a int)", PLAN_DDL, RIGHTS | PIN, WHY(NOT_SELECT), PIN_TEMP_TABLE},
    {"create temp view v as select 1", PLAN_DDL, RIGHTS | PIN, WHY(NOT_SELECT), PIN_TEMP_TABLE},
    {"create temp sequence s", PLAN_DDL, RIGHTS | PIN, WHY(NOT_SELECT), PIN_TEMP_TABLE},
    {"create table a (x int); create temp table b (x int)", PLAN_DDL, RIGHTS | PIN | PLAN_F_MULTI,
     WHY(NOT_SELECT), PIN_TEMP_TABLE},
    {"create view v as select 1", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create materialized view m as select 1", PLAN_WRITE, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create index concurrently i on t (a)", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"reindex table t", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"alter table t add column b int", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"alter table t enable row level security", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"alter table t rename to u", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"alter table t owner to x", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"drop table t cascade", PLAN_DDL, RIGHTS | UNDO, WHY(NOT_SELECT), PIN_NONE},
    {"drop view v", PLAN_DDL, RIGHTS | UNDO, WHY(NOT_SELECT), PIN_NONE},
    {"truncate t, u", PLAN_DDL, INS, WHY(NOT_SELECT), PIN_NONE},
    {"create schema s", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create sequence s", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"alter sequence s restart", PLAN_DDL, RIGHTS | PLAN_F_SEQUENCE, WHY(NOT_SELECT), PIN_NONE},
    {"create function f() returns int language sql as 'select 1'", PLAN_DDL, RIGHTS,
     WHY(NOT_SELECT), PIN_NONE},
    {"create procedure p() language sql begin atomic; select 1; select 2; end", PLAN_DDL, RIGHTS,
     WHY(NOT_SELECT), PIN_NONE},
    {"create trigger g before insert on t for each row execute function f()", PLAN_DDL, RIGHTS,
     WHY(NOT_SELECT), PIN_NONE},
    {"create rule r as on insert to t do also (select 1; select 2)", PLAN_DDL, RIGHTS,
     WHY(NOT_SELECT), PIN_NONE},
    {"create extension x", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create type e as enum ('a')", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create domain d as int check (value > 0)", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create policy p on t using (true)", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"alter policy p on t using (false)", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"grant select on t to u", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"revoke all on t from u", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"grant a to b", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"alter role r set search_path to x", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"alter role r superuser", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"alter default privileges grant select on tables to x", PLAN_DDL, RIGHTS, WHY(NOT_SELECT),
     PIN_NONE},
    {"comment on table t is 'x'", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"create statistics s on a, b from t", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"drop owned by r", PLAN_DDL, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    /* transactions */
    {"begin", PLAN_TXN, PLAN_F_TXN_BEGIN, WHY(NOT_SELECT), PIN_NONE},
    {"start transaction isolation level serializable read only", PLAN_TXN, PLAN_F_TXN_BEGIN,
     WHY(NOT_SELECT), PIN_NONE},
    {"commit", PLAN_TXN, PLAN_F_TXN_END, WHY(NOT_SELECT), PIN_NONE},
    {"end", PLAN_TXN, PLAN_F_TXN_END, WHY(NOT_SELECT), PIN_NONE},
    {"rollback", PLAN_TXN, PLAN_F_TXN_END, WHY(NOT_SELECT), PIN_NONE},
    {"abort", PLAN_TXN, PLAN_F_TXN_END, WHY(NOT_SELECT), PIN_NONE},
    {"commit and chain", PLAN_TXN, PLAN_F_TXN_END | PLAN_F_TXN_BEGIN, WHY(NOT_SELECT), PIN_NONE},
    {"savepoint a", PLAN_TXN, 0, WHY(NOT_SELECT), PIN_NONE},
    {"release a", PLAN_TXN, 0, WHY(NOT_SELECT), PIN_NONE},
    {"rollback to a", PLAN_TXN, 0, WHY(NOT_SELECT), PIN_NONE},
    {"prepare transaction 'x'", PLAN_TXN, PLAN_F_TXN_END, WHY(NOT_SELECT), PIN_NONE},
    {"commit prepared 'x'", PLAN_TXN, RIGHTS, WHY(NOT_SELECT), PIN_NONE},
    {"set transaction isolation level repeatable read", PLAN_TXN, 0, WHY(NOT_SELECT), PIN_NONE},
    {"set transaction snapshot 'x'", PLAN_TXN, 0, WHY(NOT_SELECT), PIN_NONE},
    {"set transaction_read_only = on", PLAN_TXN, 0, WHY(NOT_SELECT), PIN_NONE},
    {"set constraints all deferred", PLAN_TXN, 0, WHY(NOT_SELECT), PIN_NONE},
    {"begin; insert into t values (1); commit", PLAN_WRITE,
     INS | PLAN_F_TXN_BEGIN | PLAN_F_TXN_END | PLAN_F_MULTI, WHY(NOT_SELECT), PIN_NONE},
    {"begin; set x = 1; commit", PLAN_TXN, PLAN_F_TXN_BEGIN | PLAN_F_TXN_END | PLAN_F_MULTI | PIN,
     WHY(NOT_SELECT), PIN_SET},
    /* sessions */
    {"set x to 1", PLAN_SESSION, PLAN_F_SETS, WHY(NOT_SELECT), PIN_NONE},
    {"set local x to 1", PLAN_SESSION, PLAN_F_SETS, WHY(NOT_SELECT), PIN_NONE},
    {"reset x", PLAN_SESSION, PLAN_F_SETS, WHY(NOT_SELECT), PIN_NONE},
    {"set search_path to a", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT, WHY(NOT_SELECT), PIN_NONE},
    {"set local role x", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT, WHY(NOT_SELECT), PIN_NONE},
    {"set names 'sjis'", PLAN_SESSION, PLAN_F_SETS | PLAN_F_CONTEXT, WHY(NOT_SELECT), PIN_NONE},
    {"set work_mem to 1", PLAN_SESSION, PLAN_F_SETS, WHY(NOT_SELECT), PIN_NONE},
    {"reset all", PLAN_SESSION, PLAN_F_CONTEXT | PLAN_F_SETS, WHY(NOT_SELECT), PIN_NONE},
    {"set seed to 0.5", PLAN_SESSION, PLAN_F_SETS | PIN, WHY(NOT_SELECT), PIN_SET},
    {"set time zone interval '1' hour", PLAN_SESSION, PLAN_F_SETS | PIN, WHY(NOT_SELECT), PIN_SET},
    {"set x = 1; select 1", PLAN_SESSION, PLAN_F_SETS | PLAN_F_MULTI, WHY(MULTI), PIN_NONE},
    {"discard all", PLAN_SESSION, PLAN_F_CONTEXT | PLAN_F_SETS | PLAN_F_UNPINS, WHY(NOT_SELECT),
     PIN_NONE},
    {"discard all; select 1", PLAN_SESSION, PLAN_F_CONTEXT | PLAN_F_SETS | PLAN_F_MULTI, WHY(MULTI),
     PIN_NONE},
    {"discard temp", PLAN_SESSION, UNDO, WHY(NOT_SELECT), PIN_NONE},
    {"discard plans", PLAN_SESSION, UNDO, WHY(NOT_SELECT), PIN_NONE},
    {"listen c", PLAN_SESSION, PIN, WHY(NOT_SELECT), PIN_LISTEN},
    {"unlisten *", PLAN_SESSION, UNDO, WHY(NOT_SELECT), PIN_NONE},
    {"notify c, 'x'", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"load 'x'", PLAN_SESSION, PIN, WHY(NOT_SELECT), PIN_LOAD},
    {"prepare p as delete from t", PLAN_SESSION, PIN, WHY(NOT_SELECT), PIN_SQL_PREPARE},
    {"execute p(1)", PLAN_SESSION, EXEC, WHY(NOT_SELECT), PIN_SQL_PREPARE},
    {"prepare p as select pg_advisory_lock(1)", PLAN_SESSION, PIN, WHY(NOT_SELECT),
     PIN_SQL_PREPARE},
    {"create function pg_temp.f() returns int language sql as 'select 1'", PLAN_DDL, RIGHTS | PIN,
     WHY(NOT_SELECT), PIN_TEMP_TABLE},
    {"create type pg_temp.t as (a int)", PLAN_DDL, RIGHTS | PIN, WHY(NOT_SELECT), PIN_TEMP_TABLE},
    {"deallocate p", PLAN_SESSION, UNDO, WHY(NOT_SELECT), PIN_NONE},
    {"deallocate all", PLAN_SESSION, UNDO, WHY(NOT_SELECT), PIN_NONE},
    {"declare c cursor for select 1", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"declare c cursor with hold for select 1", PLAN_SESSION, PIN, WHY(NOT_SELECT),
     PIN_HOLD_CURSOR},
    {"fetch 10 from c", PLAN_UTILITY, PLAN_F_VOLATILE, WHY(NOT_SELECT), PIN_NONE},
    {"close c", PLAN_UTILITY, UNDO, WHY(NOT_SELECT), PIN_NONE},
    {"show all", PLAN_UTILITY, PLAN_F_SESSION_READ, WHY(NOT_SELECT), PIN_NONE},
    {"vacuum analyze t", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"checkpoint", PLAN_UTILITY, 0, WHY(NOT_SELECT), PIN_NONE},
    {"lock table t", PLAN_UTILITY, PLAN_F_LOCKS, WHY(NOT_SELECT), PIN_NONE},
    /* not understood */
    {"selec 1", PLAN_OPAQUE, OPQ, WHY(NOT_PARSED), PIN_OPAQUE},
    {"select 'unterminated", PLAN_OPAQUE, OPQ, WHY(NOT_PARSED), PIN_OPAQUE},
    {"select json_object('a': 1)", PLAN_OPAQUE, OPQ, WHY(NOT_PARSED), PIN_OPAQUE},
    {"select 0x1F", PLAN_OPAQUE, OPQ, WHY(NOT_PARSED), PIN_OPAQUE},
    {"select 1; garbage", PLAN_OPAQUE, OPQ, WHY(NOT_PARSED), PIN_OPAQUE},
};

static void test_table(void **state)
{
    (void)state;
    size_t n = sizeof rows / sizeof rows[0];
    assert_true(n >= 150);
    int failures = 0;
    for (size_t i = 0; i < n; i++) {
        const struct plan *p = plan_of(rows[i].sql);
        if (p->cls != rows[i].cls || p->flags != rows[i].flags || p->reason != rows[i].why ||
            p->pin_reason != rows[i].pin) {
            print_error("%s: class %d (%d) flags %x (%x) why %d (%d: %s) pin %d (%d)\n",
                        rows[i].sql, p->cls, rows[i].cls, p->flags, rows[i].flags, p->reason,
                        rows[i].why, pw_plan_reason_text(p->reason), p->pin_reason, rows[i].pin);
            failures++;
        }
        pw_plan_unref(p);
    }
    assert_int_equal(failures, 0);
}

static const struct {
    const char *sql;
    enum plan_set_kind kind;
    const char *name, *value;
} sets[] = {
    {"SET X to 1", PLAN_SET_VALUE, "x", "1"},
    {"set x = -5", PLAN_SET_VALUE, "x", "-5"},
    {"set x = - 5", PLAN_SET_VALUE, "x", "-5"},
    {"set x = 0", PLAN_SET_VALUE, "x", "0"},
    {"set x to +7", PLAN_SET_VALUE, "x", "7"},
    {"set x to 1.50", PLAN_SET_VALUE, "x", "1.50"},
    {"set x to -3000000000", PLAN_SET_VALUE, "x", "-3000000000"},
    {"set a.b to 'it''s'", PLAN_SET_VALUE, "a.b", "it's"},
    {"set x to on", PLAN_SET_VALUE, "x", "on"},
    {"set x to true", PLAN_SET_VALUE, "x", "true"},
    {"set x to Word", PLAN_SET_VALUE, "x", "word"},
    {"set x to \"Word\"", PLAN_SET_VALUE, "x", "Word"},
    {"set datestyle to ISO, DMY", PLAN_SET_VALUE, "datestyle", "iso, dmy"},
    {"set search_path to a, \"B c\", 'user', '$user'", PLAN_SET_VALUE, "search_path",
     "a, \"B c\", \"user\", \"$user\""},
    {"set search_path to ''", PLAN_SET_VALUE, "search_path", "\"\""},
    {"set schema 'a'", PLAN_SET_VALUE, "search_path", "a"},
    {"set names 'utf8'", PLAN_SET_VALUE, "client_encoding", "utf8"},
    {"set names", PLAN_SET_DEFAULT, "client_encoding", NULL},
    {"set role x", PLAN_SET_VALUE, "role", "x"},
    {"set role none", PLAN_SET_VALUE, "role", "none"},
    {"reset role", PLAN_SET_DEFAULT, "role", NULL},
    {"set \"Search_Path\" to \"A b\"", PLAN_SET_VALUE, "search_path", "\"A b\""},
    {"set time zone 'Europe/Rome'", PLAN_SET_VALUE, "timezone", "Europe/Rome"},
    {"set time zone -8", PLAN_SET_VALUE, "timezone", "-8"},
    {"set time zone local", PLAN_SET_DEFAULT, "timezone", NULL},
    {"set x to default", PLAN_SET_DEFAULT, "x", NULL},
    {"reset x", PLAN_SET_DEFAULT, "x", NULL},
    {"reset all", PLAN_RESET_ALL, "", NULL},
    {"discard all", PLAN_DISCARD_ALL, "", NULL},
    {"set local x to 'y'", PLAN_SET_LOCAL, "x", "y"},
    {"set local x to default", PLAN_SET_LOCAL, "x", NULL},
    {"set session characteristics as transaction isolation level serializable", PLAN_SET_VALUE,
     "default_transaction_isolation", "serializable"},
    {"set session characteristics as transaction read write", PLAN_SET_VALUE,
     "default_transaction_read_only", "off"},
    {"select set_config('A.b', 'c d', false)", PLAN_SET_VALUE, "a.b", "c d"},
    {"select pg_catalog.set_config('search_path', '', false)", PLAN_SET_VALUE, "search_path", ""},
    {"select set_config('x', 'y', true)", PLAN_SET_LOCAL, "x", "y"},
    {"select set_config('x', $1, true)", PLAN_SET_LOCAL, "x", NULL},
};

static void test_settings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        const struct plan *p = plan_of(sets[i].sql);
        if (p->n_sets != 1 || p->sets[0].kind != sets[i].kind ||
            strcmp(p->sets[0].name, sets[i].name) != 0 || !p->sets[0].value != !sets[i].value ||
            (sets[i].value && strcmp(p->sets[0].value, sets[i].value) != 0))
            fail_msg("%s: %u sets, %s = %s", sets[i].sql, p->n_sets,
                     p->n_sets ? p->sets[0].name : "",
                     p->n_sets && p->sets[0].value ? p->sets[0].value : "(null)");
        pw_plan_unref(p);
    }
}

/* The text of a family is shown to people: no literal of a client is in it. */
static void test_family_text_is_redacted(void **state)
{
    (void)state;
    static const char *const list[] = {
        "select * from t where a = 'secret'",
        "alter role r password 'secret'",
        "prepare p as select 'secret'",
        "set x to 'secret'",
        "select set_config('secret', 'secret', false)",
        "copy t to 'secret'",
        "notify c, 'secret'",
        "execute p('secret')",
        "select 'secret'; select 'secret'",
        "garbage 'secret'",
        "create user u password 'secret'",
        "do 'secret'",
        "comment on table t is $$secret$$",
        "explain select e'secret'",
        "call p('secret')",
        "select 1 /* secret */",
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        const struct plan *p = plan_of(list[i]);
        if (strstr(p->family_text, "secret"))
            fail_msg("%s: %s", list[i], p->family_text);
        pw_plan_unref(p);
    }
}

static void test_hints_reach_the_plan(void **state)
{
    (void)state;
    const char *sql = "select 1 /* pgweir: cache=force ttl=3s batch=off */";
    const struct plan *p = plan_of(sql);
    assert_int_equal(p->hint_cache, 3);
    assert_int_equal(p->hint_batch, 2);
    assert_int_equal(p->hint_ttl_us, 3000000);
    pw_plan_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_family_text_is_redacted),
        cmocka_unit_test(test_hints_reach_the_plan),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
