/* See catalog_build.h. */
#include "planner/catalog_build.h"

#include <stdlib.h>
#include <string.h>

#include "planner/catalog_priv.h"
#include "proxy/base/alloc.h"
#include "proxy/base/attrs.h"
#include "proxy/net/pgconn.h"

struct catalog_builder {
    struct catalog *c;               /* OWN */
    struct hashmap functions_by_oid; /* of struct function_ref */
    bool failed;
};

struct function_ref {
    struct hash_node node;
    const struct cat_function *function;
};

struct catalog_builder *pw_catalog_build_new(void)
{
    struct catalog_builder *b = pw_alloc(sizeof *b);
    b->c = pw_alloc(sizeof *b->c);
    atomic_init(&b->c->refs, 1);
    pw_arena_init(&b->c->arena, CATALOG_BYTES_MAX);
    pw_hashmap_init(&b->c->schemas);
    pw_hashmap_init(&b->c->tables);
    pw_hashmap_init(&b->c->tables_by_oid);
    pw_hashmap_init(&b->c->functions);
    pw_hashmap_init(&b->c->operators);
    pw_hashmap_init(&b->c->types);
    pw_hashmap_init(&b->functions_by_oid);
    return b;
}

void pw_catalog_build_free(struct catalog_builder *b)
{
    if (!b)
        return;
    pw_hashmap_free(&b->functions_by_oid);
    pw_catalog_unref(b->c);
    pw_free(b);
}

struct catalog *pw_catalog_build_finish(struct catalog_builder *b)
{
    struct catalog *c = pw_catalog_ref(b->c);
    pw_catalog_build_free(b);
    return c;
}

/* ---- cells ---- */

static void *take(struct catalog_builder *b, size_t size)
{
    void *p = pw_arena_try_alloc(&b->c->arena, size);
    if (p)
        memset(p, 0, size);
    else
        b->failed = true;
    return p;
}

static const char *text(struct catalog_builder *b, const struct pgresult *r, int row, int col)
{
    const char *v = pw_pgresult_get(r, row, col);
    if (!v)
        return NULL;
    const char *copy = pw_arena_try_strndup(&b->c->arena, v, pw_pgresult_len(r, row, col));
    if (!copy)
        b->failed = true;
    return copy;
}

static uint32_t oid(const struct pgresult *r, int row, int col)
{
    const char *v = pw_pgresult_get(r, row, col);
    return v ? (uint32_t)strtoul(v, NULL, 10) : 0;
}

static bool flag(const struct pgresult *r, int row, int col)
{
    return oid(r, row, col) != 0;
}

/* The first three cells of most parts: oid, schema, name. */
static bool object(struct catalog_builder *b, struct hashmap *map, struct cat_object *o,
                   const struct pgresult *r, int row)
{
    o->oid = oid(r, row, 0);
    o->schema = oid(r, row, 1);
    o->name = text(b, r, row, 2);
    if (!o->name)
        return false;
    pw_hashmap_insert(map, &o->node, pw_catalog_name_hash(o->name));
    return true;
}

/* How many rows from `row` on have the same first cell. */
static int run_length(const struct pgresult *r, int row)
{
    uint32_t first = oid(r, row, 0);
    int n = 1;
    while (row + n < pw_pgresult_rows(r) && oid(r, row + n, 0) == first)
        n++;
    return n;
}

static struct cat_table *mutable_table(struct catalog_builder *b, uint32_t table_oid)
{
    return (struct cat_table *)(uintptr_t)pw_catalog_table(b->c, table_oid);
}

/* ---- parts; each handles one row and returns how many it used ---- */

static int add_schema(struct catalog_builder *b, const struct pgresult *r, int row)
{
    struct cat_object *o = take(b, sizeof *o);
    if (o && (o->name = text(b, r, row, 1))) {
        o->oid = oid(r, row, 0);
        pw_hashmap_insert(&b->c->schemas, &o->node, pw_catalog_name_hash(o->name));
    }
    return 1;
}

static int add_paths(struct catalog_builder *b, const struct pgresult *r, int row)
{
    int n = pw_pgresult_rows(r);
    struct cat_paths *paths = &b->c->paths;
    paths->list = take(b, (size_t)n * sizeof *paths->list);
    for (; paths->list && row < n; row++) {
        const char *role = text(b, r, row, 0), *path = text(b, r, row, 2);
        if (role && path)
            paths->list[paths->n++] = (struct cat_role_path){role, path, flag(r, row, 1)};
    }
    return n;
}

/* ---- defaults of before */

static bool same_paths(const struct cat_paths *a, const struct cat_paths *b)
{
    bool same = a->n == b->n;
    for (uint32_t i = 0; same && i < a->n; i++)
        same = a->list[i].here == b->list[i].here &&
               strcmp(a->list[i].role, b->list[i].role) == 0 &&
               strcmp(a->list[i].path, b->list[i].path) == 0;
    return same;
}

static const char *copied(struct catalog_builder *b, const char *s)
{
    const char *copy = pw_arena_try_strndup(&b->c->arena, s, strlen(s));
    b->failed = b->failed || !copy;
    return copy;
}

static void remember_paths(struct catalog_builder *b, const struct cat_paths *old)
{
    struct catalog *c = b->c;
    bool known = same_paths(&c->paths, old);
    for (uint32_t i = 0; i < c->n_past; i++)
        known = known || same_paths(&c->past[i], old);
    if (known)
        return;
    if (c->n_past == CATALOG_PAST_MAX) {
        c->forgot_past = true;
        return;
    }
    struct cat_paths *to = &c->past[c->n_past++];
    to->list = take(b, old->n * sizeof *to->list);
    for (; to->list && to->n < old->n; to->n++) {
        const struct cat_role_path *p = &old->list[to->n];
        to->list[to->n] = (struct cat_role_path){copied(b, p->role), copied(b, p->path), p->here};
    }
}

bool pw_catalog_build_remember(struct catalog_builder *b, const struct catalog *before)
{
    if (!before)
        return true;
    b->c->past = take(b, CATALOG_PAST_MAX * sizeof *b->c->past);
    b->c->forgot_past = before->forgot_past;
    if (b->c->past)
        remember_paths(b, &before->paths);
    for (uint32_t i = 0; !b->failed && i < before->n_past; i++)
        remember_paths(b, &before->past[i]);
    return !b->failed;
}

static int add_table(struct catalog_builder *b, const struct pgresult *r, int row)
{
    struct cat_table *t = take(b, sizeof *t);
    if (!t || !object(b, &b->c->tables, &t->object, r, row))
        return 1;
    pw_hashmap_insert(&b->c->tables_by_oid, &t->by_oid, pw_hash_mix(t->object.oid, 0));
    const char *kind = pw_pgresult_get(r, row, 3);
    t->kind = kind ? *kind : 'r';
    t->is_temporary = flag(r, row, 4);
    t->is_system = flag(r, row, 5);
    t->row_security = flag(r, row, 6);
    t->has_rules = flag(r, row, 7);
    t->view_text = text(b, r, row, 8);
    t->write_text = text(b, r, row, 9);
    t->has_serial = flag(r, row, 10) || (t->write_text && strstr(t->write_text, "nextval("));
    return 1;
}

static int add_columns(struct catalog_builder *b, const struct pgresult *r, int row)
{
    int n = run_length(r, row);
    struct cat_table *t = mutable_table(b, oid(r, row, 0));
    struct cat_column *columns = t ? take(b, (size_t)n * sizeof *columns) : NULL;
    for (int i = 0; columns && i < n; i++) {
        columns[i] = (struct cat_column){.name = text(b, r, row + i, 1),
                                         .is_text = flag(r, row + i, 2),
                                         .is_timetz = flag(r, row + i, 3),
                                         .type = oid(r, row + i, 4),
                                         .attnum = (int16_t)oid(r, row + i, 5),
                                         .has_typmod = flag(r, row + i, 6),
                                         .is_deterministic = flag(r, row + i, 7)};
    }
    if (columns) {
        t->columns = columns;
        t->n_columns = (uint32_t)n;
    }
    return n;
}

static uint32_t *add_oids(struct catalog_builder *b, const struct pgresult *r, int row, int n)
{
    uint32_t *list = take(b, (size_t)n * sizeof *list);
    for (int i = 0; list && i < n; i++)
        list[i] = oid(r, row + i, 1);
    return list;
}

static int add_children(struct catalog_builder *b, const struct pgresult *r, int row)
{
    int n = run_length(r, row);
    struct cat_table *t = mutable_table(b, oid(r, row, 0));
    uint32_t *list = t ? add_oids(b, r, row, n) : NULL;
    if (list) {
        t->children = list;
        t->n_children = (uint32_t)n;
    }
    for (int i = 0; list && i < n; i++) {
        struct cat_table *child = mutable_table(b, list[i]);
        if (child)
            child->has_parent = true;
    }
    return n;
}

static int add_cascades(struct catalog_builder *b, const struct pgresult *r, int row)
{
    int n = run_length(r, row);
    struct cat_table *t = mutable_table(b, oid(r, row, 0));
    uint32_t *list = t ? add_oids(b, r, row, n) : NULL;
    if (list) {
        t->cascades = list;
        t->n_cascades = (uint32_t)n;
    }
    return n;
}

static int add_type(struct catalog_builder *b, const struct pgresult *r, int row)
{
    struct cat_type *t = take(b, sizeof *t);
    if (t && object(b, &b->c->types, &t->object, r, row)) {
        t->verdict = (enum cat_verdict)oid(r, row, 3);
        t->is_text = flag(r, row, 4);
    }
    return 1;
}

static enum cat_language language(const char *name)
{
    if (strcmp(name, "internal") == 0)
        return CAT_LANGUAGE_BUILTIN;
    if (strcmp(name, "c") == 0)
        return CAT_LANGUAGE_C;
    if (strcmp(name, "sql") == 0)
        return CAT_LANGUAGE_SQL;
    return strcmp(name, "plpgsql") == 0 ? CAT_LANGUAGE_PLPGSQL : CAT_LANGUAGE_OTHER;
}

static int add_function(struct catalog_builder *b, const struct pgresult *r, int row)
{
    struct cat_function *f = take(b, sizeof *f);
    struct function_ref *ref = take(b, sizeof *ref);
    if (!f || !ref || !object(b, &b->c->functions, &f->object, r, row))
        return 1;
    const char *volatility = pw_pgresult_get(r, row, 3), *lang = pw_pgresult_get(r, row, 4);
    f->volatility = volatility ? *volatility : 'v';
    f->language = language(lang ? lang : "");
    f->takes_row = flag(r, row, 5);
    f->returns_text = flag(r, row, 6);
    f->source = text(b, r, row, 7);
    f->signature = text(b, r, row, 8);
    f->defaults = text(b, r, row, 9);
    f->takes_text = flag(r, row, 10);
    f->converts_result = !flag(r, row, 11);
    ref->function = f;
    pw_hashmap_insert(&b->functions_by_oid, &ref->node, pw_hash_mix(f->object.oid, 0));
    return 1;
}

static const struct cat_function *function_by_oid(const struct catalog_builder *b, uint32_t id)
{
    for (struct hash_node *n = pw_hashmap_first(&b->functions_by_oid, pw_hash_mix(id, 0)); n;
         n = pw_hashmap_next(n)) {
        const struct function_ref *ref = PW_CONTAINER_OF(n, struct function_ref, node);
        if (ref->function->object.oid == id)
            return ref->function;
    }
    return NULL;
}

static int add_operator(struct catalog_builder *b, const struct pgresult *r, int row)
{
    struct cat_operator *o = take(b, sizeof *o);
    if (!o || !object(b, &b->c->operators, &o->object, r, row))
        return 1;
    const char *volatility = pw_pgresult_get(r, row, 3);
    o->volatility = volatility ? *volatility : 'v';
    o->returns_text = flag(r, row, 4);
    o->function = text(b, r, row, 5);
    o->takes_builtin = flag(r, row, 6);
    o->code = function_by_oid(b, oid(r, row, 7));
    return 1;
}

static int add_triggers(struct catalog_builder *b, const struct pgresult *r, int row)
{
    int n = run_length(r, row);
    struct cat_table *t = mutable_table(b, oid(r, row, 0));
    const struct cat_function **list = t ? take(b, (size_t)n * sizeof *list) : NULL;
    for (int i = 0; list && i < n; i++)
        list[i] = function_by_oid(b, oid(r, row + i, 1));
    if (list) {
        t->triggers = list;
        t->n_triggers = (uint32_t)n;
    }
    return n;
}

static int add_unnamed_calls(struct catalog_builder *b, const struct pgresult *r, int row)
{
    b->c->has_odd_casts = flag(r, row, 0);
    b->c->unnamed_calls = text(b, r, row, 1);
    b->c->has_event_triggers = flag(r, row, 2);
    b->c->is_serializable = flag(r, row, 3);
    return 1;
}

/* "2 1" -> attnums. */
static uint32_t key_columns(struct catalog_builder *b, const char *list, const int16_t **out)
{
    uint32_t n = 0;
    int16_t *columns = take(b, CATALOG_KEY_COLUMNS * sizeof *columns);
    for (char *end; columns && *list && n < CATALOG_KEY_COLUMNS; list = end) {
        columns[n++] = (int16_t)strtol(list, &end, 10);
        if (end == list)
            return 0;
    }
    *out = columns;
    return n;
}

static int add_keys(struct catalog_builder *b, const struct pgresult *r, int row)
{
    int n = run_length(r, row);
    struct cat_table *t = mutable_table(b, oid(r, row, 0));
    struct cat_key *keys = t ? take(b, (size_t)n * sizeof *keys) : NULL;
    for (int i = 0; keys && i < n; i++) {
        const char *list = pw_pgresult_get(r, row + i, 3);
        keys[i].index = oid(r, row + i, 1);
        keys[i].is_primary = flag(r, row + i, 2);
        keys[i].n_columns = key_columns(b, list ? list : "", &keys[i].columns);
    }
    if (keys) {
        t->keys = keys;
        t->n_keys = (uint32_t)n;
    }
    return n;
}

static int add_nothing(struct catalog_builder *b, const struct pgresult *r, int row)
{
    (void)b;
    (void)r;
    (void)row;
    return 1;
}

static void add_to_digest(struct catalog *c, const struct pgresult *r)
{
    int rows = pw_pgresult_rows(r), cols = pw_pgresult_cols(r);
    c->digest = pw_hash_mix(c->digest, (uint64_t)rows);
    for (int i = 0; i < rows; i++) {
        for (int k = 0; k < cols; k++) {
            const char *v = pw_pgresult_get(r, i, k);
            uint64_t h = v ? pw_hash_bytes(v, pw_pgresult_len(r, i, k)) : 1;
            c->digest = pw_hash_mix(c->digest, h);
        }
    }
}

bool pw_catalog_build_part(struct catalog_builder *b, int part, const struct pgresult *r)
{
    static const struct {
        int (*add)(struct catalog_builder *b, const struct pgresult *r, int row);
        int cols;
    } rows[CATALOG_PARTS] = {{add_schema, 2},   {add_paths, 3},         {add_table, 12},
                             {add_columns, 9},  {add_children, 2},      {add_cascades, 2},
                             {add_type, 5},     {add_function, 12},     {add_operator, 8},
                             {add_triggers, 2}, {add_unnamed_calls, 4}, {add_nothing, 5},
                             {add_keys, 4}};
    if (!pw_pgresult_ok(r) || pw_pgresult_cols(r) != rows[part].cols)
        return false;
    add_to_digest(b->c, r);
    for (int row = 0; row < pw_pgresult_rows(r) && !b->failed;)
        row += rows[part].add(b, r, row);
    return !b->failed;
}
