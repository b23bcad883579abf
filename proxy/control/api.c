/*
 * What HTTP serves of the whole process: the console's tables as JSON arrays, the advice reports,
 * readiness. Control thread.
 */
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/control/desk.h"
#include "proxy/control/profile.h"
#include "proxy/control/show.h"

enum { UNAVAILABLE = 503, FAILED = 500, BAD_REQUEST = 400 };

/* ---- readiness ---- */

/* Ready: clients are taken, and a server has let us in or nobody has needed one yet. */
static bool is_ready(void *arg, const char **reason)
{
    const struct control *c = arg;
    if (c->draining || c->stopping) {
        *reason = "shutting down";
        return false;
    }
    bool tried = pw_metric_read(PW_METRIC_SERVER_CONNECT_FAILURES) > 0;
    if (!tried || pw_metric_read(PW_METRIC_SERVER_CONNECTS) > 0)
        return true;
    *reason = "no server connection could be opened yet";
    return false;
}

/* ---- tables ---- */

static const struct route {
    const char *path, *command;
} routes[] = {
    {"/api/v1/stats", "SHOW STATS"},       {"/api/v1/pools", "SHOW POOLS"},
    {"/api/v1/cache", "SHOW CACHE"},       {"/api/v1/batch", "SHOW BATCH"},
    {"/api/v1/families", "SHOW FAMILIES"}, {"/api/v1/indexes", "SHOW INDEXES"},
    {"/api/v1/advice", "SHOW ADVICE"},     {"/api/v1/host", "SHOW HOST"},
    {"/api/v1/gpu", "SHOW GPU"},           {"/api/v1/trend", "SHOW TREND"},
    {"/api/v1/config", "SHOW CONFIG"},     {"/api/v1/state", "SHOW STATE"},
};

/* One request under way: the HTTP call is gone once the process is stopping (its server has
 * answered it). */
struct api_call {
    struct control *control;
    struct http_call *http;
};

static void on_finished(struct admin_call *call, void *owner)
{
    struct api_call *a = owner;
    struct http_call *http = a->http;
    bool gone = a->control->stopped;
    pw_free(a);
    if (gone)
        return;
    if (call->result.table) {
        http->content_type = "application/json";
        if (!pw_table_render_json(call->result.table, &http->body))
            http->status = FAILED;
    } else {
        http->status = FAILED;
        pw_buf_printf(&http->body, "%s\n", call->result.error ? call->result.error : "no rows");
    }
    pw_http_finish(http);
}

static void refuse(struct http_call *call, unsigned status, const char *text)
{
    call->status = status;
    pw_buf_printf(&call->body, "%s\n", text);
    pw_http_finish(call);
}

static const struct route *route_of(const char *path)
{
    size_t i = 0;
    while (strcmp(routes[i].path, path) != 0)
        i++;
    return &routes[i];
}

/* ?n= is passed on where the command takes a number. */
static void serve_table(struct http_call *call, void *arg)
{
    struct control *c = arg;
    const struct route *route = route_of(call->path);
    const char *n = pw_http_query(call, "n");
    if (c->stopped) {
        refuse(call, UNAVAILABLE, "shutting down");
        return;
    }
    if (n && (strspn(n, "0123456789") != strlen(n) || strlen(n) > 6)) {
        refuse(call, BAD_REQUEST, "n is not a number");
        return;
    }
    bool takes_n = n && strcmp(route->command, "SHOW FAMILIES") == 0;
    char *text = pw_asprintf("%s%s%s", route->command, takes_n ? " " : "", takes_n ? n : "");
    struct api_call *a = pw_alloc(sizeof(*a));
    *a = (struct api_call){c, call};
    const struct admin_request request = {.text = pw_slice_str(text),
                                          .level = ADMIN_STATS,
                                          .format = ADMIN_FORMAT_JSON,
                                          .user = "http",
                                          .source = "http"};
    pw_admin_start(c->admin, &request, on_finished, a);
    pw_free(text);
}

/* ---- advice reports: of ?database=..., else of the first that has advice ---- */

static void serve_advice(struct http_call *call, struct control *c, const char *content_type,
                         bool (*render)(const struct advice_set *s, struct buf *out),
                         const char *none)
{
    struct advisor *advisor = pw_advice_desk_advisor(c->advice);
    const char *database = pw_http_query(call, "database");
    struct advice_set *set = advisor ? pw_advisor_latest(advisor, database) : NULL;
    call->content_type = content_type;
    if (!set)
        pw_buf_append_str(&call->body, none);
    else if (!render(set, &call->body))
        call->status = FAILED;
    pw_advice_set_unref(set);
    pw_http_finish(call);
}

static void advice_html(struct http_call *call, void *arg)
{
    serve_advice(
        call, arg, "text/html; charset=utf-8", pw_advice_render_html,
        "<!doctype html><title>pgweir advice</title><p>No advice yet: run ADVISE NOW on the "
        "console, or wait for the next run.</p>\n");
}

static void advice_json(struct http_call *call, void *arg)
{
    serve_advice(call, arg, "application/json", pw_advice_render_json, "{\"advice\": []}\n");
}

static void advice_sql(struct http_call *call, void *arg)
{
    serve_advice(call, arg, "text/plain; charset=utf-8", pw_advice_render_sql,
                 "-- No advice yet: run ADVISE NOW on the console, or wait for the next run.\n");
}

void pw_control_register_routes(struct control *c)
{
    pw_http_route_own(c->http, is_ready, c);
    pw_http_route_history(c->http, c->sampler);
    for (size_t i = 0; i < PW_COUNT_OF(routes); i++)
        pw_http_route(c->http, routes[i].path, serve_table, c);
    pw_http_route(c->http, "/advice", advice_html, c);
    pw_http_route(c->http, "/advice.json", advice_json, c);
    pw_http_route(c->http, "/advice.sql", advice_sql, c);
    pw_profile_register_route(c);
}
