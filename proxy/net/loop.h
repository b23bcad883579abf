/*
 * What one thread's loop lends its streams: the uv loop, recycled read chunks, the list of streams
 * with something to write, the timer wheel and the cached clock. One per thread; nothing in it may
 * be touched by another thread.
 */
#ifndef PROXY_NET_LOOP_H
#define PROXY_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "proxy/base/list.h"
#include "proxy/mem/objpool.h"
#include "proxy/net/wheel.h"

enum { PW_CHUNK_BYTES = 16384, PW_SCRATCH_BYTES = 32768 };

struct net_bytes {
    uint64_t in, out;
};

struct net_loop {
    uv_loop_t *uv;           /* BORROW from the thread */
    struct objpool chunks;   /* read and write chunks of PW_CHUNK_BYTES payload */
    struct list dirty;       /* streams with unflushed output, flushed by pw_loop_flush */
    struct list notify;      /* streams with an event to deliver on the next turn (private) */
    struct objpool segments; /* descriptors of queued rcbuf references (private) */
    /* See loop.c: how a turn comes at once when there is something to step. Private. */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    bool in_poll, again;
    unsigned open_handles;
    char *scratch; /* OWN, PW_SCRATCH_BYTES: TLS records on their way in and out */
    struct wheel wheel;
    uint64_t now_us;        /* monotonic, refreshed by pw_loop_tick at the start of a turn */
    uint64_t reads, writes; /* system calls, for metrics */
    struct net_bytes accepted,
        connected; /* bytes of streams that came to us, and of those we opened */
};

void pw_loop_init(struct net_loop *l, uv_loop_t *uv);
/* Every stream's on_closed has run. Not from inside uv_run: turns the loop until its own uv handles
 * are closed. */
void pw_loop_destroy(struct net_loop *l);
void pw_loop_tick(struct net_loop *l); /* refreshes now_us and runs due timers */
/* One gathered write per dirty stream. Runs no owner code: an error or a drained queue found here
 * is delivered by on_event on the next turn, which then comes at once. */
void pw_loop_flush(struct net_loop *l);
/* The next turn shall not sleep: somebody has marked himself outside the poll phase (on_closed, an
 * unfinished step). Events of streams and timers ask for it themselves. */
void pw_loop_again(struct net_loop *l);

#endif
