/* Sets under construction: adding, removing, and the greedy rules. See select_state.h. */
#include "advisor/select_state.h"

#include <math.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

void pw_set_add(struct index_set *s, uint32_t id)
{
    PW_CHECK(id < PW_SELECT_ITEMS && s->n < PW_SELECT_SET);
    if (pw_set_has(s, id))
        return;
    uint32_t at = s->n;
    while (at > 0 && s->ids[at - 1] > id) {
        s->ids[at] = s->ids[at - 1];
        at--;
    }
    s->ids[at] = id;
    s->n++;
    s->bits[id / 64] |= UINT64_C(1) << (id % 64);
}

void pw_set_remove(struct index_set *s, uint32_t id)
{
    if (!pw_set_has(s, id))
        return;
    uint32_t at = 0;
    while (s->ids[at] != id)
        at++;
    memmove(s->ids + at, s->ids + at + 1, (s->n - at - 1) * sizeof(s->ids[0]));
    s->n--;
    s->bits[id / 64] &= ~(UINT64_C(1) << (id % 64));
}

void pw_state_init(const struct select_search *s, struct select_state *st)
{
    memset(st, 0, sizeof(*st));
    size_t bytes = (s->p->n_queries + 1) * sizeof(double);
    st->cost = pw_alloc(bytes);
    if (s->base)
        memcpy(st->cost, s->base, s->p->n_queries * sizeof(double));
    st->total = s->base_total;
}

void pw_state_free(struct select_state *st)
{
    PW_FREE(st->cost);
}

void pw_state_copy(const struct select_search *s, struct select_state *to,
                   const struct select_state *from)
{
    double *cost = to->cost;
    *to = *from;
    to->cost = cost;
    memcpy(to->cost, from->cost, s->p->n_queries * sizeof(double));
}

/* s->trial is the set with the item, where costs are asked of whole sets. */
static void try_with(struct select_search *s, const struct select_state *st, uint32_t id)
{
    if (s->p->cost_add)
        return;
    s->trial = st->set;
    pw_set_add(&s->trial, id);
}

static double cost_with(struct select_search *s, const struct select_state *st, uint32_t query,
                        uint32_t id)
{
    const struct select_problem *p = s->p;
    return p->cost_add ? p->cost_add(p->arg, query, &st->set, id, st->cost[query])
                       : p->cost(p->arg, query, &s->trial);
}

double pw_state_try_add(struct select_search *s, const struct select_state *st, uint32_t id)
{
    const struct select_problem *p = s->p;
    if (pw_set_has(&st->set, id) || st->set.n >= PW_SELECT_SET ||
        st->size + p->size[id] > s->budget)
        return INFINITY;
    double total = st->total;
    s->work += p->n_relevant[id];
    try_with(s, st, id);
    for (uint32_t k = 0; k < p->n_relevant[id]; k++) {
        uint32_t q = p->relevant[id][k];
        double cost = cost_with(s, st, q, id);
        if (cost > s->limit[q] && cost > st->cost[q])
            return INFINITY;
        total += p->weight[q] * (cost - st->cost[q]);
    }
    return total;
}

static void retotal(struct select_search *s, struct select_state *st)
{
    const struct select_problem *p = s->p;
    st->total = 0;
    for (uint32_t q = 0; q < p->n_queries; q++)
        st->total += p->weight[q] * st->cost[q];
    st->size = 0;
    for (uint32_t k = 0; k < st->set.n; k++)
        st->size += p->size[st->set.ids[k]];
}

void pw_state_add(struct select_search *s, struct select_state *st, uint32_t id)
{
    const struct select_problem *p = s->p;
    try_with(s, st, id);
    for (uint32_t k = 0; k < p->n_relevant[id]; k++) {
        uint32_t q = p->relevant[id][k];
        st->cost[q] = cost_with(s, st, q, id);
    }
    pw_set_add(&st->set, id);
    retotal(s, st);
}

void pw_state_remove(struct select_search *s, struct select_state *st, uint32_t id)
{
    const struct select_problem *p = s->p;
    pw_set_remove(&st->set, id);
    for (uint32_t k = 0; k < p->n_relevant[id]; k++) {
        uint32_t q = p->relevant[id][k];
        st->cost[q] = p->cost(p->arg, q, &st->set);
    }
    retotal(s, st);
}

struct move {
    uint32_t add, remove;             /* remove: PW_SELECT_NONE for a plain addition */
    const struct select_group *group; /* instead of add */
    double total, score;
};

static void consider(struct move *best, uint32_t add, uint32_t drop, double total, double score)
{
    if (score > best->score)
        *best = (struct move){.add = add, .remove = drop, .total = total, .score = score};
}

/* Adds what is missing of a group; false when it does not fit or a query would regress too far. */
static bool add_group(struct select_search *s, struct select_state *st,
                      const struct select_group *g)
{
    for (uint32_t k = 0; k < g->n; k++) {
        if (pw_set_has(&st->set, g->ids[k]))
            continue;
        if (!isfinite(pw_state_try_add(s, st, g->ids[k])))
            return false;
        pw_state_add(s, st, g->ids[k]);
    }
    return true;
}

static void consider_groups(struct select_search *s, const struct select_state *st,
                            struct select_state *with, enum greedy_rule rule, struct move *best)
{
    for (size_t k = 0; s->groups && k < s->p->n_groups; k++) {
        const struct select_group *g = &s->p->groups[k];
        double size = 0;
        for (uint32_t i = 0; i < g->n; i++)
            size += pw_set_has(&st->set, g->ids[i]) ? 0 : s->p->size[g->ids[i]];
        if (size <= 0 || st->size + size > s->budget || st->set.n + g->n > PW_SELECT_SET)
            continue;
        pw_state_copy(s, with, st);
        if (!add_group(s, with, g))
            continue;
        double gain = st->total - with->total;
        double score = rule == GREEDY_ABSOLUTE ? gain : gain / (size + 1);
        if (gain > s->min_gain && score > best->score)
            *best = (struct move){.add = g->ids[0],
                                  .remove = PW_SELECT_NONE,
                                  .group = g,
                                  .total = with->total,
                                  .score = score};
    }
}

/* Extend's second move: replace a member by an index that continues it. */
static void consider_widening(struct select_search *s, const struct select_state *st, uint32_t id,
                              struct select_state *without, struct move *best)
{
    const struct select_problem *p = s->p;
    uint32_t old = p->parent ? p->parent[id] : PW_SELECT_NONE;
    if (old == PW_SELECT_NONE || !pw_set_has(&st->set, old) || pw_set_has(&st->set, id))
        return;
    pw_state_copy(s, without, st);
    pw_state_remove(s, without, old);
    double total = pw_state_try_add(s, without, id);
    double grown = p->size[id] - p->size[old];
    if (st->total - total > s->min_gain && grown > 0)
        consider(best, id, old, total, (st->total - total) / grown);
}

void pw_state_greedy(struct select_search *s, struct select_state *st, enum greedy_rule rule)
{
    const struct select_problem *p = s->p;
    struct select_state scratch;
    pw_state_init(s, &scratch);
    for (;;) {
        struct move best = {PW_SELECT_NONE, PW_SELECT_NONE, NULL, 0, 0};
        for (uint32_t id = 0; id < p->n_items; id++) {
            double total = pw_state_try_add(s, st, id);
            double gain = st->total - total;
            if (gain > s->min_gain)
                consider(&best, id, PW_SELECT_NONE, total,
                         rule == GREEDY_ABSOLUTE ? gain : gain / (p->size[id] + 1));
            if (rule == GREEDY_EXTEND)
                consider_widening(s, st, id, &scratch, &best);
        }
        consider_groups(s, st, &scratch, rule, &best);
        if (best.add == PW_SELECT_NONE)
            break;
        if (best.group) {
            add_group(s, st, best.group);
            continue;
        }
        if (best.remove != PW_SELECT_NONE)
            pw_state_remove(s, st, best.remove);
        pw_state_add(s, st, best.add);
    }
    pw_state_free(&scratch);
}
