/* A ring of the newest samples: rates over one interval, ready to draw. Control thread. */
#ifndef PROXY_METRICS_HISTORY_H
#define PROXY_METRICS_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"

struct history_sample {
    uint64_t wall_us;
    double cpu_cores;                    /* processors' worth of time this process used */
    double host_cpu_ratio, iowait_ratio; /* 0..1 of all processors */
    double io_read_bps, io_write_bps;    /* this process, storage, bytes per second */
    double net_rx_bps, net_tx_bps;       /* the host */
    uint64_t rss_bytes, host_memory_used, threads;
    double gpu_ratio;                        /* the busiest GPU; NAN without one */
    double gpu_memory_bytes;                 /* all GPUs; NAN without one */
    double requests_per_s, cache_hits_per_s; /* this process */
    double p50_s, p95_s, p99_s;              /* of the interval; NAN when there was no request */
};

struct history;

PW_MUSTUSE struct history *pw_history_new(size_t capacity);
void pw_history_free(struct history *h);
void pw_history_push(struct history *h, const struct history_sample *s); /* drops the oldest */
size_t pw_history_count(const struct history *h);
/* 0 is the newest. BORROW until the next push. NULL past the end. */
const struct history_sample *pw_history_at(const struct history *h, size_t age);

#endif
