/* The advice as one self-contained HTML page: no script, no network; bars are plain SVG. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "advisor/advice.h"
#include "advisor/advice_build.h"
#include "advisor/report.h"
#include "proxy/base/clock.h"

static void html_text_n(struct buf *b, const char *text, size_t n)
{
    for (const char *end = text + n; text < end; text++) {
        switch (*text) {
        case '<':
            pw_buf_append_str(b, "&lt;");
            break;
        case '>':
            pw_buf_append_str(b, "&gt;");
            break;
        case '&':
            pw_buf_append_str(b, "&amp;");
            break;
        case '"':
            pw_buf_append_str(b, "&quot;");
            break;
        default:
            pw_buf_append_u8(b, (uint8_t)*text);
        }
    }
}

void pw_report_html_text(struct buf *b, const char *text)
{
    html_text_n(b, text, strlen(text));
}

const char pw_report_style[] =
    "<style>body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 "
    "1rem;"
    "color:#1d2733}h1{font-size:1.5rem}h2{margin-top:2rem;border-bottom:1px solid #ccd5df}"
    "article{border:1px solid #ccd5df;border-radius:6px;padding:.7rem 1rem;margin:1rem 0}"
    "pre{background:#f3f6f9;padding:.6rem;overflow-x:auto;border-radius:4px}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .5rem;"
    "border-bottom:1px solid "
    "#e5eaf0;vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap}"
    ".q td:last-child{width:60%}.q td:last-child code,details code{overflow-wrap:anywhere}"
    "@media(max-width:45rem){table{display:block;overflow-x:auto}.q "
    "td:last-child{min-width:16rem}}"
    ".id{color:#667}.tag{background:#e5eef8;border-radius:4px;padding:0 "
    ".4rem;margin-left:.4rem;white-space:nowrap}"
    "code{font-size:.9em}@media(prefers-color-scheme:dark){body{background:#14181d;color:#dde3ea}"
    "pre{background:#1d232b}article,h2{border-color:#38424e}.tag{background:#28394d}}</style>";

/* Two bars, before and after, scaled to the larger of all shown. */
static void bars(struct buf *b, double before, double after, double most)
{
    double x = most > 0 ? 200 * before / most : 0, y = most > 0 ? 200 * after / most : 0;
    pw_buf_printf(b,
                  "<svg width=\"210\" height=\"20\" role=\"img\" aria-label=\"%.2f before, %.2f "
                  "after\"><rect width=\"%.1f\" height=\"8\" fill=\"#b0bccb\"/><rect y=\"10\" "
                  "width=\"%.1f\" height=\"8\" fill=\"#2f7ed8\"/></svg>",
                  before, after, fmax(x, 0.5), fmax(y, 0.5));
}

static void cost_cell(struct buf *b, double v)
{
    if (isnan(v))
        pw_buf_append_str(b, "<td></td>");
    else
        pw_buf_printf(b, "<td class=n>%.2f</td>", v);
}

static void queries(struct buf *b, const struct advice *a)
{
    double most = 0;
    for (size_t k = 0; k < a->n_queries; k++) /* fmax ignores NAN */
        most = fmax(most, fmax(a->queries[k].cost_before, a->queries[k].cost_after));
    pw_buf_append_str(
        b, "<table class=q><tr><th>family</th><th class=n>calls</th><th class=n>cost before</th>"
           "<th class=n>after</th><th></th><th>statement</th></tr>");
    for (size_t k = 0; k < a->n_queries; k++) {
        const struct advice_query *q = &a->queries[k];
        pw_buf_printf(b, "<tr><td><code>%016" PRIx64 "</code></td><td class=n>%.0f</td>", q->family,
                      q->calls);
        cost_cell(b, q->cost_before);
        cost_cell(b, q->cost_after);
        pw_buf_append_str(b, "<td>");
        if (!isnan(q->cost_before) && !isnan(q->cost_after))
            bars(b, q->cost_before, q->cost_after, most);
        pw_buf_append_str(b, "</td><td><code>");
        pw_report_html_text(b, q->text);
        pw_buf_append_str(b, "</code></td></tr>");
    }
    pw_buf_append_str(b, "</table>");
}

static void article(struct buf *b, const struct advice *a)
{
    char size[32];
    pw_buf_append_str(b, "<article><b>");
    pw_report_html_text(b, a->object[0] ? a->object : a->table);
    pw_buf_append_str(b, "</b> <span class=id>");
    pw_report_html_text(b, a->id);
    pw_buf_printf(b, "</span><span class=tag>%s confidence</span>",
                  pw_advice_confidence_text(a->confidence));
    if (!isnan(a->size_bytes))
        pw_buf_printf(b, "<span class=tag>%s</span>",
                      pw_advice_size_text(a->size_bytes, size, sizeof(size)));
    if (!isnan(a->benefit_pct))
        pw_buf_printf(b, "<span class=tag>saves %.1f %%</span>", a->benefit_pct);
    pw_buf_append_str(b, "<p>");
    pw_report_html_text(b, a->reason);
    pw_buf_append_str(b, "</p><pre>");
    pw_report_html_text(b, a->sql);
    for (const char *undo = a->undo_sql; *undo;) { /* each line a comment: it may be copied */
        size_t n = strcspn(undo, "\n");
        pw_buf_printf(b, "\n-- %s", undo == a->undo_sql ? "undo: " : "");
        html_text_n(b, undo, n);
        undo += n + (undo[n] == '\n');
    }
    pw_buf_append_str(b, "</pre>");
    if (a->n_queries)
        queries(b, a);
    if (a->n_facts)
        pw_buf_append_str(b, "<details><summary>Evidence</summary><table>");
    for (size_t k = 0; k < a->n_facts; k++) {
        pw_buf_printf(b, "<tr><td>%s</td><td><code>", a->facts[k].name);
        pw_report_html_text(b, a->facts[k].value);
        pw_buf_append_str(b, "</code></td></tr>");
    }
    if (a->n_facts)
        pw_buf_append_str(b, "</table></details>");
    pw_buf_append_str(b, "</article>\n");
}

static void head(struct buf *b, const struct advice_set *s)
{
    char iso[32], added[32], freed[32];
    pw_buf_append_str(b, "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
                         "content=\"width=device-width\"><title>Advice for ");
    pw_report_html_text(b, s->database);
    pw_buf_printf(b, "</title>%s<h1>Advice for database ", pw_report_style);
    pw_report_html_text(b, s->database);
    pw_buf_printf(b, "</h1><p>%s, from %s: %zu query families, %.0f executions.",
                  pw_clock_iso(s->generated_us, iso, sizeof(iso)), s->source, s->window_families,
                  isnan(s->window_queries) ? 0 : s->window_queries);
    if (!isnan(s->summary.cost_before)) {
        pw_buf_printf(b, " Planner cost of this workload: %.0f before, %.0f after (%.1f %% less).",
                      s->summary.cost_before, s->summary.cost_after, s->summary.improvement_pct);
        pw_buf_append_str(b, "</p><p>");
        bars(b, s->summary.cost_before, s->summary.cost_after, s->summary.cost_before);
    }
    pw_buf_printf(
        b, "</p><p>Index space: %s added, %s freed. %.1f s, %" PRIu64 " what-if calls.</p>\n",
        pw_advice_size_text(s->summary.index_bytes_added, added, sizeof(added)),
        pw_advice_size_text(s->summary.index_bytes_freed, freed, sizeof(freed)), s->summary.seconds,
        s->summary.whatif_calls);
}

void pw_report_html_advice(const struct advice_set *s, struct buf *b)
{
    for (int kind = 0; kind < ADVICE_KIND_COUNT; kind++) {
        if (!pw_advice_count(s, (enum advice_kind)kind))
            continue;
        pw_buf_printf(b, "<h2>%s</h2>\n", pw_advice_kind_title((enum advice_kind)kind));
        for (size_t k = 0; k < s->n_items; k++)
            if ((int)s->items[k].kind == kind)
                article(b, &s->items[k]);
    }
    if (!s->n_items)
        pw_buf_printf(b, "<p>%s</p>", pw_advice_nothing_text(s));
    if (s->n_refused)
        pw_buf_append_str(b, "<h2>Considered and refused</h2><table>");
    for (size_t k = 0; k < s->n_refused; k++) {
        pw_buf_append_str(b, "<tr><td><code>");
        pw_report_html_text(b, s->refused[k].object);
        pw_buf_append_str(b, "</code></td><td>");
        pw_report_html_text(b, s->refused[k].reason);
        pw_buf_append_str(b, "</td></tr>");
    }
    if (s->n_refused)
        pw_buf_append_str(b, "</table>");
    if (s->n_notes)
        pw_buf_append_str(b, "<h2>Not looked at, or with care</h2><ul>");
    for (size_t k = 0; k < s->n_notes; k++) {
        pw_buf_append_str(b, "<li>");
        pw_report_html_text(b, s->notes[k]);
        pw_buf_append_str(b, "</li>");
    }
    if (s->n_notes)
        pw_buf_append_str(b, "</ul>");
}

bool pw_advice_render_html(const struct advice_set *s, struct buf *b)
{
    head(b, s);
    pw_report_html_advice(s, b);
    pw_buf_append_str(b, "</html>\n");
    return !b->failed;
}
