/* From candidates to "create" advice: what-if, selection, thresholds, and the summary of the
 * workload's cost. */
#ifndef ADVISOR_CREATE_H
#define ADVISOR_CREATE_H

#include "advisor/run.h"

void pw_rules_create(struct advice_run *r);

#endif
