/* A known workload on a known schema: exactly the expected index use of each family, with the
 * client's own values, role and settings; totals, plan changes, the log's lines; nothing executed.
 */
#include <unistd.h>

#include "live.h"
#include "planner/index_log.h"
#include "planner/index_log_priv.h"
#include "proxy/base/clock.h"

static const char *const setup[] = {
    "SET search_path TO public",
    "CREATE TABLE big (id int PRIMARY KEY, a int, b text, c int, state text, at date)",
    "INSERT INTO big SELECT i, i % 1000, 'x' || i, i % 7, CASE WHEN i % 1000 = 0 THEN 'open' ELSE "
    "'done' END, date '2020-01-01' + i % 700 FROM generate_series(1, 60000) i",
    "CREATE INDEX big_a ON big (a)",
    "CREATE INDEX big_lower ON big (lower(b))",
    "CREATE INDEX big_b_prefix ON big (b text_pattern_ops)",
    "CREATE INDEX big_open ON big (at) WHERE state = 'open'",
    "CREATE INDEX big_cover ON big (c, a)",
    "CREATE INDEX big_never ON big (at, c)",
    "CREATE TABLE part (id int, at date, v int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
    "CREATE TABLE part_2020 PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
    "CREATE TABLE part_2021 PARTITION OF part FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
    "INSERT INTO part SELECT i, date '2020-01-01' + i % 700, i FROM generate_series(1, 40000) i",
    "CREATE TABLE child (id int PRIMARY KEY, big_id int REFERENCES big ON DELETE CASCADE, mail "
    "text "
    "UNIQUE, note text)",
    "INSERT INTO child SELECT i, i, 'm' || i, 'n' FROM generate_series(1, 20000) i",
    "CREATE INDEX child_big ON child (big_id)",
    "CREATE TABLE lonely (x int, y int)",
    "INSERT INTO lonely SELECT i, i FROM generate_series(1, 5000) i",
    "CREATE SCHEMA tenant",
    "CREATE TABLE tenant.big (id int PRIMARY KEY, a int)",
    "INSERT INTO tenant.big SELECT i, i FROM generate_series(1, 20000) i",
    "CREATE ROLE reader",
    "GRANT SELECT ON big TO reader",
    "ALTER TABLE big SET (autovacuum_enabled = off)",
    "VACUUM ANALYZE",
};

static const struct {
    const char *sql, *types, *values, *setup;
    bool is_prepared;
    const char *want;
} rows[] = {
    {"select b from big where id = 4711", NULL, NULL, NULL, false, "public.big_pkey (Index Scan)"},
    {"select b, id from big where id = $1", "int4", "4711", NULL, false,
     "public.big_pkey (Index Scan)"},
    /* index-only and bitmap */
    {"select count(*) from big where c = 3 and a < 9", NULL, NULL, NULL, false,
     "public.big_cover (Index Only Scan)"},
    {"select b from big where a between 5 and 25", NULL, NULL, NULL, false,
     "public.big_a (Bitmap Index Scan)"},
    {"select b from big where a = 5 or id = 77", NULL, NULL, NULL, false,
     "public.big_a (Bitmap Index Scan), public.big_pkey (Bitmap Index Scan)"},
    /* partial and expression */
    {"select id from big where state = 'open' and at = '2020-05-05'", NULL, NULL, NULL, false,
     "public.big_open (Index Scan)"},
    {"select id from big where lower(b) = 'x77'", NULL, NULL, NULL, false,
     "public.big_lower (Index Scan)"},
    /* the client's values decide: a generic plan could use neither of these */
    {"select id, at from big where state = $1 and at = $2", "text, date", "'open', '2020-05-05'",
     NULL, false, "public.big_open (Index Scan)"},
    {"select id from big where b like $1", "unknown", "'x4711%'", NULL, false,
     "public.big_b_prefix (Index Scan)"},
    {"select b from big where a > $1 and a < 1000", "int4", "998", NULL, false,
     "public.big_a (Bitmap Index Scan)"},
    /* in binary, of types that the server infers; of one that cannot be read: a generic plan */
    {"select c from big where b like $1", "unknown", "B'783437313125'", NULL, false,
     "public.big_b_prefix (Index Scan)"},
    {"select c, b from big where b like $1 and id <> $2", "unknown, int4", "B'783437313125', '5'",
     NULL, false, "public.big_b_prefix (Index Scan)"},
    {"select id, c from big where b like $1 and $2::path is not null", "unknown, unknown",
     "B'783437313125', B'00'", NULL, false, ""},
    /* a type that keeps the index away, as the client declared it */
    {"select b from big where id = $1 and 1 = 1", "numeric", "4711", NULL, false, ""},
    /* partitions: the one that the value leads to; all without it */
    {"select v from part where id = 5 and at = '2020-01-06'", NULL, NULL, NULL, false,
     "public.part_2020_pkey (Index Scan)"},
    {"select v from part where id = $1", "int4", "5", NULL, false,
     "public.part_2020_pkey (Index Scan), public.part_2021_pkey (Index Scan)"},
    /* joins and subselects */
    {"select note from child join big on big.id = child.big_id where mail = 'm5'", NULL, NULL, NULL,
     false, "public.child_mail_key (Index Scan), public.big_pkey (Index Only Scan)"},
    {"select x from lonely where y = 5 order by x", NULL, NULL, NULL, false, ""},
    /* writes: what no plan shows */
    {"insert into child (id, big_id, mail) values (99999, 5, 'new')", NULL, NULL, NULL, false,
     "public.child_mail_key (Unique Check), public.child_pkey (Unique Check), public.big_pkey "
     "(Foreign Key Check)"},
    {"insert into child (id, mail) values (1, 'y') on conflict (mail) do nothing", NULL, NULL, NULL,
     false,
     "public.child_mail_key (Unique Check, Conflict Arbiter), public.child_pkey (Unique Check), "
     "public.big_pkey (Foreign Key Check)"},
    {"update child set note = 'z' where id = 7", NULL, NULL, NULL, false,
     "public.child_pkey (Index Scan)"},
    {"update child set big_id = 8 where id = 7", NULL, NULL, NULL, false,
     "public.child_pkey (Index Scan, Unique Check), public.child_mail_key (Unique Check), "
     "public.big_pkey (Foreign Key Check)"},
    {"delete from big where id = 7", NULL, NULL, NULL, false,
     "public.big_pkey (Index Scan), public.child_big (Foreign Key Action)"},
    /* the client's search_path, settings and role */
    {"select a from big where id = 12", NULL, NULL,
     "SELECT pg_catalog.set_config('search_path', 'tenant', true); ", false,
     "tenant.big_pkey (Index Scan)"},
    {"select b, a from big where id = 12", NULL, NULL,
     "SELECT pg_catalog.set_config('enable_indexscan', 'off', true); "
     "SELECT pg_catalog.set_config('enable_bitmapscan', 'off', true); ",
     false, ""},
    {"select b, c from big where id = 12", NULL, NULL,
     "SELECT pg_catalog.set_config('role', rolname, true) FROM pg_catalog.pg_roles WHERE rolname = "
     "'reader'; ",
     false, "public.big_pkey (Index Scan)"},
    /* the server switches to a generic plan, which cannot use the partial index */
    {"select id, a from big where state = $1 and id = $2", "text, int4", "'open', 5000", NULL, true,
     "public.big_pkey (Index Scan)"},
};

static void look_at(struct live *l, struct index_log *log, size_t row, int calls, uint64_t *now_us)
{
    struct families *f = pw_families_new(&(struct families_options){.samples = true});
    const struct plan *p = live_plan(l, rows[row].sql);
    for (int i = 0; i < calls; i++)
        pw_family_record(
            f, p, &(struct family_sample){.database_id = 1, .total_us = 1000000, .now_us = 1});
    const struct family_offer offer = {.sql = pw_slice_str(rows[row].sql),
                                       .types = rows[row].types,
                                       .values = rows[row].values,
                                       .setup = rows[row].setup,
                                       .is_prepared = rows[row].is_prepared};
    pw_family_offer(f, p, 1, &offer, 1);
    struct families_snapshot *s = pw_families_snapshot(f);
    *now_us += 2000000;
    pw_index_log_take(log, s, *now_us);
    while (pw_index_log_is_busy(log))
        uv_run(&l->f.uv, UV_RUN_ONCE);
    pw_families_snapshot_free(s);
    pw_families_free(f);
    pw_plan_unref(p);
}

static bool check(struct live *l, struct index_log *log, const char *sql, const char *want)
{
    const struct plan *p = live_plan(l, sql);
    struct buf b;
    pw_buf_init(&b, 4000);
    pw_index_log_uses_of_family(log, 1, p->family, &b);
    pw_buf_append_u8(&b, 0);
    bool same = strcmp(b.data, want) == 0;
    if (!same)
        print_error("%s:\n  %s\n  %s\n", sql, b.data, want);
    pw_buf_free(&b);
    pw_plan_unref(p);
    return same;
}

static void read_all(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, size - 1, f);
    text[n] = 0;
    fclose(f);
}

static void test_workload(void **state)
{
    (void)state;
    struct live l;
    live_init(&l, setup, sizeof setup / sizeof setup[0]);
    char path[] = "/tmp/pgweir-index-log-XXXXXX";
    close(mkstemp(path));
    struct index_log *log = pw_index_log_new(
        &l.f.uv, &(struct index_log_options){.interval_us = 600000000, .share = 1, .path = path});
    pw_index_log_database(log, 1, "postgres", live_url);
    uint64_t now = pw_clock_us();
    size_t n = sizeof rows / sizeof rows[0], wrong = 0;
    for (size_t i = 0; i < n; i++) {
        struct index_log_stats before, after;
        pw_index_log_stats(log, &before);
        look_at(&l, log, i, 10, &now);
        pw_index_log_stats(log, &after);
        if (after.explains != before.explains + 1 || after.errors != before.errors)
            print_error("not looked at, or with an error: %s\n", rows[i].sql);
        wrong += after.explains != before.explains + 1 || after.errors != before.errors;
        wrong += !check(&l, log, rows[i].sql, rows[i].want);
    }
    assert_int_equal(wrong, 0);

    /* Every index that was expected, and none that was not. */
    struct index_use use;
    assert_false(pw_index_log_use(log, 1, "public.big_never", &use));
    assert_true(pw_index_log_use(log, 1, "public.child_mail_key", &use));
    assert_int_equal(use.families, 4);
    assert_int_equal(use.uses, 40);
    assert_string_equal(use.scan_kind, "Index Scan, Unique Check, Conflict Arbiter");
    assert_true(pw_index_log_use(log, 1, "public.child_big", &use));
    assert_string_equal(use.scan_kind, "Foreign Key Action");

    /* Nothing of all that was executed. */
    assert_int_equal(
        live_number(&l, "SELECT count(*) FROM public.child WHERE note = 'z' OR id = 99999"), 0);
    assert_int_equal(live_number(&l, "SELECT count(*) FROM public.big"), 60000);

    static char text[256 * 1024];
    read_all(path, text, sizeof text);
    assert_non_null(strstr(text, "\"kind\":\"seq_scan\",\"database\":\"postgres\""));
    assert_non_null(strstr(text, "\"table\":\"public.lonely\",\"filter\":\"(lonely.y = ?)\""));
    assert_non_null(strstr(text, "\"kind\":\"sort\""));
    assert_non_null(strstr(text, "\"keys\":\"lonely.x\""));
    assert_non_null(strstr(text, "\"planned\":\"generic\""));
    assert_non_null(strstr(text, "\"share\":1"));
    assert_null(strstr(text, "4711"));
    assert_null(strstr(text, "open'"));
    assert_null(strstr(text, "plan_change"));
    unlink(path);

    /* After DDL it is looked at again, and the change is told. */
    live_foreign(&l, "DROP INDEX public.big_a");
    const struct plan *before = live_plan(&l, rows[3].sql);
    for (;;) {
        const struct plan *p = live_plan(&l, rows[3].sql);
        bool is_new = p->generation != before->generation && p->reason == PLAN_WHY_NOT_NONE;
        pw_plan_unref(p);
        if (is_new)
            break;
        uv_run(&l.f.uv, UV_RUN_ONCE);
    }
    look_at(&l, log, 3, 11, &now);
    assert_true(check(&l, log, rows[3].sql, ""));
    struct index_family told;
    pw_index_log_family(log, 1, before->family, &told);
    assert_int_equal(told.looked_at, 2);
    assert_int_equal(told.plan_changes, 1);
    read_all(path, text, sizeof text);
    assert_non_null(strstr(text, "\"kind\":\"plan_change\""));

    /* The file makes room for itself. */
    assert_int_equal(truncate(path, 17 * 1024 * 1024), 0);
    look_at(&l, log, 3, 12, &now); /* not due: nothing is written */
    live_foreign(&l, "CREATE INDEX big_a2 ON public.big (a)");
    for (int i = 0; i < 2000 && told.looked_at < 3; i++) {
        look_at(&l, log, 3, 13 + i, &now);
        uv_run(&l.f.uv, UV_RUN_NOWAIT);
        pw_index_log_family(log, 1, before->family, &told);
    }
    assert_int_equal(told.looked_at, 3);
    char old[100];
    snprintf(old, sizeof old, "%s.1", path);
    assert_int_equal(access(old, R_OK), 0);
    unlink(old);
    unlink(path);
    pw_plan_unref(before);
    pw_index_log_free(log);
    live_free(&l);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    live_url = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_workload)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
