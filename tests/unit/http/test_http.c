/* The HTTP server, live over loopback. `unit_http_http serve PORT` shows the dashboard with made-up
 * data until it is interrupted: for looking at the page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/http/embed.h"
#include "proxy/http/http.h"
#include "proxy/metrics/sampler.h"

static struct net_loop loop;
static uv_loop_t uv;
static uv_async_t wake;
static uv_timer_t later, ticker;
static struct http *http;
static struct sampler *sampler;
static struct http_call *held;
static bool ready = true;

static void on_wake(uv_async_t *async)
{
    (void)async;
}

static void on_later(uv_timer_t *timer)
{
    (void)timer;
    pw_buf_append_str(&held->body, "late");
    pw_http_finish(held);
}

static void slow(struct http_call *call, void *arg)
{
    (void)arg;
    held = call;
    uv_timer_start(&later, on_later, 1, 0);
}

static void never(struct http_call *call, void *arg)
{
    (void)arg;
    held = call;
}

static void echo(struct http_call *call, void *arg)
{
    const char *value = pw_http_query(call, "x");
    pw_buf_printf(&call->body, "%s %s %s", call->path, (const char *)arg, value ? value : "none");
    pw_http_finish(call);
}

static bool is_ready(void *arg, const char **reason)
{
    (void)arg;
    *reason = "no server answers";
    return ready;
}

static int start(const char *address)
{
    const struct sampler_options sampling = {.history = 1000};
    char *error = NULL;
    uv_loop_init(&uv);
    pw_loop_init(&loop, &uv);
    uv_async_init(&uv, &wake, on_wake);
    uv_timer_init(&uv, &later);
    uv_timer_init(&uv, &ticker);
    const struct http_options options = {.loop = &loop, .address = address};
    if (pw_http_new(&options, &http, &error) != PW_OK) {
        fprintf(stderr, "%s\n", error);
        pw_free(error);
        return -1;
    }
    sampler = pw_sampler_new(&sampling);
    pw_http_route_own(http, is_ready, NULL);
    pw_http_route_history(http, sampler);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    if (start("127.0.0.1:0") != 0)
        return -1;
    pw_http_route(http, "/slow", slow, NULL);
    pw_http_route(http, "/never", never, NULL);
    pw_http_route(http, "/echo", echo, (void *)"one");
    pw_http_route(http, "/echo", echo, (void *)"two");
    return 0;
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void close_http(void)
{
    bool closed = false;
    pw_http_close(http, on_closed, &closed);
    while (!closed)
        uv_run(&uv, UV_RUN_ONCE);
}

static int teardown(void **state)
{
    (void)state;
    pw_sampler_free(sampler);
    uv_close((uv_handle_t *)&wake, NULL);
    uv_close((uv_handle_t *)&later, NULL);
    uv_close((uv_handle_t *)&ticker, NULL);
    pw_loop_destroy(&loop);
    uv_run(&uv, UV_RUN_DEFAULT);
    return uv_loop_close(&uv);
}

/* ---- a client in a thread ---- */

struct fetch {
    const char *request;
    int port;
    char *reply; /* OWN */
    size_t len;
    atomic_bool done;
};

static void *fetch_thread(void *arg)
{
    struct fetch *f = arg;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    in.sin_port = htons((uint16_t)f->port);
    enum { MAX = 1 << 20 };
    f->reply = pw_alloc(MAX);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ssize_t n;
    if (connect(fd, (struct sockaddr *)&in, sizeof in) != 0 ||
        send(fd, f->request, strlen(f->request), MSG_NOSIGNAL) < 0)
        abort();
    while (f->len < MAX - 1 && (n = read(fd, f->reply + f->len, MAX - 1 - f->len)) > 0)
        f->len += (size_t)n;
    close(fd);
    atomic_store(&f->done, true);
    uv_async_send(&wake);
    return NULL;
}

static struct fetch current;
static pthread_t fetch_id;

static void fetch_start(const char *request)
{
    pw_free(current.reply);
    memset(&current, 0, sizeof current);
    current.request = request;
    current.port = pw_http_port(http);
    assert_int_equal(pthread_create(&fetch_id, NULL, fetch_thread, &current), 0);
}

static const char *fetch(const char *request)
{
    fetch_start(request);
    while (!atomic_load(&current.done))
        uv_run(&uv, UV_RUN_ONCE);
    pthread_join(fetch_id, NULL);
    return current.reply;
}

static const char *get(const char *path)
{
    char request[300];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             path);
    return fetch(request);
}

static void expect(const char *reply, const char *start, const char *part)
{
    if (strncmp(reply, start, strlen(start)) != 0 || !strstr(reply, part))
        fail_msg("want %s ... %s, got %.300s", start, part, reply);
}

/* ---- tests ---- */

static void pages_are_served(void **state)
{
    (void)state;
    expect(get("/metrics"), "HTTP/1.1 200", "\npgweir_requests_total ");
    expect(current.reply, "HTTP/1.1 200", "Content-Type: text/plain; version=0.0.4; charset=utf-8");
    expect(get("/api/v1/metrics"), "HTTP/1.1 200", "\"pgweir_requests_total\":[");
    expect(get("/api/v1/history?n=5"), "HTTP/1.1 200", "{\"t\":[");
    expect(get("/healthz"), "HTTP/1.1 200", "\r\n\r\nok\n");
    expect(get("/"), "HTTP/1.1 200", "<title>pgweir</title>");
    expect(current.reply, "HTTP/1.1 200", "Content-Security-Policy: default-src 'self'");
    get("/chart.js");
    assert_true(current.len > pw_embed_chart_js().len && pw_embed_chart_js().len > 100000);
    expect(get("/dashboard.js"), "HTTP/1.1 200", "'use strict'");
    expect(get("/echo?x=1%202"), "HTTP/1.1 200", "\r\n\r\n/echo two 1 2");
    expect(get("/nothing"), "HTTP/1.1 404", "no such page");
    expect(get("/../etc/passwd"), "HTTP/1.1 404", "");
}

static void readiness_has_a_reason(void **state)
{
    (void)state;
    expect(get("/readyz"), "HTTP/1.1 200", "ok");
    ready = false;
    expect(get("/readyz"), "HTTP/1.1 503", "no server answers\n");
    ready = true;
}

static void only_reading_is_allowed(void **state)
{
    (void)state;
    expect(fetch("POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
                 "3\r\n\r\nabc"),
           "HTTP/1.1 405", "Allow: GET, HEAD");
    expect(fetch("DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "HTTP/1.1 405", "");
    expect(fetch("HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200",
           "Content-Length: 3");
    assert_null(strstr(current.reply, "ok"));
}

static void an_answer_may_come_later(void **state)
{
    (void)state;
    expect(get("/slow"), "HTTP/1.1 200", "\r\n\r\nlate");
    expect(
        fetch(
            "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: "
            "close\r\n\r\n"),
        "HTTP/1.1 200", "late"); /* pipelined: in order */
    assert_non_null(strstr(strstr(current.reply, "late"), "ok\n"));
}

static void closing_answers_what_is_pending(void **state)
{
    (void)state;
    held = NULL;
    fetch_start("GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!held)
        uv_run(&uv, UV_RUN_ONCE);
    close_http();
    pthread_join(fetch_id, NULL);
    expect(current.reply, "HTTP/1.1 503", "");
    PW_FREE(current.reply);
}

/* ---- the page with made-up data ---- */

static void on_tick(uv_timer_t *timer)
{
    static unsigned n;
    struct metric_slot *s = pw_metrics_slot(0);
    (void)timer;
    n++;
    unsigned requests = (unsigned)(5000 + 2000 * sin(n / 9.0));
    pw_metric_add(s, PW_METRIC_REQUESTS, requests);
    pw_metric_add(s, PW_METRIC_CACHE_HITS, requests / 2);
    pw_metric_add(s, PW_METRIC_CACHE_MISSES, requests / 8);
    pw_metric_add(s, PW_METRIC_BATCH_REQUESTS, requests / 3);
    pw_metric_add(s, PW_METRIC_BATCH_EXECUTIONS, requests / 20);
    pw_metric_add(s, PW_METRIC_BATCH_MERGED, requests / 6);
    pw_metric_add(s, PW_METRIC_BATCH_PIPELINED, requests / 10);
    pw_metric_add(s, PW_METRIC_BATCH_JOINED, requests / 16);
    pw_metric_set(s, PW_METRIC_CLIENTS_OPEN, 64);
    pw_metric_set(s, PW_METRIC_SERVERS_OPEN, 8);
    for (unsigned i = 0; i < 200; i++)
        pw_metric_observe(s, PW_HIST_QUERY, 150 + i * i / 10 + (n % 7) * 40);
    pw_sampler_take(sampler, pw_clock_us(), pw_clock_wall_us());
}

static void json(struct http_call *call, void *arg)
{
    call->content_type = "application/json";
    pw_buf_append_str(&call->body, arg);
    pw_http_finish(call);
}

static int serve(const char *port)
{
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%s", port);
    if (start(address) != 0)
        return 1;
    pw_collector_add(pw_sampler_collect, sampler);
    pw_http_route(
        http, "/api/v1/pools", json,
        (void *)"[{\"database\":\"app\",\"user\":\"web\",\"cl_active\":60,\"cl_waiting\":4,"
                "\"sv_active\":8,\"sv_idle\":0,\"maxwait\":0,\"pool_mode\":\"transaction\"}]");
    pw_http_route(
        http, "/api/v1/families", json,
        (void *)"[{\"family\":\"9f31c0de\",\"calls\":120345,\"rows\":120345,\"mean_ms\":0.21,"
                "\"p95_ms\":0.8,\"p99_ms\":2.5,\"cache_hits\":90000,\"merged\":8000,\"tables\":"
                "\"public.users\",\"indexes\":\"users_pkey\",\"text\":\"SELECT * FROM users "
                "WHERE id = $1 -- <b>not html</b>\"}]");
    pw_http_route(
        http, "/api/v1/advice", json,
        (void *)"{\"advice\":[{\"id\":\"c-3f2a91\",\"kind\":\"create\",\"table\":"
                "\"public.orders\",\"object\":\"orders_user_id_idx\",\"benefit_pct\":83.4,"
                "\"size_bytes\":12345678,\"confidence\":\"high\",\"reason\":\"Sequential scans "
                "of public.orders for user_id.\",\"sql\":\"CREATE INDEX CONCURRENTLY ON "
                "public.orders (user_id)\"}]}");
    pw_http_route(http, "/api/v1/gpu", json, (void *)"[]");
    uv_timer_start(&ticker, on_tick, 0, 200);
    return uv_run(&uv, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_served),
        cmocka_unit_test(readiness_has_a_reason),
        cmocka_unit_test(only_reading_is_allowed),
        cmocka_unit_test(an_answer_may_come_later),
        cmocka_unit_test(closing_answers_what_is_pending), /* last: the server is gone after it */
    };
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
