/* The memo's parts that only the planner's own files see: planner.h has the interface. */
#ifndef PLANNER_MEMO_H
#define PLANNER_MEMO_H

#include "planner/state.h"
#include "proxy/base/hashmap.h"
#include "proxy/base/list.h"

struct memo_entry {
    struct hash_node node;
    struct list_node lru;           /* LINK memo->lru, most recently used first */
    const struct plan_context *ctx; /* BORROW, interned */
    uint64_t hash_hi;
    const struct plan *plan; /* OWN one reference; NULL: never answered yet */
    struct memo_job *job;    /* OWN one reference while being analysed */
    struct list waiters;     /* struct memo_waiter */
    bool answering;          /* its waiters are being called: not to be evicted */
    size_t len;
    char text[]; /* the template */
};

/* One waiting request; waiter->job points here. */
struct memo_waiter {
    struct list_node link; /* LINK entry->waiters */
    struct memo_entry *entry;
    struct plan_memo *memo;     /* BORROW */
    struct plan_waiter *waiter; /* BORROW until on_plan or cancel */
};

struct memo_job {
    struct analysis_job job;
    struct memo_entry *entry; /* worker's thread; NULL once the memo gave it up */
    const struct plan_context *ctx;
    struct analyze_input in; /* template_text points to text */
    struct plan *result;     /* OWN; NULL when it was not worked on */
    uint64_t give_up_us;     /* when waiters get a provisional plan; 0: none was made yet */
    char text[];
};

enum { MEMO_BYTES_MAX = 64 * 1024 * 1024 };

#endif
