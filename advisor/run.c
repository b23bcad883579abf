/* One run from connect to finished set. See run.h. */
#include "advisor/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/create.h"
#include "advisor/history.h"
#include "advisor/rules.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"

void pw_advise_defaults(struct advisor_options *o)
{
    if (o->max_columns <= 0)
        o->max_columns = 3;
    if (o->unused_after_us == 0)
        o->unused_after_us = (uint64_t)7 * 86400 * 1000000;
    if (!(o->rebuild_density > 0))
        o->rebuild_density = 60;
    if (o->min_index_size == 0)
        o->min_index_size = 1024 * 1024;
}

void pw_run_progress(struct advice_run *r, const char *phase, size_t done, size_t total)
{
    bool has_side = r->side.mem != NULL; /* not while connecting: notes live in its memory */
    if (has_side && r->job->cancel && atomic_load(r->job->cancel) && !r->side.lost) {
        r->side.lost = true; /* every later question answers at once */
        pw_side_note(&r->side, "the run was cancelled");
    }
    if (r->job->progress)
        r->job->progress(r->job->progress_arg, phase, done, total);
}

static void index_rules(struct advice_run *r)
{
    pw_rules_create(r); /* first: its plans tell which indexes are used */
    pw_rules_invalid(r);
    pw_rules_redundant(r);
    pw_rules_unused(r);
    pw_rules_fk(r);
    pw_rules_bloat(r);
    pw_rules_statistics(r);
}

/* The counters as they are now that our EXPLAINs are done: what they moved is not use. */
static void remember(struct advice_run *r)
{
    uint64_t now = pw_clock_wall_us();
    double *scans = pw_mem(&r->mem, (r->inv.n_indexes + 1) * sizeof(*scans));
    for (size_t k = 0; k < r->inv.n_indexes; k++)
        scans[k] = r->inv.indexes[k].scans;
    if (r->side.version >= 150000)
        pw_side_exec(&r->side, NULL, "SELECT pg_stat_force_next_flush()");
    struct pgresult *res = pw_side_rows(
        &r->side, "index usage", "SELECT indexrelid, idx_scan FROM pg_stat_all_indexes", 0, NULL);
    for (int k = 0; res && k < pw_pgresult_rows(res); k++) {
        struct inv_index *x = pw_inventory_index(&r->inv, (uint32_t)pw_cell_int(res, k, 0, 0));
        if (x && !x->is_partitioned)
            scans[pw_run_index_no(r, x)] = pw_cell_num(res, k, 1, 0);
    }
    if (res)
        pw_pgresult_free(res);
    pw_history_after(r->history, r->set->database, &r->inv, scans, r->side.explains, now);
    if (strcmp(r->w->source, "live") == 0)
        pw_history_families(r->history, r->set->database, r->w, now);
    pw_history_advice(r->history, r->set);
}

static void inspect(struct advice_run *r)
{
    pw_run_progress(r, "catalog", 0, 0);
    if (!pw_inventory_load(&r->inv, &r->side)) {
        pw_side_note(&r->side, "the catalog could not be read");
        return;
    }
    size_t n = r->inv.n_indexes + 1;
    r->index_used = pw_mem(&r->mem, n);
    r->index_dropped = pw_mem(&r->mem, n);
    r->index_kept = pw_mem(&r->mem, n);
    for (size_t k = 0; k < r->job->o.n_standbys; k++)
        pw_inventory_ask_standby(&r->inv, &r->side, r->job->o.standbys[k]);
    if (r->history)
        pw_history_before(r->history, r->set->database, &r->inv, pw_clock_wall_us());
    if (r->job->what == ADVISE_JIT)
        pw_rules_jit(r);
    else if (r->job->what == ADVISE_FUNCTIONS || r->job->what == ADVISE_FUNCTIONS_UNMEASURED)
        pw_rules_functions(r);
    else
        index_rules(r);
    if (r->history && !r->side.lost)
        remember(r);
}

static void describe_window(struct advice_run *r)
{
    struct advice_set *s = r->set;
    s->window_from_us = r->w->from_us;
    s->window_to_us = r->w->to_us;
    s->window_families = r->w->n_families;
    s->window_queries = 0;
    for (size_t k = 0; k < r->w->n_families; k++)
        s->window_queries += r->w->families[k].calls;
    for (size_t k = 0; k < r->w->n_skipped; k++) {
        const struct workload_skipped *x = &r->w->skipped[k];
        if (x->line)
            pw_advice_note(s, "workload line %u skipped: %s", x->line, x->reason);
        else
            pw_advice_note(s, "family %016llx skipped: %s", (unsigned long long)x->family,
                           x->reason);
    }
    if (r->w->dropped)
        pw_advice_note(s, "%zu families beyond the first %d were left out", r->w->dropped,
                       PW_WORKLOAD_FAMILIES);
    for (size_t k = 0; k < r->side.n_notes; k++)
        pw_advice_note(s, "%s", r->side.notes[k]);
    s->partial = s->n_notes > 0;
}

static void count_freed(struct advice_set *s)
{
    for (size_t k = 0; k < s->n_items; k++) {
        const struct advice *a = &s->items[k];
        if (a->kind == ADVICE_DROP_UNUSED || a->kind == ADVICE_DROP_REDUNDANT ||
            a->kind == ADVICE_DROP_INVALID)
            s->summary.index_bytes_freed += isnan(a->size_bytes) ? 0 : a->size_bytes;
    }
}

#define HISTORY_DAYS 30

static void read_source(struct advice_run *r)
{
    char *error = NULL;
    if (strcmp(r->w->source, "history") == 0 && !r->w->n_families) {
        if (!r->history || !pw_history_workload(r->history, r->set->database, HISTORY_DAYS, r->w))
            pw_side_note(&r->side, "the history could not be read");
        return;
    }
    if (strcmp(r->w->source, "pg_stat_statements") != 0 || r->w->n_families)
        return;
    pw_run_progress(r, "pg_stat_statements", 0, 0);
    if (!pw_workload_add_pgss(r->w, r->side.pg, &error))
        pw_side_note(&r->side, "pg_stat_statements: %s", error ? error : "not readable");
    free(error);
}

struct advice_set *pw_advise_run(const struct advise_job *job, struct workload *w,
                                 struct history *history, bool *reached)
{
    uint64_t start = pw_clock_us();
    struct advice_run r = {.job = job, .w = w, .history = history};
    r.set = pw_advice_set_new(w->source);
    pw_arena_init(&r.mem, PW_MEM_MAX);
    char *error = NULL;
    pw_run_progress(&r, "connecting", 0, 0);
    *reached = pw_side_open(&r.side, &r.mem, job->conninfo, &error);
    if (*reached) {
        r.set->database = pw_mem_str(&r.set->mem, r.side.database ? r.side.database : "");
        read_source(&r);
        inspect(&r);
        pw_side_close(&r.side);
    } else {
        pw_advice_note(r.set, "the server could not be reached: %s", error ? error : "?");
    }
    free(error);
    describe_window(&r);
    count_freed(r.set);
    r.set->summary.seconds = (double)(pw_clock_us() - start) / 1e6;
    pw_advice_set_finish(r.set);
    pw_arena_free(&r.mem);
    return r.set;
}
