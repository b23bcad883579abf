/*
 * A server pool: the connections of one database and user on one worker. Counts come from the state
 * lists; pool_size is kept true over all workers by permits. Who waits is dispatch's business: it
 * is told when a connection became free.
 */
#ifndef PROXY_POOL_POOL_H
#define PROXY_POOL_POOL_H

#include "conf/conf.h"
#include "proxy/base/hashmap.h"
#include "proxy/metrics/metrics.h"
#include "proxy/net/loop.h"
#include "proxy/net/resolve.h"
#include "proxy/net/tls.h"
#include "proxy/net/wheel.h"
#include "proxy/pool/hosts.h"
#include "proxy/pool/permits.h"
#include "proxy/pool/server.h"
#include "proxy/wire/scram.h"

struct server_pool;

struct pool_callbacks {
    void (*on_input)(struct server *s); /* ACTIVE: read messages from s->stream */
    void (*on_ready)(struct server *s); /* logged in, or reset: IDLE now */
    void (*on_lost)(struct server *s,
                    const char *reason); /* it will answer nothing more; drain expects */
    /* A connection attempt failed. error is a whole ErrorResponse body from the server, or empty.
     */
    void (*on_connect_failed)(struct server_pool *p, const char *text, struct slice error);
    void (*on_retry)(struct server_pool *p); /* the back-off after a failed attempt is over */
    /* Since when the oldest of p->waiters waits (loop time); 0: nobody does. */
    uint64_t (*oldest_wait)(const struct server_pool *p);
    /* Login relay: pass this authentication message on to the client behind relay_to. */
    void (*on_relay)(void *relay_to, struct server *s, struct slice message);
    void (*on_relay_moved)(void *relay_to, struct server *s); /* the next host is tried, by s */
    /* The relayed login ended: s is idle (ok), or failed with the server's error body. */
    void (*on_relay_done)(void *relay_to, struct server *s, bool authenticated, const char *text,
                          struct slice error);
    void (*on_drained)(struct server *s); /* its output queue has room again */
};

/* What a worker lends its pools; outlives them. */
struct pool_env {
    struct net_loop *loop;
    struct resolver *resolver;
    struct ready_queue *ready;
    struct permits *permits;
    struct host_table hosts; /* OWN */
    struct metric_slot *metrics;
    const struct pool_callbacks *cb;
    void (*free_plan)(const void *plan);
    unsigned worker;
    uint64_t
        next_server_id; /* ids are unique in the process: the worker's number is in the top bits */
};

/* How a server accepted its last login: decides how clients are authenticated (auth.type upstream).
 */
enum upstream_method { UPSTREAM_UNKNOWN, UPSTREAM_TRUST, UPSTREAM_SECRET };

struct pool_credentials {
    char *password; /* OWN; plain, from the URL or userlist */
    char *md5;      /* OWN; "md5..." */
    bool has_keys;
    struct scram_keys
        keys; /* of the last client login (pass-through), or of password with this salt: */
    uint8_t salt[SCRAM_SALT_MAX];
    uint16_t salt_len; /* 0: pass-through */
    uint32_t iterations;
};

/* Numbers for SHOW and metrics: written by the worker, read by any thread. Never freed before the
 * process ends. */
struct pool_stats {
    _Atomic uint64_t xacts, queries, received, sent, xact_us, query_us, wait_us, assignments,
        logins, parses_client, parses_server, binds;
    _Atomic uint32_t cl_active, cl_waiting, sv_active, sv_idle, sv_used, sv_login, sv_cancels,
        sv_canceled;
    _Atomic uint64_t waiting_since_us; /* oldest waiter; 0: none */
};

static inline void pw_stat_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

struct server_pool {
    struct hash_node node;          /* LINK pools map */
    struct pool_env *env;           /* BORROW */
    const struct pw_conf *conf;     /* REF */
    const struct conf_database *db; /* BORROW from conf */
    char *database, *user; /* OWN: as the client named them; the server's database name is dbname */
    char *dbname;          /* OWN */
    uint32_t database_id;  /* number in the configuration, for cache keys and catalogs */
    struct tls_context *tls;        /* REF; NULL: sslmode disable */
    struct permit_account *permits; /* BORROW */
    struct pool_credentials credentials;
    enum upstream_method method;
    uint64_t method_seen_us;

    struct list by_state[SERVER_STATE_COUNT]; /* IDLE: most recently used first */
    uint32_t n_servers;                       /* connections in any state but CLOSING */
    struct settings_table settings;
    struct stmt_table stmts;
    struct params welcome; /* ParameterStatus values of a fresh connection */
    bool welcome_known, paused, disabled;
    enum session_attrs attrs;               /* what the upstream asks of a server */
    uint64_t failing_since_us, retry_at_us; /* connect trouble: since when, and the next attempt */
    struct wheel_timer retry_timer;
    uint32_t failures;
    char *last_error;          /* OWN */
    struct pool_stats *stats;  /* BORROW from the process-wide registry */
    uint64_t relay_since_us;   /* since when a login waits for a place; 0: none does */
    struct list relay_waiters; /* logins that wait for their turn; dispatch owns the nodes */
    uint32_t relays;           /* logins being relayed now */
    struct list waiters;       /* dispatch's tickets that wait, in order; dispatch owns the nodes */
    uint32_t joined; /* further ones, which wait for the answer to another that is the same */
    struct list_node poke_link; /* LINK dispatch's list of pools to look at this turn */
    uint32_t clients;           /* sessions that use this pool */
    uint32_t logins;            /* sessions on their way into it */
};

struct server_pool *pw_server_pool_new(struct pool_env *env, const struct pw_conf *conf,
                                       const struct conf_database *db, const char *database,
                                       const char *user, uint32_t database_id,
                                       struct tls_context *tls, struct pool_stats *stats);
void pw_server_pool_free(struct server_pool *p); /* no servers are left */
/* Reload: new limits and timeouts; the upstream cannot change under live connections (they are
 * recycled). */
void pw_server_pool_reconfigure(struct server_pool *p, const struct pw_conf *conf,
                                const struct conf_database *db, struct tls_context *tls);
/* An idle connection, preferably one that already has these settings; NULL when there is none. */
struct server *pw_server_pool_idle(struct server_pool *p, const struct settings *settings);
/* Opens a connection if pool_size and back-off allow. `need`: how many would be useful. */
void pw_server_pool_grow(struct server_pool *p, size_t need, uint64_t now_us);
/* Clean and not held: back to idle (or closed when it is too old, unwanted, or another worker
 * starves). */
void pw_server_pool_release(struct server *s);
/* Once a second: idle and lifetime limits, min_pool_size. */
void pw_server_pool_janitor(struct server_pool *p, uint64_t now_us);
/* job: what they were derived from, so that the next login needs no derivation; NULL: a client's
 * login gave them away. */
void pw_server_pool_set_keys(struct server_pool *p, const struct scram_keys *keys,
                             const struct scram_job *job);
/* Are the remembered keys the answer to this job? */
bool pw_server_pool_has_derived(const struct server_pool *p, const struct scram_job *job);
/* Another worker starves: hand an idle connection's slot back, if there is one to spare. */
void pw_server_pool_share(struct server_pool *p);
void pw_server_pool_close_idle(struct server_pool *p, const char *reason);
/* Every connection closes when it becomes idle (RECONNECT). */
void pw_server_pool_recycle(struct server_pool *p);
void pw_server_pool_count(struct server_pool *p); /* refreshes the sv_ gauges in stats */
static inline size_t pw_server_pool_connecting(const struct server_pool *p)
{
    return p->by_state[SERVER_CONNECTING].count + p->by_state[SERVER_TLS].count +
           p->by_state[SERVER_LOGIN].count;
}

#endif
