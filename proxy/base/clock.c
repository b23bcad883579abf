#include "proxy/base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t pw_clock_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t pw_clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t pw_clock_thread_us(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

char *pw_clock_iso(uint64_t wall_us, char *out, size_t size)
{
    time_t seconds = (time_t)(wall_us / 1000000u);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, size - n, ".%03uZ", (unsigned)(wall_us / 1000u % 1000u));
    return out;
}
