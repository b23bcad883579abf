/* Values for the parameters of a statement that came without any (pg_stat_statements): drawn from
 * the column's statistics. They are used in EXPLAIN only: never logged, never reported. */
#ifndef ADVISOR_PARAMS_H
#define ADVISOR_PARAMS_H

#include "advisor/whatif.h"

void pw_params_fill(struct advice_run *r, const struct need_statement *st,
                    const struct workload_family *f, struct whatif_query *q);
/* The n-th element of an array text ("{a,\"b c\"}"), or NULL. In the arena. */
char *pw_params_element(struct arena *mem, const char *array, size_t n);
size_t pw_params_count(const char *array);

#endif
