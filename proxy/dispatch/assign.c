/* Who gets which server connection: the queue of each pool, sharing of connections by pipelining,
 * and giving back. */
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/dispatch/sequences.h"
#include "proxy/wire/emit.h"

enum {
    SHARE_SCAN_MAX = 16,
    QUEUE_SCAN_MAX = 64,
    ASK_AFTER_US = 100 * 1000,
    TOGETHER_MAX = 4,   /* requests of one turn on one connection, though others are free */
    TOGETHER_US = 1000, /* and what the last of them may have to wait for the others */
};

void pw_dispatch_poke(struct dispatch *d, struct server_pool *p)
{
    if (!pw_list_linked(&p->poke_link))
        pw_list_push_back(&d->poked, &p->poke_link);
}

void pw_dispatch_enqueue(struct dispatch *d, struct ticket *t)
{
    struct server_pool *p = t->pool;
    pw_ticket_enter(t, TICKET_QUEUED);
    t->queued_us = d->env.loop->now_us;
    pw_list_push_back(&p->waiters, &t->queue_link);
    pw_dispatch_poke(d, p);
}

static struct ticket *ticket_of(struct list_node *n)
{
    return PW_LIST_ENTRY(n, struct ticket, queue_link);
}

static void start(struct dispatch *d, struct server_pool *p, struct ticket *t, struct server *s)
{
    pw_list_remove(&p->waiters, &t->queue_link);
    uint64_t waited = d->env.loop->now_us - t->queued_us;
    pw_stat_add(&p->stats->wait_us, waited);
    pw_metric_add(d->env.metrics, PW_METRIC_WAIT_TIME, waited);
    pw_metric_observe(d->env.metrics, PW_HIST_WAIT, waited);
    if (s->state == SERVER_IDLE)
        pw_server_enter(s, SERVER_ACTIVE);
    if (!t->shareable) {
        s->holder = t->client;
        t->client->server = s;
    }
    struct client *c = t->client;
    bool open = !t->has_sync && !t->is_probe;
    pw_ticket_send(d, t, s);
    if (open && c)
        c->sink->on_attached(c);
}

/* Its settings are being changed for the request at the head: they are neither the old ones nor the
 * new ones yet. */
static bool is_replaying(struct server *s)
{
    const struct expect *head = pw_expect_head(&s->expects);
    const struct ticket *t = head ? head->ticket : NULL;
    return t && t->is_replaying;
}

/* May it carry one more request of these settings? */
static bool has_room(struct server *s, const struct ticket *t, uint32_t depth)
{
    return !s->holder && s->in_flight < depth && s->in_flight > 0 && s->shared &&
           s->settings == t->settings && !is_replaying(s) && !s->cancels && !s->broken && !s->eof &&
           !s->close_when_idle;
}

/* An active connection that only carries shareable requests with these settings and has room. */
static struct server *find_shared(struct server_pool *p, const struct ticket *t, uint32_t depth)
{
    struct server *best = NULL;
    int looked = 0;
    PW_LIST_FOR(&p->by_state[SERVER_ACTIVE], n, tmp)
    {
        struct server *s = PW_LIST_ENTRY(n, struct server, state_link);
        if (has_room(s, t, depth) && (!best || s->in_flight < best->in_flight))
            best = s;
        if (++looked == SHARE_SCAN_MAX)
            break;
    }
    return best;
}

static bool is_only_observing(const struct dispatch *d)
{
    return d->conf->pgweir.mode == CONF_MODE_OBSERVE;
}

static bool may_pipeline(const struct dispatch *d, const struct ticket *t)
{
    return d->conf->batch.pipeline && t->shareable && t->n_plans == 1 &&
           pw_speed_is_fast(d, t->plans[0]->family);
}

/*
 * Several requests in one turn: they come faster than this thread turns, so that system calls are
 * what is scarce. A few quick ones then leave in one write to one connection (s, which got the one
 * before), and PostgreSQL reads them at once. Requests that come one by one each get a connection
 * to themselves, as long as there are any.
 */
static bool may_go_together(const struct dispatch *d, struct server *s, const struct ticket *t)
{
    return s && s->in_flight < TOGETHER_MAX && has_room(s, t, d->conf->batch.depth) &&
           s->in_flight * pw_speed_us(d, t->plans[0]->family) <= TOGETHER_US;
}

/* Will one of this worker's own connections be free when it has answered? Those held by a
 * transaction or a pin will not, and after some waiting it is time to ask the other workers anyway.
 */
static bool comes_free_soon(const struct dispatch *d, const struct server_pool *p)
{
    const struct ticket *oldest = ticket_of(pw_list_first(&p->waiters));
    if (d->env.loop->now_us - oldest->queued_us > ASK_AFTER_US)
        return false;
    PW_LIST_FOR(&p->by_state[SERVER_ACTIVE], n, tmp)
    {
        const struct server *s = PW_LIST_ENTRY(n, struct server, state_link);
        const struct client *holder = s->holder;
        if (s->in_flight > 0 && s->txn == 'I' && !(holder && pw_client_keeps_server(holder)))
            return true;
    }
    return p->by_state[SERVER_RESETTING].count > 0;
}

static void lose_sequence(struct dispatch *d, struct ticket *t)
{
    pw_sequences_learn(d, t);
    if (t->has_sync)
        pw_ticket_refuse(d, t, "55000", pw_sequences_lost_text);
    else
        pw_ticket_fail(d, t, PW_SEQUENCE_LOST, pw_sequences_lost_text);
}

/* The connection for a request, or NULL: it has to wait. last got the one before it in this turn;
 * mine is the one it needs, if any. */
static struct server *choose(struct dispatch *d, struct server_pool *p, const struct ticket *t,
                             struct server *last, enum sequence_need need, struct server *mine)
{
    bool fast = may_pipeline(d, t) && !is_only_observing(d);
    if (fast && need == SEQUENCE_ANY && may_go_together(d, last, t))
        return last;
    struct server *s = need == SEQUENCE_ANY ? pw_server_pool_idle(p, t->settings) : mine;
    if (s && need != SEQUENCE_WAIT) {
        s->shared = fast;
        return s;
    }
    return fast ? find_shared(p, t, d->conf->batch.depth) : NULL;
}

/* The oldest that waits for an idle connection: would it be on a shared one? */
static void observe(struct dispatch *d, struct ticket *t)
{
    if (!is_only_observing(d) || t->pipelined || !may_pipeline(d, t))
        return;
    t->pipelined = true; /* counted once */
    pw_metric_inc(d->env.metrics, PW_METRIC_BATCH_PIPELINED);
}

/* Oldest first. A request that cannot share waits for an idle connection, and nobody overtakes it:
 * the shared connections then run dry and the first of them is its own. */
static void assign(struct dispatch *d, struct server_pool *p)
{
    struct server *last = NULL;
    for (struct list_node *n; (n = pw_list_first(&p->waiters));) {
        struct ticket *t = ticket_of(n);
        struct server *s = NULL;
        enum sequence_need need = pw_sequences_need(p, t, &s);
        if (need == SEQUENCE_LOST) {
            lose_sequence(d, t);
            continue;
        }
        s = choose(d, p, t, last, need, s);
        if (!s) {
            observe(d, t);
            break;
        }
        if (s->in_flight > 0) {
            pw_metric_inc(d->env.metrics, PW_METRIC_BATCH_PIPELINED);
            t->pipelined = true;
        }
        last = s->shared ? s : NULL;
        start(d, p, t, s);
    }
    if (pw_list_empty(&p->waiters)) {
        if (pw_list_empty(&p->relay_waiters))
            pw_permits_ask_no_more(p->permits, d->env.worker);
        return;
    }
    pw_server_pool_grow(p, p->waiters.count, d->env.loop->now_us);
    bool may_grow = !p->paused && d->env.loop->now_us >= p->retry_at_us;
    if (may_grow && pw_server_pool_connecting(p) == 0 && !comes_free_soon(d, p)) {
        pw_permits_ask(d->env.permits, p->permits, d->env.worker,
                       ticket_of(pw_list_first(&p->waiters))->queued_us);
        pw_server_pool_grow(p, p->waiters.count,
                            d->env.loop->now_us); /* one may have come back between the two steps */
    }
}

void pw_dispatch_run(struct dispatch *d)
{
    for (size_t i = d->poked.count; i > 0; i--) {
        struct list_node *n = pw_list_pop_front(&d->poked);
        struct server_pool *p = PW_LIST_ENTRY(n, struct server_pool, poke_link);
        if (p->paused)
            continue;
        if (!pw_list_empty(&p->relay_waiters))
            pw_login_wake(d, p);
        assign(d, p);
    }
}

/* ---- the end of a request */

void pw_ticket_finish(struct dispatch *d, struct ticket *t)
{
    struct client *c = t->client;
    pw_ticket_enter(t, TICKET_DONE);
    if (t->fill) {
        pw_cache_fill_abandon(t->fill);
        t->fill = NULL;
    }
    pw_stats_done(d, t);
    if (c) {
        PW_CHECK(c->ticket == t);
        c->ticket = NULL;
    } else {
        pw_leftover_ended(d, t, true);
    }
    pw_ticket_free(&d->tickets, t);
    if (c)
        c->sink->on_done(c);
}

static void leave_queue(struct dispatch *d, struct ticket *t)
{
    if (!pw_list_linked(&t->queue_link))
        return;
    if (t->state == TICKET_JOINED)
        pw_flight_leave(d, t);
    else
        pw_list_remove(&t->pool->waiters, &t->queue_link);
}

void pw_ticket_refuse(struct dispatch *d, struct ticket *t, const char sqlstate[6],
                      const char *text)
{
    struct client *c = t->client;
    const struct error_fields error = {.severity = "ERROR", .sqlstate = sqlstate, .message = text};
    struct buf out;
    pw_buf_init(&out, 4096);
    if (pw_emit_error(&out, &error) && pw_emit_ready(&out, (char)c->txn))
        pw_stream_write(c->stream, out.data, out.len);
    pw_buf_free(&out);
    leave_queue(d, t);
    t->failed = true;
    memcpy(t->sqlstate, sqlstate, 6);
    pw_client_undo_names(c, t, 0);
    pw_flight_done(d, t); /* those who joined it run by themselves */
    pw_ticket_finish(d, t);
}

void pw_ticket_fail(struct dispatch *d, struct ticket *t, enum pw_status status, const char *text)
{
    struct client *c = t->client;
    leave_queue(d, t);
    t->failed = true;
    pw_flight_spoil(t);
    pw_flight_done(d, t);
    bool probe = t->is_probe;
    struct buf refusal = {0}; /* a probe's: the server's ErrorResponse */
    if (probe) {
        refusal = t->key;
        pw_buf_init(&t->key, refusal.max);
    }
    pw_ticket_enter(t, TICKET_DONE);
    if (t->fill) {
        pw_cache_fill_abandon(t->fill);
        t->fill = NULL;
    }
    if (c)
        c->ticket = NULL;
    else
        pw_leftover_ended(d, t, false);
    pw_ticket_free(&d->tickets, t);
    if (c && probe)
        c->sink->on_probe_done(c, false, refusal.len ? pw_buf_slice(&refusal) : pw_slice_str(text));
    else if (c)
        c->sink->on_fatal(c, status, text);
    pw_buf_free(&refusal);
}

static void forget_ticket(struct server *s, struct ticket *t)
{
    for (uint32_t i = 0; i < s->expects.count; i++) {
        struct expect *e = pw_expect_at(&s->expects, i);
        if (e->ticket == t) {
            e->ticket = NULL;
            t->in_fifo--;
        }
    }
}

void pw_ticket_fail_sent(struct dispatch *d, struct ticket *t, struct server *s,
                         enum pw_status status, const char *text)
{
    forget_ticket(s, t);
    s->broken = true; /* what it says from now on has no owner */
    s->in_flight--;
    t->server = NULL;
    if (t->client)
        t->client->lost_server = true;
    if (t->client && t->client->server == s)
        t->client->server = NULL;
    s->holder = NULL;
    pw_ticket_fail(d, t, status, text);
    pw_server_mark(s);
}

/* ---- a connection nobody holds any more */

static const char discard_all[] = "Q\0\0\0\x10"
                                  "DISCARD ALL";
static const char deallocate_all[] = "Q\0\0\0\x13"
                                     "DEALLOCATE ALL";

void pw_server_unhold(struct dispatch *d, struct server *s)
{
    s->holder = NULL;
    s->shared = false;
    if (s->paused) { /* by a client that did not read, and is gone */
        s->paused = false;
        pw_stream_resume(&s->stream);
    }
    if (s->dedicated) {
        pw_server_close(s, "its client is gone");
        return;
    }
    bool clean =
        s->expects.count == 0 && s->txn == 'I' && !s->in_copy && s->body_left == 0 && !s->broken;
    if (!clean || s->cancels > 0) {
        if (clean) { /* a cancel is under way: it could still hit the next user (rule 8) */
            s->waits_for_cancel = true;
            return;
        }
        pw_server_close(s, "not provably clean");
        return;
    }
    if (s->needs_reset != SERVER_RESET_NOTHING) {
        bool all = s->needs_reset == SERVER_RESET_ALL;
        s->needs_reset = SERVER_RESET_NOTHING;
        if (all)
            s->sequences_of = 0;
        pw_server_enter(s, SERVER_RESETTING);
        pw_server_send(s, all ? discard_all : deallocate_all,
                       all ? sizeof discard_all : sizeof deallocate_all);
        return;
    }
    pw_server_pool_release(s);
    pw_dispatch_poke(d, s->pool);
}
