/* Reads and writes by a whole key, and the columns a statement mentions, as EXPLAIN CACHE says
 * them; and which values of a key are the same. */
#include "live.h"
#include "planner/explain_cache.h"
#include "planner/template.h"

static const char *const setup[] = {
    "SET search_path TO public",
    "CREATE TABLE t (id int PRIMARY KEY, email text UNIQUE, a int, b text)",
    "CREATE TABLE pair (x bigint, y uuid, v int, PRIMARY KEY (y, x))",
    "CREATE TABLE odd (id int, part int, lazy int, g int GENERATED ALWAYS AS (part + 1) STORED "
    "UNIQUE, "
    "UNIQUE (lazy) DEFERRABLE)",
    "CREATE UNIQUE INDEX ON odd (id) WHERE part > 0",
    "CREATE UNIQUE INDEX ON odd (lower(id::text))",
    "CREATE TABLE n (k numeric PRIMARY KEY, v int)",
    "CREATE TABLE vc (k varchar(3) PRIMARY KEY, v int)",
    "CREATE TABLE part (id int, at date, v int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
    "CREATE TABLE part1 PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2030-01-01')",
    "CREATE TABLE parent (id int PRIMARY KEY, v int)",
    "CREATE TABLE kid (w int) INHERITS (parent)",
    "CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE)",
    "CREATE TABLE boss (id int PRIMARY KEY, v int)",
    "CREATE TABLE worker (id int PRIMARY KEY, boss int REFERENCES boss ON DELETE CASCADE)",
    "CREATE TABLE trig (id int PRIMARY KEY, v int)",
    "CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := 1; RETURN NEW; "
    "END "
    "$$",
    "CREATE TRIGGER trig BEFORE UPDATE ON trig FOR EACH ROW EXECUTE FUNCTION trig()",
    "CREATE TABLE ruled (id int PRIMARY KEY)",
    "CREATE RULE r AS ON UPDATE TO ruled DO ALSO NOTHING",
    "CREATE TABLE secured (id int PRIMARY KEY)",
    "ALTER TABLE secured ENABLE ROW LEVEL SECURITY",
    "CREATE VIEW v AS SELECT * FROM t",
    "CREATE MATERIALIZED VIEW m AS SELECT * FROM t",
    "CREATE UNIQUE INDEX ON m (id)",
    "CREATE TABLE ident (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int)",
    "CREATE FUNCTION f_writes() RETURNS int LANGUAGE sql AS 'DELETE FROM t RETURNING 1'",
    "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    "CREATE TABLE folded (k text COLLATE ci PRIMARY KEY, v int)",
    /* Somebody's own type with its own equality does not make PostgreSQL's less known. */
    "CREATE TYPE mine AS (a int)",
    "CREATE FUNCTION mine_eq(mine, mine) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true'",
    "CREATE OPERATOR = (leftarg = mine, rightarg = mine, function = mine_eq)",
};

static const char read_item[] = "reads by key", write_item[] = "writes only";

static const struct {
    const char *sql, *item, *want; /* want NULL: no such row */
} rows[] = {
    {"select b from t where id = 5", read_item, "public.t where id = literal 1"},
    {"select 'x', b from t where id = $1", read_item, "public.t where id = $1"},
    {"select b from t where 5 = id and a > 7", read_item, "public.t where id = literal 1"},
    {"select b from t x where x.id = -5", read_item, "public.t where id = -literal 1"},
    {"select b from t where a = 1 and email = 'x'", read_item, "public.t where email = literal 2"},
    {"select b from public.t where t.id = $2::int4", read_item, "public.t where id = $2"},
    {"select count(*) from t where id = '5'", read_item, "public.t where id = literal 1"},
    {"select * from pair where x = 1 and y = $1", read_item,
     "public.pair where y = $1 and x = literal 1"},
    {"select v from part where id = 1 and at = '2021-01-01'", read_item,
     "public.part where id = literal 1 and at = literal 2"},
    {"select v from part1 where id = 1 and at = '2021-01-01'", read_item,
     "public.part1 where id = literal 1 and at = literal 2"},
    {"select * from m where id = 3", read_item, "public.m where id = literal 1"},
    {"select * from only parent where id = 3", read_item, "public.parent where id = literal 1"},
    {"select * from folded where k = 'x'", read_item, "public.folded where k = literal 1"},
    {"select b from t where id = 5 or id = 6", read_item, NULL},
    {"select b from t where not (id = 5)", read_item, NULL},
    {"select b from t where id > 5", read_item, NULL},
    {"select b from t where id = 5.5", read_item, NULL},
    {"select b from t where id = a", read_item, NULL},
    {"select b from t where id = $1::int8", read_item, NULL},
    {"select b from t where id = any($1)", read_item, NULL},
    {"select b from t where id is not distinct from 5", read_item, NULL},
    {"select b from t where a = 5", read_item, NULL},
    {"select b from t where y.id = 5", read_item, NULL},
    {"select b from t as x(q, w, e, r) where id = 5", read_item, NULL},
    {"select b from t, pair where id = 5", read_item, NULL},
    {"select b from t join pair on v = a where id = 5", read_item, NULL},
    {"select (select max(v) from pair) from t where id = 5", read_item, NULL},
    {"with q as (select 1) select b from t where id = 5", read_item, NULL},
    {"select b from t where id = 5 union select b from t where id = 6", read_item, NULL},
    {"select * from pair where x = 1", read_item, NULL},
    {"select * from odd where id = 1 and part = 2", read_item, NULL},
    {"select * from odd where lazy = 1", read_item, NULL},
    {"select * from odd where g = 1", read_item, NULL},
    {"select * from v where id = 1", read_item, NULL},
    {"select * from parent where id = 3", read_item, NULL},
    {"select * from secured where id = 3", read_item, NULL},
    {"select b from t where id = 1; select 1", read_item, NULL},
    {"select b from t where id = 5 and (select true)", read_item, NULL},
    /* writes */
    {"update t set b = 'x' where id = 7", write_item, "public.t where id = literal 2"},
    {"update t set b = 'x' where id = $1 and a = 3 returning *", write_item,
     "public.t where id = $1"},
    {"delete from t where id = 7", write_item, "public.t where id = literal 1"},
    {"insert into t values (7, 'e', 1)", write_item, "public.t where id = literal 1"},
    {"insert into t (a, id) values (1, $1), (2, -3)", write_item,
     "public.t where id = $1, or id = -literal 3"},
    {"insert into t (id) values (1) on conflict do nothing", write_item,
     "public.t where id = literal 1"},
    {"insert into t (id, a) values (1, 2) on conflict (id) do update set a = excluded.a",
     write_item, "public.t where id = literal 1"},
    {"insert into t (id, a) values ($1, 2), ($2, 2), ($3, 4), ($4, 1), ($5, 0)", write_item,
     "public.t where id = $1, or id = $2, or id = $3, or 2 more"},
    {"delete from boss where id = 1", write_item, "public.boss where id = literal 1"},
    {"update boss set v = v + 1 where id = 1", write_item, "public.boss where id = literal 2"},
    {"insert into trig values (1, 2)", write_item, NULL},
    {"update trig set v = 1 where id = 1", write_item, NULL},
    {"update ruled set id = 1 where id = 1", write_item, NULL},
    {"update t set id = 8 where id = 7", write_item, NULL},
    {"update t set (id, a) = (8, 1) where id = 7", write_item, NULL},
    {"update t set email = 'y' where email = 'x'", write_item, NULL},
    {"update t set b = 'x' from pair where id = 7", write_item, NULL},
    {"update t set b = 'x' where id = 7 or a = 1", write_item, NULL},
    {"update t set b = 'x'", write_item, NULL},
    {"delete from t using pair where id = 7", write_item, NULL},
    {"with q as (select 1) delete from t where id = 7", write_item, NULL},
    {"delete from tree where id = 1", write_item, NULL},
    {"update part set v = 1 where id = 1 and at = '2021-01-01'", write_item, NULL},
    {"update part1 set v = 1 where id = 1 and at = '2021-01-01'", write_item, NULL},
    {"delete from parent where id = 1", write_item, NULL},
    {"insert into t (id) values (1.5)", write_item, NULL},
    {"insert into t (id) values (1 + 1)", write_item, NULL},
    {"insert into t (id) values (default)", write_item, NULL},
    {"insert into t (a) values (1)", write_item, NULL},
    {"insert into t select 1", write_item, NULL},
    {"insert into t (id, email) values (1, 'x') on conflict (email) do update set a = 1",
     write_item, "public.t where email = literal 2"},
    {"insert into t (id) values (1) on conflict (id) do update set id = 9", write_item, NULL},
    {"insert into ident (id, v) overriding user value values (1, 2)", write_item, NULL},
    {"insert into ident (id, v) overriding system value values (1, 2)", write_item,
     "public.ident where id = literal 1"},
    {"update t set b = f_writes()::text where id = 1", write_item, NULL},
    /* columns */
    {"select b from t where id = 5", "columns read", "public.t (id, b)"},
    {"select * from t", "columns read", "public.t (all)"},
    {"select t from t", "columns read", "public.t (all)"},
    {"select x.b, v from t x join pair using (a) where id = 5", "columns read",
     "public.t (id, a, b), public.pair (v)"},
    {"select count(*) from t", "columns read", NULL},
    {"select q.z from (select a as z from t) q", "columns read", "public.t (a)"},
    {"select id from v", "columns read", "public.t (all), public.v (id)"},
    {"update t set b = 'x', a = a + 1 where id = 7", "columns written", "public.t (a, b)"},
    {"update t set b = 'x', a = a + 1 where id = 7", "columns read", "public.t (id, a)"},
    {"delete from boss where id = 1", "columns written", "public.boss (all), public.worker (all)"},
    {"insert into t (a) values (1)", "columns written", "public.t (all)"},
    {"select lower(b) || 'x', now() from t", "calls",
     "|| (stable), lower (immutable), now (stable)"},
    {"set search_path to x", "sets", "search_path"},
    {"set local work_mem to '1MB'", "sets", "work_mem (for the transaction)"},
};

struct wanted {
    const char *item;
    char answer[500];
    bool found;
};

static void on_explained(void *arg, const struct explain_answer *a)
{
    struct wanted *w = arg;
    for (size_t i = 0; i < a->n && !w->found; i++) {
        if (strcmp(a->rows[i].item, w->item) != 0)
            continue;
        w->found = true;
        snprintf(w->answer, sizeof w->answer, "%s", a->rows[i].answer);
    }
}

static void test_words(void **state)
{
    struct live *l = *state;
    int failures = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wanted w = {.item = rows[i].item};
        pw_plan_unref(live_plan(l, rows[i].sql)); /* known from here on: the answer comes at once */
        assert_null(pw_explain_ask(l->f.memo, l->f.ctx, pw_slice_str(rows[i].sql), EXPLAIN_CACHE,
                                   on_explained, &w));
        if (w.found != (rows[i].want != NULL) || (w.found && strcmp(w.answer, rows[i].want) != 0)) {
            print_error("%s: %s: %s (%s)\n", rows[i].sql, w.item, w.found ? w.answer : "-",
                        rows[i].want ? rows[i].want : "-");
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

/* A write that names another row must be seen to touch both of its keys. */
static void test_every_key_of_an_insert(void **state)
{
    struct live *l = *state;
    const struct plan *p = live_plan(l, "insert into t (email, id) values ('x', 1)");
    assert_int_equal(p->n_keys_written, 2);
    assert_string_equal(p->keys_written[0]->columns[0].name, "id");
    assert_int_equal(p->keys_written[0]->values[0].number, 1);
    assert_string_equal(p->keys_written[1]->columns[0].name, "email");
    assert_int_equal(p->keys_written[1]->values[0].number, 0);
    pw_plan_unref(p);
}

static void test_kinds(void **state)
{
    struct live *l = *state;
    static const struct {
        const char *sql;
        enum plan_key_kind kind;
    } kinds[] = {
        {"select 1 from t where id = $1", PLAN_KEY_INTEGER},
        {"select 1 from t where email = $1", PLAN_KEY_TEXT},
        {"select 1 from pair where x = $1 and y = $2", PLAN_KEY_UUID},
        {"select 1 from n where k = $1", PLAN_KEY_OTHER},
        {"select 1 from vc where k = $1", PLAN_KEY_OTHER},
        {"select 1 from folded where k = $1", PLAN_KEY_OTHER},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct plan *p = live_plan(l, kinds[i].sql);
        assert_non_null(p->key_read);
        assert_int_equal(p->key_read->columns[0].kind, kinds[i].kind);
        pw_plan_unref(p);
    }
}

/* Look-ups whose literals may be parameters; want: the text, and the types of $1, $2 ...; NULL:
 * they may not. steady: may it be planned for any values? */
static const struct {
    const char *sql, *want;
    uint32_t types[PLAN_PREPARED_MAX];
    bool steady;
} lookups[] = {
    {"SELECT b FROM t WHERE id=5", "select b from t where id=$1 ", {23}, true},
    {"select x.*, b as c from t x where 9000000000 = x.id and email = 'y' order by a limit 1",
     "select x.*, b as c from t x where $1  = x.id and email = $2  order by a limit $3 ",
     {20, 25, 23},
     true},
    {"select * from pair where y = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' and x = '5'",
     "select * from pair where y = $1  and x = $2 ",
     {2950, 20},
     true},
    {"select b from t where id = 5and a = 6", NULL, {0}, false}, /* trailing junk */
    {"select b from t where email = 'x'and id = 6",
     "select b from t where email = $1 and id = $2 ",
     {25, 23},
     true},
    {"select * from m where id = 3", "select * from m where id = $1 ", {23}, true},
    {"select b from t where id = $1", NULL, {0}, true},
    {"select b from t where id = $1 and a = 5", NULL, {0}, true},
    {"select b from t where id = $1 limit 5", NULL, {0}, true},
    {"select b from t where id = -5", NULL, {0}, true},
    {"select b from t where id = 5 limit all", NULL, {0}, true},
    {"select b from t where id = 5 limit '1'", NULL, {0}, true},
    {"select b from t where id = 5 limit 1 + 1", NULL, {0}, false},
    {"select b from t where id = 5 limit $1", NULL, {0}, false},
    {"select b from t where id = 5 offset 1", NULL, {0}, false},
    {"select b from t where id = 5::int4", NULL, {0}, false},
    {"select b from t where id = $1::int4", NULL, {0}, false},
    {"select b, 1 from t where id = 5", NULL, {0}, false},
    {"select upper(b) from t where id = 5", NULL, {0}, false},
    {"select t from t where id = 5", NULL, {0}, false},
    {"select ctid from t where id = 5", NULL, {0}, false},
    {"select distinct b from t where id = 5", NULL, {0}, false},
    {"select b from t where id = 5 group by b", NULL, {0}, false},
    {"select b from t where id = 5 order by b || 'x'", NULL, {0}, false},
    {"select b from t where id = 5 order by 1", NULL, {0}, false},
    {"select b from t where id = 5 and a > 3", NULL, {0}, false},
    {"select b from t where id = 5 and a is null", NULL, {0}, false},
    {"select b from t where id = 5 for share", NULL, {0}, false},
    {"select v from n where k = 5", NULL, {0}, false},
    {"select v from vc where k = 'x'", NULL, {0}, false},
    {"select v from folded where k = 'x'", NULL, {0}, false},
    {"select v from part where id = 1 and at = '2021-01-01'", NULL, {0}, false},
    {"select * from v where id = 1", NULL, {0}, false},
    {"select * from secured where id = 1", NULL, {0}, false},
    {"select b from t where id = 5 fetch first 1 rows with ties", NULL, {0}, false},
    {"table t", NULL, {0}, false},
};

static void test_lookups(void **state)
{
    struct live *l = *state;
    for (size_t i = 0; i < sizeof lookups / sizeof lookups[0]; i++) {
        const struct plan *p = live_plan(l, lookups[i].sql);
        const struct plan_prepared *q = p->prepared;
        if (pw_plan_has(p, PLAN_F_STEADY) != lookups[i].steady || !q != !lookups[i].want ||
            (q && strcmp(q->text, lookups[i].want) != 0))
            fail_msg("%s: steady %d, prepared \"%s\"", lookups[i].sql,
                     pw_plan_has(p, PLAN_F_STEADY), q ? q->text : "");
        for (uint32_t n = 0; q && n < q->n_values; n++)
            assert_int_equal((uint8_t)q->types[2 + 4 * n + 3] | (uint8_t)q->types[2 + 4 * n + 2]
                                                                    << 8,
                             lookups[i].types[n]);
        if (q)
            assert_int_equal(q->text_len, strlen(q->text));
        pw_plan_unref(p);
    }
}

static bool key_of(struct live *l, const char *sql, struct plan_key_bytes *out)
{
    const struct plan *p = live_plan(l, sql);
    const struct template_slot *slots;
    uint32_t n;
    assert_non_null(p->key_read);
    assert_true(pw_plan_scan_again(l->f.memo, l->f.ctx, pw_slice_str(sql)));
    assert_true(pw_plan_slots(l->f.memo, &slots, &n));
    const struct plan_value *v = &p->key_read->values[0];
    assert_true(v->number < n);
    bool told =
        pw_plan_key_literal(&p->key_read->columns[0], v,
                            pw_slice(sql + slots[v->number].off, slots[v->number].len), out);
    pw_plan_unref(p);
    return told;
}

/* The same row in other words is the same key; the server is asked whether it agrees. */
static void test_values(void **state)
{
    struct live *l = *state;
    static const char *const same[][2] = {
        {"select b from t where id = 7", "select b from t where id = '7'"},
        {"select b from t where id = 7", "select b from t where id = ' 007 '"},
        {"select b from t where id = -7", "select b from t where id = - 7"},
        {"select b from t where id = -7", "select b from t where id = '-7'"},
        {"select b from t where email = 'it''s'", "select b from t where email = $$it's$$"},
    };
    static const char *const different[][2] = {
        {"select b from t where id = 7", "select b from t where id = -7"},
        {"select b from t where email = 'a'", "select b from t where email = 'a '"},
        {"select b from t where email = 'a'", "select b from t where email = 'A'"},
    };
    struct plan_key_bytes a, b;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_true(key_of(l, same[i][0], &a) && key_of(l, same[i][1], &b));
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.bytes, b.bytes, a.len);
    }
    for (size_t i = 0; i < sizeof different / sizeof different[0]; i++) {
        assert_true(key_of(l, different[i][0], &a) && key_of(l, different[i][1], &b));
        assert_false(a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0);
    }
    assert_false(key_of(l, "select b from t where email = '\303\251'", &a));
    assert_false(key_of(l, "select b from t where id = '7x'", &a));
}

static void test_parameters(void **state)
{
    (void)state;
    const struct plan_key_column integer = {.kind = PLAN_KEY_INTEGER},
                                 text = {.kind = PLAN_KEY_TEXT}, uuid = {.kind = PLAN_KEY_UUID};
    struct plan_key_bytes a, b;
    assert_true(pw_plan_key_param(&integer, 0, false, PW_SLICE_LIT("-2"), &a));
    assert_true(pw_plan_key_param(&integer, 21, true, pw_slice("\xff\xfe", 2), &b));
    assert_memory_equal(a.bytes, b.bytes, 8);
    assert_true(
        pw_plan_key_param(&integer, 20, true, pw_slice("\xff\xff\xff\xff\xff\xff\xff\xfe", 8), &b));
    assert_memory_equal(a.bytes, b.bytes, 8);
    assert_false(pw_plan_key_param(&integer, 1700, false, PW_SLICE_LIT("2"), &b));
    assert_false(pw_plan_key_param(&integer, 0, false, PW_SLICE_LIT("99999999999999999999"), &b));
    assert_false(pw_plan_key_param(&integer, 0, false, PW_SLICE_LIT(""), &b));
    assert_false(pw_plan_key_param(&integer, 0, false, pw_slice(NULL, 0), &b));
    assert_true(pw_plan_key_param(&text, 25, true, PW_SLICE_LIT("x"), &a));
    assert_false(pw_plan_key_param(&text, 1042, false, PW_SLICE_LIT("x"), &a));
    assert_true(pw_plan_key_param(&uuid, 0, false,
                                  PW_SLICE_LIT("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"), &a));
    assert_true(pw_plan_key_param(
        &uuid, 2950, true,
        pw_slice("\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11", 16), &b));
    assert_memory_equal(a.bytes, b.bytes, 16);
    assert_false(pw_plan_key_param(&uuid, 0, false, PW_SLICE_LIT("a0eebc99"), &b));
}

static int set_up(void **state)
{
    static struct live l;
    live_init(&l, setup, sizeof setup / sizeof setup[0]);
    *state = &l;
    return 0;
}

static int tear_down(void **state)
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
        cmocka_unit_test(test_words),      cmocka_unit_test(test_every_key_of_an_insert),
        cmocka_unit_test(test_kinds),      cmocka_unit_test(test_values),
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_lookups),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
