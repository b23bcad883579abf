/* pgconn and pgsync against a real PostgreSQL, also when it goes away. */
#include "tests/unit/net/postgres.h"

#include "proxy/base/log.h"
#include "proxy/net/pgconn.h"

static struct postgres server;

enum { SECOND = 1000000 };

/* What a callback heard. */
struct heard {
    bool done, ok;
    int rows, cols;
    char value[64], error[256], sqlstate[8];
    struct pgconn *free_me; /* freed from inside the callback */
};

static void on_result(void *arg, const struct pgresult *r)
{
    struct heard *h = arg;
    assert_false(h->done);
    h->done = true;
    h->ok = pw_pgresult_ok(r);
    h->rows = pw_pgresult_rows(r);
    h->cols = pw_pgresult_cols(r);
    const char *value = pw_pgresult_get(r, 0, 0);
    snprintf(h->value, sizeof h->value, "%s", value ? value : "(null)");
    snprintf(h->error, sizeof h->error, "%s", pw_pgresult_error(r));
    snprintf(h->sqlstate, sizeof h->sqlstate, "%s", pw_pgresult_sqlstate(r));
    pw_pgconn_free(h->free_me);
}

static int setup(void **state)
{
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    pw_free(*state);
    return 0;
}

static struct pgconn *connect_ok(struct world *w)
{
    char *url = pg_url(&server, "geheim");
    struct pgconn *c = pw_pgconn_new(&w->uv, url, 10 * SECOND);
    pw_free(url);
    return c;
}

static void test_query(void **state)
{
    struct world *w = *state;
    struct pgconn *c = connect_ok(w);
    struct heard a = {0}, b = {0}, d = {0}, e = {0}, f = {0};
    const char *params[] = {"41", NULL};
    assert_true(pw_pgconn_is_idle(c));
    assert_int_equal(pw_pgconn_server_version(c), 0);
    pw_pgconn_query(c, "SHOW search_path", 0, NULL, 0, on_result, &a);
    pw_pgconn_query(c, "SELECT $1::int + 1, $2::text", 2, params, 0, on_result, &b);
    pw_pgconn_query(c, "SELECT 1; SELECT 2 UNION ALL SELECT 3", 0, NULL, 0, on_result, &d);
    pw_pgconn_query(c, "SELECT 1/0", 0, NULL, 0, on_result, &e);
    pw_pgconn_query(c, "SHOW application_name", 0, NULL, 0, on_result, &f);
    assert_false(a.done);
    assert_false(pw_pgconn_is_idle(c));
    run_until(w, &f.done);
    assert_true(a.ok && b.ok && d.ok && f.ok);
    assert_string_equal(a.value, "pg_catalog, pg_temp");
    assert_string_equal(b.value, "42");
    assert_int_equal(b.cols, 2);
    assert_int_equal(d.rows, 2);
    assert_string_equal(d.value, "2");
    assert_false(e.ok);
    assert_string_equal(e.sqlstate, "22012");
    assert_string_equal(e.error, "division by zero");
    assert_string_equal(f.value, "pgweir");
    assert_true(pw_pgconn_server_version(c) >= 130000);
    assert_true(pw_pgconn_is_idle(c));
    pw_pgconn_free(c);
}

static void test_large_answer_and_question(void **state)
{
    struct world *w = *state;
    struct pgconn *c = connect_ok(w);
    struct heard a = {0}, b = {0};
    char *text = pw_alloc(3000001);
    memset(text, 'x', 3000000);
    const char *params[] = {text};
    pw_pgconn_query(c, "SELECT length($1)", 1, params, 0, on_result, &a);
    pw_pgconn_query(c, "SELECT repeat('y', 100) FROM generate_series(1, 50000)", 0, NULL, 0,
                    on_result, &b);
    run_until(w, &b.done);
    assert_string_equal(a.value, "3000000");
    assert_int_equal(b.rows, 50000);
    pw_free(text);
    pw_pgconn_free(c);
}

static void test_wrong_password(void **state)
{
    struct world *w = *state;
    char *url = pg_url(&server, "verysecret");
    struct pgconn *c = pw_pgconn_new(&w->uv, url, 10 * SECOND);
    struct heard a = {0}, b = {0};
    pw_pgconn_query(c, "SELECT 1", 0, NULL, 0, on_result, &a);
    run_until(w, &a.done);
    assert_false(a.ok);
    assert_string_equal(a.sqlstate, "08006");
    assert_non_null(strstr(a.error, "cannot connect to 127.0.0.1:"));
    assert_non_null(strstr(a.error, "as tester"));
    assert_null(strstr(a.error, "verysecret"));
    /* While backing off the refusal still stands, and is told without another attempt. */
    pw_pgconn_query(c, "SELECT 1", 0, NULL, 0, on_result, &b);
    run_until(w, &b.done);
    assert_string_equal(a.error, b.error);
    pw_pgconn_free(c);
    pw_free(url);
}

static void test_timeout(void **state)
{
    struct world *w = *state;
    struct pgconn *c = connect_ok(w);
    struct heard a = {0}, b = {0};
    pw_pgconn_query(c, "SELECT pg_sleep(600)", 0, NULL, 50000, on_result, &a);
    pw_pgconn_query(c, "SELECT 7", 0, NULL, 0, on_result, &b);
    run_until(w, &b.done);
    assert_false(a.ok);
    assert_string_equal(a.error, "timed out");
    assert_string_equal(a.sqlstate, "57014");
    assert_string_equal(b.value, "7"); /* the connection lives on */
    pw_pgconn_free(c);
}

static void test_backend_killed(void **state)
{
    struct world *w = *state;
    struct pgconn *c = connect_ok(w), *killer = connect_ok(w);
    struct heard pid = {0}, a = {0}, waiting = {0}, kill = {0}, b = {0};
    pw_pgconn_query(c, "SELECT pg_backend_pid()", 0, NULL, 0, on_result, &pid);
    run_until(w, &pid.done);
    pw_pgconn_query(c, "SELECT pg_sleep(600)", 0, NULL, 0, on_result, &a);
    pw_pgconn_query(c, "SELECT 1", 0, NULL, 0, on_result, &waiting);
    const char *params[] = {pid.value};
    pw_pgconn_query(killer, "SELECT pg_terminate_backend($1::int, 10000)", 1, params, 0, on_result,
                    &kill);
    run_until(w, &kill.done);
    assert_string_equal(kill.value, "t");
    run_until(w, &waiting.done);
    assert_false(a.ok);
    assert_string_equal(a.sqlstate, "57P01");
    assert_false(waiting.ok);
    pw_pgconn_query(c, "SELECT 5", 0, NULL, 0, on_result, &b); /* re-made */
    run_until(w, &b.done);
    assert_string_equal(b.value, "5");
    pw_pgconn_free(c);
    pw_pgconn_free(killer);
}

static void test_server_goes_away(void **state)
{
    struct world *w = *state;
    struct pgconn *c = connect_ok(w);
    struct heard a = {0}, b = {0}, d = {0};
    pw_pgconn_query(c, "SELECT 1", 0, NULL, 0, on_result, &a);
    run_until(w, &a.done);
    pw_pgconn_query(c, "SELECT pg_sleep(600)", 0, NULL, 0, on_result, &b);
    uv_run(&w->uv, UV_RUN_NOWAIT);
    pg_stop(&server);
    run_until(w, &b.done);
    assert_false(b.ok);
    pw_pgconn_query(c, "SELECT 1", 0, NULL, 0, on_result, &d);
    run_until(w, &d.done);
    assert_false(d.ok);
    assert_non_null(strstr(d.error, "cannot connect to"));
    pg_start(&server);
    struct heard again = {0};
    while (!again.ok) { /* back-off passes */
        again = (struct heard){0};
        pw_pgconn_query(c, "SELECT 9", 0, NULL, 0, on_result, &again);
        run_until(w, &again.done);
    }
    assert_string_equal(again.value, "9");
    pw_pgconn_free(c);
}

static void test_freed_early(void **state)
{
    struct world *w = *state;
    struct heard a = {0}, b = {0}, d = {0}, e = {0};
    /* Inside a callback, with another question waiting. */
    struct pgconn *c = connect_ok(w);
    a.free_me = c;
    pw_pgconn_query(c, "SELECT 1", 0, NULL, 0, on_result, &a);
    pw_pgconn_query(c, "SELECT 2", 0, NULL, 0, on_result, &b);
    run_until(w, &b.done);
    assert_true(a.ok);
    assert_false(b.ok);
    assert_string_equal(b.error, "closed");
    /* While connecting. */
    c = connect_ok(w);
    pw_pgconn_query(c, "SELECT 1", 0, NULL, 0, on_result, &d);
    uv_run(&w->uv, UV_RUN_NOWAIT);
    pw_pgconn_free(c);
    assert_true(d.done && !d.ok);
    /* With a cancel request under way: the question's time is over long before its answer. */
    c = connect_ok(w);
    pw_pgconn_query(c, "SELECT pg_sleep(600)", 0, NULL, 1, on_result, &e);
    while (pw_pgconn_server_version(c) == 0)
        uv_run(&w->uv, UV_RUN_ONCE);
    for (int i = 0; i < 5; i++)
        uv_run(&w->uv, UV_RUN_NOWAIT);
    pw_pgconn_free(c);
    assert_true(e.done && !e.ok);
}

static void test_queue_is_bounded(void **state)
{
    struct world *w = *state;
    struct pgconn *c = connect_ok(w);
    enum { MANY = 300 };
    struct heard *h = pw_alloc(sizeof *h * MANY);
    for (size_t i = 0; i < MANY; i++)
        pw_pgconn_query(c, "SELECT 1", 0, NULL, 0, on_result, &h[i]);
    for (size_t i = 0; i < MANY; i++)
        run_until(w, &h[i].done);
    assert_true(h[0].ok && h[255].ok);
    assert_false(h[256].ok);
    assert_string_equal(h[299].sqlstate, "53000");
    pw_free(h);
    pw_pgconn_free(c);
}

static void test_copy_is_refused(void **state)
{
    struct world *w = *state;
    struct pgconn *c = connect_ok(w);
    struct heard a = {0}, b = {0};
    pw_pgconn_query(c, "COPY (SELECT 1) TO STDOUT", 0, NULL, 0, on_result, &a);
    run_until(w, &a.done);
    assert_false(a.ok);
    pw_pgconn_query(c, "SELECT 1", 0, NULL, 0, on_result, &b);
    run_until(w, &b.done);
    assert_true(b.ok);
    pw_pgconn_free(c);
}

static void test_sync(void **state)
{
    (void)state;
    char *error = NULL, *url = pg_url(&server, "geheim"), *wrong = pg_url(&server, "wrong");
    assert_null(pw_pgsync_connect(wrong, 10 * SECOND, &error));
    assert_non_null(strstr(error, "password authentication failed"));
    pw_free(error);
    struct pgsync *c = pw_pgsync_connect(url, 10 * SECOND, &error);
    assert_non_null(c);
    assert_true(pw_pgsync_server_version(c) >= 130000);
    const char *params[] = {"abc"};
    struct pgresult *r = pw_pgsync_query(c, "SELECT upper($1) AS big", 1, params);
    assert_true(pw_pgresult_ok(r));
    assert_string_equal(pw_pgresult_get(r, 0, 0), "ABC");
    assert_string_equal(pw_pgresult_name(r, 0), "big");
    assert_int_equal(pw_pgresult_len(r, 0, 0), 3);
    assert_null(pw_pgresult_get(r, 1, 0));
    assert_null(pw_pgresult_get(r, 0, 1));
    pw_pgresult_free(r);
    r = pw_pgsync_query(c, "SELECT nope", 0, NULL);
    assert_string_equal(pw_pgresult_sqlstate(r), "42703");
    pw_pgresult_free(r);
    pw_pgsync_free(c);
    pw_free(url);
    pw_free(wrong);
}

static void test_info_get(void **state)
{
    (void)state;
    char *error;
    char *v =
        pw_pgconn_info_get("postgres://u:p%40w@h1:5,h2/db?sslmode=require", "password", &error);
    assert_string_equal(v, "p@w");
    pw_free(v);
    v = pw_pgconn_info_get("host=a port=6", "port", &error);
    assert_string_equal(v, "6");
    pw_free(v);
    assert_null(pw_pgconn_info_get("host=a", "port", &error));
    assert_null(error);
    assert_null(pw_pgconn_info_get("host=a nonsense", "port", &error));
    assert_non_null(error);
    pw_free(error);
    /* What libpq quotes in its complaint may be the password. */
    static const char *const leaky[] = {
        "postgres://u:geheim@[::1/db",
        "host=a password=x geheim",
        "postgres://u:geheim@h:5x/db%zz",
        "password='geheim",
        "postgres://u:gehe\"im geheim@[::1]x/db",
    };
    for (size_t i = 0; i < PW_COUNT_OF(leaky); i++) {
        assert_null(pw_pgconn_info_get(leaky[i], "password", &error));
        assert_non_null(error);
        if (strstr(error, "geheim"))
            fail_msg("%s", error);
        pw_free(error);
        assert_null(pw_pgsync_connect(leaky[i], SECOND, &error));
        assert_null(strstr(error, "geheim"));
        pw_free(error);
    }
    assert_null(pw_pgconn_info_get("nonsense=1", "port", &error));
    assert_non_null(strstr(error, "nonsense"));
    pw_free(error);
}

static int start_server(void **state)
{
    (void)state;
    pg_create(&server);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    pg_destroy(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_query, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_answer_and_question, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_password, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backend_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server_goes_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_early, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queue_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_copy_is_refused, setup, teardown),
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_info_get),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
