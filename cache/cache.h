/*
 * Replies we already know. No SQL here: a key is bytes, a dependency is a number, a reply is bytes.
 *
 * Shared by all threads. 2^k shards, one mutex each, held for pointer work only (never across I/O,
 * allocation of reply bytes, logging or callbacks). Memory comes from the slab pool (mem/pool.h)
 * that evicts through this cache. Freshness: every entry carries the version of each table it read,
 * taken before its query was sent; a lookup that sees another version now removes the entry and is
 * a miss.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"
#include "proxy/mem/rcbuf.h"

struct cache;
struct cache_entry;
struct cache_fill;

struct cache_options {
    size_t memory_bytes;
    size_t max_entry_bytes;
    uint64_t min_cost_us; /* replies that were cheaper to compute are not admitted */
};

/* Takes effect below: no entry is larger than an eighth of the memory, and replies that are being
 * recorded hold at most a quarter of it. */
enum { PW_CACHE_ENTRY_SHARE = 8, PW_CACHE_FILL_SHARE = 4 };

struct cache *pw_cache_new(const struct cache_options *options);
void pw_cache_free(struct cache *c); /* no entry or reply byte may be referenced any more */
void pw_cache_configure(struct cache *c, const struct cache_options *options);

/* ---- table versions (cache/versions.c): a fixed array of atomics indexed by a hash of (database,
 * table); two tables that share a slot only invalidate each other too often, never too seldom. */
uint32_t pw_cache_table_slot(uint32_t database_id, uint32_t table_oid);
/* A write through us is under way (table_oid 0: tables not known): until it has ended, with its
 * transaction, no reply about the table may be stamped, so nothing is published between its commit
 * and the news of it. Begin before the first bump, end after the last. Any thread. */
void pw_cache_write_begin(struct cache *c, uint32_t database_id, uint32_t table_oid);
void pw_cache_write_end(struct cache *c, uint32_t database_id, uint32_t table_oid);
void pw_cache_bump_table(struct cache *c, uint32_t database_id,
                         uint32_t table_oid);                       /* any thread */
void pw_cache_bump_database(struct cache *c, uint32_t database_id); /* every table of it */
void pw_cache_bump_all(struct cache *c);

/* What a reply depends on, with the versions seen when it was taken. Sorted is not needed. */
enum { PW_CACHE_DEPS_MAX = 64 };
struct cache_stamp {
    uint32_t database_id, n;
    uint64_t all_version, database_version;
    uint32_t slots[PW_CACHE_DEPS_MAX];
    uint64_t versions[PW_CACHE_DEPS_MAX];
};
/* False when there are more than PW_CACHE_DEPS_MAX tables: do not cache. */
bool pw_cache_stamp_take(struct cache *c, struct cache_stamp *s, uint32_t database_id,
                         const uint32_t *table_oids, size_t n);
bool pw_cache_stamp_is_current(const struct cache *c, const struct cache_stamp *s);

/* ---- entries. The key is compared byte for byte; hash (pw_hash_bytes of the key) only finds it.
 */
struct cache_reply { /* all bytes are complete protocol messages, ready to send */
    struct rcbuf
        *description;   /* RowDescription 'T'; NULL when the statement returns no rows ('n') */
    struct rcbuf *rows; /* DataRow*; NULL when there are none */
    struct rcbuf *tag;  /* CommandComplete */
    uint64_t n_rows;
};

/* A referenced entry, or NULL. Counts a hit or a miss (and an expiration or invalidation). */
struct cache_entry *pw_cache_get(struct cache *c, struct slice key, uint64_t hash, uint64_t now_us);
const struct cache_reply *pw_cache_entry_reply(const struct cache_entry *e);
struct cache_entry *pw_cache_entry_ref(struct cache_entry *e); /* any thread; returns e */
void pw_cache_entry_unref(struct cache_entry *e);              /* any thread; NULL is allowed */

/* ---- filling: begin before the query is sent, commit after its clean end, or abandon. One thread
 * at a time. */
struct cache_fill *pw_cache_fill_new(struct cache *c, const struct cache_stamp *stamp,
                                     struct slice key, uint64_t hash,
                                     uint64_t now_us); /* may be NULL: not now */
/* The bytes of the reply in order: description and rows whole or in pieces, the tag whole and last.
 * False: too big, no memory, or more than one result; abandon the fill then. */
bool pw_cache_fill_description(struct cache_fill *f, struct slice message);
bool pw_cache_fill_rows(struct cache_fill *f, struct slice messages);
bool pw_cache_fill_tag(struct cache_fill *f, struct slice message);
/* Publishes if the stamp is still current and cost_us >= min_cost; consumes f.
 * database/family/tables are for SHOW. ttl_us counts from the start of the fill; 0: no limit in
 * time. */
bool pw_cache_fill_commit(struct cache_fill *f, uint64_t n_rows, uint64_t cost_us, uint64_t ttl_us,
                          uint64_t family, uint64_t now_us);
/* The same, and hands out the reply itself for those who joined this execution, published or not:
 * *out is a reference, or NULL when the reply is incomplete or too big (then they run on their
 * own). */
bool pw_cache_fill_commit_entry(struct cache_fill *f, uint64_t n_rows, uint64_t cost_us,
                                uint64_t ttl_us, uint64_t family, uint64_t now_us,
                                struct cache_entry **out);
void pw_cache_fill_abandon(struct cache_fill *f); /* NULL is allowed */

/* ---- looking and flushing */
struct cache_stats {
    uint64_t entries, memory_used, memory_total, hits, misses, evictions, expirations,
        invalidations, fills, stale_fills_refused, redis_hits;
    double hit_rate; /* 0..1 */
};
void pw_cache_stats(const struct cache *c, struct cache_stats *out);

struct cache_entry_info {
    uint64_t family, hits, bytes, n_rows, cost_us;
    uint64_t age_us, ttl_left_us; /* ttl_left_us: UINT64_MAX when it has no TTL */
    uint32_t database_id, n_tables;
};
size_t pw_cache_list(struct cache *c, struct cache_entry_info *out, size_t max,
                     uint64_t now_us); /* most hit first */

struct cache_filter { /* zero fields match everything */
    uint32_t database_id;
    bool by_database, by_table, by_family;
    uint32_t table_slot;
    uint64_t family;
};
/* Returns the number dropped. A fill that is under way when its table, its database or everything
 * is flushed is not published either. */
uint64_t pw_cache_flush(struct cache *c, const struct cache_filter *filter);
/* Drops expired entries, at most max; for a timer. Returns the number dropped. */
size_t pw_cache_sweep(struct cache *c, uint64_t now_us, size_t max);

/* Why requests bypassed the cache, for SHOW CACHE REASONS: numbers the caller gives a meaning. */
enum { PW_CACHE_REASONS_MAX = 64 };
void pw_cache_reason_count(struct cache *c,
                           int reason); /* any thread; others than 0..63 are ignored */
void pw_cache_reasons(const struct cache *c, uint64_t out[PW_CACHE_REASONS_MAX]);
struct mem_pool *pw_cache_pool(struct cache *c); /* for SHOW MEMORY; BORROW */

#endif
