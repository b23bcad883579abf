/* See create.h. */
#include "advisor/create.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/create_priv.h"
#include "advisor/widths.h"

#define PAYS_TOTAL  0.02 /* an index stays when it saves this share of the workload's cost ... */
#define PAYS_BUDGET 0.000002 /* ... which is less where a budget says what may be spent ... */
#define PAYS_FAMILY 0.20     /* ... or this share of one family's */
#define WORTH_COST  10.0     /* and that family's statement costs more than two pages' visit */

static void relevant_to(struct creation *x)
{
    size_t n = x->c.n, families = x->needs.n;
    struct arena *mem = &x->r->mem;
    x->relevant = pw_mem(mem, (n + 1) * sizeof(*x->relevant));
    x->n_relevant = pw_mem(mem, (n + 1) * sizeof(*x->n_relevant));
    bool *touched = pw_mem(mem, families + 1);
    for (size_t i = 0; i < n; i++) {
        memset(touched, 0, families);
        uint32_t count = 0;
        bool reads = false;
        for (size_t q = 0; q < families; q++) {
            for (uint32_t k = 0; k < x->c.n_by_query[q] && !touched[q]; k++)
                touched[q] = x->c.by_query[q][k] == i;
            reads = reads || touched[q];
            const struct need_statement *st = &x->needs.statements[q];
            if (x->w.queries[q].usable && st->verb != NEED_SELECT &&
                st->target == x->c.items[i].table)
                touched[q] = true;
        }
        for (size_t q = 0; q < families; q++)
            count += touched[q];
        /* Nobody's plan uses it: leave it out of the search altogether. */
        x->relevant[i] = pw_mem(mem, (count + 1) * sizeof(uint32_t));
        for (uint32_t q = 0; reads && q < families; q++)
            if (touched[q])
                x->relevant[i][x->n_relevant[i]++] = q;
    }
}

/* Candidates that one plan used together. */
static void find_groups(struct creation *x)
{
    struct select_group *groups = NULL;
    size_t n = 0;
    for (size_t q = 0; q < x->needs.n; q++)
        for (size_t k = 0; k < x->w.queries[q].n_entries; k++) {
            const struct whatif_mask *used = &x->w.queries[q].entries[k].used;
            struct select_group g = {.n = 0};
            uint32_t members = 0;
            for (uint32_t at = 0; at < x->c.n_by_query[q]; at++)
                if ((used->w[at / 64] >> (at % 64)) & 1) {
                    if (members < PW_SELECT_GROUP)
                        g.ids[g.n++] = x->c.by_query[q][at];
                    members++;
                }
            if (members < 2 || members > PW_SELECT_GROUP)
                continue;
            bool known = false;
            for (size_t i = 0; i < n && !known; i++)
                known = memcmp(&groups[i], &g, sizeof(g)) == 0;
            if (known)
                continue;
            groups = pw_mem_push(&x->r->mem, groups, &n, sizeof(g));
            groups[n - 1] = g;
        }
    x->p.groups = groups;
    x->p.n_groups = n;
}

static void set_up(struct creation *x)
{
    struct advice_run *r = x->r;
    size_t n = x->c.n, families = x->needs.n;
    x->size = pw_mem(&r->mem, (n + 1) * sizeof(double));
    x->parent = pw_mem(&r->mem, (n + 1) * sizeof(uint32_t));
    x->weight = pw_mem(&r->mem, (families + 1) * sizeof(double));
    for (size_t k = 0; k < n; k++) {
        x->size[k] = x->c.items[k].bytes;
        x->parent[k] = x->c.items[k].parent;
    }
    for (size_t q = 0; q < families; q++)
        x->weight[q] = x->w.queries[q].usable ? r->w->families[q].calls : 0;
    relevant_to(x);
    x->p = (struct select_problem){
        .n_items = (uint32_t)n,
        .n_queries = (uint32_t)families,
        .size = x->size,
        .weight = x->weight,
        .parent = x->parent,
        .relevant = (const uint32_t *const *)x->relevant,
        .n_relevant = x->n_relevant,
        .cost = pw_whatif_cost,
        .arg = &x->w,
        .max_regression = 0.10,
        .min_gain = 1e-6,
        .seeds = (uint32_t)n, /* every start that DTA would try, the best ones first */
    };
    find_groups(x);
}

double pw_creation_total(struct creation *x, const struct index_set *s)
{
    double total = 0;
    for (uint32_t q = 0; q < x->p.n_queries; q++)
        if (x->weight[q] > 0)
            total += x->weight[q] * pw_whatif_cost(&x->w, q, s);
    return total;
}

/* Largest saving of one family between two sets, as a share of what the family costs today. */
static double family_saving(struct creation *x, uint32_t item, const struct index_set *without,
                            const struct index_set *with)
{
    struct index_set none = {.n = 0};
    double best = 0;
    for (uint32_t k = 0; k < x->n_relevant[item]; k++) {
        uint32_t q = x->relevant[item][k];
        double today = pw_whatif_cost(&x->w, q, &none);
        double before = pw_whatif_cost(&x->w, q, without), after = pw_whatif_cost(&x->w, q, with);
        if (today >= WORTH_COST)
            best = fmax(best, (before - after) / today);
    }
    return best;
}

/* Does it make any statement cheaper that is not a mere probe of an index already? With a budget
 * the user has said that more is wanted. */
static bool is_worth_it(struct creation *x, uint32_t item, const struct index_set *without,
                        const struct index_set *with)
{
    struct index_set none = {.n = 0};
    for (uint32_t k = 0; k < x->n_relevant[item]; k++) {
        uint32_t q = x->relevant[item][k];
        if (pw_whatif_cost(&x->w, q, &none) >= WORTH_COST &&
            pw_whatif_cost(&x->w, q, with) < pw_whatif_cost(&x->w, q, without))
            return true;
    }
    return x->pays == PAYS_BUDGET;
}

static bool same_key(const struct cand_key *p, const struct cand_key *q)
{
    return p->attnum == q->attnum && p->desc == q->desc && p->nulls_first == q->nulls_first &&
           (p->attnum || strcmp(p->expr, q->expr) == 0) && !p->opclass == !q->opclass;
}

/* Is a the same as b with less in it? */
static bool simpler(const struct candidate *a, const struct candidate *b)
{
    if (a->table != b->table || strcmp(a->am, b->am) != 0 || a->n_keys > b->n_keys ||
        (a->predicate == NULL) != (b->predicate == NULL) ||
        (a->predicate && strcmp(a->predicate, b->predicate) != 0))
        return false;
    if (a->n_keys + a->n_include >= b->n_keys + b->n_include)
        return false;
    for (int k = 0; k < a->n_keys; k++)
        if (!same_key(&a->keys[k], &b->keys[k]))
            return false;
    return true;
}

/* The same keys, a over some rows and b over all, and a's condition is about the first key? */
static bool is_part_of(struct creation *x, const struct candidate *a, const struct candidate *b)
{
    if (a->table != b->table || strcmp(a->am, b->am) != 0 || a->n_keys != b->n_keys ||
        !a->predicate || b->predicate || !a->keys[0].attnum)
        return false;
    const char *name =
        pw_mem_ident(&x->r->mem, pw_inventory_attnum(a->table, a->keys[0].attnum)->name);
    const char *about = strncmp(a->predicate, "NOT ", 4) ? a->predicate : a->predicate + 4;
    size_t len = strlen(name);
    if (strncmp(about, name, len) != 0 || (about[len] && about[len] != ' '))
        return false;
    for (int k = 0; k < a->n_keys; k++)
        if (!same_key(&a->keys[k], &b->keys[k]))
            return false;
    return true;
}

/* Where a value's type is not the column's, the planner does not see that a partial index already
 * holds just the rows of a condition, and multiplies both selectivities in a BitmapAnd: what the
 * second of the two seems to save is not there. */
static void drop_halves(struct creation *x, struct index_set *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        for (uint32_t k = 0; k < s->n; k++) {
            uint32_t part = s->ids[i], whole = s->ids[k];
            if (!is_part_of(x, &x->c.items[part], &x->c.items[whole]))
                continue;
            struct index_set without_part = *s, without_whole = *s;
            pw_set_remove(&without_part, part);
            pw_set_remove(&without_whole, whole);
            bool keep_part =
                pw_creation_total(x, &without_whole) <= pw_creation_total(x, &without_part);
            pw_advice_refuse(x->r->set, x->c.items[keep_part ? whole : part].definition,
                             "%s has the same keys and serves the same statements",
                             x->c.items[keep_part ? part : whole].definition);
            *s = keep_part ? without_whole : without_part;
            i = UINT32_MAX; /* from the start: the set is another now */
            break;
        }
}

/* Every extra column must pay by itself: otherwise the index without it is the better advice. */
static bool simplify_one(struct creation *x, struct index_set *s, uint32_t item, double base)
{
    double now = pw_creation_total(x, s);
    for (uint32_t k = 0; k < x->c.n; k++) {
        if (x->n_relevant[k] == 0 || pw_set_has(s, k) ||
            !simpler(&x->c.items[k], &x->c.items[item]) || x->size[k] > x->size[item])
            continue;
        struct index_set other = *s;
        pw_set_remove(&other, item);
        pw_set_add(&other, k);
        if (pw_creation_total(x, &other) - now >= x->pays * base ||
            family_saving(x, item, &other, s) >= PAYS_FAMILY)
            continue;
        pw_advice_refuse(x->r->set, x->c.items[item].definition,
                         "hardly better than %s, which is smaller", x->c.items[k].definition);
        *s = other;
        return true;
    }
    return false;
}

static void simplify(struct creation *x, struct index_set *s, double base)
{
    for (uint32_t k = 0; k < s->n;)
        k = simplify_one(x, s, s->ids[k], base) ? 0 : k + 1;
}

/* Removes, one by one, the member that pays least while it pays too little. */
static void prune(struct creation *x, struct index_set *s, double base)
{
    for (;;) {
        double now = pw_creation_total(x, s), least = INFINITY;
        uint32_t worst = PW_SELECT_NONE;
        for (uint32_t k = 0; k < s->n; k++) {
            struct index_set without = *s;
            pw_set_remove(&without, s->ids[k]);
            double saved = pw_creation_total(x, &without) - now;
            bool pays = saved >= x->pays * base ||
                        (saved > 0 && family_saving(x, s->ids[k], &without, s) >= PAYS_FAMILY);
            pays = pays && is_worth_it(x, s->ids[k], &without, s);
            if (!pays && saved < least) {
                least = saved;
                worst = s->ids[k];
            }
        }
        if (worst == PW_SELECT_NONE)
            return;
        const char *definition = x->c.items[worst].definition;
        if (least >= x->pays * base)
            pw_advice_refuse(x->r->set, definition,
                             "would help only statements that are a probe of an index already");
        else
            pw_advice_refuse(x->r->set, definition,
                             "would save only %.2f %% of the workload's cost and less than 20 %% "
                             "of any family's",
                             base > 0 ? 100 * least / base : 0);
        pw_set_remove(s, worst);
    }
}

static void refuse_rest(struct creation *x, const struct index_set *s, double base, double budget)
{
    struct index_set none = {.n = 0};
    for (uint32_t k = 0; k < x->c.n; k++) {
        if (x->w.broken[k])
            pw_advice_refuse(x->r->set, x->c.items[k].definition,
                             "the server refuses it as a hypothetical index");
        if (pw_set_has(s, k) || x->n_relevant[k] == 0 || x->w.broken[k])
            continue;
        struct index_set with = none;
        pw_set_add(&with, k);
        double alone = base - pw_creation_total(x, &with);
        if (alone > x->pays * base && x->size[k] + 0 > budget)
            pw_advice_refuse(x->r->set, x->c.items[k].definition,
                             "would save %.1f %% alone, but needs more than the whole budget",
                             100 * alone / base);
        else if (alone > x->pays * base)
            pw_advice_refuse(x->r->set, x->c.items[k].definition,
                             "would save %.1f %% alone, but next to what is advised it adds too "
                             "little for its size",
                             100 * alone / base);
    }
}

static void publish(struct creation *x, struct select_result *best, double budget)
{
    struct advice_set *set = x->r->set;
    struct index_set none = {.n = 0};
    double base = pw_creation_total(x, &none);
    if (x->r->job->baseline == ADVISE_PORTFOLIO) {
        drop_halves(x, &best->set);
        prune(x, &best->set, base);
        simplify(x, &best->set, base);
        prune(x, &best->set, base);
    }
    double total = pw_creation_total(x, &best->set);
    for (uint32_t k = 0; k < best->set.n; k++)
        pw_creation_emit(x, best->set.ids[k], &best->set, base, total);
    refuse_rest(x, &best->set, base, budget);
    if (base > 0) {
        set->summary.cost_before = base;
        set->summary.cost_after = total;
        set->summary.improvement_pct = 100 * (base - total) / base;
    }
}

static void search(struct creation *x)
{
    struct advice_run *r = x->r;
    double most = 0;
    for (size_t k = 0; k < x->c.n; k++)
        most += x->size[k];
    double budget = r->job->o.budget_bytes ? (double)r->job->o.budget_bytes : INFINITY;
    double last = fmin(budget, most + 1);
    double budgets[] = {last / 4, last / 2, last};
    struct select_result results[3];
    pw_run_progress(r, "selection", 0, 0);
    if (r->job->baseline == ADVISE_EXTEND)
        pw_select_extend(&x->p, last, &results[2]);
    else if (r->job->baseline == ADVISE_ANYTIME)
        pw_select_anytime(&x->p, last, &results[2]);
    else
        pw_select_run(&x->p, budgets, 3, results);
    publish(x, &results[2], budget);
}

/* Of the tables that may get an index. */
static void read_widths(struct creation *x)
{
    for (size_t q = 0; q < x->needs.n; q++) {
        const struct need_statement *st = &x->needs.statements[q];
        pw_run_progress(x->r, "sizes", q, x->needs.n);
        for (size_t k = 0; k < st->n_needs; k++)
            pw_widths_read(&x->r->side, st->needs[k].table);
    }
}

void pw_rules_create(struct advice_run *r)
{
    struct creation x = {.r = r, .pays = r->job->o.budget_bytes ? PAYS_BUDGET : PAYS_TOTAL};
    pw_needs_find(&x.needs, &r->mem, &r->inv, &r->side, r->w);
    read_widths(&x);
    pw_candidates_find(&x.c, &r->mem, &r->inv, &x.needs, r->w, r->job->o.max_columns);
    if (x.c.overflow)
        pw_advice_note(r->set, "%zu candidate indexes beyond the limit were not looked at",
                       x.c.overflow);
    pw_whatif_start(&x.w, r, &x.needs, &x.c);
    if (r->w->n_families && !x.w.hypopg)
        pw_advice_note(r->set,
                       "HypoPG is not installed in this database: costs of new indexes come "
                       "from pgweir's own model, with lower confidence");
    struct needs *kept = pw_mem(&r->mem, sizeof(*kept));
    *kept = x.needs;
    r->needs = kept;
    r->planned = x.w.queries;
    set_up(&x);
    if (!r->side.lost && r->w->n_families)
        search(&x);
    if (x.w.exhausted)
        pw_advice_note(r->set, "the limit of what-if calls or time was reached: some combinations "
                               "were judged by bounds");
    pw_whatif_finish(&x.w);
    r->set->summary.whatif_calls = x.w.calls;
}
