#include "proxy/metrics/sampler.h"

#include <math.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/metrics/json.h"

enum { HISTORY_DEFAULT = 10000 };

struct totals { /* counters of ours at the last reading */
    uint64_t requests, cache_hits;
    struct hist_view queries;
};

struct sampler {
    const char *proc, *sys; /* BORROW */
    struct gpu_nvml *nvml;  /* OWN; NULL when there is none */
    bool gpu;
    struct history *history; /* OWN */
    struct reading latest;
    struct totals totals;
};

struct sampler *pw_sampler_new(const struct sampler_options *options)
{
    struct sampler *s = pw_alloc(sizeof *s);
    s->proc = options->proc ? options->proc : "/proc";
    s->sys = options->sys ? options->sys : "/sys";
    s->gpu = options->gpu;
    s->nvml = options->gpu ? pw_gpu_nvml_open(NULL) : NULL;
    s->history = pw_history_new(options->history ? options->history : HISTORY_DEFAULT);
    return s;
}

void pw_sampler_free(struct sampler *s)
{
    if (!s)
        return;
    pw_gpu_nvml_close(s->nvml);
    pw_history_free(s->history);
    pw_free(s);
}

const struct reading *pw_sampler_latest(const struct sampler *s)
{
    return &s->latest;
}

const struct history *pw_sampler_history(const struct sampler *s)
{
    return s->history;
}

static void read_all(struct sampler *s, struct reading *r)
{
    pw_process_read(s->proc, &r->process);
    pw_host_read(s->proc, s->sys, &r->host);
    r->n_gpus = s->nvml ? pw_gpu_nvml_read(s->nvml, r->gpus, PW_GPUS_MAX) : 0;
    if (s->gpu)
        r->n_gpus += pw_gpu_amd_read(s->sys, r->gpus + r->n_gpus, PW_GPUS_MAX - r->n_gpus);
}

static void read_totals(struct totals *t)
{
    t->requests = pw_metric_read(PW_METRIC_REQUESTS);
    t->cache_hits = pw_metric_read(PW_METRIC_CACHE_HITS);
    pw_metric_hist_read(PW_HIST_QUERY, &t->queries);
}

/* A counter that went backwards (a device that went away) counts as standing still. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
    return now > before ? (double)(now - before) / seconds : 0;
}

static void host_ratios(const struct host_sample *now, const struct host_sample *before,
                        struct history_sample *out)
{
    double total = 0;
    for (int m = 0; m < HOST_CPU_MODES; m++)
        total += now->cpu_s[m] - before->cpu_s[m];
    if (total <= 0)
        return;
    double wait = now->cpu_s[HOST_CPU_IOWAIT] - before->cpu_s[HOST_CPU_IOWAIT];
    double idle = now->cpu_s[HOST_CPU_IDLE] - before->cpu_s[HOST_CPU_IDLE];
    out->iowait_ratio = fmin(1, fmax(0, wait / total));
    out->host_cpu_ratio = fmin(1, fmax(0, (total - idle - wait) / total));
}

static void gpu_columns(const struct reading *r, struct history_sample *out)
{
    out->gpu_ratio = out->gpu_memory_bytes = NAN;
    for (size_t i = 0; i < r->n_gpus; i++) {
        out->gpu_ratio = fmax(out->gpu_ratio, r->gpus[i].utilization_ratio); /* ignores NAN */
        if (!isnan(r->gpus[i].memory_used_bytes))
            out->gpu_memory_bytes = r->gpus[i].memory_used_bytes +
                                    (isnan(out->gpu_memory_bytes) ? 0 : out->gpu_memory_bytes);
    }
}

static void push(struct sampler *s, const struct reading *now, const struct totals *totals)
{
    const struct reading *before = &s->latest;
    const struct process_sample *p = &now->process, *q = &before->process;
    double seconds = (double)(now->mono_us - before->mono_us) / 1e6;
    struct history_sample h = {.wall_us = now->wall_us};
    double cpu = p->cpu_user_s + p->cpu_system_s - q->cpu_user_s - q->cpu_system_s;
    h.cpu_cores = fmax(0, cpu / seconds);
    h.io_read_bps = rate(p->io_read_bytes, q->io_read_bytes, seconds);
    h.io_write_bps = rate(p->io_write_bytes, q->io_write_bytes, seconds);
    h.net_rx_bps = rate(now->host.net_rx_bytes, before->host.net_rx_bytes, seconds);
    h.net_tx_bps = rate(now->host.net_tx_bytes, before->host.net_tx_bytes, seconds);
    h.rss_bytes = p->rss_bytes;
    h.threads = p->threads;
    if (now->host.memory_total > now->host.memory_available)
        h.host_memory_used = now->host.memory_total - now->host.memory_available;
    host_ratios(&now->host, &before->host, &h);
    gpu_columns(now, &h);
    h.requests_per_s = rate(totals->requests, s->totals.requests, seconds);
    h.cache_hits_per_s = rate(totals->cache_hits, s->totals.cache_hits, seconds);
    struct hist_view interval = totals->queries;
    pw_hist_subtract(&interval, &s->totals.queries);
    h.p50_s = interval.count ? pw_hist_quantile(&interval, 0.50) / 1e6 : NAN;
    h.p95_s = interval.count ? pw_hist_quantile(&interval, 0.95) / 1e6 : NAN;
    h.p99_s = interval.count ? pw_hist_quantile(&interval, 0.99) / 1e6 : NAN;
    pw_history_push(s->history, &h);
}

void pw_sampler_take(struct sampler *s, uint64_t mono_us, uint64_t wall_us)
{
    struct reading now = {.mono_us = mono_us, .wall_us = wall_us};
    struct totals totals;
    read_all(s, &now);
    read_totals(&totals);
    if (s->latest.mono_us && mono_us > s->latest.mono_us)
        push(s, &now, &totals);
    s->latest = now;
    s->totals = totals;
}

/* ---- JSON columns -----------------------------------------------------------------------------
 */

#define FIELD(name, member, scale)                                                                 \
    {                                                                                              \
        name, offsetof(struct history_sample, member), scale                                       \
    }
struct field {
    const char *name;
    size_t offset;
    double scale;
};
static const struct field double_fields[] = {
    FIELD("cpu", cpu_cores, 1),
    FIELD("host_cpu", host_cpu_ratio, 1),
    FIELD("iowait", iowait_ratio, 1),
    FIELD("io_read", io_read_bps, 1),
    FIELD("io_write", io_write_bps, 1),
    FIELD("net_rx", net_rx_bps, 1),
    FIELD("net_tx", net_tx_bps, 1),
    FIELD("gpu", gpu_ratio, 1),
    FIELD("gpu_memory", gpu_memory_bytes, 1),
    FIELD("rps", requests_per_s, 1),
    FIELD("hits", cache_hits_per_s, 1),
    FIELD("p50_ms", p50_s, 1000),
    FIELD("p95_ms", p95_s, 1000),
    FIELD("p99_ms", p99_s, 1000),
};
static const struct field integer_fields[] = {
    FIELD("rss", rss_bytes, 1),
    FIELD("host_memory", host_memory_used, 1),
    FIELD("threads", threads, 1),
};

static double field_value(const struct history_sample *h, const struct field *f, bool integer)
{
    const char *at = (const char *)h + f->offset;
    if (integer) {
        uint64_t v;
        memcpy(&v, at, sizeof v);
        return (double)v * f->scale;
    }
    double v;
    memcpy(&v, at, sizeof v);
    return v * f->scale;
}

static void put_column(const struct sampler *s, size_t n, const struct field *f, bool integer,
                       struct buf *out)
{
    pw_buf_printf(out, ",\n\"%s\":[", f->name);
    for (size_t i = n; i-- > 0;) {
        pw_json_number(out, field_value(pw_history_at(s->history, i), f, integer));
        pw_buf_append_str(out, i ? "," : "");
    }
    pw_buf_append_u8(out, ']');
}

bool pw_sampler_render_history(const struct sampler *s, size_t max, struct buf *out)
{
    size_t n = pw_history_count(s->history);
    n = n < max ? n : max;
    pw_buf_append_str(out, "{\"t\":[");
    for (size_t i = n; i-- > 0;) {
        pw_json_number(out, (double)(pw_history_at(s->history, i)->wall_us / 1000));
        pw_buf_append_str(out, i ? "," : "");
    }
    pw_buf_append_u8(out, ']');
    for (size_t i = 0; i < PW_COUNT_OF(double_fields); i++)
        put_column(s, n, &double_fields[i], false, out);
    for (size_t i = 0; i < PW_COUNT_OF(integer_fields); i++)
        put_column(s, n, &integer_fields[i], true, out);
    return pw_buf_append_str(out, "}\n") && !out->failed;
}
