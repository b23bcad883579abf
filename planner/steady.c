/*
 * Steady statements (PLAN_F_STEADY): what they answer cannot depend on when they were parsed, nor
 * on the values they were planned for. They name columns of one table and compare some of them by
 * PostgreSQL's own "=" with literals or parameters, one row by its key; nothing in them can fail,
 * and any plan is a look-up of that key. So a prepared one may get a generic plan, and literals may
 * become its parameters. See classify.h.
 */
#include <string.h>

#include "planner/ast.h"
#include "planner/keys_priv.h"
#include "planner/template.h"

enum { OID_INT8 = 20, OID_INT4 = 23, OID_TEXT = 25 };

/* The clauses that may be there; every other one, known or new, speaks against it. */
static bool has_only_plain_clauses(const cJSON *select)
{
    static const char *const plain[] = {"targetList", "fromClause",  "whereClause", "sortClause",
                                        "limitCount", "limitOption", "op"};
    const cJSON *each;
    cJSON_ArrayForEach(each, select)
    {
        bool known = false;
        for (size_t i = 0; i < PW_COUNT_OF(plain); i++)
            known |= strcmp(each->string, plain[i]) == 0;
        if (!known)
            return false;
    }
    return strcmp(pw_ast_str(select, "op"), "SETOP_NONE") == 0 &&
           strcmp(pw_ast_str(select, "limitOption"), "LIMIT_OPTION_WITH_TIES") != 0;
}

/* table.*, or * */
static bool is_star(const struct keyed *k, const cJSON *wrapped)
{
    const cJSON *fields = pw_ast_get(pw_ast_is(wrapped, "ColumnRef"), "fields");
    int n = pw_ast_count(fields);
    const char *of = pw_ast_name_from_end(fields, 1);
    return (n == 1 || (n == 2 && of && strcmp(of, k->alias) == 0)) &&
           pw_ast_is(cJSON_GetArrayItem(fields, n - 1), "A_Star");
}

static bool names_only_columns(const struct keyed *k, const cJSON *select)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, pw_ast_get(select, "targetList"))
    {
        const cJSON *target = pw_ast_is(each, "ResTarget"), *value = pw_ast_get(target, "val");
        if (!target || pw_ast_get(target, "indirection") ||
            !(is_star(k, value) || pw_keyed_column(k, value)))
            return false;
    }
    cJSON_ArrayForEach(each, pw_ast_get(select, "sortClause"))
    {
        const cJSON *sort = pw_ast_is(each, "SortBy");
        if (!sort || pw_ast_get(sort, "useOp") || !pw_keyed_column(k, pw_ast_get(sort, "node")))
            return false;
    }
    return pw_ast_count(pw_ast_get(select, "targetList")) > 0;
}

/* ---- literals as parameters ---- */

/* The type that PostgreSQL gives this literal where it is compared with the column; 0: not told. */
static uint32_t type_of(const struct cat_column *column, uint8_t slot)
{
    if (slot == SLOT_INT4 || slot == SLOT_INT8)
        return slot == SLOT_INT4 ? OID_INT4 : OID_INT8;
    if (slot != SLOT_STRING)
        return 0;
    return pw_keyed_kind(column) == PLAN_KEY_TEXT ? OID_TEXT : column->type;
}

static bool note_type(struct draft *d, uint32_t slot, uint32_t type)
{
    if (slot >= PLAN_PREPARED_MAX || !type || d->prepared_types[slot])
        return false;
    d->prepared_types[slot] = type;
    return true;
}

/* LIMIT with a number: any number of rows or none of the one that there is. */
static bool note_limit(struct classify *c, const cJSON *limit, uint32_t *n)
{
    const cJSON *literal = pw_ast_is(limit, "A_Const");
    if (!limit)
        return true;
    for (uint32_t i = 0; literal && i < c->slots->n; i++) {
        if (c->slots->offsets[i] == (uint32_t)pw_ast_int(literal, "location") &&
            c->slots->kinds[i] == SLOT_INT4)
            return ++*n && note_type(c->d, i, OID_INT4);
    }
    return false;
}

/* Each literal of the text is one of these values: then all of them can be parameters. */
static void note_literals(const struct keyed *k, const cJSON *select)
{
    const struct classify_slots *slots = k->c->slots;
    struct draft *d = k->c->d;
    uint32_t n = 0;
    bool ok = slots && slots->n > 0 && slots->n <= PLAN_PREPARED_MAX &&
              note_limit(k->c, pw_ast_get(select, "limitCount"), &n);
    for (uint32_t i = 0; ok && i < k->n; i++, n++) {
        const struct plan_value *v = &k->found[i].value;
        ok = !v->is_param && !v->is_negative &&
             note_type(d, v->number, type_of(k->found[i].column, slots->kinds[v->number]));
    }
    if (ok && n == slots->n)
        d->n_prepared = n;
}

void pw_classify_steady(const struct keyed *k, const cJSON *select)
{
    const cJSON *limit = pw_ast_get(select, "limitCount");
    if (k->has_others || (k->t->kind != 'r' && k->t->kind != 'm') ||
        !has_only_plain_clauses(select) || !names_only_columns(k, select) ||
        (limit && !pw_ast_is(limit, "A_Const")))
        return;
    for (uint32_t i = 0; i < k->n; i++)
        if (k->found[i].is_cast || pw_keyed_kind(k->found[i].column) == PLAN_KEY_OTHER)
            return;
    k->c->d->flags |= PLAN_F_STEADY;
    note_literals(k, select);
}
