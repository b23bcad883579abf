/* A session's life: states, marks, deadlines, failing and closing; and what dispatch tells it. */
#include "proxy/session/session.h"

#include <stdio.h>
#include <string.h>

#include "proxy/admin/psql_front.h"
#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/session/session_priv.h"
#include "proxy/wire/emit.h"

enum { STEPS_PER_TURN = 64, CLOSE_GRACE_US = 5 * 1000 * 1000 };

#define TO(name) (1u << SESSION_##name)
static const struct {
    const char *name;
    unsigned next;
} states[] = {
#define SESSION_STATE(name, text, next) {text, next},
#include "proxy/session/session_states.def"
#undef SESSION_STATE
};

static enum step (*const runs[SESSION_STATE_COUNT])(struct session *s) = {
    [SESSION_STARTUP] = pw_startup_run, [SESSION_TLS] = pw_tls_run,
    [SESSION_AUTH] = pw_auth_run,       [SESSION_WELCOME] = pw_welcome_run,
    [SESSION_READY] = pw_ready_step,    [SESSION_ADMIN] = pw_admin_run,
    [SESSION_RELAY] = pw_relay_run,
};

const char *pw_session_state_name(enum session_state s)
{
    return states[s].name;
}

void pw_session_enter(struct session *s, enum session_state to)
{
    PW_CHECK(states[s->state].next & (1u << to));
    pw_list_remove(&s->env->by_state[s->state], &s->state_link);
    s->state = to;
    pw_list_push_back(&s->env->by_state[to], &s->state_link);
}

void pw_session_mark(struct session *s)
{
    pw_ready_mark(s->env->ready, &s->ready);
}

static void step(struct ready_node *node)
{
    struct session *s = PW_CONTAINER_OF(node, struct session, ready);
    for (int i = 0; i < STEPS_PER_TURN; i++) {
        if (s->state == SESSION_CLOSING)
            return;
        if (runs[s->state](s) != STEP_AGAIN)
            return;
    }
    pw_session_mark(s); /* more to do: next turn */
}

void pw_session_arm(struct session *s, uint64_t limit_us)
{
    if (limit_us)
        pw_wheel_set(&s->env->loop->wheel, &s->timer, s->env->loop->now_us + limit_us);
    else
        pw_wheel_cancel(&s->env->loop->wheel, &s->timer);
}

static bool is_logging_in(const struct session *s)
{
    return s->state < SESSION_READY;
}

/* Is the client the one who has to go on? Else it is waiting for us, however long that takes. An
 * open request whose messages are answered keeps its server connection just as a transaction does.
 */
static bool client_owes(const struct ticket *t)
{
    return !t || t->state == TICKET_OPEN || (t->server && !t->has_sync && t->in_fifo == 0);
}

static uint64_t idle_limit(const struct session *s, bool *in_txn)
{
    const struct client *c = &s->client;
    *in_txn = c->txn != 'I' || (c->ticket && c->ticket->state != TICKET_OPEN);
    return *in_txn ? c->pool->db->idle_transaction_timeout_us : c->pool->db->client_idle_timeout_us;
}

/* From now on the client has that long. */
void pw_session_arm_idle(struct session *s)
{
    bool in_txn;
    s->idle_since_us = s->env->loop->now_us;
    pw_session_arm(s, idle_limit(s, &in_txn));
}

static void on_idle_limit(struct session *s)
{
    bool in_txn;
    uint64_t limit = idle_limit(s, &in_txn), idle_us = s->env->loop->now_us - s->idle_since_us;
    if (!limit || !client_owes(s->client.ticket))
        return; /* armed again when its request is answered */
    if (idle_us < limit) {
        pw_session_arm(s, limit - idle_us);
        return;
    }
    char text[200];
    snprintf(
        text, sizeof text,
        in_txn
            ? "idle_transaction_timeout: the client was idle in a transaction for more than %.3g s"
            : "client_idle_timeout: the client was idle for more than %.3g s",
        (double)limit / 1e6);
    pw_session_fail(s, in_txn ? PW_IDLE_TXN_TIMEOUT : PW_IDLE_TIMEOUT, text);
}

static void on_timer(struct wheel_timer *t)
{
    struct session *s = PW_CONTAINER_OF(t, struct session, timer);
    if (s->state == SESSION_CLOSING)
        pw_stream_close(&s->stream, false); /* it did not take its last bytes in time */
    else if (is_logging_in(s))
        pw_refuse_late(s);
    else if (s->state == SESSION_READY)
        on_idle_limit(s);
}

void pw_session_reconfigured(struct session *s)
{
    bool in_txn;
    if (s->state != SESSION_READY || !client_owes(s->client.ticket))
        return;
    uint64_t limit = idle_limit(s, &in_txn), idle_us = s->env->loop->now_us - s->idle_since_us;
    pw_session_arm(s, limit == 0 ? 0 : limit > idle_us ? limit - idle_us : 1);
}

/* ---- stream callbacks: only take note */

static void on_event(struct stream *stream, enum stream_event what)
{
    struct session *s = PW_CONTAINER_OF(stream, struct session, stream);
    if (s->state == SESSION_CLOSING)
        return;
    if (what == STREAM_EOF || what == STREAM_ERROR)
        s->eof = true;
    if (what == STREAM_ERROR)
        s->lost = true;
    if (what == STREAM_TLS_UP && s->login)
        s->login->tls_up = true;
    if (what == STREAM_DRAINED)
        pw_dispatch_client_drained(&s->client);
    pw_session_mark(s);
}

static void on_closed(struct stream *stream)
{
    struct session *s = PW_CONTAINER_OF(stream, struct session, stream);
    pw_wheel_cancel(&s->env->loop->wheel, &s->timer);
    pw_ready_unmark(s->env->ready, &s->ready);
    pw_list_remove(&s->env->by_state[s->state], &s->state_link);
    pw_free(s->database);
    pw_free(s->user);
    s->env->on_gone(s->env->arg, s);
}

static const struct stream_callbacks stream_callbacks = {on_event, on_closed};

/* ---- what dispatch tells */

static struct session *session_of(struct client *c)
{
    return PW_CONTAINER_OF(c, struct session, client);
}

static void on_done(struct client *c)
{
    struct session *s = session_of(c);
    s->copy_done = false;
    if (s->state != SESSION_READY)
        return;
    /* Nothing read ahead: the next event marks the session, no need to step it for nothing. */
    if (pw_stream_input(&s->stream).len || s->eof || s->draining || s->stream_left)
        pw_session_mark(s);
    pw_session_arm_idle(s);
}

static void on_copy_in(struct client *c)
{
    session_of(c)->copy_done = false; /* also when one request has several COPYs */
    pw_session_mark(session_of(c));
}

static void on_wake(struct client *c)
{
    pw_session_mark(session_of(c));
}

static void on_attached(struct client *c)
{
    session_of(c)->waiting_server = false;
    pw_session_mark(session_of(c));
}

static void on_plan(struct client *c)
{
    session_of(c)->waiting_plan = false;
    pw_session_mark(session_of(c));
}

static void on_fatal(struct client *c, enum pw_status status, const char *text)
{
    struct session *s = session_of(c);
    if (text)
        pw_session_fail(s, status, text);
    else
        pw_session_close(s, true);
}

static void on_relay(struct client *c, struct server *server, struct slice message)
{
    (void)server;
    pw_auth_on_relay(session_of(c), message);
}

static void on_relay_turn(struct client *c)
{
    pw_auth_on_turn(session_of(c));
}

static void on_relay_done(struct client *c, bool ok, bool authenticated, const char *text,
                          struct slice error)
{
    pw_auth_on_relay_done(session_of(c), ok, authenticated, text, error);
}

static void on_probe_done(struct client *c, bool ok, struct slice error)
{
    pw_welcome_on_probe(session_of(c), ok, error);
}

static const struct client_sink sink = {
    .on_done = on_done,
    .on_copy_in = on_copy_in,
    .on_attached = on_attached,
    .on_plan = on_plan,
    .on_fatal = on_fatal,
    .on_server_drained = on_wake,
    .on_relay = on_relay,
    .on_relay_turn = on_relay_turn,
    .on_relay_done = on_relay_done,
    .on_probe_done = on_probe_done,
};

/* ---- beginning and end */

void pw_session_start(struct session *s, struct session_env *env, int fd, bool is_unix, uint64_t id,
                      uint32_t cancel_pid, const uint8_t cancel_key[4])
{
    *s = (struct session){.env = env, .id = id, .cancel_pid = cancel_pid};
    memcpy(s->cancel_key, cancel_key, sizeof s->cancel_key);
    s->ready.step = step;
    s->connected_us = env->loop->now_us;
    pw_wheel_timer_init(&s->timer, on_timer);
    pw_stream_adopt(&s->stream, env->loop, fd, is_unix, &stream_callbacks);
    pw_client_init(&s->client, env->dispatch, &sink, &s->stream, id);
    s->login = pw_alloc(sizeof *s->login);
    s->login->session = s;
    pw_buf_init(&s->login->out, 1 << 16);
    pw_buf_init(&s->login->server_params, 1 << 14);
    s->state = SESSION_STARTUP;
    pw_list_push_back(&env->by_state[SESSION_STARTUP], &s->state_link);
    pw_session_arm(s, env->dispatch->conf->auth.login_timeout_us);
    pw_metric_inc(env->metrics, PW_METRIC_CLIENT_CONNECTIONS);
    pw_metric_inc(env->metrics, PW_METRIC_CLIENTS_OPEN);
}

void pw_login_end(struct session *s)
{
    struct login *l = s->login;
    if (!l)
        return;
    s->login = NULL;
    l->session = NULL;
    pw_login_relay_cancel(&s->client);
    pw_settings_unref(l->settings);
    l->settings = NULL;
    PW_FREE(l->strange_options);
    pw_buf_free(&l->server_params);
    pw_derive_cancel(&l->derive);
    if (l->pool)
        l->pool->logins--;
    if (l->auth_active)
        pw_client_auth_wipe(&l->auth);
    if (l->secret)
        explicit_bzero(l->secret, strlen(l->secret));
    pw_free(l->secret);
    pw_free(l->roles);
    pw_free(l->roles_why);
    pw_free(l->why);
    pw_buf_free(&l->out);
    pw_free(l);
}

void pw_session_close(struct session *s, bool flush)
{
    if (s->state == SESSION_CLOSING)
        return;
    if (is_logging_in(s) && s->admitted)
        pw_metric_inc(s->env->metrics, PW_METRIC_CLIENT_LOGIN_FAILURES);
    pw_session_enter(s, SESSION_CLOSING);
    pw_login_end(s);
    pw_client_close(&s->client);
    pw_psql_front_free(s->front);
    s->front = NULL;
    pw_metric_sub(s->env->metrics, PW_METRIC_CLIENTS_OPEN, 1);
    pw_session_arm(s, flush ? CLOSE_GRACE_US : 0);
    pw_stream_close(&s->stream, flush);
}

static void say(struct session *s, const struct buf *message)
{
    if (!message->failed)
        pw_stream_write(&s->stream, message->data, message->len);
}

void pw_session_count_failure(struct session *s, enum pw_status status)
{
    static const struct {
        enum pw_status status;
        enum metric metric;
    } counted[] = {{PW_TOO_MANY_CLIENTS, PW_METRIC_CLIENTS_REFUSED},
                   {PW_LOGIN_TIMEOUT, PW_METRIC_LOGIN_TIMEOUTS},
                   {PW_IDLE_TIMEOUT, PW_METRIC_CLIENT_IDLE_TIMEOUTS},
                   {PW_IDLE_TXN_TIMEOUT, PW_METRIC_IDLE_TXN_TIMEOUTS}};
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++)
        if (counted[i].status == status)
            pw_metric_inc(s->env->metrics, counted[i].metric);
}

void pw_session_fail(struct session *s, enum pw_status status, const char *text)
{
    if (s->state == SESSION_CLOSING)
        return;
    struct buf out;
    pw_buf_init(&out, 1 << 14);
    const struct error_fields fields = {
        .severity = "FATAL",
        .sqlstate = pw_status_sqlstate(status),
        .message = text ? text : pw_status_text(status),
        .hint = status == PW_SERVER_CONNECT ? pw_login_next_step((struct slice){0}, text) : NULL};
    pw_emit_error(&out, &fields);
    pw_log_info("client=%llu database=%s user=%s event=failed status=%s text=\"%s\"",
                (unsigned long long)s->id, s->database ? s->database : "", s->user ? s->user : "",
                pw_status_name(status), fields.message);
    if (!pw_dedicated_is_midway(&s->client))
        say(s, &out);
    pw_buf_free(&out);
    pw_session_count_failure(s, status);
    pw_session_close(s, true);
}

bool pw_session_is_idle(const struct session *s)
{
    return s->state != SESSION_READY || (!s->client.ticket && s->client.txn == 'I');
}

void pw_session_drain(struct session *s)
{
    s->draining = true;
    if (s->state == SESSION_CLOSING)
        return;
    if (pw_session_is_idle(s))
        pw_session_fail(s, PW_SHUTTING_DOWN, NULL);
}
