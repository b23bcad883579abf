/* Indexes beyond plain btrees, for one table reference: operator classes for patterns, expressions,
 * GIN, GiST, BRIN, and partial ones. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "advisor/candidates_build.h"
#include "advisor/size.h"

#define PARTIAL_MOST 0.10 /* a partial index pays when its predicate keeps less than this share */
#define BRIN_ROWS    1e6

static void propose_patterns(struct builder *b, const struct need *n, const struct cand_roles *r)
{
    for (int k = 0; k < r->n_prefix; k++) {
        const struct inv_column *col = pw_inventory_attnum(n->table, r->prefix[k]);
        if (!col || col->category != 'S')
            continue;
        const char *cls = strncmp(col->type, "character varying", 17) == 0 ? "varchar_pattern_ops"
                          : strcmp(col->type, "text") == 0                 ? "text_pattern_ops"
                                                                           : "bpchar_pattern_ops";
        struct candidate c = pw_cand_start(n);
        pw_cand_keys(&c, r->eq, r->n_eq, b->max_columns - 1);
        pw_cand_key(&c, r->prefix[k]);
        c.keys[c.n_keys - 1].opclass = col->collation_is_c ? NULL : cls;
        pw_cand_propose_both(b, n, &c);
        if (r->n_eq) {
            c = pw_cand_start(n);
            pw_cand_key(&c, r->prefix[k]);
            c.keys[0].opclass = col->collation_is_c ? NULL : cls;
            pw_cand_propose_both(b, n, &c);
        }
    }
}

static void propose_expressions(struct builder *b, const struct need *n, const struct cand_roles *r)
{
    for (int k = 0; k < n->n_preds; k++) {
        const struct need_pred *p = &n->preds[k];
        if (p->attnum || !p->expr || (p->op != NEED_EQ && p->op != NEED_RANGE))
            continue;
        struct candidate c = pw_cand_start(n);
        c.keys[c.n_keys++] = (struct cand_key){.expr = p->expr};
        pw_candidate_propose(b, &c);
        if (r->n_eq) {
            c = pw_cand_start(n);
            pw_cand_keys(&c, r->eq, r->n_eq, b->max_columns - 1);
            if (c.n_keys < b->max_columns)
                c.keys[c.n_keys++] = (struct cand_key){.expr = p->expr};
            pw_candidate_propose(b, &c);
        }
    }
}

/* Operators on this column anywhere in the workload: is it only containment? */
static bool only_contains(const struct builder *b, const struct inv_table *t, int attnum)
{
    for (size_t q = 0; q < b->needs->n; q++)
        for (size_t i = 0; i < b->needs->statements[q].n_needs; i++) {
            const struct need *n = &b->needs->statements[q].needs[i];
            for (int k = 0; n->table == t && k < n->n_preds; k++)
                if (n->preds[k].attnum == attnum && n->preds[k].op == NEED_CONTAINS &&
                    n->preds[k].operator[0] == '?')
                    return false;
        }
    return true;
}

/* The method and operator class for what a btree cannot do; NULL: none. */
static const char *special_method(struct builder *b, const struct need *n,
                                  const struct need_pred *p, const char **opclass)
{
    const struct inv_column *c = p->attnum ? pw_inventory_attnum(n->table, p->attnum) : NULL;
    *opclass = NULL;
    if (p->op == NEED_TRGM && b->inv->has_trgm && (!c || c->category == 'S')) {
        *opclass = strcmp(b->inv->trgm_schema, "public") == 0
                       ? "gin_trgm_ops"
                       : pw_mem_qualified(b->mem, b->inv->trgm_schema, "gin_trgm_ops");
        return "gin";
    }
    if (p->op == NEED_CONTAINS) {
        if (!c)
            return p->expr && strstr(p->expr, "to_tsvector") ? "gin" : NULL;
        if (c->type_oid == 3802) {
            *opclass = only_contains(b, n->table, p->attnum) ? "jsonb_path_ops" : NULL;
            return "gin";
        }
        if (c->category == 'A' || c->type_oid == 3614)
            return "gin";
        return c->category == 'R' || c->category == 'G' ? "gist" : NULL;
    }
    if (p->op == NEED_DISTANCE)
        return c && c->category == 'G' ? "gist" : NULL;
    if (p->op == NEED_OVERLAP && c) {
        if (c->category == 'A')
            return "gin";
        return c->category == 'R' || c->category == 'G' ? "gist" : NULL;
    }
    return NULL;
}

static void propose_special(struct builder *b, const struct need *n)
{
    for (int k = 0; k < n->n_preds; k++) {
        const struct need_pred *p = &n->preds[k];
        const char *opclass, *method = special_method(b, n, p, &opclass);
        if (!method || p->join)
            continue;
        struct candidate c = pw_cand_start(n);
        c.am = method;
        c.simulated = false;
        c.keys[c.n_keys++] =
            (struct cand_key){.attnum = p->attnum, .expr = p->expr, .opclass = opclass};
        pw_candidate_propose(b, &c);
    }
}

static void propose_brin(struct builder *b, const struct need *n, const struct cand_roles *r)
{
    for (int k = 0; k < r->n_range; k++) {
        const struct inv_column *col = pw_inventory_attnum(n->table, r->range[k]);
        if (n->table->rows < BRIN_ROWS || !col || !(fabs(col->correlation) > 0.95))
            continue;
        struct candidate c = pw_cand_start(n);
        c.am = "brin";
        pw_cand_key(&c, r->range[k]);
        pw_candidate_propose(b, &c);
    }
}

static void propose_partial(struct builder *b, const struct need *n, const struct cand_roles *r)
{
    for (int k = 0; k < n->n_preds; k++) {
        const struct need_pred *p = &n->preds[k];
        bool constant = (p->op == NEED_EQ && p->constant) || p->op == NEED_NULL ||
                        p->op == NEED_TRUE || p->op == NEED_FALSE || p->op == NEED_NOTNULL;
        if (!constant || !p->attnum || p->in_or || p->join)
            continue;
        double share = pw_candidate_value_share(b, n->table, p);
        if (share >= PARTIAL_MOST || !pw_candidate_state_like(n->table, p) ||
            !pw_candidate_always(b, n->table, p))
            continue;
        struct candidate c = pw_cand_start(n);
        c.predicate = pw_candidate_predicate(b, n->table, p);
        c.predicate_share = fmax(share, 1 / fmax(n->table->rows, 1));
        struct cand_roles rest = *r;
        int kept = 0;
        for (int i = 0; i < rest.n_eq; i++)
            if (rest.eq[i] != p->attnum)
                rest.eq[kept++] = rest.eq[i];
        pw_cand_keys(&c, rest.eq, kept, b->max_columns);
        struct candidate sorted = c;
        if (n->n_sorts && pw_cand_add_sort(b, n, &sorted) && sorted.n_keys)
            pw_cand_propose_both(b, n, &sorted);
        if (r->n_range)
            pw_cand_keys(&c, r->range, 1, b->max_columns);
        if (!c.n_keys && n->n_columns && pw_cand_indexable(n->table, n->columns[0]))
            pw_cand_key(&c, n->columns[0]);
        if (c.n_keys)
            pw_cand_propose_both(b, n, &c);
    }
}

void pw_candidates_special(struct builder *b, const struct need *n, const struct cand_roles *r)
{
    propose_patterns(b, n, r);
    propose_expressions(b, n, r);
    propose_partial(b, n, r);
    propose_brin(b, n, r);
    propose_special(b, n);
}
