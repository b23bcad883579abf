/* See index_plan.h. */
#include "planner/index_plan.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "planner/ast.h"
#include "planner/template.h"
#include "proxy/base/alloc.h"
#include "proxy/base/hashmap.h"

enum { PLAN_DEPTH_MAX = 200 };

char *pw_index_plan_redact(const char *cond)
{
    size_t len = strlen(cond);
    struct template t = {.cap = len + 64};
    t.text = pw_alloc(t.cap);
    struct template_options options = {.standard_conforming_strings = true, .keep_nothing = true};
    bool ok = pw_template_scan(&t, pw_slice(cond, len), &options) == TEMPLATE_OK;
    for (size_t i = 0; ok && i < t.len; i++) {
        if (t.text[i] > 0 && t.text[i] <= SLOT_HEXBITS)
            t.text[i] = '?';
    }
    char *out = ok ? pw_strndup(t.text, t.len) : pw_strdup("");
    pw_free(t.text);
    return out;
}

void pw_index_plan_add(struct index_plan *p, const char *table, const char *index,
                       const char *scan_kind, const char *cond, double share)
{
    for (size_t i = 0; i < p->n; i++) {
        struct index_plan_use *u = &p->uses[i];
        if (strcmp(u->index, index) == 0 && strcmp(u->scan_kind, scan_kind) == 0) {
            u->share += share;
            return;
        }
    }
    if (p->n == INDEX_PLAN_USES_MAX)
        return;
    p->uses[p->n++] = (struct index_plan_use){.table = pw_strdup(table),
                                              .index = pw_strdup(index),
                                              .scan_kind = pw_strdup(scan_kind),
                                              .cond = pw_index_plan_redact(cond),
                                              .share = share};
}

static double number(const cJSON *node, const char *field)
{
    const cJSON *v = pw_ast_get(node, field);
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

/* Not counting what is below it, a node's part of the whole; loops of nested loops are in the cost
 * of the join, so this is a lower bound. */
static double share_of(const cJSON *node, double total)
{
    double share = total > 0 ? number(node, "Total Cost") / total : 0;
    return share > 1 ? 1 : share;
}

static void add_use(struct index_plan *p, const cJSON *node, const cJSON *relation, double total)
{
    const char *schema = pw_ast_str(relation, "Schema");
    char *index = pw_asprintf("%s.%s", schema, pw_ast_str(node, "Index Name"));
    char *table = pw_asprintf("%s.%s", schema, pw_ast_str(relation, "Relation Name"));
    pw_index_plan_add(p, table, index, pw_ast_str(node, "Node Type"),
                      pw_ast_str(node, "Index Cond"), share_of(node, total));
    pw_free(index);
    pw_free(table);
}

static void add_step(struct index_plan *p, char *table, const char *what, double share)
{
    if (p->n_steps == INDEX_PLAN_STEPS_MAX) {
        pw_free(table);
        return;
    }
    p->steps[p->n_steps++] = (struct index_plan_step){
        .table = table, .what = pw_index_plan_redact(what), .share = share};
}

static void add_scan_or_sort(struct index_plan *p, const cJSON *node, double total)
{
    const char *type = pw_ast_str(node, "Node Type");
    if (strcmp(type, "Seq Scan") == 0) {
        add_step(
            p, pw_asprintf("%s.%s", pw_ast_str(node, "Schema"), pw_ast_str(node, "Relation Name")),
            pw_ast_str(node, "Filter"), share_of(node, total));
    } else if (strstr(type, "Sort")) {
        char keys[1000] = "";
        size_t n = 0;
        const cJSON *key;
        cJSON_ArrayForEach(key, pw_ast_get(node, "Sort Key"))
        {
            if (cJSON_IsString(key) && n < sizeof keys)
                n += (size_t)snprintf(keys + n, sizeof keys - n, "%s%s", n ? ", " : "",
                                      key->valuestring);
        }
        add_step(p, NULL, keys, share_of(node, total));
    }
}

static void add_write(struct index_plan *p, const cJSON *node)
{
    const char *operation = pw_ast_str(node, "Operation");
    if (strcmp(pw_ast_str(node, "Node Type"), "ModifyTable") != 0 ||
        p->n_writes == INDEX_PLAN_WRITES_MAX || !*operation)
        return;
    const char *schema = pw_ast_str(node, "Schema"), *table = pw_ast_str(node, "Relation Name");
    p->writes[p->n_writes++] = (struct index_plan_write){
        .schema = pw_strdup(schema), .table = pw_strdup(table), .operation = *operation};
    char *name = pw_asprintf("%s.%s", schema, table);
    const cJSON *arbiter;
    cJSON_ArrayForEach(arbiter, pw_ast_get(node, "Conflict Arbiter Indexes"))
    {
        if (!cJSON_IsString(arbiter))
            continue;
        char *index = pw_asprintf("%s.%s", schema, arbiter->valuestring);
        pw_index_plan_add(p, name, index, "Conflict Arbiter", "", 0);
        pw_free(index);
    }
    pw_free(name);
}

static void mix(struct index_plan *p, const char *text)
{
    p->hash = pw_hash_mix(p->hash, pw_hash_bytes(text, strlen(text)));
}

/* relation: the nearest node that names a table, for a Bitmap Index Scan, which does not. */
static void walk(struct index_plan *p, const cJSON *node, const cJSON *relation, double total,
                 int depth)
{
    if (depth > PLAN_DEPTH_MAX)
        return;
    if (pw_ast_get(node, "Relation Name"))
        relation = node;
    mix(p, pw_ast_str(node, "Node Type"));
    mix(p, pw_ast_str(node, "Relation Name"));
    mix(p, pw_ast_str(node, "Index Name"));
    if (pw_ast_get(node, "Index Name") && relation)
        add_use(p, node, relation, total);
    add_scan_or_sort(p, node, total);
    add_write(p, node);
    const cJSON *child;
    cJSON_ArrayForEach(child, pw_ast_get(node, "Plans"))
    {
        walk(p, child, relation, total, depth + 1);
    }
}

int pw_index_plan_parse(const char *json, struct index_plan *out)
{
    *out = (struct index_plan){0};
    cJSON *root = cJSON_Parse(json);
    const cJSON *plan = pw_ast_get(cJSON_GetArrayItem(root, 0), "Plan");
    if (plan)
        walk(out, plan, NULL, number(plan, "Total Cost"), 0);
    int result = plan ? 0 : -1;
    cJSON_Delete(root);
    return result;
}

void pw_index_plan_free(struct index_plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        pw_free(p->uses[i].table);
        pw_free(p->uses[i].index);
        pw_free(p->uses[i].scan_kind);
        pw_free(p->uses[i].cond);
    }
    for (size_t i = 0; i < p->n_steps; i++) {
        pw_free(p->steps[i].table);
        pw_free(p->steps[i].what);
    }
    for (size_t i = 0; i < p->n_writes; i++) {
        pw_free(p->writes[i].schema);
        pw_free(p->writes[i].table);
    }
    p->n = p->n_steps = p->n_writes = 0;
}
