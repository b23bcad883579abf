/* The pages that need only the rooms below: metrics, health, dashboard, history. Control thread.
 * The one piece of state is who answers "ready?", kept here because a process has one HTTP server.
 */
#include "proxy/base/num.h"
#include "proxy/http/embed.h"
#include "proxy/http/http.h"
#include "proxy/metrics/collector.h"
#include "proxy/metrics/sampler.h"

enum { UNAVAILABLE = 503, HISTORY_DEFAULT = 300, HISTORY_MAX = 10000 };

static struct {
    pw_http_is_ready is_ready;
    void *arg; /* BORROW */
} readiness;

static void metrics(struct http_call *call, void *unused)
{
    (void)unused;
    call->content_type = "text/plain; version=0.0.4; charset=utf-8";
    pw_metrics_render_text(&call->body);
    pw_http_finish(call);
}

static void metrics_json(struct http_call *call, void *unused)
{
    (void)unused;
    call->content_type = "application/json";
    pw_metrics_render_json(&call->body);
    pw_http_finish(call);
}

/* Alive: the loop that answers this turns. */
static void healthz(struct http_call *call, void *unused)
{
    (void)unused;
    pw_buf_append_str(&call->body, "ok\n");
    pw_http_finish(call);
}

static void readyz(struct http_call *call, void *unused)
{
    const char *reason = "not ready";
    (void)unused;
    if (!readiness.is_ready || readiness.is_ready(readiness.arg, &reason)) {
        pw_buf_append_str(&call->body, "ok\n");
    } else {
        call->status = UNAVAILABLE;
        pw_buf_printf(&call->body, "%s\n", reason);
    }
    pw_http_finish(call);
}

static void put_embedded(struct http_call *call, struct slice bytes, const char *content_type)
{
    call->content_type = content_type;
    pw_buf_append(&call->body, bytes.ptr, bytes.len);
    pw_http_finish(call);
}

static void dashboard(struct http_call *call, void *unused)
{
    (void)unused;
    put_embedded(call, pw_embed_dashboard_html(), "text/html; charset=utf-8");
}

static void dashboard_js(struct http_call *call, void *unused)
{
    (void)unused;
    put_embedded(call, pw_embed_dashboard_js(), "text/javascript; charset=utf-8");
}

static void chart_js(struct http_call *call, void *unused)
{
    (void)unused;
    put_embedded(call, pw_embed_chart_js(), "text/javascript; charset=utf-8");
}

void pw_http_route_own(struct http *h, pw_http_is_ready is_ready, void *arg)
{
    readiness.is_ready = is_ready;
    readiness.arg = arg;
    pw_http_route(h, "/metrics", metrics, NULL);
    pw_http_route(h, "/api/v1/metrics", metrics_json, NULL);
    pw_http_route(h, "/healthz", healthz, NULL);
    pw_http_route(h, "/readyz", readyz, NULL);
    pw_http_route(h, "/", dashboard, NULL);
    pw_http_route(h, "/dashboard.js", dashboard_js, NULL);
    pw_http_route(h, "/chart.js", chart_js, NULL);
}

static void history(struct http_call *call, void *arg)
{
    const struct sampler *sampler = arg;
    const char *text = pw_http_query(call, "n");
    uint64_t n = HISTORY_DEFAULT;
    if (text && (!pw_num_parse_u64(pw_slice_str(text), &n) || n > HISTORY_MAX))
        n = HISTORY_DEFAULT;
    call->content_type = "application/json";
    pw_sampler_render_history(sampler, (size_t)n, &call->body);
    pw_http_finish(call);
}

void pw_http_route_history(struct http *h, const struct sampler *sampler)
{
    pw_http_route(h, "/api/v1/history", history, (void *)(uintptr_t)sampler);
}
