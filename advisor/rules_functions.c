/*
 * Functions the workload calls that the planner cannot inline or treats as volatile without need:
 * what to change, and why it is safe. The catalog and the function's own text decide; what it gains
 * is measured on command only (functions_measure.c).
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/functions.h"
#include "advisor/needs.h"
#include "planner/ast.h"
#include "planner/parse.h"

static void inspect_tree(struct advice_run *r, const cJSON *node, struct body *b, int depth)
{
    const cJSON *child;
    if (!node || depth > 200)
        return;
    if (node->string) {
        static const char *const lax[] = {"CoalesceExpr", "CaseExpr",    "NullTest",
                                          "MinMaxExpr",   "BoolExpr",    "A_ArrayExpr",
                                          "RowExpr",      "BooleanTest", "SQLValueFunction"};
        for (size_t k = 0; k < PW_COUNT_OF(lax); k++)
            b->lax = b->lax || strcmp(node->string, lax[k]) == 0;
        if (strcmp(node->string, "RangeVar") == 0)
            b->reads_tables = true;
        if (strcmp(node->string, "SQLValueFunction") == 0 && b->worst == 'i')
            b->worst = 's';
        if (strcmp(node->string, "FuncCall") == 0) {
            const char *name = pw_ast_name_from_end(pw_ast_get(node, "funcname"), 0);
            const char *params[] = {name ? name : ""};
            struct pgresult *res = pw_side_rows(
                &r->side, "functions",
                "SELECT max(CASE provolatile WHEN 'v' THEN 3 WHEN 's' THEN 2 ELSE 1 END),"
                " bool_and(proisstrict), min(proparallel) FILTER (WHERE proparallel = 'u'),"
                " min(proparallel) FROM pg_proc WHERE proname = $1",
                1, params);
            int64_t grade = res ? pw_cell_int(res, 0, 0, 3) : 3;
            b->lax = b->lax || !res || !pw_cell_bool(res, 0, 1);
            char parallel = !res || !pw_pgresult_get(res, 0, 3) ? 'u'
                            : pw_pgresult_get(res, 0, 2)        ? 'u'
                                                                : pw_cell(res, 0, 3)[0];
            if (parallel == 'u' || (parallel == 'r' && b->parallel == 's'))
                b->parallel = parallel;
            if (grade == 3)
                b->worst = 'v';
            else if (grade == 2 && b->worst == 'i')
                b->worst = 's';
            if (res)
                pw_pgresult_free(res);
        }
    }
    cJSON_ArrayForEach(child, node)
    {
        if (cJSON_IsObject(child) || cJSON_IsArray(child))
            inspect_tree(r, child, b, depth + 1);
    }
}

static struct body inspect(struct advice_run *r, const char *sql)
{
    struct body b = {.worst = 'i', .parallel = 's', .only_select = true};
    struct parsed p;
    if (strlen(sql) > PW_WORKLOAD_MAX_SQL || !pw_parse(sql, &p))
        return b;
    cJSON *tree = cJSON_Parse(p.json);
    const cJSON *stmts = pw_ast_get(tree, "stmts"), *stmt;
    b.parsed = true;
    b.statements = pw_ast_count(stmts);
    cJSON_ArrayForEach(stmt, stmts)
    {
        const cJSON *select = pw_ast_is(pw_ast_get(stmt, "stmt"), "SelectStmt");
        static const char *const more[] = {"fromClause",   "groupClause",   "sortClause",
                                           "limitCount",   "havingClause",  "distinctClause",
                                           "withClause",   "larg",          "valuesLists",
                                           "windowClause", "lockingClause", "whereClause"};
        b.plain = select != NULL && pw_ast_count(pw_ast_get(select, "targetList")) == 1;
        for (size_t k = 0; k < PW_COUNT_OF(more); k++)
            b.plain = b.plain && !pw_ast_get(select, more[k]);
        b.only_select = b.only_select && select && !pw_ast_get(select, "lockingClause") &&
                        !pw_ast_get(select, "intoClause");
    }
    inspect_tree(r, stmts, &b, 0);
    if (b.reads_tables && b.worst == 'i')
        b.worst = 's';
    cJSON_Delete(tree);
    pw_parsed_free(&p);
    return b;
}

/* "BEGIN RETURN expr; END" -> expr; NULL when the body is more than that. */
static char *lone_return(struct arena *mem, const char *source)
{
    const char *s = source;
    s += strspn(s, " \t\r\n");
    if (strncasecmp(s, "begin", 5) != 0 || !isspace((unsigned char)s[5]))
        return NULL;
    s += 5;
    s += strspn(s, " \t\r\n");
    if (strncasecmp(s, "return", 6) != 0 || !isspace((unsigned char)s[6]))
        return NULL;
    s += 6;
    const char *end = strchr(s, ';');
    if (!end || strncasecmp(s + strspn(s, " \t\r\n"), "query", 5) == 0)
        return NULL;
    const char *rest = end + 1;
    rest += strspn(rest, " \t\r\n");
    if (strncasecmp(rest, "end", 3) != 0)
        return NULL;
    rest += 3;
    rest += strspn(rest, " \t\r\n;");
    return *rest || memchr(s, '\'', (size_t)(end - s)) ? NULL
                                                       : pw_mem_strn(mem, s, (size_t)(end - s));
}

static const char *volatility_text(char v)
{
    return v == 'i' ? "IMMUTABLE" : v == 's' ? "STABLE" : "VOLATILE";
}

struct advice *pw_function_advice(struct advice_run *r, const struct function *f, const char *what)
{
    struct advice_set *s = r->set;
    struct advice *a =
        pw_advice_add(s, ADVICE_FUNCTION, "", pw_mem_printf(&s->mem, "%s.%s", f->schema, f->name));
    pw_advice_identify(s, a, pw_mem_printf(&s->mem, "%s %s", f->signature, what));
    a->confidence = ADVICE_MEDIUM;
    pw_advice_fact_text(s, a, "rule", what);
    pw_advice_fact_text(s, a, "signature", f->signature);
    pw_advice_fact_text(s, a, "language", f->language);
    pw_advice_fact_text(s, a, "volatility", volatility_text(f->volatility));
    pw_advice_fact_bool(s, a, "strict", f->strict);
    pw_advice_fact_num(s, a, "calls", f->calls);
    return a;
}

void pw_function_alter(struct advice_run *r, struct advice *a, const struct function *f,
                       const char *change, const char *back)
{
    a->sql = pw_mem_printf(&r->set->mem, "ALTER FUNCTION %s %s;", f->signature, change);
    a->undo_sql =
        back ? pw_mem_printf(&r->set->mem, "ALTER FUNCTION %s %s;", f->signature, back) : "";
}

/* The body without what ends it. */
static const char *body_select(struct advice_run *r, const struct function *f)
{
    size_t len = strlen(f->source);
    while (len && strchr("; \t\r\n", f->source[len - 1]))
        len--;
    return pw_mem_strn(&r->mem, f->source, len);
}

/* Advice that was measured and found to gain nothing is no advice. */
static void measured(struct advice_run *r, const struct function *f, const struct body *b,
                     const char *select, struct advice *a)
{
    if (pw_function_measure(r, f, b, select, a))
        return;
    pw_advice_refuse(r->set, f->signature, "%s", a->reason);
    r->set->n_items--; /* the newest */
}

/* The SET clause again, a statement each. */
static const char *restore_config(struct advice_run *r, const struct function *f)
{
    struct arena *mem = &r->set->mem;
    char *out = pw_mem_str(mem, "");
    const char *params[] = {f->oid};
    struct pgresult *res = pw_side_rows(
        &r->side, "functions",
        "SELECT string_agg(CASE WHEN split_part(c, '=', 1) = 'search_path'"
        " THEN 'ALTER FUNCTION ' || $1::regprocedure || ' SET search_path = ' ||"
        " substr(c, strpos(c, '=') + 1) ELSE format('ALTER FUNCTION %s SET %s = %L',"
        " $1::regprocedure, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)) END || ';', ' ')"
        " FROM pg_proc p, unnest(p.proconfig) c WHERE p.oid = $1::regprocedure",
        1, params);
    if (res && pw_pgresult_rows(res))
        out = pw_cell_str(mem, res, 0, 0);
    if (res)
        pw_pgresult_free(res);
    return out ? out : "";
}

/* FN-1 and FN-8: an SQL function that would be inlined but for one thing. */
static void judge_inlining(struct advice_run *r, const struct function *f, const struct body *b)
{
    struct arena *mem = &r->set->mem;
    bool shape = b->statements == 1 && (f->returns_set ? b->only_select : b->plain);
    if (!shape)
        return;
    if (f->security_definer) {
        pw_advice_refuse(r->set, f->signature,
                         "not inlined because it is SECURITY DEFINER%s: that is a "
                         "matter of safety, not of speed",
                         f->config ? " with a SET clause" : "");
    } else if (f->config) {
        bool jit = strstr(f->config, "jit") != NULL;
        struct advice *a = pw_function_advice(r, f, "FN-8 SET clause");
        pw_function_alter(r, a, f, "RESET ALL", NULL);
        a->confidence = ADVICE_LOW;
        a->undo_sql = restore_config(r, f);
        a->reason = pw_mem_printf(
            mem, "The planner could inline %s, but its SET clause (%s) forbids it; %s.",
            f->signature, f->config,
            jit ? "set jit for the role, the database or the statements that suffer, not for a "
                  "function"
                : "qualify the names in its body instead, then reset it");
        pw_advice_fact_text(r->set, a, "set_clause", f->config);
        measured(r, f, b, NULL, a); /* its body means something else without the clause */
    } else if (f->strict && (f->returns_set || b->lax)) {
        struct advice *a = pw_function_advice(r, f, "FN-1 STRICT");
        pw_function_alter(r, a, f, "CALLED ON NULL INPUT", "STRICT");
        a->reason =
            pw_mem_printf(mem,
                          "STRICT keeps the planner from inlining %s, because its body is not "
                          "provably NULL for every NULL argument; check what it should answer "
                          "for NULL, then remove the label.",
                          f->signature);
        measured(r, f, b, body_select(r, f), a);
    } else if ((f->volatility == 'i' && b->worst != 'i') ||
               (f->volatility == 's' && b->worst == 'v')) {
        struct advice *a = pw_function_advice(r, f, "FN-1 volatility");
        pw_function_alter(r, a, f, volatility_text(b->worst), volatility_text(f->volatility));
        a->reason =
            pw_mem_printf(mem,
                          "%s is declared %s but its body is %s: the planner does not inline "
                          "it, and the label may give wrong answers.",
                          f->signature, volatility_text(f->volatility), volatility_text(b->worst));
    } else if (f->returns_set && f->volatility == 'v' && b->worst != 'v') {
        struct advice *a = pw_function_advice(r, f, "FN-1 table function");
        pw_function_alter(r, a, f, "STABLE", "VOLATILE");
        a->reason =
            pw_mem_printf(mem,
                          "A table function is inlined only when it is STABLE or IMMUTABLE; "
                          "the body of %s only reads.",
                          f->signature);
    }
}

/* FN-2: a PL/pgSQL function that is one expression. */
static bool judge_rewrite(struct advice_run *r, const struct function *f)
{
    struct arena *mem = &r->set->mem;
    char *expr = lone_return(mem, f->source);
    char *select = expr ? pw_mem_printf(mem, "SELECT %s", expr) : NULL;
    struct body b = select ? inspect(r, select) : (struct body){.parsed = false};
    const char *head = f->definition ? strstr(f->definition, " LANGUAGE plpgsql") : NULL;
    const char *open = f->definition ? strstr(f->definition, "AS $") : NULL;
    if (!b.parsed || !b.plain || b.reads_tables || f->security_definer || f->config || !head ||
        !open || (f->strict && b.lax) || (f->volatility == 'i' && b.worst != 'i') ||
        (f->volatility == 's' && b.worst == 'v'))
        return false;
    struct advice *a = pw_function_advice(r, f, "FN-2 plpgsql expression");
    a->sql = pw_mem_printf(mem, "%.*s LANGUAGE sql%.*sAS $pgweir$ %s $pgweir$;",
                           (int)(head - f->definition), f->definition,
                           (int)(open - head - (long)strlen(" LANGUAGE plpgsql")),
                           head + strlen(" LANGUAGE plpgsql"), select);
    for (char *s = (char *)(uintptr_t)a->sql; *s; s++)
        if (*s == '\n')
            *s = ' ';
    a->undo_sql = pw_mem_printf(mem, "%s;", f->definition);
    a->reason =
        pw_mem_printf(mem,
                      "The body of %s is one expression: written in SQL the planner inlines it, "
                      "so no call remains.",
                      f->signature);
    measured(r, f, &b, select, a);
    return true;
}

/* Words after which a PL/pgSQL body may do more than read. */
bool pw_function_only_reads(const char *source)
{
    static const char *const words[] = {"insert",
                                        "update",
                                        "delete",
                                        "merge",
                                        "truncate",
                                        "copy",
                                        "create",
                                        "alter",
                                        "drop",
                                        "execute",
                                        "perform",
                                        "call",
                                        "nextval",
                                        "setval",
                                        "random",
                                        "notify",
                                        "lock",
                                        "grant",
                                        "clock_timestamp",
                                        "dblink",
                                        "set_config",
                                        "pg_notify",
                                        "gen_random_uuid",
                                        "timeofday",
                                        "commit",
                                        "rollback",
                                        "raise"};
    char word[64];
    size_t n = 0;
    for (const char *s = source;; s++) {
        if (isalnum((unsigned char)*s) || *s == '_') {
            if (n < sizeof(word) - 1)
                word[n++] = (char)tolower((unsigned char)*s);
            continue;
        }
        word[n] = 0;
        for (size_t k = 0; n && k < PW_COUNT_OF(words); k++)
            if (strcmp(word, words[k]) == 0)
                return false;
        n = 0;
        if (!*s)
            return true;
    }
}

/* FN-3: volatile by default, though it only reads. */
static void judge_volatility(struct advice_run *r, const struct function *f, const struct body *b)
{
    bool sql = strcmp(f->language, "sql") == 0;
    if (f->volatility != 'v' || (sql && (!b->parsed || !b->only_select || b->worst == 'v')) ||
        (!sql && !pw_function_only_reads(f->source)))
        return;
    const char *label = sql ? volatility_text(b->worst) : "STABLE";
    struct advice *a = pw_function_advice(r, f, "FN-3 volatility");
    pw_function_alter(r, a, f, label, "VOLATILE");
    if (!sql)
        a->confidence = ADVICE_LOW;
    a->reason = pw_mem_printf(
        &r->set->mem,
        "%s is VOLATILE (the default), which forbids index use in predicates and runs "
        "it for every row; its body only reads, so %s is enough%s.",
        f->signature, label, sql ? "" : " if the functions it calls are not volatile");
}

static void judge(struct advice_run *r, const struct function *f)
{
    bool sql = strcmp(f->language, "sql") == 0, rewritten = false;
    if (!sql && strcmp(f->language, "plpgsql") != 0)
        return;
    struct body b = sql ? inspect(r, f->source) : (struct body){.parsed = false};
    if (sql && b.parsed) {
        size_t before = r->set->n_items;
        judge_inlining(r, f, &b);
        if (r->set->n_items == before && !(b.plain && b.worst != 'v'))
            judge_volatility(r, f, &b);
    } else if (!sql) {
        rewritten = judge_rewrite(r, f);
        if (!rewritten)
            judge_volatility(r, f, &b);
    }
    pw_function_judge_use(r, f, &b, rewritten);
}

static const char functions_sql[] =
    "SELECT n.nspname, p.proname, quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' ||"
    " pg_get_function_identity_arguments(p.oid) || ')', l.lanname, p.prosrc,"
    " pg_get_functiondef(p.oid), array_to_string(p.proconfig, ', '), p.provolatile, p.proisstrict,"
    " p.prosecdef, p.proretset, p.oid::regprocedure::text, p.proparallel,"
    " CASE WHEN p.proargmodes IS NULL AND p.provariadic = 0 AND u.known THEN u.made END, u.names"
    " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
    " JOIN pg_language l ON l.oid = p.prolang CROSS JOIN LATERAL ("
    "  SELECT coalesce(string_agg(v || ' AS ' || name, ', ' ORDER BY o), '') AS made,"
    "   coalesce(string_agg(name, ', ' ORDER BY o), '') AS names,"
    "   coalesce(bool_and(v IS NOT NULL), true) AS known FROM ("
    "   SELECT o, quote_ident(coalesce(nullif(p.proargnames[o], ''), 'pw_arg_' || o)) AS name,"
    "    CASE WHEN ty IN ('smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision')"
    "     THEN '(1 + g % 1000)::' || ty"
    "    WHEN ty IN ('text', 'character varying') THEN '(''v'' || g)::' || ty"
    "    WHEN ty = 'boolean' THEN '(g % 2 = 0)'"
    "    WHEN ty = 'date' THEN '(date ''2024-01-01'' + g % 1000)'"
    "    WHEN ty IN ('timestamp with time zone', 'timestamp without time zone')"
    "     THEN '(timestamp ''2024-01-01'' + g * interval ''1 min'')::' || ty"
    "    WHEN ty IN ('json', 'jsonb') THEN '(''{\"a\": 1}'')::' || ty END AS v"
    "   FROM (SELECT o, format_type(t, NULL) AS ty FROM unnest(p.proargtypes) WITH ORDINALITY"
    "    x(t, o)) y) z) u"
    " WHERE p.proname = $1 AND p.prokind = 'f' AND n.nspname NOT IN ('pg_catalog', "
    "'information_schema')"
    " AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass"
    "  AND d.objid = p.oid AND d.deptype = 'e') ORDER BY p.oid LIMIT 20";

/* A function by name, and how the workload uses it. */
struct called {
    const char *name;
    double calls, table_bytes;
    const struct inv_index *hidden;
    const char *hidden_by;
};

static void judge_name(struct advice_run *r, const struct called *c)
{
    const char *params[] = {c->name};
    struct pgresult *res = pw_side_rows(&r->side, "functions", functions_sql, 1, params);
    for (int k = 0; res && k < pw_pgresult_rows(res); k++) {
        struct function f = {.schema = pw_cell_str(&r->mem, res, k, 0),
                             .name = pw_cell_str(&r->mem, res, k, 1),
                             .signature = pw_cell_str(&r->mem, res, k, 2),
                             .language = pw_cell_str(&r->mem, res, k, 3),
                             .source = pw_cell_str(&r->mem, res, k, 4),
                             .definition = pw_cell_str(&r->mem, res, k, 5),
                             .config = pw_cell_str(&r->mem, res, k, 6),
                             .volatility = pw_cell(res, k, 7)[0],
                             .strict = pw_cell_bool(res, k, 8),
                             .security_definer = pw_cell_bool(res, k, 9),
                             .returns_set = pw_cell_bool(res, k, 10),
                             .oid = pw_cell_str(&r->mem, res, k, 11),
                             .parallel = pw_cell(res, k, 12)[0],
                             .args = pw_cell_str(&r->mem, res, k, 13),
                             .arg_names = pw_cell_str(&r->mem, res, k, 14),
                             .calls = c->calls,
                             .table_bytes = c->table_bytes,
                             .hidden = c->hidden,
                             .hidden_by = c->hidden_by};
        if (f.source && f.source[0])
            judge(r, &f);
    }
    if (res)
        pw_pgresult_free(res);
}

/* "f(col)" or "s.f(col)" of an indexed column: the index, or NULL. */
static const struct inv_index *hidden_index(const struct inventory *inv, const struct need *n,
                                            const char *expr, const char *name)
{
    const char *open = strchr(expr, '('), *close = open ? strrchr(expr, ')') : NULL;
    size_t len = strlen(name);
    if (!close || close[1] || (size_t)(open - expr) < len || memcmp(open - len, name, len) != 0 ||
        (open - expr > (long)len && open[-(long)len - 1] != '.'))
        return NULL;
    for (size_t k = 0; k < inv->n_indexes; k++) {
        const struct inv_index *x = &inv->indexes[k];
        size_t size = (size_t)(close - open) - 1;
        if (x->table == n->table && x->valid && x->keys[0].attnum &&
            strlen(x->keys[0].expr) == size && memcmp(x->keys[0].expr, open + 1, size) == 0)
            return x;
    }
    return NULL;
}

static void note_use(const struct inventory *inv, const struct need_statement *st, struct called *c)
{
    for (size_t i = 0; i < st->n_needs && st->verb == NEED_SELECT; i++) {
        const struct need *n = &st->needs[i];
        c->table_bytes = fmax(c->table_bytes, n->table->bytes);
        for (int p = 0; p < n->n_preds && !c->hidden; p++) {
            const char *expr = n->preds[p].expr;
            c->hidden = expr ? hidden_index(inv, n, expr, c->name) : NULL;
            c->hidden_by = c->hidden ? expr : NULL;
        }
    }
}

void pw_rules_functions(struct advice_run *r)
{
    struct needs needs;
    struct called *all = NULL;
    size_t n = 0;
    pw_needs_find(&needs, &r->mem, &r->inv, &r->side, r->w);
    for (size_t q = 0; q < needs.n; q++)
        for (int k = 0; k < needs.statements[q].n_functions; k++) {
            const char *name = needs.statements[q].functions[k];
            size_t at = 0;
            while (at < n && strcmp(all[at].name, name) != 0)
                at++;
            if (at == n) {
                all = pw_mem_push(&r->mem, all, &n, sizeof(*all));
                all[at].name = name;
            }
            all[at].calls += r->w->families[q].calls;
            note_use(&r->inv, &needs.statements[q], &all[at]);
        }
    for (size_t k = 0; k < n && !r->side.lost; k++)
        judge_name(r, &all[k]);
    pw_rules_policies(r, &needs);
}
