/*
 * The cache as a whole: owns the memory pool, the versions and the shards. Any thread; the shards
 * and the pool lock themselves, and no lock is held while another one is taken.
 */
#include "cache/cache.h"

#include <stdlib.h>
#include <unistd.h>

#include "cache/cache_priv.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

enum {
    SHARDS_MIN = 16, /* if there are cores for them: the memory may grow by a reload */
    SHARDS_MAX = 256,
    SHARDS_PER_CORE = 4,
    SHARD_BYTES_MIN = 256 * 1024, /* a shard that is too small makes a poor LRU */
    ENTRY_BYTES_MAX = 1 << 30,    /* lengths within a reply are 32 bits */
};

/* The logarithm of the number of shards: enough that threads rarely meet. */
static unsigned shard_bits(size_t memory_bytes)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = (size_t)(cores > 0 ? cores : 1) * SHARDS_PER_CORE;
    size_t bound = memory_bytes / SHARD_BYTES_MIN;
    bound = bound < SHARDS_MIN ? SHARDS_MIN : bound > SHARDS_MAX ? SHARDS_MAX : bound;
    unsigned bits = 0;
    while ((size_t)1 << bits < wanted && (size_t)2 << bits <= bound)
        bits++;
    return bits;
}

/* For the pool: drops the oldest entries, from one shard after the other. */
static bool on_pool_full(void *arg, size_t wanted)
{
    struct cache *c = arg;
    size_t freed = 0, empty = 0;
    while (freed < wanted && empty < c->n_shards) {
        size_t turn = atomic_fetch_add_explicit(&c->evict_cursor, 1, memory_order_relaxed);
        uint64_t bytes = pw_shard_evict(&c->shards[turn % c->n_shards]);
        empty = bytes ? 0 : empty + 1;
        freed += bytes;
    }
    return freed > 0;
}

static void set_options(struct cache *c, const struct cache_options *o)
{
    size_t entry_max = o->memory_bytes / PW_CACHE_ENTRY_SHARE;
    if (entry_max > o->max_entry_bytes)
        entry_max = o->max_entry_bytes;
    if (entry_max > ENTRY_BYTES_MAX)
        entry_max = ENTRY_BYTES_MAX;
    atomic_store(&c->memory_bytes, o->memory_bytes);
    atomic_store(&c->max_entry_bytes, entry_max);
    atomic_store(&c->min_cost_us, o->min_cost_us);
}

struct cache *pw_cache_new(const struct cache_options *options)
{
    struct cache *c = pw_alloc(sizeof *c);
    unsigned bits = shard_bits(options->memory_bytes);
    set_options(c, options);
    c->pool = pw_pool_new("cache", options->memory_bytes);
    c->versions = pw_versions_new();
    c->n_shards = (size_t)1 << bits;
    c->shard_shift = 64 - bits;
    c->shards = aligned_alloc(alignof(struct shard), c->n_shards * sizeof *c->shards);
    PW_CHECK(c->shards);
    for (size_t i = 0; i < c->n_shards; i++)
        pw_shard_init(&c->shards[i]);
    pw_pool_set_evictor(c->pool, on_pool_full, c);
    return c;
}

void pw_cache_free(struct cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_shards; i++)
        pw_shard_destroy(&c->shards[i]);
    PW_FREE(c->shards);
    pw_pool_free(c->pool); /* asserts that no reply is referenced any more */
    pw_versions_free(c->versions);
    pw_free(c);
}

void pw_cache_configure(struct cache *c, const struct cache_options *options)
{
    set_options(c, options);
    pw_pool_resize(c->pool, options->memory_bytes);
}

struct mem_pool *pw_cache_pool(struct cache *c)
{
    return c->pool;
}

/* ---- versions */

uint32_t pw_cache_table_slot(uint32_t database_id, uint32_t table_oid)
{
    return pw_versions_slot(database_id, table_oid);
}

void pw_cache_write_begin(struct cache *c, uint32_t database_id, uint32_t table_oid)
{
    pw_versions_write(c->versions, database_id, table_oid, true);
}

void pw_cache_write_end(struct cache *c, uint32_t database_id, uint32_t table_oid)
{
    pw_versions_write(c->versions, database_id, table_oid, false);
}

void pw_cache_bump_table(struct cache *c, uint32_t database_id, uint32_t table_oid)
{
    pw_versions_bump_slot(c->versions, pw_versions_slot(database_id, table_oid));
}

void pw_cache_bump_database(struct cache *c, uint32_t database_id)
{
    pw_versions_bump_database(c->versions, database_id);
}

void pw_cache_bump_all(struct cache *c)
{
    pw_versions_bump_all(c->versions);
}

bool pw_cache_stamp_take(struct cache *c, struct cache_stamp *s, uint32_t database_id,
                         const uint32_t *table_oids, size_t n)
{
    if (n > PW_CACHE_DEPS_MAX)
        return false;
    struct cache_base base = pw_versions_base(c->versions, database_id);
    s->database_id = database_id;
    s->n = (uint32_t)n;
    s->all_version = base.all_version;
    s->database_version = base.database_version;
    for (size_t i = 0; i < n; i++) {
        s->slots[i] = pw_versions_slot(database_id, table_oids[i]);
        s->versions[i] = pw_versions_of_slot(c->versions, s->slots[i]);
    }
    /* Versions first, then the writers: one that begins in between bumps after we looked, and the
     * fill is refused. */
    return !pw_versions_is_written(c->versions, database_id, s->slots, n);
}

bool pw_cache_stamp_is_current(const struct cache *c, const struct cache_stamp *s)
{
    struct cache_base base = {s->all_version, s->database_version, s->database_id};
    if (!pw_versions_current(c->versions, &base, NULL, 0))
        return false;
    for (uint32_t i = 0; i < s->n; i++)
        if (pw_versions_of_slot(c->versions, s->slots[i]) != s->versions[i])
            return false;
    return true;
}

/* ---- entries */

struct cache_entry *pw_cache_get(struct cache *c, struct slice key, uint64_t hash, uint64_t now_us)
{
    return pw_shard_find(pw_cache_shard(c, hash), c->versions, key, hash, now_us);
}

size_t pw_cache_sweep(struct cache *c, uint64_t now_us, size_t max)
{
    size_t dropped = 0;
    for (size_t i = 0; i < c->n_shards && dropped < max; i++)
        dropped += pw_shard_sweep(&c->shards[i], now_us, max - dropped);
    return dropped;
}

/* What is being recorded now may have been read before the flush: outdate it as a write would. */
static void outdate_fills(struct cache *c, const struct cache_filter *f)
{
    if (f->by_family)
        return;
    if (f->by_table)
        pw_versions_bump_slot(c->versions, f->table_slot);
    else if (f->by_database)
        pw_versions_bump_database(c->versions, f->database_id);
    else
        pw_versions_bump_all(c->versions);
}

uint64_t pw_cache_flush(struct cache *c, const struct cache_filter *filter)
{
    uint64_t dropped = 0;
    outdate_fills(c, filter);
    for (size_t i = 0; i < c->n_shards; i++)
        dropped += pw_shard_flush(&c->shards[i], filter);
    return dropped;
}
