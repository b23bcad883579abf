/* See model.h. The plan as it is gives the total; a candidate saves the difference between reading
 * the whole table and reading its matching rows through the index, per table reference, at most
 * what the plan costs above the floor. */
#include "advisor/model.h"

#include <math.h>
#include <string.h>

static double selectivity(const struct inv_table *t, const struct need_pred *p)
{
    const struct inv_column *c = p->attnum ? pw_inventory_attnum(t, p->attnum) : NULL;
    double rows = fmax(1, pw_inventory_rows(t));
    switch (p->op) {
    case NEED_EQ:
        return c ? (1 - c->null_frac) / pw_inventory_distinct(t, c) : 0.005;
    case NEED_NULL:
        return c ? fmax(c->null_frac, 1 / rows) : 0.005;
    case NEED_RANGE:
        return 0.1;
    case NEED_PREFIX:
        return 0.01;
    case NEED_TRUE:
    case NEED_FALSE:
        return 0.5;
    default:
        return 1;
    }
}

/* Share of the table an index scan on c reads for this reference; 1: useless. */
static double share_read(const struct candidate *c, const struct need *n, bool *ordered)
{
    double share = c->predicate ? c->predicate_share : 1;
    int k = 0;
    for (; k < c->n_keys; k++) {
        double best = 1;
        bool equality = false;
        for (int p = 0; p < n->n_preds; p++) {
            const struct need_pred *pr = &n->preds[p];
            bool same = c->keys[k].attnum ? pr->attnum == c->keys[k].attnum
                                          : pr->expr && strcmp(pr->expr, c->keys[k].expr) == 0;
            if (!same || pr->in_or)
                continue;
            double s = selectivity(n->table, pr);
            if (s < best) {
                best = s;
                equality = pr->op == NEED_EQ || pr->op == NEED_NULL;
            }
        }
        share *= best;
        if (!equality)
            break;
    }
    *ordered =
        n->n_sorts > 0 && n->limited && k < c->n_keys && c->keys[k].attnum == n->sorts[0].attnum;
    return share;
}

static double scan_cost(const struct inventory *inv, const struct inv_table *t)
{
    double rows = pw_inventory_rows(t);
    return t->pages * inv->seq_page_cost + rows * (inv->cpu_tuple_cost + inv->cpu_operator_cost);
}

/* Pages of the index that belong to t: the candidate's table, or a partition of it. */
static double index_pages(const struct candidate *c, const struct inv_table *t)
{
    return c->pages * fmin(1, fmax(1, pw_inventory_rows(t)) / fmax(1, pw_inventory_rows(c->table)));
}

static double index_cost(const struct inventory *inv, const struct candidate *c,
                         const struct inv_table *t, double share)
{
    double rows = fmax(1, pw_inventory_rows(t) * share);
    /* Mackert and Lohman's upper bound, as the planner has it for a table larger than the cache. */
    double pages = fmin(t->pages, fmax(1, 2 * t->pages * rows / (2 * fmax(t->pages, 1) + rows)));
    bool covering = c->n_include > 0;
    return (c->height + 1) * 50 * inv->cpu_operator_cost +
           fmax(1, index_pages(c, t) * share) * inv->random_page_cost +
           (covering ? 0.1 : 1) * pages * inv->random_page_cost +
           rows * (inv->cpu_index_tuple_cost + inv->cpu_tuple_cost);
}

double pw_model_cost(struct whatif *w, uint32_t query, const struct whatif_mask *m,
                     struct whatif_mask *used)
{
    const struct inventory *inv = &w->run->inv;
    const struct need_statement *st = &w->needs->statements[query];
    double cost = w->queries[query].base, saved = 0;
    for (size_t k = 0; k < st->n_needs; k++) {
        const struct need *n = &st->needs[k];
        double best = 0, full = fmin(scan_cost(inv, n->table), cost);
        uint32_t best_at = UINT32_MAX;
        for (uint32_t at = 0; at < w->c->n_by_query[query]; at++) {
            const struct candidate *c = &w->c->items[w->c->by_query[query][at]];
            if (!pw_mask_has(m, at) || c->table != n->table)
                continue;
            bool ordered;
            double share = share_read(c, n, &ordered);
            if (ordered)
                share = fmin(share, 100 / fmax(1, pw_inventory_rows(n->table)));
            double gain = full - index_cost(inv, c, c->table, share);
            if (gain > best) {
                best = gain;
                best_at = at;
            }
        }
        if (best_at != UINT32_MAX) {
            saved += best;
            pw_mask_put(used, best_at);
        }
    }
    return fmax(cost - saved, fmin(cost, 1));
}

double pw_model_bitmap_saving(const struct inventory *inv, const struct candidate *c,
                              const struct inv_table *t, double scan_cost_now, double rows)
{
    double share = fmin(1, fmax(rows, 1) / fmax(1, pw_inventory_rows(t)));
    double pages = fmin(t->pages, fmax(1, 2 * t->pages * rows / (2 * fmax(t->pages, 1) + rows)));
    /* Between random and sequential, as the planner grades bitmap heap scans by how much they read.
     */
    double per_page = inv->random_page_cost - (inv->random_page_cost - inv->seq_page_cost) *
                                                  sqrt(pages / fmax(1, t->pages));
    double cost = 4 * inv->random_page_cost + index_pages(c, t) * share * inv->random_page_cost +
                  pages * per_page + 2 * rows * (inv->cpu_tuple_cost + inv->cpu_operator_cost);
    return fmax(0, scan_cost_now - cost);
}

double pw_model_index_saving(const struct inventory *inv, const struct candidate *c,
                             const struct inv_table *t, const struct need_statement *st,
                             double scan_cost_now)
{
    double best = 0;
    for (size_t k = 0; k < st->n_needs; k++) {
        bool ordered;
        if (st->needs[k].table != c->table)
            continue;
        double share = share_read(c, &st->needs[k], &ordered);
        best = fmax(best, scan_cost_now - index_cost(inv, c, t, share));
    }
    return best;
}

double pw_model_nearest_saving(const struct inventory *inv, const struct candidate *c,
                               double plan_cost, double rows)
{
    double descent = (c->height + 1) * inv->random_page_cost;
    double each = 2 * inv->random_page_cost + inv->cpu_tuple_cost;
    if (rows > 0.1 * pw_inventory_rows(c->table))
        return 0; /* nearly all are wanted: sorting them is as good */
    return fmax(0, plan_cost - descent - rows * each);
}
