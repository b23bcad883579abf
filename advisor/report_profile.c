/* A profile as text and JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "advisor/advice_build.h"
#include "advisor/json.h"
#include "advisor/profile_priv.h"
#include "proxy/base/clock.h"

#define TEXT_ROWS     30
#define TEXT_BACKENDS 10
#define TEXT_TOP      3

/* ---- JSON ---- */

static void json_family(struct buf *b, const struct profile_row *r)
{
    struct profile_figure f[PW_PROFILE_FIGURES];
    pw_json_open(b, NULL, '{');
    pw_json_family(b, r->seen.family);
    pw_json_text(b, "database", r->seen.database);
    pw_json_text(b, "text", r->seen.text);
    size_t n = pw_profile_figures(r, f);
    for (size_t i = 0; i < n; i++)
        pw_json_num(b, f[i].name, f[i].value);
    pw_json_text(b, "cpu_from", pw_profile_cpu_text(r->cpu_from));
    pw_json_close(b, '}');
}

static void json_backend(struct buf *b, const struct server_backend *x)
{
    pw_json_open(b, NULL, '{');
    pw_json_num(b, "pid", (double)x->pid);
    pw_json_text(b, "kind", x->kind);
    pw_json_text(b, "who", x->who);
    pw_json_text(b, "database", x->where);
    pw_json_num(b, "cpu_s", x->cpu_s);
    pw_json_num(b, "memory_bytes", x->memory);
    pw_json_num(b, "disk_read_bytes", x->disk_read);
    pw_json_num(b, "disk_write_bytes", x->disk_written);
    pw_json_close(b, '}');
}

static void json_reading(struct buf *b, const struct profile_reading *r)
{
    pw_json_open(b, NULL, '{');
    pw_json_text(b, "group", r->group);
    pw_json_text(b, "name", r->name);
    pw_json_text(b, "unit", r->unit);
    pw_json_num(b, "mean", r->mean);
    pw_json_num(b, "peak", r->peak);
    pw_json_close(b, '}');
}

static void json_axis(struct buf *b, const char *name, const double *values, size_t n)
{
    pw_json_open(b, name, '[');
    for (size_t i = 0; i < n; i++)
        pw_json_num(b, NULL, values[i]);
    pw_json_close(b, ']');
}

static void json_curve(struct buf *b, const struct profile_curve *c)
{
    pw_json_open(b, NULL, '{');
    pw_json_text(b, "name", c->name);
    pw_json_text(b, "unit", c->unit);
    json_axis(b, "seconds", c->seconds, c->n);
    json_axis(b, "v", c->v, c->n);
    pw_json_close(b, '}');
}

bool pw_profile_render_json(struct profile *p, struct buf *b)
{
    pw_profile_sort(p);
    pw_json_open(b, NULL, '{');
    pw_json_moment(b, "from", p->from_us);
    pw_json_moment(b, "to", p->to_us);
    pw_json_num(b, "seconds", (double)(p->to_us - p->from_us) / 1e6);
    pw_json_open(b, "families", '[');
    for (size_t k = 0; k < p->n_rows; k++)
        json_family(b, &p->rows[k]);
    pw_json_close(b, ']');
    pw_json_open(b, "backends", '[');
    for (size_t k = 0; k < p->n_backends; k++)
        json_backend(b, &p->backends[k].b);
    pw_json_close(b, ']');
    pw_json_open(b, "readings", '[');
    for (size_t k = 0; k < p->n_readings; k++)
        json_reading(b, &p->readings[k]);
    pw_json_close(b, ']');
    pw_json_open(b, "curves", '[');
    for (size_t k = 0; k < p->n_curves; k++)
        json_curve(b, &p->curves[k]);
    pw_json_close(b, ']');
    pw_json_texts(b, "notes", (const char *const *)p->notes, p->n_notes);
    pw_json_open(b, "advice", '[');
    for (size_t k = 0; k < p->n_advice; k++)
        pw_advice_render_json(p->advice[k], b);
    pw_json_close(b, ']');
    pw_json_close(b, '}');
    pw_buf_append_u8(b, '\n');
    return !b->failed;
}

/* ---- text ---- */

/* "?" for what is not known. */
static const char *cell(double v, int decimals, char out[32])
{
    if (isnan(v))
        return "?";
    snprintf(out, 32, "%.*f", decimals, v);
    return out;
}

static void text_families(struct buf *b, const struct profile *p)
{
    pw_buf_append_str(b, "Hot families (by server CPU; ? is not known)\n\n");
    pw_buf_printf(b, "%-16s %-10s %9s %9s %11s %10s %10s %9s %10s %10s %12s  %s\n", "family",
                  "database", "calls", "cpu s", "server ms", "queue ms", "proxy ms", "hits",
                  "blks read", "temp B", "net B", "statement");
    for (size_t k = 0; k < p->n_rows && k < TEXT_ROWS; k++) {
        const struct profile_row *r = &p->rows[k];
        char cpu[32], blocks[32], temp[32];
        pw_buf_printf(
            b,
            "%016" PRIx64
            " %-10.10s %9.0f %9s %11.1f %10.1f %10.1f %9.0f %10s %10s %12.0f  %.60s\n",
            r->seen.family, r->seen.database, r->seen.calls, cell(r->server.cpu_s, 3, cpu),
            isnan(r->server.exec_ms) ? r->seen.server_ms : r->server.exec_ms, r->seen.wait_ms,
            pw_profile_own_ms(&r->seen), r->seen.cache_hits, cell(r->server.blks_read, 0, blocks),
            cell(r->temp_bytes, 0, temp), r->seen.bytes, r->seen.text);
    }
    if (p->n_rows > TEXT_ROWS)
        pw_buf_printf(b, "... and %zu more families\n", p->n_rows - TEXT_ROWS);
    if (p->n_rows && p->rows[0].cpu_from != PROFILE_CPU_UNKNOWN)
        pw_buf_printf(b, "cpu s from %s\n", pw_profile_cpu_text(p->rows[0].cpu_from));
}

/* The families that lead in other respects than CPU. */
static void text_tops(struct buf *b, const struct profile *p)
{
    static const char *const by[][2] = {{"wait_ms", "waiting for a connection (ms)"},
                                        {"proxy_ms", "in the proxy itself (ms)"},
                                        {"bytes", "network (bytes)"},
                                        {"blocks_read", "blocks read"},
                                        {"temp_bytes", "temporary files (bytes)"},
                                        {"wal_bytes", "WAL (bytes)"},
                                        {"jit_ms", "JIT compilation (ms)"}};
    struct profile_figure f[PW_PROFILE_FIGURES];
    pw_buf_append_str(b, "\nMost of\n");
    for (size_t m = 0; m < PW_COUNT_OF(by); m++) {
        double below = INFINITY;
        for (int rank = 0; rank < TEXT_TOP; rank++) {
            const struct profile_row *top = NULL;
            double most = 0;
            for (size_t k = 0; k < p->n_rows; k++) {
                size_t n = pw_profile_figures(&p->rows[k], f), i = 0;
                while (i < n && strcmp(f[i].name, by[m][0]) != 0)
                    i++;
                if (i < n && f[i].value > most && f[i].value < below) {
                    most = f[i].value;
                    top = &p->rows[k];
                }
            }
            if (!top)
                break;
            below = most;
            pw_buf_printf(b, "  %-30s %14.1f  %016" PRIx64 "  %.50s\n", rank ? "" : by[m][1], most,
                          top->seen.family, top->seen.text);
        }
    }
}

static void text_backends(struct buf *b, const struct profile *p)
{
    if (!p->n_backends)
        return;
    pw_buf_append_str(b, "\nProcesses of the server (CPU from /proc; those that ended meanwhile are"
                         " missing)\n\n");
    pw_buf_printf(b, "%8s %9s %12s %12s %12s  %s\n", "pid", "cpu s", "memory B", "disk read B",
                  "disk write B", "what");
    for (size_t k = 0; k < p->n_backends && k < TEXT_BACKENDS; k++) {
        const struct server_backend *x = &p->backends[k].b;
        char memory[32], in[32], out[32];
        pw_buf_printf(b, "%8lld %9.2f %12s %12s %12s  %s %s %s\n", (long long)x->pid, x->cpu_s,
                      cell(x->memory, 0, memory), cell(x->disk_read, 0, in),
                      cell(x->disk_written, 0, out), x->kind, x->who, x->where);
    }
    if (p->n_backends > TEXT_BACKENDS)
        pw_buf_printf(b, "... and %zu more\n", p->n_backends - TEXT_BACKENDS);
}

static void text_readings(struct buf *b, const struct profile *p)
{
    pw_buf_append_str(b, "\nReadings\n");
    for (size_t k = 0; k < p->n_readings; k++) {
        const struct profile_reading *r = &p->readings[k];
        pw_buf_printf(b, "  %-16s %-32s %14.3f %s", r->group, r->name, r->mean, r->unit);
        if (!isnan(r->peak))
            pw_buf_printf(b, " (peak %.3f)", r->peak);
        pw_buf_append_u8(b, '\n');
    }
}

/* In full what concerns the hot families, a line of the rest. */
static void text_advice(struct buf *b, const struct profile *p)
{
    for (size_t k = 0; k < p->n_advice; k++) {
        const struct advice_set *s = p->advice[k];
        pw_buf_printf(b, "\nRecommendations for database \"%s\"\n\n", s->database);
        for (size_t i = 0; i < s->n_items; i++)
            if (pw_profile_concerns(p, &s->items[i]))
                pw_advice_render_one(s, &s->items[i], b);
        for (size_t i = 0; i < s->n_items; i++)
            if (!pw_profile_concerns(p, &s->items[i]))
                pw_buf_printf(b, "%s  %s %s: %s\n", s->items[i].id,
                              pw_advice_kind_text(s->items[i].kind),
                              s->items[i].object[0] ? s->items[i].object : s->items[i].table,
                              s->items[i].reason);
        if (!s->n_items)
            pw_buf_printf(b, "%s\n", pw_advice_nothing_text(s));
        for (size_t i = 0; i < s->n_notes; i++)
            pw_buf_printf(b, "  note: %s\n", s->notes[i]);
    }
}

bool pw_profile_render_text(struct profile *p, struct buf *b)
{
    char from[32], to[32];
    pw_profile_sort(p);
    pw_buf_printf(b, "Profile from %s to %s (%.1f s)\n\n",
                  pw_clock_iso(p->from_us, from, sizeof(from)),
                  pw_clock_iso(p->to_us, to, sizeof(to)), (double)(p->to_us - p->from_us) / 1e6);
    text_families(b, p);
    text_tops(b, p);
    text_backends(b, p);
    text_readings(b, p);
    for (size_t k = 0; k < p->n_notes; k++)
        pw_buf_printf(b, "%s%s\n", k ? "" : "\nNot known\n", p->notes[k]);
    text_advice(b, p);
    return !b->failed;
}
