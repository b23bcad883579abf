/*
 * The counters of versions.h. Loads and bumps are sequentially consistent: a lookup that begins
 * after a bump has returned sees it, whatever told the reader that the bump had happened.
 */
#include "cache/versions.h"

#include "proxy/base/alloc.h"
#include "proxy/base/hashmap.h"

enum { TABLE_SLOTS = 65536, TABLE_SHIFT = 48, DATABASE_SLOTS = 1024 };

struct cache_versions {
    _Atomic uint64_t all;
    _Atomic uint64_t databases[DATABASE_SLOTS];
    _Atomic uint64_t tables[TABLE_SLOTS];
    _Atomic uint32_t
        writers[TABLE_SLOTS]; /* writes under way: sent, their transaction not ended yet */
    _Atomic uint32_t database_writers[DATABASE_SLOTS]; /* ... of which the tables are not known */
};

struct cache_versions *pw_versions_new(void)
{
    return pw_alloc(sizeof(struct cache_versions)); /* all zero: nothing was ever written */
}

void pw_versions_free(struct cache_versions *v)
{
    pw_free(v);
}

uint32_t pw_versions_slot(uint32_t database_id, uint32_t table_oid)
{
    return (uint32_t)(pw_hash_mix(database_id, table_oid) >> TABLE_SHIFT);
}

static uint32_t database_slot(uint32_t database_id)
{
    return (uint32_t)pw_hash_mix(database_id, 0) % DATABASE_SLOTS;
}

void pw_versions_bump_slot(struct cache_versions *v, uint32_t slot)
{
    atomic_fetch_add(&v->tables[slot % TABLE_SLOTS], 1);
}

void pw_versions_bump_database(struct cache_versions *v, uint32_t database_id)
{
    atomic_fetch_add(&v->databases[database_slot(database_id)], 1);
}

void pw_versions_write(struct cache_versions *v, uint32_t database_id, uint32_t table_oid,
                       bool begin)
{
    _Atomic uint32_t *count =
        table_oid ? &v->writers[pw_versions_slot(database_id, table_oid) % TABLE_SLOTS]
                  : &v->database_writers[database_slot(database_id)];
    if (begin)
        atomic_fetch_add(count, 1);
    else
        atomic_fetch_sub(count, 1);
}

bool pw_versions_is_written(const struct cache_versions *v, uint32_t database_id,
                            const uint32_t *slots, size_t n)
{
    if (atomic_load(&v->database_writers[database_slot(database_id)]))
        return true;
    for (size_t i = 0; i < n; i++)
        if (atomic_load(&v->writers[slots[i] % TABLE_SLOTS]))
            return true;
    return false;
}

void pw_versions_bump_all(struct cache_versions *v)
{
    atomic_fetch_add(&v->all, 1);
}

uint64_t pw_versions_of_slot(const struct cache_versions *v, uint32_t slot)
{
    return atomic_load(&v->tables[slot % TABLE_SLOTS]);
}

struct cache_base pw_versions_base(const struct cache_versions *v, uint32_t database_id)
{
    return (struct cache_base){
        .all_version = atomic_load(&v->all),
        .database_version = atomic_load(&v->databases[database_slot(database_id)]),
        .database_id = database_id,
    };
}

bool pw_versions_current(const struct cache_versions *v, const struct cache_base *base,
                         const struct cache_dep *deps, size_t n)
{
    struct cache_base now = pw_versions_base(v, base->database_id);
    if (now.all_version != base->all_version || now.database_version != base->database_version)
        return false;
    for (size_t i = 0; i < n; i++)
        if (pw_versions_of_slot(v, deps[i].slot) != deps[i].version)
            return false;
    return true;
}
