/* The walk over a statement: expressions, writes, and every sample of a family. See needs.h; names
 * are resolved in needs_scope.c, FROM items and views in needs_from.c, a SELECT in needs_select.c,
 * conditions in needs_pred.c. */
#include "advisor/needs.h"

#include <string.h>

#include "advisor/context.h"
#include "advisor/needs_walk.h"
#include "planner/parse.h"

void pw_walk_param(struct walker *w, const struct need_param *p)
{
    struct need_statement *st = w->st;
    if (p->number <= 0 || p->number > 1000 || st->n_params >= 1000)
        return;
    for (size_t k = 0; k < st->n_params; k++)
        if (st->params[k].number == p->number)
            return;
    st->params = pw_mem_push(w->mem, st->params, &st->n_params, sizeof(*st->params));
    st->params[st->n_params - 1] = *p;
}

static void note_function(struct walker *w, const cJSON *call)
{
    struct need_statement *st = w->st;
    const char *name = pw_ast_name_from_end(pw_ast_get(call, "funcname"), 0);
    for (int k = 0; name && k < st->n_functions; k++)
        if (strcmp(st->functions[k], name) == 0)
            return;
    if (name && st->n_functions < PW_NEED_MAX)
        st->functions[st->n_functions++] = pw_mem_str(w->mem, name);
}

void pw_walk_expr(struct walker *w, const struct scope *s, const cJSON *e)
{
    if (!e || ++w->depth > WALK_DEPTH) {
        w->depth -= e != NULL;
        return;
    }
    const char *name;
    const cJSON *node = pw_ast_node(e, &name), *parent = node ? node : e, *child;
    if (node && strcmp(name, "ColumnRef") == 0) {
        const cJSON *fields = pw_ast_get(node, "fields");
        struct column_ref c = pw_walk_resolve(w, s, node);
        pw_walk_use(w, &c);
        if (!c.known && (pw_ast_count(fields) == 1 ||
                         pw_ast_is(cJSON_GetArrayItem(fields, pw_ast_count(fields) - 1), "A_Star")))
            pw_walk_read_star(w, s, fields); /* also a whole-row reference, or ambiguous */
    } else if (node && strcmp(name, "SelectStmt") == 0) {
        pw_walk_select(w, s, node, NULL);
    } else if (node && strcmp(name, "ParamRef") == 0) {
        int number = pw_ast_int(node, "number");
        if (number > w->st->max_param && number <= 1000)
            w->st->max_param = number;
    } else {
        if (node && strcmp(name, "FuncCall") == 0)
            note_function(w, node);
        cJSON_ArrayForEach(child, parent)
        {
            if (cJSON_IsObject(child) || cJSON_IsArray(child))
                pw_walk_expr(w, s, child);
        }
    }
    w->depth--;
}

static void read_written(struct walker *w, const struct scope_entry *on, const cJSON *targets)
{
    const cJSON *t;
    cJSON_ArrayForEach(t, targets)
    {
        const struct inv_column *c =
            pw_walk_entry_column(w, on, pw_ast_str(pw_ast_is(t, "ResTarget"), "name")).column;
        if (c && w->st->n_written < PW_NEED_MAX)
            w->st->written[w->st->n_written++] = c->attnum;
    }
}

/* A view that can be written through is its table. */
static struct need *target_of(struct walker *w, const struct scope_entry *e)
{
    int need = e->need;
    for (size_t k = 0; need < 0 && k < e->outputs.n; k++)
        need = e->outputs.items[k].ref.need;
    return pw_walk_need(w, need);
}

static void walk_write(struct walker *w, const struct scope *up, const cJSON *node,
                       enum need_verb verb, bool top)
{
    struct scope s = {.up = up};
    pw_walk_ctes(w, &s, pw_ast_get(node, "withClause"));
    pw_walk_range_var(w, &s, pw_ast_get(node, "relation"));
    struct need *target = s.n_entries ? target_of(w, &s.entries[0]) : NULL;
    if (top && target) {
        w->st->verb = verb;
        w->st->target = target->table;
        w->st->first = s.entries[0].need;
        read_written(w, &s.entries[0],
                     verb == NEED_UPDATE
                         ? pw_ast_get(node, "targetList")
                         : pw_ast_get(pw_ast_get(node, "onConflictClause"), "targetList"));
    }
    if (target)
        target->whole_row = true;
    const cJSON *item, *select = pw_ast_is(pw_ast_get(node, "selectStmt"), "SelectStmt");
    static const char *const froms[] = {"fromClause", "usingClause"};
    for (size_t k = 0; k < PW_COUNT_OF(froms); k++)
        cJSON_ArrayForEach(item, pw_ast_get(node, froms[k]))
        {
            pw_walk_from(w, &s, item);
        }
    pw_walk_qual(w, &s, pw_ast_get(node, "whereClause"));
    if (verb == NEED_UPDATE)
        pw_walk_expr(w, &s, pw_ast_get(node, "targetList"));
    if (select) {
        if (top)
            w->st->n_values = pw_ast_count(pw_ast_get(select, "valuesLists"));
        pw_walk_select(w, &s, select, NULL);
    }
    pw_walk_expr(w, &s, pw_ast_get(node, "returningList"));
}

void pw_walk_statement(struct walker *w, const struct scope *up, const cJSON *wrapped, bool top,
                       struct outputs *out)
{
    const char *name;
    const cJSON *node = pw_ast_node(wrapped, &name);
    if (!node)
        return;
    if (strcmp(name, "SelectStmt") == 0) {
        w->top = top;
        pw_walk_select(w, up, node, out);
    }
    if (strcmp(name, "InsertStmt") == 0)
        walk_write(w, up, node, NEED_INSERT, top);
    if (strcmp(name, "UpdateStmt") == 0)
        walk_write(w, up, node, NEED_UPDATE, top);
    if (strcmp(name, "DeleteStmt") == 0)
        walk_write(w, up, node, NEED_DELETE, top);
}

static void find_in(struct need_statement *st, struct arena *mem, const struct inventory *inv,
                    struct side *side, const struct workload_sample *sample)
{
    struct parsed p;
    if (!pw_parse(sample->sql, &p))
        return;
    cJSON *tree = cJSON_Parse(p.json);
    struct walker walk = {.mem = mem,
                          .inv = inv,
                          .side = side,
                          .sample = sample,
                          .context = pw_context_of(side, sample->setup),
                          .st = st};
    const cJSON *stmt = cJSON_GetArrayItem(pw_ast_get(tree, "stmts"), 0);
    st->n_written = 0;
    st->first = -1;
    pw_walk_statement(&walk, NULL, pw_ast_get(stmt, "stmt"), true, NULL);
    st->parsed = stmt != NULL;
    cJSON_Delete(tree);
    pw_parsed_free(&p);
}

void pw_needs_find(struct needs *out, struct arena *mem, const struct inventory *inv,
                   struct side *side, const struct workload *w)
{
    out->n = w->n_families;
    out->statements = pw_mem(mem, w->n_families * sizeof(*out->statements));
    for (size_t k = 0; k < w->n_families; k++) {
        /* Every sample: LIKE 'a%' and LIKE '%a' are one family, but need different indexes. */
        const struct workload_family *f = &w->families[k];
        for (size_t i = 0; i < f->n_samples; i++)
            find_in(&out->statements[k], mem, inv, side, &f->samples[i]);
    }
}
