/*
 * Recycled objects of one fixed size, per worker (not thread-safe, except the counters, which any
 * thread may read). "created" counts mallocs, "reused" counts gets served from the free list;
 * efficiency = reused / (created + reused). Keeps at most keep_max free objects.
 * Every pool is in a process-wide registry, so that SHOW OBJECTS and /metrics can list it.
 *
 * get and put are the hottest code of the program, so they are inline: a pop or a push, and
 * counters that are stored by their one writer (a load and a store, never a locked add).
 */
#ifndef PROXY_MEM_OBJPOOL_H
#define PROXY_MEM_OBJPOOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proxy/base/attrs.h"
#include "proxy/mem/poison.h"

struct objpool {
    void *free_list; /* OWN, linked through the first word */
    size_t object_size, free_count, keep_max;
    const char *name; /* BORROW, static */
    _Atomic uint64_t created, reused, in_use;
    struct objpool *registry_next; /* LINK, under the registry's mutex */
};

struct objpool_stats {
    char name[32];
    uint64_t created, reused, in_use;
    double efficiency; /* 0..1 */
};

void pw_objpool_init(struct objpool *p, const char *name, size_t object_size, size_t keep_max);
void pw_objpool_destroy(struct objpool *p); /* in_use must be 0 */
/* Statistics of all pools, pools of one name (one per worker) added up; returns the row count. */
size_t pw_objpool_stats(struct objpool_stats *out, size_t max);

/* The cold halves of get and put: the free list is empty, or full. */
PW_MUSTUSE void *pw_objpool_create(struct objpool *p); /* may be NULL */
PW_NORETURN void pw_objpool_out_of_memory(const struct objpool *p);
void pw_objpool_discard(struct objpool *p, void *object);

static inline void pw_objpool_count(_Atomic uint64_t *counter, uint64_t add)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + add, memory_order_relaxed);
}

/* Not zeroed; may be NULL. */
PW_MUSTUSE static inline void *pw_objpool_try_get(struct objpool *p)
{
    void *object = p->free_list;
    if (PW_UNLIKELY(!object))
        return pw_objpool_create(p);
    PW_UNPOISON(object, p->object_size);
    memcpy(&p->free_list, object, sizeof p->free_list);
    p->free_count--;
    pw_objpool_count(&p->reused, 1);
    pw_objpool_count(&p->in_use, 1);
    return object;
}

/* Not zeroed; never NULL (aborts). */
PW_MUSTUSE static inline void *pw_objpool_get(struct objpool *p)
{
    void *object = pw_objpool_try_get(p);
    if (PW_UNLIKELY(!object))
        pw_objpool_out_of_memory(p);
    return object;
}

static inline void pw_objpool_put(struct objpool *p, void *object)
{
    pw_objpool_count(&p->in_use, (uint64_t)-1);
    if (PW_UNLIKELY(p->free_count >= p->keep_max)) {
        pw_objpool_discard(p, object);
        return;
    }
    memcpy(object, &p->free_list, sizeof p->free_list);
    PW_POISON(object, p->object_size);
    p->free_list = object;
    p->free_count++;
}

#endif
