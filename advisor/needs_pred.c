/* Conditions: which column (or expression) is compared with what, and how. */
#include <string.h>
#include <strings.h>

#include "advisor/needs_walk.h"

/* The indexable side of a comparison. */
struct subject {
    int need; /* -1: none */
    struct inv_column *column;
    const char *expr;
    const struct column_ref *also; /* the same of another arm of a UNION */
};

static struct subject subject_of(struct walker *w, const struct scope *s, const cJSON *e)
{
    struct subject out = {.need = -1};
    const cJSON *ref = pw_ast_is(e, "ColumnRef");
    if (!ref && pw_ast_is(e, "TypeCast")) {
        /* varchar::text and the like are no-ops to an index on the column; others are expressions.
         */
        const cJSON *inner = pw_ast_is(pw_walk_strip(e), "ColumnRef");
        struct column_ref c =
            inner ? pw_walk_resolve(w, s, inner) : (struct column_ref){.need = -1};
        const char *type = pw_ast_name_from_end(
            pw_ast_get(pw_ast_get(pw_ast_is(e, "TypeCast"), "typeName"), "names"), 0);
        if (c.need >= 0 && type && c.column && c.column->category == 'S' &&
            (strcmp(type, "text") == 0 || strcmp(type, "varchar") == 0))
            ref = inner;
    }
    if (ref) {
        struct column_ref c = pw_walk_resolve(w, s, ref);
        out.need = c.need;
        out.column = c.column;
        out.expr = c.expr;
        out.also = c.also;
        return out;
    }
    if (pw_ast_is(e, "FuncCall") || pw_ast_is(e, "A_Expr") || pw_ast_is(e, "TypeCast")) {
        int need = -1;
        char *text = pw_walk_text(w, s, e, &need);
        if (text && need >= 0) {
            out.need = need;
            out.expr = text[0] == '(' ? text : pw_mem_printf(w->mem, "(%s)", text);
            if (pw_ast_is(e, "FuncCall"))
                out.expr = text;
            else if (pw_ast_is(e, "TypeCast"))
                out.expr = pw_mem_printf(w->mem, "(%s)", text);
        }
    }
    return out;
}

static void add_pred(struct walker *w, struct subject on, struct need_pred p)
{
    for (const struct column_ref *c = on.also; c; c = c->also) {
        struct subject twin = {.need = c->need, .column = c->column, .expr = c->expr};
        add_pred(w, twin, p);
    }
    struct need *n = pw_walk_need(w, on.need);
    if (!n || n->n_preds >= PW_NEED_MAX || (!on.column && !on.expr))
        return;
    p.attnum = on.column ? on.column->attnum : 0;
    p.expr = on.column ? NULL : on.expr;
    p.in_or = w->in_or > 0;
    n->preds[n->n_preds++] = p;
}

static bool one_of(const char *op, const char *const *ops, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (strcmp(op, ops[k]) == 0)
            return true;
    return false;
}

static bool op_kind(const char *op, enum need_op *kind)
{
    static const char *const ranges[] = {"<", "<=", ">", ">="};
    static const char *const contains[] = {"@>", "?", "?|", "?&", "@@", "@?"};
    static const char *const overlaps[] = {"&&", "<<", ">>", "-|-", "~=", "&<", "&>", "<@"};
    static const char *const patterns[] = {"~", "~*"};
    if (strcmp(op, "=") == 0)
        *kind = NEED_EQ;
    else if (one_of(op, ranges, PW_COUNT_OF(ranges)))
        *kind = NEED_RANGE;
    else if (one_of(op, contains, PW_COUNT_OF(contains)))
        *kind = NEED_CONTAINS;
    else if (one_of(op, overlaps, PW_COUNT_OF(overlaps)))
        *kind = NEED_OVERLAP;
    else if (one_of(op, patterns, PW_COUNT_OF(patterns)))
        *kind = NEED_TRGM;
    else
        return false;
    return true;
}

static void note_param(struct walker *w, const cJSON *value, struct subject on, enum need_op op,
                       bool is_array)
{
    const cJSON *ref = pw_ast_is(pw_walk_strip(value), "ParamRef");
    struct need *n = pw_walk_need(w, on.need);
    if (!ref || !n || !on.column)
        return;
    struct need_param p = {.number = pw_ast_int(ref, "number"),
                           .table = n->table,
                           .column = on.column,
                           .op = op,
                           .is_array = is_array};
    pw_walk_param(w, &p);
}

/* Does a value read columns (of an outer query, say)? Then it is a join value. */
static bool reads_columns(const cJSON *e, int depth)
{
    const cJSON *child;
    if (e && e->string && strcmp(e->string, "ColumnRef") == 0)
        return true;
    if (!e || depth > WALK_DEPTH || (e->string && strcmp(e->string, "SubLink") == 0))
        return false;
    cJSON_ArrayForEach(child, e)
    {
        if (reads_columns(child, depth + 1))
            return true;
    }
    return false;
}

/* The constant compared with, as it would be written in SQL beside this column: a parameter's value
 * is a text, whatever its type. */
static char *constant_for(struct walker *w, const cJSON *value, const struct subject *on)
{
    const char *text = pw_walk_param_value(w, value);
    char category = on->column ? on->column->category : 0;
    if (text && category == 'B') {
        bool is_true = text[0] && (strchr("tTyY1", text[0]) || strcasecmp(text, "on") == 0);
        return pw_mem_str(w->mem, is_true ? "true" : "false");
    }
    if (text && category == 'N' && text[0] && !text[strspn(text, "0123456789")])
        return pw_mem_str(w->mem, text);
    return pw_walk_literal(w, value);
}

static void compare(struct walker *w, const struct scope *s, const cJSON *l, const cJSON *r,
                    const char *op, enum need_op kind)
{
    struct subject a = subject_of(w, s, l), b = subject_of(w, s, r);
    if (a.need >= 0 && b.need >= 0) {
        if (a.need == b.need)
            return; /* within one row: no index helps */
        add_pred(w, a, (struct need_pred){.op = kind, .operator= op, .join = true});
        add_pred(w, b, (struct need_pred){.op = kind, .operator= op, .join = true});
        return;
    }
    bool left = a.need >= 0;
    struct subject on = left ? a : b;
    const cJSON *value = left ? r : l;
    if (on.need < 0)
        return;
    bool join = reads_columns(value, 0);
    note_param(w, value, on, kind, false);
    add_pred(w, on,
             (struct need_pred){
                 .op = kind, .operator= op, .constant = constant_for(w, value, &on), .join = join});
}

static void like(struct walker *w, const struct scope *s, const cJSON *x, bool insensitive)
{
    struct subject on = subject_of(w, s, pw_ast_get(x, "lexpr"));
    const cJSON *value = pw_ast_get(x, "rexpr");
    const char *op = pw_ast_name_from_end(pw_ast_get(x, "name"), 0);
    if (on.need < 0 || !op || op[0] == '!')
        return;
    const char *pattern = pw_ast_const_string(pw_walk_strip(value));
    if (!pattern)
        pattern = pw_walk_param_value(w, pw_walk_strip(value));
    bool prefix = !insensitive && (!pattern || (pattern[0] != '%' && pattern[0] != '_'));
    enum need_op kind = prefix ? NEED_PREFIX : NEED_TRGM;
    note_param(w, value, on, kind, false);
    add_pred(w, on, (struct need_pred){.op = kind, .operator = insensitive ? "~~*" : "~~"});
}

static void in_list(struct walker *w, const struct scope *s, const cJSON *x)
{
    struct subject on = subject_of(w, s, pw_ast_get(x, "lexpr"));
    const char *op = pw_ast_name_from_end(pw_ast_get(x, "name"), 0);
    const cJSON *list = pw_ast_get(pw_ast_is(pw_ast_get(x, "rexpr"), "List"), "items"), *item;
    if (on.need < 0 || !op || strcmp(op, "=") != 0)
        return;
    if (!list)
        list = pw_ast_get(x, "rexpr");
    cJSON_ArrayForEach(item, list)
    {
        note_param(w, item, on, NEED_EQ, false);
    }
    add_pred(w, on, (struct need_pred){.op = NEED_EQ, .operator = "="});
}

static void between(struct walker *w, const struct scope *s, const cJSON *x)
{
    struct subject on = subject_of(w, s, pw_ast_get(x, "lexpr"));
    const cJSON *list = pw_ast_get(pw_ast_is(pw_ast_get(x, "rexpr"), "List"), "items"), *item;
    if (!list)
        list = pw_ast_get(x, "rexpr");
    if (on.need < 0)
        return;
    cJSON_ArrayForEach(item, list)
    {
        note_param(w, item, on, NEED_RANGE, false);
    }
    add_pred(w, on, (struct need_pred){.op = NEED_RANGE, .operator = "between"});
}

static void any_of(struct walker *w, const struct scope *s, const cJSON *x)
{
    struct subject on = subject_of(w, s, pw_ast_get(x, "lexpr"));
    const char *op = pw_ast_name_from_end(pw_ast_get(x, "name"), 0);
    if (on.need < 0 || !op || strcmp(op, "=") != 0)
        return;
    note_param(w, pw_ast_get(x, "rexpr"), on, NEED_EQ, true);
    add_pred(w, on, (struct need_pred){.op = NEED_EQ, .operator = "="});
}

static void expression(struct walker *w, const struct scope *s, const cJSON *x)
{
    const char *kind = pw_ast_str(x, "kind"), *op = pw_ast_name_from_end(pw_ast_get(x, "name"), 0);
    enum need_op need;
    if (strcmp(kind, "AEXPR_OP") == 0 && op && pw_ast_get(x, "lexpr")) {
        if (op_kind(op, &need))
            compare(w, s, pw_ast_get(x, "lexpr"), pw_ast_get(x, "rexpr"), pw_mem_str(w->mem, op),
                    need);
    } else if (strcmp(kind, "AEXPR_IN") == 0) {
        in_list(w, s, x);
    } else if (strcmp(kind, "AEXPR_OP_ANY") == 0) {
        any_of(w, s, x);
    } else if (strcmp(kind, "AEXPR_LIKE") == 0) {
        like(w, s, x, false);
    } else if (strcmp(kind, "AEXPR_ILIKE") == 0) {
        like(w, s, x, true);
    } else if (strcmp(kind, "AEXPR_BETWEEN") == 0 || strcmp(kind, "AEXPR_BETWEEN_SYM") == 0) {
        between(w, s, x);
    } else if (strcmp(kind, "AEXPR_NOT_DISTINCT") == 0) {
        compare(w, s, pw_ast_get(x, "lexpr"), pw_ast_get(x, "rexpr"), "=", NEED_EQ);
    }
    pw_walk_expr(w, s, pw_ast_get(x, "lexpr"));
    pw_walk_expr(w, s, pw_ast_get(x, "rexpr"));
}

static void boolean(struct walker *w, const struct scope *s, const cJSON *b)
{
    const char *op = pw_ast_str(b, "boolop");
    const cJSON *args = pw_ast_get(b, "args"), *arg;
    if (strcmp(op, "NOT_EXPR") == 0) {
        const cJSON *only = cJSON_GetArrayItem(args, 0);
        struct subject on = {.need = -1};
        if (pw_ast_is(only, "ColumnRef"))
            on = subject_of(w, s, only);
        if (on.need >= 0)
            add_pred(w, on, (struct need_pred){.op = NEED_FALSE, .operator = "not"});
        pw_walk_expr(w, s, only);
        return;
    }
    bool is_or = strcmp(op, "OR_EXPR") == 0;
    w->in_or += is_or;
    cJSON_ArrayForEach(arg, args)
    {
        pw_walk_qual(w, s, arg);
    }
    w->in_or -= is_or;
}

static void sublink(struct walker *w, const struct scope *s, const cJSON *link)
{
    const cJSON *test = pw_ast_get(link, "testexpr"), *inner = pw_ast_get(link, "subselect");
    if (strcmp(pw_ast_str(link, "subLinkType"), "ANY_SUBLINK") == 0 && test) {
        struct subject on = subject_of(w, s, test);
        if (on.need >= 0)
            add_pred(w, on, (struct need_pred){.op = NEED_EQ, .operator= "=", .join = true});
    }
    pw_walk_expr(w, s, test);
    if (pw_ast_is(inner, "SelectStmt"))
        pw_walk_select(w, s, pw_ast_is(inner, "SelectStmt"), NULL);
}

void pw_walk_qual(struct walker *w, const struct scope *s, const cJSON *e)
{
    const char *name;
    const cJSON *node = pw_ast_node(e, &name);
    if (!node || ++w->depth > WALK_DEPTH) {
        w->depth -= node != NULL;
        return;
    }
    if (strcmp(name, "BoolExpr") == 0) {
        boolean(w, s, node);
    } else if (strcmp(name, "A_Expr") == 0) {
        expression(w, s, node);
    } else if (strcmp(name, "NullTest") == 0) {
        struct subject on = subject_of(w, s, pw_ast_get(node, "arg"));
        bool null = strcmp(pw_ast_str(node, "nulltesttype"), "IS_NULL") == 0;
        if (on.need >= 0)
            add_pred(w, on,
                     (struct need_pred){.op = null ? NEED_NULL : NEED_NOTNULL, .operator = "is"});
        pw_walk_expr(w, s, pw_ast_get(node, "arg"));
    } else if (strcmp(name, "SubLink") == 0) {
        sublink(w, s, node);
    } else if (strcmp(name, "ColumnRef") == 0) {
        struct subject on = subject_of(w, s, e);
        if (on.need >= 0)
            add_pred(w, on, (struct need_pred){.op = NEED_TRUE, .operator = "is"});
        pw_walk_expr(w, s, e);
    } else {
        pw_walk_expr(w, s, e);
    }
    w->depth--;
}
