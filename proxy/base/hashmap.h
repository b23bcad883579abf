/*
 * Intrusive chained hash map. The caller hashes (pw_hash_bytes, keyed by a per-process random
 * seed) and compares: lookups walk the candidates of one hash. Grows by doubling; never shrinks.
 * Not thread-safe. Nodes are owned by the caller.
 */
#ifndef PROXY_BASE_HASHMAP_H
#define PROXY_BASE_HASHMAP_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"

struct hash_node {
    struct hash_node *next; /* LINK */
    uint64_t hash;
};

struct hashmap {
    struct hash_node **buckets; /* OWN; NULL until the first insert */
    size_t mask, count;
};

void pw_hashmap_init(struct hashmap *m);
void pw_hashmap_free(struct hashmap *m); /* frees the buckets, not the nodes */
void pw_hashmap_insert(struct hashmap *m, struct hash_node *n, uint64_t hash);
void pw_hashmap_remove(struct hashmap *m, struct hash_node *n);
/* First candidate with this hash, then the next ones; NULL at the end. */
struct hash_node *pw_hashmap_first(const struct hashmap *m, uint64_t hash);
struct hash_node *pw_hashmap_next(const struct hash_node *n);

/* XXH3 with the process seed (pw_hash_seed_init draws it from getrandom once, at start). */
void pw_hash_seed_init(void);
uint64_t pw_hash_bytes(const void *data, size_t len);
uint64_t pw_hash_mix(uint64_t a, uint64_t b);

/* Iterates over every node; the current node may be removed, no other change is allowed. */
#define PW_HASHMAP_FOR(m, it, tmp)                                                                 \
    for (size_t it##_b = 0; (m)->buckets && it##_b <= (m)->mask; it##_b++)                         \
        for (struct hash_node *it = (m)->buckets[it##_b], *tmp = it ? it->next : NULL; it;         \
             it = tmp, tmp = it ? it->next : NULL)

#endif
