/* The pure parts: splitting a workload, index sizes, Welch's test, reading plans, quoting, array
 * texts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "advisor/advice_build.h"
#include "advisor/btsize.h"
#include "advisor/mem.h"
#include "advisor/params.h"
#include "advisor/plan_read.h"
#include "advisor/size.h"
#include "advisor/welch.h"
#include "advisor/workload.h"
#include "proxy/base/hashmap.h"

static void a_file_is_split_where_postgres_would(void **state)
{
    (void)state;
    static const char text[] =
        "-- a comment; with a semicolon\n"
        "SELECT ';' , E'it\\';s', \"a;b\", $$ ; $$, $x$ $y$ ; $x$ /* ; /* ; */ ; */;\n"
        "-- weight: 12.5\n"
        "SELECT a FROM t WHERE b = 1;\n"
        "SELECT a FROM t WHERE b = 2;;\n"
        "-- weight: nonsense\n"
        "INSERT INTO t VALUES (1);\n"
        "SELEKT 1;\n"
        "VACUUM;\n"
        "SELECT 'no end";
    struct workload *w = pw_workload_new("workload");
    pw_workload_add_file(w, pw_slice_str(text));
    assert_int_equal(w->n_families, 3);
    assert_true(w->families[0].calls == 1);
    assert_true(w->families[1].calls == 13.5); /* the same family twice */
    assert_int_equal(w->families[1].n_samples, 2);
    assert_int_equal(w->families[1].line, 4);
    assert_int_equal(w->n_skipped, 4); /* the weight, SELEKT, VACUUM, the open quote */
    assert_int_equal(w->skipped[1].line, 8);
    assert_null(strstr(w->families[0].text, "it"));
    pw_workload_free(w);
}

static void families_are_bounded(void **state)
{
    (void)state;
    struct workload *w = pw_workload_new("live");
    for (uint64_t k = 0; k < PW_WORKLOAD_FAMILIES; k++)
        assert_non_null(pw_workload_add(w, k, "x", 1, 1, 1));
    assert_null(pw_workload_add(w, 999999, "x", 1, 1, 1));
    assert_non_null(pw_workload_add(w, 5, "x", 1, 1, 1));
    assert_int_equal(w->dropped, 1);
    struct workload_family *f = &w->families[0];
    for (int k = 0; k < 10; k++)
        pw_workload_add_sample(f, PW_SLICE_LIT("SELECT 1"), 0, NULL);
    assert_int_equal(f->n_samples, PW_WORKLOAD_SAMPLES);
    pw_workload_free(w);
}

static struct bt_shape ints(double rows, double distinct)
{
    struct bt_shape s = {.block_size = 8192,
                         .fillfactor = 90,
                         .rows = rows,
                         .n_columns = 1,
                         .n_keys = 1,
                         .dedup = true};
    s.columns[0] = (struct bt_column){.width = 4, .align = 4, .distinct = distinct};
    return s;
}

/* Real sizes of PostgreSQL 15: 400 000 distinct ints 9 003 008 bytes; 20 values 2 801 664 bytes. */
static void index_sizes_are_those_of_postgres(void **state)
{
    (void)state;
    struct bt_size out;
    struct bt_shape s = ints(400000, 400000);
    pw_btree_size(&s, &out);
    assert_true(fabs(out.bytes / 9003008 - 1) < 0.02);
    assert_int_equal(out.height, 2);
    s = ints(400000, 20);
    pw_btree_size(&s, &out);
    assert_true(fabs(out.bytes / 2801664 - 1) < 0.05);
    assert_true(fabs(out.plain_bytes / 9003008 - 1) < 0.02);
    s.dedup = false;
    pw_btree_size(&s, &out);
    assert_true(out.bytes == out.plain_bytes);
    s = ints(0, 1);
    pw_btree_size(&s, &out);
    assert_true(out.pages >= 1 && out.pages <= 2);
}

static void welch_knows_a_difference(void **state)
{
    (void)state;
    /* Student's t: 2.086 with 20 degrees of freedom is p = 0.05; 2.576 with very many is 0.01. */
    assert_true(fabs(pw_welch_p(2.086, 20) - 0.05) < 0.0005);
    assert_true(fabs(pw_welch_p(-2.086, 20) - 0.05) < 0.0005);
    assert_true(fabs(pw_welch_p(2.576, 1e6) - 0.01) < 0.0005);
    assert_true(isnan(pw_welch_p(NAN, 3)));
    struct latency_moments a = {0, 0, 0}, b = {0, 0, 0};
    struct welch w;
    pw_welch(&a, &b, &w);
    assert_true(isnan(w.p));
    for (int k = 0; k < 50; k++) {
        double x = 5 + (k % 5) * 0.1;
        a.n++, a.sum += x, a.sum2 += x * x;
        x += 0.5;
        b.n++, b.sum += x, b.sum2 += x * x;
    }
    pw_welch(&a, &b, &w);
    assert_true(w.p < 1e-6 && w.mean_after > w.mean_before);
    pw_welch(&a, &a, &w);
    assert_true(w.p > 0.99);
    struct latency_moments again = {10, 1, 1}, d = pw_moments_between(&a, &again);
    assert_true(d.n == 10); /* the counters began again */
}

static void plans_are_read(void **state)
{
    (void)state;
    static const char json[] =
        "[{\"Plan\": {\"Node Type\": \"Nested Loop\", \"Total Cost\": 123.5, \"Plan Rows\": 7, "
        "\"Plans\": ["
        "{\"Node Type\": \"Seq Scan\", \"Parent Relationship\": \"Outer\", \"Schema\": \"public\","
        " \"Relation Name\": \"a\", \"Total Cost\": 50, \"Plan Rows\": 40},"
        "{\"Node Type\": \"Bitmap Heap Scan\", \"Parent Relationship\": \"Inner\", \"Schema\": "
        "\"s\","
        " \"Relation Name\": \"b\", \"Plans\": [{\"Node Type\": \"Bitmap Index Scan\","
        " \"Index Name\": \"<13405>btree_s_b_x\", \"Parent Relationship\": \"Outer\"}]}]}}]";
    struct plan_facts f;
    assert_true(pw_plan_read(json, &f));
    assert_true(f.cost == 123.5 && f.rows == 7);
    assert_int_equal(f.n_indexes, 1);
    assert_int_equal(f.indexes[0].hypo_oid, 13405);
    assert_string_equal(f.indexes[0].schema, "s");
    assert_true(f.indexes[0].probes == 40);
    assert_int_equal(f.n_scans, 1);
    assert_string_equal(f.scans[0].table, "a");
    static const char *const bad[] = {"",        "{}", "[]", "[{\"Plan\": 5}]", "[{\"Plan\": {}}]",
                                      "nonsense"};
    for (size_t k = 0; k < PW_COUNT_OF(bad); k++)
        assert_false(pw_plan_read(bad[k], &f));
}

static void names_and_values_are_quoted(void **state)
{
    (void)state;
    struct arena a;
    pw_arena_init(&a, PW_MEM_MAX);
    assert_string_equal(pw_mem_ident(&a, "plain_1"), "plain_1");
    assert_string_equal(pw_mem_ident(&a, "Camel"), "\"Camel\"");
    assert_string_equal(pw_mem_ident(&a, "select"), "\"select\"");
    assert_string_equal(pw_mem_ident(&a, "a\"b"), "\"a\"\"b\"");
    assert_string_equal(pw_mem_ident(&a, "1a"), "\"1a\"");
    assert_string_equal(pw_mem_ident(&a, ""), "\"\"");
    assert_string_equal(pw_mem_literal(&a, "it's"), "'it''s'");
    assert_string_equal(pw_mem_literal(&a, "a\\b"), " E'a\\\\b'");
    assert_string_equal(pw_mem_json(&a, "a\"\n\\"), "\"a\\\"\\n\\\\\"");
    size_t n = 0;
    int *v = NULL;
    for (int k = 0; k < 1000; k++) {
        v = pw_mem_push(&a, v, &n, sizeof(*v));
        v[k] = k;
    }
    for (int k = 0; k < 1000; k++)
        assert_int_equal(v[k], k);
    pw_arena_free(&a);
}

static void array_texts_are_read(void **state)
{
    (void)state;
    struct arena a;
    pw_arena_init(&a, PW_MEM_MAX);
    static const char text[] = "{1,\"a b\",\"q\\\"x\",NULL}";
    assert_int_equal(pw_params_count(text), 4);
    assert_string_equal(pw_params_element(&a, text, 1), "a b");
    assert_string_equal(pw_params_element(&a, text, 2), "q\"x");
    assert_null(pw_params_element(&a, text, 4));
    assert_int_equal(pw_params_count("{}"), 0);
    assert_int_equal(pw_params_count(NULL), 0);
    assert_int_equal(pw_params_count("{\"cut of"), 1);
    double v[4];
    assert_int_equal(pw_size_numbers("{0.5,0.25}", v, 4), 2);
    assert_true(v[0] == 0.5 && v[1] == 0.25);
    assert_int_equal(pw_size_numbers("nonsense", v, 4), 0);
    pw_arena_free(&a);
}

static void advice_has_stable_ids_and_order(void **state)
{
    (void)state;
    char first[16] = "";
    for (int round = 0; round < 2; round++) {
        struct advice_set *s = pw_advice_set_new("workload");
        struct advice *a = pw_advice_add(s, ADVICE_DROP_UNUSED, "s.t", "s.i");
        pw_advice_fact_num(s, a, "x", NAN);
        assert_string_equal(a->facts[0].value, "null");
        a = pw_advice_add(s, ADVICE_CREATE, "s.t", "s.j");
        a->benefit_pct = 5;
        a = pw_advice_add(s, ADVICE_CREATE, "s.t", "s.k");
        a->benefit_pct = 50;
        pw_advice_set_finish(s);
        assert_string_equal(s->items[0].object, "s.k");
        assert_string_equal(s->items[2].object, "s.i");
        assert_non_null(pw_advice_find(s, s->items[1].id));
        if (round)
            assert_string_equal(first, s->items[0].id);
        strcpy(first, s->items[0].id);
        pw_advice_set_unref(s);
    }
}

static void a_candidate_is_refused_once(void **state)
{
    (void)state;
    struct advice_set *s = pw_advice_set_new("workload");
    pw_advice_refuse(s, "t (a)", "first %d", 1);
    pw_advice_refuse(s, "t (a)", "second");
    pw_advice_refuse(s, "t (b)", "third");
    assert_int_equal(s->n_refused, 2);
    assert_string_equal(s->refused[0].reason, "first 1");
    pw_advice_set_unref(s);
}

static void nothing_known_is_not_nothing_to_change(void **state)
{
    (void)state;
    struct advice_set *s = pw_advice_set_new("workload");
    assert_non_null(strstr(pw_advice_nothing_text(s), "No advice"));
    s->database = "db";
    assert_string_equal(pw_advice_nothing_text(s), "Nothing to change.");
    s->partial = true;
    assert_non_null(strstr(pw_advice_nothing_text(s), "as far as"));
    pw_advice_set_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_split_where_postgres_would),
        cmocka_unit_test(families_are_bounded),
        cmocka_unit_test(index_sizes_are_those_of_postgres),
        cmocka_unit_test(welch_knows_a_difference),
        cmocka_unit_test(plans_are_read),
        cmocka_unit_test(names_and_values_are_quoted),
        cmocka_unit_test(array_texts_are_read),
        cmocka_unit_test(advice_has_stable_ids_and_order),
        cmocka_unit_test(a_candidate_is_refused_once),
        cmocka_unit_test(nothing_known_is_not_nothing_to_change),
    };
    pw_hash_seed_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
