/*
 * One request: a simple Query (or FunctionCall), or one extended cycle up to Sync. It carries
 * everything that is per request: the messages as they came, what each of them is, the plans of
 * what they execute, and what happened. Owner: its client until it is sent, then the server's
 * expect FIFO keeps it alive too (in_fifo). Worker's thread.
 */
#ifndef PROXY_DISPATCH_TICKET_H
#define PROXY_DISPATCH_TICKET_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/plan.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"
#include "proxy/base/list.h"
#include "proxy/base/slice.h"
#include "proxy/mem/objpool.h"
#include "proxy/pool/expect.h"
#include "proxy/wire/params.h"

enum ticket_state {
#define TICKET_STATE(name, text, next) TICKET_##name,
#include "proxy/dispatch/ticket_states.def"
#undef TICKET_STATE
    TICKET_STATE_COUNT
};

struct client;
struct server;
struct server_pool;
struct stmt;
struct cache_fill;
struct flight;

/* One message of the ticket. */
struct op {
    uint32_t off, len;   /* the whole message in ticket->msgs */
    uint32_t portal_len; /* BIND: length of the portal name */
    uint8_t kind;        /* enum expect_kind, or OP_FLUSH */
    bool named; /* the statement has a name (PARSE, BIND, DESCRIBE_STMT, CLOSE of a statement) */
    bool portal_close; /* CLOSE of a portal */
    bool is_duplicate; /* PARSE of a name that is taken: stmt is what has the name */
    uint8_t dealloc;   /* QUERY, EXECUTE: enum dealloc; of what the protocol prepared */
    struct stmt *stmt; /* REF; NULL: the name is not known here, goes as it is */
};
/* DEALLOCATE as SQL: see dealloc.c. */
enum dealloc { DEALLOC_NONE, DEALLOC_ONE, DEALLOC_ALL, DEALLOC_OWN };
enum { OP_FLUSH = 200, TICKET_OPS_MAX = 20000 };

/* A change of the client's statement names, undone when the server refuses what led to it. */
struct undo {
    uint32_t op;
    char *name;       /* OWN, or pw_undo_unnamed */
    struct stmt *old; /* REF; NULL: there was none */
};
/* The unnamed statement's name, which is set by most requests: nothing is allocated for it. */
extern char pw_undo_unnamed[1];
static inline void pw_undo_free_name(struct undo *u)
{
    if (u->name != pw_undo_unnamed)
        pw_free(u->name);
}

/* The value of a literal in a simple query, in ticket->msgs. */
struct ticket_literal {
    uint32_t off, len;
};

struct ticket {
    struct ticket *next_free;  /* LINK ticket_pool->free_list while recycled */
    struct client *client;     /* BACK: NULL once the client is gone; replies then drop */
    struct server *server;     /* BACK: where it was sent; cleared when done */
    struct server_pool *pool;  /* BORROW */
    struct settings *settings; /* REF: the client's settings when it was submitted */
    struct settings
        *replayed_from; /* REF: the server's, before they were replayed in front of it; or NULL */
    enum ticket_state state;
    struct list_node queue_link; /* LINK pool->waiters, or flight->followers */
    struct buf msgs;             /* OWN: the client's messages, whole */
    struct op *ops;              /* OWN */
    uint32_t n_ops, cap_ops;
    uint32_t sent_ops; /* how many of them went to the server already (an open ticket) */
    struct undo *undo; /* OWN */
    uint32_t n_undo, cap_undo;
    const struct plan **plans; /* OWN array of REFs: what is executed, in order */
    uint32_t n_plans, cap_plans;
    uint32_t n_plans_begun; /* whose effects were announced */
    uint32_t flags;         /* union over the plans */
    struct ticket_literal
        literals[PLAN_PREPARED_MAX]; /* of a simple query that has plan->prepared */
    uint32_t n_literals;             /* 0: it goes as it is */
    uint32_t n_deallocs;             /* plans that are a DEALLOCATE of a name which needs no help of
                                        stop_translating */
    uint32_t in_fifo;                /* entries in the server's expect FIFO that point here */
    uint32_t rows;
    uint32_t pins_added;            /* reasons to pin the session that it brought */
    uint32_t pins_asked, pins_left; /* while is_asking: PIN_BIT of each */
    uint32_t cancels;               /* CancelRequests passed on for it so far */
    bool cancel_asked;              /* the client wants it cancelled: repeated while it runs */
    uint64_t bytes_out;
    uint64_t received_us, queued_us, sent_us;
    uint64_t overhead_us;    /* our own time until it was sent, plus 1; 0: not measured */
    struct cache_fill *fill; /* OWN while the reply is being recorded */
    struct flight *flight;   /* OWN: others may wait for this reply */
    struct flight *joined;   /* BACK: whose reply this one waits for */
    uint64_t key_hash;
    struct buf key; /* OWN: cache key; empty when there is none */
    uint64_t fill_ttl_us;
    char sqlstate[6]; /* of the last error, or "" */
    bool is_simple;   /* Query or FunctionCall: the reply ends with ReadyForQuery by itself */
    bool has_sync;    /* complete: Query, or Sync was received */
    bool translate;   /* statement names are ours on the server */
    bool shareable;   /* may share a server connection: one autocommit read without effects */
    bool may_fill;    /* key is set and the answer may be kept */
    bool cache_hit, was_joined, no_join;
    bool pipelined;    /* was sent behind others on a shared connection */
    bool promoted;     /* its statement is one of ours on the server, see promote.c */
    bool again;        /* ... and that was refused: it is sent as it came */
    bool failed;       /* the server sent an error */
    bool ran_nothing;  /* ... before any of it was executed */
    bool deallocs_all; /* a translated DEALLOCATE ALL was sent */
    bool replied;      /* at least one byte of its reply went to the client */
    bool retried;      /* was sent a second time after losing its server */

    bool in_copy_in;     /* the server waits for CopyData */
    bool sync_eaten;     /* COPY FROM swallowed the Sync that was already sent */
    bool closes_unknown; /* Close of a statement that the protocol did not prepare: perhaps SQL did
                          */
    bool is_asking; /* whether what pinned the session is undone (unpin.c); its ReadyForQuery waits
                     */
    bool is_replaying; /* settings are being replayed first: its own messages wait */
    bool is_gated;     /* settings are being replayed in front of its own messages, which were sent:
                          gate.c */
    bool is_reset; /* RESET and kin: ParameterStatus is told at the end, when the login's values are
                      back */
    bool is_restoring;    /* ... and they are being put back now */
    struct params before; /* OWN while is_reset: what the client was last told */
    bool is_probe;        /* no client messages: settings replay for a login */
    char txn_tag;         /* last transaction command completed: 'B'egin 'C'ommit 'R'ollback or 0 */
    uint8_t n_txn_tags;   /* ... how many: more than one may have undone a part */
    uint8_t end_status;   /* transaction status at its ReadyForQuery */
};

/* Recycled tickets keep their small buffers, so a request on the hot path allocates nothing. The
 * worker's. */
struct ticket_pool {
    struct objpool objects;   /* where they come from, and the statistics */
    struct ticket *free_list; /* OWN, linked through `next_free` */
    uint32_t free_count;
};

void pw_ticket_pool_init(struct ticket_pool *p);
void pw_ticket_pool_destroy(struct ticket_pool *p);
struct ticket *pw_ticket_new(struct ticket_pool *p, struct client *client, uint64_t now_us);
void pw_ticket_free(struct ticket_pool *p, struct ticket *t);
void pw_ticket_enter(struct ticket *t, enum ticket_state to);
/* Appends a message and its operation; NULL when a bound is exceeded. */
struct op *pw_ticket_add(struct ticket *t, struct slice message, uint8_t kind);
void pw_ticket_add_plan(struct ticket *t, const struct plan *plan); /* takes its own reference */
/* Remembers that operation `op` is about to change what `name` means; the caller sets `old`, a
 * reference to what it meant before. Valid until the next call. */
struct undo *pw_ticket_push_undo(struct ticket *t, uint32_t op, struct slice name);
const char *pw_ticket_state_name(enum ticket_state s);

#endif
