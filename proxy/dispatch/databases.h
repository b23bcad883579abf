/*
 * The numbers of databases, process-wide: a name gets the same number in every worker, for cache
 * keys, table versions and the planner's catalogs. Append-only; mutex inside; any thread. Also the
 * registry of pool statistics.
 */
#ifndef PROXY_DISPATCH_DATABASES_H
#define PROXY_DISPATCH_DATABASES_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/pool/pool.h"

struct databases;

/* on_new runs in the calling thread when a name is seen for the first time (control then adds its
 * catalog). */
struct databases *pw_databases_new(void (*on_new)(void *arg, uint32_t id, const char *name),
                                   void *arg);
void pw_databases_free(struct databases *d);
uint32_t pw_databases_id(struct databases *d, const char *name); /* 1 and up */

/* Where the database of that name is: lines "host:port" and its name there. Several
 * names may lead to one database, and a write by one of them is one by all. */
void pw_databases_place(struct databases *d, const char *name, const char *hosts,
                        const char *dbname);
/* The other numbers of the same database; how many there are, which may be more than max. */
size_t pw_databases_siblings(struct databases *d, uint32_t id, uint32_t *out, size_t max);

/* Do sessions of that database stay on a connection once they have used a sequence? learn: from now
 * on, yes. */
bool pw_databases_keep_sequences(struct databases *d, uint32_t id, bool learn);

/* What an operator decided (PAUSE, DISABLE). name NULL: every database, also those still to come.
 */
void pw_databases_pause(struct databases *d, const char *name, bool paused);
void pw_databases_disable(struct databases *d, const char *name, bool disabled);
bool pw_databases_is_paused(struct databases *d, const char *name); /* false when never seen */
bool pw_databases_is_disabled(struct databases *d, const char *name);

/* One pool of one worker. Anybody may ask for a login to any name: a row is private to its pool,
 * and goes with it, until the first login was good. Then it is in the list, has its database's
 * number, and stays. */
struct pool_row {
    char *database, *user; /* OWN */
    unsigned worker;
    uint32_t database_id; /* 0: not proven yet */
    _Atomic uint32_t
        *database_clients; /* BORROW: logged in to that database, or logging in, in all workers */
    struct pool_stats stats;
    struct pool_row *next;
    struct hash_node node; /* LINK registry */
};
/* The row of a pool of one worker. */
struct pool_row *pw_databases_pool_row(struct databases *d, const char *database, const char *user,
                                       unsigned worker);
static inline struct pool_row *pw_pool_row_of(struct pool_stats *stats)
{
    return PW_CONTAINER_OF(stats, struct pool_row, stats);
}
void pw_databases_row_proven(struct databases *d, struct pool_row *row); /* a login was good */
void pw_databases_row_drop(struct databases *d, struct pool_row *row);   /* its pool is gone */
/* The newest row; follow ->next. Rows in it are never removed, so the walk needs no lock. */
struct pool_row *pw_databases_rows(struct databases *d);

#endif
