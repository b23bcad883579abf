/*
 * The metrics collector: reads process, host and GPUs, keeps the newest reading and a history of
 * rates, and is itself a collector of pgweir_process_*, pgweir_host_* and pgweir_gpu_*.
 * Control thread. The owner calls pw_sampler_take from a timer (metrics.interval).
 */
#ifndef PROXY_METRICS_SAMPLER_H
#define PROXY_METRICS_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/metrics/collector.h"
#include "proxy/metrics/gpu.h"
#include "proxy/metrics/history.h"
#include "proxy/metrics/host.h"
#include "proxy/metrics/process.h"

struct sampler;

struct sampler_options {
    size_t history; /* samples kept; 0: 10,000 */
    bool gpu;
    const char *proc, *sys; /* NULL: "/proc", "/sys". BORROW, static or longer-lived */
};

struct reading {
    uint64_t mono_us, wall_us; /* 0: nothing read yet */
    struct process_sample process;
    struct host_sample host;
    size_t n_gpus;
    struct gpu_sample gpus[PW_GPUS_MAX];
};

PW_MUSTUSE struct sampler *pw_sampler_new(const struct sampler_options *options);
void pw_sampler_free(struct sampler *s);
/* Reads everything; from the second call on also adds to the history. */
void pw_sampler_take(struct sampler *s, uint64_t mono_us, uint64_t wall_us);
const struct reading *pw_sampler_latest(const struct sampler *s);  /* BORROW until the next take */
const struct history *pw_sampler_history(const struct sampler *s); /* BORROW */

/* pw_collector_add(pw_sampler_collect, sampler) */
void pw_sampler_collect(struct metric_writer *w, void *sampler);
/* The newest max samples, oldest first, as columns: {"t":[...],"cpu":[...], ...}. */
bool pw_sampler_render_history(const struct sampler *s, size_t max, struct buf *out);

#endif
