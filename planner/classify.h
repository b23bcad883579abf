/*
 * The parse tree -> class, effects, verdicts (plan.h), in a draft. Unknown means the careful
 * answer at every step. Analysis thread only; everything is borrowed during the call.
 */
#ifndef PLANNER_CLASSIFY_H
#define PLANNER_CLASSIFY_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "planner/catalog.h"
#include "planner/draft.h"

enum { CLASSIFY_RELATIONS_MAX = 64, CLASSIFY_CASTS_MAX = 64, CLASSIFY_VIEW_DEPTH = 16 };

/* The literals of the text that was parsed: where each begins and its enum slot_kind. */
enum { CLASSIFY_SLOTS_MAX = 1024 };
struct classify_slots {
    uint32_t offsets[CLASSIFY_SLOTS_MAX];
    uint8_t kinds[CLASSIFY_SLOTS_MAX];
    uint32_t n;
};

struct classify {
    struct draft *d;
    const char *sql;                    /* what was parsed; for numbers that the tree shows badly */
    const struct catalog_view *view;    /* NULL: no catalog */
    enum plan_reason no_catalog;        /* why view is NULL */
    const cJSON *stmt;                  /* the current top-level statement */
    int depth;                          /* of views in views */
    const struct classify_slots *slots; /* literals of the text; NULL in views */

    /* Collected on the walk, judged at its end, when every table is known. */
    const struct cat_table *relations[CLASSIFY_RELATIONS_MAX]; /* named in the text */
    const cJSON *casts[CLASSIFY_CASTS_MAX];                    /* to date-like types */
    uint32_t n_relations, n_casts;
    bool has_derived; /* subselects, CTEs or functions in FROM: columns of unknown origin */
    bool uses_timezone, saw_timetz;
    bool reads_timetz;   /* a column of a table that is read */
    bool casts_unsafely; /* to a type that may have checks or casts of a user's */
    bool is_only;        /* one statement in the text */
};

/* The whole text: root is libpg_query's {"version":..,"stmts":[..]}. */
void pw_classify(struct classify *c, const cJSON *root);

/* classify_query.c: SELECT, INSERT, UPDATE, DELETE, MERGE and what is inside them. */
bool pw_classify_is_query(const char *name);
void pw_classify_query(struct classify *c, const char *name, const cJSON *node);
/* classify_utility.c: true when it knew the statement. */
bool pw_classify_utility(struct classify *c, const char *name, const cJSON *node);
void pw_classify_fire(struct classify *c); /* event triggers, if there are some or nobody knows */
/* classify_session.c: SET, RESET, SHOW, DISCARD; SELECT set_config(...). */
bool pw_classify_session(struct classify *c, const char *name, const cJSON *node);
bool pw_classify_set_config(struct classify *c, const cJSON *select);

/* classify_cast.c */
void pw_classify_cast(struct classify *c, const cJSON *node);
void pw_classify_column(struct classify *c, const cJSON *fields);
void pw_classify_call(struct classify *c, const char *schema, const char *name, const cJSON *args);
void pw_classify_judge(struct classify *c);

/* keys.c, steady.c: rows that the only statement reads or writes by a whole key. columns.c: what it
 * mentions of each table. Both when all its tables are known. */
void pw_classify_keys(struct classify *c, const char *name, const cJSON *node);
void pw_classify_columns(struct classify *c, const char *name, const cJSON *node);

/* For all of them: of several statements the strongest class counts, the first tag. */
void pw_classify_as(struct classify *c, enum plan_class cls, const char *tag);

#endif
