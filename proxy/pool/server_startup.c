/*
 * From the StartupMessage to the first ReadyForQuery: the server login with whatever secret there
 * is, or with the client's own answers; then the question whether the server is what
 * target_session_attrs asks for.
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

enum { LOGIN_MESSAGE_MAX = 1 << 20, STARTUP_PARAMS_MAX = 64 };

struct derive_work {
    uv_work_t work;
    struct server_connect *connect; /* OWN while the server is gone, else BACK */
    bool ok;
    struct scram_keys keys;
};

static void login_go_on(struct server *s, enum login_result r);

static void run_derive(uv_work_t *work)
{
    struct derive_work *w = PW_CONTAINER_OF(work, struct derive_work, work);
    const struct scram_job *job = &w->connect->login.job;
    w->ok = pw_scram_derive(job->password, job->salt, job->iterations, &w->keys);
}

static void on_derived(uv_work_t *work, int status)
{
    struct derive_work *w = PW_CONTAINER_OF(work, struct derive_work, work);
    struct server_connect *c = w->connect;
    struct server *s = c->server;
    c->deriving = false;
    if (!s) { /* closed meanwhile */
        pw_server_connect_destroy(c);
    } else {
        bool ok = status == 0 && w->ok;
        if (ok)
            pw_server_pool_set_keys(s->pool, &w->keys,
                                    &c->login.job); /* the next login needs no derivation */
        login_go_on(s, pw_server_login_resume(&c->login, ok ? &w->keys : NULL, &c->out));
    }
    explicit_bzero(&w->keys, sizeof w->keys);
    pw_free(w);
}

/* What the server reported at login replaces what clients were told before: it may be another
 * version by now, or a standby that was promoted. */
static void keep_welcome(struct server_pool *p, const struct params *fresh)
{
    struct settings *empty = p->settings.empty;
    if (p->welcome_known && !pw_slice_eq(pw_params_all(&p->welcome), pw_params_all(fresh)))
        pw_settings_table_forget_welcomes(&p->settings);
    pw_welcome_copy(&p->welcome, fresh);
    p->welcome_known = true;
    if (!empty->welcome_known) {
        pw_welcome_copy(&empty->welcome, fresh);
        empty->welcome_known = true;
    }
}

static void login_done(struct server *s)
{
    struct server_pool *p = s->pool;
    struct server_connect *c = s->connect;
    void *relay_to = c->relay_to;
    c->relay_to = NULL;
    pw_welcome_copy(&s->params, &c->login.params);
    s->pid = c->login.pid;
    s->cancel_key_len = c->login.key_len;
    memcpy(s->cancel_key, c->login.key, c->login.key_len);
    p->failures = 0;
    p->retry_at_us = 0;
    PW_FREE(p->last_error);
    if (!s->dedicated) { /* replication has rules of its own, in pg_hba.conf too */
        p->method = c->asked_secret ? UPSTREAM_SECRET : UPSTREAM_TRUST;
        p->method_seen_us = p->env->loop->now_us;
        keep_welcome(p, &s->params);
    }
    uint64_t took = p->env->loop->now_us - s->connected_us;
    pw_metric_observe(p->env->metrics, PW_HIST_SERVER_CONNECT, took);
    pw_metric_inc(p->env->metrics, PW_METRIC_SERVER_CONNECTS);
    pw_stat_add(&p->stats->logins, 1);
    pw_wheel_cancel(&p->env->loop->wheel, &s->timer);
    pw_log_debug("server=%llu pool=%s/%s event=connected us=%llu", (unsigned long long)s->id,
                 p->database, p->user, (unsigned long long)took);
    pw_server_connect_free(s);
    pw_stream_keepalive(&s->stream, 60, 15, 4);
    pw_server_enter(s, SERVER_IDLE);
    if (relay_to)
        p->env->cb->on_relay_done(relay_to, s, true, NULL, (struct slice){0});
    if (s->state == SERVER_IDLE) /* else a client took it over */
        pw_server_pool_release(s);
}

/* ---- is it what target_session_attrs asks for? */

static bool reported(const struct params *p, const char *name, bool *on)
{
    struct slice value;
    if (!pw_params_find(p, name, &value))
        return false;
    *on = pw_slice_is(value, "on");
    return true;
}

static void judge_role(struct server *s, bool standby, bool read_only)
{
    struct server_connect *c = s->connect;
    bool any = c->order[c->at].any_role;
    const char *refusal = any ? NULL : pw_session_attrs_refusal(s->pool->attrs, standby, read_only);
    pw_host_is_up(pw_server_host_state(s), true, standby, read_only);
    s->was_standby = standby;
    if (refusal)
        pw_server_next_host(s, refusal, (struct slice){0}, !(c->relays && c->asked_secret));
    else
        login_done(s);
}

/* PostgreSQL 14 and later say so by themselves; older ones, and poolers in between, are asked. */
static void check_role(struct server *s)
{
    struct server_connect *c = s->connect;
    bool standby = false, read_only = false;
    bool known = reported(&c->login.params, "in_hot_standby", &standby) &&
                 reported(&c->login.params, "default_transaction_read_only", &read_only);
    if (known) {
        judge_role(s, standby, read_only);
    } else if (s->pool->attrs == ATTRS_ANY || s->dedicated) {
        pw_host_is_up(pw_server_host_state(s), false, false, false);
        login_done(s);
    } else {
        static const char query[] =
            "SELECT pg_catalog.pg_is_in_recovery(), "
            "pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool";
        c->asked_role = true;
        if (pw_emit_query(&c->out, pw_slice_str(query)))
            pw_stream_write(&s->stream, c->out.data, c->out.len);
        pw_buf_reset(&c->out);
    }
}

/* The answer: one row of two booleans. */
static void read_role(struct server *s, uint8_t type, struct slice body)
{
    struct server_connect *c = s->connect;
    static const char row[] = {0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    if (type == BACK_DATA_ROW && body.len == sizeof row && memcmp(body.ptr, row, 6) == 0) {
        c->role[0] = body.ptr[6];
        c->role[1] = body.ptr[11];
    } else if (type == BACK_READY_FOR_QUERY) {
        if (c->role[0])
            judge_role(s, c->role[0] == 't', c->role[1] == 't');
        else
            pw_server_connect_failed(s, "the server does not say whether it is a standby",
                                     (struct slice){0});
    }
}

static void login_failed(struct server *s)
{
    struct server_connect *c = s->connect;
    struct slice error = pw_buf_slice(&c->login.error), text = {0};
    char message[400];
    if (error.len && pw_errfields_find(error, 'M', &text))
        snprintf(message, sizeof message, "%.*s", (int)(text.len < 380 ? text.len : 380), text.ptr);
    else
        snprintf(message, sizeof message, "%s", c->login.reason);
    c->refused = error.len == 0;
    pw_server_connect_failed(s, message, error);
}

static void login_go_on(struct server *s, enum login_result r)
{
    struct server_connect *c = s->connect;
    if (c->out.len) {
        pw_stream_write(&s->stream, c->out.data, c->out.len);
        pw_buf_reset(&c->out);
    }
    if (r == LOGIN_DONE) {
        check_role(s);
    } else if (r == LOGIN_FAIL) {
        login_failed(s);
    } else if (r == LOGIN_RELAY) {
        if (c->relay_to)
            s->pool->env->cb->on_relay(c->relay_to, s, pw_buf_slice(&c->login.relay));
    } else if (r == LOGIN_NEED_DERIVE && pw_server_pool_has_derived(s->pool, &c->login.job)) {
        login_go_on(s, pw_server_login_resume(&c->login, &s->pool->credentials.keys, &c->out));
    } else if (r == LOGIN_NEED_DERIVE) {
        struct derive_work *w = pw_alloc(sizeof *w);
        w->connect = c;
        c->deriving = true;
        if (uv_queue_work(s->pool->env->loop->uv, &w->work, run_derive, on_derived) != 0) {
            c->deriving = false;
            pw_free(w);
            pw_server_connect_failed(s, "out of memory", (struct slice){0});
        }
    }
}

static struct login_credentials credentials_of(const struct server *s)
{
    const struct pool_credentials *cr = &s->pool->credentials;
    if (s->connect->relays)
        return (struct login_credentials){.kind = LOGIN_CLIENT};
    if (cr->password)
        return (struct login_credentials){LOGIN_PASSWORD, pw_slice_str(cr->password), NULL};
    if (cr->has_keys)
        return (struct login_credentials){.kind = LOGIN_KEYS, .keys = &cr->keys};
    if (cr->md5)
        return (struct login_credentials){LOGIN_MD5, pw_slice_str(cr->md5), NULL};
    return (struct login_credentials){.kind = LOGIN_NOTHING};
}

void pw_server_start_login(struct server *s)
{
    struct server_pool *p = s->pool;
    struct server_connect *c = s->connect;
    const struct login_credentials cred = credentials_of(s);
    struct name_value params[STARTUP_PARAMS_MAX] = {
        {PW_SLICE_LIT("user"), pw_slice_str(p->user)},
        {PW_SLICE_LIT("database"), pw_slice_str(p->dbname)}};
    struct slice rest = pw_buf_slice(&c->params);
    size_t n = 2;
    while (n < STARTUP_PARAMS_MAX && pw_startup_next(&rest, &params[n]))
        n++;
    pw_server_enter(s, SERVER_LOGIN);
    if (!pw_server_login_init(&c->login, params, n, &cred)) {
        pw_server_connect_failed(s, "the startup packet is too long", (struct slice){0});
        return;
    }
    struct scram_binding channel;
    channel.len = pw_stream_tls_binding(&s->stream, channel.data, sizeof channel.data);
    pw_server_login_bind(&c->login, &channel);
    login_go_on(s, pw_server_login_start(&c->login, &c->out));
}

void pw_server_relay(struct server *s, struct slice body)
{
    if (s->state == SERVER_LOGIN && s->connect)
        login_go_on(s, pw_server_login_relay(&s->connect->login, body, &s->connect->out));
}

void pw_server_read_login(struct server *s)
{
    while (s->state == SERVER_LOGIN && !s->connect->deriving) {
        struct slice in = pw_stream_input(&s->stream);
        struct frame f;
        enum frame_result r = pw_frame_peek_back(in, &f);
        if (r == FRAME_MORE)
            break;
        if (r == FRAME_BAD || f.len > LOGIN_MESSAGE_MAX) {
            pw_server_connect_failed(s, "the server broke the protocol", (struct slice){0});
            return;
        }
        if (!pw_frame_complete(in, &f)) {
            if (!pw_stream_want(&s->stream, f.len))
                pw_server_connect_failed(s, "out of memory", (struct slice){0});
            break;
        }
        struct slice body = pw_frame_body(in, &f);
        if (f.type == BACK_AUTHENTICATION && body.len >= 4) {
            bool ok = memcmp(body.ptr, "\0\0\0\0", 4) == 0;
            s->connect->authenticated |= ok;
            s->connect->asked_secret |= !ok;
        }
        struct server_connect *c = s->connect;
        if (c->asked_role) {
            uint8_t type = f.type;
            char copy[16];
            struct slice kept = pw_slice(copy, body.len < sizeof copy ? body.len : sizeof copy);
            memcpy(copy, body.ptr, kept.len);
            pw_stream_consume(&s->stream, f.len);
            read_role(s, type, kept);
            continue;
        }
        enum login_result result = pw_server_login_feed(&c->login, f.type, body, &c->out);
        pw_stream_consume(&s->stream, f.len);
        login_go_on(s, result);
    }
    if (s->eof && s->connect && !s->connect->deriving)
        pw_server_connect_failed(s, "server closed the connection unexpectedly", (struct slice){0});
}
