/* Private to the needs files: scopes and the walk over one statement's tree. */
#ifndef ADVISOR_NEEDS_WALK_H
#define ADVISOR_NEEDS_WALK_H

#include "advisor/needs.h"
#include "planner/ast.h"

#define SCOPE_ENTRIES 64
#define SCOPE_CTES    32
#define VIEW_DEPTH    16
#define WALK_DEPTH    200

/* A column reference resolved to table references of this statement. */
struct column_ref {
    int need;                  /* -1: none */
    struct inv_column *column; /* NULL with an expression */
    const char *expr; /* of a view's or subselect's output; SQL over that table's columns */
    const struct column_ref *also; /* the same output of another arm of a UNION */
    bool known;                    /* the name exists, even where nothing stands for it */
};

/* What a subselect, CTE or view puts out. */
struct output {
    const char *name; /* in the arena */
    struct column_ref ref;
};
struct outputs {
    struct output *items; /* in the arena; NULL: not known */
    size_t n;
};

struct scope_entry {
    const char *name; /* alias or table name */
    int need;         /* number in the statement's needs; -1: something else */
    struct outputs outputs;
};

struct cte_outputs {
    const char *name;
    struct outputs outputs;
};

struct scope {
    const struct scope *up;
    struct scope_entry entries[SCOPE_ENTRIES];
    int n_entries;
    struct cte_outputs ctes[SCOPE_CTES];
    int n_ctes;
};

struct walker {
    struct arena *mem;
    const struct inventory *inv;
    struct side *side;
    const struct workload_sample *sample; /* whose statement this is: its parameters' values */
    const struct context *context;        /* that its names are resolved with */
    struct need_statement *st;
    int depth, in_or, views; /* views: how deep in views of views */
    bool top;                /* the SELECT that comes next is the statement itself */
};

struct need *pw_walk_need(struct walker *w, int number);
int pw_walk_new_need(struct walker *w, struct inv_table *t);
struct column_ref pw_walk_resolve(struct walker *w, const struct scope *s, const cJSON *column_ref);
const struct cte_outputs *pw_walk_cte(const struct scope *s, const char *name);
void pw_walk_use_column(struct need *n, int attnum);
void pw_walk_use(struct walker *w, const struct column_ref *c); /* and its twins */
void pw_walk_read_star(struct walker *w, const struct scope *s, const cJSON *fields);
/* This column of one FROM item. */
struct column_ref pw_walk_entry_column(struct walker *w, const struct scope_entry *e,
                                       const char *column);
void pw_walk_enter(struct scope *s, const char *name, int need, struct outputs outputs);
void pw_walk_from(struct walker *w, struct scope *s, const cJSON *item);
void pw_walk_range_var(struct walker *w, struct scope *s, const cJSON *v);
void pw_walk_ctes(struct walker *w, struct scope *s, const cJSON *with);
/* Any statement; out (may be NULL) gets what a SELECT puts out. */
void pw_walk_statement(struct walker *w, const struct scope *up, const cJSON *wrapped, bool top,
                       struct outputs *out);

/* Marks the columns read in any expression; descends into subselects. */
void pw_walk_expr(struct walker *w, const struct scope *s, const cJSON *e);
/* A condition: AND, OR, comparisons. */
void pw_walk_qual(struct walker *w, const struct scope *s, const cJSON *e);
/* out: what it puts out, or NULL when nobody asks: then its targets are read. */
void pw_walk_select(struct walker *w, const struct scope *up, const cJSON *select,
                    struct outputs *out);
/* Also for the outputs of a view over this statement's references. */
struct outputs pw_walk_outputs(struct walker *w, const struct scope *s, const cJSON *select);
void pw_walk_rename(struct walker *w, struct outputs *o, const cJSON *colnames);
/* SQL text of an expression over exactly one table reference, or NULL: too complex, or no column in
 * it. */
char *pw_walk_text(struct walker *w, const struct scope *s, const cJSON *e, int *need);
/* SQL literal of a constant (casts of it included), or NULL. */
char *pw_walk_literal(struct walker *w, const cJSON *e);
/* The value that the sample gives a parameter; NULL: not known, SQL NULL, or something else. */
const char *pw_walk_param_value(const struct walker *w, const cJSON *e);
/* Through casts. */
const cJSON *pw_walk_strip(const cJSON *e);
void pw_walk_param(struct walker *w, const struct need_param *p);

#endif
