/* Which indexes one table reference suggests. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/candidates_build.h"
#include "advisor/size.h"

#define MAX_INCLUDE 4

static void put(int *list, int *n, int attnum)
{
    for (int k = 0; k < *n; k++)
        if (list[k] == attnum)
            return;
    if (*n < PW_NEED_MAX)
        list[(*n)++] = attnum;
}

bool pw_cand_indexable(const struct inv_table *t, int attnum)
{
    const struct inv_column *c = pw_inventory_attnum(t, attnum);
    if (!c)
        return false;
    /* json, xml and geometry have no btree order; very wide values do not fit an index page. */
    static const uint32_t never[] = {114, 142, 600, 601, 602, 603, 604, 628, 718, 3614, 3615};
    for (size_t k = 0; k < PW_COUNT_OF(never); k++)
        if (c->type_oid == never[k])
            return false;
    return c->avg_width < 1000;
}

static void sort_roles(const struct need *n, struct cand_roles *r)
{
    for (int k = 0; k < n->n_preds; k++) {
        const struct need_pred *p = &n->preds[k];
        if (!p->attnum || !pw_cand_indexable(n->table, p->attnum))
            continue;
        switch (p->op) {
        case NEED_EQ:
        case NEED_NULL:
            if (p->join)
                put(r->join, &r->n_join, p->attnum);
            else if (!p->in_or)
                put(r->eq, &r->n_eq, p->attnum);
            break;
        case NEED_TRUE:
        case NEED_FALSE:
            if (!p->in_or)
                put(r->eq, &r->n_eq, p->attnum);
            break;
        case NEED_RANGE:
            put(r->range, &r->n_range, p->attnum);
            break;
        case NEED_PREFIX:
            put(r->prefix, &r->n_prefix, p->attnum);
            break;
        default:
            break;
        }
    }
}

/* How many families of the workload compare this column for equality. */
static int shared_by(const struct builder *b, const struct inv_table *t, int attnum)
{
    int n = 0;
    for (size_t q = 0; q < b->needs->n; q++)
        for (size_t i = 0; i < b->needs->statements[q].n_needs; i++) {
            const struct need *need = &b->needs->statements[q].needs[i];
            for (int k = 0; need->table == t && k < need->n_preds; k++)
                n += need->preds[k].attnum == attnum && need->preds[k].op == NEED_EQ;
        }
    return n;
}

/* Equality columns: the most shared first, then the most selective, then by number. */
static void order_equalities(const struct builder *b, const struct inv_table *t, int *cols, int n)
{
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0; j--) {
            int sa = shared_by(b, t, cols[j]), sb = shared_by(b, t, cols[j - 1]);
            double da = pw_inventory_distinct(t, pw_inventory_attnum(t, cols[j]));
            double db = pw_inventory_distinct(t, pw_inventory_attnum(t, cols[j - 1]));
            bool swap = sa != sb ? sa > sb : da != db ? da > db : cols[j] < cols[j - 1];
            if (!swap)
                break;
            int tmp = cols[j];
            cols[j] = cols[j - 1];
            cols[j - 1] = tmp;
        }
}

struct candidate pw_cand_start(const struct need *n)
{
    return (struct candidate){
        .table = n->table, .am = "btree", .predicate_share = 1, .simulated = true};
}

void pw_cand_key(struct candidate *c, int attnum)
{
    if (c->n_keys < PW_CAND_KEYS)
        c->keys[c->n_keys] = (struct cand_key){.attnum = attnum};
    c->n_keys++;
}

static bool has_key(const struct candidate *c, int attnum)
{
    for (int k = 0; k < c->n_keys && k < PW_CAND_KEYS; k++)
        if (c->keys[k].attnum == attnum)
            return true;
    return false;
}

void pw_cand_keys(struct candidate *c, const int *cols, int n, int max)
{
    for (int k = 0; k < n && c->n_keys < max; k++)
        if (!has_key(c, cols[k]))
            pw_cand_key(c, cols[k]);
}

/* The rest of what the reference reads, when an index-only scan is plausible. */
static void propose_covering(struct builder *b, const struct need *n, const struct candidate *base)
{
    const struct inv_table *t = n->table;
    if (n->whole_row || (!t->never_vacuumed && t->all_visible < 0.8 && t->pages > 0))
        return;
    struct candidate c = *base;
    for (int k = 0; k < n->n_columns; k++) {
        if (has_key(&c, n->columns[k]))
            continue;
        const struct inv_column *col = pw_inventory_attnum(t, n->columns[k]);
        if (c.n_include >= MAX_INCLUDE || !col || col->avg_width > 64)
            return;
        c.include[c.n_include++] = n->columns[k];
    }
    if (c.n_include)
        pw_candidate_propose(b, &c);
}

void pw_cand_propose_both(struct builder *b, const struct need *n, const struct candidate *c)
{
    struct candidate plain = *c;
    pw_candidate_propose(b, &plain);
    propose_covering(b, n, c);
}

/* Appends the sort keys; false when they do not fit. A uniform DESC is read backwards: plain ASC
 * serves it. */
bool pw_cand_add_sort(const struct builder *b, const struct need *n, struct candidate *c)
{
    bool all_desc = true, all_default = true;
    for (int k = 0; k < n->n_sorts; k++) {
        all_desc = all_desc && n->sorts[k].desc && n->sorts[k].nulls_first;
        all_default = all_default && !n->sorts[k].desc && !n->sorts[k].nulls_first;
    }
    for (int k = 0; k < n->n_sorts; k++) {
        if (has_key(c, n->sorts[k].attnum))
            continue; /* equal throughout: no part of the order */
        if (c->n_keys >= b->max_columns || !pw_cand_indexable(n->table, n->sorts[k].attnum))
            return k > 0;
        pw_cand_key(c, n->sorts[k].attnum);
        if (!all_desc && !all_default) {
            c->keys[c->n_keys - 1].desc = n->sorts[k].desc;
            c->keys[c->n_keys - 1].nulls_first = n->sorts[k].nulls_first;
        }
    }
    return true;
}

static void propose_ordered(struct builder *b, const struct need *n, const struct cand_roles *r)
{
    if (n->n_sorts) {
        struct candidate c = pw_cand_start(n);
        pw_cand_keys(&c, r->eq, r->n_eq, b->max_columns);
        if (pw_cand_add_sort(b, n, &c))
            pw_cand_propose_both(b, n, &c);
        c = pw_cand_start(n);
        if (pw_cand_add_sort(b, n, &c))
            pw_cand_propose_both(b, n, &c);
        if (r->n_join) {
            c = pw_cand_start(n);
            pw_cand_keys(&c, r->join, 1, b->max_columns);
            if (pw_cand_add_sort(b, n, &c))
                pw_cand_propose_both(b, n, &c);
        }
    }
    if (n->n_groups) {
        struct candidate c = pw_cand_start(n);
        pw_cand_keys(&c, r->eq, r->n_eq, b->max_columns);
        pw_cand_keys(&c, n->groups, n->n_groups, b->max_columns);
        pw_cand_propose_both(b, n, &c);
    }
}

static void propose_equalities(struct builder *b, const struct need *n, const struct cand_roles *r)
{
    for (int k = 0; k < r->n_eq; k++) {
        struct candidate c = pw_cand_start(n);
        pw_cand_key(&c, r->eq[k]);
        pw_cand_propose_both(b, n, &c);
        for (int j = 0; j < r->n_eq; j++) {
            if (j == k || b->max_columns < 2)
                continue;
            c = pw_cand_start(n);
            pw_cand_key(&c, r->eq[k]);
            pw_cand_key(&c, r->eq[j]);
            pw_cand_propose_both(b, n, &c);
        }
    }
    struct candidate all = pw_cand_start(n);
    pw_cand_keys(&all, r->eq, r->n_eq, b->max_columns);
    pw_cand_propose_both(b, n, &all);
    for (int k = 0; k < r->n_range; k++) {
        struct candidate c = pw_cand_start(n);
        pw_cand_key(&c, r->range[k]);
        pw_cand_propose_both(b, n, &c);
        if (r->n_eq) {
            c = pw_cand_start(n);
            pw_cand_keys(&c, r->eq, r->n_eq, b->max_columns - 1);
            pw_cand_keys(&c, &r->range[k], 1, b->max_columns);
            pw_cand_propose_both(b, n, &c);
            c = pw_cand_start(n);
            pw_cand_key(&c, r->eq[0]);
            pw_cand_keys(&c, &r->range[k], 1, b->max_columns);
            pw_cand_propose_both(b, n, &c);
        }
    }
}

static void propose_joins(struct builder *b, const struct need *n, const struct cand_roles *r)
{
    for (int k = 0; k < r->n_join; k++) {
        struct candidate c = pw_cand_start(n);
        pw_cand_key(&c, r->join[k]);
        pw_cand_propose_both(b, n, &c);
        if (r->n_eq) {
            pw_cand_keys(&c, r->eq, r->n_eq, b->max_columns);
            pw_cand_propose_both(b, n, &c);
            c = pw_cand_start(n);
            pw_cand_keys(&c, r->eq, r->n_eq, b->max_columns - 1);
            pw_cand_keys(&c, &r->join[k], 1, b->max_columns);
            pw_cand_propose_both(b, n, &c);
        }
        if (r->n_range) {
            c = pw_cand_start(n);
            pw_cand_key(&c, r->join[k]);
            pw_cand_keys(&c, &r->range[0], 1, b->max_columns);
            pw_cand_propose_both(b, n, &c);
        }
    }
    if (r->n_join > 1) {
        struct candidate c = pw_cand_start(n);
        pw_cand_keys(&c, r->join, r->n_join, b->max_columns);
        pw_cand_propose_both(b, n, &c);
    }
}

/* In an OR every arm needs an index of its own for a BitmapOr. */
static void propose_or_arms(struct builder *b, const struct need *n)
{
    for (int k = 0; k < n->n_preds; k++) {
        const struct need_pred *p = &n->preds[k];
        if (!p->in_or || !p->attnum || p->join || !pw_cand_indexable(n->table, p->attnum) ||
            (p->op != NEED_EQ && p->op != NEED_RANGE && p->op != NEED_NULL))
            continue;
        struct candidate c = pw_cand_start(n);
        pw_cand_key(&c, p->attnum);
        pw_candidate_propose(b, &c);
    }
}

void pw_candidates_of_need(struct builder *b, const struct need *n)
{
    struct cand_roles r = {.n_eq = 0};
    sort_roles(n, &r);
    order_equalities(b, n->table, r.eq, r.n_eq);
    order_equalities(b, n->table, r.join, r.n_join);
    propose_equalities(b, n, &r);
    propose_joins(b, n, &r);
    propose_ordered(b, n, &r);
    propose_or_arms(b, n);
    pw_candidates_special(b, n, &r);
}
