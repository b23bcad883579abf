/*
 * Slabs: how the memory pool cuts memory into size classes. Internal to proxy/mem; the pool's
 * mutex protects everything here. A slab is an aligned mapping whose header is found by masking a
 * chunk's address; it serves one class at a time and, once empty, any other class again.
 */
#ifndef PROXY_MEM_SLAB_H
#define PROXY_MEM_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/list.h"

enum { PW_SLAB_CLASSES_MAX = 48, PW_SLAB_LOOKUP_MAX = 1024 };

struct slab {
    struct list_node link; /* LINK: in its class's partial list, or among the spare ones */
    struct slab_set *set;  /* BORROW, outlives the slab */
    void *free_list;       /* released chunks, linked through the first word */
    uint32_t cls, live, carved, capacity; /* chunks: in use, ever handed out, possible */
};

struct slab_class {
    size_t chunk;        /* bytes, a multiple of 64 */
    uint32_t capacity;   /* chunks per slab */
    struct list partial; /* OWN: slabs with room; full ones are in no list */
};

struct slab_set {
    size_t slab_size, chunk_max;
    uint32_t n_classes;
    struct slab_class classes[PW_SLAB_CLASSES_MAX];
    uint8_t lookup[PW_SLAB_LOOKUP_MAX]; /* (size + 63) / 64 -> class */
    struct list spare;                  /* OWN: empty slabs, mapped, of no class */
    size_t n_slabs;                     /* mapped, spare ones included */
    size_t active_bytes;                /* of slabs that belong to a class */
    size_t capacity_bytes, live_bytes;  /* chunks of active slabs: all of them, those in use */
};

void pw_slab_set_init(struct slab_set *s, size_t slab_size);
void pw_slab_set_free(struct slab_set *s); /* nothing may be live */

/* A chunk of at least size bytes (size <= chunk_max) without new memory, or NULL. */
PW_MUSTUSE void *pw_slab_try_take(struct slab_set *s, size_t size);
void pw_slab_give(struct slab_set *s, void *ptr, size_t size);
PW_MUSTUSE bool pw_slab_try_map(struct slab_set *s); /* adds one spare slab */
bool pw_slab_unmap_spare(struct slab_set *s);        /* false: there is none */

/* Big blocks: their own mapping, a whole number of pages. */
size_t pw_slab_big_bytes(size_t size); /* what a block of this size takes; 0: too large */
PW_MUSTUSE void *pw_slab_try_map_big(size_t size);
void pw_slab_unmap_big(void *ptr, size_t size);

#endif
