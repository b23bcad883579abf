/* The cache's own fields, for the files of this room that work on all of it. Internal to cache/. */
#ifndef CACHE_CACHE_PRIV_H
#define CACHE_CACHE_PRIV_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/cache.h"
#include "cache/shard.h"
#include "cache/versions.h"
#include "proxy/mem/pool.h"

struct cache {
    struct mem_pool *pool;           /* OWN */
    struct cache_versions *versions; /* OWN */
    struct shard *shards;            /* OWN, 2^k */
    size_t n_shards;
    unsigned shard_shift;        /* hash >> this is the shard; the map below uses the low bits */
    _Atomic size_t evict_cursor; /* the shard whose turn it is to lose an entry */
    _Atomic size_t memory_bytes, max_entry_bytes;
    _Atomic uint64_t min_cost_us;
    _Atomic size_t filling_bytes; /* held by replies that are being recorded */
    _Atomic uint64_t stale_fills_refused;
    _Atomic uint64_t reasons[PW_CACHE_REASONS_MAX];
};

static inline struct shard *pw_cache_shard(const struct cache *c, uint64_t hash)
{
    return &c->shards[c->shard_shift < 64 ? hash >> c->shard_shift : 0];
}

#endif
