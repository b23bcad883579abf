/* The tables in a PL/pgSQL body, parsed by libpg_query. See effects.h. Analysis thread. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ast.h"
#include "planner/catalog_priv.h"
#include "planner/effects.h"
#include "planner/limits.h"
#include "planner/parse.h"
#include "planner/template.h"
#include "proxy/base/alloc.h"

enum { BODY_MAX = 16 * 1024, QUERIES_MAX = 200, BODY_TABLES_MAX = 100 };

struct tables {
    struct draft *d;
    const struct catalog *c;
    int n_queries, n_tables;
};

/* A name without a schema may mean any of them: a body runs under its caller's search_path. */
static void on_table(struct tables *t, const cJSON *rangevar)
{
    const char *schema = pw_ast_str(rangevar, "schemaname"),
               *name = pw_ast_str(rangevar, "relname");
    uint64_t hash = pw_catalog_name_hash(name);
    for (struct hash_node *n = pw_hashmap_first(&t->c->tables, hash); n; n = pw_hashmap_next(n)) {
        const struct cat_table *each = PW_CONTAINER_OF(n, struct cat_table, object.node);
        if (strcmp(each->object.name, name) != 0 || each->is_system ||
            (*schema && strcmp(pw_catalog_schema_name(t->c, each->object.schema), schema) != 0))
            continue;
        if (t->n_tables++ < BODY_TABLES_MAX)
            pw_oid_list_add(&t->d->read, each->object.oid);
    }
}

static void walk_tree(struct tables *t, const cJSON *node)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        if (cJSON_IsObject(child) && pw_ast_get(child, "relname"))
            on_table(t, child);
        if (cJSON_IsObject(child) || cJSON_IsArray(child))
            walk_tree(t, child);
    }
}

static bool walk_sql(struct tables *t, const char *sql)
{
    struct parsed parsed;
    if (!pw_parse(sql, &parsed))
        return false;
    cJSON *root = cJSON_Parse(parsed.json);
    walk_tree(t, root);
    cJSON_Delete(root);
    pw_parsed_free(&parsed);
    return true;
}

/* A statement, an expression, or an assignment. */
static void on_query(struct tables *t, const char *text)
{
    if (t->n_queries++ >= QUERIES_MAX || walk_sql(t, text))
        return;
    const char *equals = strstr(text, ":=");
    char *select = pw_asprintf("SELECT %s", text);
    bool ok = walk_sql(t, select);
    pw_free(select);
    if (ok || !equals)
        return;
    select = pw_asprintf("SELECT %s", equals + 2);
    walk_sql(t, select);
    pw_free(select);
}

static void walk_body(struct tables *t, const cJSON *node)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        if (cJSON_IsString(child) && child->string && strcmp(child->string, "query") == 0)
            on_query(t, child->valuestring);
        else if (cJSON_IsObject(child) || cJSON_IsArray(child))
            walk_body(t, child);
    }
}

/* The limits of a statement are a body's too (DESIGN rule 9). */
static bool is_tame(const char *source)
{
    size_t len = strlen(source);
    if (len > BODY_MAX || strstr(source, "$pgweir$"))
        return false;
    struct template t = {.cap = len + 1};
    t.text = pw_alloc(t.cap);
    struct template_options options = {.standard_conforming_strings = true};
    bool ok = pw_template_scan(&t, pw_slice(source, len), &options) == TEMPLATE_OK;
    pw_free(t.text);
    return ok;
}

void pw_effects_body_tables(struct draft *d, const struct catalog *c, const struct cat_function *f)
{
    if (!f->signature || !f->source || !is_tame(f->source))
        return;
    char *sql = pw_asprintf("CREATE FUNCTION f%s LANGUAGE plpgsql AS $pgweir$%s$pgweir$",
                            f->signature, f->source);
    char *json = pw_parse_plpgsql(sql);
    cJSON *root = json ? cJSON_Parse(json) : NULL;
    struct tables t = {.d = d, .c = c};
    walk_body(&t, root);
    cJSON_Delete(root);
    pw_free(json);
    pw_free(sql);
}
