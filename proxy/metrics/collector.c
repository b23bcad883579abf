/* Owns the registry of collectors and, while rendering, the families being written. */
#include "proxy/metrics/collector.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/metrics/json.h"

struct family {
    const char *name, *help; /* BORROW until rendered */
    enum family_type type;
    struct buf samples; /* OWN; in the form asked for */
};

struct metric_writer {
    bool json;
    struct family *families; /* OWN */
    size_t n, cap;
    struct family *current; /* into families; NULL before the first */
};

static struct {
    pw_collector collect;
    void *arg;
} collectors[PW_COLLECTORS_MAX];
static size_t n_collectors;

/* Upper bounds exported for durations, in microseconds, and for sizes. */
static const uint64_t ladder_us[] = {50,     100,     250,     500,     1000,     2500,
                                     5000,   10000,   25000,   50000,   100000,   250000,
                                     500000, 1000000, 2500000, 5000000, 10000000, 30000000};
static const uint64_t ladder_count[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

void pw_collector_add(pw_collector collect, void *arg)
{
    PW_CHECK(n_collectors < PW_COLLECTORS_MAX);
    collectors[n_collectors].collect = collect;
    collectors[n_collectors++].arg = arg;
}

void pw_collector_remove(pw_collector collect, void *arg)
{
    for (size_t i = 0; i < n_collectors; i++) {
        if (collectors[i].collect != collect || collectors[i].arg != arg)
            continue;
        n_collectors--;
        memmove(&collectors[i], &collectors[i + 1], (n_collectors - i) * sizeof collectors[0]);
        return;
    }
}

void pw_metric_family(struct metric_writer *w, const char *name, enum family_type type,
                      const char *help)
{
    for (size_t i = 0; i < w->n; i++) {
        if (strcmp(w->families[i].name, name) == 0) {
            w->current = &w->families[i];
            return;
        }
    }
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->families = pw_realloc(w->families, w->cap * sizeof *w->families);
    }
    w->current = &w->families[w->n++];
    *w->current = (struct family){.name = name, .help = help, .type = type};
    pw_buf_init(&w->current->samples, PW_METRICS_TEXT_MAX);
}

/* ---- Prometheus text --------------------------------------------------------------------------
 */

static void put_escaped(struct buf *b, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\\')
            pw_buf_append_str(b, "\\\\");
        else if (*text == '\n')
            pw_buf_append_str(b, "\\n");
        else if (*text == '"' && quotes)
            pw_buf_append_str(b, "\\\"");
        else
            pw_buf_append_u8(b, (uint8_t)*text);
    }
}

static void put_value(struct buf *b, double value)
{
    if (isnan(value))
        pw_buf_append_str(b, "NaN");
    else if (isinf(value))
        pw_buf_append_str(b, value > 0 ? "+Inf" : "-Inf");
    else
        pw_json_number(b, value);
}

/* name{labels,le="..."} value; le is NULL for all but histogram buckets. */
static void put_line(struct family *f, const char *suffix, const struct metric_label *labels,
                     size_t n, const char *le, double value)
{
    struct buf *b = &f->samples;
    pw_buf_printf(b, "%s%s", f->name, suffix);
    if (n || le) {
        pw_buf_append_u8(b, '{');
        for (size_t i = 0; i < n; i++) {
            pw_buf_printf(b, "%s%s=\"", i ? "," : "", labels[i].name);
            put_escaped(b, labels[i].value ? labels[i].value : "", true);
            pw_buf_append_u8(b, '"');
        }
        if (le)
            pw_buf_printf(b, "%sle=\"%s\"", n ? "," : "", le);
        pw_buf_append_u8(b, '}');
    }
    pw_buf_append_u8(b, ' ');
    put_value(b, value);
    pw_buf_append_u8(b, '\n');
}

static void put_hist(struct family *f, const struct metric_label *labels, size_t n,
                     const struct hist_view *v, enum metric_unit unit)
{
    const uint64_t *ladder = unit == PW_UNIT_US ? ladder_us : ladder_count;
    size_t steps = unit == PW_UNIT_US ? PW_COUNT_OF(ladder_us) : PW_COUNT_OF(ladder_count);
    double scale = unit == PW_UNIT_US ? 1e6 : 1;
    for (size_t i = 0; i < steps; i++) {
        char le[32];
        snprintf(le, sizeof le, "%g", (double)ladder[i] / scale);
        put_line(f, "_bucket", labels, n, le, (double)pw_hist_count_until(v, ladder[i]));
    }
    put_line(f, "_bucket", labels, n, "+Inf", (double)v->count);
    put_line(f, "_sum", labels, n, NULL, (double)v->sum / scale);
    put_line(f, "_count", labels, n, NULL, (double)v->count);
}

static const char *const type_names[] = {"counter", "gauge", "histogram"};

static bool put_families_text(const struct metric_writer *w, struct buf *out)
{
    bool ok = true;
    for (size_t i = 0; i < w->n && ok; i++) {
        const struct family *f = &w->families[i];
        if (f->samples.len == 0)
            continue;
        pw_buf_printf(out, "# HELP %s ", f->name);
        put_escaped(out, f->help, false);
        pw_buf_printf(out, "\n# TYPE %s %s\n", f->name, type_names[f->type]);
        pw_buf_append(out, f->samples.data, f->samples.len);
        ok = !out->failed && !f->samples.failed;
    }
    return ok;
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static void put_json_labels(struct buf *b, const struct metric_label *labels, size_t n)
{
    pw_buf_append_str(b, b->len ? ",{\"labels\":{" : "{\"labels\":{");
    for (size_t i = 0; i < n; i++) {
        if (i)
            pw_buf_append_u8(b, ',');
        pw_json_string(b, pw_slice_str(labels[i].name));
        pw_buf_append_u8(b, ':');
        pw_json_string(b, pw_slice_str(labels[i].value ? labels[i].value : ""));
    }
    pw_buf_append_u8(b, '}');
}

static void put_json_field(struct buf *b, const char *name, double value)
{
    pw_buf_printf(b, ",\"%s\":", name);
    pw_json_number(b, value);
}

static void put_json_hist(struct buf *b, const struct metric_label *labels, size_t n,
                          const struct hist_view *v, enum metric_unit unit)
{
    double scale = unit == PW_UNIT_US ? 1e6 : 1;
    put_json_labels(b, labels, n);
    put_json_field(b, "count", (double)v->count);
    put_json_field(b, "sum", (double)v->sum / scale);
    put_json_field(b, "p50", pw_hist_quantile(v, 0.50) / scale);
    put_json_field(b, "p95", pw_hist_quantile(v, 0.95) / scale);
    put_json_field(b, "p99", pw_hist_quantile(v, 0.99) / scale);
    put_json_field(b, "max", (double)v->max / scale);
    pw_buf_append_u8(b, '}');
}

static bool put_families_json(const struct metric_writer *w, struct buf *out)
{
    bool ok = pw_buf_append_u8(out, '{'), first = true;
    for (size_t i = 0; i < w->n && ok; i++) {
        const struct family *f = &w->families[i];
        if (f->samples.len == 0)
            continue;
        pw_buf_append_str(out, first ? "" : ",\n");
        first = false;
        pw_json_string(out, pw_slice_str(f->name));
        pw_buf_append_str(out, ":[");
        pw_buf_append(out, f->samples.data, f->samples.len);
        pw_buf_append_u8(out, ']');
        ok = !out->failed && !f->samples.failed;
    }
    return ok && pw_buf_append_str(out, "}\n");
}

/* ---- both -------------------------------------------------------------------------------------
 */

void pw_metric_sample(struct metric_writer *w, const struct metric_label *labels, size_t n,
                      double value)
{
    PW_CHECK(w->current && w->current->type != FAMILY_HISTOGRAM);
    if (!w->json) {
        put_line(w->current, "", labels, n, NULL, value);
        return;
    }
    put_json_labels(&w->current->samples, labels, n);
    put_json_field(&w->current->samples, "value", value);
    pw_buf_append_u8(&w->current->samples, '}');
}

void pw_metric_sample_hist(struct metric_writer *w, const struct metric_label *labels, size_t n,
                           const struct hist_view *v, enum metric_unit unit)
{
    PW_CHECK(w->current && w->current->type == FAMILY_HISTOGRAM);
    if (w->json)
        put_json_hist(&w->current->samples, labels, n, v, unit);
    else
        put_hist(w->current, labels, n, v, unit);
}

static void put_table(struct metric_writer *w)
{
    for (int i = 0; i < PW_METRIC_COUNT; i++) {
        enum metric m = (enum metric)i;
        enum metric_type type = pw_metric_type(m);
        bool counter = type == PW_METRIC_COUNTER || type == PW_METRIC_COUNTER_US;
        pw_metric_family(w, pw_metric_name(m), counter ? FAMILY_COUNTER : FAMILY_GAUGE,
                         pw_metric_help(m));
        pw_metric_sample(w, PW_NO_LABELS, pw_metric_value(m));
    }
    for (int i = 0; i < PW_HIST_COUNT; i++) {
        enum metric_hist h = (enum metric_hist)i;
        struct hist_view v;
        pw_metric_hist_read(h, &v);
        pw_metric_family(w, pw_metric_hist_name(h), FAMILY_HISTOGRAM, pw_metric_hist_help(h));
        pw_metric_sample_hist(w, PW_NO_LABELS, &v, pw_metric_hist_unit(h));
    }
}

static bool render(struct buf *out, bool json)
{
    struct metric_writer w = {.json = json};
    for (size_t i = 0; i < n_collectors; i++)
        collectors[i].collect(&w, collectors[i].arg);
    put_table(&w);
    bool ok = json ? put_families_json(&w, out) : put_families_text(&w, out);
    for (size_t i = 0; i < w.n; i++)
        pw_buf_free(&w.families[i].samples);
    pw_free(w.families);
    return ok;
}

bool pw_metrics_render_text(struct buf *out)
{
    return render(out, false);
}

bool pw_metrics_render_json(struct buf *out)
{
    return render(out, true);
}
