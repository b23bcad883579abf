/*
 * What the statements of a workload ask of each table: comparisons, sort orders, groupings, columns
 * read and written. Found in libpg_query's tree and resolved against the inventory; what cannot be
 * resolved is left out (the planner judges the candidates anyway). Advisor thread (large stack).
 */
#ifndef ADVISOR_NEEDS_H
#define ADVISOR_NEEDS_H

#include "advisor/inventory.h"
#include "advisor/workload.h"

#define PW_NEED_MAX 32 /* predicates, sort keys or columns of one table reference */

enum need_op {
    NEED_EQ,     /* =, IN, = ANY, IS NOT DISTINCT FROM */
    NEED_RANGE,  /* < <= > >= BETWEEN */
    NEED_PREFIX, /* LIKE 'abc%' */
    NEED_TRGM,   /* LIKE '%abc%', ILIKE, ~ */
    NEED_NULL,   /* IS NULL */
    NEED_NOTNULL,
    NEED_TRUE, /* a boolean column by itself */
    NEED_FALSE,
    NEED_CONTAINS, /* @> ? ?| ?& && @@: GIN */
    NEED_OVERLAP,  /* && <@ << -|- on ranges and geometry: GiST */
    NEED_DISTANCE, /* ORDER BY a <-> b: GiST */
};

struct need_pred {
    enum need_op op;
    int attnum;           /* 0: expr */
    const char *expr;     /* SQL text of an expression over this table's columns */
    const char *operator; /* as written, e.g. "@>" */
    const char
        *constant; /* SQL literal compared with, or NULL (parameter, several values, other) */
    bool join;     /* compared with a column of another table */
    bool in_or;    /* in an arm of an OR */
};

struct need_sort {
    int attnum;
    const char *expr;
    bool desc, nulls_first;
};

/* One reference to a table in a statement. */
struct need {
    struct inv_table *table;
    struct need_pred preds[PW_NEED_MAX];
    struct need_sort sorts[PW_NEED_MAX]; /* leading ORDER BY keys when all are of this table */
    int groups[PW_NEED_MAX];  /* GROUP BY or DISTINCT columns, when all are of this table */
    int columns[PW_NEED_MAX]; /* columns read anywhere */
    int n_preds, n_sorts, n_groups, n_columns;
    bool whole_row, limited, minmax; /* minmax: sorts holds the column of a lone min() or max() */
};

enum need_verb { NEED_SELECT, NEED_INSERT, NEED_UPDATE, NEED_DELETE };

/* A parameter compared with a column: a value can be drawn from its statistics. */
struct need_param {
    int number;
    const struct inv_table *table;
    const struct inv_column *column;
    enum need_op op;
    bool is_limit, is_array;
};

struct need_statement {
    enum need_verb verb;
    struct inv_table *target; /* of a write, or NULL */
    int written[PW_NEED_MAX]; /* columns of an UPDATE's SET (also of ON CONFLICT) */
    int n_written;
    double n_values; /* rows of INSERT ... VALUES; 0 otherwise */
    struct need *needs;
    size_t n_needs;
    int first; /* the need of the statement's first table (a write's target); -1: none */
    struct need_param *params;
    size_t n_params;
    const char *functions[PW_NEED_MAX]; /* names called, without schema */
    int n_functions, max_param;
    bool locks; /* FOR UPDATE and kin */
    bool parsed;
};

struct needs {
    struct need_statement *statements; /* one per family of the workload */
    size_t n;
};

void pw_needs_find(struct needs *out, struct arena *mem, const struct inventory *inv,
                   struct side *side, const struct workload *w);

#endif
