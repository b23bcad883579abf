/* See analysis.h. */
#include "planner/analysis.h"

#include <pthread.h>

#include "planner/limits.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/metrics/metrics.h"

struct analysis {
    uv_thread_t thread;
    uv_mutex_t lock; /* guards everything below, and every job's box */
    uv_cond_t wake;
    struct analysis_job *head, **tail; /* OWN one reference each */
    size_t queued, queue_max;
    struct analysis_job *waiting; /* OWN one reference each; at most queue_max */
    size_t n_waiting;
    uint64_t first_due_us, stirs;
    bool stopping;
};

void pw_analysis_unref(struct analysis_job *job)
{
    if (atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) == 1)
        job->destroy(job);
}

/* Under the lock, so that these two cells of the slot have one writer at a time. */
static void note_queue(const struct analysis *a, bool accepted)
{
    struct metric_slot *slot = pw_metrics_slot(PW_SLOT_ANALYSIS);
    pw_metric_set(slot, PW_METRIC_ANALYSIS_QUEUE, a->queued);
    if (!accepted)
        pw_metric_inc(slot, PW_METRIC_ANALYSIS_REJECTED);
}

static void append(struct analysis *a, struct analysis_job *job)
{
    job->next = NULL;
    *a->tail = job;
    a->tail = &job->next;
    a->queued++;
}

/* Who waits stands in the queue again, to be asked. */
static void call_in(struct analysis *a)
{
    struct analysis_job *job = a->waiting;
    a->waiting = NULL;
    a->n_waiting = 0;
    while (job) {
        struct analysis_job *next = job->next;
        append(a, job);
        job = next;
    }
}

/* The job waits, unless something has happened since `stirs` was read. */
static void put_aside(struct analysis *a, struct analysis_job *job, uint64_t stirs)
{
    uv_mutex_lock(&a->lock);
    if (a->n_waiting >= a->queue_max)
        job->wait_until_us = 0;
    if (a->stopping || stirs != a->stirs || !job->wait_until_us) {
        append(a, job);
    } else {
        if (!a->waiting || job->wait_until_us < a->first_due_us)
            a->first_due_us = job->wait_until_us;
        job->next = a->waiting;
        a->waiting = job;
        a->n_waiting++;
    }
    uv_mutex_unlock(&a->lock);
}

static bool must_wait(struct analysis *a, struct analysis_job *job)
{
    uv_mutex_lock(&a->lock);
    uint64_t until = job->box ? job->wait_until_us : 0;
    uv_mutex_unlock(&a->lock);
    return until > pw_clock_us() && !job->is_ready(job);
}

/* Until there is something to do. The lock is held. */
static void rest(struct analysis *a)
{
    for (;;) {
        uint64_t now = a->waiting ? pw_clock_us() : 0;
        if (a->waiting && (a->stopping || a->first_due_us <= now))
            call_in(a);
        if (a->head || a->stopping)
            return;
        if (a->waiting)
            (void)uv_cond_timedwait(&a->wake, &a->lock, (a->first_due_us - now) * 1000);
        else
            uv_cond_wait(&a->wake, &a->lock);
    }
}

static struct analysis_job *take(struct analysis *a)
{
    struct analysis_job *job = a->head;
    if (job) {
        a->head = job->next;
        if (!a->head)
            a->tail = &a->head;
        job->next = NULL;
        a->queued--;
        note_queue(a, true);
    }
    return job;
}

/* The mail carries the thread's reference. */
static void mail_back(struct analysis *a, struct analysis_job *job)
{
    uv_mutex_lock(&a->lock);
    bool wanted = job->box != NULL;
    if (wanted)
        pw_mailbox_send(job->box, &job->mail);
    uv_mutex_unlock(&a->lock);
    if (!wanted)
        pw_analysis_unref(job);
}

static bool is_wanted(struct analysis *a, struct analysis_job *job)
{
    uv_mutex_lock(&a->lock);
    bool wanted = job->box != NULL;
    uv_mutex_unlock(&a->lock);
    return wanted;
}

static void work(struct analysis_job *job)
{
    struct metric_slot *slot = pw_metrics_slot(PW_SLOT_ANALYSIS);
    uint64_t began = pw_clock_us();
    job->work(job);
    pw_metric_observe(slot, PW_HIST_ANALYSIS, pw_clock_us() - began);
    pw_metric_inc(slot, PW_METRIC_ANALYSIS_JOBS);
}

static void thread_main(void *arg)
{
    struct analysis *a = arg;
    pthread_setname_np(pthread_self(), "pgweir-analysis");
    for (;;) {
        uv_mutex_lock(&a->lock);
        rest(a);
        bool stopping = a->stopping;
        uint64_t stirs = a->stirs;
        struct analysis_job *job = take(a);
        uv_mutex_unlock(&a->lock);
        if (!job)
            return;
        if (!stopping && must_wait(a, job)) {
            put_aside(a, job, stirs);
            continue;
        }
        if (!stopping && is_wanted(a, job))
            work(job);
        mail_back(a, job);
    }
}

struct analysis *pw_analysis_new(size_t queue_max)
{
    struct analysis *a = pw_alloc(sizeof *a);
    a->tail = &a->head;
    a->queue_max = queue_max;
    PW_CHECK(uv_mutex_init(&a->lock) == 0);
    PW_CHECK(uv_cond_init(&a->wake) == 0);
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                   .stack_size = LIMIT_STACK_BYTES};
    PW_CHECK(uv_thread_create_ex(&a->thread, &options, thread_main, a) == 0);
    return a;
}

void pw_analysis_free(struct analysis *a)
{
    if (!a)
        return;
    uv_mutex_lock(&a->lock);
    a->stopping = true;
    uv_cond_signal(&a->wake);
    uv_mutex_unlock(&a->lock);
    uv_thread_join(&a->thread);
    uv_cond_destroy(&a->wake);
    uv_mutex_destroy(&a->lock);
    pw_free(a);
}

bool pw_analysis_submit(struct analysis *a, struct analysis_job *job)
{
    uv_mutex_lock(&a->lock);
    bool room = a->queued < a->queue_max && !a->stopping;
    if (room) {
        atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
        append(a, job);
        uv_cond_signal(&a->wake);
    }
    note_queue(a, room);
    uv_mutex_unlock(&a->lock);
    return room;
}

void pw_analysis_stir(struct analysis *a)
{
    if (!a)
        return;
    uv_mutex_lock(&a->lock);
    a->stirs++;
    call_in(a);
    uv_cond_signal(&a->wake);
    uv_mutex_unlock(&a->lock);
}

void pw_analysis_hurry(struct analysis *a, struct analysis_job *job)
{
    uv_mutex_lock(&a->lock);
    bool waits = job->wait_until_us != 0;
    job->wait_until_us = 0;
    uv_mutex_unlock(&a->lock);
    if (waits)
        pw_analysis_stir(a);
}

void pw_analysis_detach(struct analysis *a, struct analysis_job *job)
{
    uv_mutex_lock(&a->lock);
    job->box = NULL;
    uv_mutex_unlock(&a->lock);
}

size_t pw_analysis_queued(struct analysis *a)
{
    uv_mutex_lock(&a->lock);
    size_t n = a->queued;
    uv_mutex_unlock(&a->lock);
    return n;
}
