/*
 * The one thread that parses (DESIGN rule 9): a 64 MB stack, a bounded queue, first come first
 * served; a job that has to wait for something is put aside meanwhile. A job is made by a memo for
 * one template, worked on here, and mailed back to the memo's worker. Two holders (memo and thread)
 * share it by count; pw_analysis_detach promises that nothing is mailed any more.
 */
#ifndef PLANNER_ANALYSIS_H
#define PLANNER_ANALYSIS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "planner/plan.h"
#include "proxy/net/mailbox.h"

struct analysis;
struct analysis_job {
    struct mail mail;          /* set by the maker: run and drop on the maker's thread */
    struct analysis_job *next; /* LINK the queue */
    _Atomic uint32_t refs;
    struct mailbox *box; /* BORROW until detached; guarded by the analysis lock */
    /* Worked on as soon as is_ready says so (asked when something was stirred), or at this time
     * (pw_clock_us); 0: at once. Set before submitting, then guarded by the analysis lock. */
    uint64_t wait_until_us;
    bool (*is_ready)(struct analysis_job *job); /* on the analysis thread; unused when it is 0 */
    void (*work)(struct analysis_job *job);     /* on the analysis thread */
    void (*destroy)(struct analysis_job *job);
};

struct analysis *pw_analysis_new(size_t queue_max);
void pw_analysis_free(
    struct analysis *a); /* joins the thread; queued jobs are mailed back undone */
/* False when the queue is full; then the job is untouched. Takes a reference of its own. */
bool pw_analysis_submit(struct analysis *a, struct analysis_job *job);
/* What jobs wait for may be there: ask them. Any thread; NULL is allowed. */
void pw_analysis_stir(struct analysis *a);
/* The job does not wait any longer. */
void pw_analysis_hurry(struct analysis *a, struct analysis_job *job);
void pw_analysis_detach(struct analysis *a, struct analysis_job *job);
void pw_analysis_unref(struct analysis_job *job);
size_t pw_analysis_queued(struct analysis *a);

#endif
