/*
 * Process-wide connection permits: pool_size counts the server connections of one (database, user)
 * over all workers. Shared by the workers; everything in an account is atomic. A worker whose
 * requests wait and who gets no permit asks: it says since when its oldest request waits, and
 * whoever has a connection to spare, or whose own requests wait less long, closes one for it. So
 * requests wait about equally long in every worker. Also where clients are counted.
 */
#ifndef PROXY_POOL_PERMITS_H
#define PROXY_POOL_PERMITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/hashmap.h"

enum { PERMIT_WORKERS_MAX = 64 }; /* workers with the same number modulo this ask as one */

struct permit_account {
    struct hash_node node; /* LINK registry */
    char *database, *user; /* OWN */
    uint32_t refs;         /* under the registry's lock */
    _Atomic uint32_t used;
    _Atomic uint32_t clients;  /* logged in, or logging in */
    _Atomic uint64_t asking;   /* bit per worker */
    _Atomic uint64_t answered; /* ... for which a permit was given back since it asked */
    _Atomic uint64_t
        oldest_us[PERMIT_WORKERS_MAX]; /* what an asking worker waits since; 0: it does not ask */
};

struct permits; /* the registry; one per process */

struct permits *pw_permits_new(void (*wake)(void *arg, unsigned worker), void *arg);
void pw_permits_free(struct permits *p);
/* Any thread; a reference, given back by pw_permits_drop, with nothing taken and nobody counted in:
 * names that are tried in vain leave nothing behind. Database "" stands for all databases of that
 * user. */
struct permit_account *pw_permits_account(struct permits *p, const char *database,
                                          const char *user);
void pw_permits_drop(struct permits *p, struct permit_account *a); /* NULL is allowed */
bool pw_permits_try_take(struct permit_account *a, uint32_t limit);
/* Does no other worker ask for a request that waits longer? Who may not take a permit asks instead.
 */
bool pw_permits_is_turn(const struct permit_account *a, unsigned worker, uint64_t own_oldest_us);
void pw_permits_give(struct permits *p, struct permit_account *a); /* wakes those who ask */
/* The worker asks from now on, for a request that waits since oldest_us (not 0). The others are
 * woken when this is new. */
void pw_permits_ask(struct permits *p, struct permit_account *a, unsigned worker,
                    uint64_t oldest_us);
void pw_permits_ask_no_more(struct permit_account *a, unsigned worker);
/* Should this worker close a connection for another's sake? own_oldest_us: since when its own
 * oldest request waits; 0: none does. True answers one asker: the caller now gives one permit back.
 */
bool pw_permits_answer(struct permit_account *a, unsigned worker, uint64_t own_oldest_us);
/* max_clients and the like: counts one in, or says no. limit 0: no limit. Given back by
 * pw_permits_leave. */
bool pw_permits_try_enter(_Atomic uint32_t *count, uint32_t limit);
void pw_permits_leave(_Atomic uint32_t *count);

#endif
