/*
 * The console's views: one row each in the table of its file, made of what every worker knows and
 * what control knows. Shared by the files of this folder. Control thread, except collect.
 */
#ifndef PROXY_CONTROL_SHOW_H
#define PROXY_CONTROL_SHOW_H

#include "planner/families.h"
#include "proxy/control/control_priv.h"

/* The parts of a view's answer; exactly one of build, collect and families is set. */
struct view {
    struct admin_command command;
    const struct table_column *columns;
    size_t n_columns;
    /* Control: from the pools' rows, refreshed a moment ago, and from the rooms. */
    void (*build)(struct control *c, struct table *t, const struct admin_call *call);
    /* Each worker's thread: rows of its own. */
    void (*collect)(struct worker *w, struct table *t);
    /* Control: from the query families of all workers, largest total time first; at most limit. */
    void (*families)(struct control *c, struct table *t, const struct families_snapshot *s,
                     size_t limit);
    size_t limit; /* of [n], when there is none */
};

enum { SHOW_LIMIT_MAX = 10000 };

void pw_view_run(struct admin_call *call); /* command.run of every view; call->arg is control */
void pw_views_register(struct control *c, const struct view *views, size_t n);
#define PW_VIEW(words_, args_, help_, columns_)                                                    \
    .command = {words_, ADMIN_STATS, args_, help_, pw_view_run}, .columns = columns_,              \
    .n_columns = PW_COUNT_OF(columns_)

/* The files' views and commands. */
void pw_show_register_pools(struct control *c);
void pw_show_register_stats(struct control *c);
void pw_show_register_sessions(struct control *c);
void pw_show_register_state(struct control *c);
void pw_show_register_cache(struct control *c);
void pw_show_register_families(struct control *c);
void pw_show_register_indexes(struct control *c);
void pw_show_register_explain(struct control *c);
void pw_show_register_advice(struct control *c);
void pw_show_register_ops(struct control *c);
void pw_show_register_process_ops(struct control *c);

/* ---- helpers ---- */
/* The configuration's row for a database that exists, else NULL: "*" stands for any name, but a
 * question must not make the process remember one. */
const struct conf_database *pw_show_find_database(struct control *c, const char *name);
/* Cell "2026-01-31 12:34:56 UTC" of a monotonic moment; 0: NULL. */
void pw_show_put_time(struct table *t, uint64_t mono_us);
/* A pool's gauges as of now: that worker's thread. */
void pw_show_refresh_pools(struct worker *w);
/* A client's number in SHOW CLIENTS: its session and its worker. */
static inline uint64_t pw_client_number(uint64_t session_id, unsigned worker)
{
    return session_id * CONTROL_WORKERS_MAX + worker;
}

/* Gathers the families of all workers, merged and sorted, and hands them over. snapshot is NULL
 * when the process is stopping. */
typedef void (*pw_on_families)(struct control *c, struct families_snapshot *snapshot, void *arg);
void pw_families_gather(struct control *c, pw_on_families on_families, void *arg);

/* show_names.c: a table's name as schema.table into out, from the catalog snapshot; its number
 * when the catalog does not know it. */
struct table_names;
struct table_names *pw_table_names_new(struct control *c);
void pw_table_names_free(struct table_names *n);
void pw_table_names_put(struct table_names *n, uint32_t database_id, uint32_t oid, char *out,
                        size_t size);
/* The tables that "name" or "schema.name" means in a database; returns how many were written. */
size_t pw_table_oids(struct control *c, uint32_t database_id, const char *name, uint32_t *out,
                     size_t max);
/* The database's name, "" when unknown. BORROW from the registry of pools. */
const char *pw_database_name(struct control *c, uint32_t database_id);

/* The pools' rows by database, user and worker. OWN by the caller, who frees the array only. */
const struct pool_row **pw_show_rows_sorted(struct control *c, size_t *n);

const struct families_past *pw_control_families_past(const struct control *c); /* index_uses.c */
/* index_uses.c: two cells, the hash of a family's plan and how often it changed. */
void pw_index_plan_put(struct control *c, struct table *t, uint32_t database_id, uint64_t family);
/* index_uses.c: cell with the names of the indexes a family was seen to use. */
void pw_index_names_put(struct control *c, struct table *t, uint32_t database_id, uint64_t family);

/* Cells families, uses, last_used, scan_kind of one index ("schema.name"). Returns what our own
 * EXPLAINs added to the server's idx_scan of it. */
uint64_t pw_index_use_put(struct control *c, struct table *t, uint32_t database_id,
                          const char *index);
void pw_index_end_asking(struct control *c); /* show_indexes.c: the process is stopping */
void pw_index_collect(struct metric_writer *w, struct control *c); /* pgweir_index_uses_total */
/* show_state.c: is every catalog that is wanted there? */
bool pw_catalogs_are_ready(struct control *c);

/* show_stats.c: sums over a database's pools, and what they were a period ago. */
struct stats_period;
struct stats_period *pw_stats_period_new(void);
void pw_stats_period_free(struct stats_period *p);
void pw_stats_period_second(struct control *c, struct stats_period *p);

/* ops.c: PAUSE waits here. */
struct op_waits;
struct op_waits *pw_op_waits_new(struct control *c);
void pw_op_waits_free(struct op_waits *o); /* asynchronous */

struct show_state {
    struct stats_period *stats; /* OWN */
    struct op_waits *waits;     /* OWN */
    struct explains *explains;  /* OWN */
    struct list asking;         /* OWN; SHOW INDEXES under way */
};

#endif
