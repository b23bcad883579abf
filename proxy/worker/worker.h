/*
 * A worker: one thread, one libuv loop, its own sessions, pools and statement memory. Shares
 * nothing; other threads reach it through its mailbox only.
 */
#ifndef PROXY_WORKER_WORKER_H
#define PROXY_WORKER_WORKER_H

#include "proxy/dispatch/dispatch.h"
#include "proxy/net/mailbox.h"
#include "proxy/session/session.h"

struct worker;

/* What all workers share and control provides; outlives them. Functions may be called from any
 * worker. */
struct worker_shared {
    struct dispatch_shared dispatch;
    const struct admin *admin;
    uint8_t auth_seed[32];
    _Atomic uint32_t clients; /* admitted, in all workers */
    _Atomic uint32_t max_clients;
    struct tls_context *_Atomic client_tls; /* NULL: none; replaced on reload, old ones live on */
    void *control;
    /* Ask control; the answer comes back through pw_worker_post_secret / _admin_result. */
    void (*find_secret)(void *control, unsigned worker, uint64_t session_id, const char *database,
                        const char *user);
    void (*find_roles)(void *control, unsigned worker, uint64_t session_id, const char *database,
                       const char *user);
    void (*run_command)(void *control, unsigned worker, uint64_t session_id, const char *user,
                        struct slice text, bool is_admin);
    void (*route_cancel)(void *control, uint32_t pid, struct slice key, int fd); /* takes over fd */
    void (*on_drained)(void *control,
                       unsigned worker); /* after pw_worker_drain: no session is left */
};

struct worker *pw_worker_start(unsigned index, struct worker_shared *shared,
                               const struct pw_conf *conf);
struct families_snapshot;
/* After stop; frees it. What its query families had counted, OWN by caller. */
struct families_snapshot *pw_worker_join(struct worker *w);

/* Each of these is a message to the worker's thread. */
void pw_worker_post_client(struct worker *w, int fd, bool is_unix);
void pw_worker_post_secret(struct worker *w, struct secret_answer *answer); /* moves its strings */
void pw_worker_post_admin_result(struct worker *w, uint64_t session_id,
                                 struct admin_result *result);
void pw_worker_post_cancel(struct worker *w, uint32_t pid, uint32_t key,
                           int fd); /* takes over fd */
void pw_worker_post_conf(struct worker *w, const struct pw_conf *conf);
void pw_worker_wake(struct worker *w); /* a connection permit came free */
void pw_worker_drain(struct worker *w);
void pw_worker_stop(struct worker *w); /* at once: every session is closed */
/* Runs fn on the worker's thread (gathering for SHOW and reports). fn answers by its own mail. */
void pw_worker_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg);
/* The same; drop runs instead when the worker is gone (on its thread or the caller's). */
void pw_worker_call_or(struct worker *w, void (*fn)(struct worker *w, void *arg),
                       void (*drop)(void *arg), void *arg);

/* For fn above, on the worker's thread. */
struct dispatch *pw_worker_dispatch(struct worker *w);
struct list *pw_worker_sessions(struct worker *w); /* SESSION_STATE_COUNT lists */
unsigned pw_worker_index(const struct worker *w);
uint64_t pw_worker_now_us(const struct worker *w);
struct session *pw_worker_find_session(struct worker *w, uint64_t session_id);

/* The worker in a cancel pid. */
static inline unsigned pw_worker_of_pid(uint32_t pid)
{
    return pid >> 24 & 0x7f;
}

#endif
