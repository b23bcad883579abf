/* What people and metrics see of the cache: sums, the hottest entries, reasons. Any thread. */
#include "cache/cache.h"
#include "cache/cache_priv.h"

void pw_cache_stats(const struct cache *c, struct cache_stats *out)
{
    struct shard_counts sum = {0};
    struct mem_pool_stats memory;
    uint64_t entries = 0;
    for (size_t i = 0; i < c->n_shards; i++)
        entries += pw_shard_count(&c->shards[i], &sum);
    pw_pool_stats(c->pool, &memory);
    uint64_t lookups = sum.hits + sum.misses;
    *out = (struct cache_stats){
        .entries = entries,
        .memory_used = memory.used,
        .memory_total = memory.total,
        .hits = sum.hits,
        .misses = sum.misses,
        .evictions = sum.evictions,
        .expirations = sum.expirations,
        .invalidations = sum.invalidations,
        .fills = sum.fills,
        .stale_fills_refused = atomic_load_explicit(&c->stale_fills_refused, memory_order_relaxed),
        .hit_rate = lookups ? (double)sum.hits / (double)lookups : 0,
    };
}

void pw_cache_reason_count(struct cache *c, int reason)
{
    if (reason >= 0 && reason < PW_CACHE_REASONS_MAX)
        atomic_fetch_add_explicit(&c->reasons[reason], 1, memory_order_relaxed);
}

void pw_cache_reasons(const struct cache *c, uint64_t out[PW_CACHE_REASONS_MAX])
{
    for (int i = 0; i < PW_CACHE_REASONS_MAX; i++)
        out[i] = atomic_load_explicit(&c->reasons[i], memory_order_relaxed);
}

/* ---- the hottest entries: a heap in the caller's array, the least hit one on top */

struct top {
    struct cache_entry_info *rows; /* BORROW from the caller */
    size_t n, max;
    uint64_t now_us;
};

static void swap(struct cache_entry_info *a, struct cache_entry_info *b)
{
    struct cache_entry_info t = *a;
    *a = *b;
    *b = t;
}

static void sift_down(struct cache_entry_info *rows, size_t n, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++)
            if (rows[child].hits < rows[least].hits)
                least = child;
        if (least == at)
            return;
        swap(&rows[at], &rows[least]);
        at = least;
    }
}

static void sift_up(struct cache_entry_info *rows, size_t at)
{
    while (at > 0 && rows[at].hits < rows[(at - 1) / 2].hits) {
        swap(&rows[at], &rows[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static struct cache_entry_info describe(const struct cache_entry *e, uint64_t now_us)
{
    return (struct cache_entry_info){
        .family = e->family,
        .hits = e->hits,
        .bytes = pw_entry_bytes(e),
        .n_rows = e->reply.n_rows,
        .cost_us = e->cost_us,
        .age_us = now_us > e->created_us ? now_us - e->created_us : 0,
        .ttl_left_us = e->expires_us == UINT64_MAX ? UINT64_MAX
                       : e->expires_us > now_us    ? e->expires_us - now_us
                                                   : 0,
        .database_id = e->base.database_id,
        .n_tables = e->n_deps,
    };
}

static void on_entry(void *arg, const struct cache_entry *e)
{
    struct top *t = arg;
    if (t->n < t->max) {
        t->rows[t->n] = describe(e, t->now_us);
        sift_up(t->rows, t->n++);
    } else if (e->hits > t->rows[0].hits) {
        t->rows[0] = describe(e, t->now_us);
        sift_down(t->rows, t->n, 0);
    }
}

size_t pw_cache_list(struct cache *c, struct cache_entry_info *out, size_t max, uint64_t now_us)
{
    struct top t = {.rows = out, .max = max, .now_us = now_us};
    if (max == 0)
        return 0;
    for (size_t i = 0; i < c->n_shards; i++)
        pw_shard_each(&c->shards[i], on_entry, &t);
    for (size_t n = t.n; n > 1; n--) { /* heap sort: the least hit goes to the end */
        swap(&out[0], &out[n - 1]);
        sift_down(out, n - 1, 0);
    }
    return t.n;
}
