/* Counts, limits and hand-out of one pool's connections. */
#include "proxy/pool/pool.h"

#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/log.h"

enum {
    IDLE_SCAN_MAX = 8, /* how many idle connections are looked at for matching settings */
    RESET_US_MAX =
        30 * 1000 * 1000, /* a server that takes longer over DISCARD ALL is not worth the wait */
};

static void on_retry(struct wheel_timer *t)
{
    struct server_pool *p = PW_CONTAINER_OF(t, struct server_pool, retry_timer);
    p->env->cb->on_retry(p);
}

struct server_pool *pw_server_pool_new(struct pool_env *env, const struct pw_conf *conf,
                                       const struct conf_database *db, const char *database,
                                       const char *user, uint32_t database_id,
                                       struct tls_context *tls, struct pool_stats *stats)
{
    struct server_pool *p = pw_alloc(sizeof *p);
    p->env = env;
    p->conf = pw_conf_ref(conf);
    p->db = db;
    p->database = pw_strdup(database);
    p->user = pw_strdup(user);
    p->dbname = pw_strdup(pw_conf_database_dbname(db, database));
    p->database_id = database_id;
    p->tls = tls ? pw_tls_context_ref(tls) : NULL;
    p->permits = pw_permits_account(env->permits, database, user);
    p->stats = stats;
    pw_params_init(&p->welcome);
    for (size_t i = 0; i < SERVER_STATE_COUNT; i++)
        pw_list_init(&p->by_state[i]);
    pw_list_init(&p->waiters);
    pw_list_init(&p->relay_waiters);
    pw_wheel_timer_init(&p->retry_timer, on_retry);
    p->attrs = pw_session_attrs(db->upstream.target_session_attrs);
    pw_settings_table_init(&p->settings);
    pw_stmt_table_init(&p->stmts, env->free_plan);
    if (db->upstream.password[0] && !strcmp(db->upstream.user, user))
        p->credentials.password = pw_strdup(db->upstream.password);
    return p;
}

void pw_server_pool_free(struct server_pool *p)
{
    PW_CHECK(p->n_servers == 0);
    pw_wheel_cancel(&p->env->loop->wheel, &p->retry_timer);
    pw_stmt_table_free(&p->stmts);
    pw_settings_table_free(&p->settings);
    pw_params_free(&p->welcome);
    if (p->tls)
        pw_tls_context_unref(p->tls);
    pw_free(p->credentials.password);
    pw_free(p->credentials.md5);
    pw_free(p->last_error);
    pw_free(p->database);
    pw_free(p->user);
    pw_free(p->dbname);
    pw_conf_unref(p->conf);
    pw_free(p);
}

void pw_server_pool_reconfigure(struct server_pool *p, const struct pw_conf *conf,
                                const struct conf_database *db, struct tls_context *tls)
{
    bool moved = strcmp(p->db->upstream.url, db->upstream.url) != 0;
    const struct pw_conf *old = p->conf;
    p->conf = pw_conf_ref(conf);
    p->db = db;
    if (tls)
        pw_tls_context_ref(tls);
    if (p->tls)
        pw_tls_context_unref(p->tls);
    p->tls = tls;
    if (moved) {
        pw_free(p->dbname);
        p->dbname = pw_strdup(pw_conf_database_dbname(db, p->database));
        PW_FREE(p->credentials.password);
        if (db->upstream.password[0] && !strcmp(db->upstream.user, p->user))
            p->credentials.password = pw_strdup(db->upstream.password);
        p->attrs = pw_session_attrs(db->upstream.target_session_attrs);
        p->failures = 0;
        p->retry_at_us = 0;
        pw_server_pool_recycle(p);
    }
    pw_conf_unref(old);
}

struct server *pw_server_pool_idle(struct server_pool *p, const struct settings *settings)
{
    struct list *idle = &p->by_state[SERVER_IDLE];
    struct server *first = NULL;
    int looked = 0;
    PW_LIST_FOR(idle, n, tmp)
    {
        struct server *s = PW_LIST_ENTRY(n, struct server, state_link);
        if (s->cancels || s->eof || s->broken)
            continue;
        if (s->settings == settings)
            return s;
        if (!first)
            first = s;
        if (++looked == IDLE_SCAN_MAX)
            break;
    }
    return first;
}

/* The reserve is for those who have waited long. */
static uint32_t permit_limit(const struct server_pool *p, uint64_t now_us)
{
    uint64_t since = p->db->reserve_pool_size ? p->env->cb->oldest_wait(p) : 0;
    bool reserve = since && now_us - since >= p->db->reserve_pool_timeout_us;
    return p->db->pool_size + (reserve ? p->db->reserve_pool_size : 0);
}

static bool take_permit(struct server_pool *p, uint64_t now_us)
{
    uint32_t limit = permit_limit(p, now_us);
    uint64_t oldest = p->env->cb->oldest_wait(p);
    bool turn = pw_permits_is_turn(p->permits, p->env->worker, oldest);
    if (turn && pw_permits_try_take(p->permits, limit))
        return true;
    if (p->n_servers > 0 || !oldest)
        return false; /* one of its own will come free */
    pw_permits_ask(p->env->permits, p->permits, p->env->worker, oldest);
    return turn &&
           pw_permits_try_take(p->permits, limit); /* it may have come back between the two steps */
}

void pw_server_pool_grow(struct server_pool *p, size_t need, uint64_t now_us)
{
    if (p->paused || now_us < p->retry_at_us) {
        pw_permits_ask_no_more(p->permits, p->env->worker); /* it could do nothing with one */
        return;
    }
    size_t connecting = pw_server_pool_connecting(p);
    if (p->failures && connecting) /* in trouble: one probe at a time */
        return;
    if (p->failures)
        need = 1;
    for (; connecting < need; connecting++) {
        if (!take_permit(p, now_us))
            return;
        if (atomic_load_explicit(&p->permits->used, memory_order_relaxed) > p->db->pool_size)
            pw_log_info("pool=%s/%s event=reserve_used reserve_pool_size=%u", p->database, p->user,
                        p->db->reserve_pool_size);
        pw_permits_ask_no_more(p->permits, p->env->worker);
        pw_server_launch(p, &(struct server_launch){0});
    }
}

static bool outlived(const struct server *s, uint64_t now_us)
{
    uint64_t lifetime = s->pool->db->server_lifetime_us;
    if (lifetime == 0)
        return s->was_used;
    /* Up to a tenth earlier, by lot, so that connections opened together do not end together. */
    uint64_t jitter = lifetime / 10 * (pw_hash_mix(s->id, 0) % 1024) / 1024;
    return now_us - s->connected_us > lifetime - jitter;
}

/* Has the server become what the upstream's target_session_attrs does not want? A standby that was
 * promoted says so. */
static bool lost_role(const struct server *s)
{
    struct slice hot;
    bool wants_standby = s->pool->attrs == ATTRS_STANDBY || s->pool->attrs == ATTRS_READ_ONLY;
    return wants_standby && s->was_standby && pw_params_find(&s->params, "in_hot_standby", &hot) &&
           pw_slice_is(hot, "off");
}

/* Why a clean connection should not be kept; NULL: keep it. */
static const char *retire_reason(const struct server *s, uint64_t now_us)
{
    const struct server_pool *p = s->pool;
    if (outlived(s, now_us))
        return "server_lifetime";
    if (s->close_when_idle)
        return "recycled";
    if (p->disabled)
        return "database is disabled";
    if (p->paused)
        return "database is paused";
    if (lost_role(s))
        return "target_session_attrs: the server is no standby any more";
    if (atomic_load_explicit(&p->permits->used, memory_order_relaxed) >
        p->db->pool_size + p->db->reserve_pool_size)
        return "pool_size was lowered";
    return NULL;
}

/* Does another worker's request wait longer than any of ours? */
static bool is_wanted_elsewhere(const struct server_pool *p)
{
    return pw_permits_answer(p->permits, p->env->worker, p->env->cb->oldest_wait(p));
}

void pw_server_pool_release(struct server *s)
{
    struct server_pool *p = s->pool;
    uint64_t now_us = p->env->loop->now_us;
    PW_CHECK(s->expects.count == 0 && s->txn == 'I' && !s->in_copy && s->body_left == 0);
    s->holder = NULL;
    if (s->state == SERVER_ACTIVE)
        pw_server_enter(s, SERVER_IDLE);
    const char *reason = s->dedicated ? "its client is gone" : retire_reason(s, now_us);
    if (!reason && is_wanted_elsewhere(p))
        reason = "another worker needs the connection slot";
    if (reason) {
        pw_server_close(s, reason);
        return;
    }
    if (pw_stream_input(&s->stream).len || s->eof)
        pw_server_mark(s); /* unread bytes: look at them before anybody uses it */
    p->env->cb->on_ready(s);
}

/* An idle connection: is it one too many? */
static const char *idle_reason(const struct server *s, uint64_t now_us)
{
    const struct server_pool *p = s->pool;
    uint64_t idle_us = now_us - s->used_us, limit = p->db->server_idle_timeout_us;
    uint32_t used = atomic_load_explicit(&p->permits->used, memory_order_relaxed);
    if (limit && idle_us > limit && p->n_servers > p->db->min_pool_size)
        return "server_idle_timeout";
    if (used > p->db->pool_size && idle_us >= p->db->reserve_pool_timeout_us)
        return "the reserve is not needed any more";
    return NULL;
}

static void close_idle_for(struct server_pool *p, uint64_t now_us)
{
    PW_LIST_FOR(&p->by_state[SERVER_IDLE], n, tmp)
    {
        struct server *s = PW_LIST_ENTRY(n, struct server, state_link);
        const char *reason = retire_reason(s, now_us);
        if (!reason)
            reason = idle_reason(s, now_us);
        if (!reason && pw_list_empty(&p->waiters) && is_wanted_elsewhere(p))
            reason = "another worker needs the connection slot";
        if (reason)
            pw_server_close(s, reason);
    }
}

/* Those at work: what keeps a connection busy for ever must not keep it for ever. */
static void look_at_busy(struct server_pool *p, uint64_t now_us)
{
    PW_LIST_FOR(&p->by_state[SERVER_ACTIVE], n, tmp)
    {
        struct server *s = PW_LIST_ENTRY(n, struct server, state_link);
        s->close_when_idle |= outlived(s, now_us) &&
                              !s->dedicated; /* nothing more is pipelined behind what it does */
    }
    PW_LIST_FOR(&p->by_state[SERVER_RESETTING], n, tmp)
    {
        struct server *s = PW_LIST_ENTRY(n, struct server, state_link);
        if (now_us - s->used_us > RESET_US_MAX)
            pw_server_close(s, "DISCARD ALL was not answered in time");
    }
}

void pw_server_pool_janitor(struct server_pool *p, uint64_t now_us)
{
    close_idle_for(p, now_us);
    look_at_busy(p, now_us);
    uint32_t workers = p->conf->pgweir.workers ? p->conf->pgweir.workers : 1;
    uint32_t share = (p->db->min_pool_size + workers - 1) / workers;
    if (p->n_servers < share &&
        (p->clients || p->credentials.password || p->method == UPSTREAM_TRUST))
        pw_server_pool_grow(p, share - p->n_servers + pw_server_pool_connecting(p), now_us);
    pw_server_pool_count(p);
}

void pw_server_pool_set_keys(struct server_pool *p, const struct scram_keys *keys,
                             const struct scram_job *job)
{
    struct pool_credentials *c = &p->credentials;
    c->keys = *keys;
    c->has_keys = true;
    c->salt_len = 0;
    if (!job || job->salt.len > sizeof c->salt)
        return;
    memcpy(c->salt, job->salt.ptr, job->salt.len);
    c->salt_len = (uint16_t)job->salt.len;
    c->iterations = job->iterations;
}

bool pw_server_pool_has_derived(const struct server_pool *p, const struct scram_job *job)
{
    const struct pool_credentials *c = &p->credentials;
    return c->has_keys && c->salt_len && c->salt_len == job->salt.len &&
           c->iterations == job->iterations && memcmp(c->salt, job->salt.ptr, c->salt_len) == 0 &&
           c->password && pw_slice_is(job->password, c->password);
}

void pw_server_pool_share(struct server_pool *p)
{
    struct list *idle = &p->by_state[SERVER_IDLE];
    if (!pw_list_empty(idle) && pw_list_empty(&p->waiters) && is_wanted_elsewhere(p))
        pw_server_close(PW_LIST_ENTRY(pw_list_last(idle), struct server, state_link),
                        "another worker needs the connection slot");
}

void pw_server_pool_close_idle(struct server_pool *p, const char *reason)
{
    while (!pw_list_empty(&p->by_state[SERVER_IDLE]))
        pw_server_close(
            PW_LIST_ENTRY(pw_list_first(&p->by_state[SERVER_IDLE]), struct server, state_link),
            reason);
}

void pw_server_pool_recycle(struct server_pool *p)
{
    for (int state = SERVER_CONNECTING; state < SERVER_CLOSING; state++)
        PW_LIST_FOR(&p->by_state[state], n, tmp)
    PW_LIST_ENTRY(n, struct server, state_link)->close_when_idle = true;
    pw_server_pool_close_idle(p, "recycled");
}

void pw_server_pool_count(struct server_pool *p)
{
    struct pool_stats *st = p->stats;
    atomic_store_explicit(&st->sv_active, (uint32_t)p->by_state[SERVER_ACTIVE].count,
                          memory_order_relaxed);
    atomic_store_explicit(&st->sv_idle, (uint32_t)p->by_state[SERVER_IDLE].count,
                          memory_order_relaxed);
    atomic_store_explicit(&st->sv_used, (uint32_t)p->by_state[SERVER_RESETTING].count,
                          memory_order_relaxed);
    atomic_store_explicit(&st->sv_login, (uint32_t)pw_server_pool_connecting(p),
                          memory_order_relaxed);
}
