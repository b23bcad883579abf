/*
 * The cold half of object pools, and the registry of all pools (the only shared state here, under
 * its mutex). A pool belongs to one thread; its counters are read by others, relaxed.
 */
#include "proxy/mem/objpool.h"

#include <pthread.h>
#include <stdlib.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/log.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct objpool *registry; /* under registry_lock; BORROW: pools belong to their workers */

void pw_objpool_init(struct objpool *p, const char *name, size_t object_size, size_t keep_max)
{
    *p = (struct objpool){
        .object_size = object_size < sizeof(void *) ? sizeof(void *) : object_size,
        .keep_max = keep_max,
        .name = name,
    };
    pthread_mutex_lock(&registry_lock);
    p->registry_next = registry;
    registry = p;
    pthread_mutex_unlock(&registry_lock);
}

static void unregister(struct objpool *p)
{
    pthread_mutex_lock(&registry_lock);
    struct objpool **at = &registry;
    while (*at && *at != p)
        at = &(*at)->registry_next;
    PW_CHECK(*at == p);
    *at = p->registry_next;
    pthread_mutex_unlock(&registry_lock);
}

void pw_objpool_destroy(struct objpool *p)
{
    PW_CHECK(atomic_load_explicit(&p->in_use, memory_order_relaxed) == 0);
    unregister(p);
    while (p->free_list) {
        void *object = p->free_list;
        PW_UNPOISON(object, p->object_size);
        memcpy(&p->free_list, object, sizeof p->free_list);
        pw_free(object);
    }
    p->free_count = 0;
}

void *pw_objpool_create(struct objpool *p)
{
    void *object = pw_try_alloc(p->object_size);
    if (!object)
        return NULL;
    pw_objpool_count(&p->created, 1);
    pw_objpool_count(&p->in_use, 1);
    return object;
}

void pw_objpool_out_of_memory(const struct objpool *p)
{
    pw_log_error("objpool=%s event=out_of_memory object_size=%zu", p->name, p->object_size);
    abort();
}

void pw_objpool_discard(struct objpool *p, void *object)
{
    (void)p;
    pw_free(object);
}

static struct objpool_stats *row_of(struct objpool_stats *out, size_t *n, size_t max,
                                    const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (strncmp(out[i].name, name, sizeof out[i].name - 1) == 0)
            return &out[i];
    if (*n == max)
        return NULL;
    struct objpool_stats *row = &out[(*n)++];
    *row = (struct objpool_stats){0};
    strncpy(row->name, name, sizeof row->name - 1);
    return row;
}

size_t pw_objpool_stats(struct objpool_stats *out, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&registry_lock);
    for (struct objpool *p = registry; p; p = p->registry_next) {
        struct objpool_stats *row = row_of(out, &n, max, p->name);
        if (!row)
            continue;
        row->created += atomic_load_explicit(&p->created, memory_order_relaxed);
        row->reused += atomic_load_explicit(&p->reused, memory_order_relaxed);
        row->in_use += atomic_load_explicit(&p->in_use, memory_order_relaxed);
    }
    pthread_mutex_unlock(&registry_lock);
    for (size_t i = 0; i < n; i++) {
        uint64_t gets = out[i].created + out[i].reused;
        out[i].efficiency = gets ? (double)out[i].reused / (double)gets : 0;
    }
    return n;
}
