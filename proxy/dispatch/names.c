#include "proxy/dispatch/names.h"

#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/pool/stmts.h"

struct name {
    struct hash_node node;
    struct stmt *stmt; /* REF */
    size_t len;
    char text[];
};

void pw_names_init(struct names *n)
{
    *n = (struct names){0};
    pw_hashmap_init(&n->map);
}

static struct name *find(const struct names *n, struct slice name, uint64_t hash)
{
    for (struct hash_node *h = pw_hashmap_first(&n->map, hash); h; h = pw_hashmap_next(h)) {
        struct name *known = PW_CONTAINER_OF(h, struct name, node);
        if (pw_slice_eq(pw_slice(known->text, known->len), name))
            return known;
    }
    return NULL;
}

void pw_names_clear(struct names *n)
{
    PW_HASHMAP_FOR(&n->map, h, tmp)
    {
        struct name *known = PW_CONTAINER_OF(h, struct name, node);
        pw_stmt_unref(known->stmt);
        pw_free(known);
    }
    pw_hashmap_free(&n->map);
    pw_stmt_unref(n->unnamed);
    n->unnamed = NULL;
}

struct stmt *pw_names_get(const struct names *n, struct slice name)
{
    if (name.len == 0)
        return n->unnamed;
    if (n->map.count == 0)
        return NULL;
    struct name *known = find(n, name, pw_hash_bytes(name.ptr, name.len));
    return known ? known->stmt : NULL;
}

struct stmt *pw_names_set(struct names *n, struct slice name, struct stmt *stmt)
{
    struct stmt *old;
    if (name.len == 0) {
        old = n->unnamed;
        n->unnamed = stmt;
        return old;
    }
    uint64_t hash = pw_hash_bytes(name.ptr, name.len);
    struct name *known = find(n, name, hash);
    if (known && stmt) {
        old = known->stmt;
        known->stmt = stmt;
        return old;
    }
    if (known) {
        old = known->stmt;
        pw_hashmap_remove(&n->map, &known->node);
        pw_free(known);
        return old;
    }
    if (stmt) {
        struct name *fresh = pw_alloc(sizeof *fresh + name.len);
        fresh->stmt = stmt;
        fresh->len = name.len;
        memcpy(fresh->text, name.ptr, name.len);
        pw_hashmap_insert(&n->map, &fresh->node, hash);
    }
    return NULL;
}

struct stmt *pw_names_next(const struct names *n, struct names_walk *walk, struct slice *name)
{
    if (walk->at)
        walk->at = walk->at->next;
    while (!walk->at && n->map.buckets && walk->bucket <= n->map.mask)
        walk->at = n->map.buckets[walk->bucket++];
    if (!walk->at)
        return NULL;
    struct name *known = PW_CONTAINER_OF(walk->at, struct name, node);
    *name = pw_slice(known->text, known->len);
    return known->stmt;
}

size_t pw_names_count(const struct names *n)
{
    return n->map.count + (n->unnamed ? 1 : 0);
}
