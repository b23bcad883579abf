/* Shared by the files of this folder only. */
#ifndef PROXY_WORKER_WORKER_PRIV_H
#define PROXY_WORKER_WORKER_PRIV_H

#include <uv.h>

#include "proxy/worker/worker.h"

enum { PW_SLOTS_MAX = 1 << 20 };

struct worker {
    unsigned index;
    struct worker_shared *shared; /* BORROW */
    uv_thread_t thread;
    uv_loop_t uv;
    uv_check_t check;
    uv_idle_t idle;
    uv_timer_t second;
    struct net_loop loop;
    struct resolver *resolver; /* OWN */
    struct ready_queue ready;
    struct mailbox box;
    struct dispatch *dispatch;          /* OWN */
    struct families_snapshot *families; /* OWN: what it had counted when it ended */
    struct derivations *derivations;    /* OWN */
    struct session_env env;
    struct list by_state[SESSION_STATE_COUNT];
    struct objpool session_pool;
    struct session **slots; /* OWN array, BORROW entries: by number */
    uint32_t n_slots, n_sessions;
    uint64_t last_id;
    struct {
        uint64_t reads, writes;
        struct net_bytes accepted, connected;
    } seen; /* what publish() has counted */
    bool stopping, draining, told_drained, spinning;
};

void pw_worker_accept(struct worker *w, int fd, bool is_unix);
void pw_worker_close_sessions(struct worker *w);

#endif
