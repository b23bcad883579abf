/*
 * Which rows does this statement read or write, said by a whole key (plan.h: key_read,
 * keys_written)? Only shapes that leave no doubt: one plain table, `column = literal or parameter`
 * joined by AND, or the rows of an INSERT ... VALUES. See classify.h.
 */
#include <stdlib.h>
#include <string.h>

#include "planner/ast.h"
#include "planner/keys_priv.h"
#include "planner/template.h"
#include "proxy/base/alloc.h"

enum { KEY_ROWS_MAX = 128, AND_DEPTH_MAX = 50 };

enum {
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_VARCHAR = 1043,
    OID_UUID = 2950
};

/* ---- the table ---- */

/* The one table that the name can mean, or NULL. */
static const struct cat_table *only_table(const struct classify *c, const cJSON *rangevar)
{
    const char *schema = pw_ast_str(rangevar, "schemaname"),
               *name = pw_ast_str(rangevar, "relname");
    const struct cat_table *t = pw_view_table(c->view, schema, name, NULL);
    if (!t || pw_view_table(c->view, schema, name, t) || pw_ast_get(rangevar, "catalogname"))
        return NULL;
    if (t->is_temporary || t->is_system || t->row_security || (t->has_rules && t->kind != 'm'))
        return NULL;
    return t;
}

/* Somebody's own "=" on a built-in type would decide instead of PostgreSQL's. */
static bool equality_is_builtin(const struct classify *c)
{
    const struct cat_operator *o = NULL;
    while ((o = pw_view_operator(c->view, "", "=", o))) {
        if (o->object.oid >= 16384 && o->takes_builtin)
            return false;
    }
    return true;
}

static const struct cat_column *column_named(const struct cat_table *t, const char *name)
{
    for (uint32_t i = 0; i < t->n_columns; i++) {
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    }
    return NULL;
}

static const struct cat_column *column_numbered(const struct cat_table *t, int16_t attnum)
{
    for (uint32_t i = 0; i < t->n_columns; i++) {
        if (t->columns[i].attnum == attnum)
            return &t->columns[i];
    }
    return NULL;
}

static bool start(struct keyed *k, struct classify *c, const cJSON *rangevar)
{
    const cJSON *alias = pw_ast_get(rangevar, "alias");
    *k = (struct keyed){.c = c, .t = only_table(c, rangevar)};
    if (!k->t || pw_ast_get(alias, "colnames") || !equality_is_builtin(c))
        return false;
    k->alias = alias ? pw_ast_str(alias, "aliasname") : pw_ast_str(rangevar, "relname");
    return true;
}

enum plan_key_kind pw_keyed_kind(const struct cat_column *column)
{
    switch (column->type) {
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        return PLAN_KEY_INTEGER;
    case OID_UUID:
        return PLAN_KEY_UUID;
    case OID_TEXT:
    case OID_VARCHAR:
        return column->has_typmod || !column->is_deterministic ? PLAN_KEY_OTHER : PLAN_KEY_TEXT;
    default:
        return PLAN_KEY_OTHER;
    }
}

/* ---- column = value ---- */

const struct cat_column *pw_keyed_column(const struct keyed *k, const cJSON *wrapped)
{
    const cJSON *fields = pw_ast_get(pw_ast_is(wrapped, "ColumnRef"), "fields");
    const char *name = pw_ast_name_from_end(fields, 0), *of = pw_ast_name_from_end(fields, 1);
    int n = pw_ast_count(fields);
    if (!name || n > 2 || (n == 2 && (!of || strcmp(of, k->alias) != 0)))
        return NULL;
    return column_named(k->t, name);
}

/* $1::int, 'x'::uuid: a cast to the column's own type changes nothing. */
static const cJSON *without_cast(const struct keyed *k, const cJSON *wrapped,
                                 const struct cat_column *column)
{
    const cJSON *cast = pw_ast_is(wrapped, "TypeCast");
    if (!cast)
        return wrapped;
    const cJSON *type = pw_ast_get(cast, "typeName"), *names = pw_ast_get(type, "names");
    const char *schema = pw_ast_name_from_end(names, 1), *name = pw_ast_name_from_end(names, 0);
    if (!name || pw_ast_get(type, "arrayBounds") || pw_ast_get(type, "typmods") ||
        pw_ast_bool(type, "pct_type") || pw_ast_bool(type, "setof"))
        return NULL;
    const struct cat_type *t = pw_view_type(k->c->view, schema ? schema : "", name, NULL);
    if (!t || t->object.oid != column->type ||
        pw_view_type(k->c->view, schema ? schema : "", name, t))
        return NULL;
    return pw_ast_get(cast, "arg");
}

/* The slot whose literal is this constant; its place is the literal's, or that of its sign. */
static bool slot_at(const struct classify *c, uint32_t location, struct plan_value *out)
{
    const char *p = c->sql + location;
    bool negative = *p == '-';
    for (p += negative; negative && *p == ' ';)
        p++;
    for (uint32_t i = 0; c->slots && i < c->slots->n; i++) {
        if (c->slots->offsets[i] == (uint32_t)(p - c->sql)) {
            *out = (struct plan_value){.number = i, .is_negative = negative};
            return true;
        }
    }
    return false;
}

/* Kinds of literals that reach the column as they are: 7.5 is rounded on its way to an integer, 007
 * becomes 7 on its way to a text. */
static bool kind_fits(const struct cat_column *column, uint8_t kind)
{
    bool is_integer = kind == SLOT_INT4 || kind == SLOT_INT8;
    switch (pw_keyed_kind(column)) {
    case PLAN_KEY_INTEGER:
        return is_integer || kind == SLOT_STRING;
    case PLAN_KEY_TEXT:
    case PLAN_KEY_UUID:
        return kind == SLOT_STRING;
    default:
        return is_integer || kind == SLOT_STRING || kind == SLOT_NUMERIC;
    }
}

static bool value_of(const struct keyed *k, const struct cat_column *column, const cJSON *wrapped,
                     struct plan_value *out)
{
    const cJSON *inner = without_cast(k, wrapped, column);
    const cJSON *param = pw_ast_is(inner, "ParamRef"), *literal = pw_ast_is(inner, "A_Const");
    if (param) {
        *out =
            (struct plan_value){.number = (uint32_t)pw_ast_int(param, "number"), .is_param = true};
        return out->number > 0;
    }
    if (!literal || !slot_at(k->c, (uint32_t)pw_ast_int(literal, "location"), out))
        return false;
    return kind_fits(column, k->c->slots->kinds[out->number]);
}

static bool note(struct keyed *k, const cJSON *left, const cJSON *right)
{
    const struct cat_column *column = pw_keyed_column(k, left);
    struct plan_value value;
    if (!column || k->n == KEY_VALUES_MAX || !value_of(k, column, right, &value))
        return false;
    k->found[k->n].column = column;
    k->found[k->n].is_cast = pw_ast_is(right, "TypeCast") != NULL;
    k->found[k->n++].value = value;
    return true;
}

static bool is_equality(const cJSON *expr)
{
    const cJSON *name = pw_ast_get(expr, "name");
    const char *op = pw_ast_name_from_end(name, 0);
    return op && strcmp(op, "=") == 0 && pw_ast_count(name) == 1 &&
           strcmp(pw_ast_str(expr, "kind"), "AEXPR_OP") == 0;
}

/* Conditions that are no equality only narrow the rows further. */
static void collect(struct keyed *k, const cJSON *wrapped, int depth)
{
    const cJSON *both = pw_ast_is(wrapped, "BoolExpr"), *expr = pw_ast_is(wrapped, "A_Expr"), *each;
    if (both && depth < AND_DEPTH_MAX && strcmp(pw_ast_str(both, "boolop"), "AND_EXPR") == 0) {
        cJSON_ArrayForEach(each, pw_ast_get(both, "args"))
        {
            collect(k, each, depth + 1);
        }
        return;
    }
    const cJSON *left = pw_ast_get(expr, "lexpr"), *right = pw_ast_get(expr, "rexpr");
    if (!is_equality(expr) || !(note(k, left, right) || note(k, right, left)))
        k->has_others = true;
}

static const struct plan_value *found(const struct keyed *k, int16_t attnum)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (k->found[i].column->attnum == attnum)
            return &k->found[i].value;
    }
    return NULL;
}

/* ---- the answer ---- */

/* Without values: n_rows of them are the caller's to fill in. NULL: a column is not known. */
static struct plan_keys *keys_for(const struct cat_table *t, const struct cat_key *key,
                                  uint32_t n_rows, struct plan_value **values)
{
    for (uint32_t i = 0; i < key->n_columns; i++) {
        if (!column_numbered(t, key->columns[i]))
            return NULL;
    }
    struct plan_keys *out = pw_alloc(sizeof *out);
    struct plan_key_column *columns = pw_alloc(key->n_columns * sizeof *columns);
    *values = pw_alloc((size_t)n_rows * key->n_columns * sizeof **values);
    for (uint32_t i = 0; i < key->n_columns; i++) {
        const struct cat_column *column = column_numbered(t, key->columns[i]);
        columns[i] = (struct plan_key_column){.name = pw_strdup(column->name),
                                              .type = column->type,
                                              .attnum = column->attnum,
                                              .kind = pw_keyed_kind(column)};
    }
    *out = (struct plan_keys){.table = t->object.oid,
                              .index = key->index,
                              .n_columns = key->n_columns,
                              .n_rows = n_rows,
                              .columns = columns,
                              .values = *values};
    return out;
}

static bool covers(const struct keyed *k, const struct cat_key *key)
{
    for (uint32_t i = 0; i < key->n_columns; i++) {
        if (!found(k, key->columns[i]))
            return false;
    }
    return key->n_columns > 0;
}

static struct plan_keys *keys_found(const struct keyed *k, const struct cat_key *key)
{
    struct plan_value *values;
    struct plan_keys *out = covers(k, key) ? keys_for(k->t, key, 1, &values) : NULL;
    for (uint32_t i = 0; out && i < key->n_columns; i++)
        values[i] = *found(k, key->columns[i]);
    return out;
}

/* ---- reads ---- */

static bool has_node(const cJSON *node, const char *name)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        if (child->string && strcmp(child->string, name) == 0)
            return true;
        if ((cJSON_IsObject(child) || cJSON_IsArray(child)) && has_node(child, name))
            return true;
    }
    return false;
}

static void read_by_key(struct classify *c, const cJSON *node)
{
    const cJSON *from = pw_ast_get(node, "fromClause");
    const cJSON *rangevar = pw_ast_is(cJSON_GetArrayItem(from, 0), "RangeVar");
    struct keyed k;
    if (c->d->cls != PLAN_READ || pw_ast_count(from) != 1 || !rangevar ||
        has_node(node, "SubLink") || has_node(node, "withClause") || has_node(node, "intoClause") ||
        !start(&k, c, rangevar) || !strchr("rpm", k.t->kind))
        return;
    if (k.t->kind == 'r' && k.t->n_children && pw_ast_bool(rangevar, "inh"))
        return; /* the index does not reach into them */
    collect(&k, pw_ast_get(node, "whereClause"), 0);
    for (uint32_t i = 0; i < k.t->n_keys && !c->d->key_read; i++)
        c->d->key_read = keys_found(&k, &k.t->keys[i]);
    if (c->d->key_read)
        pw_classify_steady(&k, node);
}

/* ---- writes ---- */

/* No trigger, rule, inheritance or foreign key makes it touch other rows of its own table. */
static bool writes_only_what_it_says(const struct classify *c, const struct cat_table *t)
{
    const struct draft *d = c->d;
    if (t->kind != 'r' || t->n_children || t->has_parent || (d->flags & PLAN_F_WRITES_ALL))
        return false;
    for (size_t i = 0; i < d->written.n; i++) {
        const struct cat_table *each =
            pw_catalog_table(pw_catalog_view_catalog(c->view), d->written.oids[i]);
        if (!each || each->n_triggers)
            return false;
        for (uint32_t n = 0; n < each->n_cascades; n++) {
            if (each->cascades[n] == t->object.oid)
                return false;
        }
    }
    return true;
}

static bool start_write(struct keyed *k, struct classify *c, const cJSON *node)
{
    return c->d->cls == PLAN_WRITE && !has_node(node, "withClause") &&
           start(k, c, pw_ast_get(node, "relation")) && writes_only_what_it_says(c, k->t);
}

static void add_written(struct classify *c, struct plan_keys *keys)
{
    if (!keys)
        return;
    if (c->d->n_keys_written < DRAFT_KEYS_MAX)
        c->d->keys_written[c->d->n_keys_written++] = keys;
    else
        pw_plan_keys_free(keys);
}

static bool key_has(const struct cat_table *t, const struct cat_key *key, const char *column)
{
    const struct cat_column *c = column_named(t, column);
    for (uint32_t i = 0; c && i < key->n_columns; i++) {
        if (key->columns[i] == c->attnum)
            return true;
    }
    return !c;
}

/* Does a SET list give a column of the key another value? */
static bool assigns(const struct cat_table *t, const struct cat_key *key, const cJSON *targets)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, targets)
    {
        if (key_has(t, key, pw_ast_str(pw_ast_is(each, "ResTarget"), "name")))
            return true;
    }
    return false;
}

static void changed_by_key(struct classify *c, const cJSON *node, const cJSON *targets)
{
    struct keyed k;
    if (pw_ast_get(node, "fromClause") || pw_ast_get(node, "usingClause") ||
        !start_write(&k, c, node))
        return;
    collect(&k, pw_ast_get(node, "whereClause"), 0);
    for (uint32_t i = 0; i < k.t->n_keys; i++) {
        if (!assigns(k.t, &k.t->keys[i], targets))
            add_written(c, keys_found(&k, &k.t->keys[i]));
    }
}

/* Which value of a VALUES row goes into the column, -1: none. */
static int position_of(const struct cat_table *t, const cJSON *cols,
                       const struct cat_column *column)
{
    int at = 0;
    const cJSON *each;
    if (!cols)
        return (int)(column - t->columns);
    cJSON_ArrayForEach(each, cols)
    {
        const cJSON *target = pw_ast_is(each, "ResTarget");
        if (strcmp(pw_ast_str(target, "name"), column->name) == 0)
            return pw_ast_get(target, "indirection") ? -1 : at;
        at++;
    }
    return -1;
}

static bool fill_row(const struct keyed *k, const struct cat_key *key, const cJSON *cols,
                     const cJSON *row, struct plan_value *values)
{
    const cJSON *items = pw_ast_get(pw_ast_is(row, "List"), "items");
    for (uint32_t i = 0; i < key->n_columns; i++) {
        const struct cat_column *column = column_numbered(k->t, key->columns[i]);
        int at = position_of(k->t, cols, column);
        if (at < 0 || !value_of(k, column, cJSON_GetArrayItem(items, at), &values[i]))
            return false;
    }
    return true;
}

static struct plan_keys *inserted(const struct keyed *k, const struct cat_key *key,
                                  const cJSON *cols, const cJSON *rows)
{
    struct plan_value *values;
    struct plan_keys *out = keys_for(k->t, key, (uint32_t)pw_ast_count(rows), &values);
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (!out || !fill_row(k, key, cols, row, values)) {
            pw_plan_keys_free(out);
            return NULL;
        }
        values += key->n_columns;
    }
    return out;
}

/* ON CONFLICT DO UPDATE changes the row with the arbiter's key, which must be this one. */
static bool conflict_stays(const struct cat_table *t, const struct cat_key *key,
                           const cJSON *clause)
{
    if (!clause || strcmp(pw_ast_str(clause, "action"), "ONCONFLICT_NOTHING") == 0)
        return true;
    const cJSON *infer = pw_ast_get(clause, "infer"), *elems = pw_ast_get(infer, "indexElems"),
                *each;
    if ((uint32_t)pw_ast_count(elems) != key->n_columns || pw_ast_get(infer, "whereClause") ||
        assigns(t, key, pw_ast_get(clause, "targetList")))
        return false;
    cJSON_ArrayForEach(each, elems)
    {
        const char *name = pw_ast_str(pw_ast_is(each, "IndexElem"), "name");
        if (!column_named(t, name) || !key_has(t, key, name))
            return false;
    }
    return true;
}

static void inserted_by_key(struct classify *c, const cJSON *node)
{
    const cJSON *select = pw_ast_is(pw_ast_get(node, "selectStmt"), "SelectStmt");
    const cJSON *rows = pw_ast_get(select, "valuesLists");
    struct keyed k;
    int n = pw_ast_count(rows);
    if (n < 1 || n > KEY_ROWS_MAX || pw_ast_get(select, "limitCount") ||
        strcmp(pw_ast_str(node, "override"), "OVERRIDING_USER_VALUE") == 0 ||
        !start_write(&k, c, node))
        return;
    for (uint32_t i = 0; i < k.t->n_keys; i++) {
        const struct cat_key *key = &k.t->keys[i];
        if (key->n_columns && conflict_stays(k.t, key, pw_ast_get(node, "onConflictClause")))
            add_written(c, inserted(&k, key, pw_ast_get(node, "cols"), rows));
    }
}

void pw_classify_keys(struct classify *c, const char *name, const cJSON *node)
{
    if (strcmp(name, "SelectStmt") == 0)
        read_by_key(c, node);
    else if (strcmp(name, "InsertStmt") == 0)
        inserted_by_key(c, node);
    else if (strcmp(name, "UpdateStmt") == 0)
        changed_by_key(c, node, pw_ast_get(node, "targetList"));
    else if (strcmp(name, "DeleteStmt") == 0)
        changed_by_key(c, node, NULL);
}
