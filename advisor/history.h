/*
 * What the advisor remembers between runs and restarts, in SQLite (WAL mode) under state_dir:
 * families (normalized text and counts, never a value), index usage and sizes, advice and what
 * became of it. "Unused since" survives restarts of the server and resets of its statistics. A
 * broken store costs memory of the past, never a run. One thread.
 */
#ifndef ADVISOR_HISTORY_H
#define ADVISOR_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"

struct history;
struct inventory;
struct workload;
struct advice_set;
struct advice_outcome;

/* NULL: *error says why (OWN by caller). */
PW_MUSTUSE struct history *pw_history_open(const char *state_dir, char **error);
void pw_history_close(struct history *h); /* NULL is allowed */

/* Before the rules: sets idle_s of each index from what is remembered, records sizes. */
void pw_history_before(struct history *h, const char *database, struct inventory *inv,
                       uint64_t now_us);
/* After the EXPLAINs: scans is each index's counter now, of which at most `explains` are our own.
 */
void pw_history_after(struct history *h, const char *database, const struct inventory *inv,
                      const double *scans, uint64_t explains, uint64_t now_us);
void pw_history_families(struct history *h, const char *database, const struct workload *w,
                         uint64_t now_us);
void pw_history_advice(struct history *h, const struct advice_set *s);
void pw_history_outcome(struct history *h, const char *database, const struct advice_outcome *o);
/* Families of the last `days` days, without samples of values. */
bool pw_history_workload(struct history *h, const char *database, int days, struct workload *w);

#endif
