/*
 * A shard: the entries of one part of the hash space, their LRU order and their expiry, under one
 * mutex that is held for pointer work only. Removed entries are handed to the caller, who drops the
 * shard's reference after the mutex is released. Any thread. Internal to cache/.
 */
#ifndef CACHE_SHARD_H
#define CACHE_SHARD_H

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/cache.h"
#include "cache/entry.h"
#include "proxy/base/hashmap.h"
#include "proxy/base/list.h"

enum { PW_SHARD_TIMERS = 64 };

struct shard_counts {
    uint64_t hits, misses, evictions, expirations, invalidations, fills;
};

struct shard {
    alignas(64) pthread_mutex_t lock;
    struct hashmap map; /* under lock, like everything below; OWN: a reference to each entry */
    struct list lru;    /* newest first */
    uint64_t lru_tick;  /* one per move to the front */
    struct shard_counts counts;
    uint64_t swept;                      /* timer tick up to which expired entries were dropped */
    struct list timers[PW_SHARD_TIMERS]; /* entries with a TTL, by the tick in which they expire */
};

void pw_shard_init(struct shard *s);
void pw_shard_destroy(struct shard *s); /* drops every entry */

/* A reference to the entry, counted as a hit, or NULL, counted as a miss. An entry that has expired
 * or has read a table that changed since is removed. */
struct cache_entry *pw_shard_find(struct shard *s, const struct cache_versions *v, struct slice key,
                                  uint64_t hash, uint64_t now_us);
void pw_shard_insert(struct shard *s, struct cache_entry *e); /* consumes a reference */
uint64_t pw_shard_evict(struct shard *s);                     /* oldest; its bytes, 0: empty */
size_t pw_shard_sweep(struct shard *s, uint64_t now_us, size_t max);
uint64_t pw_shard_flush(struct shard *s, const struct cache_filter *filter);

/* Adds what this shard counted, and returns how many entries it has. */
uint64_t pw_shard_count(struct shard *s, struct shard_counts *sum);
/* Calls see(arg, e) for each entry, under the lock: look only. */
void pw_shard_each(struct shard *s, void (*see)(void *arg, const struct cache_entry *e), void *arg);

#endif
