/*
 * The HTTP server: GET and HEAD, a table of exact paths, everything else 404 or 405. libmicrohttpd
 * brings its own epoll descriptor, which the control loop watches; no thread of its own.
 * Thread: the control loop's.
 */
#ifndef PROXY_HTTP_HTTP_H
#define PROXY_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/attrs.h"
#include "proxy/base/buf.h"
#include "proxy/base/status.h"
#include "proxy/net/loop.h"

struct http;
struct http_call;
struct sampler; /* metrics/sampler.h */

enum {
    PW_HTTP_CONNECTIONS_MAX = 64,
    PW_HTTP_IDLE_S = 30,
    PW_HTTP_ROUTES_MAX = 64,
    PW_HTTP_BODY_MAX = 64 * 1024 * 1024,
};

struct http_options {
    struct net_loop *loop; /* BORROW */
    const char *address;   /* "host:port"; BORROW during the call */
};

/* On failure *error is OWN by the caller. */
PW_MUSTUSE enum pw_status pw_http_new(const struct http_options *options, struct http **out,
                                      char **error);
int pw_http_port(const struct http *h);
/* Answers calls that are still pending with 503 and ends every connection; on_closed (may be NULL)
 * when all is released. pw_http_finish must not be called afterwards for a call from before. */
void pw_http_close(struct http *h, void (*on_closed)(void *arg), void *arg);

/* A handler fills call->body and calls pw_http_finish, at once or later on the same thread. */
struct http_call {
    const char *path;         /* BORROW until finished */
    struct buf body;          /* OWN */
    const char *content_type; /* static; text/plain unless set */
    unsigned status;          /* 200 unless set */
    void *state;              /* for a handler that answers later */
};
typedef void (*pw_http_handler)(struct http_call *call, void *arg);

/* path is static and exact ("/api/v1/stats"); the same path again replaces the handler. */
void pw_http_route(struct http *h, const char *path, pw_http_handler handler, void *arg);
void pw_http_finish(struct http_call *call);
/* The value of ?name=..., or NULL. BORROW until finished. */
const char *pw_http_query(const struct http_call *call, const char *name);

/* Every route that needs nothing but the rooms below: /metrics, /api/v1/metrics, /healthz, /readyz,
 * and the dashboard at /. is_ready says why not in *reason (static); NULL: always ready. */
typedef bool (*pw_http_is_ready)(void *arg, const char **reason);
void pw_http_route_own(struct http *h, pw_http_is_ready is_ready, void *arg);
/* /api/v1/history?n=300: the sampler's newest samples as columns. sampler is BORROW. */
void pw_http_route_history(struct http *h, const struct sampler *sampler);

#endif
