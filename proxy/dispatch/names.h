/* Names a client uses (prepared statements, portals) -> statement definitions. Bounded. Worker's
 * thread. */
#ifndef PROXY_DISPATCH_NAMES_H
#define PROXY_DISPATCH_NAMES_H

#include "proxy/base/hashmap.h"
#include "proxy/base/slice.h"

struct stmt;

struct names {
    struct hashmap map;
    struct stmt *unnamed; /* REF: what "" means; kept apart because it changes all the time */
};

enum { NAMES_MAX = 100000 };

void pw_names_init(struct names *n);
void pw_names_clear(struct names *n);                                /* forgets all; usable again */
struct stmt *pw_names_get(const struct names *n, struct slice name); /* BORROW or NULL */
/* Takes over the reference to stmt (NULL: forget the name). Returns the reference it replaced, or
 * NULL. */
struct stmt *pw_names_set(struct names *n, struct slice name, struct stmt *stmt);
/* Walks the named ones (not the unnamed); NULL at the end. No change meanwhile. */
struct names_walk {
    size_t bucket;
    struct hash_node *at;
};
struct stmt *pw_names_next(const struct names *n, struct names_walk *walk,
                           struct slice *name); /* BORROW */
size_t pw_names_count(const struct names *n);

#endif
