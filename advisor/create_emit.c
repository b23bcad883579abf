/* A chosen candidate as advice: statement, undo, size, the families it helps, and how sure we are.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "advisor/build_sql.h"
#include "advisor/create_priv.h"

static const char *why_it_helps(struct creation *x, uint32_t item, size_t helped, double best)
{
    const struct candidate *c = &x->c.items[item];
    struct arena *mem = &x->r->set->mem;
    const char *how = c->predicate    ? "holds only the rows these statements ask for"
                      : c->n_include  ? "lets them read the index without the table"
                      : c->n_keys > 1 ? "finds their rows (in order) by all these columns at once"
                      : strcmp(c->am, "btree") ? "fits their operators"
                                               : "finds their rows without reading the whole table";
    return pw_mem_printf(mem, "%zu %s of this workload would get up to %.0f %% cheaper: it %s.",
                         helped, helped == 1 ? "family" : "families", 100 * best, how);
}

static void add_queries(struct creation *x, struct advice *a, uint32_t item,
                        const struct index_set *s)
{
    struct index_set none = {.n = 0}, without = *s;
    pw_set_remove(&without, item);
    for (uint32_t k = 0; k < x->n_relevant[item] && a->n_queries < 20; k++) {
        uint32_t q = x->relevant[item][k];
        double with = pw_whatif_cost(&x->w, q, s), less = pw_whatif_cost(&x->w, q, &without);
        if (fabs(with - less) < 1e-6)
            continue;
        const struct workload_family *f = &x->r->w->families[q];
        pw_advice_query(x->r->set, a, f->id, f->text, f->calls, pw_whatif_cost(&x->w, q, &none),
                        with);
    }
}

static enum advice_confidence confidence_of(const struct creation *x, uint32_t item)
{
    const struct candidate *c = &x->c.items[item];
    if (!x->w.hypopg || !c->simulated || c->modelled)
        return ADVICE_LOW;
    for (int k = 0; k < c->n_keys; k++)
        if (!c->keys[k].attnum)
            return ADVICE_LOW; /* a hypothetical expression index has no statistics */
    bool guessed = false;
    for (uint32_t k = 0; k < x->n_relevant[item]; k++)
        guessed = guessed || x->w.queries[x->relevant[item][k]].guessed;
    return guessed || c->predicate || x->w.exhausted ? ADVICE_MEDIUM : ADVICE_HIGH;
}

static void remember(struct advice_run *r, const struct candidate *c)
{
    if (c->predicate || strcmp(c->am, "btree") != 0)
        return;
    r->created = pw_mem_push(&r->mem, r->created, &r->n_created, sizeof(*r->created));
    struct created_index *n = &r->created[r->n_created - 1];
    n->table = c->table;
    for (int k = 0; k < c->n_keys; k++)
        n->attnums[n->n_keys++] = c->keys[k].attnum;
}

void pw_creation_emit(struct creation *x, uint32_t item, const struct index_set *s, double base,
                      double total)
{
    struct advice_set *set = x->r->set;
    struct candidate *c = &x->c.items[item];
    c->name = pw_build_name(x->r, c->table->schema, c->name);
    struct index_set without = *s;
    pw_set_remove(&without, item);
    struct advice *a = pw_advice_add(set, ADVICE_CREATE, c->table->full,
                                     pw_mem_printf(&set->mem, "%s.%s", c->table->schema, c->name));
    pw_advice_identify(set, a, c->definition);
    for (int k = 0; k < c->n_keys; k++) {
        const struct inv_column *col =
            c->keys[k].attnum ? pw_inventory_attnum(c->table, c->keys[k].attnum) : NULL;
        pw_advice_column(set, a, col ? col->name : c->keys[k].expr);
    }
    const char *table = pw_mem_qualified(&set->mem, c->table->schema, c->table->name);
    a->sql = pw_build_sql(x->r, c->table, c->name, c->definition + strlen(table));
    a->undo_sql = pw_build_undo_sql(x->r, c->table, c->name);
    a->size_bytes = c->bytes;
    a->benefit_pct = base > 0 ? 100 * (pw_creation_total(x, &without) - total) / base : NAN;
    a->confidence = confidence_of(x, item);
    add_queries(x, a, item, s);
    remember(x->r, c);
    size_t helped = 0, hurt = 0;
    double best = 0;
    for (size_t k = 0; k < a->n_queries; k++) {
        const struct advice_query *q = &a->queries[k];
        helped += q->cost_after < q->cost_before;
        hurt += q->cost_after > q->cost_before;
        if (q->cost_before > 0)
            best = fmax(best, 1 - q->cost_after / q->cost_before);
    }
    a->reason = why_it_helps(x, item, helped, best);
    pw_advice_fact_text(set, a, "estimated_with",
                        x->w.hypopg && c->simulated && !c->modelled ? "hypopg" : "own model");
    pw_advice_fact_num(set, a, "families_helped", (double)helped);
    pw_advice_fact_num(set, a, "families_slowed", (double)hurt);
    pw_advice_fact_num(set, a, "table_rows", pw_inventory_rows(c->table));
    pw_advice_fact_num(set, a, "table_bytes", c->table->bytes);
    if (c->n_include) {
        char *inc = pw_mem_str(&set->mem, "");
        for (int k = 0; k < c->n_include; k++)
            inc = pw_mem_printf(&set->mem, "%s%s%s", inc, k ? ", " : "",
                                pw_inventory_attnum(c->table, c->include[k])->name);
        pw_advice_fact_text(set, a, "include", inc);
    }
    if (c->predicate) {
        pw_advice_fact_text(set, a, "predicate", c->predicate);
        pw_advice_fact_num(set, a, "predicate_share", c->predicate_share);
    }
    set->summary.index_bytes_added += c->bytes;
}
