/*
 * Candidates that HypoPG cannot show to the planner: where a plan still reads a whole table, or a
 * partition of it, our model says what an index saves there.
 */
#include <math.h>
#include <string.h>

#include "advisor/model.h"
#include "advisor/plan_read.h"
#include "advisor/whatif.h"

/* HypoPG (1.3.1) matches a hypothetical expression or partial index only to the first table of the
 * statement, and never to a partition. */
static bool is_unseen(const struct whatif *w, uint32_t query, const struct candidate *c)
{
    const struct need_statement *st = &w->needs->statements[query];
    bool special = c->predicate != NULL;
    for (int k = 0; k < c->n_keys; k++)
        special = special || !c->keys[k].attnum;
    if (!c->simulated || !special)
        return !c->simulated;
    return c->table->kind == 'p' || st->first < 0 || st->needs[st->first].table != c->table;
}

static bool wants_nearest(const struct need_statement *st, const struct candidate *c)
{
    for (size_t k = 0; k < st->n_needs; k++)
        for (int p = 0; st->needs[k].table == c->table && p < st->needs[k].n_preds; p++)
            if (st->needs[k].preds[p].op == NEED_DISTANCE &&
                st->needs[k].preds[p].attnum == c->keys[0].attnum)
                return true;
    return false;
}

static const struct inv_table *table_of(const struct inventory *inv, const struct plan_scan *scan)
{
    for (size_t k = 0; k < inv->n_tables; k++)
        if (strcmp(inv->tables[k].name, scan->table) == 0 &&
            strcmp(inv->tables[k].schema, scan->schema) == 0)
            return &inv->tables[k];
    return NULL;
}

static bool is_within(const struct inventory *inv, const struct inv_table *t,
                      const struct inv_table *whole)
{
    for (int depth = 0; t && depth < 16; depth++) {
        if (t == whole)
            return true;
        t = pw_inventory_table(inv, t->parent);
    }
    return false;
}

/* Of the nearest rows each partition must offer as many, and the best of them are taken. */
static double nearest_saving(struct whatif *w, const struct candidate *c,
                             const struct plan_facts *f)
{
    const struct inventory *inv = &w->run->inv;
    int parts = 0;
    for (int k = 0; k < f->n_scans; k++)
        parts += is_within(inv, table_of(inv, &f->scans[k]), c->table);
    double each = f->cost / fmax(1, parts);
    return pw_model_nearest_saving(inv, c, each, f->rows);
}

static double saving_of(struct whatif *w, uint32_t query, const struct candidate *c,
                        const struct inv_table *t, const struct plan_scan *scan,
                        const struct plan_facts *f)
{
    const struct inventory *inv = &w->run->inv;
    const struct need_statement *st = &w->needs->statements[query];
    if (wants_nearest(st, c))
        return nearest_saving(w, c, f);
    if (!c->simulated)
        return pw_model_bitmap_saving(inv, c, t, scan->cost, scan->rows);
    return pw_model_index_saving(inv, c, t, st, scan->cost);
}

static bool shows_unseen(const struct whatif *w, uint32_t query, const struct whatif_mask *shown)
{
    for (uint32_t at = 0; at < w->c->n_by_query[query]; at++)
        if (pw_mask_has(shown, at) && is_unseen(w, query, &w->c->items[w->c->by_query[query][at]]))
            return true;
    return false;
}

void pw_whatif_add_unseen(struct whatif *w, uint32_t query, const struct plan_facts *f,
                          struct whatif_entry *e)
{
    double most = f->cost * 0.999; /* together */
    int n_scans = shows_unseen(w, query, &e->shown) ? f->n_scans : 0;
    for (int k = 0; k < n_scans; k++) {
        const struct inv_table *t = table_of(&w->run->inv, &f->scans[k]);
        double best = 0;
        uint32_t best_at = UINT32_MAX;
        for (uint32_t at = 0; t && at < w->c->n_by_query[query]; at++) {
            struct candidate *c = &w->c->items[w->c->by_query[query][at]];
            if (!pw_mask_has(&e->shown, at) || !is_unseen(w, query, c) ||
                !is_within(&w->run->inv, t, c->table))
                continue;
            double saving = saving_of(w, query, c, t, &f->scans[k], f);
            if (saving > best) {
                best = saving;
                best_at = at;
            }
        }
        if (best_at == UINT32_MAX)
            continue;
        pw_mask_put(&e->used, best_at);
        w->c->items[w->c->by_query[query][best_at]].modelled = true;
        best = fmin(best, most);
        e->cost -= best;
        most -= best;
    }
}
