/* See whatif.h. */
#include "advisor/whatif.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/model.h"
#include "advisor/params.h"
#include "advisor/plan_read.h"
#include "proxy/base/clock.h"

#define MAX_CALLS      20000
#define MAX_SECONDS    45
#define ROUNDS         8    /* per statement: how many layers of alternatives are looked for */
#define WRITE_OVERHEAD 25.0 /* planner units of a commit: about a quarter of a millisecond */
#define ENTRIES_MAX    4096

static bool mask_within(const struct whatif_mask *a, const struct whatif_mask *b)
{
    return !(a->w[0] & ~b->w[0]) && !(a->w[1] & ~b->w[1]);
}

/* Makes the server see exactly the candidates of this mask. */
static void show(struct whatif *w, uint32_t query, const struct whatif_mask *m)
{
    struct advice_run *r = w->run;
    const char *schema = pw_mem_ident(&r->mem, r->inv.hypopg_schema);
    bool *wanted = pw_mem(&r->mem, w->c->n + 1);
    for (uint32_t at = 0; at < w->c->n_by_query[query]; at++)
        wanted[w->c->by_query[query][at]] = pw_mask_has(m, at);
    for (size_t k = 0; k < w->c->n; k++) {
        char oid[16];
        if (!w->hypo_oid[k] || wanted[k])
            continue;
        snprintf(oid, sizeof(oid), "%u", w->hypo_oid[k]);
        const char *params[] = {oid};
        char *sql = pw_mem_printf(&r->mem, "SELECT %s.hypopg_drop_index($1::oid)", schema);
        struct pgresult *res = pw_side_rows(&r->side, "HypoPG", sql, 1, params);
        if (res)
            pw_pgresult_free(res);
        w->hypo_oid[k] = 0;
    }
    for (size_t k = 0; k < w->c->n; k++) {
        if (!wanted[k] || w->hypo_oid[k] || w->broken[k] || !w->c->items[k].simulated)
            continue;
        const char *params[] = {pw_candidate_hypo_sql(&r->mem, &w->c->items[k])};
        char *sql =
            pw_mem_printf(&r->mem, "SELECT indexrelid FROM %s.hypopg_create_index($1)", schema);
        struct pgresult *res = pw_side_rows(&r->side, NULL, sql, 1, params);
        if (res && pw_pgresult_rows(res) > 0)
            w->hypo_oid[k] = (uint32_t)pw_cell_int(res, 0, 0, 0);
        else
            w->broken[k] = true;
        if (res)
            pw_pgresult_free(res);
    }
}

/* HypoPG does not know a hypothetical tree's height, so its descents are free: charge them. */
static double descent(const struct whatif *w, const struct candidate *c, double probes)
{
    if (strcmp(c->am, "btree") != 0)
        return 0;
    return probes * (c->height + 1) * 50 * w->run->inv.cpu_operator_cost;
}

static void note_used(struct whatif *w, uint32_t query, const struct plan_facts *f,
                      struct whatif_entry *e)
{
    for (int k = 0; k < f->n_indexes; k++) {
        const struct plan_index *x = &f->indexes[k];
        for (uint32_t at = 0; x->hypo_oid && at < w->c->n_by_query[query]; at++) {
            uint32_t item = w->c->by_query[query][at];
            if (w->hypo_oid[item] != x->hypo_oid)
                continue;
            if (!pw_mask_has(&e->used, at))
                pw_mask_put(&e->used, at);
            e->cost += descent(w, &w->c->items[item], x->probes);
        }
    }
}

static void mark_existing(struct advice_run *r, const struct plan_facts *f)
{
    for (int k = 0; k < f->n_indexes; k++)
        for (size_t i = 0; i < r->inv.n_indexes; i++) {
            struct inv_index *x = &r->inv.indexes[i];
            if (strcmp(x->name, f->indexes[k].name) != 0 ||
                (f->indexes[k].schema[0] && strcmp(x->schema, f->indexes[k].schema) != 0))
                continue;
            for (int depth = 0; x && depth < 16; depth++) {
                r->index_used[pw_run_index_no(r, x)] = true;
                x = x->parent ? pw_inventory_index(&r->inv, x->parent) : NULL;
            }
        }
}

/* Asks the planner (or the model) and remembers. */
static const struct whatif_entry *ask(struct whatif *w, uint32_t query, const struct whatif_mask *m)
{
    struct whatif_query *q = &w->queries[query];
    if (q->n_entries >= ENTRIES_MAX || w->calls >= w->max_calls || w->run->side.lost ||
        pw_clock_us() > w->deadline_us) {
        w->exhausted = true;
        return NULL;
    }
    struct whatif_entry e = {.shown = *m};
    if (w->hypopg) {
        show(w, query, m);
        for (size_t k = 0; k < q->n_samples; k++) {
            char *json = pw_whatif_explain_query(w->run, q, k, NULL);
            struct plan_facts f;
            bool ok = json && pw_plan_read(json, &f);
            free(json);
            w->calls++;
            if (!ok)
                return NULL;
            e.cost += f.cost;
            note_used(w, query, &f, &e);
            pw_whatif_add_unseen(w, query, &f, &e);
            if (!m->w[0] && !m->w[1]) {
                mark_existing(w->run, &f);
                q->modified = fmax(q->modified, f.modified);
            }
        }
        e.cost /= (double)q->n_samples;
    } else {
        e.cost = pw_model_cost(w, query, m, &e.used);
        w->calls++;
    }
    q->entries = pw_mem_push(&w->run->mem, q->entries, &q->n_entries, sizeof(e));
    q->entries[q->n_entries - 1] = e;
    return &q->entries[q->n_entries - 1];
}

static double plan_cost(struct whatif *w, uint32_t query, const struct whatif_mask *m)
{
    struct whatif_query *q = &w->queries[query];
    double bound = q->base;
    for (size_t k = 0; k < q->n_entries; k++) {
        const struct whatif_entry *e = &q->entries[k];
        if (mask_within(&e->used, m)) {
            if (mask_within(m, &e->shown))
                return e->cost;
            bound = fmin(bound, e->cost);
        }
    }
    const struct whatif_entry *e = ask(w, query, m);
    return e ? e->cost : bound;
}

double pw_whatif_row_upkeep(const struct inventory *inv, double entries, double height)
{
    double compare = ceil(log2(fmax(2, entries))) * inv->cpu_operator_cost;
    /* A descent, the entry itself, and one write in ten that finds its leaf page cold. */
    return compare + (height + 1) * 50 * inv->cpu_operator_cost + inv->cpu_index_tuple_cost +
           0.1 * inv->random_page_cost;
}

static bool writes_column(const struct need_statement *st, const struct candidate *c)
{
    for (int k = 0; k < st->n_written; k++)
        if (pw_candidate_touches(c, st->written[k]))
            return true;
    return false;
}

/* What the new indexes cost a write. */
static double upkeep(struct whatif *w, uint32_t query, const struct index_set *set)
{
    const struct need_statement *st = &w->needs->statements[query];
    const struct whatif_query *q = &w->queries[query];
    if (st->verb == NEED_SELECT)
        return 0;
    double total = WRITE_OVERHEAD;
    bool lost = false;
    for (uint32_t k = 0; st->target && st->verb != NEED_DELETE && k < set->n; k++) {
        const struct candidate *c = &w->c->items[set->ids[k]];
        if (c->table != st->target)
            continue;
        bool touched = writes_column(st, c);
        if (st->verb == NEED_UPDATE && !touched)
            continue;
        double rows = fmax(q->modified, st->n_values);
        total +=
            rows * c->predicate_share * pw_whatif_row_upkeep(&w->run->inv, c->entries, c->height);
        lost = lost || (st->verb == NEED_UPDATE && touched);
    }
    return total + (lost ? w->hot_loss[query] : 0);
}

double pw_whatif_cost(void *arg, uint32_t query, const struct index_set *set)
{
    struct whatif *w = arg;
    struct whatif_query *q = &w->queries[query];
    if (!q->usable)
        return 0;
    struct whatif_mask m = {{0, 0}};
    for (uint32_t at = 0; at < w->c->n_by_query[query]; at++)
        if (pw_set_has(set, w->c->by_query[query][at]))
            pw_mask_put(&m, at);
    return plan_cost(w, query, &m) + upkeep(w, query, set);
}

/* Updates that touch no indexed column leave every index alone; one index on such a column ends
 * that. */
static double hot_loss_of(const struct whatif *w, uint32_t query)
{
    const struct need_statement *st = &w->needs->statements[query];
    const struct inventory *inv = &w->run->inv;
    double loss = 0;
    if (st->verb != NEED_UPDATE || !st->target)
        return 0;
    for (size_t k = 0; k < inv->n_indexes; k++) {
        const struct inv_index *x = &inv->indexes[k];
        if (x->table != st->target || !x->valid)
            continue;
        for (int a = 0; a < x->n_atts; a++)
            for (int c = 0; c < st->n_written; c++)
                if (x->keys[a].attnum == st->written[c])
                    return 0; /* these updates are not heap-only today either */
        loss += pw_whatif_row_upkeep(inv, fmax(x->tuples, 1), 2);
    }
    return loss * w->queries[query].modified;
}

/* Only candidates that some plan uses stay: shown all at once, then without the ones used, and so
 * on. */
static void narrow(struct whatif *w, uint32_t query)
{
    struct candidates *c = w->c;
    struct whatif_query *q = &w->queries[query];
    struct whatif_mask left = {{0, 0}}, wanted = {{0, 0}};
    for (uint32_t at = 0; at < c->n_by_query[query]; at++)
        pw_mask_put(&left, at);
    for (int round = 0; round < ROUNDS && (left.w[0] || left.w[1]); round++) {
        const struct whatif_entry *e = ask(w, query, &left);
        if (!e || (!e->used.w[0] && !e->used.w[1]))
            break;
        for (int k = 0; k < 2; k++) {
            wanted.w[k] |= e->used.w[k];
            left.w[k] &= ~e->used.w[k];
        }
    }
    uint32_t n = 0, *list = pw_mem(&w->run->mem, c->n_by_query[query] * sizeof(*list) + 1);
    uint32_t at_new[128];
    memset(at_new, 0xff, sizeof(at_new));
    for (uint32_t at = 0; at < c->n_by_query[query]; at++)
        if (pw_mask_has(&wanted, at)) {
            at_new[at] = n;
            list[n++] = c->by_query[query][at];
        }
    for (size_t k = 0; k < q->n_entries; k++) {
        struct whatif_entry old = q->entries[k], *e = &q->entries[k];
        e->shown = e->used = (struct whatif_mask){{0, 0}};
        for (uint32_t at = 0; at < c->n_by_query[query]; at++) {
            if (at_new[at] == UINT32_MAX)
                continue;
            if (pw_mask_has(&old.shown, at))
                pw_mask_put(&e->shown, at_new[at]);
            if (pw_mask_has(&old.used, at))
                pw_mask_put(&e->used, at_new[at]);
        }
    }
    c->by_query[query] = list;
    c->n_by_query[query] = n;
}

/* What the usual ones mean; the server's own text may hold values. */
static const char *state_text(const char *sqlstate)
{
    static const struct {
        const char *state, *text;
    } known[] = {
        {"22P02", ": a value does not fit its type"},
        {"3F000", ": no such schema"},
        {"42501", ": this role may not read one of its tables"},
        {"42703", ": no such column"},
        {"42883", ": no such function or operator"},
        {"42P01", ": no such table in this role's search_path"},
        {"42P18", ": the type of a parameter is not known"},
        {"55P03", ": one of its tables is locked"},
        {"57014", ": planning took too long"},
    };
    for (size_t k = 0; k < PW_COUNT_OF(known); k++)
        if (strcmp(known[k].state, sqlstate) == 0)
            return known[k].text;
    return "";
}

static void plan_as_is(struct whatif *w, uint32_t query)
{
    struct advice_run *r = w->run;
    struct workload_family *f = &r->w->families[query];
    struct whatif_query *q = &w->queries[query];
    struct whatif_mask none = {{0, 0}};
    pw_params_fill(r, &w->needs->statements[query], f, q);
    char sqlstate[6] = "";
    bool ok = q->n_samples > 0;
    for (size_t k = 0; ok && k < q->n_samples; k++) {
        struct plan_facts facts;
        char *json = pw_whatif_explain_query(r, q, k, sqlstate);
        ok = json && pw_plan_read(json, &facts);
        if (ok) {
            mark_existing(r, &facts);
            q->base += facts.cost;
            q->rows += facts.filtered ? facts.rows : NAN;
            q->modified = fmax(q->modified, facts.modified);
        }
        free(json);
    }
    if (!ok) {
        char *why = pw_mem_printf(&r->mem, "the server could not plan it (SQLSTATE %s%s)", sqlstate,
                                  state_text(sqlstate));
        pw_workload_skip(r->w, f->line, f->id, why);
        return;
    }
    q->base /= (double)q->n_samples;
    q->rows /= (double)q->n_samples;
    q->usable = true;
    q->entries = pw_mem_push(&r->mem, q->entries, &q->n_entries, sizeof(*q->entries));
    q->entries[0] = (struct whatif_entry){.shown = none, .used = none, .cost = q->base};
}

void pw_whatif_start(struct whatif *w, struct advice_run *r, const struct needs *needs,
                     struct candidates *c)
{
    memset(w, 0, sizeof(*w));
    w->run = r;
    w->needs = needs;
    w->c = c;
    w->hypopg = r->inv.has_hypopg && !r->job->no_hypopg;
    w->max_calls = MAX_CALLS;
    w->deadline_us = pw_clock_us() + (uint64_t)MAX_SECONDS * 1000000;
    w->queries = pw_mem(&r->mem, (needs->n + 1) * sizeof(*w->queries));
    w->hypo_oid = pw_mem(&r->mem, (c->n + 1) * sizeof(*w->hypo_oid));
    w->broken = pw_mem(&r->mem, c->n + 1);
    w->hot_loss = pw_mem(&r->mem, (needs->n + 1) * sizeof(*w->hot_loss));
    char *path = pw_mem_printf(&r->mem, "SET search_path = %s", r->side.search_path);
    pw_side_exec(&r->side, "search_path", path);
    for (uint32_t k = 0; k < needs->n && !r->side.lost; k++) {
        pw_run_progress(r, "planning", k, needs->n);
        plan_as_is(w, k);
        w->hot_loss[k] = hot_loss_of(w, k);
    }
    for (uint32_t k = 0; k < needs->n && !r->side.lost; k++) {
        pw_run_progress(r, "what-if", k, needs->n);
        if (w->queries[k].usable)
            narrow(w, k);
        else
            c->n_by_query[k] = 0;
    }
}

void pw_whatif_finish(struct whatif *w)
{
    struct advice_run *r = w->run;
    if (w->hypopg && !r->side.lost) {
        char *sql = pw_mem_printf(&r->mem, "SELECT %s.hypopg_reset()",
                                  pw_mem_ident(&r->mem, r->inv.hypopg_schema));
        pw_side_exec(&r->side, "HypoPG", sql);
    }
    if (!r->side.lost)
        pw_side_exec(&r->side, "search_path", "SET search_path = pg_catalog, pg_temp");
}
