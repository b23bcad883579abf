/*
 * Numbers with labels that come from the whole process, and those of the control slot that somebody
 * else counts: the cache, its memory, the pools, the advisor. Control thread, when /metrics is
 * read.
 */
#include "proxy/control/collect.h"

#include <string.h>

#include "proxy/control/desk.h"
#include "proxy/control/show.h"
#include "proxy/metrics/collector.h"

static uint64_t get64(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static uint32_t get32(const _Atomic uint32_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

/* The first of the rows with this database (and user); the rows of other workers are added to it.
 */
static bool is_first(struct control *c, const struct pool_row *r, bool by_user)
{
    const struct pool_row *o = pw_databases_rows(c->databases);
    while (o != r &&
           (strcmp(o->database, r->database) != 0 || (by_user && strcmp(o->user, r->user) != 0)))
        o = o->next;
    return o == r;
}

/* ---- per pool ---- */

static void collect_queries(struct metric_writer *w, struct control *c)
{
    pw_metric_family(w, "pgweir_queries_total", FAMILY_COUNTER,
                     "Requests received, by database and user.");
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next) {
        if (!is_first(c, r, true))
            continue;
        uint64_t n = 0;
        for (struct pool_row *o = r; o; o = o->next)
            if (!strcmp(o->database, r->database) && !strcmp(o->user, r->user))
                n += get64(&o->stats.queries);
        pw_metric_sample(w, PW_LABELS({"database", r->database}, {"user", r->user}), (double)n);
    }
}

static void collect_servers(struct metric_writer *w, struct control *c)
{
    static const char *const states[] = {"active", "idle", "used", "login"};
    pw_metric_family(w, "pgweir_servers", FAMILY_GAUGE,
                     "Server connections, by database and state.");
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next) {
        uint64_t n[PW_COUNT_OF(states)] = {0};
        if (!is_first(c, r, false))
            continue;
        for (struct pool_row *o = r; o; o = o->next) {
            if (strcmp(o->database, r->database) != 0)
                continue;
            n[0] += get32(&o->stats.sv_active);
            n[1] += get32(&o->stats.sv_idle);
            n[2] += get32(&o->stats.sv_used);
            n[3] += get32(&o->stats.sv_login);
        }
        for (size_t i = 0; i < PW_COUNT_OF(states); i++)
            pw_metric_sample(w, PW_LABELS({"database", r->database}, {"state", states[i]}),
                             (double)n[i]);
    }
}

static void collect_clients(struct metric_writer *w, struct control *c)
{
    uint64_t in_pools = 0, waiting = 0, admitted = atomic_load(&c->shared.clients);
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next) {
        in_pools += get32(&r->stats.cl_active);
        waiting += get32(&r->stats.cl_waiting);
    }
    uint64_t active = in_pools > waiting ? in_pools - waiting : 0;
    uint64_t login = admitted > in_pools ? admitted - in_pools : 0;
    pw_metric_family(w, "pgweir_clients", FAMILY_GAUGE, "Client connections, by state.");
    pw_metric_sample(w, PW_LABELS({"state", "active"}), (double)active);
    pw_metric_sample(w, PW_LABELS({"state", "waiting"}), (double)waiting);
    pw_metric_sample(w, PW_LABELS({"state", "login"}), (double)login);
}

/* ---- helpers and advice ---- */

static void collect_helpers(struct metric_writer *w, struct control *c)
{
    pw_metric_family(w, "pgweir_up", FAMILY_GAUGE,
                     "Does a helper work? The data path goes on without it.");
    pw_metric_sample(w, PW_LABELS({"helper", "catalog"}), pw_catalogs_are_ready(c));
    pw_metric_sample(w, PW_LABELS({"helper", "redis"}), 0);
    pw_metric_sample(w, PW_LABELS({"helper", "wal"}), 0);
    pw_metric_sample(w, PW_LABELS({"helper", "gpu"}), pw_sampler_latest(c->sampler)->n_gpus > 0);
}

static void collect_advice(struct metric_writer *w, struct control *c)
{
    uint64_t n[ADVICE_KIND_COUNT] = {0};
    pw_advice_desk_count(c->advice, n);
    pw_metric_family(w, "pgweir_advice", FAMILY_GAUGE, "Open advice, by kind.");
    for (int kind = 0; kind < ADVICE_KIND_COUNT; kind++)
        pw_metric_sample(w, PW_LABELS({"kind", pw_advice_kind_text((enum advice_kind)kind)}),
                         (double)n[kind]);
}

/* ---- what the table of metrics names and somebody else counts ---- */

static void set_cache(struct metric_slot *slot, struct control *c)
{
    struct cache_stats s;
    uint64_t reasons[PW_CACHE_REASONS_MAX], bypasses = 0;
    pw_cache_stats(c->cache, &s);
    pw_cache_reasons(c->cache, reasons);
    for (size_t i = 0; i < PW_CACHE_REASONS_MAX; i++)
        bypasses += reasons[i];
    pw_metric_set(slot, PW_METRIC_CACHE_HITS, s.hits);
    pw_metric_set(slot, PW_METRIC_CACHE_MISSES, s.misses);
    pw_metric_set(slot, PW_METRIC_CACHE_BYPASSES, bypasses);
    pw_metric_set(slot, PW_METRIC_CACHE_EVICTIONS, s.evictions);
    pw_metric_set(slot, PW_METRIC_CACHE_EXPIRATIONS, s.expirations);
    pw_metric_set(slot, PW_METRIC_CACHE_INVALIDATIONS, s.invalidations);
    pw_metric_set(slot, PW_METRIC_CACHE_FILLS, s.fills);
    pw_metric_set(slot, PW_METRIC_CACHE_STALE_FILLS, s.stale_fills_refused);
    pw_metric_set(slot, PW_METRIC_CACHE_REDIS_HITS, s.redis_hits);
    pw_metric_set(slot, PW_METRIC_CACHE_ENTRIES, s.entries);
    pw_metric_set(slot, PW_METRIC_CACHE_MEMORY, s.memory_used);
    pw_metric_set(slot, PW_METRIC_CACHE_MEMORY_LIMIT, s.memory_total);
}

static void set_memory(struct metric_slot *slot, struct control *c)
{
    struct mem_pool_stats m;
    pw_pool_stats(pw_cache_pool(c->cache), &m);
    pw_metric_set(slot, PW_METRIC_MEMORY_POOL_TOTAL, m.total);
    pw_metric_set(slot, PW_METRIC_MEMORY_POOL_USED, m.used);
    pw_metric_set(slot, PW_METRIC_MEMORY_POOL_FRAGMENTATION, (uint64_t)(m.fragmentation * 1e6));
}

void pw_control_refresh_metrics(struct control *c)
{
    struct metric_slot *slot = pw_metrics_slot(PW_SLOT_CONTROL);
    set_cache(slot, c);
    set_memory(slot, c);
}

static void collect(struct metric_writer *w, void *arg)
{
    struct control *c = arg;
    collect_queries(w, c);
    collect_servers(w, c);
    collect_clients(w, c);
    collect_helpers(w, c);
    collect_advice(w, c);
    pw_index_collect(w, c);
    pw_control_refresh_metrics(c);
}

void pw_control_add_collectors(struct control *c)
{
    pw_collector_add(collect, c);
}

void pw_control_remove_collectors(struct control *c)
{
    pw_collector_remove(collect, c);
}
