/*
 * Metrics with labels, written when somebody asks. A room that knows such numbers registers a
 * collector; rendering runs all of them, then the table of metrics.def (so a collector may also set
 * metrics of the control slot from what it knows).
 *
 * The writer keeps the samples of a family together however they arrive, escapes label values and
 * prints Prometheus text 0.0.4 or JSON. Label values must be few: names of databases, users, tables
 * and states are fine, anything a client can invent is not. The same labels twice in one family
 * are a bug of the collectors.
 * Control thread only. Texts are BORROW during the call, except names and help: until rendered.
 */
#ifndef PROXY_METRICS_COLLECTOR_H
#define PROXY_METRICS_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/buf.h"
#include "proxy/metrics/hist.h"
#include "proxy/metrics/metrics.h"

struct metric_writer;

enum family_type { FAMILY_COUNTER, FAMILY_GAUGE, FAMILY_HISTOGRAM };

struct metric_label {
    const char *name, *value;
};

typedef void (*pw_collector)(struct metric_writer *w, void *arg);

enum { PW_COLLECTORS_MAX = 64, PW_METRICS_TEXT_MAX = 32 * 1024 * 1024 };

void pw_collector_add(pw_collector collect, void *arg);
void pw_collector_remove(pw_collector collect, void *arg); /* no-op when it is not there */

/* ---- for collectors ---- */
/* Samples that follow belong to this family; the first call's type and help count. */
void pw_metric_family(struct metric_writer *w, const char *name, enum family_type type,
                      const char *help);
void pw_metric_sample(struct metric_writer *w, const struct metric_label *labels, size_t n,
                      double value);
/* Only in a FAMILY_HISTOGRAM: its buckets, sum and count. */
void pw_metric_sample_hist(struct metric_writer *w, const struct metric_label *labels, size_t n,
                           const struct hist_view *v, enum metric_unit unit);
/* Usage: pw_metric_sample(w, PW_LABELS({"database", name}, {"state", "idle"}), count); */
#define PW_LABELS(...)                                                                             \
    (const struct metric_label[]){__VA_ARGS__},                                                    \
        sizeof((const struct metric_label[]){__VA_ARGS__}) / sizeof(struct metric_label)
#define PW_NO_LABELS NULL, 0

/* ---- for whoever answers ---- */
bool pw_metrics_render_text(struct buf *out); /* Prometheus text 0.0.4 */
/* {"name":[{"labels":{},"value":1}], ...}; histograms as count, sum, p50, p95, p99. */
bool pw_metrics_render_json(struct buf *out);

#endif
