/*
 * Table versions: how a write reaches every reply that read the table, without knowing them.
 * A fixed array of counters that only grow, indexed by a hash; a collision invalidates too often,
 * never too seldom. Shared state: atomics, any thread. Internal to cache/.
 */
#ifndef CACHE_VERSIONS_H
#define CACHE_VERSIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"

struct cache_versions; /* opaque */

struct cache_dep {
    uint64_t version;
    uint32_t slot;
};

struct cache_base { /* what every reply depends on */
    uint64_t all_version, database_version;
    uint32_t database_id;
};

PW_MUSTUSE struct cache_versions *pw_versions_new(void);
void pw_versions_free(struct cache_versions *v);

uint32_t pw_versions_slot(uint32_t database_id, uint32_t table_oid);
void pw_versions_bump_slot(struct cache_versions *v, uint32_t slot);
void pw_versions_bump_database(struct cache_versions *v, uint32_t database_id);
/* A write of the table (oid 0: of some table of the database) is under way, or has ended with its
 * transaction. */
void pw_versions_write(struct cache_versions *v, uint32_t database_id, uint32_t table_oid,
                       bool begin);
bool pw_versions_is_written(const struct cache_versions *v, uint32_t database_id,
                            const uint32_t *slots, size_t n);
void pw_versions_bump_all(struct cache_versions *v);

uint64_t pw_versions_of_slot(const struct cache_versions *v, uint32_t slot);
struct cache_base pw_versions_base(const struct cache_versions *v, uint32_t database_id);
bool pw_versions_current(const struct cache_versions *v, const struct cache_base *base,
                         const struct cache_dep *deps, size_t n);

#endif
