#include "proxy/base/hashmap.h"

#include <sys/random.h>

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <xxhash.h>
#pragma GCC diagnostic pop

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

enum { BUCKETS_INITIAL = 16 };

static uint64_t process_seed; /* written once at start, before any thread */

void pw_hash_seed_init(void)
{
    if (getrandom(&process_seed, sizeof process_seed, 0) != (ssize_t)sizeof process_seed)
        process_seed = 0x9e3779b97f4a7c15ULL;
}

uint64_t pw_hash_bytes(const void *data, size_t len)
{
    return XXH3_64bits_withSeed(data, len, process_seed);
}

uint64_t pw_hash_mix(uint64_t a, uint64_t b)
{
    a ^= b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2);
    a ^= a >> 33;
    a *= 0xff51afd7ed558ccdULL;
    return a ^ (a >> 33);
}

void pw_hashmap_init(struct hashmap *m)
{
    *m = (struct hashmap){0};
}

void pw_hashmap_free(struct hashmap *m)
{
    pw_free(m->buckets);
    pw_hashmap_init(m);
}

static void rehash(struct hashmap *m, size_t buckets)
{
    struct hash_node **fresh = pw_alloc(buckets * sizeof *fresh);
    PW_HASHMAP_FOR(m, n, tmp)
    {
        struct hash_node **slot = &fresh[n->hash & (buckets - 1)];
        n->next = *slot;
        *slot = n;
    }
    pw_free(m->buckets);
    m->buckets = fresh;
    m->mask = buckets - 1;
}

void pw_hashmap_insert(struct hashmap *m, struct hash_node *n, uint64_t hash)
{
    if (!m->buckets)
        rehash(m, BUCKETS_INITIAL);
    else if (m->count > m->mask)
        rehash(m, (m->mask + 1) * 2);
    n->hash = hash;
    n->next = m->buckets[hash & m->mask];
    m->buckets[hash & m->mask] = n;
    m->count++;
}

void pw_hashmap_remove(struct hashmap *m, struct hash_node *n)
{
    PW_CHECK(m->buckets);
    struct hash_node **slot = &m->buckets[n->hash & m->mask];
    while (*slot && *slot != n)
        slot = &(*slot)->next;
    PW_CHECK(*slot == n);
    *slot = n->next;
    n->next = NULL;
    m->count--;
}

struct hash_node *pw_hashmap_first(const struct hashmap *m, uint64_t hash)
{
    if (!m->buckets)
        return NULL;
    struct hash_node *n = m->buckets[hash & m->mask];
    while (n && n->hash != hash)
        n = n->next;
    return n;
}

struct hash_node *pw_hashmap_next(const struct hash_node *n)
{
    uint64_t hash = n->hash;
    const struct hash_node *it = n->next;
    while (it && it->hash != hash)
        it = it->next;
    return (struct hash_node *)(uintptr_t)it;
}
