/* Making and releasing entries; see entry.h. */
#include "cache/entry.h"

#include <string.h>

#include "proxy/base/check.h"
#include "proxy/mem/pool.h"

struct cache_entry *pw_entry_try_new(struct mem_pool *pool, const struct cache_stamp *stamp,
                                     struct slice key, uint64_t hash, uint64_t now_us)
{
    PW_CHECK(stamp->n <= PW_CACHE_DEPS_MAX);
    size_t size = sizeof(struct cache_entry) + stamp->n * sizeof(struct cache_dep) + key.len;
    if (key.len > UINT32_MAX / 2)
        return NULL;
    struct cache_entry *e = pw_pool_try_alloc(pool, size);
    if (!e)
        return NULL;
    *e = (struct cache_entry){
        .node = {.hash = hash},
        .expires_us = UINT64_MAX,
        .key_len = (uint32_t)key.len,
        .n_deps = stamp->n,
        .size = (uint32_t)size,
        .base = {stamp->all_version, stamp->database_version, stamp->database_id},
        .pool = pool,
        .created_us = now_us,
    };
    atomic_init(&e->refs, 1);
    for (uint32_t i = 0; i < stamp->n; i++)
        e->deps[i] = (struct cache_dep){stamp->versions[i], stamp->slots[i]};
    if (key.len)
        memcpy(e->deps + e->n_deps, key.ptr, key.len);
    return e;
}

static uint64_t part_bytes(const struct rcbuf *part)
{
    return part ? sizeof *part + part->cap : 0;
}

uint64_t pw_entry_bytes(const struct cache_entry *e)
{
    return e->size + part_bytes(e->reply.description) + part_bytes(e->reply.rows) +
           part_bytes(e->reply.tag);
}

bool pw_entry_reads_slot(const struct cache_entry *e, uint32_t slot)
{
    for (uint32_t i = 0; i < e->n_deps; i++)
        if (e->deps[i].slot == slot)
            return true;
    return false;
}

const struct cache_reply *pw_cache_entry_reply(const struct cache_entry *e)
{
    return &e->reply;
}

struct cache_entry *pw_cache_entry_ref(struct cache_entry *e)
{
    /* Relaxed: whoever adds a reference holds one, or the mutex of the shard that does. */
    uint32_t before = atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    PW_CHECK(before > 0 && before < UINT32_MAX);
    return e;
}

void pw_cache_entry_unref(struct cache_entry *e)
{
    if (!e)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel);
    PW_CHECK(before > 0);
    if (before > 1)
        return;
    pw_rcbuf_unref(e->reply.description);
    pw_rcbuf_unref(e->reply.rows);
    pw_rcbuf_unref(e->reply.tag);
    pw_pool_release(e->pool, e, e->size);
}
