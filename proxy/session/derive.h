/*
 * PBKDF2 away from the loop, and once: a worker's derivations run in libuv's thread pool, a few at
 * a time and with less claim to the CPU than the loops; who asks for one under way waits for it;
 * what came out is remembered (by a keyed hash of password, salt and iterations, never by the
 * password itself), so that a client that comes again costs microseconds. Owner: the worker.
 * Worker's thread.
 */
#ifndef PROXY_SESSION_DERIVE_H
#define PROXY_SESSION_DERIVE_H

#include <stdbool.h>

#include "proxy/base/list.h"
#include "proxy/net/loop.h"
#include "proxy/wire/scram.h"

struct derivations;

/* Embedded in who waits. */
struct derive_waiter {
    struct list_node link; /* LINK of the derivation */
    struct list *in;       /* BACK */
    /* keys NULL: it failed. BORROW during the call. The waiter is unlinked before. */
    void (*on_derived)(struct derive_waiter *w, const struct scram_keys *keys);
};

/* seed: 32 secret bytes, the same in every worker; outlives it. */
struct derivations *pw_derivations_new(uv_loop_t *uv, const uint8_t *seed);
/* Nobody waits any more. Derivations in the thread pool end by themselves: turn the loop until
 * pw_derivations_is_quiet. */
bool pw_derivations_is_quiet(const struct derivations *d);
void pw_derivations_free(struct derivations *d);

/* True: remembered, *keys is filled in now. False: on_derived follows, never before this returns;
 * the job is copied. */
bool pw_derive(struct derivations *d, const struct scram_job *job, struct scram_keys *keys,
               struct derive_waiter *w);
static inline bool pw_derive_is_pending(const struct derive_waiter *w)
{
    return pw_list_linked(&w->link);
}
void pw_derive_cancel(struct derive_waiter *w); /* no-op when nothing is pending */

#endif
