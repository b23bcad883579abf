/*
 * From nothing to a connection that may log in (server_startup.c): choose a host, resolve it,
 * connect, ask for TLS; and when that fails the next address, the next host, or the end of the
 * attempt. What is needed only for that lives in struct server_connect and is freed when the login
 * is over.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/pool/pool.h"
#include "proxy/pool/server_connect.h"
#include "proxy/pool/server_priv.h"
#include "proxy/pool/welcome.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"
#include "proxy/wire/front.h"

enum {
    RETRY_US_MIN = 100 * 1000,
    RETRY_US_MAX = 5 * 1000 * 1000,
    DOUBTFUL_US_MAX = 2 * 1000 * 1000,
};

static const struct conf_host *host_of(const struct server *s)
{
    const struct server_connect *c = s->connect;
    const struct conf_upstream *up = &s->pool->db->upstream;
    return &up->hosts[c->order[c->at].index %
                      up->n_hosts]; /* a reload may have made the list shorter */
}

struct host_state *pw_server_host_state(const struct server *s)
{
    return pw_hosts_get(&s->pool->env->hosts, host_of(s));
}

static void describe(const struct server *s, char *out, size_t size)
{
    const struct conf_host *h = host_of(s);
    snprintf(out, size, "%s:%u", h->host, h->port);
}

void pw_server_connect_destroy(struct server_connect *c)
{
    pw_server_login_free(&c->login);
    pw_buf_free(&c->out);
    pw_buf_free(&c->params);
    pw_buf_free(&c->report);
    pw_free(c);
}

void pw_server_connect_free(struct server *s)
{
    struct server_connect *c = s->connect;
    if (!c)
        return;
    s->connect = NULL;
    if (c->resolving)
        pw_resolve_cancel(c->resolving);
    c->resolving = NULL;
    c->server = NULL;
    if (!c->deriving) /* else the thread still reads it; on_derived frees it */
        pw_server_connect_destroy(c);
}

/* ---- failing */

static void back_off(struct server_pool *p, const char *text)
{
    uint64_t now_us = p->env->loop->now_us;
    uint32_t shift = p->failures < 6 ? p->failures : 6;
    uint64_t wait = (uint64_t)RETRY_US_MIN << shift;
    if (wait > RETRY_US_MAX)
        wait = RETRY_US_MAX;
    wait -= pw_hash_mix(now_us, p->env->worker) % (wait / 4); /* not all pools at the same moment */
    if (p->failures++ == 0)
        p->failing_since_us = now_us;
    p->retry_at_us = now_us + wait;
    pw_wheel_set(&p->env->loop->wheel, &p->retry_timer, p->retry_at_us);
    pw_free(p->last_error);
    p->last_error = pw_strdup(text);
    pw_metric_inc(p->env->metrics, PW_METRIC_SERVER_CONNECT_FAILURES);
}

/* The server refused us as it would everywhere (a password, a database's name): as libpq, the
 * others are not asked. */
static bool is_final(const struct server_connect *c, struct slice error)
{
    if (c->refused || (c->relays && c->asked_secret)) /* the client has answered this server */
        return true;
    if (c->deriving || error.len == 0)
        return c->deriving;
    struct slice state = pw_errfields_sqlstate(error);
    /* 57P03: starting up or shutting down; 53300: too many connections; 57P01: shutting down. */
    return memcmp(state.ptr, "57P0", 4) != 0 && memcmp(state.ptr, "53300", 5) != 0;
}

static void connect_host(struct server *s);
static void connect_addr(struct server *s);

/* The attempt goes on with a connection of its own; the old one keeps neither permit nor attempt.
 */
static void move_on(struct server *old, const char *why)
{
    struct server_connect *c = old->connect;
    struct server_pool *p = old->pool;
    struct server *s = pw_server_create(p);
    s->has_permit = old->has_permit;
    s->dedicated = old->dedicated;
    old->has_permit = false;
    old->connect = NULL;
    s->connect = c;
    c->server = s;
    if (c->resolving)
        pw_resolve_cancel(c->resolving);
    c->resolving = NULL;
    pw_server_login_free(&c->login);
    c->login = (struct server_login){0};
    pw_buf_reset(&c->out);
    c->text[0] = '\0';
    c->role[0] = c->role[1] = 0;
    c->event = c->in_handshake = c->asked_secret = c->authenticated = c->asked_role = false;
    if (c->relay_to)
        p->env->cb->on_relay_moved(c->relay_to, s);
    pw_server_close(old, why);
    if (c->addr_at < c->n_addrs)
        connect_addr(s);
    else
        connect_host(s);
}

static void give_up(struct server *s, const char *text, struct slice error)
{
    struct server_pool *p = s->pool;
    struct server_connect *c = s->connect;
    char where[300], message[1600];
    describe(s, where, sizeof where);
    int n =
        snprintf(message, sizeof message,
                 "pgweir could not connect to the server at %s (database \"%s\", user \"%s\"): %s",
                 where, p->dbname, p->user, text);
    if (c->report.len && n > 0 && (size_t)n < sizeof message)
        snprintf(message + n, sizeof message - (size_t)n, "; before that: %.*s",
                 (int)c->report.len - 2, c->report.data);
    void *relay_to = c->relay_to;
    c->relay_to = NULL;
    if (relay_to) {
        p->env->cb->on_relay_done(relay_to, NULL, c->authenticated, message, error);
        pw_server_close(s, text);
        return;
    }
    back_off(p, message);
    p->env->cb->on_connect_failed(p, message, error);
    pw_server_close(s, text);
}

/* This host will not do: the next one, or the end of the attempt. */
void pw_server_next_host(struct server *s, const char *text, struct slice error, bool may_go_on)
{
    struct server_connect *c = s->connect;
    char where[300], why[256];
    if (!may_go_on || c->at + 1 >= c->n_order) {
        give_up(s, text, error);
        return;
    }
    describe(s, where, sizeof where);
    pw_buf_printf(&c->report, "%s: %s; ", where, text);
    snprintf(why, sizeof why, "%s", text); /* text may be the login's own */
    c->at++;
    c->n_addrs = c->addr_at = 0;
    move_on(s, why);
}

void pw_server_connect_failed(struct server *s, const char *text, struct slice error)
{
    struct server_connect *c = s->connect;
    char where[300];
    describe(s, where, sizeof where);
    pw_log_warn("pool=%s/%s event=server_connect_failed server=%s text=\"%s\"", s->pool->database,
                s->pool->user, where, text);
    if (s->state == SERVER_CONNECTING && c->addr_at + 1 < c->n_addrs && !s->stream.is_pipe) {
        char why[256];
        snprintf(why, sizeof why, "%s", text);
        c->addr_at++;
        move_on(s, why);
        return;
    }
    bool final = is_final(c, error);
    if (!final || c->deriving)
        pw_host_failed(pw_server_host_state(s), s->pool->env->loop->now_us, text);
    pw_server_next_host(s, text, error, !final);
}

/* ---- TLS */

static bool wants_tls(const struct server *s)
{
    return s->pool->db->upstream.sslmode != CONF_TLS_SERVER_DISABLE && s->pool->tls &&
           host_of(s)->host[0] != '/';
}

static void read_tls_answer(struct server *s)
{
    struct slice in = pw_stream_input(&s->stream);
    if (in.len == 0) {
        if (s->eof)
            pw_server_connect_failed(s, "server closed the connection unexpectedly",
                                     (struct slice){0});
        return;
    }
    char answer = in.ptr[0];
    if (in.len > 1 || (answer != 'S' && answer != 'N')) {
        pw_server_connect_failed(s, "the server did not answer the TLS request properly",
                                 (struct slice){0});
        return;
    }
    pw_stream_consume(&s->stream, 1);
    if (answer == 'N') {
        if (s->pool->db->upstream.sslmode > CONF_TLS_SERVER_PREFER)
            pw_server_connect_failed(s, "the server does not support TLS, but sslmode asks for it",
                                     (struct slice){0});
        else
            pw_server_start_login(s);
        return;
    }
    s->connect->in_handshake = true;
    if (pw_stream_start_tls_client(&s->stream, s->pool->tls, host_of(s)->host) != PW_OK)
        pw_server_connect_failed(s, pw_stream_error_text(&s->stream), (struct slice){0});
}

/* ---- connecting */

static void cannot_connect(struct server *s, const char *text)
{
    snprintf(s->connect->text, sizeof s->connect->text, "%s", text);
    s->eof = true; /* reported from the ready queue, never from inside a call */
    pw_server_mark(s);
}

static void connect_addr(struct server *s)
{
    struct server_connect *c = s->connect;
    const struct sockaddr *addr = (const struct sockaddr *)&c->addrs[c->addr_at];
    pw_server_set_deadline(s);
    if (pw_stream_connect_tcp(&s->stream, s->pool->env->loop, addr, &pw_server_stream_callbacks) !=
        PW_OK)
        cannot_connect(s, "cannot connect");
}

static void on_resolved(void *arg, const struct sockaddr_storage *addrs, int n, const char *error)
{
    struct server *s = arg;
    struct server_connect *c = s->connect;
    c->resolving = NULL;
    c->addr_at = 0;
    c->n_addrs = n < CONNECT_ADDRS_MAX ? n : CONNECT_ADDRS_MAX;
    if (n > 0) {
        memcpy(c->addrs, addrs, (size_t)c->n_addrs * sizeof *addrs);
        connect_addr(s);
    } else {
        cannot_connect(s, error ? error : "cannot connect");
    }
}

/* A host that was down gets little time when there are others: somebody waits for this attempt. */
void pw_server_set_deadline(struct server *s)
{
    const struct server_pool *p = s->pool;
    uint64_t limit = p->db->upstream.connect_timeout_us;
    if (p->db->upstream.n_hosts > 1 && pw_server_host_state(s)->failures && limit > DOUBTFUL_US_MAX)
        limit = DOUBTFUL_US_MAX;
    pw_wheel_set(&p->env->loop->wheel, &s->timer, p->env->loop->now_us + limit);
}

static void connect_host(struct server *s)
{
    const struct conf_host *h = host_of(s);
    struct pool_env *env = s->pool->env;
    pw_server_set_deadline(s);
    if (h->host[0] == '/') {
        char path[200], text[256];
        snprintf(path, sizeof path, "%s/.s.PGSQL.%u", h->host, h->port);
        if (pw_stream_connect_unix(&s->stream, env->loop, path, &pw_server_stream_callbacks) !=
            PW_OK) {
            snprintf(text, sizeof text, "cannot connect to %s", path);
            cannot_connect(s, text);
        }
        return;
    }
    struct resolve_req *req = pw_resolve(env->resolver, h->host, h->port, on_resolved, s);
    if (s->connect)
        s->connect->resolving = req;
}

struct server *pw_server_launch(struct server_pool *pool, const struct server_launch *how)
{
    struct server *s = pw_server_create(pool);
    struct server_connect *c = pw_alloc(sizeof *c);
    s->has_permit = true;
    s->dedicated = how->dedicated;
    c->server = s;
    c->relay_to = how->relay_to;
    c->relays = how->relays;
    pw_buf_init(&c->out, 1 << 16);
    pw_buf_init(&c->params, 1 << 16);
    pw_buf_init(&c->report, 1 << 12);
    pw_buf_append(&c->params, how->params.ptr, how->params.len);
    s->connect = c;
    c->n_order = pw_hosts_order(&pool->env->hosts, &pool->db->upstream, pool->attrs,
                                pool->env->loop->now_us, c->order);
    connect_host(s);
    return s;
}

void pw_server_connect_step(struct server *s)
{
    struct server_connect *c = s->connect;
    bool shaking_hands = s->state == SERVER_TLS && c->in_handshake;
    if (s->eof && (s->state == SERVER_CONNECTING || shaking_hands)) {
        const char *text = pw_stream_error_text(&s->stream);
        pw_server_connect_failed(s,
                                 c->text[0] ? c->text
                                 : text[0]  ? text
                                 : shaking_hands
                                     ? "server closed the connection in the TLS handshake"
                                     : "connection refused",
                                 (struct slice){0});
        return;
    }
    if (s->state == SERVER_CONNECTING && c->event) {
        c->event = false;
        if (wants_tls(s)) {
            static const char request[8] = {0, 0, 0, 8, 4, (char)210, 22, 47};
            pw_server_enter(s, SERVER_TLS);
            pw_stream_write(&s->stream, request, sizeof request);
        } else {
            pw_server_start_login(s);
        }
        return;
    }
    if (s->state == SERVER_TLS) {
        if (!c->in_handshake)
            read_tls_answer(s);
        else if (c->event)
            pw_server_start_login(s);
        return;
    }
    if (s->state == SERVER_LOGIN)
        pw_server_read_login(s);
}
