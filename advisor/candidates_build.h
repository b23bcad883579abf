/* Private to the candidate files. */
#ifndef ADVISOR_CANDIDATES_BUILD_H
#define ADVISOR_CANDIDATES_BUILD_H

#include "advisor/candidates.h"

#define PW_CAND_PER_QUERY 128 /* HypoPG and the planner suffer beyond this */

struct builder {
    struct candidates *out;
    struct arena *mem;
    const struct inventory *inv;
    const struct workload *w;
    const struct needs *needs;
    size_t query;
    int max_columns;
};

/* Columns of one reference by role, each without repetitions. */
struct cand_roles {
    int eq[PW_NEED_MAX], join[PW_NEED_MAX], range[PW_NEED_MAX], prefix[PW_NEED_MAX];
    int n_eq, n_join, n_range, n_prefix;
};

/* candidates_need.c, for candidates_special.c too */
bool pw_cand_indexable(const struct inv_table *t, int attnum); /* by a btree */
struct candidate pw_cand_start(const struct need *n);
void pw_cand_key(struct candidate *c, int attnum);
void pw_cand_keys(struct candidate *c, const int *cols, int n, int max); /* those it lacks */
/* Appends the sort keys; false when they do not fit. */
bool pw_cand_add_sort(const struct builder *b, const struct need *n, struct candidate *c);
/* As it is, and with INCLUDE where an index-only scan is plausible. */
void pw_cand_propose_both(struct builder *b, const struct need *n, const struct candidate *c);
void pw_candidates_special(struct builder *b, const struct need *n, const struct cand_roles *r);

/* Adds c (copied) unless it exists; marks it for the current query. */
void pw_candidate_propose(struct builder *b, struct candidate *c);
void pw_candidates_of_need(struct builder *b, const struct need *n);

/* Of a partial index on p: the share of rows it keeps (1: not known), its predicate, ... */
double pw_candidate_value_share(const struct builder *b, const struct inv_table *t,
                                const struct need_pred *p);
char *pw_candidate_predicate(struct builder *b, const struct inv_table *t,
                             const struct need_pred *p);
/* ... and whether the constant looks like a state, and is the only one the workload compares with.
 */
bool pw_candidate_state_like(const struct inv_table *t, const struct need_pred *p);
bool pw_candidate_always(const struct builder *b, const struct inv_table *t,
                         const struct need_pred *p);

#endif
