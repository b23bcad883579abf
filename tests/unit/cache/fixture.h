/* What the cache's tests share: a cache, and one-line get, fill and statistics. */
#ifndef TESTS_UNIT_CACHE_FIXTURE_H
#define TESTS_UNIT_CACHE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/cache.h"
#include "proxy/base/hashmap.h"

enum { DB = 5, SECOND = 1000000 };

static inline struct cache *new_cache(size_t memory)
{
    const struct cache_options o = {.memory_bytes = memory, .max_entry_bytes = 1 << 20};
    return pw_cache_new(&o);
}

static inline struct cache_stats stats_of(const struct cache *c)
{
    struct cache_stats st;
    pw_cache_stats(c, &st);
    return st;
}

static inline struct cache_stamp stamp_of(struct cache *c, uint32_t table)
{
    struct cache_stamp s;
    assert_true(pw_cache_stamp_take(c, &s, DB, &table, 1));
    return s;
}

static inline struct cache_entry *get(struct cache *c, const char *key, uint64_t now)
{
    struct slice k = pw_slice_str(key);
    return pw_cache_get(c, k, pw_hash_bytes(k.ptr, k.len), now);
}

static inline bool has(struct cache *c, const char *key, uint64_t now)
{
    struct cache_entry *e = get(c, key, now);
    pw_cache_entry_unref(e);
    return e != NULL;
}

static inline struct cache_fill *begin(struct cache *c, const char *key, uint32_t table,
                                       uint64_t now)
{
    struct cache_stamp s = stamp_of(c, table);
    struct slice k = pw_slice_str(key);
    return pw_cache_fill_new(c, &s, k, pw_hash_bytes(k.ptr, k.len), now);
}

/* A complete reply of one table under family 1; was it published? */
static inline bool put(struct cache *c, const char *key, uint32_t table, struct slice rows,
                       uint64_t ttl, uint64_t now)
{
    struct cache_fill *f = begin(c, key, table, now);
    if (!f)
        return false;
    if (!pw_cache_fill_description(f, PW_SLICE_LIT("T....")) || !pw_cache_fill_rows(f, rows) ||
        !pw_cache_fill_tag(f, PW_SLICE_LIT("C....SELECT 1"))) {
        pw_cache_fill_abandon(f);
        return false;
    }
    return pw_cache_fill_commit(f, 1, 1000, ttl, 1, now);
}

#endif
