/* The index log against a live server: which index, which kind of scan, for literals and for
 * parameters; that nothing is executed; that what must not be explained is not. */
#include <unistd.h>

#include "live.h"
#include "planner/index_log.h"
#include "proxy/base/clock.h"

static const char *const setup[] = {
    "SET search_path TO public",
    "CREATE TABLE big (id int PRIMARY KEY, a int, b text)",
    "INSERT INTO big SELECT i, i % 1000, 'x' || i FROM generate_series(1, 50000) i",
    "CREATE INDEX big_a ON big (a)",
    "ANALYZE big",
    "CREATE TABLE ran (x int)",
    "CREATE FUNCTION runs() RETURNS int LANGUAGE sql STABLE AS 'SELECT 5'",
};

/* One family with one call; asked until the log is idle again. */
static void look_at(struct live *l, struct index_log *log, const char *sql, uint64_t *now_us)
{
    struct families *f = pw_families_new(&(struct families_options){.samples = true});
    const struct plan *p = live_plan(l, sql);
    pw_family_record(f, p,
                     &(struct family_sample){.database_id = 1, .total_us = 1000000, .now_us = 1});
    pw_family_offer_sample(f, p, 1, pw_slice_str(sql), 1);
    struct families_snapshot *s = pw_families_snapshot(f);
    *now_us += 2000000;
    pw_index_log_take(log, s, *now_us);
    while (pw_index_log_is_busy(log))
        uv_run(&l->f.uv, UV_RUN_ONCE);
    pw_families_snapshot_free(s);
    pw_families_free(f);
    pw_plan_unref(p);
}

static void assert_used(struct live *l, struct index_log *log, const char *sql, const char *indexes)
{
    const struct plan *p = live_plan(l, sql);
    struct buf b;
    pw_buf_init(&b, 1000);
    pw_index_log_of_family(log, 1, p->family, &b);
    pw_buf_append_u8(&b, 0);
    assert_string_equal(b.data, indexes);
    pw_buf_free(&b);
    pw_plan_unref(p);
}

static uint64_t explains(const struct index_log *log)
{
    struct index_log_stats stats;
    pw_index_log_stats(log, &stats);
    return stats.explains;
}

/* Another plan may be the best one for other statistics. */
static void test_looks_again_after_analyze(void **state)
{
    (void)state;
    struct live l;
    static const char *const own[] = {"SET search_path TO public",
                                      ("CREATE TABLE stats AS SELECT i AS id, i % 1000 AS a, 'x' || "
                                       "i AS b FROM generate_series(1, 20000) i"),
                                      "ALTER TABLE stats ADD PRIMARY KEY (id)", "ANALYZE stats"};
    live_init(&l, own, sizeof own / sizeof own[0]);
    struct index_log *log = pw_index_log_new(
        &l.f.uv, &(struct index_log_options){.interval_us = 86400000000, .share = 1, .path = ""});
    pw_index_log_database(log, 1, "postgres", live_url);
    uint64_t now = pw_clock_us();
    const char *point = "select b from stats where id = 4711";
    look_at(&l, log, point, &now);
    look_at(&l, log, point, &now);
    assert_int_equal(explains(log), 1);
    look_at(&l, log, "analyze stats", &now); /* a client's */
    look_at(&l, log, point, &now);
    look_at(&l, log, point, &now);
    assert_int_equal(explains(log), 2);

    live_sql(&l, "ANALYZE public.stats"); /* somebody else's: seen at the next question */
    now += 61000000;
    look_at(&l, log, "select a from stats where a = 1", &now);
    assert_int_equal(explains(log), 3);
    look_at(&l, log, point, &now);
    assert_int_equal(explains(log), 4);
    look_at(&l, log, point, &now);
    assert_int_equal(explains(log), 4);
    pw_index_log_free(log);
    live_free(&l);
}

static void test_index_log(void **state)
{
    (void)state;
    struct live l;
    live_init(&l, setup, sizeof setup / sizeof setup[0]);
    char path[] = "/tmp/pgweir-index-log-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct index_log *log = pw_index_log_new(
        &l.f.uv, &(struct index_log_options){.interval_us = 600000000, .share = 1, .path = path});
    pw_index_log_database(log, 1, "postgres", live_url);
    uint64_t now = pw_clock_us();
    const char *point = "select b from big where id = 4711";
    const char *range = "select count(*) from big where a between 5 and 7";
    const char *param = "select b from big where id = $1";
    const char *update = "update big set b = 'secret' where id = 3";
    look_at(&l, log, point, &now);
    assert_used(&l, log, point, "public.big_pkey");
    look_at(&l, log, range, &now);
    assert_used(&l, log, range, "public.big_a");
    look_at(&l, log, param, &now);
    assert_used(&l, log, param, "public.big_pkey");
    look_at(&l, log, update, &now);
    assert_used(&l, log, update, "public.big_pkey");
    assert_int_equal(live_number(&l, "SELECT count(*) FROM public.big WHERE b = 'secret'"), 0);

    /* Not looked at: user functions, several statements, utility. */
    struct index_log_stats before, after;
    pw_index_log_stats(log, &before);
    look_at(&l, log, "select b from big where id = runs()", &now);
    look_at(&l, log, "insert into ran values (1); select 1", &now);
    look_at(&l, log, "create table x as select * from big where id = 1", &now);
    look_at(&l, log, "begin", &now);
    look_at(&l, log, point, &now); /* not due */
    pw_index_log_stats(log, &after);
    assert_int_equal(after.explains, before.explains);
    assert_int_equal(after.errors, 0);
    assert_int_equal(live_number(&l, "SELECT count(*) FROM public.ran"), 0);

    struct index_use use;
    assert_true(pw_index_log_use(log, 1, "public.big_pkey", &use));
    assert_string_equal(use.table, "public.big");
    assert_string_equal(use.scan_kind, "Index Scan");
    assert_true(use.families == 2 || use.families == 3);
    assert_false(pw_index_log_use(log, 1, "public.nothing", &use));

    char text[4096] = "";
    assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "\"index\":\"public.big_a\""));
    assert_null(strstr(text, "4711"));
    close(fd);
    unlink(path);

    /* An error is counted, and an end in the middle of a question is clean. */
    live_sql(&l, "DROP TABLE public.ran");
    pw_index_log_database(log, 1, "postgres", "postgres://nobody@127.0.0.1:1/none");
    look_at(&l, log, "select a from big where a = 1", &now);
    pw_index_log_stats(log, &after);
    assert_int_equal(after.errors, 1);
    pw_index_log_free(log);
    live_free(&l);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    live_url = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_index_log),
                                       cmocka_unit_test(test_looks_again_after_analyze)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
