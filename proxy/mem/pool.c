/*
 * The memory pool: owns a slab set and big mappings within one budget, under one mutex. The
 * evictor is called with no lock held. Any thread.
 */
#include "proxy/mem/pool.h"

#include <pthread.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/log.h"
#include "proxy/mem/slab.h"

enum {
    SLAB_SMALL = 64 * 1024,  /* for pools below POOL_SMALL, so that classes do not starve */
    SLAB_LARGE = 256 * 1024, /* fewer mappings; chunks up to 64 kB */
    POOL_SMALL = 64 * 1024 * 1024,
    SPARE_MAX = 16, /* empty slabs kept mapped, against map and unmap in turn */
    EVICT_EXACT_TRIES = 2,
    EVICT_SLABS_MAX = 4,
    RESIZE_ROUNDS_MAX = 1024,
};

struct mem_pool {
    pthread_mutex_t lock;
    const char *name; /* BORROW, static */
    size_t total;     /* under lock, like everything below */
    size_t big_bytes; /* mapped for blocks that are larger than a chunk */
    struct slab_set slabs;
    pw_pool_evictor evict;
    void *evict_arg; /* BORROW */
    uint64_t used, allocations, allocated_total, freed_total, evict_calls, failed_total;
};

struct mem_pool *pw_pool_new(const char *name, size_t total_bytes)
{
    struct mem_pool *p = pw_alloc(sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    p->name = name;
    p->total = total_bytes;
    pw_slab_set_init(&p->slabs, total_bytes < POOL_SMALL ? SLAB_SMALL : SLAB_LARGE);
    return p;
}

void pw_pool_free(struct mem_pool *p)
{
    if (!p)
        return;
    if (p->allocations)
        pw_log_error("mem_pool=%s event=leak allocations=%llu", p->name,
                     (unsigned long long)p->allocations);
    PW_CHECK(p->allocations == 0);
    pw_slab_set_free(&p->slabs);
    pthread_mutex_destroy(&p->lock);
    pw_free(p);
}

void pw_pool_set_evictor(struct mem_pool *p, pw_pool_evictor evict, void *arg)
{
    pthread_mutex_lock(&p->lock);
    p->evict = evict;
    p->evict_arg = arg;
    pthread_mutex_unlock(&p->lock);
}

static size_t held_locked(const struct mem_pool *p)
{
    return p->slabs.n_slabs * p->slabs.slab_size + p->big_bytes;
}

/* Is there room for `bytes` more within the budget, giving up empty slabs if need be? */
static bool make_room_locked(struct mem_pool *p, size_t bytes)
{
    if (bytes > p->total)
        return false;
    while (held_locked(p) > p->total - bytes)
        if (!pw_slab_unmap_spare(&p->slabs))
            return false;
    return true;
}

static void *try_big_locked(struct mem_pool *p, size_t size)
{
    size_t bytes = pw_slab_big_bytes(size);
    if (bytes == 0 || !make_room_locked(p, bytes))
        return NULL;
    void *ptr = pw_slab_try_map_big(size);
    if (ptr)
        p->big_bytes += bytes;
    return ptr;
}

static void *try_chunk_locked(struct mem_pool *p, size_t size)
{
    void *ptr = pw_slab_try_take(&p->slabs, size);
    if (ptr)
        return ptr;
    /* No chunk means no spare slab either: there is nothing to give up for a new one. */
    if (p->total < p->slabs.slab_size || held_locked(p) > p->total - p->slabs.slab_size)
        return NULL;
    if (!pw_slab_try_map(&p->slabs))
        return NULL;
    return pw_slab_try_take(&p->slabs, size);
}

static void *try_once_locked(struct mem_pool *p, size_t size)
{
    void *ptr = size > p->slabs.chunk_max ? try_big_locked(p, size) : try_chunk_locked(p, size);
    if (!ptr)
        return NULL;
    p->used += size;
    p->allocations++;
    p->allocated_total++;
    return ptr;
}

/*
 * How much to ask of the evictor. Usually what is missing is enough, because old entries lie in
 * old slabs. When memory sits in other classes, only emptied slabs help, so the wish grows; but not
 * beyond a few slabs, because the caller's event loop waits meanwhile and may do without.
 */
static size_t wish_locked(const struct mem_pool *p, size_t size, unsigned attempt)
{
    if (attempt < EVICT_EXACT_TRIES)
        return size;
    size_t slabs = (size_t)1 << (attempt - EVICT_EXACT_TRIES);
    size_t wish = p->slabs.slab_size * (slabs < EVICT_SLABS_MAX ? slabs : EVICT_SLABS_MAX);
    size_t bound = p->total / 8;
    if (wish > bound)
        wish = bound;
    return wish > size ? wish : size;
}

void *pw_pool_try_alloc(struct mem_pool *p, size_t size)
{
    void *ptr = NULL;
    pthread_mutex_lock(&p->lock);
    for (unsigned attempt = 0; size <= p->total; attempt++) {
        ptr = try_once_locked(p, size);
        if (ptr || attempt == PW_POOL_EVICT_TRIES || !p->evict)
            break;
        size_t wish = wish_locked(p, size, attempt);
        pw_pool_evictor evict = p->evict;
        void *arg = p->evict_arg;
        p->evict_calls++;
        pthread_mutex_unlock(&p->lock);
        bool evicted = evict(arg, wish);
        pthread_mutex_lock(&p->lock);
        if (!evicted) { /* nothing left, but another thread may have released meanwhile */
            ptr = try_once_locked(p, size);
            break;
        }
    }
    if (!ptr)
        p->failed_total++;
    pthread_mutex_unlock(&p->lock);
    return ptr;
}

void pw_pool_release(struct mem_pool *p, void *ptr, size_t size)
{
    bool big = size > p->slabs.chunk_max;
    if (big) /* a system call: not under the lock; accounted only when it is really gone */
        pw_slab_unmap_big(ptr, size);
    pthread_mutex_lock(&p->lock);
    PW_CHECK(p->allocations > 0 && p->used >= size);
    if (big)
        p->big_bytes -= pw_slab_big_bytes(size);
    else
        pw_slab_give(&p->slabs, ptr, size);
    if (p->slabs.spare.count > SPARE_MAX || held_locked(p) > p->total)
        pw_slab_unmap_spare(&p->slabs);
    p->used -= size;
    p->allocations--;
    p->freed_total++;
    pthread_mutex_unlock(&p->lock);
}

static uint64_t available_locked(const struct mem_pool *p)
{
    const struct slab_set *s = &p->slabs;
    size_t held = held_locked(p);
    size_t room = held < p->total ? p->total - held : 0;
    size_t fresh_slabs = room / s->slab_size + s->spare.count;
    return s->capacity_bytes - s->live_bytes + fresh_slabs * (s->slab_size - PW_POOL_ALIGN);
}

void pw_pool_stats(const struct mem_pool *pool, struct mem_pool_stats *out)
{
    struct mem_pool *p = (struct mem_pool *)(uintptr_t)pool; /* only the mutex changes */
    pthread_mutex_lock(&p->lock);
    size_t carved = p->slabs.active_bytes + p->big_bytes;
    *out = (struct mem_pool_stats){
        .total = p->total,
        .used = p->used,
        .available = available_locked(p),
        .fragmentation = carved ? 1.0 - (double)p->used / (double)carved : 0,
        .allocations = p->allocations,
        .allocated_total = p->allocated_total,
        .freed_total = p->freed_total,
        .evict_calls = p->evict_calls,
        .failed_total = p->failed_total,
    };
    pthread_mutex_unlock(&p->lock);
}

void pw_pool_resize(struct mem_pool *p, size_t total_bytes)
{
    pthread_mutex_lock(&p->lock);
    p->total = total_bytes; /* at once: from now on nobody gets more than this */
    for (int round = 0; round < RESIZE_ROUNDS_MAX && !make_room_locked(p, 0); round++) {
        size_t wish = held_locked(p) - p->total;
        pw_pool_evictor evict = p->evict;
        void *arg = p->evict_arg;
        if (!evict)
            break;
        p->evict_calls++;
        pthread_mutex_unlock(&p->lock);
        bool evicted = evict(arg, wish);
        pthread_mutex_lock(&p->lock);
        if (!evicted)
            break;
    }
    make_room_locked(p, 0);
    pthread_mutex_unlock(&p->lock);
}
