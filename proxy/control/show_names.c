/* Names of tables from the planner's catalog snapshots. Control thread. */
#include <stdio.h>

#include "planner/catalog.h"
#include "planner/state.h"
#include "proxy/base/alloc.h"
#include "proxy/control/show.h"

struct known {
    uint32_t database_id;
    struct catalog *catalog; /* REF; NULL: there is none now */
};

struct table_names {
    struct control *control; /* BORROW */
    struct known known[CONTROL_DATABASES_MAX];
    size_t n;
};

struct table_names *pw_table_names_new(struct control *c)
{
    struct table_names *names = pw_alloc(sizeof(*names));
    names->control = c;
    return names;
}

void pw_table_names_free(struct table_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        pw_catalog_unref(names->known[i].catalog);
    pw_free(names);
}

static struct catalog *take_catalog(struct control *c, uint32_t database_id)
{
    struct db_slot *slot = pw_planner_slot(c->planner, database_id);
    uint64_t generation;
    enum plan_reason why_not;
    return slot ? pw_slot_catalog(slot, &generation, &why_not) : NULL;
}

static const struct catalog *catalog_of(struct table_names *names, uint32_t database_id)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->known[i].database_id == database_id)
            return names->known[i].catalog;
    if (names->n == CONTROL_DATABASES_MAX)
        return NULL;
    struct known *k = &names->known[names->n++];
    k->database_id = database_id;
    k->catalog = take_catalog(names->control, database_id);
    return k->catalog;
}

void pw_table_names_put(struct table_names *names, uint32_t database_id, uint32_t oid, char *out,
                        size_t size)
{
    const struct catalog *c = catalog_of(names, database_id);
    const struct cat_table *t = c ? pw_catalog_table(c, oid) : NULL;
    if (t)
        snprintf(out, size, "%s.%s", pw_catalog_schema_name(c, t->object.schema), t->object.name);
    else
        snprintf(out, size, "%u", oid);
}

size_t pw_table_oids(struct control *c, uint32_t database_id, const char *name, uint32_t *out,
                     size_t max)
{
    struct catalog *catalog = take_catalog(c, database_id);
    if (!catalog)
        return 0;
    const char *dot = strchr(name, '.');
    char *schema = dot ? pw_strndup(name, (size_t)(dot - name)) : pw_strdup("");
    struct catalog_view *view = pw_catalog_view_new(catalog, "", "", NULL);
    const struct cat_table *t = NULL;
    size_t n = 0;
    while (n < max && (t = pw_view_table(view, schema, dot ? dot + 1 : name, t)))
        out[n++] = t->object.oid;
    pw_catalog_view_free(view);
    pw_free(schema);
    pw_catalog_unref(catalog);
    return n;
}
