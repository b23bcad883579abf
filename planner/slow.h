/*
 * The slow query log: one line for a request that took longer than planner.slow_query, with its
 * family and normalized text, never a literal. At most a few lines a second and thread, then only
 * their number. Any thread; not a hot path.
 */
#ifndef PLANNER_SLOW_H
#define PLANNER_SLOW_H

#include <stdint.h>

#include "planner/families.h"

struct slow_log { /* one per thread; zeroed at first */
    uint64_t second_us;
    uint32_t written, suppressed;
};

void pw_slow_log(struct slow_log *log, const struct plan *plan, const struct family_sample *s,
                 const char *database, const char *user);

#endif
