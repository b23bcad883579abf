/* One worker's dispatch: its pools, the callbacks from them, the periodic work, reload. */
#include "proxy/dispatch/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "planner/families.h"
#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/dispatch/rules.h"
#include "proxy/wire/errfields.h"

static struct dispatch *dispatch_of(const struct server_pool *p)
{
    return PW_CONTAINER_OF(p->env, struct dispatch, env);
}

/* ---- what pools report */

static void on_input(struct server *s)
{
    if (s->dedicated)
        pw_dedicated_on_input(s);
    else
        pw_dispatch_on_input(s);
}

static void on_ready(struct server *s)
{
    pw_dispatch_poke(dispatch_of(s->pool), s->pool);
}

static void fail_all_waiters(struct dispatch *d, struct server_pool *p, enum pw_status status,
                             const char *text, struct slice error)
{
    while (!pw_list_empty(&p->waiters)) {
        struct ticket *t = PW_LIST_ENTRY(pw_list_first(&p->waiters), struct ticket, queue_link);
        if (t->is_probe) /* a login: the client is told in the server's own words */
            pw_buf_append(&t->key, error.ptr, error.len);
        pw_ticket_fail(d, t, status, text);
    }
}

static bool is_lasting(struct slice error)
{
    struct slice state = pw_errfields_sqlstate(error);
    /* 57P03: starting up or shutting down; 53300: too many connections: both pass. */
    return error.len && memcmp(state.ptr, "57P03", 5) != 0 && memcmp(state.ptr, "53300", 5) != 0;
}

/* A server that restarts is waited for, one that was never seen is not; nor is one that has been
 * gone too long. */
static void on_connect_failed(struct server_pool *p, const char *text, struct slice error)
{
    struct dispatch *d = dispatch_of(p);
    uint64_t outage_us = d->env.loop->now_us - p->failing_since_us;
    bool others = p->n_servers > 1;
    bool known_good = p->welcome_known;
    if (is_lasting(error) || (!others && (!known_good || outage_us >= p->db->outage_wait_us)))
        fail_all_waiters(d, p, PW_SERVER_CONNECT, text, error);
    pw_dispatch_poke(d, p);
}

static void on_retry(struct server_pool *p)
{
    pw_dispatch_poke(dispatch_of(p), p);
}

static uint64_t oldest_wait(const struct server_pool *p)
{
    const struct list_node *first = pw_list_first(&p->waiters);
    return first ? PW_LIST_ENTRY(first, const struct ticket, queue_link)->queued_us : 0;
}

/* A request that was only read and of which nothing was passed on may simply run elsewhere, once.
 */
static bool may_retry(const struct dispatch *d, const struct ticket *t)
{
    return !d->is_closing && t->shareable && !t->replied && !t->retried && !t->is_probe;
}

static void lose_ticket(struct dispatch *d, struct server *s, struct ticket *t, const char *reason)
{
    s->in_flight--;
    t->server = NULL;
    if (t->client && t->client->server == s)
        t->client->server = NULL;
    if (t->fill) {
        pw_cache_fill_abandon(t->fill);
        t->fill = NULL;
    }
    if (may_retry(d, t)) {
        t->retried = true;
        t->sent_ops = 0;
        t->failed = false;
        pw_dispatch_enqueue(d, t);
        return;
    }
    char text[300];
    snprintf(text, sizeof text, "the server connection was lost: %s (database \"%s\", user \"%s\")",
             reason, s->pool->database, s->pool->user);
    if (t->client)
        t->client->lost_server = true;
    bool told = t->failed && s->broken && t->replied;
    pw_ticket_fail(d, t, PW_SERVER_LOST, told ? NULL : text);
}

static void on_lost(struct server *s, const char *reason)
{
    struct dispatch *d = dispatch_of(s->pool);
    pw_cancel_forget(d, s);
    struct client *holder = s->holder;
    s->holder = NULL;
    bool told = s->broken;
    while (s->expects.count) {
        struct expect e = pw_expect_pop(&s->expects);
        struct ticket *t = e.ticket;
        pw_stmt_unref(e.stmt);
        if (t && --t->in_fifo == 0) {
            if (t->client == holder)
                holder = NULL;
            lose_ticket(d, s, t, reason);
        }
    }
    if (holder && holder->server == s) { /* idle in a transaction, pinned, or in session mode */
        struct ticket *open = holder->ticket;
        holder->server = NULL;
        if (open && open->server == s) {
            s->in_flight--;
            open->server = NULL;
            holder->lost_server = true;
            pw_ticket_fail(d, open, PW_SERVER_LOST, told ? NULL : reason);
        } else {
            holder->sink->on_fatal(holder, PW_SERVER_LOST, told ? NULL : reason);
        }
    }
    pw_dispatch_poke(d, s->pool);
}

static void on_relay(void *relay_to, struct server *s, struct slice message)
{
    struct client *c = relay_to;
    c->sink->on_relay(c, s, message);
}

static void on_relay_moved(void *relay_to, struct server *s)
{
    struct client *c = relay_to;
    c->relay = s;
}

static void on_relay_done(void *relay_to, struct server *s, bool authenticated, const char *text,
                          struct slice error)
{
    struct client *c = relay_to;
    pw_login_relay_ended(c);
    if (s && s->dedicated)
        pw_dedicated_take(c, s);
    c->sink->on_relay_done(c, s != NULL, authenticated, text, error);
}

static void on_drained(struct server *s)
{
    struct client *c = s->holder;
    if (c)
        c->sink->on_server_drained(c);
}

static const struct pool_callbacks callbacks = {
    .on_input = on_input,
    .on_ready = on_ready,
    .on_lost = on_lost,
    .on_connect_failed = on_connect_failed,
    .on_retry = on_retry,
    .oldest_wait = oldest_wait,
    .on_relay_moved = on_relay_moved,
    .on_relay = on_relay,
    .on_relay_done = on_relay_done,
    .on_drained = on_drained,
};

static void free_plan(const void *plan)
{
    pw_plan_unref(plan);
}

/* ---- life */

struct dispatch *pw_dispatch_new(const struct dispatch_shared *shared, const struct pw_conf *conf,
                                 const struct pool_env *env, struct mailbox *box)
{
    struct dispatch *d = pw_alloc(sizeof *d);
    d->shared = shared;
    d->conf = pw_conf_ref(conf);
    d->env = *env;
    d->env.cb = &callbacks;
    d->env.free_plan = free_plan;
    pw_hosts_init(&d->env.hosts);
    d->memo = pw_plan_memo_new(shared->planner, box, conf->planner.memo);
    const struct families_options options = {.samples = true};
    d->families = pw_families_new(&options);
    d->rules = pw_rules_new(conf);
    pw_hashmap_init(&d->pools);
    pw_hashmap_init(&d->flights);
    pw_list_init(&d->poked);
    pw_list_init(&d->pinned);
    pw_list_init(&d->cancellers);
    pw_list_init(&d->leftovers);
    pw_ticket_pool_init(&d->tickets);
    pw_buf_init(&d->scratch, 1 << 24);
    return d;
}

void pw_dispatch_close_servers(struct dispatch *d)
{
    d->is_closing = true;
    pw_cancel_close_all(d);
    PW_HASHMAP_FOR(&d->pools, h, tmp)
    {
        struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        fail_all_waiters(d, p, PW_SHUTTING_DOWN, NULL, (struct slice){0});
        for (int state = SERVER_CONNECTING; state < SERVER_CLOSING; state++)
            while (!pw_list_empty(&p->by_state[state]))
                pw_server_close(
                    PW_LIST_ENTRY(pw_list_first(&p->by_state[state]), struct server, state_link),
                    "pgweir is shutting down");
    }
}

bool pw_dispatch_is_quiet(const struct dispatch *d)
{
    PW_HASHMAP_FOR(&d->pools, h, tmp)
    {
        const struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        for (int state = 0; state < SERVER_STATE_COUNT; state++)
            if (p->by_state[state].count)
                return false;
    }
    return pw_list_empty(&d->cancellers);
}

static void drop_pool(struct dispatch *d, struct server_pool *p)
{
    struct permit_account *permits = p->permits;
    struct pool_row *row = pw_pool_row_of(p->stats);
    pw_hashmap_remove(&d->pools, &p->node);
    pw_server_pool_free(p);
    pw_permits_drop(d->env.permits, permits);
    pw_databases_row_drop(d->shared->databases, row);
}

void pw_dispatch_free(struct dispatch *d)
{
    pw_leftover_expire(d, UINT64_MAX);
    PW_HASHMAP_FOR(&d->pools, h, tmp)
    {
        struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        if (pw_list_linked(&p->poke_link))
            pw_list_remove(&d->poked, &p->poke_link);
        drop_pool(d, p);
    }
    pw_hashmap_free(&d->pools);
    pw_hosts_free(&d->env.hosts);
    pw_hashmap_free(&d->flights);
    pw_ticket_pool_destroy(&d->tickets);
    pw_plan_memo_free(d->memo);
    pw_families_free(d->families);
    pw_rules_free(d->rules);
    pw_buf_free(&d->scratch);
    pw_conf_unref(d->conf);
    pw_free(d);
}

void pw_dispatch_reconfigure(struct dispatch *d, const struct pw_conf *conf)
{
    const struct pw_conf *old = d->conf;
    d->conf = pw_conf_ref(conf);
    pw_rules_free(d->rules);
    d->rules = pw_rules_new(conf);
    PW_HASHMAP_FOR(&d->pools, h, tmp)
    {
        struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        const struct conf_database *db = pw_conf_database_find(conf, p->database);
        p->disabled = db == NULL;
        if (db)
            pw_server_pool_reconfigure(
                p, conf, db, d->shared->tls_for ? d->shared->tls_for(d->shared, db) : NULL);
        else
            pw_server_pool_close_idle(p, "the database is no longer configured");
    }
    pw_conf_unref(old);
}

static uint64_t pool_hash(const char *database, const char *user)
{
    return pw_hash_mix(pw_hash_bytes(database, strlen(database)),
                       pw_hash_bytes(user, strlen(user)));
}

struct server_pool *pw_dispatch_pool(struct dispatch *d, const char *database, const char *user)
{
    uint64_t hash = pool_hash(database, user);
    for (struct hash_node *h = pw_hashmap_first(&d->pools, hash); h; h = pw_hashmap_next(h)) {
        struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        if (!strcmp(p->database, database) && !strcmp(p->user, user))
            return p->disabled ? NULL : p;
    }
    const struct conf_database *db = pw_conf_database_find(d->conf, database);
    if (!db || d->pools.count >= DISPATCH_POOLS_MAX)
        return NULL;
    struct pool_row *row =
        pw_databases_pool_row(d->shared->databases, database, user, d->env.worker);
    struct tls_context *tls = d->shared->tls_for ? d->shared->tls_for(d->shared, db) : NULL;
    struct server_pool *p = pw_server_pool_new(&d->env, d->conf, db, database, user,
                                               row->database_id, tls, &row->stats);
    p->paused = pw_databases_is_paused(d->shared->databases, database);
    pw_hashmap_insert(&d->pools, &p->node, hash);
    return p;
}

/* ---- once a second */

static void expire_waiters(struct dispatch *d, struct server_pool *p, uint64_t now_us)
{
    uint64_t limit = p->db->query_wait_timeout_us;
    uint64_t oldest = 0;
    while (!pw_list_empty(&p->waiters)) {
        struct ticket *t = PW_LIST_ENTRY(pw_list_first(&p->waiters), struct ticket, queue_link);
        oldest = t->queued_us;
        if (!limit || now_us - t->queued_us < limit)
            break;
        char text[1600];
        snprintf(
            text, sizeof text,
            "query_wait_timeout: no server connection became free in %.3g s (database \"%s\", user "
            "\"%s\", pool_size %u); "
            "%s%s",
            (double)limit / 1e6, p->database, p->user, p->db->pool_size,
            p->paused ? "the database is paused (RESUME ends that)"
            : p->last_error
                ? ""
                : "raise pool_size, or look for long transactions in SHOW SERVERS and SHOW PINS",
            p->last_error && !p->paused ? p->last_error : "");
        pw_metric_inc(d->env.metrics, PW_METRIC_QUERY_WAIT_TIMEOUTS); /* before the client hears */
        pw_ticket_fail(d, t, PW_QUERY_WAIT_TIMEOUT, text);
        oldest = 0;
    }
    atomic_store_explicit(&p->stats->waiting_since_us, oldest, memory_order_relaxed);
}

static void expire_queries(struct dispatch *d, struct server_pool *p, uint64_t now_us)
{
    uint64_t limit = p->db->query_timeout_us;
    if (!limit)
        return;
    PW_LIST_FOR(&p->by_state[SERVER_ACTIVE], n, tmp)
    {
        struct server *s = PW_LIST_ENTRY(n, struct server, state_link);
        struct expect *e = pw_expect_head(&s->expects);
        struct ticket *t = e ? e->ticket : NULL;
        if (t && t->in_fifo && now_us - s->sent_us > limit) {
            char text[200];
            snprintf(text, sizeof text,
                     "query_timeout: the query ran longer than %.3g s and was cancelled (database "
                     "\"%s\", user \"%s\")",
                     (double)limit / 1e6, p->database, p->user);
            pw_metric_inc(d->env.metrics, PW_METRIC_QUERY_TIMEOUTS);
            pw_cancel_running(d, s);
            pw_ticket_fail_sent(d, t, s, PW_QUERY_TIMEOUT, text);
        }
    }
}

/* A name that somebody tried in vain must not hold a place of DISPATCH_POOLS_MAX: else whoever
 * tries ten thousand names locks out every user who is new to this worker. */
static bool was_in_vain(const struct server_pool *p, uint64_t now_us)
{
    return !p->welcome_known && !p->clients && !p->logins && !p->relays && !p->n_servers &&
           pw_list_empty(&p->by_state[SERVER_CLOSING]) && pw_list_empty(&p->waiters) &&
           pw_list_empty(&p->relay_waiters) && !pw_list_linked(&p->poke_link) &&
           now_us >= p->retry_at_us;
}

void pw_dispatch_janitor(struct dispatch *d, uint64_t now_us)
{
    pw_leftover_expire(d, now_us);
    PW_HASHMAP_FOR(&d->pools, h, tmp)
    {
        struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        if (was_in_vain(p, now_us)) {
            drop_pool(d, p);
            continue;
        }
        expire_waiters(d, p, now_us);
        expire_queries(d, p, now_us);
        pw_cancel_repeat(d, p);
        pw_server_pool_janitor(p, now_us);
        atomic_store_explicit(&p->stats->cl_waiting, (uint32_t)p->waiters.count,
                              memory_order_relaxed);
        atomic_store_explicit(&p->stats->cl_active, p->clients, memory_order_relaxed);
        if (!pw_list_empty(&p->waiters) || !pw_list_empty(&p->relay_waiters))
            pw_dispatch_poke(d, p);
        else {
            pw_permits_ask_no_more(p->permits, d->env.worker);
            p->relay_since_us = 0;
        }
    }
}
