/*
 * The SQL that builds an index without blocking writes: CONCURRENTLY, and on a partitioned table
 * partition by partition, however deep, attached to an index of the parent. Advisor thread.
 */
#ifndef ADVISOR_BUILD_SQL_H
#define ADVISOR_BUILD_SQL_H

#include "advisor/run.h"

/* A name that no index has and no advice of this set; wanted, or wanted with a number. */
const char *pw_build_name(const struct advice_run *r, const char *schema, const char *wanted);
/* rest: what follows the table's name, " (a, b)". One statement a line; in the set's memory. */
char *pw_build_sql(struct advice_run *r, const struct inv_table *t, const char *name,
                   const char *rest);
char *pw_build_undo_sql(struct advice_run *r, const struct inv_table *t, const char *name);

#endif
