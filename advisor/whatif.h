/*
 * What would a statement cost if these indexes existed? Asked of the server's own planner through
 * HypoPG, remembered per (statement, relevant indexes), or of our own model where HypoPG is absent.
 * A plan that uses U of the indexes S it was shown costs the same for every set between U and S:
 * most questions are never asked. Advisor thread.
 */
#ifndef ADVISOR_WHATIF_H
#define ADVISOR_WHATIF_H

#include "advisor/candidates.h"
#include "advisor/run.h"

struct whatif_mask {
    uint64_t w[2]; /* by position in the statement's candidate list */
};

static inline bool pw_mask_has(const struct whatif_mask *m, uint32_t at)
{
    return (m->w[at / 64] >> (at % 64)) & 1;
}

static inline void pw_mask_put(struct whatif_mask *m, uint32_t at)
{
    m->w[at / 64] |= UINT64_C(1) << (at % 64);
}

struct whatif_entry {
    struct whatif_mask shown, used;
    double cost;
};

struct whatif_query {
    bool usable;     /* the server could plan it */
    bool guessed;    /* with values drawn from statistics */
    bool generic;    /* some value could not even be guessed: the generic plan stands in */
    double base;     /* plan cost as things are */
    double modified; /* rows written per execution */
    double rows;     /* that the planner expects per execution; NAN: they say nothing of its
                        conditions (LIMIT, grouping, ...) */
    struct whatif_entry *entries;
    size_t n_entries;
    struct workload_sample samples[PW_WORKLOAD_SAMPLES]; /* BORROW texts; params filled in */
    size_t n_samples;
};

struct whatif {
    struct advice_run *run;
    const struct needs *needs;
    struct candidates *c;
    struct whatif_query *queries; /* one per family */
    uint32_t *hypo_oid;           /* per candidate: shown to the server now; 0: not */
    bool *broken;                 /* per candidate: the server refused to imagine it */
    bool hypopg;
    uint64_t calls, max_calls, deadline_us;
    double *hot_loss; /* per family: cost of losing heap-only updates once an updated column is
                         indexed */
    bool exhausted;
};

/* Plans every statement as things are; notes the indexes used; keeps only candidates some plan
 * would use. */
void pw_whatif_start(struct whatif *w, struct advice_run *r, const struct needs *needs,
                     struct candidates *c);
void pw_whatif_finish(struct whatif *w); /* removes the hypothetical indexes */
/* Cost of one execution at a set of candidates, writes' upkeep included. */
double pw_whatif_cost(void *whatif, uint32_t query, const struct index_set *set);
/* Cost of keeping one row of a candidate or existing index up to date. */
double pw_whatif_row_upkeep(const struct inventory *inv, double entries, double height);
/* whatif_unseen.c: what the shown candidates that no plan can show would save on this plan. */
struct plan_facts;
void pw_whatif_add_unseen(struct whatif *w, uint32_t query, const struct plan_facts *f,
                          struct whatif_entry *e);
/* EXPLAIN of one sample as things are (no hypothetical index); NULL when the server refused
 * (sqlstate copied). */
/* The same as the plan for unknown parameters, where q->generic says so. */
char *pw_whatif_explain_query(struct advice_run *r, const struct whatif_query *q, size_t sample,
                              char sqlstate[6]);
char *pw_whatif_explain(struct advice_run *r, const struct workload_sample *s, char sqlstate[6]);

#endif
