/* Expressions and constants back to SQL text, for expression and partial indexes. Only forms that
 * can be written exactly are: anything else is NULL, and no such index is proposed. */
#include <stdio.h>
#include <string.h>

#include "advisor/needs_walk.h"

const cJSON *pw_walk_strip(const cJSON *e)
{
    for (int k = 0; k < 8; k++) {
        const cJSON *cast = pw_ast_is(e, "TypeCast");
        if (!cast)
            return e;
        e = pw_ast_get(cast, "arg");
    }
    return e;
}

static char *constant_text(struct walker *w, const cJSON *c)
{
    const cJSON *v;
    if (pw_ast_bool(c, "isnull"))
        return NULL;
    if ((v = pw_ast_get(c, "sval")))
        return pw_mem_literal(w->mem, pw_ast_str(v, "sval"));
    if ((v = pw_ast_get(c, "ival")))
        return pw_mem_printf(w->mem, "%d", pw_ast_int(v, "ival"));
    if ((v = pw_ast_get(c, "fval")))
        return pw_mem_str(w->mem, pw_ast_str(v, "fval"));
    if ((v = pw_ast_get(c, "boolval")))
        return pw_mem_str(w->mem, pw_ast_bool(v, "boolval") ? "true" : "false");
    return NULL;
}

static char *type_text(struct walker *w, const cJSON *type)
{
    const cJSON *names = pw_ast_get(type, "names");
    if (pw_ast_count(pw_ast_get(type, "typmods")) || pw_ast_bool(type, "setof"))
        return NULL;
    char *out = NULL;
    for (int k = pw_ast_count(names) - 1; k >= 0; k--) {
        const char *name = pw_ast_name_from_end(names, k);
        if (!name)
            return NULL;
        out = out ? pw_mem_printf(w->mem, "%s.%s", out, pw_mem_ident(w->mem, name))
                  : pw_mem_ident(w->mem, name);
    }
    if (out && pw_ast_count(pw_ast_get(type, "arrayBounds")))
        out = pw_mem_printf(w->mem, "%s[]", out);
    return out;
}

const char *pw_walk_param_value(const struct walker *w, const cJSON *e)
{
    const cJSON *ref = pw_ast_is(e, "ParamRef");
    int number = ref ? pw_ast_int(ref, "number") : 0;
    return number > 0 && number <= w->sample->n_params ? w->sample->params[number - 1] : NULL;
}

char *pw_walk_literal(struct walker *w, const cJSON *e)
{
    const cJSON *cast = pw_ast_is(e, "TypeCast");
    if (cast) {
        char *inner = pw_walk_literal(w, pw_ast_get(cast, "arg"));
        char *type = type_text(w, pw_ast_get(cast, "typeName"));
        return inner && type ? pw_mem_printf(w->mem, "%s::%s", inner, type) : NULL;
    }
    const char *value = pw_walk_param_value(w, e);
    if (value)
        return pw_mem_literal(w->mem, value);
    const cJSON *c = pw_ast_is(e, "A_Const");
    return c ? constant_text(w, c) : NULL;
}

static char *call_text(struct walker *w, const struct scope *s, const cJSON *f, int *need)
{
    const cJSON *names = pw_ast_get(f, "funcname"), *args = pw_ast_get(f, "args"), *arg;
    if (pw_ast_bool(f, "agg_distinct") || pw_ast_bool(f, "agg_star") || pw_ast_get(f, "over") ||
        pw_ast_get(f, "agg_order") || pw_ast_get(f, "agg_filter") ||
        pw_ast_bool(f, "func_variadic"))
        return NULL;
    char *out = NULL;
    for (int k = pw_ast_count(names) - 1; k >= 0; k--) {
        const char *name = pw_ast_name_from_end(names, k);
        out = out ? pw_mem_printf(w->mem, "%s.%s", out, pw_mem_ident(w->mem, name))
                  : pw_mem_ident(w->mem, name);
    }
    if (!out || pw_ast_count(args) == 0)
        return NULL;
    out = pw_mem_printf(w->mem, "%s(", out);
    bool first = true;
    cJSON_ArrayForEach(arg, args)
    {
        char *a = pw_walk_text(w, s, arg, need);
        if (!a)
            return NULL;
        out = pw_mem_printf(w->mem, "%s%s%s", out, first ? "" : ", ", a);
        first = false;
    }
    return pw_mem_printf(w->mem, "%s)", out);
}

static char *operator_text(struct walker *w, const struct scope *s, const cJSON *x, int *need)
{
    const char *op = pw_ast_name_from_end(pw_ast_get(x, "name"), 0);
    if (strcmp(pw_ast_str(x, "kind"), "AEXPR_OP") != 0 || !op ||
        pw_ast_count(pw_ast_get(x, "name")) != 1 || !pw_ast_get(x, "lexpr"))
        return NULL;
    char *l = pw_walk_text(w, s, pw_ast_get(x, "lexpr"), need);
    char *r = l ? pw_walk_text(w, s, pw_ast_get(x, "rexpr"), need) : NULL;
    return r ? pw_mem_printf(w->mem, "(%s %s %s)", l, op, r) : NULL;
}

/* need: -1 before the first column; all columns must be of one table reference. */
char *pw_walk_text(struct walker *w, const struct scope *s, const cJSON *e, int *need)
{
    const char *name;
    const cJSON *node = pw_ast_node(e, &name);
    if (!node || w->depth > WALK_DEPTH)
        return NULL;
    char *out = NULL;
    w->depth++;
    if (strcmp(name, "ColumnRef") == 0) {
        struct column_ref c = pw_walk_resolve(w, s, node);
        if (c.need >= 0 && (*need < 0 || *need == c.need)) {
            *need = c.need;
            out = c.column ? pw_mem_ident(w->mem, c.column->name) : pw_mem_str(w->mem, c.expr);
        }
    } else if (strcmp(name, "A_Const") == 0) {
        out = constant_text(w, node);
    } else if (strcmp(name, "FuncCall") == 0) {
        out = call_text(w, s, node, need);
    } else if (strcmp(name, "A_Expr") == 0) {
        out = operator_text(w, s, node, need);
    } else if (strcmp(name, "TypeCast") == 0) {
        char *inner = pw_walk_text(w, s, pw_ast_get(node, "arg"), need);
        char *type = inner ? type_text(w, pw_ast_get(node, "typeName")) : NULL;
        out = type ? pw_mem_printf(w->mem, "(%s)::%s", inner, type) : NULL;
    }
    w->depth--;
    return out;
}
