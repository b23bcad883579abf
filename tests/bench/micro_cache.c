/*
 * Nanoseconds per cache operation, one thread and several. Not a test: numbers are for people.
 *   micro_cache [threads] [entries]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "proxy/base/clock.h"
#include "proxy/base/hashmap.h"
#include "proxy/mem/objpool.h"

enum { DB = 1, KEY_BYTES = 120, ROW_BYTES = 200, LOOKUPS = 3000000 };

struct job {
    struct cache *cache; /* BORROW */
    uint32_t entries, offset;
    uint64_t hits;
};

static uint64_t make_key(char *out, uint32_t i)
{
    memset(out, 'k', KEY_BYTES);
    memcpy(out, &i, sizeof i);
    return pw_hash_bytes(out, KEY_BYTES);
}

static void fill_one(struct cache *c, uint32_t i)
{
    char key[KEY_BYTES], row[ROW_BYTES] = {0};
    uint32_t tables[2] = {i % 50, 50 + i % 7};
    struct cache_stamp stamp;
    uint64_t hash = make_key(key, i);
    if (!pw_cache_stamp_take(c, &stamp, DB, tables, 2))
        return;
    struct cache_fill *f = pw_cache_fill_new(c, &stamp, pw_slice(key, sizeof key), hash, 0);
    if (f && pw_cache_fill_description(f, pw_slice(row, 60)) &&
        pw_cache_fill_rows(f, pw_slice(row, sizeof row)) && pw_cache_fill_tag(f, pw_slice(row, 14)))
        (void)pw_cache_fill_commit(f, 1, 1000, 0, 1, 0);
    else
        pw_cache_fill_abandon(f);
}

static void *look_up(void *arg)
{
    struct job *j = arg;
    char key[KEY_BYTES];
    for (uint32_t n = 0; n < LOOKUPS; n++) {
        uint64_t hash = make_key(key, (n * 7919 + j->offset) % j->entries);
        struct cache_entry *e = pw_cache_get(j->cache, pw_slice(key, sizeof key), hash, 1);
        j->hits += e != NULL;
        pw_cache_entry_unref(e);
    }
    return NULL;
}

static void measure_hits(struct cache *c, unsigned threads, uint32_t entries)
{
    struct job jobs[64];
    pthread_t ids[64];
    uint64_t hits = 0, start = pw_clock_us();
    for (unsigned i = 0; i < threads; i++) {
        jobs[i] = (struct job){.cache = c, .entries = entries, .offset = i * 104729};
        if (pthread_create(&ids[i], NULL, look_up, &jobs[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        hits += jobs[i].hits;
    }
    double ns = (double)(pw_clock_us() - start) * 1000 / LOOKUPS;
    printf("threads=%u entries=%u ns_per_get=%.1f hit_rate=%.3f\n", threads, entries, ns,
           (double)hits / ((double)LOOKUPS * threads));
}

static void measure_objpool(void)
{
    struct objpool p;
    pw_objpool_init(&p, "bench", 256, 16);
    void *warm = pw_objpool_get(&p);
    pw_objpool_put(&p, warm);
    uint64_t start = pw_clock_us();
    for (int i = 0; i < 10 * LOOKUPS; i++)
        pw_objpool_put(&p, pw_objpool_get(&p));
    printf("objpool ns_per_get_and_put=%.2f\n",
           (double)(pw_clock_us() - start) * 1000 / (10.0 * LOOKUPS));
    pw_objpool_destroy(&p);
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
    uint32_t entries = argc > 2 ? (uint32_t)atoi(argv[2]) : 100000;
    const struct cache_options o = {.memory_bytes = 256 << 20, .max_entry_bytes = 1 << 20};
    if (threads < 1 || threads > 64 || entries < 1)
        return 2;
    pw_hash_seed_init();
    measure_objpool();
    struct cache *c = pw_cache_new(&o);
    uint64_t start = pw_clock_us();
    for (uint32_t i = 0; i < entries; i++)
        fill_one(c, i);
    printf("fill ns=%.0f\n", (double)(pw_clock_us() - start) * 1000 / entries);
    measure_hits(c, 1, entries);
    measure_hits(c, 1, entries < 100 ? entries : 100);
    measure_hits(c, threads, entries);
    measure_hits(c, threads, 1); /* the worst: everybody wants the same entry */
    pw_cache_free(c);
    return 0;
}
