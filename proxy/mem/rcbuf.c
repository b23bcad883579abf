/* Reference-counted bytes: one allocation each (header and data), from the heap or a slab pool. */
#include "proxy/mem/rcbuf.h"

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/mem/pool.h"

static struct rcbuf *set_up(struct rcbuf *b, struct mem_pool *pool, uint32_t cap)
{
    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    b->len = 0;
    b->cap = cap;
    b->pool = pool;
    return b;
}

struct rcbuf *pw_rcbuf_try_new(uint32_t cap)
{
    return set_up(pw_try_alloc(sizeof(struct rcbuf) + cap), NULL, cap);
}

struct rcbuf *pw_rcbuf_try_new_in(struct mem_pool *pool, uint32_t cap)
{
    return set_up(pw_pool_try_alloc(pool, sizeof(struct rcbuf) + cap), pool, cap);
}

struct rcbuf *pw_rcbuf_ref(struct rcbuf *b)
{
    /* Relaxed: whoever adds a reference already holds one. */
    uint32_t before = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    PW_CHECK(before > 0 && before < UINT32_MAX);
    return b;
}

void pw_rcbuf_unref(struct rcbuf *b)
{
    if (!b)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    PW_CHECK(before > 0);
    if (before > 1)
        return;
    if (b->pool)
        pw_pool_release(b->pool, b, sizeof *b + b->cap);
    else
        pw_free(b);
}
