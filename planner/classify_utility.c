/* Utility statements: most are rows of statements.def; a few look inside. See classify.h. */
#include <string.h>

#include "planner/ast.h"
#include "planner/classify.h"
#include "planner/depend.h"
#include "planner/effects.h"

enum { CURSOR_HOLD = 0x20 }; /* CURSOR_OPT_HOLD of parsenodes.h */

static bool is_temporary(const cJSON *rangevar)
{
    return strcmp(pw_ast_str(rangevar, "relpersistence"), "t") == 0 ||
           strncmp(pw_ast_str(rangevar, "schemaname"), "pg_temp", 7) == 0;
}

static bool may_fire(struct classify *c)
{
    c->d->needs_catalog = true;
    return !c->view || pw_catalog_has_event_triggers(pw_catalog_view_catalog(c->view));
}

/* DDL of nearly any kind may run functions. What writes everything anyway need not wait to know. */
void pw_classify_fire(struct classify *c)
{
    if (!may_fire(c))
        return;
    c->d->is_guess = c->d->is_guess || (!c->view && !(c->d->flags & PLAN_F_WRITES_ALL));
    c->d->flags |= PLAN_F_CATALOG | PLAN_F_WRITES | PLAN_F_WRITES_ALL | PLAN_F_RIGHTS;
}

/* What is created for this session only changes nobody else's catalog. */
static void created(struct classify *c, const cJSON *rangevar)
{
    if (!is_temporary(rangevar))
        return;
    if (!may_fire(c) && c->d->n_statements == 1)
        c->d->flags &= ~(uint32_t)(PLAN_F_CATALOG | PLAN_F_WRITES | PLAN_F_WRITES_ALL);
    c->d->is_guess = c->d->is_guess || !c->view;
    pw_draft_pin(c->d, PIN_TEMP_TABLE);
}

static void inner_query(struct classify *c, const cJSON *wrapped)
{
    const char *name;
    const cJSON *node = pw_ast_node(wrapped, &name);
    if (!node)
        return;
    if (pw_classify_is_query(name))
        pw_classify_query(c, name, node);
    else if (!pw_classify_utility(c, name, node) && !pw_classify_session(c, name, node))
        pw_draft_opaque(c->d, PLAN_WHY_UNSUPPORTED);
}

static void transaction(struct classify *c, const cJSON *node)
{
    static const struct {
        const char *kind, *tag;
        uint32_t flags;
    } rows[] = {
        {"TRANS_STMT_BEGIN", "BEGIN", PLAN_F_TXN_BEGIN},
        {"TRANS_STMT_START", "START TRANSACTION", PLAN_F_TXN_BEGIN},
        {"TRANS_STMT_COMMIT", "COMMIT", PLAN_F_TXN_END},
        {"TRANS_STMT_ROLLBACK", "ROLLBACK", PLAN_F_TXN_END},
        {"TRANS_STMT_SAVEPOINT", "SAVEPOINT", 0},
        {"TRANS_STMT_RELEASE", "RELEASE", 0},
        {"TRANS_STMT_ROLLBACK_TO", "ROLLBACK", 0},
        {"TRANS_STMT_PREPARE", "PREPARE TRANSACTION", PLAN_F_TXN_END},
        /* What another session prepared becomes visible now. */
        {"TRANS_STMT_COMMIT_PREPARED", "COMMIT PREPARED",
         PLAN_F_WRITES | PLAN_F_WRITES_ALL | PLAN_F_CATALOG | PLAN_F_RIGHTS},
        {"TRANS_STMT_ROLLBACK_PREPARED", "ROLLBACK PREPARED", 0},
    };
    const char *kind = pw_ast_str(node, "kind");
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        if (strcmp(kind, rows[i].kind) != 0)
            continue;
        pw_classify_as(c, PLAN_TXN, rows[i].tag);
        c->d->flags |= rows[i].flags;
        if (pw_ast_bool(node, "chain"))
            c->d->flags |= PLAN_F_TXN_BEGIN;
        return;
    }
    pw_draft_opaque(c->d, PLAN_WHY_UNSUPPORTED);
}

static void copy(struct classify *c, const cJSON *node)
{
    bool from = pw_ast_bool(node, "is_from");
    bool is_stream = !pw_ast_get(node, "filename"); /* PROGRAM has a file name too */
    pw_classify_as(c, is_stream ? PLAN_COPY : from ? PLAN_WRITE : PLAN_UTILITY, "COPY");
    const cJSON *relation = pw_ast_get(node, "relation");
    if (from) {
        c->d->flags |= PLAN_F_WRITES | (is_stream ? PLAN_F_COPY_IN : 0);
        pw_depend_write(c, relation, false);
    } else if (relation) {
        pw_depend_read(c, relation);
    }
    inner_query(c, pw_ast_get(node, "query"));
}

static bool explain_runs(const cJSON *node)
{
    const cJSON *each;
    bool runs = false;
    cJSON_ArrayForEach(each, pw_ast_get(node, "options"))
    {
        const cJSON *option = pw_ast_is(each, "DefElem");
        if (strcmp(pw_ast_str(option, "defname"), "analyze") != 0)
            continue;
        /* Only the plain spellings of "off" are believed. */
        const cJSON *arg = pw_ast_get(option, "arg");
        const char *text = pw_ast_str(pw_ast_is(arg, "String"), "sval");
        const cJSON *number = pw_ast_is(arg, "Integer");
        runs = !(strcmp(text, "false") == 0 || strcmp(text, "off") == 0 ||
                 (number && !pw_ast_get(number, "ival")));
    }
    return runs;
}

/* All that functions may have done; which tables they write is never known. */
static void take_effects(struct draft *to, const struct draft *from)
{
    to->flags |= from->flags & (PLAN_F_CONTEXT | PLAN_F_CATALOG | PLAN_F_RIGHTS | PLAN_F_SEQUENCE |
                                PLAN_F_CURRVAL | PLAN_F_SESSION_READ | PLAN_F_LOCKS);
    if (from->flags & PLAN_F_WRITES_ALL)
        pw_draft_writes_all(to);
    for (int why = 0; why < PIN_REASON_COUNT; why++) {
        if (from->pins & PIN_BIT(why))
            pw_draft_pin(to, (enum pin_reason)why);
    }
}

/* Plain EXPLAIN plans and does not run. The planner calls immutable and stable functions; what says
 * so and is of a user's making may call another that writes, or leaves something behind. */
static void explain_plan(struct classify *c, const cJSON *query)
{
    struct draft inner, *outer = c->d;
    pw_draft_init(&inner);
    c->d = &inner;
    inner_query(c, query);
    c->d = outer;
    outer->needs_catalog = outer->needs_catalog || inner.needs_catalog;
    outer->is_guess = outer->is_guess || inner.is_guess;
    if (inner.user_code)
        take_effects(outer, &inner);
    pw_draft_free(&inner);
}

static void explain(struct classify *c, const cJSON *node)
{
    pw_classify_as(c, PLAN_UTILITY, "EXPLAIN");
    const cJSON *query = pw_ast_get(node, "query");
    if (explain_runs(node) || pw_ast_get(query, "ExecuteStmt")) /* whose name has to be known */
        inner_query(c, query);
    else
        explain_plan(c, query);
}

static void declare(struct classify *c, const cJSON *node)
{
    bool hold = (pw_ast_int(node, "options") & CURSOR_HOLD) != 0;
    pw_classify_as(c, hold ? PLAN_SESSION : PLAN_UTILITY, "DECLARE CURSOR");
    if (hold)
        pw_draft_pin(c->d, PIN_HOLD_CURSOR);
    inner_query(c, pw_ast_get(node, "query"));
}

/* What EXECUTE may leave behind pins already. */
static void prepare(struct classify *c, const cJSON *node)
{
    pw_classify_as(c, PLAN_SESSION, "PREPARE");
    pw_draft_pin(c->d, PIN_SQL_PREPARE);
    enum plan_class cls = c->d->cls;
    uint32_t flags = c->d->flags;
    inner_query(c, pw_ast_get(node, "query"));
    c->d->cls = cls;
    c->d->flags = flags | (c->d->flags & PLAN_F_CURRVAL);
}

static void truncate(struct classify *c, const cJSON *node)
{
    const cJSON *each;
    if (strcmp(pw_ast_str(node, "behavior"), "DROP_CASCADE") == 0)
        pw_draft_writes_all(c->d); /* whoever refers to them, whatever their foreign keys say */
    cJSON_ArrayForEach(each, pw_ast_get(node, "relations"))
    {
        pw_depend_write(c, pw_ast_is(each, "RangeVar"), true);
    }
}

static void call(struct classify *c, const cJSON *node)
{
    const cJSON *func = pw_ast_get(node, "funccall");
    const cJSON *name = pw_ast_get(func, "funcname");
    const char *schema = pw_ast_name_from_end(name, 1);
    pw_classify_as(c, PLAN_WRITE, "CALL");
    pw_draft_writes_all(c->d);
    c->d->flags |= PLAN_F_VOLATILE | PLAN_F_CATALOG | PLAN_F_RIGHTS | PLAN_F_SEQUENCE;
    pw_effects_function(c->d, c->view, schema ? schema : "", pw_ast_name_from_end(name, 0));
}

static bool special(struct classify *c, const char *name, const cJSON *node)
{
    if (strcmp(name, "TransactionStmt") == 0) {
        transaction(c, node);
    } else if (strcmp(name, "CopyStmt") == 0) {
        copy(c, node);
    } else if (strcmp(name, "ExplainStmt") == 0) {
        explain(c, node);
    } else if (strcmp(name, "DeclareCursorStmt") == 0) {
        declare(c, node);
    } else if (strcmp(name, "CallStmt") == 0) {
        call(c, node);
    } else if (strcmp(name, "PrepareStmt") == 0) {
        prepare(c, node);
    } else if (strcmp(name, "DeallocateStmt") == 0) {
        /* The protocol's own prepared statements share the name space. */
        pw_classify_as(c, PLAN_SESSION, pw_ast_get(node, "name") ? "DEALLOCATE" : "DEALLOCATE ALL");
        c->d->flags |= PLAN_F_UNDOES;
    } else {
        return false;
    }
    return true;
}

/* A name in pg_temp, as CREATE FUNCTION pg_temp.f and CREATE TYPE pg_temp.t have. */
static bool names_temp(const cJSON *node)
{
    if (cJSON_IsString(node) && strncmp(node->valuestring, "pg_temp", 7) == 0)
        return true;
    for (const cJSON *each = node ? node->child : NULL; each; each = each->next)
        if (names_temp(each))
            return true;
    return false;
}

static void look_inside(struct classify *c, const char *name, const cJSON *node)
{
    if (strcmp(name, "CreateStmt") == 0) {
        created(c, pw_ast_get(node, "relation"));
    } else if (strcmp(name, "ViewStmt") == 0) {
        created(c, pw_ast_get(node, "view"));
    } else if (strcmp(name, "CreateSeqStmt") == 0) {
        created(c, pw_ast_get(node, "sequence"));
    } else if (strcmp(name, "CreateTableAsStmt") == 0) {
        created(c, pw_ast_get(pw_ast_get(node, "into"), "rel"));
        inner_query(c, pw_ast_get(node, "query"));
    } else if (strcmp(name, "TruncateStmt") == 0) {
        truncate(c, node);
    } else if (strcmp(name, "VacuumStmt") == 0 && c->is_only &&
               !pw_ast_bool(node, "is_vacuumcmd")) {
        c->d->tag = "ANALYZE";
    }
}

bool pw_classify_utility(struct classify *c, const char *name, const cJSON *node)
{
    static const struct {
        const char *node, *tag;
        enum plan_class cls;
        uint32_t flags;
        enum pin_reason pin;
    } rows[] = {
#define SCHEMA                                     (PLAN_F_CATALOG | PLAN_F_WRITES | PLAN_F_WRITES_ALL)
#define STATEMENT(node_name, tag, cls, flags, pin) {#node_name, tag, cls, flags, pin},
#include "planner/statements.def"
#undef STATEMENT
#undef SCHEMA
    };
    pw_draft_refuse_both(c->d, PLAN_WHY_NOT_SELECT);
    if (special(c, name, node))
        return true;
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        if (strcmp(name, rows[i].node) != 0)
            continue;
        pw_classify_as(c, rows[i].cls, rows[i].tag);
        c->d->flags |= rows[i].flags;
        if ((rows[i].cls == PLAN_DDL || rows[i].cls == PLAN_WRITE) &&
            strcmp(name, "TruncateStmt") != 0) /* which fires none */
            pw_classify_fire(c);
        if (rows[i].pin != PIN_NONE)
            pw_draft_pin(c->d, rows[i].pin);
        if ((rows[i].flags & PLAN_F_CATALOG) && strcmp(name, "DropStmt") != 0 && names_temp(node))
            pw_draft_pin(c->d, PIN_TEMP_TABLE);
        look_inside(c, name, node);
        return true;
    }
    return false;
}
