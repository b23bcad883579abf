/*
 * Families that came by the extended protocol: with the values of their parameters they get the
 * very advice that the same statements get with the values written in them; without, they do not
 * (so the comparison can fail). And no value of a client is written anywhere, but the one state
 * that a partial index is about.
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
    "CREATE TABLE t (id int PRIMARY KEY, status text, kind int, flag boolean, txt text, at "
    "timestamptz, skew int, doc jsonb, gone timestamptz, n numeric);"
    "INSERT INTO t SELECT i, CASE WHEN i % 50 = 0 THEN 'o''pen\\1' ELSE 'done' END, i % 40 / 39,"
    " i % 100 = 0, md5(i::text), timestamptz '2024-01-01' + (i * 7919 % 100000) * interval '1 min',"
    " CASE WHEN i % 10 < 9 THEN 1 ELSE i END, jsonb_build_object('k', i % 3000), NULL, i % 5000"
    " FROM generate_series(1, 100000) i;";

static int start(void **state)
{
    return pw_fixture_start_with(state, schema_sql);
}

struct pair {
    const char *literal, *bound, *types, *values;
    const char *index;   /* part of the SQL of the one index; NULL: none helps */
    const char *private; /* a value that must not be written */
    bool even_without;   /* the values make no difference */
};

static const struct pair pairs[] = {
    /* a constant that makes a partial index: quotes, backslashes, integers, booleans */
    {.literal = "SELECT id, txt FROM t WHERE status = E'o''pen\\\\1' AND id > 5 ORDER BY id",
     .bound = "SELECT id, txt FROM t WHERE status = $1 AND id > $2 ORDER BY id",
     .types = "text, int4",
     .values = " E'o''pen\\\\1', '5'",
     .index = "WHERE status = "},
    {.literal = "SELECT * FROM t WHERE kind = 1 ORDER BY at",
     .bound = "SELECT * FROM t WHERE kind = $1 ORDER BY at",
     .types = "int8",
     .values = "'1'",
     .index = "WHERE kind = 1"},
    {.literal = "SELECT * FROM t WHERE flag = true ORDER BY at",
     .bound = "SELECT * FROM t WHERE flag = $1 ORDER BY at",
     .types = "bool",
     .values = "'t'",
     .index = "WHERE flag"},
    /* how many rows a value has decides whether an index pays at all */
    {.literal = "SELECT * FROM t WHERE skew = 1",
     .bound = "SELECT * FROM t WHERE skew = $1",
     .types = "int4",
     .values = "'1'"},
    {.literal = "SELECT * FROM t WHERE skew = 70009",
     .bound = "SELECT * FROM t WHERE skew = $1",
     .types = "int4",
     .values = "'70009'",
     .index = "ON public.t (skew)",
     .private = "70009"},
    {.literal = "SELECT * FROM t WHERE at >= '2024-02-01' AND at < '2024-02-02'",
     .bound = "SELECT * FROM t WHERE at >= $1 AND at < $2",
     .types = "timestamptz, unknown",
     .values = "'2024-02-01', '2024-02-02'",
     .index = "ON public.t (at)",
     .private = "2024-02-0",
     .even_without = true},
    /* what a pattern begins with */
    {.literal = "SELECT id FROM t WHERE txt LIKE 'abc12%'",
     .bound = "SELECT id FROM t WHERE txt LIKE $1",
     .types = "text",
     .values = "'abc12%'",
     .index = "text_pattern_ops",
     .private = "abc12",
     .even_without = true},
    {.literal = "SELECT id FROM t WHERE txt LIKE '%abc12%'",
     .bound = "SELECT id FROM t WHERE txt LIKE $1",
     .types = "varchar",
     .values = "'%abc12%'",
     .index = "gin_trgm_ops",
     .private = "abc12"},
    /* a type that statistics cannot give a value for; a LIMIT; NULL matches nothing */
    {.literal = "SELECT id FROM t WHERE doc @> '{\"k\": 1717}'",
     .bound = "SELECT id FROM t WHERE doc @> $1",
     .types = "jsonb",
     .values = "'{\"k\": 1717}'",
     .index = "jsonb_path_ops",
     .private = "1717",
     .even_without = true},
    {.literal = "SELECT * FROM t ORDER BY n LIMIT 3",
     .bound = "SELECT * FROM t ORDER BY n LIMIT $1",
     .types = "int8",
     .values = "'3'",
     .index = "ON public.t (n)",
     .even_without = true},
    {.literal = "SELECT * FROM t WHERE skew = NULL",
     .bound = "SELECT * FROM t WHERE skew = $1",
     .types = "int4",
     .values = "NULL"},
};

static void add_json(const struct advice_set *s, struct buf *b)
{
    assert_true(pw_advice_render_json(s, b) && pw_advice_render_text(s, b) &&
                pw_advice_render_html(s, b) && pw_advice_render_sql(s, b));
    pw_buf_append_u8(b, 0);
}

static struct advice_set *advise_job(struct fixture *f, const char *sql, const char *types,
                                     const char *values, const struct advise_job *job)
{
    struct workload *w = pw_workload_new("live");
    struct workload_family *family = pw_workload_add(w, 0x77, "a family", 1000, 5000, 1000);
    pw_workload_add_bound(family, pw_slice_str(sql), types, values, NULL);
    return pw_fixture_advise_live(f, w, job);
}

static struct advice_set *advise(struct fixture *f, const char *sql, const char *types,
                                 const char *values)
{
    return advise_job(f, sql, types, values, NULL);
}

/* The statements of its CREATE INDEX advice, one after the other, and their figures. */
static void digest(const struct advice_set *s, char *out, size_t size)
{
    size_t n = 0;
    out[0] = 0;
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE && n < size)
            n += (size_t)snprintf(out + n, size - n, "%s %.3f%%, confidence %d\n", s->items[k].sql,
                                  s->items[k].benefit_pct, s->items[k].confidence);
}

static void the_same_as_with_the_values_written_in(void **state)
{
    struct fixture *f = *state;
    for (size_t k = 0; k < sizeof(pairs) / sizeof(pairs[0]); k++) {
        const struct pair *p = &pairs[k];
        char with[2000], bound[2000], without[2000];
        struct advice_set *literal = advise(f, p->literal, NULL, NULL);
        struct advice_set *values = advise(f, p->bound, p->types, p->values);
        struct advice_set *guessed = advise(f, p->bound, NULL, NULL);
        digest(literal, with, sizeof(with));
        digest(values, bound, sizeof(bound));
        digest(guessed, without, sizeof(without));
        assert_string_equal(bound, with);
        assert_true(p->even_without || strcmp(bound, without) != 0);
        if (p->index)
            assert_true(strstr(bound, p->index) || (pw_fixture_print(values), false));
        else
            assert_string_equal(bound, "");
        struct buf b;
        pw_buf_init(&b, 1 << 24);
        add_json(values, &b);
        for (const char *at = b.data; p->private && at < b.data + b.len; at += strlen(at) + 1)
            assert_null(strstr(at, p->private));
        pw_buf_free(&b);
        pw_advice_set_unref(literal);
        pw_advice_set_unref(values);
        pw_advice_set_unref(guessed);
    }
}

static void a_sample_the_server_refuses_is_said(void **state)
{
    struct advice_set *s =
        advise(*state, "SELECT * FROM t WHERE skew = $1", "int4", "'not a number'");
    assert_int_equal(pw_advice_count(s, ADVICE_CREATE), 0);
    assert_true(s->partial);
    assert_non_null(strstr(s->notes[0], "22P02"));
    for (size_t k = 0; k < s->n_notes; k++)
        assert_null(strstr(s->notes[k], "not a number"));
    pw_advice_set_unref(s);
}

static void jit_is_measured_with_them(void **state)
{
    struct advise_job job = {.what = ADVISE_JIT};
    struct advice_set *s =
        advise_job(*state, "SELECT sum(skew), avg(n) FROM t WHERE n > $1 AND txt <> $2",
                   "numeric, text", "'7', 'it''s'", &job);
    if (s->n_notes && strstr(s->notes[0], "LLVM")) {
        pw_advice_set_unref(s);
        skip(); /* a server without LLVM */
    }
    assert_int_equal(s->n_notes, 0); /* not: "was not measured" */
    assert_true(s->n_items + s->n_refused > 0);
    pw_advice_set_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_as_with_the_values_written_in),
        cmocka_unit_test(jit_is_measured_with_them),
        cmocka_unit_test(a_sample_the_server_refuses_is_said),
    };
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
