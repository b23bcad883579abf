/*
 * The dispatching half of a session: its settings, prepared statements, transaction, pin, and the
 * request under way. The session (socket, login, framing) embeds it and is told what happens by the
 * sink. Worker's thread.
 */
#ifndef PROXY_DISPATCH_CLIENT_H
#define PROXY_DISPATCH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/planner.h"
#include "proxy/base/hashmap.h"
#include "proxy/base/list.h"
#include "proxy/base/status.h"
#include "proxy/dispatch/names.h"
#include "proxy/net/stream.h"
#include "proxy/pool/settings.h"

struct client;
struct dispatch;
struct server;
struct server_pool;
struct ticket;

struct client_sink {
    void (*on_done)(struct client *c);     /* the request is answered: the next one may be read */
    void (*on_copy_in)(struct client *c);  /* the server waits for CopyData */
    void (*on_attached)(struct client *c); /* an open ticket got its server: streaming may go on */
    void (*on_plan)(struct client *c);     /* the plan waited for is there */
    /* The session must end. When text is NULL the client was already told (a forwarded FATAL). */
    void (*on_fatal)(struct client *c, enum pw_status status, const char *text);
    void (*on_server_drained)(struct client *c); /* the held server takes bytes again */
    /* Login relay: an authentication request from the server for the client, and how it ended. */
    void (*on_relay)(struct client *c, struct server *s, struct slice message);
    void (*on_relay_turn)(struct client *c); /* decide again: see pw_login_relay_start */
    void (*on_relay_done)(struct client *c, bool ok, bool authenticated, const char *text,
                          struct slice error);
    void (*on_probe_done)(struct client *c, bool ok,
                          struct slice error); /* see pw_dispatch_probe */
};

struct txn_set {        /* a SET seen inside a transaction block, applied if it commits */
    char *name, *value; /* OWN; value NULL: default */
};

enum {
    CLIENT_TXN_SETS_MAX = 64,
    CLIENT_TXN_TABLES_MAX = 256,
    CLIENT_SIBLINGS_MAX = 8,
    CLIENT_COUNTS = 3
};

struct client {
    const struct client_sink *sink; /* BORROW, static */
    struct dispatch *dispatch;      /* BORROW */
    struct server_pool *pool;       /* BORROW; NULL before login */
    struct stream *stream;          /* BORROW: where replies go */
    struct ticket *ticket;          /* OWN: the request under way; NULL between requests */
    struct server *server;          /* BACK: held (transaction, pin, session mode, open request) */
    struct server *relay;           /* BACK: a server login that waits for this client's answers */
    struct server_pool *relay_pool; /* BORROW: whose relay count `relay` is in */
    struct server_pool *relay_waits_for;          /* BORROW: whose list relay_link is in */
    struct list_node relay_link;                  /* LINK pool->relay_waiters */
    _Atomic uint32_t *admitted_to[CLIENT_COUNTS]; /* BORROW: the counters of clients it is in; see
                                                     pw_login_admit */
    struct permit_account *user_account; /* REF: of its user in all databases, while admitted */
    struct settings *settings;           /* REF: what the session's settings are */
    struct settings *txn_settings;   /* REF: with the search_path and kin that the open transaction
                                        has set; or NULL */
    struct settings *login_settings; /* REF: what they were at login; RESET goes back to them */
    char app_name[64], login_app_name[64];
    struct names stmts;   /* prepared statements by the client's names ("" is the unnamed one) */
    struct names portals; /* open portals */
    struct plan_waiter waiter;
    const struct plan *waited_plan; /* REF: the answer to `waiter`, until taken */
    struct stmt *waiting_stmt;      /* REF: the statement `waiter` is about; NULL: a simple query */
    struct list_node pin_link;      /* LINK dispatch->pinned */
    uint64_t pinned_us, txn_start_us;
    uint64_t id;         /* session id, for logs and SHOW */
    enum pin_reason pin; /* the one shown: NONE when there is none at all */
    uint32_t pins;       /* PIN_BIT of each */
    bool
        pins_doubtful; /* some of them may be undone: asked when no transaction is open (unpin.c) */
    const struct plan
        *prepared;  /* REF: of an SQL PREPARE, to tell whether what it may do has changed */
    uint8_t txn;    /* 'I', 'T' or 'E' */
    bool translate; /* transaction and statement mode: statement names are ours on the server */
    bool txn_wrote_all, txn_catalog, txn_rights; /* effects to repeat when the transaction ends */
    uint32_t n_txn_tables, n_txn_sets;
    uint32_t *txn_tables; /* OWN */
    uint32_t txn_siblings[CLIENT_SIBLINGS_MAX],
        n_txn_siblings;       /* other names of the database that is written */
    struct txn_set *txn_sets; /* OWN */
    bool used_sequence;       /* currval() has to find the connection of its nextval() */
    bool lost_server;         /* with a request on it: what that wrote may still be committed */
    bool orphaned;            /* the session is gone */
};

#endif
