/*
 * Which columns a statement mentions (plan.h: columns_read, columns_written): every name counts for
 * every table of the statement that has such a column, so the answer is a superset. See classify.h.
 */
#include <string.h>

#include "planner/ast.h"
#include "planner/classify.h"

struct mentioned {
    struct classify *c;
    const struct cat_table *tables[CLASSIFY_RELATIONS_MAX + 1]; /* named in the text */
    uint32_t n;
    const char *aliases[CLASSIFY_RELATIONS_MAX + 1];
    uint32_t n_aliases;
    bool all; /* of every table */
};

static void add_table(struct mentioned *m, const struct cat_table *t)
{
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->tables[i] == t)
            return;
    }
    if (m->n <= CLASSIFY_RELATIONS_MAX)
        m->tables[m->n++] = t;
}

static bool is_alias(const struct mentioned *m, const char *name)
{
    for (uint32_t i = 0; i < m->n_aliases; i++) {
        if (strcmp(m->aliases[i], name) == 0)
            return true;
    }
    return false;
}

static void on_name(struct mentioned *m, const char *name)
{
    bool found = false;
    for (uint32_t t = 0; t < m->n; t++) {
        const struct cat_table *table = m->tables[t];
        for (uint32_t i = 0; i < table->n_columns; i++) {
            if (strcmp(table->columns[i].name, name) != 0)
                continue;
            pw_draft_column(&m->c->d->columns_read, table->object.oid, table->columns[i].attnum);
            found = true;
        }
    }
    /* A whole row; or a column of a subselect, whose own columns are seen inside it. */
    if (!found && (is_alias(m, name) || !m->c->has_derived))
        m->all = true;
}

static void on_fields(struct mentioned *m, const cJSON *fields)
{
    const char *name = pw_ast_name_from_end(fields, 0); /* NULL: a star */
    if (name)
        on_name(m, name);
    else
        m->all = true;
}

static void collect_aliases(struct mentioned *m, const cJSON *node)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        bool is_name =
            cJSON_IsString(child) && child->string &&
            (strcmp(child->string, "aliasname") == 0 || strcmp(child->string, "relname") == 0);
        if (is_name && m->n_aliases <= CLASSIFY_RELATIONS_MAX)
            m->aliases[m->n_aliases++] = child->valuestring;
        else if (is_name)
            m->all = true;
        else if (child->string && strcmp(child->string, "colnames") == 0)
            m->all = true; /* renamed */
        if (cJSON_IsObject(child) || cJSON_IsArray(child))
            collect_aliases(m, child);
    }
}

static void walk(struct mentioned *m, const cJSON *node)
{
    const cJSON *child, *each;
    cJSON_ArrayForEach(child, node)
    {
        const char *name = child->string ? child->string : "";
        if (strcmp(name, "ColumnRef") == 0) {
            on_fields(m, pw_ast_get(child, "fields"));
        } else if (strcmp(name, "usingClause") == 0) {
            cJSON_ArrayForEach(each, child)
            {
                const cJSON *using = pw_ast_is(each, "String");
                if (using)
                    on_name(m, pw_ast_str(using, "sval"));
            }
        } else if (strcmp(name, "isNatural") == 0) {
            m->all = true;
        }
        if (cJSON_IsObject(child) || cJSON_IsArray(child))
            walk(m, child);
    }
}

static bool is_named(const struct mentioned *m, uint32_t oid)
{
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->tables[i]->object.oid == oid)
            return true;
    }
    return false;
}

/* ---- written ---- */

/* ResTargets of INSERT (a, b) or SET a = ..., b = ... */
static void on_targets(struct classify *c, const struct cat_table *t, const cJSON *targets)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, targets)
    {
        const char *name = pw_ast_str(pw_ast_is(each, "ResTarget"), "name");
        for (uint32_t i = 0; i < t->n_columns; i++) {
            if (strcmp(t->columns[i].name, name) == 0)
                pw_draft_column(&c->d->columns_written, t->object.oid, t->columns[i].attnum);
        }
    }
}

static void written(struct classify *c, const struct cat_table *t, const char *statement,
                    const cJSON *node)
{
    bool is_update = strcmp(statement, "UpdateStmt") == 0;
    /* An INSERT fills every column of its row, named or not. */
    if (is_update && !t->n_triggers && t->kind != 'v')
        on_targets(c, t, pw_ast_get(node, "targetList"));
    else
        pw_draft_column(&c->d->columns_written, t->object.oid, 0);
}

void pw_classify_columns(struct classify *c, const char *name, const cJSON *node)
{
    struct mentioned m = {.c = c};
    const cJSON *target = pw_ast_get(node, "relation");
    const struct cat_table *t = NULL, *targets = NULL;
    for (uint32_t i = 0; i < c->n_relations; i++)
        add_table(&m, c->relations[i]);
    while (target && (t = pw_view_table(c->view, pw_ast_str(target, "schemaname"),
                                        pw_ast_str(target, "relname"), t))) {
        targets = t;
        add_table(&m, t);
        written(c, t, name, node);
    }
    collect_aliases(&m, node);
    walk(&m, node);
    for (uint32_t i = 0; m.all && i < m.n; i++)
        pw_draft_column(&c->d->columns_read, m.tables[i]->object.oid, 0);
    /* What is behind views and in partitions. */
    for (size_t i = 0; i < c->d->read.n; i++) {
        if (!is_named(&m, c->d->read.oids[i]))
            pw_draft_column(&c->d->columns_read, c->d->read.oids[i], 0);
    }
    for (size_t i = 0; i < c->d->written.n; i++) {
        if (!targets || targets->object.oid != c->d->written.oids[i])
            pw_draft_column(&c->d->columns_written, c->d->written.oids[i], 0);
    }
    c->d->columns_known = c->n_relations < CLASSIFY_RELATIONS_MAX &&
                          m.n <= CLASSIFY_RELATIONS_MAX && !(c->d->flags & PLAN_F_WRITES_ALL);
}
