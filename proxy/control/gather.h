/*
 * Asking every worker: each makes its part on its own thread, the parts come together on control.
 * A worker that is gone leaves its part NULL, so an answer never waits for it. Nothing is shared:
 * the question is read-only until done, a part moves.
 */
#ifndef PROXY_CONTROL_GATHER_H
#define PROXY_CONTROL_GATHER_H

#include "proxy/control/control_priv.h"

struct gather {
    struct control *control;
    const struct gather_kind *kind;
    void *question; /* BORROW by the workers until done, which may free it */
    unsigned n, left;
    void *parts[CONTROL_WORKERS_MAX]; /* OWN until done takes them */
};

struct gather_kind {
    void *(*collect)(struct worker *w,
                     const void *question); /* worker's thread; bounded by itself */
    /* Control thread, exactly once; takes what it wants out of parts[]. When control->stopped the
     * rest of the process is being torn down: only release things and finish calls. */
    void (*done)(struct gather *g);
    void (*free_part)(void *part); /* never called with NULL */
};

void pw_gather_start(struct control *c, const struct gather_kind *kind, void *question);

#endif
