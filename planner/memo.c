/*
 * A worker's memo: template -> plan (planner.h). Bounded in entries and bytes, LRU. Entries under
 * analysis are never evicted; each may have several waiters. Worker's thread only; statistics are
 * relaxed atomics so that others may look.
 */
#include "planner/memo.h"

#include "planner/draft.h"
#include "planner/limits.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/clock.h"

struct plan_memo {
    struct planner *planner; /* BORROW */
    struct mailbox *box;     /* BORROW: the worker's */
    struct hashmap map;
    struct list lru;
    size_t max_entries, bytes;
    struct template scratch; /* OWN text and slots */
    bool is_scanned;         /* scratch is of the last text */
    _Atomic uint64_t entries, hits, misses, evictions, opaque, waiting;
};

static void count(_Atomic uint64_t *c, int64_t by)
{
    uint64_t now = atomic_load_explicit(c, memory_order_relaxed);
    atomic_store_explicit(c, now + (uint64_t)by, memory_order_relaxed);
}

struct plan_memo *pw_plan_memo_new(struct planner *p, struct mailbox *box, size_t max_entries)
{
    struct plan_memo *m = pw_alloc(sizeof *m);
    m->planner = p;
    m->box = box;
    m->max_entries = max_entries ? max_entries : 1;
    pw_hashmap_init(&m->map);
    pw_list_init(&m->lru);
    m->scratch.text = pw_alloc(LIMIT_SQL_BYTES);
    m->scratch.slots = pw_alloc(LIMIT_SLOTS * sizeof *m->scratch.slots);
    m->scratch.cap_slots = LIMIT_SLOTS;
    return m;
}

static void release_waiter(struct memo_waiter *w)
{
    pw_list_remove(&w->entry->waiters, &w->link);
    w->waiter->job = NULL;
    count(&w->memo->waiting, -1);
    pw_free(w);
}

static void drop_job(struct plan_memo *m, struct memo_entry *e)
{
    if (!e->job)
        return;
    pw_analysis_detach(m->planner->analysis, &e->job->job);
    e->job->entry = NULL;
    pw_analysis_unref(&e->job->job);
    e->job = NULL;
}

static void remove_entry(struct plan_memo *m, struct memo_entry *e)
{
    PW_CHECK(pw_list_empty(&e->waiters));
    drop_job(m, e);
    pw_hashmap_remove(&m->map, &e->node);
    pw_list_remove(&m->lru, &e->lru);
    m->bytes -= sizeof *e + e->len;
    count(&m->entries, -1);
    pw_plan_unref(e->plan);
    pw_free(e);
}

void pw_plan_memo_free(struct plan_memo *m)
{
    if (!m)
        return;
    PW_LIST_FOR(&m->lru, it, tmp)
    {
        struct memo_entry *e = PW_LIST_ENTRY(it, struct memo_entry, lru);
        while (!pw_list_empty(&e->waiters))
            release_waiter(PW_LIST_ENTRY(pw_list_first(&e->waiters), struct memo_waiter, link));
        remove_entry(m, e);
    }
    pw_hashmap_free(&m->map);
    pw_free(m->scratch.text);
    pw_free(m->scratch.slots);
    pw_free(m);
}

/* ---- the job: made here, worked on by the analysis thread, mailed back ---- */

static void job_destroy(struct analysis_job *job)
{
    struct memo_job *mine = PW_CONTAINER_OF(job, struct memo_job, job);
    pw_plan_unref(mine->result);
    pw_free(mine);
}

static void job_work(struct analysis_job *job)
{
    struct memo_job *mine = PW_CONTAINER_OF(job, struct memo_job, job);
    mine->result = pw_analyze(mine->ctx, &mine->in);
}

static void job_drop(struct mail *mail)
{
    pw_analysis_unref(PW_CONTAINER_OF(mail, struct analysis_job, mail));
}

static bool job_is_ready(struct analysis_job *job)
{
    return pw_slot_wait_until(PW_CONTAINER_OF(job, struct memo_job, job)->ctx->slot) == 0;
}

static bool has_patient_waiter(const struct memo_entry *e)
{
    PW_LIST_FOR(&e->waiters, it, tmp)
    {
        if (!PW_LIST_ENTRY(it, struct memo_waiter, link)->waiter->is_impatient)
            return true;
    }
    return false;
}

/* The plan is made again when the catalog is there. When it came just now, at once: but not for
 * ever, should it be read again and again. */
static bool start_again(struct memo_job *mine)
{
    uint64_t now = pw_clock_us(), until = pw_slot_wait_until(mine->ctx->slot);
    if (!mine->give_up_us)
        mine->give_up_us = until ? until : now + pw_planner_catalog_wait(mine->ctx->slot->planner);
    if (mine->give_up_us <= now)
        return false;
    mine->job.wait_until_us = mine->give_up_us;
    return pw_analysis_submit(mine->ctx->slot->planner->analysis, &mine->job);
}

/* A waiter may ask for further plans, or cancel others, from inside on_plan. */
static void answer_waiters(struct memo_entry *e, const struct plan *plan, bool impatient_only)
{
    size_t n = e->waiters.count; /* who asks again meanwhile waits for the next answer */
    e->answering = true;
    while (n-- && !pw_list_empty(&e->waiters)) {
        struct memo_waiter *w = PW_LIST_ENTRY(pw_list_first(&e->waiters), struct memo_waiter, link);
        struct plan_waiter *waiter = w->waiter;
        if (impatient_only && !waiter->is_impatient) {
            pw_list_remove(&e->waiters, &w->link);
            pw_list_push_back(&e->waiters, &w->link);
            continue;
        }
        release_waiter(w);
        waiter->on_plan(waiter, pw_plan_ref(plan));
    }
    e->answering = false;
}

static void job_run(struct mail *mail)
{
    struct analysis_job *job = PW_CONTAINER_OF(mail, struct analysis_job, mail);
    struct memo_job *mine = PW_CONTAINER_OF(job, struct memo_job, job);
    struct memo_entry *e = mine->entry;
    if (e) {
        const struct plan *plan = mine->result ? mine->result : pw_plan_opaque();
        mine->result = NULL;
        pw_plan_unref(e->plan);
        e->plan = plan;
        bool again = plan->is_provisional && has_patient_waiter(e) && start_again(mine);
        if (!again) {
            e->job = NULL;
            pw_analysis_unref(job); /* the memo's reference */
        }
        pw_plan_ref(plan); /* what the waiters do may replace e->plan */
        answer_waiters(e, plan, again);
        pw_plan_unref(plan);
    }
    pw_analysis_unref(job); /* the thread's, which came with the mail */
}

static bool start_job(struct plan_memo *m, struct memo_entry *e)
{
    const struct template *t = &m->scratch;
    struct memo_job *job = pw_alloc(sizeof *job + t->len);
    job->job.mail.run = job_run;
    job->job.mail.drop = job_drop;
    atomic_init(&job->job.refs, 1);
    job->job.box = m->box;
    job->job.is_ready = job_is_ready;
    job->job.work = job_work;
    job->job.destroy = job_destroy;
    job->entry = e;
    job->ctx = e->ctx;
    memcpy(job->text, t->text, t->len);
    job->in = (struct analyze_input){.template_text = {job->text, t->len},
                                     .hash_lo = t->hash_lo,
                                     .hint_cache = t->hint_cache,
                                     .hint_batch = t->hint_batch,
                                     .hint_ttl_us = t->hint_ttl_us};
    if (!pw_analysis_submit(m->planner->analysis, &job->job)) {
        pw_analysis_unref(&job->job);
        return false;
    }
    e->job = job;
    return true;
}

/* ---- look-up ---- */

static uint64_t entry_hash(const struct plan_context *ctx, const struct template *t)
{
    return pw_hash_mix(t->hash_lo, (uint64_t)(uintptr_t)ctx);
}

static struct memo_entry *find(const struct plan_memo *m, const struct plan_context *ctx)
{
    const struct template *t = &m->scratch;
    for (struct hash_node *n = pw_hashmap_first(&m->map, entry_hash(ctx, t)); n;
         n = pw_hashmap_next(n)) {
        struct memo_entry *e = PW_CONTAINER_OF(n, struct memo_entry, node);
        if (e->ctx == ctx && e->hash_hi == t->hash_hi && e->len == t->len &&
            memcmp(e->text, t->text, t->len) == 0)
            return e;
    }
    return NULL;
}

static void make_room(struct plan_memo *m, size_t bytes)
{
    struct list_node *n = m->lru.head.prev;
    while (n != &m->lru.head &&
           (m->lru.count >= m->max_entries || m->bytes + bytes > MEMO_BYTES_MAX)) {
        struct memo_entry *e = PW_LIST_ENTRY(n, struct memo_entry, lru);
        n = n->prev;
        if (e->job || e->answering)
            continue;
        remove_entry(m, e);
        count(&m->evictions, 1);
    }
}

static struct memo_entry *insert(struct plan_memo *m, const struct plan_context *ctx)
{
    const struct template *t = &m->scratch;
    size_t bytes = sizeof(struct memo_entry) + t->len;
    make_room(m, bytes);
    struct memo_entry *e = pw_alloc(bytes);
    e->ctx = ctx;
    e->hash_hi = t->hash_hi;
    e->len = t->len;
    memcpy(e->text, t->text, t->len);
    pw_list_init(&e->waiters);
    pw_hashmap_insert(&m->map, &e->node, entry_hash(ctx, t));
    pw_list_push_front(&m->lru, &e->lru);
    m->bytes += bytes;
    count(&m->entries, 1);
    return e;
}

static const struct plan *opaque(struct plan_memo *m)
{
    count(&m->opaque, 1);
    return pw_plan_opaque();
}

static const struct plan *wait_for(struct plan_memo *m, struct memo_entry *e, struct plan_waiter *w)
{
    struct memo_waiter *mine = pw_alloc(sizeof *mine);
    mine->entry = e;
    mine->memo = m;
    mine->waiter = w;
    pw_list_push_back(&e->waiters, &mine->link);
    w->job = mine;
    count(&m->waiting, 1);
    return NULL;
}

static bool scan(struct plan_memo *m, const struct plan_context *ctx, struct slice sql)
{
    m->scratch.cap = atomic_load_explicit(&m->planner->max_sql_bytes, memory_order_relaxed);
    struct template_options options = {.standard_conforming_strings =
                                           ctx->standard_conforming_strings};
    m->is_scanned = pw_template_scan(&m->scratch, sql, &options) == TEMPLATE_OK;
    return m->is_scanned;
}

bool pw_plan_scan_again(struct plan_memo *m, const struct plan_context *ctx, struct slice sql)
{
    m->is_scanned = false;
    return ctx->encoding_is_safe && !ctx->is_overflow && scan(m, ctx, sql);
}

bool pw_plan_slots(const struct plan_memo *m, const struct template_slot **slots, uint32_t *n)
{
    *slots = m->scratch.slots;
    *n = m->scratch.n_slots;
    return m->is_scanned && m->scratch.n_slots <= m->scratch.cap_slots;
}

/* The plan is current. */
static bool is_good_enough(const struct plan *plan, const struct plan_waiter *w)
{
    if (!plan->is_provisional || w->is_impatient)
        return true;
    const struct plan_context *ctx = plan->context;
    return pw_slot_wait_until(ctx->slot) <= pw_clock_us();
}

const struct plan *pw_plan_get(struct plan_memo *m, const struct plan_context *ctx,
                               struct slice sql, struct plan_waiter *w)
{
    w->job = NULL;
    PW_CHECK(sql.ptr || sql.len == 0);
#ifdef PW_BENCH_UNTRACKED /* never in a build for use: see tests/bench/README.md */
    static struct plan unseen = {
        .refs = 1,
        .cls = PLAN_READ,
        .generation = PLAN_ANY_GENERATION,
        .family_text = "<not looked at>",
        .calls = "",
        .tag = "SELECT",
        .n_statements = 1,
    };
    return &unseen;
#endif
    if (!pw_plan_scan_again(m, ctx, sql))
        return opaque(m);
    struct memo_entry *e = find(m, ctx);
    if (e && e->plan && pw_plan_is_current(ctx, e->plan) && is_good_enough(e->plan, w)) {
        if (m->lru.head.next != &e->lru) {
            pw_list_remove(&m->lru, &e->lru);
            pw_list_push_front(&m->lru, &e->lru);
        }
        count(&m->hits, 1);
        return e->plan;
    }
    count(&m->misses, 1);
    if (!e)
        e = insert(m, ctx);
    if (!e->job && !start_job(m, e)) {
        if (!e->plan)
            remove_entry(m, e);
        return opaque(m);
    }
    if (w->is_impatient)
        pw_analysis_hurry(m->planner->analysis, &e->job->job);
    return wait_for(m, e, w);
}

void pw_plan_cancel(struct plan_waiter *w)
{
    struct memo_waiter *mine = w->job;
    if (mine)
        release_waiter(mine);
}

bool pw_plan_is_current(const struct plan_context *ctx, const struct plan *plan)
{
    return plan->generation == PLAN_ANY_GENERATION ||
           (plan->context == ctx &&
            plan->generation == atomic_load_explicit(&ctx->slot->generation, memory_order_acquire));
}

bool pw_plan_value_is_special(struct slice value, bool is_binary)
{
    return is_binary ? pw_template_is_special_binary(value) : pw_template_is_special(value);
}

void pw_plan_memo_stats(const struct plan_memo *m, struct plan_memo_stats *out)
{
    *out = (struct plan_memo_stats){
        .entries = atomic_load_explicit(&m->entries, memory_order_relaxed),
        .hits = atomic_load_explicit(&m->hits, memory_order_relaxed),
        .misses = atomic_load_explicit(&m->misses, memory_order_relaxed),
        .evictions = atomic_load_explicit(&m->evictions, memory_order_relaxed),
        .opaque = atomic_load_explicit(&m->opaque, memory_order_relaxed),
        .waiting = atomic_load_explicit(&m->waiting, memory_order_relaxed),
    };
}
