/* Collecting a profile: families, readings, curves, what the server did meanwhile. See profile.h.
 */
#include "advisor/profile.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/profile_priv.h"
#include "proxy/base/alloc.h"

#define FAMILIES_MAX 2000

struct profile *pw_profile_new(uint64_t from_us, uint64_t to_us)
{
    struct profile *p = pw_alloc(sizeof(*p));
    pw_arena_init(&p->mem, PW_MEM_MAX);
    p->from_us = from_us;
    p->to_us = to_us;
    return p;
}

void pw_profile_free(struct profile *p)
{
    if (!p)
        return;
    for (size_t k = 0; k < p->n_advice; k++)
        pw_advice_set_unref(p->advice[k]);
    pw_arena_free(&p->mem);
    pw_free(p);
}

void pw_profile_add_family(struct profile *p, const struct profile_family *row)
{
    if (p->n_rows >= FAMILIES_MAX)
        return;
    p->rows = pw_mem_push(&p->mem, p->rows, &p->n_rows, sizeof(*p->rows));
    struct profile_row *r = &p->rows[p->n_rows - 1];
    r->seen = *row;
    r->seen.text = pw_mem_str(&p->mem, row->text ? row->text : "");
    r->seen.database = pw_mem_str(&p->mem, row->database ? row->database : "");
    r->temp_bytes = NAN;
    r->server = (struct server_family){row->family, NAN, NAN, NAN, NAN, NAN, NAN,
                                       NAN,         NAN, NAN, NAN, NAN, NAN};
}

double pw_profile_own_us(const struct profile *p)
{
    double calls = 0, own_ms = 0;
    for (size_t k = 0; k < p->n_rows; k++) {
        calls += p->rows[k].seen.calls;
        own_ms += pw_profile_own_ms(&p->rows[k].seen);
    }
    return calls > 0 ? own_ms * 1000 / calls : NAN;
}

void pw_profile_add_reading(struct profile *p, const char *group, const char *name,
                            const char *unit, double mean, double peak)
{
    p->readings = pw_mem_push(&p->mem, p->readings, &p->n_readings, sizeof(*p->readings));
    p->readings[p->n_readings - 1] =
        (struct profile_reading){pw_mem_str(&p->mem, group), pw_mem_str(&p->mem, name),
                                 pw_mem_str(&p->mem, unit), mean, peak};
}

void pw_profile_add_curve(struct profile *p, const char *name, const char *unit,
                          const double *seconds, const double *v, size_t n)
{
    size_t step = (n + PW_PROFILE_POINTS - 1) / PW_PROFILE_POINTS;
    if (n == 0)
        return;
    struct profile_curve c = {.name = pw_mem_str(&p->mem, name),
                              .unit = pw_mem_str(&p->mem, unit),
                              .seconds = pw_mem(&p->mem, n * sizeof(double)),
                              .v = pw_mem(&p->mem, n * sizeof(double))};
    for (size_t k = 0; k < n; k += step) {
        double at = 0, sum = 0;
        size_t here = k + step < n ? step : n - k, known = 0;
        for (size_t i = 0; i < here; i++) {
            at += seconds[k + i];
            if (!isnan(v[k + i])) {
                sum += v[k + i];
                known++;
            }
        }
        c.seconds[c.n] = at / (double)here;
        c.v[c.n++] = known ? sum / (double)known : NAN;
    }
    p->curves = pw_mem_push(&p->mem, p->curves, &p->n_curves, sizeof(c));
    p->curves[p->n_curves - 1] = c;
}

void pw_profile_note(struct profile *p, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    p->notes = pw_mem_push(&p->mem, p->notes, &p->n_notes, sizeof(*p->notes));
    p->notes[p->n_notes - 1] = pw_mem_str(&p->mem, text);
}

void pw_profile_add_advice(struct profile *p, struct advice_set *s)
{
    p->advice = pw_mem_push(&p->mem, p->advice, &p->n_advice, sizeof(struct advice_set *));
    p->advice[p->n_advice - 1] = pw_advice_set_ref(s);
}

/* ---- the server ---- */

static double since(double before, double after)
{
    return after >= before ? after - before : after; /* counters that were reset begin again */
}

static const struct server_family *family_of(const struct server_reading *r, uint64_t id)
{
    for (size_t i = 0; i < r->n_families; i++)
        if (r->families[i].family == id)
            return &r->families[i];
    return NULL;
}

static struct server_family between(const struct server_family *a, const struct server_family *b)
{
    return (struct server_family){.family = b->family,
                                  .calls = since(a->calls, b->calls),
                                  .exec_ms = since(a->exec_ms, b->exec_ms),
                                  .blks_hit = since(a->blks_hit, b->blks_hit),
                                  .blks_read = since(a->blks_read, b->blks_read),
                                  .blks_written = since(a->blks_written, b->blks_written),
                                  .temp_blks = since(a->temp_blks, b->temp_blks),
                                  .wal_bytes = since(a->wal_bytes, b->wal_bytes),
                                  .jit_ms = since(a->jit_ms, b->jit_ms),
                                  .io_ms = since(a->io_ms, b->io_ms),
                                  .cpu_s = since(a->cpu_s, b->cpu_s),
                                  .disk_read = since(a->disk_read, b->disk_read),
                                  .disk_written = since(a->disk_written, b->disk_written)};
}

static void add_families(struct profile *p, const char *database,
                         const struct server_reading *before, const struct server_reading *after)
{
    static const struct server_family zero;
    for (size_t k = 0; after->has_pgss && k < p->n_rows; k++) {
        struct profile_row *row = &p->rows[k];
        if (strcmp(row->seen.database, database) != 0)
            continue;
        const struct server_family *a = family_of(before, row->seen.family);
        const struct server_family *b = family_of(after, row->seen.family);
        if (!b)
            continue;
        row->server = between(a ? a : &zero, b);
        row->temp_bytes = row->server.temp_blks * after->block_size;
        if (!isnan(row->server.cpu_s))
            row->cpu_from = PROFILE_CPU_KCACHE;
    }
}

/* What each backend used meanwhile; returns the client backends' CPU of this database. Backends
 * that ended are missing from the later reading: the figures are lower bounds. */
static double add_backends(struct profile *p, const char *database,
                           const struct server_reading *before, const struct server_reading *after)
{
    double total = 0;
    for (size_t k = 0; k < after->n_backends; k++) {
        struct server_backend b = after->backends[k];
        for (size_t i = 0; i < before->n_backends; i++) {
            const struct server_backend *a = &before->backends[i];
            if (a->pid != b.pid || fabs(a->started - b.started) > 0.001)
                continue;
            b.cpu_s = fmax(0, b.cpu_s - a->cpu_s);
            b.disk_read -= a->disk_read;
            b.disk_written -= a->disk_written;
        }
        bool client = strcmp(b.kind, "client backend") == 0, here = !strcmp(b.where, database);
        if (b.ours || (client && !here))
            continue;
        if (client || (here && strcmp(b.kind, "parallel worker") == 0))
            total += b.cpu_s;
        bool known = false; /* the server's own processes: once, not once per database */
        for (size_t i = 0; i < p->n_backends && !known; i++)
            known = p->backends[i].b.pid == b.pid && p->backends[i].b.started == b.started;
        if (known)
            continue;
        p->backends = pw_mem_push(&p->mem, p->backends, &p->n_backends, sizeof(*p->backends));
        struct profile_backend *to = &p->backends[p->n_backends - 1];
        to->b = b;
        to->b.kind = pw_mem_str(&p->mem, b.kind);
        to->b.who = pw_mem_str(&p->mem, b.who);
        to->b.where = pw_mem_str(&p->mem, b.where);
        to->database = pw_mem_str(&p->mem, database);
    }
    return total;
}

/* Without pg_stat_kcache: the backends' CPU, divided by the execution time of the families. */
static void share_cpu(struct profile *p, const char *database, const struct server_reading *before,
                      const struct server_reading *after, double cpu_s)
{
    static const struct server_family zero;
    double all_ms = 0;
    for (size_t k = 0; after->has_pgss && k < after->n_families; k++) {
        const struct server_family *a = family_of(before, after->families[k].family);
        all_ms += since(a ? a->exec_ms : zero.exec_ms, after->families[k].exec_ms);
    }
    bool by_server = all_ms > 0; /* everybody's statements, not only those that came through us */
    for (size_t k = 0; !by_server && k < p->n_rows; k++)
        if (strcmp(p->rows[k].seen.database, database) == 0)
            all_ms += p->rows[k].seen.server_ms;
    for (size_t k = 0; all_ms > 0 && k < p->n_rows; k++) {
        struct profile_row *row = &p->rows[k];
        double ms = by_server ? row->server.exec_ms : row->seen.server_ms;
        if (strcmp(row->seen.database, database) != 0 || isnan(ms))
            continue;
        row->server.cpu_s = cpu_s * ms / all_ms;
        row->cpu_from = PROFILE_CPU_SHARE;
    }
}

static void add_totals(struct profile *p, const char *database, const struct server_reading *a,
                       const struct server_reading *b, double cpu_s)
{
    const struct {
        const char *name, *unit;
        double v;
    } rows[] = {{"commits", "", since(a->commits, b->commits)},
                {"blocks read", "", since(a->blks_read, b->blks_read)},
                {"blocks hit", "", since(a->blks_hit, b->blks_hit)},
                {"temporary files", "", since(a->temp_files, b->temp_files)},
                {"temporary bytes", "B", since(a->temp_bytes, b->temp_bytes)},
                {"deadlocks", "", since(a->deadlocks, b->deadlocks)},
                {"client backends' CPU", "s", cpu_s}};
    char *group = pw_mem_printf(&p->mem, "server %s", database);
    for (size_t k = 0; k < PW_COUNT_OF(rows); k++)
        if (!isnan(rows[k].v))
            pw_profile_add_reading(p, group, rows[k].name, rows[k].unit, rows[k].v, NAN);
}

void pw_profile_add_server(struct profile *p, const char *database,
                           const struct server_reading *before, const struct server_reading *after)
{
    bool local = before->local && after->local;
    for (size_t k = 0; k < before->n_notes; k++)
        pw_profile_note(p, "%s: at the start: %s", database, before->notes[k]);
    for (size_t k = 0; k < after->n_notes; k++)
        pw_profile_note(p, "%s: at the end: %s", database, after->notes[k]);
    add_families(p, database, before, after);
    double cpu_s = local ? add_backends(p, database, before, after) : NAN;
    add_totals(p, database, before, after, cpu_s);
    if (local && !after->has_kcache)
        share_cpu(p, database, before, after, cpu_s);
    if (!local && !after->has_kcache)
        pw_profile_note(p,
                        "%s: the server runs on another host and has no pg_stat_kcache: its CPU "
                        "time is not known",
                        database);
    if (!after->has_pgss)
        pw_profile_note(p,
                        "%s: without pg_stat_statements blocks, temporary files and WAL of each "
                        "family are not known",
                        database);
}

/* ---- order ---- */

static double heat(const struct profile_row *r)
{
    if (!isnan(r->server.cpu_s))
        return r->server.cpu_s * 1000;
    return isnan(r->server.exec_ms) ? r->seen.server_ms : r->server.exec_ms;
}

static int hotter(const void *x, const void *y)
{
    const struct profile_row *a = x, *b = y;
    if (heat(a) != heat(b))
        return heat(a) > heat(b) ? -1 : 1;
    if (a->seen.total_ms != b->seen.total_ms)
        return a->seen.total_ms > b->seen.total_ms ? -1 : 1;
    return a->seen.family < b->seen.family ? -1 : a->seen.family > b->seen.family;
}

static int busier(const void *x, const void *y)
{
    const struct profile_backend *a = x, *b = y;
    if (a->b.cpu_s != b->b.cpu_s)
        return a->b.cpu_s > b->b.cpu_s ? -1 : 1;
    return a->b.pid < b->b.pid ? -1 : a->b.pid > b->b.pid;
}

void pw_profile_sort(struct profile *p)
{
    if (p->n_rows)
        qsort(p->rows, p->n_rows, sizeof(*p->rows), hotter);
    if (p->n_backends)
        qsort(p->backends, p->n_backends, sizeof(*p->backends), busier);
}

bool pw_profile_concerns(const struct profile *p, const struct advice *a)
{
    for (size_t k = 0; k < a->n_queries; k++)
        for (size_t i = 0; i < p->n_rows; i++)
            if (p->rows[i].seen.family == a->queries[k].family)
                return true;
    return false;
}

const char *pw_profile_cpu_text(enum profile_cpu from)
{
    return from == PROFILE_CPU_KCACHE  ? "pg_stat_kcache"
           : from == PROFILE_CPU_SHARE ? "its share of the backends' CPU by execution time"
                                       : NULL;
}

size_t pw_profile_figures(const struct profile_row *r,
                          struct profile_figure out[PW_PROFILE_FIGURES])
{
    const struct profile_family *f = &r->seen;
    const struct server_family *s = &r->server;
    const struct profile_figure all[] = {{"calls", f->calls},
                                         {"rows", f->rows},
                                         {"errors", f->errors},
                                         {"bytes", f->bytes},
                                         {"total_ms", f->total_ms},
                                         {"wait_ms", f->wait_ms},
                                         {"server_ms", f->server_ms},
                                         {"proxy_ms", pw_profile_own_ms(f)},
                                         {"cache_hits", f->cache_hits},
                                         {"joined", f->joined},
                                         {"merged", f->merged},
                                         {"server_calls", s->calls},
                                         {"server_exec_ms", s->exec_ms},
                                         {"server_cpu_s", s->cpu_s},
                                         {"blocks_hit", s->blks_hit},
                                         {"blocks_read", s->blks_read},
                                         {"blocks_written", s->blks_written},
                                         {"temp_bytes", r->temp_bytes},
                                         {"io_ms", s->io_ms},
                                         {"disk_read_bytes", s->disk_read},
                                         {"disk_write_bytes", s->disk_written},
                                         {"wal_bytes", s->wal_bytes},
                                         {"jit_ms", s->jit_ms}};
    _Static_assert(PW_COUNT_OF(all) <= PW_PROFILE_FIGURES, "room for every figure");
    memcpy(out, all, sizeof(all));
    return PW_COUNT_OF(all);
}
