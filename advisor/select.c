/* The portfolio: which starts are tried, and the warm start over budgets. See select.h. */
#include "advisor/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/select_state.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

#define POLISHED   32
#define GROUPS_FEW 64
#define SEEDS_FULL 32       /* starts that both greedies complete, also with groups */
#define WORK_MAX   60000000 /* a few seconds with a cheap oracle */

static void search_init(struct select_search *s, const struct select_problem *p)
{
    PW_CHECK(p->n_items <= PW_SELECT_ITEMS);
    memset(s, 0, sizeof(*s));
    s->p = p;
    s->budget = INFINITY;
    s->base = pw_alloc((p->n_queries + 1) * sizeof(double));
    s->limit = pw_alloc((p->n_queries + 1) * sizeof(double));
    s->gain = pw_alloc((p->n_items + 1) * sizeof(double));
    struct index_set empty = {0};
    for (uint32_t q = 0; q < p->n_queries; q++) {
        s->base[q] = p->cost(p->arg, q, &empty);
        s->limit[q] = s->base[q] * (1 + p->max_regression);
        s->base_total += p->weight[q] * s->base[q];
    }
    s->min_gain = p->min_gain * s->base_total;
    struct select_state st;
    pw_state_init(s, &st);
    for (uint32_t id = 0; id < p->n_items; id++)
        s->gain[id] = s->base_total - pw_state_try_add(s, &st, id);
    pw_state_free(&st);
}

static void search_free(struct select_search *s)
{
    PW_FREE(s->base);
    PW_FREE(s->limit);
    PW_FREE(s->gain);
}

struct ranked {
    double score;
    uint32_t id;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The best single starts that fit: `n` by benefit, or by benefit per byte. By benefit also those
 * that are of no use alone. */
static uint32_t rank_seeds(const struct select_search *s, bool per_byte, uint32_t n, uint32_t *out)
{
    const struct select_problem *p = s->p;
    struct ranked *r = pw_alloc((p->n_items + 1) * sizeof(*r));
    uint32_t count = 0;
    for (uint32_t id = 0; id < p->n_items; id++)
        if ((s->gain[id] > 0 || !per_byte) && isfinite(s->gain[id]) && p->size[id] <= s->budget)
            r[count++] = (struct ranked){s->gain[id] / (per_byte ? p->size[id] + 1 : 1), id};
    qsort(r, count, sizeof(*r), by_score);
    if (count > n)
        count = n;
    for (uint32_t k = 0; k < count; k++)
        out[k] = r[k].id;
    pw_free(r);
    return count;
}

/* The best finished sets so far, best first, without repetitions. */
struct podium {
    struct select_state places[POLISHED];
    size_t n;
};

static void podium_offer(const struct select_search *s, struct podium *d,
                         const struct select_state *st)
{
    for (size_t k = 0; k < d->n; k++)
        if (memcmp(&d->places[k].set, &st->set, sizeof(st->set)) == 0)
            return;
    size_t at = d->n;
    while (at > 0 && st->total < d->places[at - 1].total)
        at--;
    if (at == POLISHED)
        return;
    if (d->n < POLISHED)
        pw_state_init(s, &d->places[d->n++]);
    struct select_state last = d->places[d->n - 1];
    memmove(d->places + at + 1, d->places + at, (d->n - at - 1) * sizeof(last));
    d->places[at] = last;
    pw_state_copy(s, &d->places[at], st);
}

static void complete(struct select_search *s, const struct select_state *start, struct podium *d,
                     struct select_state *tmp, enum greedy_rule rule)
{
    pw_state_copy(s, tmp, start);
    pw_state_greedy(s, tmp, rule);
    podium_offer(s, d, tmp);
}

static bool start_with(struct select_search *s, struct select_state *start, uint32_t id)
{
    struct select_state empty;
    pw_state_init(s, &empty);
    pw_state_copy(s, start, &empty);
    pw_state_free(&empty);
    if (!isfinite(pw_state_try_add(s, start, id)))
        return false;
    pw_state_add(s, start, id);
    return true;
}

/* All of them as DTA does, since a far better set may begin with an index that is nothing much by
 * itself; the best ones also by the other rules. A group can lead astray as well as help. */
static void seeded_starts(struct select_search *s, struct podium *d, struct select_state *start,
                          struct select_state *tmp)
{
    uint32_t *seeds = pw_alloc((s->p->seeds + 1) * sizeof(*seeds));
    bool groups = s->groups;
    for (int per_byte = 1; per_byte >= 0; per_byte--) {
        uint32_t few = s->p->seeds < SEEDS_FULL ? s->p->seeds : SEEDS_FULL;
        uint32_t n = rank_seeds(s, per_byte, per_byte ? few / 2 : s->p->seeds, seeds);
        for (uint32_t k = 0; k < n && s->work < s->work_max / 3 * 2; k++) {
            if (!start_with(s, start, seeds[k]))
                continue;
            s->groups = false;
            complete(s, start, d, tmp, GREEDY_ABSOLUTE);
            s->groups = groups;
            if (k < few && groups)
                complete(s, start, d, tmp, GREEDY_ABSOLUTE);
            if (k < few)
                complete(s, start, d, tmp, GREEDY_RATIO);
        }
    }
    pw_free(seeds);
}

static void publish(const struct select_search *s, const struct select_state *st,
                    struct select_result *out)
{
    *out = (struct select_result){
        .set = st->set, .total = st->total, .base_total = s->base_total, .size = st->size};
}

/* warm: the result of the next smaller budget, still valid here; updated in place. */
static void solve(struct select_search *s, struct select_state *warm)
{
    struct podium d = {.n = 0};
    struct select_state start, tmp;
    pw_state_init(s, &start);
    pw_state_init(s, &tmp);
    s->groups = true;
    s->work = 0;
    s->work_max = WORK_MAX;
    complete(s, &start, &d, &tmp, GREEDY_EXTEND);
    complete(s, &start, &d, &tmp, GREEDY_RATIO);
    complete(s, &start, &d, &tmp, GREEDY_ABSOLUTE);
    podium_offer(s, &d, warm);
    complete(s, warm, &d, &tmp, GREEDY_RATIO);
    complete(s, warm, &d, &tmp, GREEDY_ABSOLUTE);
    s->groups = s->p->n_groups <= GROUPS_FEW;
    seeded_starts(s, &d, &start, &tmp);
    for (size_t k = 0; k < d.n; k++) {
        pw_state_polish(s, &d.places[k]);
        if (pw_state_better(d.places[k].total, warm->total))
            pw_state_copy(s, warm, &d.places[k]);
    }
    for (size_t k = 0; k < d.n; k++)
        pw_state_free(&d.places[k]);
    pw_state_free(&start);
    pw_state_free(&tmp);
}

void pw_select_run(const struct select_problem *p, const double *budgets, size_t n_budgets,
                   struct select_result *results)
{
    struct select_search s;
    search_init(&s, p);
    struct select_state warm;
    pw_state_init(&s, &warm);
    for (size_t k = 0; k < n_budgets; k++) {
        PW_CHECK(k == 0 || budgets[k] >= budgets[k - 1]);
        s.budget = budgets[k];
        solve(&s, &warm);
        publish(&s, &warm, &results[k]);
    }
    pw_state_free(&warm);
    search_free(&s);
}

void pw_select_extend(const struct select_problem *p, double budget, struct select_result *result)
{
    struct select_search s;
    search_init(&s, p);
    s.budget = budget;
    struct select_state st;
    pw_state_init(&s, &st);
    pw_state_greedy(&s, &st, GREEDY_EXTEND);
    publish(&s, &st, result);
    pw_state_free(&st);
    search_free(&s);
}

/* DTA's published rule: every single start, completed by absolute benefit; the best one wins. */
void pw_select_anytime(const struct select_problem *p, double budget, struct select_result *result)
{
    struct select_search s;
    search_init(&s, p);
    s.budget = budget;
    s.min_gain = 0;
    struct select_state st, best;
    pw_state_init(&s, &st);
    pw_state_init(&s, &best);
    for (uint32_t id = 0; id <= p->n_items; id++) {
        struct select_state empty;
        pw_state_init(&s, &empty);
        pw_state_copy(&s, &st, &empty);
        pw_state_free(&empty);
        if (id < p->n_items && !isfinite(pw_state_try_add(&s, &st, id)))
            continue;
        if (id < p->n_items)
            pw_state_add(&s, &st, id);
        pw_state_greedy(&s, &st, GREEDY_ABSOLUTE);
        if (pw_state_better(st.total, best.total))
            pw_state_copy(&s, &best, &st);
    }
    publish(&s, &best, result);
    pw_state_free(&st);
    pw_state_free(&best);
    search_free(&s);
}
