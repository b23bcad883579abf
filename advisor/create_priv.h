/* Private to the create files: what the search over candidates works on. */
#ifndef ADVISOR_CREATE_PRIV_H
#define ADVISOR_CREATE_PRIV_H

#include "advisor/candidates.h"
#include "advisor/create.h"
#include "advisor/needs.h"
#include "advisor/whatif.h"

struct creation {
    struct advice_run *r;
    struct needs needs;
    struct candidates c;
    struct whatif w;
    struct select_problem p;
    double pays; /* share of the workload's cost that keeps an index */
    double *size, *weight;
    uint32_t *parent, **relevant, *n_relevant;
};

/* Weighted cost of the workload at a set. */
double pw_creation_total(struct creation *x, const struct index_set *s);
/* create_emit.c: one chosen candidate as advice; base: cost at the empty set, total: at s. */
void pw_creation_emit(struct creation *x, uint32_t item, const struct index_set *s, double base,
                      double total);

#endif
