/*
 * Counters, gauges and histograms. Each thread that counts has its own cache-line-aligned slot and
 * is its only writer (relaxed load and store, no locked instruction); readers add the slots up.
 * The slots are static: they exist from the first instruction of the process to its last.
 *
 * What has labels is not in the table: a collector (collector.h) writes those families when asked.
 */
#ifndef PROXY_METRICS_METRICS_H
#define PROXY_METRICS_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "proxy/metrics/hist.h"

enum metric {
#define METRIC(id, type, name, help) PW_METRIC_##id,
#define HISTOGRAM(id, unit, name, help)
#include "proxy/metrics/metrics.def"
#undef METRIC
#undef HISTOGRAM
    PW_METRIC_COUNT
};

enum metric_hist {
#define METRIC(id, type, name, help)
#define HISTOGRAM(id, unit, name, help) PW_HIST_##id,
#include "proxy/metrics/metrics.def"
#undef METRIC
#undef HISTOGRAM
    PW_HIST_COUNT
};

enum metric_type {
    PW_METRIC_COUNTER,
    PW_METRIC_COUNTER_US,
    PW_METRIC_GAUGE,
    PW_METRIC_GAUGE_PPM,
};
enum metric_unit { PW_UNIT_US, PW_UNIT_COUNT };

/* Slot numbers: 0 and up are the workers; the other threads have names. */
enum {
    PW_SLOT_CONTROL = -1,
    PW_SLOT_ANALYSIS = -2,
    PW_SLOT_ADVISOR = -3,
    PW_SLOT_WORKERS_MAX = 128,
};

struct metric_slot {
    _Alignas(64) _Atomic uint64_t values[PW_METRIC_COUNT];
    _Alignas(64) struct hist hists[PW_HIST_COUNT];
};

/* Never NULL; a worker number outside the range aborts. BORROW for ever. */
struct metric_slot *pw_metrics_slot(int worker);

/* The slot's own thread only. */
static inline void pw_metric_add(struct metric_slot *s, enum metric m, uint64_t n)
{
    pw_hist_bump(&s->values[m], n);
}

static inline void pw_metric_inc(struct metric_slot *s, enum metric m)
{
    pw_hist_bump(&s->values[m], 1);
}

static inline void pw_metric_sub(struct metric_slot *s, enum metric m, uint64_t n)
{
    pw_hist_bump(&s->values[m], (uint64_t)0 - n); /* wraps; the sum over the slots is right */
}

static inline void pw_metric_set(struct metric_slot *s, enum metric m, uint64_t v)
{
    atomic_store_explicit(&s->values[m], v, memory_order_relaxed);
}

/* A duration in microseconds, or a size for COUNT histograms. */
static inline void pw_metric_observe(struct metric_slot *s, enum metric_hist h, uint64_t v)
{
    pw_hist_add(&s->hists[h], v);
}

/* Any thread: the sum over all slots. A gauge that is momentarily negative reads as 0. */
uint64_t pw_metric_read(enum metric m);
double pw_metric_value(enum metric m); /* in the exported unit */
void pw_metric_hist_read(enum metric_hist h, struct hist_view *out);

const char *pw_metric_name(enum metric m);
const char *pw_metric_help(enum metric m);
enum metric_type pw_metric_type(enum metric m);
const char *pw_metric_hist_name(enum metric_hist h);
const char *pw_metric_hist_help(enum metric_hist h);
enum metric_unit pw_metric_hist_unit(enum metric_hist h);

#endif
