/* Why a statement that JIT only slows down gets compiled at all: read from its executed plan. Pure.
 */
#ifndef ADVISOR_JIT_CAUSE_H
#define ADVISOR_JIT_CAUSE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "advisor/mem.h"

struct jit_cause {
    double nodes, partitions;    /* of the plan; table scans under an Append */
    double expected, seen;       /* rows of the node whose estimate is most too high; 0: none */
    char node[64], relation[64]; /* that node */
    bool stops_early;            /* a LIMIT that needs little of what is below it */
};

/* plan: the "Plan" of EXPLAIN (ANALYZE, FORMAT JSON); NULL is allowed. */
void pw_jit_cause_read(const cJSON *plan, struct jit_cause *out);
bool pw_jit_cause_is_estimate(const struct jit_cause *c); /* statistics come first */
/* Sentences to add to advice against JIT, in the arena; "" when there is nothing to say. */
const char *pw_jit_cause_text(const struct jit_cause *c, double functions, struct arena *mem);

#endif
