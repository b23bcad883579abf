/* FROM items: tables, views (as their definitions), joins, subselects; and WITH. */
#include <stdio.h>
#include <string.h>

#include "advisor/context.h"
#include "advisor/needs_walk.h"
#include "planner/parse.h"

static void join_using(struct walker *w, struct scope *s, const cJSON *columns, int from)
{
    const cJSON *c;
    cJSON_ArrayForEach(c, columns)
    {
        const char *name = pw_ast_str(pw_ast_is(c, "String"), "sval");
        for (int k = from; k < s->n_entries; k++) {
            struct column_ref ref = pw_walk_entry_column(w, &s->entries[k], name);
            pw_walk_use(w, &ref);
            for (const struct column_ref *r = &ref; r; r = r->also) {
                struct need *n = pw_walk_need(w, r->need);
                if (!n || !r->column || n->n_preds >= PW_NEED_MAX)
                    continue;
                n->preds[n->n_preds++] = (struct need_pred){
                    .op = NEED_EQ, .attnum = r->column->attnum, .operator= "=", .join = true};
            }
        }
    }
}

static const char *definition_of(struct walker *w, struct inv_view *v)
{
    if (!v->definition) {
        char oid[16], *end = NULL;
        snprintf(oid, sizeof(oid), "%u", v->oid);
        const char *params[] = {oid};
        struct pgresult *r =
            pw_side_rows(w->side, "view", "SELECT pg_get_viewdef($1::oid)", 1, params);
        v->definition = r && pw_pgresult_rows(r) ? pw_cell_str(w->mem, r, 0, 0) : NULL;
        if (r)
            pw_pgresult_free(r);
        if (!v->definition)
            v->definition = pw_mem_str(w->mem, "");
        end = v->definition + strlen(v->definition);
        if (end > v->definition && end[-1] == ';')
            end[-1] = 0;
    }
    return v->definition;
}

/* A view is the subselect it stands for; its names are qualified. */
static struct outputs expand_view(struct walker *w, struct inv_view *v)
{
    struct outputs out = {NULL, 0};
    struct parsed p;
    if (w->views >= VIEW_DEPTH)
        return out;
    const char *text = definition_of(w, v);
    if (!text[0] || strlen(text) > PW_WORKLOAD_MAX_SQL || !pw_parse(text, &p))
        return out;
    cJSON *tree = cJSON_Parse(p.json);
    const cJSON *stmt = cJSON_GetArrayItem(pw_ast_get(tree, "stmts"), 0);
    const cJSON *select = pw_ast_is(pw_ast_get(stmt, "stmt"), "SelectStmt");
    int in_or = w->in_or;
    w->in_or = 0;
    w->views++;
    if (select)
        pw_walk_select(w, NULL, select, &out);
    w->views--;
    w->in_or = in_or;
    cJSON_Delete(tree);
    pw_parsed_free(&p);
    return out;
}

void pw_walk_range_var(struct walker *w, struct scope *s, const cJSON *v)
{
    const char *name = pw_ast_str(v, "relname"), *schema = pw_ast_str(v, "schemaname");
    const cJSON *alias = pw_ast_get(v, "alias");
    const char *called = alias ? pw_ast_str(alias, "aliasname") : name;
    const struct cte_outputs *cte = *schema ? NULL : pw_walk_cte(s, name);
    struct inv_view *view = NULL;
    struct inv_table *t = NULL;
    struct outputs out = {NULL, 0};
    if (cte && cte->outputs.n) {
        out.n = cte->outputs.n;
        out.items = pw_mem(w->mem, out.n * sizeof(*out.items)); /* its own: it may be renamed */
        memcpy(out.items, cte->outputs.items, out.n * sizeof(*out.items));
    } else if (!cte) {
        t = pw_inventory_find(w->inv, w->context->search_path, w->context->user,
                              *schema ? schema : NULL, name, &view);
    }
    if (view)
        out = expand_view(w, view);
    pw_walk_rename(w, &out, pw_ast_get(alias, "colnames"));
    pw_walk_enter(s, called, t ? pw_walk_new_need(w, t) : -1, out);
}

void pw_walk_from(struct walker *w, struct scope *s, const cJSON *item)
{
    const char *name;
    const cJSON *node = pw_ast_node(item, &name);
    if (!node || ++w->depth > WALK_DEPTH) {
        w->depth -= node != NULL;
        return;
    }
    if (strcmp(name, "RangeVar") == 0) {
        pw_walk_range_var(w, s, node);
    } else if (strcmp(name, "JoinExpr") == 0) {
        int from = s->n_entries;
        pw_walk_from(w, s, pw_ast_get(node, "larg"));
        pw_walk_from(w, s, pw_ast_get(node, "rarg"));
        join_using(w, s, pw_ast_get(node, "usingClause"), from);
        pw_walk_qual(w, s, pw_ast_get(node, "quals"));
    } else {
        const cJSON *sub = pw_ast_is(pw_ast_get(node, "subquery"), "SelectStmt");
        const cJSON *alias = pw_ast_get(node, "alias");
        struct outputs out = {NULL, 0};
        if (sub)
            pw_walk_select(w, s, sub, &out);
        else
            pw_walk_expr(w, s, pw_ast_get(node, "functions"));
        pw_walk_rename(w, &out, pw_ast_get(alias, "colnames"));
        pw_walk_enter(s, pw_ast_str(alias, "aliasname"), -1, out);
    }
    w->depth--;
}

void pw_walk_ctes(struct walker *w, struct scope *s, const cJSON *with)
{
    const cJSON *cte, *ctes = pw_ast_get(with, "ctes");
    bool recursive = pw_ast_bool(with, "recursive");
    cJSON_ArrayForEach(cte, ctes)
    {
        const cJSON *c = pw_ast_is(cte, "CommonTableExpr");
        struct outputs out = {NULL, 0};
        struct cte_outputs *to = s->n_ctes < SCOPE_CTES ? &s->ctes[s->n_ctes] : NULL;
        if (to && recursive) { /* visible to itself, as something we know nothing of */
            *to = (struct cte_outputs){pw_ast_str(c, "ctename"), {NULL, 0}};
            s->n_ctes++;
        }
        pw_walk_statement(w, s, pw_ast_get(c, "ctequery"), false, &out);
        pw_walk_rename(w, &out, pw_ast_get(c, "aliascolnames"));
        if (to && !recursive) {
            *to = (struct cte_outputs){pw_ast_str(c, "ctename"), out};
            s->n_ctes++;
        }
    }
}
