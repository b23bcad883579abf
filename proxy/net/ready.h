/*
 * Who has work to do this turn. libuv callbacks only mark (pw_ready_mark); the worker's uv_check
 * handle runs everything marked once per turn. A step that did not finish marks itself again and
 * runs in the next turn, so nobody holds the loop. One queue per loop; not thread-safe.
 */
#ifndef PROXY_NET_READY_H
#define PROXY_NET_READY_H

#include "proxy/base/list.h"

struct ready_node {
    struct list_node link; /* LINK queue->list while marked */
    void (*step)(struct ready_node *n);
};

struct ready_queue {
    struct list list;
};

static inline void pw_ready_mark(struct ready_queue *q, struct ready_node *n)
{
    if (!pw_list_linked(&n->link))
        pw_list_push_back(&q->list, &n->link);
}

static inline void pw_ready_unmark(struct ready_queue *q, struct ready_node *n)
{
    if (pw_list_linked(&n->link))
        pw_list_remove(&q->list, &n->link);
}

/* Runs what was marked when the call began; what gets marked meanwhile waits for the next call. */
static inline void pw_ready_run(struct ready_queue *q)
{
    for (size_t budget = q->list.count; budget > 0 && !pw_list_empty(&q->list); budget--) {
        struct ready_node *n = PW_LIST_ENTRY(pw_list_pop_front(&q->list), struct ready_node, link);
        n->step(n);
    }
}

#endif
