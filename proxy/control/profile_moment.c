/*
 * The proxy's counters, its threads' CPU and the host at one moment; and what happened between two.
 * Control thread.
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "advisor/profile.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/control/profile.h"
#include "proxy/control/show.h"

enum { THREADS_MAX = 128, CURVE_MAX = 10000 };

struct thread_cpu {
    long id;
    char name[32];
    double cpu_s;
};

struct profile_moment {
    uint64_t wall_us, mono_us;
    double values[PW_METRIC_COUNT]; /* in the exported unit */
    struct hist_view hists[PW_HIST_COUNT];
    struct reading host; /* the sampler's newest */
    struct thread_cpu threads[THREADS_MAX];
    size_t n_threads;
    uint64_t received, sent; /* bytes from and to clients, all pools */
};

uint64_t pw_profile_moment_wall_us(const struct profile_moment *m)
{
    return m->wall_us;
}

void pw_profile_moment_free(struct profile_moment *m)
{
    pw_free(m);
}

static bool read_thread(const char *task, struct thread_cpu *out)
{
    char path[300], text[1024];
    snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", task);
    FILE *f = fopen(path, "r");
    char *line = f ? fgets(text, sizeof text, f) : NULL;
    if (f)
        fclose(f);
    const char *open = line ? strchr(line, '(') : NULL, *end = line ? strrchr(line, ')') : NULL;
    unsigned long user, kernel;
    if (!open || !end ||
        sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) !=
            2)
        return false;
    out->id = strtol(task, NULL, 10);
    snprintf(out->name, sizeof out->name, "%.*s", (int)(end - open - 1), open + 1);
    out->cpu_s = (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

static void read_threads(struct profile_moment *m)
{
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *e; dir && m->n_threads < THREADS_MAX && (e = readdir(dir));)
        if (e->d_name[0] != '.')
            m->n_threads += read_thread(e->d_name, &m->threads[m->n_threads]);
    if (dir)
        closedir(dir);
}

struct profile_moment *pw_profile_moment_take(struct control *c)
{
    struct profile_moment *m = pw_alloc(sizeof(*m));
    m->wall_us = pw_clock_wall_us();
    m->mono_us = pw_clock_us();
    for (int k = 0; k < PW_METRIC_COUNT; k++)
        m->values[k] = pw_metric_value((enum metric)k);
    for (int k = 0; k < PW_HIST_COUNT; k++)
        pw_metric_hist_read((enum metric_hist)k, &m->hists[k]);
    m->host = *pw_sampler_latest(c->sampler);
    read_threads(m);
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next) {
        m->received += atomic_load_explicit(&r->stats.received, memory_order_relaxed);
        m->sent += atomic_load_explicit(&r->stats.sent, memory_order_relaxed);
    }
    return m;
}

/* ---- what happened ---- */

struct window {
    struct profile *p;
    const struct profile_moment *from, *to;
    double seconds;
};

static double grown(const struct window *w, enum metric m)
{
    return w->to->values[m] - w->from->values[m];
}

static void put(const struct window *w, const char *group, const char *name, const char *unit,
                double v)
{
    if (isfinite(v))
        pw_profile_add_reading(w->p, group, name, unit, v, NAN);
}

static double thread_used(const struct window *w, const struct thread_cpu *t)
{
    for (size_t i = 0; i < w->from->n_threads; i++)
        if (w->from->threads[i].id == t->id)
            return t->cpu_s - w->from->threads[i].cpu_s;
    return t->cpu_s;
}

/* Where the proxy itself spends its time: its threads, those of one name together. */
static void add_threads(const struct window *w, double requests)
{
    double all = 0;
    for (size_t k = 0; k < w->to->n_threads; k++) {
        const struct thread_cpu *t = &w->to->threads[k];
        double used = 0;
        bool first = true;
        for (size_t i = 0; i < w->to->n_threads; i++) {
            if (strcmp(w->to->threads[i].name, t->name) != 0)
                continue;
            first = first && i >= k;
            used += thread_used(w, &w->to->threads[i]);
        }
        if (!first)
            continue;
        char name[64];
        snprintf(name, sizeof name, "CPU of thread %s", t->name);
        put(w, "proxy", name, "s", used);
        all += used;
    }
    put(w, "proxy", "CPU per request", "us", requests > 0 ? all * 1e6 / requests : NAN);
}

static void add_hist(const struct window *w, enum metric_hist h, const char *name)
{
    struct hist_view v = w->to->hists[h];
    char text[64];
    pw_hist_subtract(&v, &w->from->hists[h]);
    if (!v.count)
        return;
    snprintf(text, sizeof text, "%s, mean", name);
    put(w, "proxy", text, "us", pw_hist_mean(&v));
    snprintf(text, sizeof text, "%s, p99", name);
    put(w, "proxy", text, "us", pw_hist_quantile(&v, 0.99));
}

static void add_proxy(const struct window *w, unsigned n_workers)
{
    double requests = grown(w, PW_METRIC_REQUESTS), turns = grown(w, PW_METRIC_LOOP_TURNS);
    double memo = grown(w, PW_METRIC_PLAN_HITS) + grown(w, PW_METRIC_PLAN_MISSES);
    double hits = grown(w, PW_METRIC_CACHE_HITS), misses = grown(w, PW_METRIC_CACHE_MISSES);
    const struct process_sample *a = &w->from->host.process, *b = &w->to->host.process;
    put(w, "proxy", "requests answered", "", requests);
    put(w, "proxy", "request errors", "", grown(w, PW_METRIC_REQUEST_ERRORS));
    put(w, "proxy", "bytes from clients", "B", (double)(w->to->received - w->from->received));
    put(w, "proxy", "bytes to clients", "B", (double)(w->to->sent - w->from->sent));
    add_threads(w, requests);
    if (grown(w, PW_METRIC_LOOP_BUSY) > 0)
        put(w, "proxy", "loops busy", "%",
            100 * grown(w, PW_METRIC_LOOP_BUSY) / (w->seconds * (n_workers ? n_workers : 1)));
    put(w, "proxy", "requests per loop turn", "", requests / turns);
    put(w, "proxy", "reads per request", "", grown(w, PW_METRIC_LOOP_READS) / requests);
    put(w, "proxy", "writes per request", "", grown(w, PW_METRIC_LOOP_WRITES) / requests);
    put(w, "proxy", "statements known", "%", 100 * grown(w, PW_METRIC_PLAN_HITS) / memo);
    put(w, "proxy", "statement shapes analysed", "", grown(w, PW_METRIC_ANALYSIS_JOBS));
    put(w, "proxy", "statements not understood", "", grown(w, PW_METRIC_PLAN_OPAQUE));
    put(w, "proxy", "cache hit rate", "%", 100 * hits / (hits + misses));
    if (grown(w, PW_METRIC_CACHE_SAVED) > 0)
        put(w, "proxy", "server time saved by the cache", "s", grown(w, PW_METRIC_CACHE_SAVED));
    put(w, "proxy", "server connections opened", "", grown(w, PW_METRIC_SERVER_CONNECTS));
    add_hist(w, PW_HIST_WAIT, "wait for a connection");
    add_hist(w, PW_HIST_SERVER_QUERY, "time on the server");
    add_hist(w, PW_HIST_CACHE_HIT, "cache hit");
    add_hist(w, PW_HIST_ANALYSIS, "analysis of a shape");
    add_hist(w, PW_HIST_SERVER_CONNECT, "opening a server connection");
    put(w, "proxy", "storage read", "B", (double)(b->io_read_bytes - a->io_read_bytes));
    put(w, "proxy", "storage written", "B", (double)(b->io_write_bytes - a->io_write_bytes));
}

static void add_host(const struct window *w)
{
    const struct host_sample *a = &w->from->host.host, *b = &w->to->host.host;
    double seconds = (double)(w->to->host.mono_us - w->from->host.mono_us) / 1e6;
    put(w, "host", "load 1 min", "", b->load1);
    put(w, "host", "processors", "", (double)b->processors);
    put(w, "host", "disk read", "B", (double)(b->disk_read_bytes - a->disk_read_bytes));
    put(w, "host", "disk written", "B", (double)(b->disk_write_bytes - a->disk_write_bytes));
    put(w, "host", "disk busy", "%", 100 * (b->disk_io_time_s - a->disk_io_time_s) / seconds);
    put(w, "host", "network received", "B", (double)(b->net_rx_bytes - a->net_rx_bytes));
    put(w, "host", "network sent", "B", (double)(b->net_tx_bytes - a->net_tx_bytes));
    if (!a->has_pressure || !b->has_pressure)
        return;
    put(w, "host", "stalled for CPU", "%", 100 * (b->pressure_cpu_s - a->pressure_cpu_s) / seconds);
    put(w, "host", "stalled for I/O", "%", 100 * (b->pressure_io_s - a->pressure_io_s) / seconds);
    put(w, "host", "stalled for memory", "%",
        100 * (b->pressure_memory_s - a->pressure_memory_s) / seconds);
}

static void add_gpus(const struct window *w)
{
    for (size_t k = 0; k < w->to->host.n_gpus; k++) {
        const struct gpu_sample *g = &w->to->host.gpus[k];
        char group[64];
        snprintf(group, sizeof group, "gpu %s", g->index);
        put(w, group, "utilization at the end", "%", 100 * g->utilization_ratio);
        put(w, group, "memory used", "B", g->memory_used_bytes);
        put(w, group, "temperature", "C", g->temperature_celsius);
        put(w, group, "power", "W", g->power_watts);
    }
}

/* ---- curves, from the sampler's history ---- */

#define CURVE(group, name, unit, member, scale)                                                    \
    {                                                                                              \
        group, name, unit, offsetof(struct history_sample, member), scale, false                   \
    }
#define CURVE_COUNT(group, name, unit, member)                                                     \
    {                                                                                              \
        group, name, unit, offsetof(struct history_sample, member), 1, true                        \
    }

static const struct curve {
    const char *group, *name, *unit;
    size_t at;
    double scale;
    bool is_count; /* a uint64_t */
} curves[] = {
    CURVE("host", "processors used", "%", host_cpu_ratio, 100),
    CURVE("host", "waiting for storage", "%", iowait_ratio, 100),
    CURVE_COUNT("host", "memory used", "B", host_memory_used),
    CURVE("gpu", "busiest GPU", "%", gpu_ratio, 100),
    CURVE("gpu", "GPU memory used", "B", gpu_memory_bytes, 1),
    CURVE("proxy", "processors used by the proxy", "cores", cpu_cores, 1),
    CURVE_COUNT("proxy", "memory of the proxy", "B", rss_bytes),
    CURVE("proxy", "requests", "1/s", requests_per_s, 1),
    CURVE("proxy", "cache hits", "1/s", cache_hits_per_s, 1),
    CURVE("proxy", "latency p50", "ms", p50_s, 1000),
    CURVE("proxy", "latency p99", "ms", p99_s, 1000),
};

static double value_of(const struct curve *c, const struct history_sample *s)
{
    const char *at = (const char *)s + c->at;
    uint64_t n;
    double v;
    memcpy(&n, at, sizeof n);
    memcpy(&v, at, sizeof v);
    return (c->is_count ? (double)n : v) * c->scale;
}

static void add_curve(const struct window *w, const struct history *h, const struct curve *c,
                      size_t n, double *seconds, double *v)
{
    double sum = 0, peak = 0;
    size_t known = 0;
    for (size_t k = 0; k < n; k++) {
        const struct history_sample *s = pw_history_at(h, n - 1 - k);
        seconds[k] = ((double)s->wall_us - (double)w->from->wall_us) / 1e6;
        v[k] = value_of(c, s);
        if (isnan(v[k]))
            continue;
        sum += v[k];
        peak = fmax(peak, v[k]);
        known++;
    }
    if (!known)
        return;
    pw_profile_add_reading(w->p, c->group, c->name, c->unit, sum / (double)known, peak);
    pw_profile_add_curve(w->p, c->name, c->unit, seconds, v, n);
}

static void add_curves(const struct window *w, const struct history *h)
{
    size_t n = 0, have = pw_history_count(h);
    while (n < have && n < CURVE_MAX && pw_history_at(h, n)->wall_us > w->from->wall_us)
        n++;
    if (!n) {
        pw_profile_note(w->p, "the window is shorter than metrics.interval: no curves of the load");
        return;
    }
    double *seconds = pw_alloc(2 * n * sizeof(*seconds));
    for (size_t k = 0; k < PW_COUNT_OF(curves); k++)
        add_curve(w, h, &curves[k], n, seconds, seconds + n);
    pw_free(seconds);
}

void pw_profile_moment_add(struct profile *p, struct control *c, const struct profile_moment *from,
                           const struct profile_moment *to)
{
    struct window w = {p, from, to, (double)(to->mono_us - from->mono_us) / 1e6};
    put(&w, "proxy", "time in the proxy per request", "us", pw_profile_own_us(p));
    add_curves(&w, pw_sampler_history(c->sampler));
    add_host(&w);
    add_gpus(&w);
    add_proxy(&w, c->n_workers);
}

/* ---- families ---- */

static const struct family_stats *earlier(const struct families_snapshot *s,
                                          const struct family_stats *f)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->rows[i].family == f->family && s->rows[i].database_id == f->database_id)
            /* Forgotten and seen again since: its counts began again. */
            return s->rows[i].calls <= f->calls && s->rows[i].first_us == f->first_us ? &s->rows[i]
                                                                                      : NULL;
    return NULL;
}

void pw_profile_add_families(struct profile *p, struct control *c,
                             const struct families_snapshot *before,
                             const struct families_snapshot *after)
{
    static const struct family_stats zero;
    for (size_t i = 0; i < after->n; i++) {
        const struct family_stats *f = &after->rows[i], *was = earlier(before, f);
        const struct family_stats *o = was ? was : &zero;
        if (f->calls <= o->calls)
            continue;
        const struct profile_family row = {
            .family = f->family,
            .database = pw_database_name(c, f->database_id),
            .text = f->plan->family_text,
            .calls = (double)(f->calls - o->calls),
            .rows = (double)(f->rows - o->rows),
            .errors = (double)(f->errors - o->errors),
            .bytes = (double)(f->bytes - o->bytes),
            .total_ms = (double)(f->total_us - o->total_us) / 1e3,
            .wait_ms = (double)(f->wait_us - o->wait_us) / 1e3,
            .server_ms = (double)(f->server_us - o->server_us) / 1e3,
            .cache_hits = (double)(f->outcomes[FAMILY_CACHE_HIT] - o->outcomes[FAMILY_CACHE_HIT]),
            .joined = (double)(f->outcomes[FAMILY_JOINED] - o->outcomes[FAMILY_JOINED]),
            .merged = (double)(f->outcomes[FAMILY_MERGED] - o->outcomes[FAMILY_MERGED])};
        pw_profile_add_family(p, &row);
    }
}
