/* See build_sql.h. */
#include "advisor/build_sql.h"

#include <string.h>

#define DEPTH_MAX 16

static bool is_taken(const struct advice_run *r, const char *schema, const char *name)
{
    const struct advice_set *s = r->set;
    size_t n = strlen(schema);
    for (size_t k = 0; k < r->inv.n_indexes; k++)
        if (strcmp(r->inv.indexes[k].name, name) == 0 &&
            strcmp(r->inv.indexes[k].schema, schema) == 0)
            return true;
    for (size_t k = 0; k < s->n_items; k++) {
        const char *object = s->items[k].object;
        if (strncmp(object, schema, n) == 0 && object[n] == '.' &&
            strcmp(object + n + 1, name) == 0)
            return true;
    }
    return false;
}

const char *pw_build_name(const struct advice_run *r, const char *schema, const char *wanted)
{
    struct arena *mem = &r->set->mem;
    const char *name = wanted;
    for (int suffix = 1; suffix < 100 && is_taken(r, schema, name); suffix++)
        name = pw_mem_printf(mem, "%.54s%d", wanted, suffix);
    return name;
}

static char *add_partitions(struct advice_run *r, char *sql, const struct inv_table *t,
                            const char *index, const char *rest, int depth, int *n)
{
    struct arena *mem = &r->set->mem;
    for (size_t k = 0; k < r->inv.n_tables && depth < DEPTH_MAX; k++) {
        const struct inv_table *p = &r->inv.tables[k];
        if (p->parent != t->oid)
            continue;
        const char *wanted = pw_mem_printf(mem, "%.40s_p%d_idx", p->name, ++*n);
        const char *name = pw_build_name(r, p->schema, wanted);
        const char *its = pw_mem_qualified(mem, p->schema, name);
        bool deeper = p->kind == 'p';
        sql = pw_mem_printf(mem, "%s\nCREATE INDEX %s%s ON %s%s%s;", sql,
                            deeper ? "" : "CONCURRENTLY ", pw_mem_ident(mem, name),
                            deeper ? "ONLY " : "", pw_mem_qualified(mem, p->schema, p->name), rest);
        if (deeper)
            sql = add_partitions(r, sql, p, its, rest, depth + 1, n);
        sql = pw_mem_printf(mem, "%s\nALTER INDEX %s ATTACH PARTITION %s;", sql, index, its);
    }
    return sql;
}

char *pw_build_sql(struct advice_run *r, const struct inv_table *t, const char *name,
                   const char *rest)
{
    struct arena *mem = &r->set->mem;
    const char *on = pw_mem_qualified(mem, t->schema, t->name);
    int n = 0;
    if (t->kind != 'p')
        return pw_mem_printf(mem, "CREATE INDEX CONCURRENTLY %s ON %s%s;", pw_mem_ident(mem, name),
                             on, rest);
    char *sql =
        pw_mem_printf(mem, "CREATE INDEX %s ON ONLY %s%s;", pw_mem_ident(mem, name), on, rest);
    return add_partitions(r, sql, t, pw_mem_qualified(mem, t->schema, name), rest, 0, &n);
}

char *pw_build_undo_sql(struct advice_run *r, const struct inv_table *t, const char *name)
{
    return pw_mem_printf(&r->set->mem, "DROP INDEX %s%s;", t->kind == 'p' ? "" : "CONCURRENTLY ",
                         pw_mem_qualified(&r->set->mem, t->schema, name));
}
