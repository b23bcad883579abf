/*
 * SET, RESET, SHOW, DISCARD and SELECT set_config(...): what they do to the session, in the very
 * words that set_config() takes, so that another server connection can be brought to the same
 * state. What cannot be said that way pins the session. See classify.h.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "planner/ast.h"
#include "planner/classify.h"
#include "planner/planner.h"
#include "planner/quote.h"
#include "planner/template.h"
#include "proxy/base/buf.h"

enum { VALUE_MAX = 32 * 1024 };

/* Settings whose list elements PostgreSQL quotes (GUC_LIST_QUOTE). */
static bool is_quoted_list(const char *name)
{
    static const char *const names[] = {"search_path", "temp_tablespaces",
                                        "local_preload_libraries", "session_preload_libraries",
                                        "shared_preload_libraries"};
    for (size_t i = 0; i < PW_COUNT_OF(names); i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* Of the current transaction only. */
static bool is_transaction_setting(const char *name)
{
    return strcasecmp(name, "transaction_isolation") == 0 ||
           strcasecmp(name, "transaction_read_only") == 0 ||
           strcasecmp(name, "transaction_deferrable") == 0;
}

/* The state of random() moves on. Another session_authorization, the default too, undoes SET ROLE,
 * and which of the two came last is not kept. */
static bool cannot_be_given(const char *name)
{
    return strcasecmp(name, "seed") == 0 || strcasecmp(name, "session_authorization") == 0;
}

/* The tree leaves out zero and negative integers: read them where they stand. */
static bool append_integer(struct classify *c, struct buf *out, const cJSON *constant)
{
    const cJSON *value = pw_ast_get(pw_ast_get(constant, "ival"), "ival");
    if (value)
        return pw_buf_printf(out, "%d", value->valueint);
    int at = pw_ast_int(constant, "location");
    if (at <= 0 || (size_t)at >= strlen(c->sql))
        return false;
    const char *p = c->sql + at;
    bool negative = *p == '-';
    while (*p == '-' || *p == '+' || *p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
        p++;
    const char *digits = p;
    while (*p >= '0' && *p <= '9')
        p++;
    if (p == digits || p - digits > 10)
        return false;
    while (p - digits > 1 && *digits == '0')
        digits++;
    bool zero = p - digits == 1 && *digits == '0';
    return pw_buf_printf(out, "%s%.*s", negative && !zero ? "-" : "", (int)(p - digits), digits);
}

static bool append_value(struct classify *c, struct buf *out, const char *name,
                         const cJSON *wrapped)
{
    const cJSON *constant = pw_ast_is(wrapped, "A_Const");
    const cJSON *text = pw_ast_get(constant, "sval"), *number = pw_ast_get(constant, "fval");
    if (text) {
        const char *value = pw_ast_str(text, "sval");
        return is_quoted_list(name) ? pw_quote_identifier(out, value)
                                    : pw_buf_append_str(out, value);
    }
    if (number)
        return pw_buf_append_str(out, pw_ast_str(number, "fval"));
    return pw_ast_get(constant, "ival") && append_integer(c, out, constant);
}

/* SET TIME ZONE INTERVAL and whatever else has no set_config() form: false. */
static bool set_value(struct classify *c, enum plan_set_kind kind, const char *name,
                      const cJSON *args)
{
    struct buf value;
    pw_buf_init(&value, VALUE_MAX);
    bool ok = pw_ast_count(args) > 0;
    const cJSON *each;
    cJSON_ArrayForEach(each, args)
    {
        if (value.len || each != args->child)
            ok = ok && pw_buf_append_str(&value, ", ");
        ok = ok && append_value(c, &value, name, each);
    }
    ok = ok && pw_buf_append_u8(&value, 0);
    if (ok)
        pw_draft_set(c->d, kind, pw_slice_str(name), value.data);
    pw_buf_free(&value);
    return ok;
}

/* SET SESSION CHARACTERISTICS AS TRANSACTION ...: the defaults of later transactions. */
static bool set_characteristics(struct classify *c, const cJSON *args)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, args)
    {
        const cJSON *item = pw_ast_is(each, "DefElem");
        char name[64];
        snprintf(name, sizeof name, "default_%s", pw_ast_str(item, "defname"));
        const cJSON *constant = pw_ast_is(pw_ast_get(item, "arg"), "A_Const");
        const cJSON *text = pw_ast_get(constant, "sval");
        const cJSON *flag = pw_ast_get(constant, "ival");
        if (!text && !flag)
            return false;
        pw_draft_set(c->d, PLAN_SET_VALUE, pw_slice_str(name),
                     text                       ? pw_ast_str(text, "sval")
                     : pw_ast_int(flag, "ival") ? "on"
                                                : "off");
    }
    return true;
}

/* name NULL: one that is not known. */
static void cannot_replay(struct classify *c, const char *name)
{
    pw_draft_pin(c->d, PIN_SET);
    if (!name || pw_plan_is_context_setting(name)) {
        c->d->flags |= PLAN_F_CONTEXT;
        pw_draft_pin(c->d, PIN_CONTEXT);
    }
}

static void variable_set(struct classify *c, const cJSON *node)
{
    const char *kind = pw_ast_str(node, "kind"), *name = pw_ast_str(node, "name");
    bool local = pw_ast_bool(node, "is_local");
    const cJSON *args = pw_ast_get(node, "args");
    if (strcmp(kind, "VAR_SET_MULTI") == 0 && strncmp(name, "TRANSACTION", 11) == 0) {
        pw_classify_as(c, PLAN_TXN, "SET");
        return;
    }
    if (is_transaction_setting(name)) {
        pw_classify_as(c, PLAN_TXN, "SET");
        return;
    }
    pw_classify_as(c, PLAN_SESSION, strncmp(kind, "VAR_RESET", 9) == 0 ? "RESET" : "SET");
    c->d->flags |= PLAN_F_SETS;
    bool ok = true;
    if (cannot_be_given(name))
        ok = false;
    else if (strcmp(kind, "VAR_SET_VALUE") == 0)
        ok = set_value(c, local ? PLAN_SET_LOCAL : PLAN_SET_VALUE, name, args);
    else if (strcmp(kind, "VAR_SET_DEFAULT") == 0 || strcmp(kind, "VAR_RESET") == 0)
        pw_draft_set(c->d, local ? PLAN_SET_LOCAL : PLAN_SET_DEFAULT, pw_slice_str(name), NULL);
    else if (strcmp(kind, "VAR_RESET_ALL") == 0)
        pw_draft_set(c->d, PLAN_RESET_ALL, pw_slice_str(""), NULL);
    else
        ok = strcmp(kind, "VAR_SET_MULTI") == 0 && set_characteristics(c, args);
    if (!ok)
        cannot_replay(c, name);
}

static void discard(struct classify *c, const cJSON *node)
{
    const char *target = pw_ast_str(node, "target");
    if (strcmp(target, "DISCARD_ALL") == 0) {
        pw_classify_as(c, PLAN_SESSION, "DISCARD ALL");
        pw_draft_set(c->d, PLAN_DISCARD_ALL, pw_slice_str(""), NULL);
        c->d->flags |= PLAN_F_SETS | PLAN_F_UNPINS;
    } else {
        pw_classify_as(c, PLAN_SESSION,
                       strcmp(target, "DISCARD_PLANS") == 0       ? "DISCARD PLANS"
                       : strcmp(target, "DISCARD_SEQUENCES") == 0 ? "DISCARD SEQUENCES"
                                                                  : "DISCARD TEMP");
        c->d->flags |= PLAN_F_UNDOES;
    }
}

bool pw_classify_session(struct classify *c, const char *name, const cJSON *node)
{
    if (strcmp(name, "VariableSetStmt") == 0) {
        variable_set(c, node);
    } else if (strcmp(name, "DiscardStmt") == 0) {
        discard(c, node);
    } else if (strcmp(name, "VariableShowStmt") == 0) {
        pw_classify_as(c, PLAN_UTILITY, "SHOW");
        c->d->flags |= PLAN_F_SESSION_READ;
    } else {
        return false;
    }
    return true;
}

/* ---- SELECT set_config('name', 'value', is_local), ... and nothing else ---- */

static const cJSON *set_config_args(const cJSON *target)
{
    const cJSON *call = pw_ast_is(pw_ast_get(pw_ast_is(target, "ResTarget"), "val"), "FuncCall");
    const cJSON *name = pw_ast_get(call, "funcname"), *args = pw_ast_get(call, "args");
    const char *last = pw_ast_name_from_end(name, 0), *schema = pw_ast_name_from_end(name, 1);
    if (!last || strcmp(last, "set_config") != 0 || (schema && strcmp(schema, "pg_catalog") != 0))
        return NULL;
    return pw_ast_count(args) == 3 ? args : NULL;
}

/* -1 not a literal, 0 false, 1 true. */
static int literal_bool(const cJSON *wrapped)
{
    const cJSON *constant = pw_ast_is(wrapped, "A_Const");
    const cJSON *value = pw_ast_get(constant, "boolval");
    if (value)
        return pw_ast_bool(value, "boolval");
    const cJSON *cast = pw_ast_is(wrapped, "TypeCast"); /* true is 't'::bool in the older grammar */
    const char *text = cast ? pw_ast_const_string(pw_ast_get(cast, "arg")) : NULL;
    return !text ? -1 : strcmp(text, "t") == 0 ? 1 : strcmp(text, "f") == 0 ? 0 : -1;
}

static bool set_config(struct classify *c, const cJSON *args)
{
    const char *name = pw_ast_const_string(cJSON_GetArrayItem(args, 0));
    const char *value = pw_ast_const_string(cJSON_GetArrayItem(args, 1));
    int local = literal_bool(cJSON_GetArrayItem(args, 2));
    if (name && cannot_be_given(name))
        return false;
    if (local == 1) {
        /* Whatever it sets ends with the transaction; "*" is a name that is not known. */
        pw_draft_set(c->d, PLAN_SET_LOCAL, pw_slice_str(name ? name : "*"), value);
        return true;
    }
    if (local != 0 || !name || !value || is_transaction_setting(name))
        return false;
    pw_draft_set(c->d, PLAN_SET_VALUE, pw_slice_str(name), value);
    return true;
}

static bool has_only_targets(const cJSON *select)
{
    static const char *const others[] = {
        "fromClause",  "whereClause", "groupClause",   "havingClause",  "windowClause",
        "valuesLists", "sortClause",  "limitCount",    "limitOffset",   "withClause",
        "larg",        "intoClause",  "lockingClause", "distinctClause"};
    for (size_t i = 0; i < PW_COUNT_OF(others); i++) {
        if (pw_ast_get(select, others[i]))
            return false;
    }
    return true;
}

bool pw_classify_set_config(struct classify *c, const cJSON *select)
{
    const cJSON *targets = pw_ast_get(select, "targetList"), *each;
    if (pw_ast_count(targets) == 0 || !has_only_targets(select))
        return false;
    cJSON_ArrayForEach(each, targets)
    {
        if (!set_config_args(each))
            return false;
    }
    pw_classify_as(c, PLAN_SESSION, "SELECT");
    c->d->flags |= PLAN_F_SETS;
    cJSON_ArrayForEach(each, targets)
    {
        const cJSON *args = set_config_args(each);
        if (!set_config(c, args))
            cannot_replay(c, pw_ast_const_string(cJSON_GetArrayItem(args, 0)));
    }
    return true;
}
