/* Names in a statement: which table reference a column belongs to, through subselects, CTEs and
 * views where their outputs are columns or expressions of one table. */
#include <string.h>

#include "advisor/needs_walk.h"

struct need *pw_walk_need(struct walker *w, int number)
{
    return number >= 0 && (size_t)number < w->st->n_needs ? &w->st->needs[number] : NULL;
}

int pw_walk_new_need(struct walker *w, struct inv_table *t)
{
    if (w->st->n_needs >= SCOPE_ENTRIES)
        return -1;
    w->st->needs = pw_mem_push(w->mem, w->st->needs, &w->st->n_needs, sizeof(*w->st->needs));
    w->st->needs[w->st->n_needs - 1].table = t;
    return (int)w->st->n_needs - 1;
}

void pw_walk_use_column(struct need *n, int attnum)
{
    for (int k = 0; k < n->n_columns; k++)
        if (n->columns[k] == attnum)
            return;
    if (n->n_columns < PW_NEED_MAX)
        n->columns[n->n_columns++] = attnum;
    else
        n->whole_row = true;
}

void pw_walk_use(struct walker *w, const struct column_ref *c)
{
    for (; c; c = c->also) {
        struct need *n = pw_walk_need(w, c->need);
        if (n && c->column)
            pw_walk_use_column(n, c->column->attnum);
    }
}

const struct cte_outputs *pw_walk_cte(const struct scope *s, const char *name)
{
    for (; s; s = s->up)
        for (int k = s->n_ctes; k-- > 0;)
            if (strcmp(s->ctes[k].name, name) == 0)
                return &s->ctes[k];
    return NULL;
}

void pw_walk_enter(struct scope *s, const char *name, int need, struct outputs outputs)
{
    if (s->n_entries < SCOPE_ENTRIES)
        s->entries[s->n_entries++] = (struct scope_entry){name, need, outputs};
}

struct column_ref pw_walk_entry_column(struct walker *w, const struct scope_entry *e,
                                       const char *column)
{
    struct column_ref none = {.need = -1};
    struct need *n = pw_walk_need(w, e->need);
    struct inv_column *c = n ? pw_inventory_column(n->table, column) : NULL;
    if (c)
        return (struct column_ref){.need = e->need, .column = c, .known = true};
    for (size_t k = 0; k < e->outputs.n; k++)
        if (strcmp(e->outputs.items[k].name, column) == 0)
            return e->outputs.items[k].ref;
    return none;
}

/* Unqualified: exactly one visible FROM item must have the column, else it stays unresolved. */
static struct column_ref resolve_bare(struct walker *w, const struct scope *s, const char *column)
{
    for (; s; s = s->up) {
        struct column_ref found = {.need = -1};
        int hits = 0;
        bool opaque = false;
        for (int k = 0; k < s->n_entries; k++) {
            const struct scope_entry *e = &s->entries[k];
            struct column_ref c = pw_walk_entry_column(w, e, column);
            opaque = opaque || (e->need < 0 && !e->outputs.items);
            if (c.known) {
                found = c;
                hits++;
            }
        }
        if (hits == 1)
            return found;
        if (hits > 1 || opaque)
            break;
    }
    return (struct column_ref){.need = -1};
}

struct column_ref pw_walk_resolve(struct walker *w, const struct scope *s, const cJSON *ref)
{
    struct column_ref none = {.need = -1};
    const cJSON *fields = pw_ast_get(ref, "fields");
    int n = pw_ast_count(fields);
    const char *column = n > 0 ? pw_ast_name_from_end(fields, 0) : NULL;
    if (!column)
        return none;
    if (n == 1)
        return resolve_bare(w, s, column);
    const char *table = pw_ast_name_from_end(fields, 1);
    for (; table && s; s = s->up)
        for (int k = 0; k < s->n_entries; k++)
            if (strcmp(s->entries[k].name, table) == 0)
                return pw_walk_entry_column(w, &s->entries[k], column);
    return none;
}

void pw_walk_read_star(struct walker *w, const struct scope *s, const cJSON *fields)
{
    const char *table = pw_ast_count(fields) > 1 ? pw_ast_name_from_end(fields, 1) : NULL;
    for (int k = 0; k < s->n_entries; k++) {
        const struct scope_entry *e = &s->entries[k];
        if (table && strcmp(table, e->name) != 0)
            continue;
        struct need *n = pw_walk_need(w, e->need);
        if (n)
            n->whole_row = true;
        for (size_t i = 0; i < e->outputs.n; i++)
            pw_walk_use(w, &e->outputs.items[i].ref);
    }
}

/* ---- what a SELECT puts out ---- */

static void put_out(struct walker *w, struct outputs *o, const char *name, struct column_ref ref)
{
    ref.known = true;
    o->items = pw_mem_push(w->mem, o->items, &o->n, sizeof(*o->items));
    o->items[o->n - 1] = (struct output){pw_mem_str(w->mem, name), ref};
}

static void put_star(struct walker *w, const struct scope *s, struct outputs *o,
                     const cJSON *fields)
{
    const char *table = pw_ast_count(fields) > 1 ? pw_ast_name_from_end(fields, 1) : NULL;
    for (int k = 0; k < s->n_entries; k++) {
        const struct scope_entry *e = &s->entries[k];
        struct need *n = pw_walk_need(w, e->need);
        if (table && strcmp(table, e->name) != 0)
            continue;
        for (size_t c = 0; n && c < n->table->n_columns; c++)
            put_out(w, o, n->table->columns[c].name,
                    (struct column_ref){.need = e->need, .column = &n->table->columns[c]});
        for (size_t i = 0; i < e->outputs.n; i++)
            put_out(w, o, e->outputs.items[i].name, e->outputs.items[i].ref);
    }
}

/* What cannot be an index's expression, whatever else it is. */
static bool is_aggregate(const cJSON *call)
{
    static const char *const names[] = {"count",    "sum",       "avg",        "min",
                                        "max",      "array_agg", "string_agg", "json_agg",
                                        "bool_and", "bool_or",   "jsonb_agg",  "every"};
    const char *name = pw_ast_name_from_end(pw_ast_get(call, "funcname"), 0);
    for (size_t k = 0; name && k < PW_COUNT_OF(names); k++)
        if (strcmp(name, names[k]) == 0)
            return true;
    return pw_ast_get(call, "over") != NULL;
}

static void put_target(struct walker *w, const struct scope *s, struct outputs *o,
                       const cJSON *target)
{
    const cJSON *val = pw_ast_get(target, "val"), *ref = pw_ast_is(val, "ColumnRef");
    const cJSON *fields = pw_ast_get(ref, "fields"), *call = pw_ast_is(val, "FuncCall");
    const char *name = pw_ast_str(target, "name");
    if (ref && pw_ast_is(cJSON_GetArrayItem(fields, pw_ast_count(fields) - 1), "A_Star")) {
        put_star(w, s, o, fields);
        return;
    }
    struct column_ref out = {.need = -1};
    if (ref)
        out = pw_walk_resolve(w, s, ref);
    else if ((call && !is_aggregate(call)) || pw_ast_is(val, "A_Expr") ||
             pw_ast_is(val, "TypeCast"))
        out.expr = pw_walk_text(w, s, val, &out.need);
    if (!out.column && !out.expr)
        out.need = -1;
    if (out.expr && !call)
        out.expr = pw_mem_printf(w->mem, out.expr[0] == '(' ? "%s" : "(%s)", out.expr);
    if (!name[0] && ref)
        name = pw_ast_name_from_end(fields, 0);
    else if (!name[0] && call)
        name = pw_ast_name_from_end(pw_ast_get(call, "funcname"), 0);
    put_out(w, o, name ? name : "", out);
}

struct outputs pw_walk_outputs(struct walker *w, const struct scope *s, const cJSON *select)
{
    struct outputs o = {NULL, 0};
    const cJSON *t;
    cJSON_ArrayForEach(t, pw_ast_get(select, "targetList"))
    {
        put_target(w, s, &o, pw_ast_is(t, "ResTarget"));
    }
    return o;
}

/* FROM (...) AS s(a, b): other names for the first of them. */
void pw_walk_rename(struct walker *w, struct outputs *o, const cJSON *colnames)
{
    size_t k = 0;
    const cJSON *c;
    cJSON_ArrayForEach(c, colnames)
    {
        if (k < o->n)
            o->items[k].name = pw_mem_str(w->mem, pw_ast_str(pw_ast_is(c, "String"), "sval"));
        k++;
    }
}
