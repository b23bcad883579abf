/* See catalog.h. */
#include "planner/catalog.h"

#include <string.h>

#include "planner/catalog_priv.h"
#include "proxy/base/alloc.h"
#include "proxy/base/attrs.h"

enum { PATH_SCHEMAS_MAX = 64 };

struct catalog_view {
    struct catalog *catalog; /* OWN a reference */
    bool any_schema;         /* the path is not known */
    uint32_t schemas[PATH_SCHEMAS_MAX + 1];
    size_t n_schemas;
};

uint64_t pw_catalog_name_hash(const char *name)
{
    return pw_hash_bytes(name, strlen(name));
}

struct catalog *pw_catalog_ref(struct catalog *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void pw_catalog_unref(struct catalog *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    pw_hashmap_free(&c->schemas);
    pw_hashmap_free(&c->tables);
    pw_hashmap_free(&c->tables_by_oid);
    pw_hashmap_free(&c->functions);
    pw_hashmap_free(&c->operators);
    pw_hashmap_free(&c->types);
    pw_arena_free(&c->arena);
    pw_free(c);
}

uint64_t pw_catalog_digest(const struct catalog *c)
{
    return c->digest;
}

bool pw_catalog_has_odd_casts(const struct catalog *c)
{
    return c->has_odd_casts;
}

const char *pw_catalog_unnamed_calls(const struct catalog *c)
{
    return c->unnamed_calls ? c->unnamed_calls : "";
}

bool pw_catalog_is_serializable(const struct catalog *c)
{
    return c->is_serializable;
}

bool pw_catalog_has_event_triggers(const struct catalog *c)
{
    return c->has_event_triggers;
}

const struct cat_table *pw_catalog_table(const struct catalog *c, uint32_t oid)
{
    for (struct hash_node *n = pw_hashmap_first(&c->tables_by_oid, pw_hash_mix(oid, 0)); n;
         n = pw_hashmap_next(n)) {
        struct cat_table *t = PW_CONTAINER_OF(n, struct cat_table, by_oid);
        if (t->object.oid == oid)
            return t;
    }
    return NULL;
}

static const struct cat_object *schema_by_name(const struct catalog *c, const char *name)
{
    for (struct hash_node *n = pw_hashmap_first(&c->schemas, pw_catalog_name_hash(name)); n;
         n = pw_hashmap_next(n)) {
        struct cat_object *o = PW_CONTAINER_OF(n, struct cat_object, node);
        if (strcmp(o->name, name) == 0)
            return o;
    }
    return NULL;
}

const char *pw_catalog_schema_name(const struct catalog *c, uint32_t oid)
{
    PW_HASHMAP_FOR(&c->schemas, it, tmp)
    {
        struct cat_object *o = PW_CONTAINER_OF(it, struct cat_object, node);
        if (o->oid == oid)
            return o->name;
    }
    return "";
}

/* ---- search_path ---- */

/* The next element of a search_path text ("$user", public), unquoted and folded; false at the end.
 */
static bool next_element(const char **p, char *out, size_t size)
{
    const char *s = *p;
    size_t n = 0;
    while (*s == ' ' || *s == ',' || *s == '\t' || *s == '\n')
        s++;
    if (!*s)
        return false;
    if (*s == '"') {
        for (s++; *s && !(*s == '"' && s[1] != '"'); s++) {
            if (*s == '"')
                s++;
            if (n + 1 < size)
                out[n++] = *s;
        }
        if (*s)
            s++;
    } else {
        for (; *s && *s != ',' && *s != ' '; s++) {
            if (n + 1 < size)
                out[n++] = *s >= 'A' && *s <= 'Z' ? (char)(*s | 0x20) : *s;
        }
    }
    out[n] = 0;
    *p = s;
    return true;
}

static void add_schema(struct catalog_view *v, const char *name)
{
    const struct cat_object *s = schema_by_name(v->catalog, name);
    if (!s)
        return;
    if (v->n_schemas >= PATH_SCHEMAS_MAX)
        v->any_schema = true;
    else
        v->schemas[v->n_schemas++] = s->oid;
}

static const char *role_path(const struct cat_paths *paths, const char *user)
{
    const struct cat_role_path *best = NULL;
    int best_rank = -1;
    for (uint32_t i = 0; i < paths->n; i++) {
        const struct cat_role_path *p = &paths->list[i];
        if (*p->role && strcmp(p->role, user) != 0)
            continue;
        int rank = (*p->role ? 2 : 0) + (p->here ? 1 : 0);
        /* PostgreSQL: role in this database, role, this database. */
        rank = rank == 3 ? 3 : rank == 2 ? 2 : rank;
        if (rank > best_rank) {
            best = p;
            best_rank = rank;
        }
    }
    return best ? best->path : NULL;
}

static void add_path(struct catalog_view *v, const char *user, const char *path)
{
    char element[256];
    while (next_element(&path, element, sizeof element))
        add_schema(v, strcmp(element, "$user") == 0 ? user : element);
}

/* The server's configured default is not visible to our own connection, which sets its own. */
static void add_default(struct catalog_view *v, const struct cat_paths *paths, const char *login,
                        const char *user)
{
    const char *path = role_path(paths, login);
    if (path)
        add_path(v, user, path);
    else
        v->any_schema = true;
}

struct catalog_view *pw_catalog_view_new(struct catalog *c, const char *login, const char *user,
                                         const char *search_path)
{
    struct catalog_view *v = pw_alloc(sizeof *v);
    v->catalog = pw_catalog_ref(c);
    v->schemas[v->n_schemas++] = CATALOG_PG_CATALOG;
    if (search_path) {
        add_path(v, user, search_path);
        return v;
    }
    add_default(v, &c->paths, login, user);
    for (uint32_t i = 0; i < c->n_past; i++)
        add_default(v, &c->past[i], login, user);
    v->any_schema = v->any_schema || c->forgot_past;
    return v;
}

void pw_catalog_view_free(struct catalog_view *v)
{
    if (!v)
        return;
    pw_catalog_unref(v->catalog);
    pw_free(v);
}

const struct catalog *pw_catalog_view_catalog(const struct catalog_view *v)
{
    return v->catalog;
}

/* ---- look-up ---- */

static bool in_path(const struct catalog_view *v, uint32_t schema)
{
    if (v->any_schema)
        return true;
    for (size_t i = 0; i < v->n_schemas; i++) {
        if (v->schemas[i] == schema)
            return true;
    }
    return false;
}

static const struct cat_object *next_object(const struct catalog_view *v, const struct hashmap *map,
                                            const char *schema, const char *name,
                                            const struct cat_object *after)
{
    uint32_t wanted = 0;
    if (*schema) {
        const struct cat_object *s = schema_by_name(v->catalog, schema);
        if (!s)
            return NULL;
        wanted = s->oid;
    }
    struct hash_node *n =
        after ? pw_hashmap_next(&after->node) : pw_hashmap_first(map, pw_catalog_name_hash(name));
    for (; n; n = pw_hashmap_next(n)) {
        const struct cat_object *o = PW_CONTAINER_OF(n, struct cat_object, node);
        if (strcmp(o->name, name) == 0 && (wanted ? o->schema == wanted : in_path(v, o->schema)))
            return o;
    }
    return NULL;
}

#define NEXT(type, map)                                                                            \
    (const struct type *)(const void *)next_object(v, &v->catalog->map, schema, name,              \
                                                   after ? &after->object : NULL)

const struct cat_table *pw_view_table(const struct catalog_view *v, const char *schema,
                                      const char *name, const struct cat_table *after)
{
    return NEXT(cat_table, tables);
}

const struct cat_function *pw_view_function(const struct catalog_view *v, const char *schema,
                                            const char *name, const struct cat_function *after)
{
    return NEXT(cat_function, functions);
}

const struct cat_operator *pw_view_operator(const struct catalog_view *v, const char *schema,
                                            const char *name, const struct cat_operator *after)
{
    return NEXT(cat_operator, operators);
}

const struct cat_type *pw_view_type(const struct catalog_view *v, const char *schema,
                                    const char *name, const struct cat_type *after)
{
    return NEXT(cat_type, types);
}
