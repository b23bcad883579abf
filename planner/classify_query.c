/* SELECT, INSERT, UPDATE, DELETE, MERGE: a walk over every node of the tree. See classify.h. */
#include <stdlib.h>
#include <string.h>

#include "planner/ast.h"
#include "planner/classify.h"
#include "planner/depend.h"
#include "planner/effects.h"
#include "planner/template.h"

static void walk(struct classify *c, const char *name, const cJSON *node);
static void walk_children(struct classify *c, const cJSON *node);

bool pw_classify_is_query(const char *name)
{
    return strcmp(name, "SelectStmt") == 0 || strcmp(name, "InsertStmt") == 0 ||
           strcmp(name, "UpdateStmt") == 0 || strcmp(name, "DeleteStmt") == 0 ||
           strcmp(name, "MergeStmt") == 0;
}

static const char *tag_of(const char *name)
{
    switch (name[0]) {
    case 'S':
        return "SELECT";
    case 'I':
        return "INSERT";
    case 'U':
        return "UPDATE";
    case 'D':
        return "DELETE";
    default:
        return "MERGE";
    }
}

/* A plain INSERT adds rows only: no foreign key acts on it. */
static bool may_remove(const char *name, const cJSON *node)
{
    return strcmp(name, "InsertStmt") != 0 || pw_ast_get(node, "onConflictClause");
}

static void on_write(struct classify *c, const cJSON *node)
{
    c->d->flags |= PLAN_F_WRITES;
    if (node != c->stmt)
        pw_draft_refuse(c->d, PLAN_WHY_WRITABLE_CTE);
    pw_classify_as(c, PLAN_WRITE, "");
    pw_draft_refuse_both(c->d, PLAN_WHY_NOT_SELECT);
    pw_depend_write(c, pw_ast_get(node, "relation"), may_remove(node->string, node));
    walk_children(c, node);
}

static void on_into(struct classify *c, const cJSON *into)
{
    const cJSON *rel = pw_ast_get(into, "rel");
    pw_classify_as(c, PLAN_WRITE, "SELECT INTO");
    pw_draft_refuse_both(c->d, PLAN_WHY_INTO);
    if (strcmp(pw_ast_str(rel, "relpersistence"), "t") == 0 ||
        strncmp(pw_ast_str(rel, "schemaname"), "pg_temp", 7) == 0) {
        pw_draft_pin(c->d, PIN_TEMP_TABLE);
    } else {
        c->d->flags |= PLAN_F_CATALOG;
        pw_draft_writes_all(c->d);
    }
    pw_classify_fire(c);
}

static void on_function(struct classify *c, const cJSON *node)
{
    const cJSON *name = pw_ast_get(node, "funcname");
    const char *schema = pw_ast_name_from_end(name, 1), *last = pw_ast_name_from_end(name, 0);
    if (!last)
        pw_draft_opaque(c->d, PLAN_WHY_UNSUPPORTED);
    else
        pw_classify_call(c, schema ? schema : "", last, pw_ast_get(node, "args"));
    walk_children(c, node);
}

static void use_operator(struct classify *c, const cJSON *name)
{
    const char *schema = pw_ast_name_from_end(name, 1), *last = pw_ast_name_from_end(name, 0);
    if (last)
        pw_effects_operator(c->d, c->view, schema ? schema : "", last);
}

static void on_expr(struct classify *c, const cJSON *node)
{
    const char *kind = pw_ast_str(node, "kind");
    if (strncmp(kind, "AEXPR_BETWEEN", 13) == 0 || strncmp(kind, "AEXPR_NOT_BETWEEN", 17) == 0) {
        pw_effects_operator(c->d, c->view, "", "<=");
        pw_effects_operator(c->d, c->view, "", ">=");
    } else {
        use_operator(c, pw_ast_get(node, "name"));
    }
    walk_children(c, node);
}

static void on_const(struct classify *c, const cJSON *node)
{
    const cJSON *text = pw_ast_get(node, "sval");
    const char *value = pw_ast_str(text, "sval");
    if (text && pw_template_is_special(pw_slice_str(value)))
        pw_draft_refuse(c->d, PLAN_WHY_SPECIAL_VALUE);
}

static void on_value_function(struct classify *c, const cJSON *node)
{
    (void)node;
    pw_draft_refuse(c->d, PLAN_WHY_SPECIAL_VALUE);
}

static void on_locking(struct classify *c, const cJSON *node)
{
    (void)node;
    c->d->flags |= PLAN_F_LOCKS;
    pw_draft_refuse_both(c->d, PLAN_WHY_LOCKING);
}

static void on_sample(struct classify *c, const cJSON *node)
{
    pw_draft_refuse(c->d, PLAN_WHY_TABLESAMPLE);
    walk_children(c, node);
}

static void on_table(struct classify *c, const cJSON *node)
{
    pw_depend_read(c, node);
}

static void on_cast(struct classify *c, const cJSON *node)
{
    pw_classify_cast(c, node);
    walk_children(c, node);
}

static void on_column(struct classify *c, const cJSON *node)
{
    pw_classify_column(c, pw_ast_get(node, "fields"));
}

static void on_indirection(struct classify *c, const cJSON *node)
{
    pw_classify_column(c, pw_ast_get(node, "indirection"));
    walk_children(c, node);
}

static void on_derived(struct classify *c, const cJSON *node)
{
    c->has_derived = true;
    walk_children(c, node);
}

static void on_sublink(struct classify *c, const cJSON *node)
{
    use_operator(c, pw_ast_get(node, "operName"));
    if (strcmp(pw_ast_str(node, "subLinkType"), "ANY_SUBLINK") == 0)
        pw_effects_operator(c->d, c->view, "", "=");
    walk_children(c, node);
}

static void on_sort(struct classify *c, const cJSON *node)
{
    use_operator(c, pw_ast_get(node, "useOp"));
    walk_children(c, node);
}

static void on_join(struct classify *c, const cJSON *node)
{
    pw_effects_operator(c->d, c->view, "", "=");
    walk_children(c, node);
}

static const struct {
    const char *name;
    void (*on)(struct classify *c, const cJSON *node);
} handlers[] = {
    {"FuncCall", on_function},
    {"A_Expr", on_expr},
    {"A_Const", on_const},
    {"RangeVar", on_table},
    {"SQLValueFunction", on_value_function},
    {"LockingClause", on_locking},
    {"RangeTableSample", on_sample},
    {"SubLink", on_sublink},
    {"SortBy", on_sort},
    {"JoinExpr", on_join},
    {"CaseExpr", on_join}, /* CASE x WHEN y compares with = */
    {"TypeCast", on_cast},
    {"ColumnRef", on_column},
    {"A_Indirection", on_indirection},
    {"RangeSubselect", on_derived},
    {"RangeFunction", on_derived},
    {"CommonTableExpr", on_derived},
    {"InsertStmt", on_write},
    {"UpdateStmt", on_write},
    {"DeleteStmt", on_write},
    {"MergeStmt", on_write},
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

static void walk(struct classify *c, const char *name, const cJSON *node)
{
    static const char *const known[] = {
#include "planner/nodes.def"
    };
    for (size_t i = 0; i < PW_COUNT_OF(handlers); i++) {
        if (strcmp(name, handlers[i].name) == 0) {
            handlers[i].on(c, node);
            return;
        }
    }
    if (!bsearch(name, known, PW_COUNT_OF(known), sizeof known[0], compare_names))
        pw_draft_refuse_both(c->d, PLAN_WHY_UNSUPPORTED);
    walk_children(c, node);
}

/* Fields that are written without the name of their node. */
static void walk_field(struct classify *c, const cJSON *field)
{
    const char *name;
    const cJSON *node = pw_ast_node(field, &name);
    if (node)
        walk(c, name, node);
    else if (field->string && strcmp(field->string, "intoClause") == 0)
        on_into(c, field);
    else if (field->string && strcmp(field->string, "relation") == 0)
        return; /* the target of a write: on_write has seen it */
    else
        walk_children(c, field);
}

static void walk_children(struct classify *c, const cJSON *node)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        if (cJSON_IsObject(child) || cJSON_IsArray(child))
            walk_field(c, child);
    }
}

/* SELECT set_config(a, f(b), c): the calls in its arguments. */
static void walk_arguments(struct classify *c, const cJSON *select)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, pw_ast_get(select, "targetList"))
    {
        const cJSON *call = pw_ast_is(pw_ast_get(pw_ast_is(each, "ResTarget"), "val"), "FuncCall");
        walk_children(c, pw_ast_get(call, "args"));
    }
}

void pw_classify_query(struct classify *c, const char *name, const cJSON *node)
{
    if (strcmp(name, "SelectStmt") == 0 && node == c->stmt && pw_classify_set_config(c, node)) {
        walk_arguments(c, node);
        return;
    }
    pw_classify_as(c, PLAN_READ, tag_of(name));
    walk(c, name, node);
}
