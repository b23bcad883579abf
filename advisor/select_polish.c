/* Local search on a finished set: exchange one, drop what no longer pays, remove pairs and refill.
 */
#include "advisor/select_state.h"

#include <math.h>

static void drop_useless(struct select_search *s, struct select_state *st, struct select_state *tmp)
{
    for (uint32_t k = st->set.n; k-- > 0;) {
        pw_state_copy(s, tmp, st);
        pw_state_remove(s, tmp, st->set.ids[k]);
        if (tmp->total - st->total <= s->min_gain * 0.5)
            pw_state_copy(s, st, tmp);
    }
}

/* The best exchange of one member for one outsider (or for a greedy refill). */
static bool swap_once(struct select_search *s, struct select_state *st,
                      struct select_state *without, struct select_state *best)
{
    const struct select_problem *p = s->p;
    bool found = false;
    double best_total = st->total;
    uint32_t out = 0, in = 0;
    for (uint32_t k = 0; k < st->set.n; k++) {
        pw_state_copy(s, without, st);
        pw_state_remove(s, without, st->set.ids[k]);
        for (uint32_t id = 0; id < p->n_items; id++) {
            if (id == st->set.ids[k])
                continue;
            double total = pw_state_try_add(s, without, id);
            if (pw_state_better(total, best_total)) {
                best_total = total;
                out = st->set.ids[k];
                in = id;
                found = true;
            }
        }
    }
    if (!found)
        return false;
    pw_state_copy(s, best, st);
    pw_state_remove(s, best, out);
    pw_state_add(s, best, in);
    pw_state_greedy(s, best, GREEDY_RATIO);
    pw_state_copy(s, st, best);
    return true;
}

static bool refill(struct select_search *s, struct select_state *st, uint32_t a, uint32_t b,
                   enum greedy_rule rule, struct select_state *tmp)
{
    pw_state_copy(s, tmp, st);
    pw_state_remove(s, tmp, a);
    if (b != a)
        pw_state_remove(s, tmp, b);
    pw_state_greedy(s, tmp, rule);
    if (!pw_state_better(tmp->total, st->total))
        return false;
    pw_state_copy(s, st, tmp);
    return true;
}

/* Remove one or two members and let both greedy rules fill the space again. */
static bool refill_once(struct select_search *s, struct select_state *st, struct select_state *tmp)
{
    for (uint32_t i = 0; i < st->set.n; i++)
        for (uint32_t j = i; j < (s->p->deep ? st->set.n : i + 1) && s->work < s->work_max; j++)
            if (refill(s, st, st->set.ids[i], st->set.ids[j], GREEDY_ABSOLUTE, tmp) ||
                refill(s, st, st->set.ids[i], st->set.ids[j], GREEDY_RATIO, tmp))
                return true;
    return false;
}

void pw_state_polish(struct select_search *s, struct select_state *st)
{
    struct select_state a, b;
    pw_state_init(s, &a);
    pw_state_init(s, &b);
    for (int round = 0; round < 64 && s->work < s->work_max; round++) {
        drop_useless(s, st, &a);
        if (!swap_once(s, st, &a, &b) && !refill_once(s, st, &a))
            break;
    }
    pw_state_free(&a);
    pw_state_free(&b);
}
