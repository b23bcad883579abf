/*
 * Indexes that could help some statement: per table reference equality columns, then sort keys or
 * one range column, then INCLUDE; partial for constants, operator classes for patterns,
 * expressions. Nothing that exists (exactly or as a prefix) is among them. Advisor thread.
 */
#ifndef ADVISOR_CANDIDATES_H
#define ADVISOR_CANDIDATES_H

#include "advisor/needs.h"
#include "advisor/select.h"

#define PW_CAND_KEYS 8

struct cand_key {
    int attnum;
    const char *expr;    /* when attnum is 0 */
    const char *opclass; /* "text_pattern_ops" or NULL */
    bool desc, nulls_first;
};

struct candidate {
    struct inv_table *table;
    const char *am; /* btree, gin, gist, brin */
    struct cand_key keys[PW_CAND_KEYS];
    int include[PW_CAND_KEYS];
    int n_keys, n_include;
    const char *predicate;  /* SQL or NULL */
    double predicate_share; /* of the table's rows; 1 without predicate */
    const char *definition; /* "table USING am (keys) INCLUDE (...) WHERE ..." */
    const char *name;       /* proposed */
    double bytes;           /* our estimate */
    double pages, height, entries;
    double distinct; /* of all keys together, estimated */
    bool simulated;  /* HypoPG can show it to the planner */
    bool modelled;   /* some figure about it is our model's */
    uint32_t parent; /* candidate with the last key cut off, or PW_SELECT_NONE */
};

struct candidates {
    struct candidate *items;
    size_t n;
    uint32_t **by_query, *n_by_query; /* per family: candidates its plan may use */
    size_t overflow;                  /* proposed beyond the limit */
};

void pw_candidates_find(struct candidates *out, struct arena *mem, const struct inventory *inv,
                        const struct needs *needs, const struct workload *w, int max_columns);
/* CREATE INDEX for HypoPG: no name, no CONCURRENTLY. */
char *pw_candidate_hypo_sql(struct arena *mem, const struct candidate *c);
bool pw_candidate_touches(const struct candidate *c, int attnum);

#endif
