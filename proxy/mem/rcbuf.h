/*
 * Immutable, atomically reference-counted bytes: how reply bytes outlive a ticket and cross
 * threads. The creator fills data[0..len) while it holds the only reference; afterwards nobody
 * writes. The last unref gives the memory back to where it came from (heap, or a slab pool).
 */
#ifndef PROXY_MEM_RCBUF_H
#define PROXY_MEM_RCBUF_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"

struct mem_pool;

struct rcbuf {
    _Atomic uint32_t refs;
    uint32_t len, cap;
    struct mem_pool *pool; /* BORROW, outlives the buffer; NULL: heap */
    char data[];
};

PW_MUSTUSE struct rcbuf *pw_rcbuf_try_new(uint32_t cap); /* heap; may be NULL */
PW_MUSTUSE struct rcbuf *pw_rcbuf_try_new_in(struct mem_pool *pool, uint32_t cap); /* may be NULL */
struct rcbuf *pw_rcbuf_ref(struct rcbuf *b); /* any thread; returns b */
void pw_rcbuf_unref(struct rcbuf *b);        /* any thread; NULL is allowed */

#endif
