/* Reading EXPLAIN (FORMAT JSON): cost, rows and which indexes are used, hypothetical ones included.
 * Pure. */
#ifndef ADVISOR_PLAN_READ_H
#define ADVISOR_PLAN_READ_H

#include <stdbool.h>
#include <stdint.h>

struct plan_index {
    uint32_t hypo_oid; /* of a hypothetical index; 0: a real one */
    char schema[64], name[64];
    double probes; /* how often it is descended: rows of the outer side */
};

/* A table read from end to end. */
struct plan_scan {
    char schema[64], table[64];
    double cost, rows; /* rows: that pass its filter */
};

#define PW_PLAN_INDEXES 512
#define PW_PLAN_SCANS   256 /* a partition each */

struct plan_facts {
    double cost, rows; /* of the root */
    double modified;   /* rows a ModifyTable writes; 0 otherwise */
    struct plan_index indexes[PW_PLAN_INDEXES];
    struct plan_scan scans[PW_PLAN_SCANS];
    int n_indexes, n_scans;
    bool parallel;
    bool
        filtered; /* the root's rows are what the conditions let through: no LIMIT, grouping, ... */
};

bool pw_plan_read(const char *json, struct plan_facts *out); /* false: not a plan */

#endif
