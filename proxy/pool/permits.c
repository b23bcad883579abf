#include "proxy/pool/permits.h"

#include <pthread.h>
#include <string.h>

#include "proxy/base/alloc.h"

enum { FAIR_US = 50 * 1000 };

struct permits {
    pthread_mutex_t lock; /* guards the map and the accounts' refs */
    struct hashmap accounts;
    void (*wake)(void *arg, unsigned worker);
    void *arg;
};

struct permits *pw_permits_new(void (*wake)(void *arg, unsigned worker), void *arg)
{
    struct permits *p = pw_alloc(sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    pw_hashmap_init(&p->accounts);
    p->wake = wake;
    p->arg = arg;
    return p;
}

static void account_free(struct permits *p, struct permit_account *a)
{
    pw_hashmap_remove(&p->accounts, &a->node);
    pw_free(a->database);
    pw_free(a->user);
    pw_free(a);
}

void pw_permits_free(struct permits *p)
{
    PW_HASHMAP_FOR(&p->accounts, n, tmp)
    {
        account_free(p, PW_CONTAINER_OF(n, struct permit_account, node));
    }
    pw_hashmap_free(&p->accounts);
    pthread_mutex_destroy(&p->lock);
    pw_free(p);
}

struct permit_account *pw_permits_account(struct permits *p, const char *database, const char *user)
{
    uint64_t hash =
        pw_hash_mix(pw_hash_bytes(database, strlen(database)), pw_hash_bytes(user, strlen(user)));
    struct permit_account *a = NULL;
    pthread_mutex_lock(&p->lock);
    for (struct hash_node *n = pw_hashmap_first(&p->accounts, hash); n && !a;
         n = pw_hashmap_next(n)) {
        a = PW_CONTAINER_OF(n, struct permit_account, node);
        if (strcmp(a->database, database) != 0 || strcmp(a->user, user) != 0)
            a = NULL;
    }
    if (!a) {
        a = pw_alloc(sizeof *a);
        a->database = pw_strdup(database);
        a->user = pw_strdup(user);
        pw_hashmap_insert(&p->accounts, &a->node, hash);
    }
    a->refs++;
    pthread_mutex_unlock(&p->lock);
    return a;
}

void pw_permits_drop(struct permits *p, struct permit_account *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&p->lock);
    if (--a->refs == 0)
        account_free(p, a);
    pthread_mutex_unlock(&p->lock);
}

bool pw_permits_try_take(struct permit_account *a, uint32_t limit)
{
    uint32_t used = atomic_load(&a->used);
    while (used < limit)
        if (atomic_compare_exchange_weak(&a->used, &used, used + 1))
            return true;
    return false;
}

static void wake(struct permits *p, uint64_t bits)
{
    for (unsigned worker = 0; worker < PERMIT_WORKERS_MAX && bits >> worker; worker++)
        if (bits >> worker & 1)
            p->wake(p->arg, worker); /* unknown numbers are ignored */
}

void pw_permits_give(struct permits *p, struct permit_account *a)
{
    atomic_fetch_sub(&a->used, 1);
    uint64_t asking = atomic_load(&a->asking);
    if (asking)
        wake(p, asking);
}

void pw_permits_ask(struct permits *p, struct permit_account *a, unsigned worker,
                    uint64_t oldest_us)
{
    unsigned slot = worker % PERMIT_WORKERS_MAX;
    uint64_t bit = 1ULL << slot;
    atomic_store(&a->oldest_us[slot], oldest_us);
    atomic_fetch_and(&a->answered, ~bit);
    if (!(atomic_fetch_or(&a->asking, bit) & bit))
        wake(p, ~bit);
}

void pw_permits_ask_no_more(struct permit_account *a, unsigned worker)
{
    uint64_t bit = 1ULL << worker % PERMIT_WORKERS_MAX;
    if (atomic_load_explicit(&a->asking, memory_order_relaxed) & bit)
        atomic_fetch_and(&a->asking, ~bit);
}

/* The other worker whose request has waited longest, and since when; -1: none asks. */
static int oldest_asker(const struct permit_account *a, unsigned worker, uint64_t bits,
                        uint64_t *since)
{
    int best = -1;
    bits &= ~(1ULL << worker % PERMIT_WORKERS_MAX);
    for (int slot = 0; slot < PERMIT_WORKERS_MAX && bits >> slot; slot++) {
        uint64_t us = bits >> slot & 1 ? atomic_load(&a->oldest_us[slot]) : 0;
        if (us && (best < 0 || us < *since)) {
            best = slot;
            *since = us;
        }
    }
    return best;
}

/* A hand-over costs a connection: not for a difference that nobody feels. */
static bool is_longer(uint64_t since_us, uint64_t own_oldest_us)
{
    return own_oldest_us == 0 || since_us + FAIR_US < own_oldest_us;
}

bool pw_permits_is_turn(const struct permit_account *a, unsigned worker, uint64_t own_oldest_us)
{
    uint64_t since, asking = atomic_load_explicit(&a->asking, memory_order_relaxed);
    return !asking || oldest_asker(a, worker, asking, &since) < 0 ||
           !is_longer(since, own_oldest_us);
}

bool pw_permits_answer(struct permit_account *a, unsigned worker, uint64_t own_oldest_us)
{
    uint64_t since, asking = atomic_load_explicit(&a->asking, memory_order_relaxed);
    if (!asking)
        return false;
    int slot = oldest_asker(a, worker, asking & ~atomic_load(&a->answered), &since);
    if (slot < 0 || !is_longer(since, own_oldest_us))
        return false;
    uint64_t bit = 1ULL << slot; /* one answer for each time it asks */
    return !(atomic_fetch_or(&a->answered, bit) & bit);
}

bool pw_permits_try_enter(_Atomic uint32_t *count, uint32_t limit)
{
    uint32_t before = atomic_fetch_add(count, 1);
    if (!limit || before < limit)
        return true;
    atomic_fetch_sub(count, 1);
    return false;
}

void pw_permits_leave(_Atomic uint32_t *count)
{
    atomic_fetch_sub(count, 1);
}
