/* Time. Monotonic microseconds for durations, wall microseconds since 1970 for people. */
#ifndef PROXY_BASE_CLOCK_H
#define PROXY_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t pw_clock_us(void);        /* CLOCK_MONOTONIC */
uint64_t pw_clock_thread_us(void); /* CPU time of the calling thread */
uint64_t pw_clock_wall_us(void);   /* CLOCK_REALTIME */
/* Writes "2026-01-31T12:34:56.789Z" (UTC) and returns out; size must be at least 25. */
char *pw_clock_iso(uint64_t wall_us, char *out, size_t size);

#endif
