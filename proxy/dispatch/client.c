/* A client's holdings: its server connection, pin, settings; and where its requests go first. */
#include "proxy/dispatch/client.h"

#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/dispatch/login.h"
#include "proxy/dispatch/sequences.h"

void pw_client_init(struct client *c, struct dispatch *d, const struct client_sink *sink,
                    struct stream *stream, uint64_t id)
{
    *c = (struct client){.sink = sink, .dispatch = d, .stream = stream, .id = id, .txn = 'I'};
    pw_names_init(&c->stmts);
    pw_names_init(&c->portals);
}

/* Ways to say "this machine" are one. */
static bool is_local(const char *host)
{
    return host[0] == '/' || !strcmp(host, "localhost") || !strncmp(host, "127.", 4) ||
           !strcmp(host, "::1");
}

static void note_place(struct databases *all, const struct server_pool *pool, const char *name)
{
    struct buf hosts;
    pw_buf_init(&hosts, 64 * 1024);
    const struct conf_upstream *up = &pool->db->upstream;
    for (size_t i = 0; i < up->n_hosts; i++)
        pw_buf_printf(&hosts, "%s:%u\n", is_local(up->hosts[i].host) ? "local" : up->hosts[i].host,
                      up->hosts[i].port);
    if (pw_buf_append_u8(&hosts, 0))
        pw_databases_place(all, name, hosts.data, pw_conf_database_dbname(pool->db, name));
    pw_buf_free(&hosts);
}

void pw_client_attach(struct client *c, struct server_pool *pool, struct settings *login_settings)
{
    struct pool_row *row = pw_pool_row_of(pool->stats);
    pw_databases_row_proven(c->dispatch->shared->databases, row);
    pool->database_id = row->database_id;
    note_place(c->dispatch->shared->databases, pool, row->database);
    c->pool = pool;
    pool->clients++;
    c->login_settings = login_settings;
    c->settings = pw_settings_ref(login_settings);
    c->translate = pool->db->pool_mode != CONF_POOL_SESSION;
}

void pw_client_set_settings(struct client *c, struct settings *settings)
{
    pw_settings_unref(c->settings);
    c->settings = settings;
}

bool pw_client_keeps_server(const struct client *c)
{
    return c->pin != PIN_NONE || c->pool->db->pool_mode == CONF_POOL_SESSION;
}

/* Of several reasons the one is shown that holds the longest: what only DISCARD ALL ends. */
static enum pin_reason foremost(uint32_t pins)
{
    uint32_t lasting = pins & ~(uint32_t)PINS_UNDONE;
    if (lasting)
        pins = lasting;
    enum pin_reason reason = PIN_NONE;
    while (pins && !(pins & PIN_BIT(reason)))
        reason++;
    return reason;
}

void pw_client_set_pins(struct client *c, uint32_t pins)
{
    enum pin_reason was = c->pin;
    if (c->ticket)
        c->ticket->pins_added |= pins & ~c->pins;
    c->pins = pins;
    c->pin = foremost(pins);
    if (was == PIN_NONE && c->pin != PIN_NONE) {
        c->pinned_us = c->dispatch->env.loop->now_us;
        pw_list_push_back(&c->dispatch->pinned, &c->pin_link);
        pw_metric_inc(c->dispatch->env.metrics, PW_METRIC_PINS);
        pw_log_debug("client=%llu event=pinned reason=\"%s\"", (unsigned long long)c->id,
                     pw_pin_reason_text(c->pin));
    } else if (was != PIN_NONE && c->pin == PIN_NONE) {
        pw_list_remove(&c->dispatch->pinned, &c->pin_link);
        c->pins_doubtful = false;
        pw_plan_unref(c->prepared);
        c->prepared = NULL;
        pw_log_debug("client=%llu event=unpinned", (unsigned long long)c->id);
    }
}

void pw_client_pin(struct client *c, enum pin_reason reason)
{
    if (reason != PIN_NONE)
        pw_client_set_pins(c, c->pins | PIN_BIT(reason));
}

/* ---- submitting */

static bool is_shareable(const struct client *c, const struct ticket *t)
{
    return t->has_sync && c->txn == 'I' && !c->server && c->pin == PIN_NONE && t->n_plans == 1 &&
           pw_plan_has(t->plans[0], PLAN_F_PIPELINE) && t->plans[0]->hint_batch != 2 &&
           c->pool->db->pool_mode != CONF_POOL_SESSION;
}

static bool has_only_plain_ops(const struct ticket *t)
{
    for (uint32_t i = 0; i < t->n_ops; i++)
        if (t->ops[i].kind == OP_FLUSH || (t->ops[i].kind == EXPECT_EXECUTE && t->ops[i].named) ||
            t->ops[i].is_duplicate)
            return false;
    return true;
}

void pw_dispatch_submit(struct client *c)
{
    struct dispatch *d = c->dispatch;
    struct ticket *t = c->ticket;
    if (t->state == TICKET_SENT) { /* an open ticket went on */
        pw_ticket_send(d, t, t->server);
        return;
    }
    if (t->state != TICKET_OPEN)
        return; /* still queued: what was added goes along */
    t->pool = c->pool;
    t->settings = pw_settings_ref(c->settings);
    t->translate = c->translate;
    t->shareable = is_shareable(c, t) && has_only_plain_ops(t);
    pw_stat_add(&c->pool->stats->queries, 1);
    if (c->pool->db->pool_mode == CONF_POOL_STATEMENT && (t->flags & PLAN_F_TXN_BEGIN)) {
        pw_ticket_fail(d, t, PW_STATEMENT_MODE_TXN, pw_status_text(PW_STATEMENT_MODE_TXN));
        return;
    }
    if (t->has_sync && c->txn == 'I' && c->pin == PIN_NONE && pw_lookup_try_hit(d, t))
        return;
    if (t->shareable) {
        pw_metric_inc(d->env.metrics, PW_METRIC_BATCH_REQUESTS);
        if (pw_flight_join(d, t))
            return;
    }
    if (c->server) {
        if (!pw_sequences_fit(
                t,
                c->server)) { /* in a transaction: nothing can be refused in the server's stead */
            pw_sequences_learn(d, t);
            pw_ticket_fail(d, t, PW_SEQUENCE_LOST, pw_sequences_lost_text);
            return;
        }
        pw_ticket_send(d, t, c->server);
        if (!t->has_sync)
            c->sink->on_attached(c);
        return;
    }
    pw_dispatch_enqueue(d, t);
}

void pw_dispatch_write(struct client *c, const void *data, size_t len)
{
    if (c->server)
        pw_server_send(c->server, data, len);
}

void pw_dispatch_forward(struct client *c, struct stream *from, size_t len)
{
    if (!c->server) {
        pw_stream_consume(from, len);
        return;
    }
    pw_stat_add(&c->pool->stats->sent, len);
    pw_stream_forward(from, len, &c->server->stream);
}

bool pw_dispatch_is_congested(const struct client *c)
{
    return c->server && pw_stream_is_congested(&c->server->stream);
}

void pw_dispatch_client_drained(struct client *c)
{
    struct server *s = c->server ? c->server : c->ticket ? c->ticket->server : NULL;
    if (s && s->paused) {
        s->paused = false;
        pw_stream_resume(&s->stream);
        pw_server_mark(s);
    }
}

/* ---- the end */

static void orphan_ticket(struct dispatch *d, struct client *c)
{
    struct ticket *t = c->ticket;
    struct server *s = t->server;
    c->ticket = NULL;
    if (s && !t->has_sync) { /* an unfinished request can never be completed */
        t->client = NULL;
        pw_ticket_fail_sent(d, t, s, PW_OK, NULL);
        return;
    }
    t->client = NULL;
    if (s) {
        if (t->in_copy_in)
            pw_ticket_fail_sent(d, t, s, PW_OK, NULL);
        else if (s->paused) { /* nobody is slow any more */
            s->paused = false;
            pw_stream_resume(&s->stream);
            pw_server_mark(s);
        }
        return; /* answered to nobody, then the connection is free */
    }
    if (!pw_flight_has_followers(t)) /* a leader that others wait for stays in the queue */
        pw_ticket_fail(d, t, PW_OK, NULL);
}

void pw_client_close(struct client *c)
{
    struct dispatch *d = c->dispatch;
    struct server *s = c->server;
    pw_plan_cancel(&c->waiter);
    pw_plan_unref(c->waited_plan);
    c->waited_plan = NULL;
    pw_stmt_unref(c->waiting_stmt);
    c->waiting_stmt = NULL;
    bool busy = c->ticket && c->ticket->server;
    bool dirty = c->pin != PIN_NONE || (c->pool && !c->translate);
    if (c->pool && (busy || c->lost_server || (s && s->dedicated)) && pw_effects_has_written(c))
        pw_leftover_take(d, c, busy ? c->ticket : NULL);
    if (c->ticket)
        orphan_ticket(d, c);
    if (c->pool)
        pw_effects_abort(d, c);
    c->server = NULL;
    if (s && s->holder == c) {
        s->holder = NULL;
        if (dirty)
            s->needs_reset = SERVER_RESET_ALL;
        if (c->txn != 'I')
            s->broken = true; /* the open transaction ends with the connection */
        if (!busy || s->broken)
            pw_server_unhold(d, s);
    }
    pw_client_set_pins(c, 0);
    pw_names_clear(&c->stmts);
    pw_names_clear(&c->portals);
    pw_settings_unref(c->settings);
    pw_settings_unref(c->login_settings);
    c->settings = c->login_settings = NULL;
    if (c->pool)
        c->pool->clients--;
    pw_login_leave(c);
    c->pool = NULL;
}
