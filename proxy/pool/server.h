/*
 * One connection to PostgreSQL: connecting, TLS, login, then idle or active until it closes. What
 * it owes is in `expects`; what session state it has is in `settings`, `stmts`, `app_name` and
 * `unnamed`. While ACTIVE its messages are read by dispatch (pool_callbacks.on_input); in every
 * other state by this file. Owner: its pool. Thread: the worker's.
 */
#ifndef PROXY_POOL_SERVER_H
#define PROXY_POOL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/list.h"
#include "proxy/base/status.h"
#include "proxy/net/ready.h"
#include "proxy/net/stream.h"
#include "proxy/net/wheel.h"
#include "proxy/pool/expect.h"
#include "proxy/pool/settings.h"
#include "proxy/pool/stmts.h"
#include "proxy/wire/params.h"

enum server_state {
#define SERVER_STATE(name, text, next) SERVER_##name,
#include "proxy/pool/server_states.def"
#undef SERVER_STATE
    SERVER_STATE_COUNT
};
const char *pw_server_state_name(enum server_state s);

/* One client's own connection, not the pool's: for replication. Closed when that client lets go. */
enum server_dedicated { SERVER_POOLED, SERVER_PHYSICAL, SERVER_LOGICAL };

/* Prepared statements under a client's own names: DEALLOCATE ALL; else DISCARD ALL. */
enum server_reset { SERVER_RESET_NOTHING, SERVER_RESET_STATEMENTS, SERVER_RESET_ALL };

struct server_pool;
struct server_connect; /* what is needed until login is over */
struct resolve_req;

struct server {
    struct stream stream;
    struct ready_node ready;
    struct list_node state_link; /* LINK pool->by_state[state] */
    struct wheel_timer timer;    /* login deadline, then cancel grace */
    struct server_pool *pool;    /* BACK: pools outlive their servers */
    enum server_state state;
    struct server_connect *connect; /* OWN; NULL once logged in */

    struct expect_queue expects; /* OWN; what it owes, in order */
    void *holder; /* BACK: the client that holds it (transaction, pin), cleared by release */
    struct settings *settings; /* REF: what its session settings are now */
    char app_name[64];
    struct server_stmts stmts;
    uint64_t
        sequences_of;     /* the client whose nextval() was last here; 0: none since it was clean */
    struct stmt *unnamed; /* REF: what the unnamed statement is; NULL: unknown or none */
    bool stmts_doubtful;  /* may have more of our statements than `stmts` says */
    struct params params; /* last ParameterStatus values */

    uint64_t id, connected_us, used_us,
        sent_us;        /* sent_us: when the oldest unanswered request left */
    uint64_t body_left; /* bytes of a partly passed message still to come */
    uint32_t pid, cancel_key_len;
    char cancel_key[256];
    uint32_t
        cancels; /* cancel connections under way: not handed on until they are closed (rule 8) */
    enum server_dedicated dedicated;
    uint32_t in_flight; /* tickets sent and not finished */
    uint8_t txn;        /* 'I', 'T' or 'E' after the last ReadyForQuery */
    bool body_forward;  /* where body_left goes: to the ticket's client, or nowhere */
    bool shared;        /* carries only shareable requests: more may be pipelined behind them */
    enum server_reset needs_reset; /* what a session left behind goes before anybody else comes */
    bool waits_for_cancel; /* clean, but not handed on before its cancel connections are closed */
    bool in_copy, eof, broken, close_when_idle, paused;
    bool has_permit;  /* counts under pool_size */
    bool was_used;    /* has served somebody */
    bool was_standby; /* when it let us in */
};

/* How a connection is to be opened; everything is copied. */
struct server_launch {
    void *relay_to; /* BACK: told how it ended (on_relay_done) instead of the pool; NULL: nobody */
    bool relays;    /* the server's authentication requests go to relay_to (on_relay), which answers
                       them */
    enum server_dedicated dedicated;
    struct slice
        params; /* further startup parameters: name NUL value NUL ..., not user and database */
};

/* Connects; on_ready or on_connect_failed follows. The permit has been taken by the caller. The
 * upstream's hosts are tried one after the other (pw_hosts_order), each by a connection of its own.
 */
struct server *pw_server_launch(struct server_pool *pool, const struct server_launch *how);
/* The client's answer to a relayed authentication request (type 'p'). */
void pw_server_relay(struct server *s, struct slice body);
void pw_server_enter(struct server *s, enum server_state to);
void pw_server_mark(struct server *s); /* step it this turn or the next */
/* Closes (Terminate is sent when it is in a state to take it). What it owed is reported through
 * pool_callbacks.on_lost first, with this reason. The memory goes back later. */
void pw_server_close(struct server *s, const char *reason);
/* Appends to its output; adds nothing to expects. */
void pw_server_send(struct server *s, const void *data, size_t len);

#endif
