/* A set under construction with the cost of every query at it. Private to the selection files. */
#ifndef ADVISOR_SELECT_STATE_H
#define ADVISOR_SELECT_STATE_H

#include "advisor/select.h"

struct select_state {
    struct index_set set;
    double *cost; /* OWN: per query at set */
    double total, size;
};

struct select_search {
    const struct select_problem *p;
    double budget;
    double *base, *limit;        /* OWN: per query at the empty set, and the most it may cost */
    double *gain;                /* OWN: per item, what it saves alone */
    double base_total, min_gain; /* min_gain in absolute cost */
    bool groups;                 /* try them as steps: in every start only where there are few */
    uint64_t work, work_max;     /* costs asked for, and how many may be: the same in every run */
    struct index_set trial;      /* scratch */
};

enum greedy_rule { GREEDY_ABSOLUTE, GREEDY_RATIO, GREEDY_EXTEND };

void pw_state_init(const struct select_search *s, struct select_state *st);
void pw_state_free(struct select_state *st);
void pw_state_copy(const struct select_search *s, struct select_state *to,
                   const struct select_state *from);
/* Total with one more item; INFINITY when a query would regress too far or it does not fit. */
double pw_state_try_add(struct select_search *s, const struct select_state *st, uint32_t id);
void pw_state_add(struct select_search *s, struct select_state *st, uint32_t id);
void pw_state_remove(struct select_search *s, struct select_state *st, uint32_t id);
/* Adds (and for EXTEND widens) while something pays and fits. */
void pw_state_greedy(struct select_search *s, struct select_state *st, enum greedy_rule rule);
/* Swaps, refills and drops until nothing improves. */
void pw_state_polish(struct select_search *s, struct select_state *st);
static inline bool pw_state_better(double a, double b)
{
    return a < b - 1e-9 * (b < 0 ? -b : b);
}

#endif
