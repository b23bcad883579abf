/* Dates and times as PostgreSQL counts them, as texts that it reads back exactly under any
 * DateStyle, IntervalStyle and TimeZone. False: outside of what the server takes, or no room. Pure.
 */
#ifndef PLANNER_BINARY_TIME_H
#define PLANNER_BINARY_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"

bool pw_binary_date(struct buf *out, int32_t days);                      /* since 2000-01-01 */
bool pw_binary_time(struct buf *out, int64_t us);                        /* since midnight */
bool pw_binary_zone(struct buf *out, int32_t seconds);                   /* west of Greenwich */
bool pw_binary_timestamp(struct buf *out, int64_t us, const char *zone); /* since 2000-01-01 */
bool pw_binary_interval(struct buf *out, int64_t us, int32_t days, int32_t months);

#endif
