/* A profile as one self-contained HTML page: no script, no network; charts are plain SVG. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "advisor/advice_build.h"
#include "advisor/profile_priv.h"
#include "advisor/report.h"
#include "proxy/base/clock.h"

#define ROWS_MAX     200
#define BACKENDS_MAX 30
#define CHART_W      420.0
#define CHART_H      90.0

static void bar(struct buf *b, double x, double w, const char *color, const char *what, double ms)
{
    pw_buf_printf(b,
                  "<rect x=\"%.1f\" width=\"%.1f\" height=\"12\" fill=\"%s\"><title>%s %.1f "
                  "ms</title></rect>",
                  x, fmax(w, 0), color, what, ms);
}

static void figure(struct buf *b, double v)
{
    pw_buf_printf(b, v == floor(v) ? "%.0f" : "%.6g", v);
}

static void number_cell(struct buf *b, double v)
{
    pw_buf_append_str(b, "<td class=n>");
    if (isnan(v))
        pw_buf_append_str(b, "?");
    else
        figure(b, v);
    pw_buf_append_str(b, "</td>");
}

static void family_row(struct buf *b, const struct profile_row *r, double most)
{
    double server = r->seen.server_ms, wait = r->seen.wait_ms, own = pw_profile_own_ms(&r->seen);
    double scale = most > 0 ? 300 / most : 0;
    pw_buf_printf(b, "<tr><td><code>%016" PRIx64 "</code></td><td>", r->seen.family);
    pw_report_html_text(b, r->seen.database);
    pw_buf_append_str(b, "</td>");
    number_cell(b, r->seen.calls);
    number_cell(b, r->server.cpu_s);
    pw_buf_append_str(b, "<td><svg width=\"305\" height=\"12\" role=\"img\">");
    bar(b, 0, server * scale, "#2f7ed8", "server", server);
    bar(b, server * scale, wait * scale, "#e0a030", "queue", wait);
    bar(b, (server + wait) * scale, own * scale, "#8a94a0", "proxy", own);
    pw_buf_append_str(b, "</svg></td>");
    const double cells[] = {server,
                            wait,
                            own,
                            r->seen.cache_hits,
                            r->seen.bytes,
                            r->server.blks_hit,
                            r->server.blks_read,
                            r->server.blks_written,
                            r->temp_bytes};
    for (size_t k = 0; k < PW_COUNT_OF(cells); k++)
        number_cell(b, cells[k]);
    pw_buf_append_str(b, "<td><code>");
    pw_report_html_text(b, r->seen.text);
    pw_buf_append_str(b, "</code></td></tr>\n");
}

static void families(struct buf *b, const struct profile *p)
{
    double most = 0;
    for (size_t k = 0; k < p->n_rows; k++)
        most = fmax(most, p->rows[k].seen.total_ms);
    pw_buf_append_str(
        b, "<h2>Hot families</h2><p>By server CPU, or time where that is not known. Bars: "
           "<span style=\"color:#2f7ed8\">server</span>, "
           "<span style=\"color:#e0a030\">queue</span>, "
           "<span style=\"color:#8a94a0\">proxy</span>.");
    if (p->n_rows && p->rows[0].cpu_from != PROFILE_CPU_UNKNOWN)
        pw_buf_printf(b, " CPU from %s.", pw_profile_cpu_text(p->rows[0].cpu_from));
    pw_buf_append_str(
        b, "</p><table><tr><th>family</th><th>database</th><th>calls</th><th>CPU s</th><th>time"
           "</th><th>server ms</th><th>queue ms</th><th>proxy ms</th><th>cache hits</th><th>net "
           "B</th><th>blocks hit</th><th>read</th><th>written</th><th>temp B</th><th>statement"
           "</th></tr>");
    for (size_t k = 0; k < p->n_rows && k < ROWS_MAX; k++)
        family_row(b, &p->rows[k], most);
    pw_buf_append_str(b, "</table>");
    if (p->n_rows > ROWS_MAX)
        pw_buf_printf(b, "<p>... and %zu more families.</p>", p->n_rows - ROWS_MAX);
}

/* A line chart; where nothing is known the line is broken. */
static void chart(struct buf *b, const struct profile_curve *c, double seconds)
{
    double most = 0;
    for (size_t i = 0; i < c->n; i++)
        most = isnan(c->v[i]) ? most : fmax(most, c->v[i]);
    pw_buf_append_str(b, "<figure style=\"display:inline-block;margin:.5rem\"><figcaption>");
    pw_report_html_text(b, c->name);
    pw_buf_printf(b, " (most: %.3g ", most);
    pw_report_html_text(b, c->unit);
    pw_buf_printf(b,
                  ")</figcaption><svg width=\"%.0f\" height=\"%.0f\" role=\"img\"><path fill=none "
                  "stroke=\"#2f7ed8\" stroke-width=\"1.5\" d=\"",
                  CHART_W, CHART_H + 4);
    bool pen = false;
    for (size_t i = 0; i < c->n; i++) {
        if (isnan(c->v[i])) {
            pen = false;
            continue;
        }
        double x = seconds > 0 ? CHART_W * fmin(1, c->seconds[i] / seconds) : 0;
        double y = CHART_H + 2 - (most > 0 ? CHART_H * c->v[i] / most : 0);
        pw_buf_printf(b, "%c%.1f %.1f", pen ? 'L' : 'M', x, y);
        pen = true;
    }
    pw_buf_append_str(b, "\"/></svg></figure>\n");
}

static void curves(struct buf *b, const struct profile *p)
{
    if (p->n_curves)
        pw_buf_append_str(b, "<h2>Load in the window</h2><div>");
    for (size_t k = 0; k < p->n_curves; k++)
        chart(b, &p->curves[k], (double)(p->to_us - p->from_us) / 1e6);
    if (p->n_curves)
        pw_buf_append_str(b, "</div>");
}

static void backends(struct buf *b, const struct profile *p)
{
    if (!p->n_backends)
        return;
    double most = p->backends[0].b.cpu_s;
    pw_buf_append_str(
        b, "<h2>Processes of the server</h2><p>From /proc; those that ended meanwhile are missing."
           "</p><table><tr><th>pid</th><th>what</th><th>CPU s</th><th></th><th>memory B</th><th>"
           "disk read B</th><th>disk written B</th></tr>");
    for (size_t k = 0; k < p->n_backends && k < BACKENDS_MAX; k++) {
        const struct server_backend *x = &p->backends[k].b;
        pw_buf_printf(b, "<tr><td>%lld</td><td>", (long long)x->pid);
        const char *const words[] = {x->kind, " ", x->who, " ", x->where};
        for (size_t i = 0; i < PW_COUNT_OF(words); i++)
            pw_report_html_text(b, words[i]);
        pw_buf_append_str(b, "</td>");
        number_cell(b, x->cpu_s);
        pw_buf_append_str(b, "<td><svg width=\"205\" height=\"12\">");
        bar(b, 0, most > 0 ? 200 * x->cpu_s / most : 0, "#2f7ed8", "CPU", x->cpu_s * 1000);
        pw_buf_append_str(b, "</svg></td>");
        number_cell(b, x->memory);
        number_cell(b, x->disk_read);
        number_cell(b, x->disk_written);
        pw_buf_append_str(b, "</tr>");
    }
    pw_buf_append_str(b, "</table>");
}

static void readings(struct buf *b, const struct profile *p)
{
    pw_buf_append_str(b, "<h2>Readings</h2><table><tr><th>of</th><th>what</th><th>mean or total"
                         "</th><th>peak</th></tr>");
    for (size_t k = 0; k < p->n_readings; k++) {
        const struct profile_reading *r = &p->readings[k];
        pw_buf_append_str(b, "<tr><td>");
        pw_report_html_text(b, r->group);
        pw_buf_append_str(b, "</td><td>");
        pw_report_html_text(b, r->name);
        pw_buf_append_str(b, "</td><td class=n>");
        figure(b, r->mean);
        pw_buf_printf(b, " %s</td><td class=n>", r->unit);
        if (!isnan(r->peak))
            figure(b, r->peak);
        pw_buf_append_str(b, "</td></tr>");
    }
    pw_buf_append_str(b, "</table>");
    if (p->n_notes)
        pw_buf_append_str(b, "<h2>Not known</h2><ul>");
    for (size_t k = 0; k < p->n_notes; k++) {
        pw_buf_append_str(b, "<li>");
        pw_report_html_text(b, p->notes[k]);
        pw_buf_append_str(b, "</li>");
    }
    if (p->n_notes)
        pw_buf_append_str(b, "</ul>");
}

bool pw_profile_render_html(struct profile *p, struct buf *b)
{
    char from[32], to[32];
    pw_profile_sort(p);
    pw_buf_append_str(
        b, "<!doctype html><html lang=en><meta charset=utf-8><title>Workload profile</title>");
    pw_buf_append_str(b, pw_report_style);
    pw_buf_printf(b, "<h1>Workload profile</h1><p>%s to %s (%.1f s)</p>",
                  pw_clock_iso(p->from_us, from, sizeof(from)),
                  pw_clock_iso(p->to_us, to, sizeof(to)), (double)(p->to_us - p->from_us) / 1e6);
    families(b, p);
    curves(b, p);
    backends(b, p);
    readings(b, p);
    for (size_t k = 0; k < p->n_advice; k++) {
        pw_buf_append_str(b, "<h1>Recommendations for database ");
        pw_report_html_text(b, p->advice[k]->database);
        pw_buf_append_str(b, "</h1>");
        pw_report_html_advice(p->advice[k], b);
    }
    pw_buf_append_str(b, "</html>\n");
    return !b->failed;
}
