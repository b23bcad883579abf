/* Between keys.c, which finds `column = value`, and steady.c, which asks whether there is anything
 * else. */
#ifndef PLANNER_KEYS_PRIV_H
#define PLANNER_KEYS_PRIV_H

#include "planner/classify.h"

enum { KEY_VALUES_MAX = 32 };

struct keyed {
    struct classify *c;
    const struct cat_table *t;
    const char *alias; /* by which its columns may be qualified */
    struct {           /* column = value */
        const struct cat_column *column;
        struct plan_value value;
        bool is_cast; /* the value is cast to the column's own type */
    } found[KEY_VALUES_MAX];
    uint32_t n;
    bool has_others; /* conditions that are not of this form */
};

/* The table's column that this reference means, or NULL. */
const struct cat_column *pw_keyed_column(const struct keyed *k, const cJSON *wrapped);
/* How values of the column are compared. */
enum plan_key_kind pw_keyed_kind(const struct cat_column *column);

/* steady.c: the statement reads one row by its key. Does it do nothing else? */
void pw_classify_steady(const struct keyed *k, const cJSON *select);

#endif
