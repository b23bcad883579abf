/* The fields of struct catalog, for catalog.c and catalog_build.c. */
#ifndef PLANNER_CATALOG_PRIV_H
#define PLANNER_CATALOG_PRIV_H

#include <stdatomic.h>

#include "planner/catalog.h"
#include "proxy/mem/arena.h"

enum {
    CATALOG_BYTES_MAX = 256 * 1024 * 1024,
    CATALOG_PG_CATALOG = 11 /* oid of pg_catalog */,
    CATALOG_PAST_MAX = 8,
    CATALOG_KEY_COLUMNS = 32 /* INDEX_MAX_KEYS */
};

struct cat_role_path { /* pg_db_role_setting: a role's own search_path, here or everywhere */
    const char *role;  /* "" for all */
    const char *path;
    bool here; /* set for this very database */
};

struct cat_paths {
    struct cat_role_path *list;
    uint32_t n;
};

struct catalog {
    _Atomic uint32_t refs;
    uint64_t digest;
    struct arena arena; /* OWN everything below */
    struct hashmap schemas, tables, tables_by_oid, functions, operators, types;
    struct cat_paths paths, *past; /* past: n_past of them, defaults that were in force before */
    uint32_t n_past;
    bool forgot_past; /* there were more */
    const char *unnamed_calls;
    bool has_odd_casts, has_event_triggers, is_serializable;
};

uint64_t pw_catalog_name_hash(const char *name);

#endif
