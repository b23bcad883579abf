/*
 * Which index each query family uses: now and then one recent statement of a family is planned,
 * never run, on a side connection: EXPLAIN (FORMAT JSON, VERBOSE) in a READ ONLY transaction with
 * short timeouts, then ROLLBACK.
 *
 * With the client's own values, role and settings (planner/sample.h) where there are any: a custom
 * plan; of a named prepared statement the server itself is given the choice that it makes after
 * five executions. Without values (binary ones that we cannot write): a generic plan.
 *
 * Policy: a family is looked at when it is new, then after the interval, more rarely while its
 * plans stay the same, at once when it became twice as slow or its tables' definitions changed;
 * errors back off fourfold and five end it. Each time up to three of its texts are planned, where
 * they differ: the latest, the slowest, a typical one; the indexes of all are uses, in their share.
 * One EXPLAIN at a time, one a second at most, together at most `share` of the observed server
 * time. Only single SELECT, INSERT, UPDATE, DELETE or MERGE statements that call nothing but
 * built-in functions: planning runs immutable and stable functions. Values stay in memory;
 * conditions are logged with ?.
 *
 * What no plan shows is added from the catalog: unique checks, foreign keys' look-ups.
 *
 * Thread: the loop's (control).
 */
#ifndef PLANNER_INDEX_LOG_H
#define PLANNER_INDEX_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "planner/families.h"
#include "proxy/base/buf.h"

struct index_log;
struct index_log_options {
    uint64_t interval_us; /* planner.explain_interval; 0: never */
    double share;         /* planner.explain_share, 0..1 of the observed server time */
    const char *path;     /* planner.index_log: JSON lines, rotated to .1 at 16 MB; "": none */
};

struct index_log *pw_index_log_new(uv_loop_t *uv, const struct index_log_options *options);
void pw_index_log_free(struct index_log *log);
void pw_index_log_configure(struct index_log *log, const struct index_log_options *options);
/* Where to ask; name is for the log. A second call for the same id replaces the first. */
void pw_index_log_database(struct index_log *log, uint32_t id, const char *name,
                           const char *conninfo);
void pw_index_log_database_remove(struct index_log *log, uint32_t id);
/* The merged families of all workers, every second or so: counts uses, and starts what is due. */
void pw_index_log_take(struct index_log *log, const struct families_snapshot *s, uint64_t now_us);
bool pw_index_log_is_busy(const struct index_log *log);

struct index_use {
    uint32_t database_id;
    const char *table, *index, *scan_kind; /* schema.name; BORROW until the next call on the log */
    const char *cond;                      /* of the last plan, literals as ?; "" when none */
    uint64_t families, uses,
        last_used_us;   /* uses: calls of families whose plan uses it; wall clock */
    uint64_t own_scans; /* what our EXPLAINs added to the server's idx_scan: subtract */
};
typedef void (*pw_on_index_use)(void *arg, const struct index_use *use);
/* Adds what an earlier run knew of an index (families is not looked at). */
void pw_index_log_remember(struct index_log *log, const struct index_use *use);
/* Also indexes that only our own EXPLAINs touched: last_used_us is 0 then. */
void pw_index_log_each(const struct index_log *log, pw_on_index_use cb, void *arg);
/* One index, "schema.name"; false when no family was seen to use it (own_scans is set all the
 * same). */
bool pw_index_log_use(const struct index_log *log, uint32_t database_id, const char *index,
                      struct index_use *out);
/* "s.i1, s.i2" of one family's last plan; nothing when it was not looked at or uses none. */
void pw_index_log_of_family(const struct index_log *log, uint32_t database_id, uint64_t family,
                            struct buf *out);

/* The same with how: "s.i1 (Index Scan), s.i2 (Unique Check)". */
void pw_index_log_uses_of_family(const struct index_log *log, uint32_t database_id, uint64_t family,
                                 struct buf *out);
struct index_family {
    uint64_t plan_hash, plan_changes, looked_at; /* zeros: never looked at */
};
void pw_index_log_family(const struct index_log *log, uint32_t database_id, uint64_t family,
                         struct index_family *out);

/* Is this text exactly one SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES or TABLE, so that EXPLAIN
 * in front of it plans all of it? Pure; any thread. */
bool pw_index_is_one_statement(const char *sample);

struct index_log_stats {
    uint64_t explains, errors, refused, spent_us;
};
void pw_index_log_stats(const struct index_log *log, struct index_log_stats *out);

#endif
