/* The loop of a worker and what it does each turn; the messages other threads send it are in
 * mail.c. */
#include "proxy/worker/worker.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "planner/families.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/session/derive.h"
#include "proxy/worker/worker_priv.h"

enum { SESSIONS_KEPT = 1024 };

/* ---- what sessions ask of their worker */

static struct tls_context *client_tls(void *arg)
{
    struct worker *w = arg;
    return atomic_load(&w->shared->client_tls);
}

static void find_secret(void *arg, struct session *s, const char *database, const char *user)
{
    struct worker *w = arg;
    w->shared->find_secret(w->shared->control, w->index, s->id, database, user);
}

static void find_roles(void *arg, struct session *s, const char *database, const char *user)
{
    struct worker *w = arg;
    w->shared->find_roles(w->shared->control, w->index, s->id, database, user);
}

static void cancel(void *arg, uint32_t pid, struct slice key, int fd)
{
    struct worker *w = arg;
    w->shared->route_cancel(w->shared->control, pid, key, fd);
}

static void run_command(void *arg, struct session *s, struct slice text, bool is_admin)
{
    struct worker *w = arg;
    w->shared->run_command(w->shared->control, w->index, s->id, s->user, text, is_admin);
}

static bool try_admit(void *arg)
{
    struct worker *w = arg;
    if (atomic_fetch_add(&w->shared->clients, 1) < atomic_load(&w->shared->max_clients))
        return true;
    atomic_fetch_sub(&w->shared->clients, 1);
    return false;
}

static void on_gone(void *arg, struct session *s)
{
    struct worker *w = arg;
    if (s->admitted)
        atomic_fetch_sub(&w->shared->clients, 1);
    w->slots[s->id & (PW_SLOTS_MAX - 1)] = NULL;
    w->n_sessions--;
    pw_objpool_put(&w->session_pool, s);
}

/* ---- a session's number: index in slots, and never the same twice in a row */

static bool take_slot(struct worker *w, uint64_t *id)
{
    for (uint32_t tries = 0; tries < w->n_slots + 1; tries++) {
        uint32_t slot = (uint32_t)(++w->last_id & (PW_SLOTS_MAX - 1));
        if (slot >= w->n_slots) {
            if (w->n_sessions * 2 >= w->n_slots && w->n_slots < PW_SLOTS_MAX) {
                w->slots = pw_realloc(w->slots, (size_t)w->n_slots * 2 * sizeof(*w->slots));
                memset(w->slots + w->n_slots, 0, w->n_slots * sizeof(*w->slots));
                w->n_slots *= 2;
            } else {
                w->last_id = (w->last_id | (PW_SLOTS_MAX - 1)) + 1; /* wrap to slot 0 */
                slot = 0;
            }
        }
        if (!w->slots[slot]) {
            *id = w->last_id;
            return true;
        }
    }
    return false;
}

struct session *pw_worker_find_session(struct worker *w, uint64_t session_id)
{
    uint32_t slot = (uint32_t)(session_id & (PW_SLOTS_MAX - 1));
    struct session *s = slot < w->n_slots ? w->slots[slot] : NULL;
    return s && s->id == session_id ? s : NULL;
}

void pw_worker_accept(struct worker *w, int fd, bool is_unix)
{
    uint64_t id;
    uint8_t key[4];
    if (w->stopping || !take_slot(w, &id) || getrandom(key, sizeof key, 0) != sizeof key) {
        close(fd);
        return;
    }
    struct session *s = pw_objpool_get(&w->session_pool);
    uint32_t slot = (uint32_t)(id & (PW_SLOTS_MAX - 1));
    w->slots[slot] = s;
    w->n_sessions++;
    pw_session_start(s, &w->env, fd, is_unix, id, (w->index & 0x7f) << 24 | slot, key);
}

/* ---- the turn */

static void publish(struct worker *w)
{
    struct metric_slot *m = w->env.metrics;
    pw_metric_add(m, PW_METRIC_LOOP_READS, w->loop.reads - w->seen.reads);
    pw_metric_add(m, PW_METRIC_LOOP_WRITES, w->loop.writes - w->seen.writes);
    pw_metric_add(m, PW_METRIC_CLIENT_RECEIVED, w->loop.accepted.in - w->seen.accepted.in);
    pw_metric_add(m, PW_METRIC_CLIENT_SENT, w->loop.accepted.out - w->seen.accepted.out);
    pw_metric_add(m, PW_METRIC_SERVER_RECEIVED, w->loop.connected.in - w->seen.connected.in);
    pw_metric_add(m, PW_METRIC_SERVER_SENT, w->loop.connected.out - w->seen.connected.out);
    pw_metric_set(m, PW_METRIC_LOOP_BUSY, pw_clock_thread_us());
    w->seen.reads = w->loop.reads;
    w->seen.writes = w->loop.writes;
    w->seen.accepted = w->loop.accepted;
    w->seen.connected = w->loop.connected;
    size_t waiting = 0;
    PW_HASHMAP_FOR(&w->dispatch->pools, h, tmp)
    {
        const struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        waiting += p->waiters.count + p->joined;
    }
    pw_metric_set(m, PW_METRIC_CLIENTS_WAITING, waiting);
    struct plan_memo_stats memo;
    pw_plan_memo_stats(w->dispatch->memo, &memo);
    pw_metric_set(m, PW_METRIC_PLAN_HITS, memo.hits);
    pw_metric_set(m, PW_METRIC_PLAN_MISSES, memo.misses);
    pw_metric_set(m, PW_METRIC_PLAN_EVICTIONS, memo.evictions);
    pw_metric_set(m, PW_METRIC_PLAN_OPAQUE, memo.opaque);
    pw_metric_set(m, PW_METRIC_PLAN_MEMO_ENTRIES, memo.entries);
}

static void on_idle(uv_idle_t *h)
{
    (void)h; /* only keeps the loop from sleeping while something is marked */
}

/* Everything that arrived in this turn is worked off here, and what is owed leaves in one write per
 * socket. */
static void on_check(uv_check_t *h)
{
    struct worker *w = h->data;
    pw_loop_tick(&w->loop);
    for (int pass = 0; pass < 3 && (w->ready.list.count || w->dispatch->poked.count); pass++) {
        pw_ready_run(&w->ready);
        pw_dispatch_run(w->dispatch);
    }
    pw_loop_flush(&w->loop);
    pw_metric_inc(w->env.metrics, PW_METRIC_LOOP_TURNS);
    bool more = w->ready.list.count || w->dispatch->poked.count;
    if (more && !w->spinning)
        uv_idle_start(&w->idle, on_idle);
    else if (!more && w->spinning)
        uv_idle_stop(&w->idle);
    w->spinning = more;
    if (w->draining && w->n_sessions == 0 && !w->told_drained) {
        w->told_drained = true;
        w->shared->on_drained(w->shared->control, w->index);
    }
}

static void on_second(uv_timer_t *t)
{
    struct worker *w = t->data;
    pw_loop_tick(&w->loop);
    pw_dispatch_janitor(w->dispatch, w->loop.now_us);
    publish(w);
}

/* ---- life */

void pw_worker_close_sessions(struct worker *w)
{
    for (int state = 0; state < SESSION_CLOSING; state++)
        while (!pw_list_empty(&w->by_state[state]))
            pw_session_fail(
                PW_LIST_ENTRY(pw_list_first(&w->by_state[state]), struct session, state_link),
                PW_SHUTTING_DOWN, NULL);
    PW_LIST_FOR(&w->by_state[SESSION_CLOSING], n, tmp)
    pw_stream_close(&PW_LIST_ENTRY(n, struct session, state_link)->stream, true);
}

static bool is_quiet(const struct worker *w)
{
    return w->n_sessions == 0 && pw_dispatch_is_quiet(w->dispatch) &&
           pw_derivations_is_quiet(w->derivations);
}

static void on_hurry(uv_timer_t *t)
{
    (void)t; /* the loop turns, and shut_down looks again */
}

static void shut_down(struct worker *w)
{
    uint64_t give_up = pw_clock_us() + 2000000;
    pw_dispatch_close_servers(w->dispatch);
    uv_timer_start(&w->second, on_hurry, 10, 10);
    while (!is_quiet(w)) {
        if (pw_clock_us() > give_up) /* a client that does not take its last bytes */
            PW_LIST_FOR(&w->by_state[SESSION_CLOSING], n, tmp)
        pw_stream_close(&PW_LIST_ENTRY(n, struct session, state_link)->stream, false);
        uv_run(&w->uv, UV_RUN_ONCE);
    }
    pw_mailbox_close(&w->box);
    uv_close((uv_handle_t *)&w->check, NULL);
    uv_close((uv_handle_t *)&w->idle, NULL);
    uv_close((uv_handle_t *)&w->second, NULL);
    pw_resolver_free(w->resolver);
    pw_derivations_free(w->derivations);
    w->families = pw_families_snapshot(w->dispatch->families);
    pw_dispatch_free(w->dispatch);
    pw_objpool_destroy(&w->session_pool);
    pw_loop_destroy(&w->loop);
    uv_run(&w->uv, UV_RUN_DEFAULT); /* every handle is closing: ends when they are gone */
    pw_mailbox_destroy(&w->box);
    uv_loop_close(&w->uv);
}

static void run(void *arg)
{
    struct worker *w = arg;
    char name[16];
    snprintf(name, sizeof name, "worker-%u", w->index);
    pthread_setname_np(pthread_self(), name);
    while (!w->stopping)
        uv_run(&w->uv, UV_RUN_ONCE);
    shut_down(w);
}

static void init_loop(struct worker *w)
{
    uv_loop_init(&w->uv);
    pw_loop_init(&w->loop, &w->uv);
    pw_list_init(&w->ready.list);
    pw_mailbox_init(&w->box, &w->uv);
    w->resolver = pw_resolver_new(&w->uv);
    uv_check_init(&w->uv, &w->check);
    uv_idle_init(&w->uv, &w->idle);
    uv_timer_init(&w->uv, &w->second);
    w->check.data = w->second.data = w;
    uv_check_start(&w->check, on_check);
    uv_timer_start(&w->second, on_second, 1000, 1000);
}

struct worker *pw_worker_start(unsigned index, struct worker_shared *shared,
                               const struct pw_conf *conf)
{
    struct worker *w = pw_alloc(sizeof *w);
    w->index = index;
    w->shared = shared;
    init_loop(w);
    w->derivations = pw_derivations_new(&w->uv, shared->auth_seed);
    pw_objpool_init(&w->session_pool, "sessions", sizeof(struct session), SESSIONS_KEPT);
    w->n_slots = 1024;
    w->slots = pw_alloc(w->n_slots * sizeof(*w->slots));
    for (int i = 0; i < SESSION_STATE_COUNT; i++)
        pw_list_init(&w->by_state[i]);
    const struct pool_env pools = {.loop = &w->loop,
                                   .resolver = w->resolver,
                                   .ready = &w->ready,
                                   .permits = shared->dispatch.permits,
                                   .metrics = pw_metrics_slot((int)index),
                                   .worker = index,
                                   .next_server_id = (uint64_t)index << 48};
    w->dispatch = pw_dispatch_new(&shared->dispatch, conf, &pools, &w->box);
    w->env = (struct session_env){.dispatch = w->dispatch,
                                  .loop = &w->loop,
                                  .ready = &w->ready,
                                  .metrics = pools.metrics,
                                  .by_state = w->by_state,
                                  .admin = shared->admin,
                                  .auth_seed = shared->auth_seed,
                                  .derivations = w->derivations,
                                  .arg = w,
                                  .client_tls = client_tls,
                                  .find_secret = find_secret,
                                  .find_roles = find_roles,
                                  .cancel = cancel,
                                  .run_command = run_command,
                                  .try_admit = try_admit,
                                  .on_gone = on_gone};
    if (uv_thread_create(&w->thread, run, w) != 0) {
        pw_log_error("worker=%u event=thread_create_failed", index);
        PW_UNREACHABLE();
    }
    return w;
}

struct families_snapshot *pw_worker_join(struct worker *w)
{
    uv_thread_join(&w->thread);
    struct families_snapshot *families = w->families;
    pw_free(w->slots);
    pw_free(w);
    return families;
}
