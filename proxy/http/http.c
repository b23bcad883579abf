/*
 * Owns the libmicrohttpd daemon (which owns the listening socket and the connections), the handles
 * that drive it from the loop, and the route table. Control thread.
 */
#include "proxy/http/http.h"

#include <microhttpd.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/log.h"
#include "proxy/net/listen.h"

enum { BACKLOG = 64, CLOSE_TURNS = 4, METHOD_NOT_ALLOWED = MHD_HTTP_METHOD_NOT_ALLOWED };

struct route {
    const char *path; /* BORROW, static */
    pw_http_handler handler;
    void *arg; /* BORROW */
};

struct request {
    struct http_call call;             /* must be first: handlers give it back */
    struct http *http;                 /* BORROW */
    struct MHD_Connection *connection; /* BORROW */
    struct list_node pending;          /* LINK http->pending while the handler takes its time */
    bool started, finished;
};

struct http {
    struct MHD_Daemon *daemon; /* OWN */
    uv_poll_t poll;
    uv_timer_t timer;
    int port, handles; /* handles: uv handles not closed yet */
    struct route routes[PW_HTTP_ROUTES_MAX];
    size_t n_routes;
    struct list pending;
    void (*on_closed)(void *arg);
    void *on_closed_arg; /* BORROW */
};

/* ---- driving the daemon -----------------------------------------------------------------------
 */

static void on_timer(uv_timer_t *timer);

static void drive(struct http *h)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    MHD_run(h->daemon);
    if (MHD_get_timeout(h->daemon, &wait_ms) == MHD_YES)
        uv_timer_start(&h->timer, on_timer, wait_ms, 0);
    else
        uv_timer_stop(&h->timer);
}

static void on_timer(uv_timer_t *timer)
{
    drive(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    drive(poll->data);
}

/* ---- answering --------------------------------------------------------------------------------
 */

static void put_headers(struct MHD_Response *response, const char *content_type)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'self'; style-src 'self' 'unsafe-inline'; "
                            "img-src 'self' data:; frame-ancestors 'none'");
}

static enum MHD_Result respond(struct request *r)
{
    struct buf *body = &r->call.body;
    struct MHD_Response *response =
        body->data ? MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE)
                   : MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    *body = (struct buf){.max = body->max}; /* the response owns the bytes now */
    put_headers(response, r->call.content_type);
    if (r->call.status == METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(r->connection, r->call.status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct request *r, unsigned status, const char *text)
{
    r->started = r->finished = true;
    r->call.status = status;
    pw_buf_append_str(&r->call.body, text);
    return respond(r);
}

static const struct route *find_route(const struct http *h, const char *path)
{
    for (size_t i = 0; i < h->n_routes; i++)
        if (strcmp(h->routes[i].path, path) == 0)
            return &h->routes[i];
    return NULL;
}

static struct request *new_request(struct http *h, struct MHD_Connection *connection)
{
    struct request *r = pw_alloc(sizeof *r);
    r->http = h;
    r->connection = connection;
    r->call.content_type = "text/plain; charset=utf-8";
    r->call.status = MHD_HTTP_OK;
    pw_buf_init(&r->call.body, PW_HTTP_BODY_MAX);
    return r;
}

/* libmicrohttpd calls this with the headers, then again when the body is in (GET has none), and
 * once more after a suspended connection is resumed. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    struct http *h = arg;
    struct request *r = *state;
    (void)version;
    (void)upload;
    if (!r) {
        *state = r = new_request(h, connection);
        bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
        return reads ? MHD_YES : refuse(r, METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    *upload_size = 0; /* a GET with a body: the body means nothing */
    if (r->finished)
        return respond(r);
    const struct route *route = find_route(h, url);
    if (!route)
        return refuse(r, MHD_HTTP_NOT_FOUND, "no such page\n");
    r->call.path = route->path;
    r->started = true;
    route->handler(&r->call, route->arg);
    if (r->finished)
        return respond(r);
    pw_list_push_back(&h->pending, &r->pending);
    MHD_suspend_connection(connection);
    return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct request *r = *state;
    (void)arg;
    (void)connection;
    (void)why;
    if (!r)
        return;
    pw_buf_free(&r->call.body);
    pw_free(r);
    *state = NULL;
}

void pw_http_finish(struct http_call *call)
{
    struct request *r = (struct request *)call;
    PW_CHECK(r->started && !r->finished);
    r->finished = true;
    if (call->body.failed) {
        pw_buf_reset(&call->body);
        call->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        pw_buf_append_str(&call->body, "the answer is too long\n");
    }
    if (!pw_list_linked(&r->pending))
        return; /* on_request answers */
    pw_list_remove(&r->http->pending, &r->pending);
    MHD_resume_connection(r->connection);
    uv_timer_start(&r->http->timer, on_timer, 0, 0);
}

const char *pw_http_query(const struct http_call *call, const char *name)
{
    const struct request *r = (const struct request *)call;
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

void pw_http_route(struct http *h, const char *path, pw_http_handler handler, void *arg)
{
    size_t at = 0;
    while (at < h->n_routes && strcmp(h->routes[at].path, path) != 0)
        at++;
    PW_CHECK(at < PW_HTTP_ROUTES_MAX);
    h->routes[at] = (struct route){path, handler, arg};
    if (at == h->n_routes)
        h->n_routes++;
}

/* ---- life -------------------------------------------------------------------------------------
 */

static struct MHD_Daemon *start_daemon(struct http *h, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, h,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)PW_HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)PW_HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)(32 * 1024), MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                            MHD_OPTION_END);
}

enum pw_status pw_http_new(const struct http_options *options, struct http **out, char **error)
{
    int fd;
    *out = NULL;
    enum pw_status status = pw_listen_bind_tcp(options->address, BACKLOG, &fd, error);
    if (status != PW_OK)
        return status;
    struct http *h = pw_alloc(sizeof *h);
    pw_list_init(&h->pending);
    h->port = pw_listen_port(fd);
    h->daemon = start_daemon(h, fd);
    const union MHD_DaemonInfo *info =
        h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info || uv_poll_init(options->loop->uv, &h->poll, info->epoll_fd) != 0) {
        if (h->daemon)
            MHD_stop_daemon(h->daemon);
        else
            close(fd);
        pw_free(h);
        *error = pw_asprintf("cannot start the HTTP server on %s", options->address);
        return PW_IO;
    }
    uv_timer_init(options->loop->uv, &h->timer);
    h->poll.data = h->timer.data = h;
    h->handles = 2;
    uv_poll_start(&h->poll, UV_READABLE, on_poll);
    *out = h;
    return PW_OK;
}

int pw_http_port(const struct http *h)
{
    return h->port;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http *h = handle->data;
    if (--h->handles > 0)
        return;
    if (h->on_closed)
        h->on_closed(h->on_closed_arg);
    pw_free(h);
}

void pw_http_close(struct http *h, void (*on_closed)(void *arg), void *arg)
{
    h->on_closed = on_closed;
    h->on_closed_arg = arg;
    while (!pw_list_empty(&h->pending)) {
        struct request *r = PW_LIST_ENTRY(pw_list_first(&h->pending), struct request, pending);
        pw_buf_reset(&r->call.body);
        r->call.status = MHD_HTTP_SERVICE_UNAVAILABLE;
        pw_http_finish(&r->call);
    }
    for (int i = 0; i < CLOSE_TURNS; i++) /* lets resumed connections have their answer */
        MHD_run(h->daemon);
    uv_poll_stop(&h->poll);
    uv_timer_stop(&h->timer);
    MHD_stop_daemon(h->daemon);
    uv_close((uv_handle_t *)&h->poll, on_handle_closed);
    uv_close((uv_handle_t *)&h->timer, on_handle_closed);
}
