/*
 * What the database has: tables with sizes and write counters, columns with statistics, indexes
 * with every property the rules need, foreign keys, extensions and planner settings. Read once per
 * run; lives in the run's arena; immutable afterwards. System and temporary schemas are left out.
 */
#ifndef ADVISOR_INVENTORY_H
#define ADVISOR_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "advisor/side.h"

#define PW_INV_KEYS 32

struct inv_column {
    const char *name, *type; /* type: format_type */
    int attnum;
    uint32_t type_oid, collation;
    bool not_null, collation_is_c, has_stats;
    char category; /* pg_type.typcategory: N S D B ... */
    int typlen;
    char typalign;
    double null_frac, n_distinct, avg_width, correlation; /* n_distinct as in pg_stats */
    const char *mcv, *mcf, *histogram; /* array texts or NULL; values: never shown */
    const uint16_t *widths; /* of some rows' values on disk (widths.h); NULL: not looked at */
};

struct inv_table {
    uint32_t oid, parent;             /* parent: partitioned table, 0 none */
    const char *schema, *name, *full; /* full: "schema.name" for people */
    char kind;                        /* r, p (partitioned), m */
    bool by_extension, is_partition;
    double rows, pages, bytes, all_visible; /* all_visible: share of pages */
    double n_ins, n_upd, n_del, n_hot, n_dead, n_live, seq_scan, mods_since_analyze;
    bool never_analyzed, never_vacuumed;
    struct inv_column *columns; /* ascending attnum, without dropped ones */
    size_t n_columns;
    int n_widths; /* rows that its columns' widths are of; 0: none yet */
};

struct inv_key {
    int attnum;       /* 0: expression */
    const char *expr; /* pg_get_indexdef of the key: column or expression */
    uint32_t opclass, opfamily, opcintype, collation;
    const char *opcname; /* qualified only when not in pg_catalog */
    bool opc_default, opc_dedup, collation_deterministic;
    int option;                          /* 1 DESC, 2 NULLS FIRST */
    const struct inv_column *expr_stats; /* of an expression: pg_stats of the index; or NULL */
};

struct inv_index {
    uint32_t oid, parent; /* parent: partitioned index it is attached to */
    struct inv_table *table;
    const char *schema, *name, *full, *am, *predicate, *definition, *constraint;
    struct inv_key keys[PW_INV_KEYS]; /* keys first, then INCLUDE columns */
    int n_keys, n_atts;
    bool unique, primary, exclusion, replica_identity, clustered, valid, ready, live;
    bool nulls_not_distinct, dedup_off, by_extension, is_partitioned, has_expression;
    bool expression_stats; /* pg_statistic rows of the index exist: the planner uses them */
    bool fk_target;        /* a foreign key of another table references it */
    char constraint_type;  /* p u x or 0 */
    double bytes, pages, tuples, fillfactor;
    double scans, tuples_read, tuples_fetched; /* pg_stat_user_indexes */
    double scans_standby;                      /* sum over standbys; NAN when not asked */
    double idle_s; /* since last use (PG16+ last_idx_scan); NAN unknown */
};

struct inv_view {
    const char *schema, *name;
    uint32_t oid;
    char *definition; /* read when first needed (needs_from.c); NULL: not yet; "": not readable */
};

struct inv_fk {
    const char *name;
    struct inv_table *child, *parent;
    int child_cols[PW_INV_KEYS], parent_cols[PW_INV_KEYS];
    int n_cols;
    char on_delete, on_update;
};

struct inventory {
    struct inv_table *tables; /* ascending oid */
    size_t n_tables;
    struct inv_view *views;
    size_t n_views;
    struct inv_index *indexes; /* ascending oid */
    size_t n_indexes;
    struct inv_fk *fks;
    size_t n_fks;
    double block_size, stats_age_s; /* since pg_stat_database.stats_reset (or start); NAN unknown */
    double seq_page_cost, random_page_cost, cpu_tuple_cost, cpu_index_tuple_cost, cpu_operator_cost;
    bool has_hypopg, has_trgm, has_pgstattuple, has_pgss;
    bool stats_visible; /* pg_stats rows could be read */
    size_t n_standbys_asked;
    const char *trgm_schema, *pgstattuple_schema, *pgss_schema, *hypopg_schema;
};

/* False only when nothing could be read; lesser trouble becomes notes. */
bool pw_inventory_load(struct inventory *inv, struct side *s);
/* Adds a standby's counters; a failure becomes a note of s and leaves scans_standby NAN. */
void pw_inventory_ask_standby(struct inventory *inv, struct side *s, const char *conninfo);

struct inv_table *pw_inventory_table(const struct inventory *inv, uint32_t oid);
struct inv_index *pw_inventory_index(const struct inventory *inv, uint32_t oid);
/* schema NULL: by search_path order (a list of plain names). A view of that name in the way gives
 * NULL and *view (may be NULL). */
struct inv_table *pw_inventory_find(const struct inventory *inv, const char *search_path,
                                    const char *user, const char *schema, const char *name,
                                    struct inv_view **view);
struct inv_column *pw_inventory_column(const struct inv_table *t, const char *name);
struct inv_column *pw_inventory_attnum(const struct inv_table *t, int attnum);
/* Rows as of the last ANALYZE; before the first one, what the counters say. */
double pw_inventory_rows(const struct inv_table *t);
/* Distinct values as a count, from pg_stats' convention; rows when unknown. */
double pw_inventory_distinct(const struct inv_table *t, const struct inv_column *c);

#endif
