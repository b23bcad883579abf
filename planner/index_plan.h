/* EXPLAIN (FORMAT JSON, VERBOSE) -> the indexes it uses and what it does without one. Pure. */
#ifndef PLANNER_INDEX_PLAN_H
#define PLANNER_INDEX_PLAN_H

#include <stddef.h>
#include <stdint.h>

enum { INDEX_PLAN_USES_MAX = 32, INDEX_PLAN_STEPS_MAX = 16, INDEX_PLAN_WRITES_MAX = 8 };

struct index_plan_use {
    char *table, *index, *scan_kind, *cond; /* OWN */
    double share;                           /* of the plan's total cost, 0..1 */
};
/* A sequential scan (table, filter) or a sort (no table, keys); literals as ?. */
struct index_plan_step {
    char *table, *what; /* OWN; table NULL: a sort */
    double share;
};
/* A table that is written: its unique checks and foreign keys are looked up in the catalog. */
struct index_plan_write {
    char *schema, *table; /* OWN */
    char operation;       /* 'I', 'U', 'D', 'M' */
};
struct index_plan {
    struct index_plan_use uses[INDEX_PLAN_USES_MAX]; /* each index and kind of scan once */
    size_t n;
    struct index_plan_step steps[INDEX_PLAN_STEPS_MAX];
    size_t n_steps;
    struct index_plan_write writes[INDEX_PLAN_WRITES_MAX];
    size_t n_writes;
    uint64_t hash; /* of the shape: node types, relations, indexes */
};
int pw_index_plan_parse(const char *json, struct index_plan *out); /* 0, or -1: not such a text */
/* One use more, unless it is there already; the texts are copied. */
void pw_index_plan_add(struct index_plan *p, const char *table, const char *index,
                       const char *scan_kind, const char *cond, double share);
void pw_index_plan_free(struct index_plan *p);
/* Literals as ?; OWN. */
char *pw_index_plan_redact(const char *cond);

#endif
