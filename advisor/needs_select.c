/* One SELECT: what it reads, its sort keys and groups, and what it puts out. */
#include <string.h>

#include "advisor/needs_walk.h"

#define ARMS_MAX 16

/* A sort key that is an output name or position stands for that output's expression. */
static const cJSON *sort_target(const cJSON *select, const cJSON *key)
{
    const cJSON *targets = pw_ast_get(select, "targetList"), *t;
    const cJSON *position = pw_ast_get(pw_ast_get(pw_ast_is(key, "A_Const"), "ival"), "ival");
    if (position)
        return pw_ast_get(
            pw_ast_is(cJSON_GetArrayItem(targets, position->valueint - 1), "ResTarget"), "val");
    const cJSON *fields = pw_ast_get(pw_ast_is(key, "ColumnRef"), "fields");
    const char *name = pw_ast_count(fields) == 1 ? pw_ast_name_from_end(fields, 0) : NULL;
    if (name)
        cJSON_ArrayForEach(t, targets)
        {
            if (strcmp(pw_ast_str(pw_ast_is(t, "ResTarget"), "name"), name) == 0)
                return pw_ast_get(pw_ast_is(t, "ResTarget"), "val");
        }
    return key;
}

/* ORDER BY a <-> b LIMIT: a GiST index gives the nearest first. */
static void read_distance(struct walker *w, const struct scope *s, const cJSON *select)
{
    const cJSON *by = pw_ast_is(cJSON_GetArrayItem(pw_ast_get(select, "sortClause"), 0), "SortBy");
    const cJSON *x = pw_ast_is(sort_target(select, pw_ast_get(by, "node")), "A_Expr");
    const char *op = pw_ast_name_from_end(pw_ast_get(x, "name"), 0);
    if (!op || strcmp(op, "<->") != 0 || !pw_ast_get(select, "limitCount"))
        return;
    static const char *const sides[] = {"lexpr", "rexpr"};
    for (size_t k = 0; k < PW_COUNT_OF(sides); k++) {
        const cJSON *ref = pw_ast_is(pw_ast_get(x, sides[k]), "ColumnRef");
        struct column_ref c = {.need = -1};
        if (ref)
            c = pw_walk_resolve(w, s, ref);
        struct need *n = pw_walk_need(w, c.need);
        if (n && c.column && n->n_preds < PW_NEED_MAX)
            n->preds[n->n_preds++] = (struct need_pred){
                .op = NEED_DISTANCE, .attnum = c.column->attnum, .operator= "<->" };
    }
}

static void read_sort(struct walker *w, const struct scope *s, const cJSON *select)
{
    const cJSON *key;
    int of = -1;
    cJSON_ArrayForEach(key, pw_ast_get(select, "sortClause"))
    {
        const cJSON *by = pw_ast_is(key, "SortBy");
        const cJSON *e = sort_target(select, pw_ast_get(by, "node"));
        struct column_ref c = {.need = -1};
        if (pw_ast_is(e, "ColumnRef"))
            c = pw_walk_resolve(w, s, pw_ast_is(e, "ColumnRef"));
        struct need *n = pw_walk_need(w, c.need);
        if (!n || !c.column || (of >= 0 && of != c.need) || n->n_sorts >= PW_NEED_MAX) {
            /* Sorted by more than one table's columns: an index can still give the leading part. */
            return;
        }
        of = c.need;
        bool desc = strcmp(pw_ast_str(by, "sortby_dir"), "SORTBY_DESC") == 0;
        const char *nulls = pw_ast_str(by, "sortby_nulls");
        bool first = strcmp(nulls, "SORTBY_NULLS_FIRST") == 0 ||
                     (desc && strcmp(nulls, "SORTBY_NULLS_LAST") != 0);
        n->sorts[n->n_sorts++] =
            (struct need_sort){.attnum = c.column->attnum, .desc = desc, .nulls_first = first};
        n->limited = pw_ast_get(select, "limitCount") != NULL;
    }
}

static void read_groups(struct walker *w, const struct scope *s, const cJSON *select)
{
    const cJSON *key;
    cJSON_ArrayForEach(key, pw_ast_get(select, "groupClause"))
    {
        const cJSON *e = sort_target(select, key);
        struct column_ref c = {.need = -1};
        if (pw_ast_is(e, "ColumnRef"))
            c = pw_walk_resolve(w, s, pw_ast_is(e, "ColumnRef"));
        struct need *n = pw_walk_need(w, c.need);
        if (n && c.column && n->n_groups < PW_NEED_MAX)
            n->groups[n->n_groups++] = c.column->attnum;
    }
}

/* SELECT min(a) FROM ... is ORDER BY a LIMIT 1 to the planner. */
static void read_minmax(struct walker *w, const struct scope *s, const cJSON *select)
{
    const cJSON *targets = pw_ast_get(select, "targetList");
    if (pw_ast_count(targets) != 1 || pw_ast_get(select, "groupClause"))
        return;
    const cJSON *call = pw_ast_is(
        pw_ast_get(pw_ast_is(cJSON_GetArrayItem(targets, 0), "ResTarget"), "val"), "FuncCall");
    const char *name = pw_ast_name_from_end(pw_ast_get(call, "funcname"), 0);
    if (!name || (strcmp(name, "min") != 0 && strcmp(name, "max") != 0))
        return;
    const cJSON *arg = pw_ast_is(cJSON_GetArrayItem(pw_ast_get(call, "args"), 0), "ColumnRef");
    struct column_ref c = arg ? pw_walk_resolve(w, s, arg) : (struct column_ref){.need = -1};
    struct need *n = pw_walk_need(w, c.need);
    if (!n || !c.column || n->n_sorts)
        return;
    n->sorts[n->n_sorts++] = (struct need_sort){.attnum = c.column->attnum};
    n->limited = n->minmax = true;
}

static void note_limit(struct walker *w, const cJSON *select)
{
    static const char *const fields[] = {"limitCount", "limitOffset"};
    for (size_t k = 0; k < PW_COUNT_OF(fields); k++) {
        const cJSON *ref = pw_ast_is(pw_walk_strip(pw_ast_get(select, fields[k])), "ParamRef");
        if (ref) {
            struct need_param p = {.number = pw_ast_int(ref, "number"),
                                   .is_limit = true,
                                   .op = k ? NEED_RANGE : NEED_EQ};
            pw_walk_param(w, &p);
        }
    }
}

/* Targets that are asked for from outside are read there; all others are read here. */
static void read_targets(struct walker *w, const struct scope *s, const cJSON *select, bool all)
{
    const cJSON *t;
    cJSON_ArrayForEach(t, pw_ast_get(select, "targetList"))
    {
        const cJSON *val = pw_ast_get(pw_ast_is(t, "ResTarget"), "val");
        if (all || !pw_ast_is(val, "ColumnRef"))
            pw_walk_expr(w, s, val);
    }
}

/* UNION: each output stands for a column of each arm. The chain is made anew: the arms may be one
 * CTE twice, and share theirs. */
static void add_arm(struct walker *w, struct outputs *all, const struct outputs *arm)
{
    for (size_t k = 0; k < all->n && k < arm->n; k++) {
        struct column_ref *nodes = pw_mem(w->mem, ARMS_MAX * sizeof(*nodes));
        size_t n = 0;
        const struct column_ref *const starts[] = {&all->items[k].ref, &arm->items[k].ref};
        for (size_t i = 0; i < PW_COUNT_OF(starts); i++)
            for (const struct column_ref *c = starts[i]; c && n < ARMS_MAX; c = c->also)
                nodes[n++] = *c;
        for (size_t i = 0; i < n; i++)
            nodes[i].also = i + 1 < n ? &nodes[i + 1] : NULL;
        all->items[k].ref = nodes[0];
    }
}

static void walk_arms(struct walker *w, const struct scope *s, const cJSON *select,
                      struct outputs *out)
{
    struct outputs left = {NULL, 0}, right = {NULL, 0};
    pw_walk_select(w, s, pw_ast_get(select, "larg"), out ? &left : NULL);
    pw_walk_select(w, s, pw_ast_get(select, "rarg"), out ? &right : NULL);
    if (!out)
        return;
    add_arm(w, &left, &right);
    *out = left;
}

void pw_walk_select(struct walker *w, const struct scope *up, const cJSON *select,
                    struct outputs *out)
{
    if (++w->depth > WALK_DEPTH) {
        w->depth--;
        return;
    }
    struct scope s = {.up = up};
    int in_or = w->in_or;
    bool top = w->top;
    w->in_or = 0;
    w->top = false;
    pw_walk_ctes(w, &s, pw_ast_get(select, "withClause"));
    bool arms = pw_ast_get(select, "larg") != NULL;
    if (arms)
        walk_arms(w, &s, select, out);
    const cJSON *item;
    cJSON_ArrayForEach(item, pw_ast_get(select, "fromClause"))
    {
        pw_walk_from(w, &s, item);
    }
    if (top && s.n_entries)
        w->st->first = s.entries[0].need;
    bool plain = out && !pw_ast_get(select, "distinctClause") && !pw_ast_get(select, "groupClause");
    pw_walk_qual(w, &s, pw_ast_get(select, "whereClause"));
    read_targets(w, &s, select, !plain);
    static const char *const more[] = {"groupClause",    "havingClause", "sortClause",
                                       "distinctClause", "windowClause", "valuesLists",
                                       "limitCount",     "limitOffset"};
    for (size_t k = 0; k < PW_COUNT_OF(more); k++)
        pw_walk_expr(w, &s, pw_ast_get(select, more[k]));
    w->st->locks = w->st->locks || pw_ast_get(select, "lockingClause");
    note_limit(w, select);
    read_sort(w, &s, select);
    read_distance(w, &s, select);
    read_groups(w, &s, select);
    read_minmax(w, &s, select);
    if (out && !arms)
        *out = pw_walk_outputs(w, &s, select);
    w->in_or = in_or;
    w->depth--;
}
