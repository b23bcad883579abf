/* Tables that a statement reads and writes: a RangeVar of the tree -> oids in the draft, with
 * everything that follows from them (views, partitions, cascades, triggers, defaults). See
 * classify.h for threads. */
#ifndef PLANNER_DEPEND_H
#define PLANNER_DEPEND_H

#include "planner/classify.h"

void pw_depend_read(struct classify *c, const cJSON *rangevar);
/* may_remove: it may update, delete or truncate rows, so that foreign keys act. */
void pw_depend_write(struct classify *c, const cJSON *rangevar, bool may_remove);

#endif
