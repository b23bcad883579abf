/* See plan_read.h. */
#include "advisor/plan_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ast.h"
#include "proxy/base/attrs.h"

static double number(const cJSON *node, const char *field)
{
    const cJSON *v = pw_ast_get(node, field);
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

static void add_index(struct plan_facts *out, const cJSON *node, const char *schema, double loops)
{
    if (out->n_indexes >= PW_PLAN_INDEXES)
        return;
    struct plan_index *x = &out->indexes[out->n_indexes++];
    const char *name = pw_ast_str(node, "Index Name");
    memset(x, 0, sizeof(*x));
    snprintf(x->name, sizeof(x->name), "%s", name);
    snprintf(x->schema, sizeof(x->schema), "%s", schema);
    x->probes = fmax(1, loops);
    if (name[0] == '<')
        x->hypo_oid = (uint32_t)strtoul(name + 1, NULL, 10);
}

static void add_scan(struct plan_facts *out, const cJSON *node, const char *schema)
{
    if (out->n_scans >= PW_PLAN_SCANS)
        return;
    struct plan_scan *x = &out->scans[out->n_scans++];
    snprintf(x->schema, sizeof(x->schema), "%s", schema);
    snprintf(x->table, sizeof(x->table), "%s", pw_ast_str(node, "Relation Name"));
    x->cost = number(node, "Total Cost");
    x->rows = number(node, "Plan Rows");
}

static void walk(struct plan_facts *out, const cJSON *node, const char *schema, double loops,
                 int depth)
{
    if (!node || depth > 200)
        return;
    const char *type = pw_ast_str(node, "Node Type");
    if (pw_ast_get(node, "Schema"))
        schema = pw_ast_str(node, "Schema");
    if (pw_ast_get(node, "Index Name"))
        add_index(out, node, schema, loops);
    if (strcmp(type, "Seq Scan") == 0)
        add_scan(out, node, schema);
    const cJSON *arbiter;
    cJSON_ArrayForEach(arbiter, pw_ast_get(node, "Conflict Arbiter Indexes"))
    {
        if (cJSON_IsString(arbiter) && out->n_indexes < PW_PLAN_INDEXES) {
            struct plan_index *x = &out->indexes[out->n_indexes++];
            memset(x, 0, sizeof(*x));
            snprintf(x->name, sizeof(x->name), "%s", arbiter->valuestring);
            snprintf(x->schema, sizeof(x->schema), "%s", schema);
        }
    }
    bool modify = strcmp(type, "ModifyTable") == 0, nested = strcmp(type, "Nested Loop") == 0;
    out->parallel =
        out->parallel || strcmp(type, "Gather") == 0 || strcmp(type, "Gather Merge") == 0;
    if (strcmp(type, "Materialize") == 0 || strcmp(type, "Hash") == 0 || strcmp(type, "Sort") == 0)
        loops = 1; /* its input runs once, whatever reads the result */
    const cJSON *child, *plans = pw_ast_get(node, "Plans");
    double outer_rows = 1;
    cJSON_ArrayForEach(child, plans)
    {
        const char *role = pw_ast_str(child, "Parent Relationship");
        bool inner = nested && strcmp(role, "Inner") == 0;
        if (nested && strcmp(role, "Outer") == 0)
            outer_rows = fmax(1, number(child, "Plan Rows"));
        if (modify && strcmp(role, "Outer") == 0)
            out->modified += number(child, "Plan Rows");
        walk(out, child, schema, inner ? loops * outer_rows : loops, depth + 1);
    }
}

static bool is_filtered(const char *type)
{
    static const char *const others[] = {"Aggregate", "Limit",       "Group",   "Unique",
                                         "WindowAgg", "SetOp",       "Result",  "ProjectSet",
                                         "Append",    "ModifyTable", "CTE Scan"};
    for (size_t k = 0; k < PW_COUNT_OF(others); k++)
        if (strcmp(type, others[k]) == 0)
            return false;
    return true;
}

bool pw_plan_read(const char *json, struct plan_facts *out)
{
    memset(out, 0, sizeof(*out));
    cJSON *tree = cJSON_Parse(json);
    const cJSON *root = pw_ast_get(cJSON_GetArrayItem(tree, 0), "Plan");
    bool ok = root && cJSON_IsNumber(pw_ast_get(root, "Total Cost"));
    if (ok) {
        out->cost = number(root, "Total Cost");
        out->rows = number(root, "Plan Rows");
        out->filtered = is_filtered(pw_ast_str(root, "Node Type"));
        walk(out, root, "", 1, 0);
    }
    cJSON_Delete(tree);
    return ok;
}
