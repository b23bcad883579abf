/* One shard; see shard.h. */
#include "cache/shard.h"

#include "proxy/base/check.h"
#include "proxy/mem/rcbuf.h"

enum {
    TIMER_SHIFT = 20,    /* a timer tick is 2^20 us, about a second */
    LRU_FRESH_SHARE = 8, /* an entry in this first part of the LRU list is not moved again */
};

static struct cache_entry *of_lru(struct list_node *n)
{
    return PW_LIST_ENTRY(n, struct cache_entry, lru);
}

void pw_shard_init(struct shard *s)
{
    pthread_mutexattr_t attr;
    *s = (struct shard){0};
    pthread_mutexattr_init(&attr);
    /* Held for tens of nanoseconds: spinning a little beats sleeping. */
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&s->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    pw_hashmap_init(&s->map);
    pw_list_init(&s->lru);
    for (size_t i = 0; i < PW_SHARD_TIMERS; i++)
        pw_list_init(&s->timers[i]);
}

static struct list *timer_of(struct shard *s, const struct cache_entry *e)
{
    return &s->timers[(e->expires_us >> TIMER_SHIFT) % PW_SHARD_TIMERS];
}

static void unlink_locked(struct shard *s, struct cache_entry *e)
{
    PW_CHECK(e->linked);
    e->linked = false;
    pw_hashmap_remove(&s->map, &e->node);
    pw_list_remove(&s->lru, &e->lru);
    if (pw_list_linked(&e->timer))
        pw_list_remove(timer_of(s, e), &e->timer);
}

/* Unlinked entries wait for their release in a list through their LRU node. */
static void condemn_locked(struct shard *s, struct cache_entry *e, struct list *condemned)
{
    unlink_locked(s, e);
    pw_list_push_back(condemned, &e->lru);
}

static uint64_t release_condemned(struct list *condemned)
{
    uint64_t n = 0;
    for (struct list_node *it; (it = pw_list_pop_front(condemned)); n++)
        pw_cache_entry_unref(of_lru(it));
    return n;
}

void pw_shard_destroy(struct shard *s)
{
    const struct cache_filter everything = {0};
    pw_shard_flush(s, &everything);
    PW_CHECK(s->map.count == 0 && pw_list_empty(&s->lru));
    pw_hashmap_free(&s->map);
    pthread_mutex_destroy(&s->lock);
}

static struct cache_entry *lookup_locked(const struct shard *s, struct slice key, uint64_t hash)
{
    for (struct hash_node *n = pw_hashmap_first(&s->map, hash); n; n = pw_hashmap_next(n)) {
        struct cache_entry *e = PW_CONTAINER_OF(n, struct cache_entry, node);
        if (pw_slice_eq(pw_entry_key(e), key))
            return e;
    }
    return NULL;
}

/* An entry that few others have overtaken stays where it is: a hit on a hot entry then writes to
 * no neighbour. In a short list the order is exact. */
static void touch_locked(struct shard *s, struct cache_entry *e)
{
    if (s->lru_tick - e->lru_tick <= s->lru.count / LRU_FRESH_SHARE)
        return;
    pw_list_remove(&s->lru, &e->lru);
    pw_list_push_front(&s->lru, &e->lru);
    e->lru_tick = ++s->lru_tick;
}

/* Is what was found still good? If not it is unlinked, and the reason counted. */
static bool is_good_locked(struct shard *s, const struct cache_versions *v, struct cache_entry *e,
                           uint64_t now_us)
{
    bool expired = e->expires_us <= now_us;
    if (!expired && pw_versions_current(v, &e->base, e->deps, e->n_deps))
        return true;
    *(expired ? &s->counts.expirations : &s->counts.invalidations) += 1;
    unlink_locked(s, e);
    return false;
}

struct cache_entry *pw_shard_find(struct shard *s, const struct cache_versions *v, struct slice key,
                                  uint64_t hash, uint64_t now_us)
{
    struct cache_entry *dead = NULL;
    pthread_mutex_lock(&s->lock);
    struct cache_entry *e = lookup_locked(s, key, hash);
    if (e && !is_good_locked(s, v, e, now_us)) {
        dead = e;
        e = NULL;
    }
    if (e) {
        touch_locked(s, e);
        e->hits++;
        s->counts.hits++;
        pw_cache_entry_ref(e);
    } else {
        s->counts.misses++;
    }
    pthread_mutex_unlock(&s->lock);
    pw_cache_entry_unref(dead);
    return e;
}

void pw_shard_insert(struct shard *s, struct cache_entry *e)
{
    pthread_mutex_lock(&s->lock);
    struct cache_entry *old = lookup_locked(s, pw_entry_key(e), e->node.hash);
    if (old)
        unlink_locked(s, old);
    e->linked = true;
    pw_hashmap_insert(&s->map, &e->node, e->node.hash);
    pw_list_push_front(&s->lru, &e->lru);
    e->lru_tick = ++s->lru_tick;
    if (e->expires_us != UINT64_MAX)
        pw_list_push_back(timer_of(s, e), &e->timer);
    s->counts.fills++;
    pthread_mutex_unlock(&s->lock);
    pw_cache_entry_unref(old);
}

uint64_t pw_shard_evict(struct shard *s)
{
    struct cache_entry *e = NULL;
    uint64_t bytes = 0;
    pthread_mutex_lock(&s->lock);
    struct list_node *last = pw_list_last(&s->lru);
    if (last) {
        e = of_lru(last);
        bytes = pw_entry_bytes(e);
        unlink_locked(s, e);
        s->counts.evictions++;
    }
    pthread_mutex_unlock(&s->lock);
    pw_cache_entry_unref(e);
    return bytes;
}

/* Drops what has expired from one timer list; false when max was reached before its end. */
static bool sweep_list_locked(struct shard *s, struct list *timer, uint64_t now_us, size_t max,
                              struct list *condemned)
{
    PW_LIST_FOR(timer, it, tmp)
    {
        struct cache_entry *e = PW_LIST_ENTRY(it, struct cache_entry, timer);
        if (e->expires_us > now_us)
            continue; /* a later round of the wheel */
        if (condemned->count == max)
            return false;
        condemn_locked(s, e, condemned);
        s->counts.expirations++;
    }
    return true;
}

size_t pw_shard_sweep(struct shard *s, uint64_t now_us, size_t max)
{
    struct list condemned;
    uint64_t now = now_us >> TIMER_SHIFT;
    pw_list_init(&condemned);
    pthread_mutex_lock(&s->lock);
    if (now - s->swept >= PW_SHARD_TIMERS) /* once around is enough */
        s->swept = now >= PW_SHARD_TIMERS ? now - (PW_SHARD_TIMERS - 1) : 0;
    /* The current tick is not over: the next sweep begins with it again. */
    while (sweep_list_locked(s, &s->timers[s->swept % PW_SHARD_TIMERS], now_us, max, &condemned) &&
           s->swept < now)
        s->swept++;
    pthread_mutex_unlock(&s->lock);
    return release_condemned(&condemned);
}

static bool matches(const struct cache_entry *e, const struct cache_filter *f)
{
    return (!f->by_database || e->base.database_id == f->database_id) &&
           (!f->by_table || pw_entry_reads_slot(e, f->table_slot)) &&
           (!f->by_family || e->family == f->family);
}

uint64_t pw_shard_flush(struct shard *s, const struct cache_filter *filter)
{
    struct list condemned;
    pw_list_init(&condemned);
    pthread_mutex_lock(&s->lock);
    PW_LIST_FOR(&s->lru, it, tmp)
    {
        struct cache_entry *e = of_lru(it);
        if (!matches(e, filter))
            continue;
        condemn_locked(s, e, &condemned);
        s->counts.invalidations++;
    }
    pthread_mutex_unlock(&s->lock);
    return release_condemned(&condemned);
}

uint64_t pw_shard_count(struct shard *s, struct shard_counts *sum)
{
    pthread_mutex_lock(&s->lock);
    uint64_t entries = s->map.count;
    sum->hits += s->counts.hits;
    sum->misses += s->counts.misses;
    sum->evictions += s->counts.evictions;
    sum->expirations += s->counts.expirations;
    sum->invalidations += s->counts.invalidations;
    sum->fills += s->counts.fills;
    pthread_mutex_unlock(&s->lock);
    return entries;
}

void pw_shard_each(struct shard *s, void (*see)(void *arg, const struct cache_entry *e), void *arg)
{
    pthread_mutex_lock(&s->lock);
    PW_LIST_FOR(&s->lru, it, tmp)
    {
        see(arg, of_lru(it));
    }
    pthread_mutex_unlock(&s->lock);
}
