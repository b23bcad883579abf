/*
 * Choosing a set of indexes under a storage budget: a portfolio of greedy starts, swaps and drops.
 * Pure: costs come from an oracle (a what-if server, our own model, or a published cost cube), and
 * the same oracle answers always give the same set. Owns nothing of the caller's.
 */
#ifndef ADVISOR_SELECT_H
#define ADVISOR_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_SELECT_ITEMS 2048 /* candidates of one problem */
#define PW_SELECT_SET   96   /* members of one set */
#define PW_SELECT_GROUP 4    /* members of one group */
#define PW_SELECT_NONE  UINT32_MAX

struct index_set {
    uint32_t n;
    uint32_t ids[PW_SELECT_SET]; /* ascending */
    uint64_t bits[PW_SELECT_ITEMS / 64];
};

static inline bool pw_set_has(const struct index_set *s, uint32_t id)
{
    return (s->bits[id / 64] >> (id % 64)) & 1;
}
void pw_set_add(struct index_set *s, uint32_t id);
void pw_set_remove(struct index_set *s, uint32_t id);

/* Items that may help only together (arms of an OR, both sides of a merge join). */
struct select_group {
    uint32_t ids[PW_SELECT_GROUP], n;
};

struct select_problem {
    uint32_t n_items, n_queries;
    const double *size;     /* bytes of each item */
    const double *weight;   /* of each query */
    const uint32_t *parent; /* item with the last column cut off, or PW_SELECT_NONE; may be NULL */
    const uint32_t *const *relevant; /* per item: queries whose cost it may change */
    const uint32_t *n_relevant;
    const struct select_group *groups; /* each is also tried as one step */
    size_t n_groups;
    /* Cost of one execution of a query when exactly these items exist (and what exists anyway). */
    double (*cost)(void *arg, uint32_t query, const struct index_set *set);
    /* The same for set + item, when the query costs `now` at set. NULL: cost() is asked. */
    double (*cost_add)(void *arg, uint32_t query, const struct index_set *set, uint32_t item,
                       double now);
    void *arg;
    double max_regression; /* no query may cost more than (1 + this) of its cost at the empty set */
    double min_gain;       /* share of the start's total that one more item has to save */
    uint32_t seeds;        /* single-item starts by benefit; half as many by benefit per byte */
    bool deep;             /* also try removing pairs: only where the oracle is cheap */
};

struct select_result {
    struct index_set set;
    double total, base_total; /* weighted, with the set and without */
    double size;
};

/* Budgets ascending. Each result is at least as good as that of every smaller budget, and never
 * over its own. */
void pw_select_run(const struct select_problem *p, const double *budgets, size_t n_budgets,
                   struct select_result *results);

/* Baselines for the bench, as published. */
void pw_select_extend(const struct select_problem *p, double budget, struct select_result *result);
void pw_select_anytime(const struct select_problem *p, double budget, struct select_result *result);

#endif
