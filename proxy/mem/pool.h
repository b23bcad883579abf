/*
 * The memory pool: a fixed budget of 64-byte-aligned memory in size classes carved from slabs.
 * Thread-safe. When a class has no room the pool calls its evictor (outside its lock) and tries
 * again, up to PW_POOL_EVICT_TRIES; then the allocation fails (NULL) and is counted.
 */
#ifndef PROXY_MEM_POOL_H
#define PROXY_MEM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"

struct mem_pool; /* opaque */

enum { PW_POOL_ALIGN = 64, PW_POOL_EVICT_TRIES = 8 };

struct mem_pool_stats {
    uint64_t total;       /* bytes the pool may hold */
    uint64_t used;        /* bytes asked for by live allocations */
    uint64_t available;   /* bytes a caller could still get: free chunks + slabs not carved yet */
    double fragmentation; /* 0..1: share of carved memory that no live allocation asked for */
    uint64_t allocations; /* live now */
    uint64_t allocated_total, freed_total, evict_calls, failed_total;
};

/* Asked to free about `wanted` bytes; returns false when there is nothing left to free. */
typedef bool (*pw_pool_evictor)(void *arg, size_t wanted);

PW_MUSTUSE struct mem_pool *pw_pool_new(const char *name, size_t total_bytes);
void pw_pool_free(struct mem_pool *p); /* no allocation may be live */
void pw_pool_set_evictor(struct mem_pool *p, pw_pool_evictor evict, void *arg);
PW_MUSTUSE void *pw_pool_try_alloc(struct mem_pool *p, size_t size); /* 64-byte aligned or NULL */
void pw_pool_release(struct mem_pool *p, void *ptr, size_t size);    /* the size asked for */
void pw_pool_stats(const struct mem_pool *p, struct mem_pool_stats *out);
/* Changes the budget of a live pool; shrinking evicts first. */
void pw_pool_resize(struct mem_pool *p, size_t total_bytes);

#endif
