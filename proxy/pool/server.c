/* Life of a server connection apart from its login (server_connect.c): states, idle input, closing.
 */
#include "proxy/pool/server.h"

#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/pool/pool.h"
#include "proxy/pool/server_connect.h"
#include "proxy/pool/server_priv.h"
#include "proxy/wire/back.h"
#include "proxy/wire/errfields.h"

#define TO(name) (1u << SERVER_##name)
static const struct {
    const char *name;
    unsigned next;
} states[] = {
#define SERVER_STATE(name, text, next) {text, next},
#include "proxy/pool/server_states.def"
#undef SERVER_STATE
};

const char *pw_server_state_name(enum server_state s)
{
    return states[s].name;
}

void pw_server_enter(struct server *s, enum server_state to)
{
    PW_CHECK(states[s->state].next & (1u << to));
    pw_log_trace("server=%llu state=%s->%s", (unsigned long long)s->id, states[s->state].name,
                 states[to].name);
    pw_list_remove(&s->pool->by_state[s->state], &s->state_link);
    s->state = to;
    if (to == SERVER_ACTIVE) {
        s->was_used = true;
        s->close_when_idle |=
            s->pool->db->server_lifetime_us == 0; /* one use, shared with nobody */
    }
    pw_list_push_front(&s->pool->by_state[to], &s->state_link);
    s->used_us = s->pool->env->loop->now_us;
}

void pw_server_mark(struct server *s)
{
    pw_ready_mark(s->pool->env->ready, &s->ready);
}

void pw_server_send(struct server *s, const void *data, size_t len)
{
    pw_stream_write(&s->stream, data, len);
    pw_stat_add(&s->pool->stats->sent, len);
}

/* ---- messages nobody asked for, while idle; and our own reset's answers */

static void after_reset(struct server *s, struct slice tag)
{
    pw_server_stmts_clear(&s->stmts);
    pw_stmt_unref(s->unnamed); /* a simple query drops it */
    s->unnamed = NULL;
    if (tag.len >= 7 && !memcmp(tag.ptr, "DISCARD", 7)) {
        pw_settings_unref(s->settings);
        s->settings = pw_settings_ref(s->pool->settings.empty);
        s->app_name[0] = '\0';
    }
}

static void idle_message(struct server *s, uint8_t type, struct slice body)
{
    struct name_value nv;
    if (type == BACK_PARAMETER_STATUS) {
        if (pw_back_parameter_status(body, &nv))
            s->broken |= !pw_params_set(&s->params, nv.name, nv.value);
    } else if (type == BACK_ERROR_RESPONSE) {
        struct slice text;
        pw_errfields_find(body, 'M', &text);
        pw_log_info("server=%llu pool=%s/%s event=server_closed text=\"%.*s\"",
                    (unsigned long long)s->id, s->pool->database, s->pool->user, (int)text.len,
                    text.ptr);
        s->broken = true;
    } else if (type == BACK_READY_FOR_QUERY && s->state == SERVER_RESETTING) {
        if (body.len == 1 && body.ptr[0] == 'I' && !s->broken) {
            pw_server_enter(s, SERVER_IDLE);
            pw_server_pool_release(s);
        } else {
            s->broken = true;
        }
    } else if (type == BACK_COMMAND_COMPLETE && s->state == SERVER_RESETTING) {
        after_reset(s, body);
    } else if (type != BACK_NOTICE_RESPONSE && type != BACK_NOTIFICATION_RESPONSE) {
        s->broken = true; /* bytes that nobody asked for: not provably clean */
    }
}

static void read_idle(struct server *s)
{
    for (int i = 0; i < 64 && !s->broken; i++) {
        struct slice in = pw_stream_input(&s->stream);
        struct frame f;
        enum frame_result r = pw_frame_peek(in, &f);
        if (r == FRAME_MORE)
            break;
        if (r == FRAME_BAD || f.len > 65536) {
            s->broken = true;
        } else if (!pw_frame_complete(in, &f)) {
            if (!pw_stream_want(&s->stream, f.len))
                s->broken = true;
            break;
        } else {
            enum server_state before = s->state;
            idle_message(s, f.type, pw_frame_body(in, &f));
            if (s->state == SERVER_CLOSING)
                return;
            pw_stream_consume(&s->stream, f.len);
            if (s->state != before)
                break; /* handed on: the rest is the next owner's */
        }
    }
    if (s->broken || s->eof)
        pw_server_close(s, "server closed the connection unexpectedly");
}

static void step(struct ready_node *node)
{
    struct server *s = PW_CONTAINER_OF(node, struct server, ready);
    switch (s->state) {
    case SERVER_CONNECTING:
    case SERVER_TLS:
    case SERVER_LOGIN:
        pw_server_connect_step(s);
        break;
    case SERVER_IDLE:
    case SERVER_RESETTING:
        read_idle(s);
        break;
    case SERVER_ACTIVE:
        s->pool->env->cb->on_input(s);
        break;
    case SERVER_CLOSING:
    case SERVER_STATE_COUNT:
        break;
    }
}

/* ---- stream callbacks: only take note */

static void on_event(struct stream *stream, enum stream_event what)
{
    struct server *s = PW_CONTAINER_OF(stream, struct server, stream);
    if (s->state == SERVER_CLOSING)
        return;
    switch (what) {
    case STREAM_EOF:
    case STREAM_ERROR:
        s->eof = true;
        break;
    case STREAM_CONNECTED:
    case STREAM_TLS_UP:
        s->connect->event = true;
        break;
    case STREAM_DRAINED:
        s->pool->env->cb->on_drained(s);
        return;
    case STREAM_READABLE:
        break;
    }
    pw_server_mark(s);
}

static void on_closed(struct stream *stream)
{
    struct server *s = PW_CONTAINER_OF(stream, struct server, stream);
    pw_server_destroy(s);
}

const struct stream_callbacks pw_server_stream_callbacks = {on_event, on_closed};

static void on_timer(struct wheel_timer *t)
{
    struct server *s = PW_CONTAINER_OF(t, struct server, timer);
    if (s->connect)
        pw_server_connect_failed(s, "timed out", (struct slice){0});
}

struct server *pw_server_create(struct server_pool *pool)
{
    struct server *s = pw_alloc(sizeof *s);
    s->pool = pool;
    s->id = ++pool->env->next_server_id;
    s->ready.step = step;
    s->state = SERVER_CONNECTING;
    s->settings = pw_settings_ref(pool->settings.empty);
    s->connected_us = s->used_us = pool->env->loop->now_us;
    s->txn = 'I';
    pw_params_init(&s->params);
    pw_server_stmts_init(&s->stmts);
    pw_wheel_timer_init(&s->timer, on_timer);
    pw_list_push_front(&pool->by_state[SERVER_CONNECTING], &s->state_link);
    pool->n_servers++;
    pw_metric_inc(pool->env->metrics, PW_METRIC_SERVERS_OPEN);
    return s;
}

void pw_server_destroy(struct server *s)
{
    struct server_pool *pool = s->pool;
    PW_CHECK(s->state == SERVER_CLOSING);
    pw_ready_unmark(pool->env->ready, &s->ready);
    pw_list_remove(&pool->by_state[SERVER_CLOSING], &s->state_link);
    pw_free(s);
}

void pw_server_close(struct server *s, const char *reason)
{
    if (s->state == SERVER_CLOSING)
        return;
    struct server_pool *pool = s->pool;
    bool polite = !s->eof && !s->broken && s->expects.count == 0 && s->state != SERVER_CONNECTING &&
                  s->state != SERVER_TLS;
    pw_log_debug("server=%llu pool=%s/%s event=close reason=\"%s\"", (unsigned long long)s->id,
                 pool->database, pool->user, reason);
    pw_server_enter(s, SERVER_CLOSING);
    pool->env->cb->on_lost(s, reason); /* answers whoever still waits */
    while (s->expects.count)
        pw_stmt_unref(pw_expect_pop(&s->expects).stmt);
    PW_FREE(s->expects.ring);
    s->expects.cap = 0;
    pw_server_connect_free(s);
    pw_server_stmts_clear(&s->stmts);
    pw_stmt_unref(s->unnamed);
    s->unnamed = NULL;
    pw_settings_unref(s->settings);
    s->settings = NULL;
    pw_params_free(&s->params);
    pw_wheel_cancel(&pool->env->loop->wheel, &s->timer);
    pw_metric_sub(pool->env->metrics, PW_METRIC_SERVERS_OPEN, 1);
    pw_metric_inc(pool->env->metrics, PW_METRIC_SERVER_CLOSES);
    pool->n_servers--;
    if (s->has_permit)
        pw_permits_give(pool->env->permits, pool->permits);
    s->has_permit = false;
    if (!s->stream.is_open) { /* never got as far as a socket */
        pw_server_destroy(s);
        return;
    }
    if (polite)
        pw_stream_write(&s->stream, "X\0\0\0\4", 5);
    pw_stream_close(&s->stream, polite);
}
