/*
 * One known reply: one allocation from the cache's memory pool with the key and the versions it
 * depends on, and the reply's bytes beside it. Reference-counted, any thread; what a shard changes
 * (links, hits, age in the LRU) only under that shard's mutex. Internal to cache/.
 */
#ifndef CACHE_ENTRY_H
#define CACHE_ENTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/cache.h"
#include "cache/versions.h"
#include "proxy/base/attrs.h"
#include "proxy/base/hashmap.h"
#include "proxy/base/list.h"

struct mem_pool;

struct cache_entry {
    /* what a lookup reads: one cache line */
    struct hash_node node; /* LINK: the shard's map */
    uint64_t expires_us;   /* UINT64_MAX: never */
    uint64_t lru_tick, hits;
    _Atomic uint32_t refs; /* one of them is the shard's while the entry is linked */
    uint32_t key_len, n_deps, size;
    struct cache_base base;
    struct list_node lru, timer; /* LINK: the shard's lists; lru also while it is condemned */
    bool linked;                 /* is it in the shard? */
    struct mem_pool *pool;       /* BORROW, outlives the entry */
    struct cache_reply reply;    /* OWN: a reference to each part */
    uint64_t created_us, cost_us, family;
    struct cache_dep deps[]; /* n_deps, then the bytes of the key */
};

/* An unpublished entry with one reference, or NULL: no memory. */
PW_MUSTUSE struct cache_entry *pw_entry_try_new(struct mem_pool *pool,
                                                const struct cache_stamp *stamp, struct slice key,
                                                uint64_t hash, uint64_t now_us);
uint64_t pw_entry_bytes(const struct cache_entry *e); /* all that it holds in the pool */
bool pw_entry_reads_slot(const struct cache_entry *e, uint32_t slot);

static inline struct slice pw_entry_key(const struct cache_entry *e)
{
    return pw_slice((const char *)(e->deps + e->n_deps), e->key_len);
}

#endif
