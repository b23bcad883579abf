/*
 * How large an index will be, before it exists: every index of a schema with columns of constant
 * and of varying width, NULLs, duplicates and INCLUDE is really built, and the model must be near
 * the bytes on disk. The bound is on each of them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "advisor/btsize.h"
#include "advisor/rules.h"
#include "advisor/widths.h"
#include "fixture.h"

#define BOUND_PCT 3.5

static const char schema_sql[] =
    "SELECT setseed(0.5); SET default_statistics_target = 400;" /* all rows: always the same */
    "CREATE TABLE t AS SELECT i AS id, i / 20 AS twenty, (i % 1000)::bigint AS big,"
    " (random() * 10000)::numeric(12,2) AS price, (random() * 10)::int / 100.0 AS discount,"
    " 'customer ' || i AS name, i % 25 || '-' || i AS phone, md5(i::text) AS hash,"
    " repeat('x', (random() * 60)::int) || i AS varying,"
    " repeat(chr(97 + i % 26), 100 + (random() * 40)::int) || i AS border,"
    " repeat('y', 300 + i % 3) || i AS wide,"
    " md5(i::text)::uuid AS u, date '1992-01-01' + (random() * 2400)::int AS day,"
    " timestamptz '2020-01-01' + i * interval '7 seconds' AS at,"
    " CASE WHEN random() < 0.7 THEN i END AS maybe,"
    " CASE WHEN random() < 0.5 THEN 'note ' || i END AS note,"
    " i % 2 = 0 AS yes, (i % 300)::smallint AS small,"
    " (ARRAY['auto', 'build', 'furniture', 'h'])[1 + i % 4] AS segment,"
    " ('10.0.' || i % 200 || '.' || i % 250)::inet AS ip,"
    " ARRAY[i % 10, i % 7] AS pair"
    " FROM generate_series(1, 120000) i ORDER BY random();"
    "ANALYZE t";

static const char *const indexes[] = {
    "id",
    "twenty",
    "big",
    "price",
    "discount",
    "name",
    "phone",
    "hash",
    "varying",
    "border",
    "wide",
    "u",
    "day",
    "at",
    "maybe",
    "note",
    "yes",
    "small",
    "segment",
    "ip",
    "pair",
    "day, price",
    "segment, at",
    "segment, name",
    "small, price",
    "yes, id",
    "note, maybe",
    "day, varying",
    "price, discount, id",
    "id) INCLUDE (price",
    "day) INCLUDE (price, discount",
    "segment) INCLUDE (name, maybe",
    "name) WITH (fillfactor = 70",
    "at) WITH (deduplicate_items = off",
};

static int start(void **state)
{
    int rc = pw_fixture_start_with(state, schema_sql);
    for (size_t k = 0; rc == 0 && k < sizeof(indexes) / sizeof(indexes[0]); k++) {
        char sql[200];
        snprintf(sql, sizeof(sql), "CREATE INDEX i%zu ON t (%s)", k, indexes[k]);
        pw_fixture_sql(*state, sql);
    }
    return rc;
}

static void the_model_is_near_the_bytes_on_disk(void **state)
{
    struct fixture *f = *state;
    struct arena mem;
    struct side side;
    struct inventory inv = {.n_tables = 0};
    size_t far = 0, seen = 0;
    double worst = 0;
    char *error = NULL;
    pw_arena_init(&mem, PW_MEM_MAX);
    assert_true(pw_side_open(&side, &mem, f->conninfo, &error));
    assert_true(pw_inventory_load(&inv, &side));
    for (size_t k = 0; k < inv.n_indexes; k++) {
        const struct inv_index *x = &inv.indexes[k];
        struct bt_size size;
        const char *why = NULL;
        if (strcmp(x->schema, "public") != 0)
            continue;
        pw_widths_read(&side, x->table);
        assert_true(pw_index_fresh_size(&inv, x, &size, &why));
        double off = 100 * (size.bytes / x->bytes - 1);
        worst = fmax(worst, fabs(off));
        far += fabs(off) > BOUND_PCT;
        seen++;
        print_message("%6.2f %% %10.0f %10.0f %d %s\n", off, size.bytes, x->bytes, size.height,
                      x->definition);
    }
    print_message("worst %.2f %%\n", worst);
    assert_int_equal(seen, sizeof(indexes) / sizeof(indexes[0]));
    assert_int_equal(far, 0);
    pw_side_close(&side);
    pw_arena_free(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_is_near_the_bytes_on_disk),
    };
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
