/*
 * FN-5: policies of row security that call a stable function of constants (auth.uid(),
 * current_setting('app.tenant')) for every row. Inside (SELECT f()) it is called once: the answer
 * is the same, because a stable function's is throughout one statement.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "advisor/functions.h"
#include "planner/ast.h"
#include "planner/parse.h"

#define MIN_ROWS  1000
#define CALLS_MAX 16

/* Calls to wrap, by place in the text; outermost ones only. */
struct wraps {
    size_t from[CALLS_MAX], to[CALLS_MAX];
    int n;
    const char *text;
    const char *first; /* its name, in the arena */
};

static bool has_column(const cJSON *e, int depth)
{
    const cJSON *child;
    if (!e || depth > 200)
        return e != NULL;
    if (e->string && (strcmp(e->string, "ColumnRef") == 0 || strcmp(e->string, "SubLink") == 0))
        return true;
    cJSON_ArrayForEach(child, e)
    {
        if (has_column(child, depth + 1))
            return true;
    }
    return false;
}

/* Every function of this name is stable: then this one is. */
static bool is_stable(struct advice_run *r, const char *name)
{
    const char *params[] = {name};
    struct pgresult *res = pw_side_rows(
        &r->side, "functions",
        "SELECT bool_and(provolatile = 's' AND NOT proretset) FROM pg_proc WHERE proname = $1", 1,
        params);
    bool out = res && pw_cell_bool(res, 0, 0);
    if (res)
        pw_pgresult_free(res);
    return out;
}

/* From its name to the parenthesis that closes it; 0: not found. */
static size_t end_of_call(const char *text, size_t from)
{
    int depth = 0;
    for (size_t k = from; text[k]; k++) {
        if (text[k] == '\'' || text[k] == '"') {
            const char *end = strchr(text + k + 1, text[k]);
            if (!end)
                return 0;
            k = (size_t)(end - text);
        } else if (text[k] == '(') {
            depth++;
        } else if (text[k] == ')' && --depth == 0) {
            return k + 1;
        }
    }
    return 0;
}

static void find_calls(struct advice_run *r, const cJSON *e, size_t skip, struct wraps *w,
                       int depth)
{
    const cJSON *child;
    if (!e || depth > 200 || (e->string && strcmp(e->string, "SubLink") == 0))
        return; /* in a subselect already */
    if (e->string && strcmp(e->string, "FuncCall") == 0) {
        const char *name = pw_ast_name_from_end(pw_ast_get(e, "funcname"), 0);
        size_t at = (size_t)pw_ast_int(e, "location");
        if (name && at >= skip && w->n < CALLS_MAX && !has_column(pw_ast_get(e, "args"), 0) &&
            is_stable(r, name)) {
            size_t to = end_of_call(w->text, at - skip);
            if (!to)
                return;
            w->from[w->n] = at - skip;
            w->to[w->n++] = to;
            if (!w->first)
                w->first = pw_mem_str(&r->set->mem, name);
            return;
        }
    }
    const char *kind = e->string && strcmp(e->string, "A_Expr") == 0 ? pw_ast_str(e, "kind") : "";
    bool any = strcmp(kind, "AEXPR_OP_ANY") == 0 || strcmp(kind, "AEXPR_OP_ALL") == 0;
    cJSON_ArrayForEach(child, e)
    {
        if (any && child->string && strcmp(child->string, "rexpr") == 0)
            continue; /* ANY ((SELECT f())) is another thing than ANY (f()) */
        if (cJSON_IsObject(child) || cJSON_IsArray(child))
            find_calls(r, child, skip, w, depth + 1);
    }
}

/* The expression with its calls wrapped; NULL when there is nothing to wrap. */
static char *wrapped(struct advice_run *r, const char *expr, struct wraps *w)
{
    static const char head[] = "SELECT ";
    struct arena *mem = &r->set->mem;
    struct parsed p;
    if (!expr || !pw_parse(pw_mem_printf(mem, "%s%s", head, expr), &p))
        return NULL;
    cJSON *tree = cJSON_Parse(p.json);
    w->text = expr;
    w->n = 0;
    find_calls(r, tree, sizeof(head) - 1, w, 0);
    cJSON_Delete(tree);
    pw_parsed_free(&p);
    char *out = pw_mem_str(mem, "");
    size_t at = 0;
    for (bool found = true; found;) {
        found = false;
        int next = -1;
        for (int k = 0; k < w->n; k++)
            if (w->from[k] >= at && (next < 0 || w->from[k] < w->from[next]))
                next = k;
        if (next >= 0) {
            out =
                pw_mem_printf(mem, "%s%.*s(SELECT %.*s)", out, (int)(w->from[next] - at), expr + at,
                              (int)(w->to[next] - w->from[next]), expr + w->from[next]);
            at = w->to[next];
            found = true;
        }
    }
    return w->n ? pw_mem_printf(mem, "%s%s", out, expr + at) : NULL;
}

static const char *policy_sql(struct arena *mem, const struct inv_table *t, const char *name,
                              const char *using, const char *check)
{
    return pw_mem_printf(mem, "ALTER POLICY %s ON %s%s%s%s%s%s%s;", pw_mem_ident(mem, name),
                         pw_mem_qualified(mem, t->schema, t->name), using ? " USING (" : "",
                         using ? using : "", using ? ")" : "", check ? " WITH CHECK (" : "",
                         check ? check : "", check ? ")" : "");
}

static void judge_policy(struct advice_run *r, const struct inv_table *t, const char *name,
                         const char *using, const char *check)
{
    struct advice_set *s = r->set;
    struct wraps w = {.n = 0};
    char *new_using = wrapped(r, using, &w), *new_check = wrapped(r, check, &w);
    if (!new_using) /* a check runs for rows written, not for rows read */
        return;
    struct advice *a = pw_advice_add(s, ADVICE_FUNCTION, t->full,
                                     pw_mem_printf(&s->mem, "%s policy %s", t->full, name));
    pw_advice_identify(s, a, pw_mem_printf(&s->mem, "%s FN-5", name));
    a->confidence = ADVICE_MEDIUM;
    a->sql = policy_sql(&s->mem, t, name, new_using, new_check);
    a->undo_sql = policy_sql(&s->mem, t, name, using, new_check ? check : NULL);
    a->reason = pw_mem_printf(
        &s->mem,
        "The policy %s calls %s for every row that a statement looks at in %s (%.0f rows); in "
        "(SELECT ...) it is called once, with the same answer.",
        name, w.first, t->full, pw_inventory_rows(t));
    pw_advice_fact_text(s, a, "rule", "FN-5 policy");
    pw_advice_fact_text(s, a, "using", using);
    pw_advice_fact_num(s, a, "table_rows", pw_inventory_rows(t));
}

static bool is_used(const struct needs *needs, const struct inv_table *t)
{
    for (size_t q = 0; q < needs->n; q++)
        for (size_t k = 0; k < needs->statements[q].n_needs; k++)
            if (needs->statements[q].needs[k].table == t)
                return true;
    return false;
}

void pw_rules_policies(struct advice_run *r, const struct needs *needs)
{
    struct pgresult *res =
        pw_side_rows(&r->side, "policies",
                     "SELECT p.polrelid, p.polname, pg_get_expr(p.polqual, p.polrelid),"
                     " pg_get_expr(p.polwithcheck, p.polrelid) FROM pg_policy p JOIN pg_class c"
                     " ON c.oid = p.polrelid WHERE c.relrowsecurity ORDER BY p.polrelid, p.polname",
                     0, NULL);
    for (int k = 0; res && k < pw_pgresult_rows(res); k++) {
        struct inv_table *t = pw_inventory_table(&r->inv, (uint32_t)pw_cell_int(res, k, 0, 0));
        if (t && pw_inventory_rows(t) >= MIN_ROWS && is_used(needs, t))
            judge_policy(r, t, pw_cell(res, k, 1), pw_cell_str(&r->set->mem, res, k, 2),
                         pw_cell_str(&r->set->mem, res, k, 3));
    }
    if (res)
        pw_pgresult_free(res);
}
