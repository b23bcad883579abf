/* Constants that make a partial index: how much of the table they keep, whether they look like a
 * state, and whether every statement of the workload agrees on them. */
#include <math.h>
#include <string.h>

#include "advisor/candidates_build.h"
#include "advisor/params.h"
#include "advisor/size.h"
#include "planner/sample.h"
#include "proxy/base/alloc.h"

/* The value as pg_stats would write it: 'it''s'::text is it's. In the arena. */
static const char *bare_value(struct arena *mem, const char *constant, char category)
{
    const char *at = constant;
    char *value = NULL;
    if (pw_sample_next(&at, &value) && value)
        at = pw_mem_str(mem, value);
    else
        at = pw_mem_strn(mem, constant, strcspn(constant, ":"));
    pw_free(value);
    return category != 'B' ? at : at[0] == 't' ? "t" : "f";
}

/* Is this value's share of the table known and small? */
double pw_candidate_value_share(const struct builder *b, const struct inv_table *t,
                                const struct need_pred *p)
{
    const struct inv_column *c = pw_inventory_attnum(t, p->attnum);
    if (!c || !c->has_stats)
        return 1;
    if (p->op == NEED_NULL)
        return c->null_frac;
    if (p->op == NEED_NOTNULL)
        return 1 - c->null_frac;
    const char *want = p->op == NEED_TRUE ? "t" : p->op == NEED_FALSE ? "f" : NULL;
    if (!want && p->op == NEED_EQ && p->constant)
        want = bare_value(b->mem, p->constant, c->category);
    if (!want || !c->mcv)
        return 1;
    double freq[PW_BT_MCV];
    int n = pw_size_numbers(c->mcf, freq, PW_BT_MCV);
    for (int at = 0; at < n; at++) {
        const char *common = pw_params_element(b->mem, c->mcv, (size_t)at);
        if (common && strcmp(common, want) == 0)
            return freq[at];
    }
    return 1;
}

char *pw_candidate_predicate(struct builder *b, const struct inv_table *t,
                             const struct need_pred *p)
{
    const struct inv_column *c = pw_inventory_attnum(t, p->attnum);
    const char *name = pw_mem_ident(b->mem, c->name);
    switch (p->op) {
    case NEED_NULL:
        return pw_mem_printf(b->mem, "%s IS NULL", name);
    case NEED_NOTNULL:
        return pw_mem_printf(b->mem, "%s IS NOT NULL", name);
    case NEED_TRUE:
        return pw_mem_printf(b->mem, "%s", name);
    case NEED_FALSE:
        return pw_mem_printf(b->mem, "NOT %s", name);
    default:
        if (c->category == 'B')
            return pw_mem_printf(
                b->mem, p->constant[0] == 't' || p->constant[1] == 't' ? "%s" : "NOT %s", name);
        return pw_mem_printf(b->mem, "%s = %s", name, p->constant);
    }
}

/* One sample says little about a constant: a state of a few recurs, a customer number does not. */
bool pw_candidate_state_like(const struct inv_table *t, const struct need_pred *p)
{
    const struct inv_column *c = pw_inventory_attnum(t, p->attnum);
    if (p->op != NEED_EQ)
        return true;
    double distinct = pw_inventory_distinct(t, c);
    return c->category == 'B' || distinct <= (c->category == 'N' ? 6 : 20);
}

/* Does every family that filters on this column filter on this very constant? */
bool pw_candidate_always(const struct builder *b, const struct inv_table *t,
                         const struct need_pred *p)
{
    for (size_t q = 0; q < b->needs->n; q++)
        for (size_t i = 0; i < b->needs->statements[q].n_needs; i++) {
            const struct need *n = &b->needs->statements[q].needs[i];
            for (int k = 0; n->table == t && k < n->n_preds; k++) {
                const struct need_pred *o = &n->preds[k];
                if (o->attnum != p->attnum)
                    continue;
                if (o->op != p->op || !!o->constant != !!p->constant ||
                    (o->constant && strcmp(o->constant, p->constant) != 0))
                    return false;
            }
        }
    return true;
}
