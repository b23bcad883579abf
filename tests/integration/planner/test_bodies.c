/* What is found in the bodies of functions, operators and triggers, and at what cost. */
#include "live.h"
#include "proxy/base/alloc.h"
#include "proxy/base/attrs.h"

static const char *const setup[] = {
    "SET search_path TO public",
    "CREATE TABLE t (x int, y int)",
    "CREATE FUNCTION w(int) RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING 1'",
    "CREATE SCHEMA s",
    "CREATE TYPE s.m AS ENUM ('a', 'b')",
    /* The apostrophe is a comment's: what follows it is no string. */
    "CREATE TABLE product (a int, b int, c int)",
    "CREATE FUNCTION product() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.c := NEW.a *-- "
    "don't\n"
    " NEW.b; UPDATE t SET x = 1 WHERE y::text = 'n'; RETURN NEW; END $$",
    "CREATE TRIGGER product BEFORE INSERT ON product FOR EACH ROW EXECUTE FUNCTION product()",
    "CREATE FUNCTION quotient() RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 4 //* don't */ "
    "w(2) $$",
    /* Operators that write: found where the next operand begins with a sign, or another spelling.
     */
    "CREATE FUNCTION s.op(int, int) RETURNS bool LANGUAGE sql AS 'SELECT w($1) > $2'",
    "CREATE OPERATOR s.<<< (leftarg = int, rightarg = int, function = s.op)",
    "CREATE OPERATOR s.<@- (leftarg = int, rightarg = int, function = s.op)",
    "CREATE FUNCTION s.op(s.m, int) RETURNS bool LANGUAGE sql AS 'SELECT w($2) > 1'",
    "CREATE OPERATOR s.<> (leftarg = s.m, rightarg = int, function = s.op)",
    "CREATE FUNCTION with_sign() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1 "
    "<<<-+-1; END'",
    "CREATE FUNCTION with_odd() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1 <@-1; "
    "END'",
    "CREATE FUNCTION spelled() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS "
    "$$ BEGIN RETURN 'a'::s.m != 1; END $$",
    /* An own equality whose body is harmless, and says = itself. */
    "CREATE TYPE s.p AS (a int, b int, c int, d int, e int, f int)",
    "CREATE FUNCTION s.eq(s.p, s.p) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1.a = $2.a "
    "AND $1.b = $2.b AND $1.c = $2.c AND $1.d = $2.d AND $1.e = $2.e AND $1.f = $2.f'",
    "CREATE OPERATOR s.= (leftarg = s.p, rightarg = s.p, function = s.eq)",
    /* Each calls the next; one of them writes and ends the chain. */
    "DO $do$ BEGIN FOR i IN 1..1100 LOOP EXECUTE format('CREATE FUNCTION far%s() RETURNS int "
    "LANGUAGE "
    "plpgsql IMMUTABLE AS $$BEGIN RETURN %s; END$$', i, CASE i WHEN 1100 THEN '1' WHEN 30 THEN "
    "'w(1)' "
    "ELSE 'far' || i + 1 || '()' END); END LOOP; END $do$",
    "CREATE FUNCTION sets() RETURNS text LANGUAGE plpgsql IMMUTABLE AS "
    "$$ BEGIN RETURN set_config('search_path', 's', false); END $$",
    "CREATE FUNCTION sets_much() RETURNS text LANGUAGE plpgsql IMMUTABLE AS "
    "$$ BEGIN LISTEN x; PERFORM pg_advisory_lock(1), nextval('z'); RETURN sets(); END $$",
    "CREATE FUNCTION step(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT w($2)'",
    "CREATE FUNCTION \"the End\"(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN w($1); "
    "END'",
    "CREATE AGGREGATE steps(int) (sfunc = step, stype = int, initcond = '0')",
    "CREATE AGGREGATE ends(int) (sfunc = int4pl, finalfunc = \"the End\", stype = int, initcond = "
    "'0')",
    "CREATE AGGREGATE plain(int) (sfunc = int4pl, stype = int, initcond = '0')",
    "CREATE FUNCTION tree(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN w($1)",
    "CREATE FUNCTION leaf(int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT $1 + 1; END",
    "DO $do$ BEGIN EXECUTE format('CREATE FUNCTION long() RETURNS int LANGUAGE plpgsql IMMUTABLE "
    "AS "
    "%L', 'BEGIN RETURN 1; END' || repeat(' ', 32000)); END $do$",
    "CREATE VIEW calls AS SELECT w(x) AS r FROM t",
    "CREATE VIEW \"over it\" AS SELECT r FROM calls",
    "CREATE FUNCTION looks() RETURNS int LANGUAGE plpgsql STABLE AS "
    "$$ BEGIN RETURN (SELECT max(r) FROM \"over it\"); END $$",
    "CREATE TABLE guarded (x int)",
    "CREATE POLICY p ON guarded USING (w(x) = 1)",
    "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
    "CREATE FUNCTION looks_on() RETURNS bigint LANGUAGE plpgsql STABLE AS "
    "$$ BEGIN RETURN (SELECT count(*) FROM guarded); END $$",
    "CREATE TABLE parent (x int)",
    "CREATE TABLE parted (y int) INHERITS (parent)",
    "CREATE FUNCTION names() RETURNS bigint LANGUAGE plpgsql STABLE AS "
    "$$ BEGIN RETURN (SELECT count(*) FROM parent, v); END $$",
    "CREATE VIEW v AS SELECT x FROM ONLY t FOR UPDATE",
    "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT twice($1) + "
    "twice($1)'",
};

static const struct {
    const char *sql;
    enum plan_reason why;
    unsigned has, has_not; /* flags */
} rows[] = {
    {"insert into product values (1)", PLAN_WHY_NOT_SELECT, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select quotient()", PLAN_WHY_VOLATILE_FUNCTION, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select with_sign()", PLAN_WHY_VOLATILE_FUNCTION, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select with_odd()", PLAN_WHY_VOLATILE_FUNCTION, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select spelled()", PLAN_WHY_VOLATILE_FUNCTION, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select far10()", PLAN_WHY_VOLATILE_FUNCTION, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select far31()", PLAN_WHY_UNKNOWN_FUNCTION, PLAN_F_WRITES_ALL | PLAN_F_PINS, 0},
    {"select far1000(), far1000()", PLAN_WHY_NOT_NONE, PLAN_F_CACHEABLE | PLAN_F_PIPELINE, 0},
    {"explain select sets()", PLAN_WHY_NOT_SELECT, PLAN_F_PINS | PLAN_F_CONTEXT, PLAN_F_WRITES},
    {"explain select 1 from t where sets_much() is null", PLAN_WHY_NOT_SELECT,
     PLAN_F_PINS | PLAN_F_CONTEXT | PLAN_F_SEQUENCE | PLAN_F_LOCKS, PLAN_F_WRITES},
    {"explain select set_config('a.b', 'c', false)", PLAN_WHY_NOT_SELECT, 0, PLAN_F_PINS},
    {"explain delete from t", PLAN_WHY_NOT_SELECT, 0, PLAN_F_WRITES | PLAN_F_PINS},
    {"select steps(x) from t", PLAN_WHY_VOLATILE_FUNCTION, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select ends(x) from t", PLAN_WHY_VOLATILE_FUNCTION, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select plain(x) from t", PLAN_WHY_NOT_NONE, PLAN_F_CACHEABLE | PLAN_F_PIPELINE, 0},
    {"select tree(1)", PLAN_WHY_VOLATILE_FUNCTION, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select leaf(1)", PLAN_WHY_NOT_NONE, PLAN_F_CACHEABLE | PLAN_F_PIPELINE, 0},
    {"select long()", PLAN_WHY_UNKNOWN_FUNCTION, PLAN_F_WRITES_ALL | PLAN_F_PINS, 0},
    {"select looks()", PLAN_WHY_VOLATILE_FUNCTION, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select looks_on()", PLAN_WHY_VOLATILE_FUNCTION, PLAN_F_WRITES_ALL, PLAN_F_PINS},
    {"select names(), x from v", PLAN_WHY_STABLE_FUNCTION, PLAN_F_LOCKS, PLAN_F_PINS},
    {"select twice(1)", PLAN_WHY_NOT_NONE, PLAN_F_CACHEABLE, 0},
    {"select x operator(s.=) 1 from t where x = 1", PLAN_WHY_NOT_NONE,
     PLAN_F_CACHEABLE | PLAN_F_PIPELINE, 0},
};

static void test_table(void **state)
{
    struct live *l = *state;
    int failures = 0;
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        const struct plan *p = live_plan(l, rows[i].sql);
        if (p->reason != rows[i].why || (p->flags & rows[i].has) != rows[i].has ||
            (p->flags & rows[i].has_not)) {
            print_error("%s: flags %x (%x, not %x), %s\n", rows[i].sql, p->flags, rows[i].has,
                        p->flags & rows[i].has_not, pw_plan_reason_text(p->reason));
            failures++;
        }
        pw_plan_unref(p);
    }
    assert_int_equal(failures, 0);
}

static void changed(struct live *l, const char *sql)
{
    live_sql(l, sql);
    pw_planner_catalog_changed(l->f.planner, 1);
    live_settle(l);
}

/* := is no operator, whatever a user's = does. */
static void test_assignments(void **state)
{
    struct live *l = *state;
    static const struct {
        const char *body;
        bool writes;
    } bodies[] = {
        {"DECLARE a int := 1; BEGIN a:=2; a :=-3; RETURN a; END", false},
        {"BEGIN RETURN 1::int=2; END", true},
        {"BEGIN RETURN 1=-2; END", true},
    };
    live_sql(l, "CREATE OPERATOR s.= (leftarg = s.m, rightarg = int, function = s.op)");
    for (size_t i = 0; i < PW_COUNT_OF(bodies); i++) {
        char *sql = pw_asprintf("CREATE OR REPLACE FUNCTION assigns() RETURNS int LANGUAGE plpgsql "
                                "IMMUTABLE AS '%s'",
                                bodies[i].body);
        changed(l, sql);
        pw_free(sql);
        const struct plan *p = live_plan(l, "select assigns()");
        assert_int_equal(pw_plan_has(p, PLAN_F_WRITES_ALL), bodies[i].writes);
        assert_int_equal(pw_plan_has(p, PLAN_F_CACHEABLE), !bodies[i].writes);
        pw_plan_unref(p);
    }
    changed(l, "DROP OPERATOR s.= (s.m, int)");
}

/* Called without being named. */
static void test_casts(void **state)
{
    struct live *l = *state;
    live_sql(l,
             "CREATE FUNCTION s.number(s.m) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT w(1)'");
    changed(l, "CREATE CAST (s.m AS int) WITH FUNCTION s.number(s.m)");
    const struct plan *p = live_plan(l, "select 'a'::s.m + x from t");
    assert_true(pw_plan_has(p, PLAN_F_WRITES_ALL));
    assert_false(pw_plan_has(p, PLAN_F_CACHEABLE));
    pw_plan_unref(p);
    changed(l, "DROP CAST (s.m AS int)");
}

static int before_all(void **state)
{
    static struct live l;
    live_init(&l, setup, PW_COUNT_OF(setup));
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
        cmocka_unit_test(test_assignments),
        cmocka_unit_test(test_casts),
    };
    return cmocka_run_group_tests(tests, before_all, after_all);
}
