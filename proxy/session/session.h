/*
 * One client connection: start-up packet, TLS, login, then requests. Frames the client's messages
 * and hands them to dispatch through its `struct client`; replies go straight to the stream. One
 * function per state, one function that changes the state. Owner: the worker (a list per process
 * thread). Worker's thread.
 */
#ifndef PROXY_SESSION_SESSION_H
#define PROXY_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/admin/admin.h"
#include "proxy/base/list.h"
#include "proxy/base/status.h"
#include "proxy/dispatch/dispatch.h"
#include "proxy/net/ready.h"
#include "proxy/net/stream.h"
#include "proxy/net/wheel.h"

enum session_state {
#define SESSION_STATE(name, text, next) SESSION_##name,
#include "proxy/session/session_states.def"
#undef SESSION_STATE
    SESSION_STATE_COUNT
};
const char *pw_session_state_name(enum session_state s);

struct session;
struct login;
struct psql_front;

struct derivations;

enum lookup {
    LOOKUP_FAILED,  /* the look-up itself was not possible */
    LOOKUP_FOUND,   /* secret is the user's verifier or password */
    LOOKUP_NONE,    /* the user may log in, but no password would be right */
    LOOKUP_NO_USER, /* there is no such user, or it may not log in */
};

/* An answer to session_env.find_secret. */
struct secret_answer {
    uint64_t session_id;
    enum lookup found;
    char *secret; /* OWN; "" unless FOUND */
    char
        *roles; /* OWN; of find_roles when FOUND: what the user is a member of, each with its NUL */
    size_t roles_len;
    char *text; /* OWN; why it is not FOUND, for the log; may be NULL */
};

/* What a worker lends its sessions; outlives them. */
struct session_env {
    struct dispatch *dispatch;
    struct net_loop *loop;
    struct ready_queue *ready;
    struct metric_slot *metrics;
    struct list *by_state;           /* array of SESSION_STATE_COUNT lists */
    const struct admin *admin;       /* console commands; read only */
    const uint8_t *auth_seed;        /* 32 bytes, the same in every worker */
    struct derivations *derivations; /* BORROW */
    void *arg;
    struct tls_context *(*client_tls)(
        void *arg); /* NULL: clients get no TLS. BORROW during the call */
    /* Looks up what authenticates `user`; pw_session_on_secret follows. */
    void (*find_secret)(void *arg, struct session *s, const char *database, const char *user);
    /* The same for which roles `user` is a member of. */
    void (*find_roles)(void *arg, struct session *s, const char *database, const char *user);
    /* A CancelRequest came in; finds its session in whatever worker. */
    /* Takes over fd, the canceller's socket: closed when the cancel was passed on or nothing is to
     * be done. */
    void (*cancel)(void *arg, uint32_t pid, struct slice key, int fd);
    /* Runs a console command on the control thread; pw_session_on_admin_result follows. */
    void (*run_command)(void *arg, struct session *s, struct slice text, bool is_admin);
    bool (*try_admit)(void *arg); /* max_clients: counts the session in, or says no */
    void (*on_gone)(void *arg, struct session *s); /* the memory may go */
};

struct session {
    struct stream stream;
    struct ready_node ready;
    struct list_node state_link; /* LINK env->by_state[state] */
    struct session_env *env;
    struct client client;
    enum session_state state;
    struct wheel_timer timer; /* login, idle and transaction deadlines */
    struct login *login;      /* OWN until READY */
    struct psql_front *front; /* OWN; console sessions */
    char *database, *user;    /* OWN */
    uint64_t id, connected_us;
    uint64_t idle_since_us; /* READY: when the client had its last answer, or last added to an open
                               request */
    uint64_t stream_left;   /* bytes of a streamed message still to be passed on */
    uint64_t discard_left;  /* bytes of an ignored message still to be dropped */
    uint32_t cancel_pid;
    uint8_t cancel_key[4];
    bool admitted, eof, lost, draining, paused, waiting_plan, waiting_server, copy_done, is_admin,
        killed;
};

/* fd is a connected socket and becomes the session's. */
void pw_session_start(struct session *s, struct session_env *env, int fd, bool is_unix, uint64_t id,
                      uint32_t cancel_pid, const uint8_t cancel_key[4]);
void pw_session_on_secret(struct session *s, const struct secret_answer *answer);
void pw_session_on_admin_result(struct session *s, struct admin_result *result);
/* Says goodbye with an error (text NULL: the status's own) and closes. */
void pw_session_fail(struct session *s, enum pw_status status, const char *text);
void pw_session_reconfigured(struct session *s); /* other timeouts hold from now on */
/* Shutdown: closes now when idle between transactions, else as soon as that is so. */
void pw_session_drain(struct session *s);
void pw_session_mark(struct session *s);
bool pw_session_is_idle(const struct session *s); /* between requests and outside a transaction */

#endif
