/*
 * Between a session and the pool: the optimizing part. One per worker; everything here runs on its
 * thread. A session hands over its client's ticket (submit); the answer goes straight to the
 * client's stream, and the sink hears when it is complete. At the end of each turn pw_dispatch_run
 * gives queued tickets to free servers: requests that arrived in the same turn meet there, without
 * any timer.
 */
#ifndef PROXY_DISPATCH_DISPATCH_H
#define PROXY_DISPATCH_DISPATCH_H

#include "cache/cache.h"
#include "conf/conf.h"
#include "planner/slow.h"
#include "proxy/dispatch/client.h"
#include "proxy/dispatch/databases.h"
#include "proxy/dispatch/ticket.h"
#include "proxy/pool/pool.h"

struct families;

/* Shared by all workers; set up by control, outlives them. */
struct dispatch_shared {
    struct planner *planner;
    struct cache *cache;
    struct permits *permits;
    struct databases *databases;
    /* TLS towards a database's servers; NULL function or result: none. Any thread; a reference for
     * the caller's use as long as the configuration lives. */
    struct tls_context *(*tls_for)(const struct dispatch_shared *shared,
                                   const struct conf_database *db);
    void *arg; /* control's own */
};

enum { SPEED_SLOTS = 4096, DISPATCH_POOLS_MAX = 10000 };

struct family_speed {
    uint64_t family;
    uint32_t ewma_us, count;
};

struct dispatch {
    const struct dispatch_shared *shared; /* BORROW */
    const struct pw_conf *conf;           /* REF */
    struct pool_env env;                  /* what this worker's pools live on */
    struct plan_memo *memo;               /* OWN */
    struct families *families;            /* OWN */
    struct slow_log slow;
    struct rules *rules;    /* OWN; of conf */
    struct hashmap pools;   /* server_pool.node; OWN */
    struct list poked;      /* pools with something to assign this turn */
    struct list pinned;     /* clients pinned for a reason, for SHOW PINS */
    struct list cancellers; /* cancel connections under way */
    struct list leftovers;  /* writes whose client is gone; OWN */
    bool is_closing;        /* no server will be opened any more */
    struct ticket_pool tickets;
    struct hashmap flights; /* unsent leaders by key */
    struct family_speed speed[SPEED_SLOTS];
    uint32_t measured;  /* requests offered for measuring, to take one in so many */
    struct buf scratch; /* rendering of settings SQL and small messages; reset by each user */
};

/* env (loop, resolver, ready queue, metrics, worker) is copied. */
struct dispatch *pw_dispatch_new(const struct dispatch_shared *shared, const struct pw_conf *conf,
                                 const struct pool_env *env, struct mailbox *box);
/* Shutdown in two steps: close all server connections, run the loop until they are gone, then free.
 */
void pw_dispatch_close_servers(struct dispatch *d);
bool pw_dispatch_is_quiet(
    const struct dispatch *d); /* no connection is left, not even a closing one */
void pw_dispatch_free(struct dispatch *d);
void pw_dispatch_reconfigure(struct dispatch *d, const struct pw_conf *conf);

/* The pool for a database and user, made on first use; NULL when no database row matches. */
struct server_pool *pw_dispatch_pool(struct dispatch *d, const char *database, const char *user);

void pw_client_init(struct client *c, struct dispatch *d, const struct client_sink *sink,
                    struct stream *stream, uint64_t id);
/* The login is done: the client belongs to this pool from now on, with these settings (takes the
 * reference). */
void pw_client_attach(struct client *c, struct server_pool *pool, struct settings *login_settings);
void pw_client_close(
    struct client *c); /* gives back or closes what it holds; the memory may go afterwards */

/* ---- requests. The session fills c->ticket message by message with these; false: c's session must
 * end with the status. WAIT means that the plan is not there yet: sink->on_plan tells, then call
 * again. */
enum add_result { ADD_OK, ADD_WAIT, ADD_TOO_LONG, ADD_PROTOCOL };
enum add_result pw_client_add_query(struct client *c, struct slice message);
enum add_result pw_client_add_parse(struct client *c, struct slice message);
enum add_result pw_client_add_bind(struct client *c, struct slice message);
enum add_result pw_client_add_other(struct client *c, uint8_t type, struct slice message);

/* The ticket is complete (Query, Sync), or open and wanted on a server now (Flush, streaming).
 * Called again for an open ticket when more was added. */
void pw_dispatch_submit(struct client *c);
/* The client holds a server and its open ticket or COPY may be written to directly. */
static inline bool pw_client_is_attached(const struct client *c)
{
    return c->server != NULL &&
           !(c->ticket && c->ticket->is_replaying); /* nothing overtakes its settings */
}
/* Raw bytes (a whole message, or a part of one) straight to the held server. */
void pw_dispatch_write(struct client *c, const void *data, size_t len);
void pw_dispatch_forward(struct client *c, struct stream *from, size_t len);
bool pw_dispatch_is_congested(const struct client *c);
/* The client's own output queue has room again. */
void pw_dispatch_client_drained(struct client *c);
/* For a message too long to hold. open: a ticket without messages, to get a server for it.
 * add_streamed: the head of the message (Query, FunctionCall, Bind, or one that needs no plan) goes
 * to the held server, with its names translated; *used is how much of `in` that was; the session
 * forwards the rest of the len bytes. */
void pw_client_open(struct client *c);
enum add_result pw_client_add_streamed(struct client *c, uint8_t type, struct slice in,
                                       uint32_t len, size_t *used);

/* Runs only the settings replay on a server (a login with settings never seen before):
 * sink->on_probe_done. */
void pw_dispatch_probe(struct client *c);
/* CancelRequest for this client. Takes over fd (or -1), the socket it came on: closed when the
 * server was told, or when there is nothing to tell it. */
void pw_dispatch_cancel(struct client *c, int fd);

/* End of the turn: tickets meet servers. */
void pw_dispatch_run(struct dispatch *d);
void pw_dispatch_janitor(struct dispatch *d, uint64_t now_us); /* once a second */

#endif
