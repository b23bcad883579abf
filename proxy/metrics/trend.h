/* Where things are going: straight lines through the newest samples. Pure. */
#ifndef PROXY_METRICS_TREND_H
#define PROXY_METRICS_TREND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/metrics/history.h"

enum { PW_TREND_SAMPLES = 100 };

/* Input and output count as intensive when the host's processors waited for storage more than this
 * share of the time, or this process moved more than this many bytes per second, on average. */
#define PW_TREND_IOWAIT_RATIO 0.20
#define PW_TREND_IO_BPS       (50.0 * 1024 * 1024)

struct trend {
    size_t samples;              /* how many there were, at most PW_TREND_SAMPLES */
    double seconds;              /* between the oldest and the newest of them */
    double cpu_slope_per_min;    /* cores per minute, least squares */
    double memory_slope_per_min; /* bytes per minute, least squares */
    double cpu_average;          /* cores */
    uint64_t memory_peak;        /* bytes */
    double io_bps, iowait_ratio; /* averages behind io_intensive */
    bool io_intensive;
};

void pw_trend_read(const struct history *h, struct trend *out);

#endif
