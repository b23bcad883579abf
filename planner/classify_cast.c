/*
 * Casts, column references and calls, where what is written may mean something else than it seems:
 * a string that becomes a date ('now'), row.function, a call that is a cast. Judged when all tables
 * of the statement are known. See classify.h.
 */
#include <string.h>

#include "planner/ast.h"
#include "planner/classify.h"
#include "planner/effects.h"
#include "planner/planner.h"

static enum cat_verdict worse(enum cat_verdict a, enum cat_verdict b)
{
    if (a == CAT_UNSAFE || b == CAT_UNSAFE)
        return CAT_UNSAFE;
    return a == CAT_DATELIKE || b == CAT_DATELIKE ? CAT_DATELIKE : CAT_SAFE;
}

struct type_answer {
    bool found, is_text;
    enum cat_verdict verdict;
};

static struct type_answer look_up_type(const struct classify *c, const char *schema,
                                       const char *name)
{
    struct type_answer a = {.verdict = CAT_SAFE};
    const struct cat_type *t = NULL;
    while ((t = pw_view_type(c->view, schema, name, t))) {
        a.found = true;
        a.is_text = a.is_text || t->is_text;
        a.verdict = worse(a.verdict, t->verdict);
    }
    return a;
}

static struct type_answer type_of_name(const struct classify *c, const cJSON *type_name)
{
    const cJSON *names = pw_ast_get(type_name, "names");
    const char *schema = pw_ast_name_from_end(names, 1), *name = pw_ast_name_from_end(names, 0);
    if (!name || pw_ast_bool(type_name, "pct_type"))
        return (struct type_answer){.verdict = CAT_UNSAFE};
    return look_up_type(c, schema ? schema : "", name);
}

static bool names_timetz(const cJSON *type_name)
{
    const char *name = pw_ast_name_from_end(pw_ast_get(type_name, "names"), 0);
    return name && strcmp(name, "timetz") == 0;
}

static void cast_to(struct classify *c, struct type_answer type, const cJSON *arg)
{
    if (!type.found || type.verdict == CAT_UNSAFE) {
        pw_draft_refuse(c->d, PLAN_WHY_UNSUPPORTED);
        c->casts_unsafely = true;
    } else if (type.verdict == CAT_DATELIKE) {
        if (c->n_casts < CLASSIFY_CASTS_MAX && arg)
            c->casts[c->n_casts++] = arg;
        else
            pw_draft_refuse(c->d, PLAN_WHY_UNSUPPORTED);
    }
}

void pw_classify_cast(struct classify *c, const cJSON *node)
{
    const cJSON *type_name = pw_ast_get(node, "typeName");
    c->d->needs_catalog = true;
    if (!c->view) {
        pw_draft_refuse(c->d, c->no_catalog);
        return;
    }
    c->saw_timetz = c->saw_timetz || names_timetz(type_name);
    cast_to(c, type_of_name(c, type_name), pw_ast_get(node, "arg"));
}

static bool has_param(const cJSON *args)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, args)
    {
        if (pw_ast_is(each, "ParamRef"))
            return true;
    }
    return false;
}

static bool has_function(const struct classify *c, const char *schema, const char *name)
{
    return pw_view_function(c->view, schema, name, NULL) != NULL;
}

/* set_config('app.tenant', ...): not what names or quotes mean. */
static bool sets_something_plain(const char *function, const cJSON *args)
{
    const char *setting = pw_ast_const_string(cJSON_GetArrayItem(args, 0));
    return strcmp(function, "set_config") == 0 && setting && !pw_plan_is_context_setting(setting);
}

/* date(x), text(x): with one argument the name of a type is a cast. */
void pw_classify_call(struct classify *c, const char *schema, const char *name, const cJSON *args)
{
    if (c->view && pw_ast_count(args) == 1) {
        struct type_answer type = look_up_type(c, schema, name);
        if (type.found) {
            cast_to(c, type, cJSON_GetArrayItem(args, 0));
            if (!has_function(c, schema, name)) {
                c->d->needs_catalog = true;
                return;
            }
        }
    }
    if (strcmp(name, "timezone") == 0) {
        c->uses_timezone = true;
        c->saw_timetz = c->saw_timetz || has_param(args);
    }
    struct draft *d = c->d;
    const uint32_t flags = d->flags, pins = d->pins;
    pw_effects_function(d, c->view, schema, name);
    if (sets_something_plain(name, args)) {
        d->flags &= flags | ~(uint32_t)PLAN_F_CONTEXT;
        d->pins &= pins | ~PIN_BIT(PIN_CONTEXT);
    }
}

static bool is_column(const struct classify *c, const char *name)
{
    for (uint32_t i = 0; i < c->n_relations; i++) {
        for (uint32_t k = 0; k < c->relations[i]->n_columns; k++) {
            if (strcmp(c->relations[i]->columns[k].name, name) == 0)
                return true;
        }
    }
    return false;
}

/* a.b may call the function b with the row a. (row.f) too. */
static void check_row_call(struct classify *c, const char *name)
{
    const struct cat_function *f = NULL;
    while ((f = pw_view_function(c->view, "", name, f))) {
        if (f->takes_row && f->volatility != 'i' && !is_column(c, name))
            pw_effects_overload(c->d, pw_catalog_view_catalog(c->view), f);
        else if (f->takes_row && f->volatility != 'i')
            pw_draft_refuse(c->d, PLAN_WHY_STABLE_FUNCTION);
    }
}

/* A row lock or VACUUM FULL changes them, and no version of ours tells. xmin and tableoid belong to
 * the row for good. */
static bool is_fleeting(const char *name)
{
    return name && (strcmp(name, "ctid") == 0 || strcmp(name, "xmax") == 0 ||
                    strcmp(name, "cmin") == 0 || strcmp(name, "cmax") == 0);
}

void pw_classify_column(struct classify *c, const cJSON *fields)
{
    if (is_fleeting(pw_ast_name_from_end(fields, 0)))
        pw_draft_refuse(c->d, PLAN_WHY_SYSTEM_COLUMN);
    bool is_column_ref = fields && fields->string && strcmp(fields->string, "fields") == 0;
    int n = pw_ast_count(fields);
    for (int i = 0; c->view && i < (is_column_ref ? n - 1 : n); i++) {
        const char *name = pw_ast_name_from_end(fields, i);
        if (name)
            check_row_call(c, name);
    }
}

/* ---- is this expression surely not a string? ---- */

static bool not_text(const struct classify *c, const cJSON *wrapped, int depth);

static bool all_not_text(const struct classify *c, const cJSON *list, int depth)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, list)
    {
        if (!not_text(c, each, depth))
            return false;
    }
    return true;
}

static bool has_output_name(const cJSON *node, const char *name)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        const cJSON *target = pw_ast_is(child, "ResTarget");
        if (target && strcmp(pw_ast_str(target, "name"), name) == 0)
            return true;
        if (child->string && strcmp(child->string, "colnames") == 0)
            return true;
        if ((cJSON_IsObject(child) || cJSON_IsArray(child)) && has_output_name(child, name))
            return true;
    }
    return false;
}

static bool column_not_text(const struct classify *c, const cJSON *node)
{
    const char *name = pw_ast_name_from_end(pw_ast_get(node, "fields"), 0);
    bool found = false;
    if (!name || c->has_derived || has_output_name(c->stmt, name))
        return false;
    for (uint32_t i = 0; i < c->n_relations; i++) {
        for (uint32_t k = 0; k < c->relations[i]->n_columns; k++) {
            const struct cat_column *column = &c->relations[i]->columns[k];
            if (strcmp(column->name, name) != 0)
                continue;
            if (column->is_text)
                return false;
            found = true;
        }
    }
    return found;
}

static bool function_not_text(const struct classify *c, const cJSON *node)
{
    const cJSON *names = pw_ast_get(node, "funcname");
    const char *schema = pw_ast_name_from_end(names, 1), *name = pw_ast_name_from_end(names, 0);
    const struct cat_function *f = NULL;
    bool found = false;
    while (name && (f = pw_view_function(c->view, schema ? schema : "", name, f))) {
        if (f->returns_text)
            return false;
        found = true;
    }
    return found;
}

static bool operator_not_text(const struct classify *c, const cJSON *node)
{
    const cJSON *names = pw_ast_get(node, "name");
    const char *schema = pw_ast_name_from_end(names, 1), *name = pw_ast_name_from_end(names, 0);
    if (strcmp(pw_ast_str(node, "kind"), "AEXPR_OP") != 0)
        return strcmp(pw_ast_str(node, "kind"), "AEXPR_NULLIF") != 0; /* the others are boolean */
    const struct cat_operator *o = NULL;
    bool found = false;
    while (name && (o = pw_view_operator(c->view, schema ? schema : "", name, o))) {
        if (o->returns_text)
            return false;
        found = true;
    }
    return found;
}

/* Literals and parameters count as "not text": 'now' as a literal is refused anyway, as a parameter
 * it is whoever binds that checks (pw_plan_value_is_special). */
static bool not_text(const struct classify *c, const cJSON *wrapped, int depth)
{
    const char *name;
    const cJSON *node = pw_ast_node(wrapped, &name);
    if (!node || depth > 100)
        return false;
    if (strcmp(name, "A_Const") == 0 || strcmp(name, "ParamRef") == 0)
        return true;
    if (strcmp(name, "ColumnRef") == 0)
        return column_not_text(c, node);
    if (strcmp(name, "FuncCall") == 0)
        return function_not_text(c, node);
    if (strcmp(name, "A_Expr") == 0)
        return operator_not_text(c, node);
    if (strcmp(name, "TypeCast") == 0) {
        struct type_answer t = type_of_name(c, pw_ast_get(node, "typeName"));
        return t.found && !t.is_text;
    }
    if (strcmp(name, "CoalesceExpr") == 0 || strcmp(name, "MinMaxExpr") == 0)
        return all_not_text(c, pw_ast_get(node, "args"), depth + 1);
    return false;
}

/* The end of a statement: what had to wait until all its tables were known. */
void pw_classify_judge(struct classify *c)
{
    if (!c->view)
        return;
    for (uint32_t i = 0; i < c->n_casts; i++) {
        if (!not_text(c, c->casts[i], 0))
            pw_draft_refuse(c->d, PLAN_WHY_UNSUPPORTED);
    }
    if (c->uses_timezone && c->saw_timetz)
        pw_draft_refuse_both(c->d, PLAN_WHY_VOLATILE_FUNCTION);
    if (c->reads_timetz) /* '9:00' beside it takes the offset of today */
        pw_draft_refuse(c->d, PLAN_WHY_SPECIAL_VALUE);
    const struct catalog *catalog = pw_catalog_view_catalog(c->view);
    if (pw_catalog_is_serializable(catalog)) {
        c->d->needs_catalog = true;
        pw_draft_refuse(c->d, PLAN_WHY_SERIALIZABLE);
    }
    bool odd_casts = c->d->needs_catalog && pw_catalog_has_odd_casts(catalog);
    if (odd_casts)
        pw_draft_refuse(c->d, PLAN_WHY_UNSUPPORTED);
    if (odd_casts || c->casts_unsafely || (c->d->flags & PLAN_F_WRITES))
        pw_effects_body(c->d, catalog, pw_catalog_unnamed_calls(catalog), NULL);
}
