/* See advisor.h. One thread takes requests from a bounded queue. */
#include "advisor/advisor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/advisor_priv.h"
#include "advisor/history.h"
#include "advisor/profile_priv.h"
#include "advisor/run.h"
#include "advisor/side.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/list.h"
#include "proxy/base/log.h"

#define STACK_BYTES ((size_t)64 << 20)
#define QUEUE_MAX   16

static void options_free(struct advisor_options *o)
{
    pw_free((char *)(uintptr_t)o->state_dir);
    for (size_t k = 0; k < o->n_standbys; k++)
        pw_free((char *)(uintptr_t)o->standbys[k]);
    pw_free((char **)(uintptr_t)o->standbys);
    memset(o, 0, sizeof(*o));
}

static void options_copy(struct advisor_options *to, const struct advisor_options *from)
{
    *to = *from;
    to->state_dir = from->state_dir ? pw_strdup(from->state_dir) : NULL;
    char **standbys = from->n_standbys ? pw_alloc(from->n_standbys * sizeof(*standbys)) : NULL;
    for (size_t k = 0; k < from->n_standbys; k++)
        standbys[k] = pw_strdup(from->standbys[k]);
    to->standbys = (const char *const *)standbys;
    pw_advise_defaults(to);
}

static void request_free(struct request *q)
{
    pw_free(q->database);
    pw_free(q->conninfo);
    pw_free(q->id);
    pw_workload_free(q->w);
    pw_free(q);
}

static void set_progress(struct advisor *a, const char *text)
{
    pthread_mutex_lock(&a->lock);
    snprintf(a->progress, sizeof(a->progress), "%s", text);
    pthread_mutex_unlock(&a->lock);
}

struct progress_context {
    struct advisor *a;
    const char *database;
};

static void on_progress(void *arg, const char *phase, size_t done, size_t total)
{
    const struct progress_context *p = arg;
    char text[160];
    if (total)
        snprintf(text, sizeof(text), "%.60s: %s %zu of %zu", p->database, phase, done, total);
    else
        snprintf(text, sizeof(text), "%.60s: %s", p->database, phase);
    set_progress(p->a, text);
}

static void store_latest(struct advisor *a, const char *database, struct advice_set *set)
{
    pthread_mutex_lock(&a->lock);
    size_t k = 0;
    while (k < a->n_latest && strcmp(a->latest[k].database, database) != 0)
        k++;
    if (k == a->n_latest && k < DATABASES_MAX)
        a->latest[a->n_latest++].database = pw_strdup(database);
    struct advice_set *old = NULL;
    if (k < DATABASES_MAX) {
        old = a->latest[k].set;
        a->latest[k].set = pw_advice_set_ref(set);
    }
    pthread_mutex_unlock(&a->lock);
    pw_advice_set_unref(old);
}

static struct history *open_history(const struct advisor_options *o)
{
    char *error = NULL;
    if (!o->history || !o->state_dir || !o->state_dir[0])
        return NULL;
    struct history *h = pw_history_open(o->state_dir, &error);
    if (!h)
        pw_log_warn("advisor event=no_history error=\"%s\"", error ? error : "?");
    pw_free(error);
    return h;
}

static void record_outcomes(struct advisor *a, struct history *h)
{
    pthread_mutex_lock(&a->lock);
    for (size_t k = 0; k < a->n_applied; k++) {
        pw_applied_judge(&a->applied[k], a->latency, a->latency_arg);
        pw_history_outcome(h, a->applied[k].database, &a->applied[k].outcome);
    }
    pthread_mutex_unlock(&a->lock);
}

/* The kinds of advice that such a run replaces; what others found stays. */
static unsigned kinds_of(enum advise_what what)
{
    unsigned jit = 1u << ADVICE_JIT, function = 1u << ADVICE_FUNCTION;
    bool functions = what == ADVISE_FUNCTIONS || what == ADVISE_FUNCTIONS_UNMEASURED;
    return what == ADVISE_JIT ? jit : functions ? function : ~(jit | function);
}

static void do_run(struct advisor *a, struct request *q)
{
    struct progress_context context = {a, q->database};
    struct advise_job job = {.conninfo = q->conninfo,
                             .what = q->what,
                             .progress = on_progress,
                             .progress_arg = &context,
                             .cancel = &a->cancel};
    pthread_mutex_lock(&a->lock);
    options_copy(&job.o, &a->options);
    pthread_mutex_unlock(&a->lock);
    bool reached = false;
    struct history *h = open_history(&job.o);
    struct advice_set *set = pw_advise_run(&job, q->w, h, &reached);
    if (h)
        record_outcomes(a, h);
    pw_history_close(h);
    if (reached) {
        struct advice_set *old = pw_advisor_latest(a, q->database);
        if (old)
            set = pw_advice_set_merge(old, set, kinds_of(q->what));
        store_latest(a, q->database, set);
    }
    pw_log_info("advisor event=%s database=%s advice=%zu partial=%d whatif_calls=%llu",
                reached ? "advised" : "unreachable", q->database, set->n_items, set->partial,
                (unsigned long long)set->summary.whatif_calls);
    if (q->on_done)
        q->on_done(q->arg, reached, reached ? "" : set->n_notes ? set->notes[0] : "no answer", set);
    pw_advice_set_unref(set);
    options_free(&job.o);
}

static void on_backend(void *arg, int pid)
{
    struct advisor *a = arg;
    pthread_mutex_lock(&a->lock);
    a->busy_pid = pid;
    pthread_mutex_unlock(&a->lock);
}

static bool apply_sql(struct advisor *a, const struct request *q, const char *sql,
                      const char *object, bool creates, char **error)
{
    pthread_mutex_lock(&a->lock);
    a->busy_conninfo = pw_strdup(q->conninfo);
    pthread_mutex_unlock(&a->lock);
    bool ok = pw_apply_sql(q->conninfo, sql, object, creates, on_backend, a, error);
    pthread_mutex_lock(&a->lock);
    PW_FREE(a->busy_conninfo);
    pthread_mutex_unlock(&a->lock);
    return ok;
}

static void remember(struct advisor *a, struct applied *x)
{
    pthread_mutex_lock(&a->lock);
    if (a->n_applied == APPLIED_MAX) {
        pw_applied_free(&a->applied[0]);
        memmove(a->applied, a->applied + 1, (APPLIED_MAX - 1) * sizeof(*a->applied));
        a->n_applied--;
    }
    a->applied[a->n_applied++] = *x;
    pthread_mutex_unlock(&a->lock);
}

static void finish(struct request *q, bool ok, const char *error, struct advice_set *set)
{
    pw_log_info("advisor event=%s id=%s ok=%d", q->kind == REQUEST_APPLY ? "apply" : "undo", q->id,
                ok);
    if (q->on_done)
        q->on_done(q->arg, ok, error ? error : "", set);
}

static void do_apply(struct advisor *a, struct request *q)
{
    char database[64];
    struct advice_set *set = pw_advisor_set_with(a, q->id, database, sizeof(database));
    const struct advice *item = set ? pw_advice_find(set, q->id) : NULL;
    if (!item || !item->sql[0]) {
        finish(q, false, item ? "this advice has no statement to run" : "no such advice", set);
        pw_advice_set_unref(set);
        return;
    }
    char text[160], *error = NULL;
    snprintf(text, sizeof(text), "%s: applying %s", database, item->id);
    set_progress(a, text);
    struct applied x;
    pw_applied_start(&x, item, database, a->latency, a->latency_arg);
    bool creates = item->kind == ADVICE_CREATE || item->kind == ADVICE_FK_INDEX;
    bool drops = item->kind == ADVICE_DROP_UNUSED || item->kind == ADVICE_DROP_REDUNDANT;
    if (drops && q->w)
        pw_applied_find_users(&x, q->conninfo, q->w, a->latency, a->latency_arg);
    bool ok = apply_sql(a, q, item->sql, item->object, creates, &error);
    if (ok && creates && q->w)
        pw_applied_keep_users(&x, q->conninfo, q->w);
    pw_applied_done(&x, a->latency, a->latency_arg);
    if (!ok)
        x.outcome.verdict = ADVICE_FAILED;
    remember(a, &x);
    finish(q, ok, error, set);
    pw_free(error);
    pw_advice_set_unref(set);
}

/* The newest application of this id that still stands: its undo statement, copied; NULL otherwise.
 */
static char *undo_of(struct advisor *a, const char *id, enum advice_kind *kind, char *object,
                     size_t size)
{
    char *out = NULL;
    pthread_mutex_lock(&a->lock);
    for (size_t k = a->n_applied; k-- > 0 && !out;) {
        const struct applied *x = &a->applied[k];
        if (strcmp(x->outcome.id, id) != 0 || x->outcome.verdict == ADVICE_UNDONE ||
            x->outcome.verdict == ADVICE_FAILED)
            continue;
        out = pw_strdup(x->undo_sql);
        *kind = x->kind;
        snprintf(object, size, "%s", x->outcome.object);
    }
    pthread_mutex_unlock(&a->lock);
    return out;
}

static void do_undo(struct advisor *a, struct request *q)
{
    enum advice_kind kind = ADVICE_CREATE;
    char object[160], *error = NULL;
    char *sql = undo_of(a, q->id, &kind, object, sizeof(object));
    bool creates = kind == ADVICE_DROP_UNUSED || kind == ADVICE_DROP_REDUNDANT;
    bool ok = false;
    if (!sql)
        error = pw_strdup("nothing applied under this id");
    else if (!sql[0])
        error = pw_strdup("this advice cannot be undone");
    else
        ok = apply_sql(a, q, sql, object, creates, &error);
    pthread_mutex_lock(&a->lock);
    for (size_t k = 0; ok && k < a->n_applied; k++)
        if (strcmp(a->applied[k].outcome.id, q->id) == 0)
            a->applied[k].outcome.verdict = ADVICE_UNDONE;
    pthread_mutex_unlock(&a->lock);
    finish(q, ok, error, NULL);
    pw_free(sql);
    pw_free(error);
}

static void do_read(struct request *q)
{
    char *error = NULL;
    struct server_reading *r = pw_server_read(q->conninfo, &error);
    q->on_reading(q->arg, r, r ? "" : error ? error : "no answer");
    pw_free(error);
}

static struct request *next_request(struct advisor *a)
{
    pthread_mutex_lock(&a->lock);
    a->progress[0] = 0;
    while (!a->stopping && pw_list_empty(&a->queue))
        pthread_cond_wait(&a->wake, &a->lock);
    struct list_node *n = a->stopping ? NULL : pw_list_pop_front(&a->queue);
    pthread_mutex_unlock(&a->lock);
    return n ? PW_LIST_ENTRY(n, struct request, node) : NULL;
}

static void *work(void *arg)
{
    struct advisor *a = arg;
    pthread_setname_np(pthread_self(), "pgweir-advisor");
    for (struct request *q; (q = next_request(a));) {
        if (q->kind == REQUEST_RUN)
            do_run(a, q);
        else if (q->kind == REQUEST_APPLY)
            do_apply(a, q);
        else if (q->kind == REQUEST_READ)
            do_read(q);
        else
            do_undo(a, q);
        request_free(q);
    }
    return NULL;
}

struct advisor *pw_advisor_new(const struct advisor_options *o, pw_family_latency latency,
                               void *latency_arg)
{
    struct advisor *a = pw_alloc(sizeof(*a));
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->wake, NULL);
    pw_list_init(&a->queue);
    options_copy(&a->options, o);
    a->applied = pw_alloc(APPLIED_MAX * sizeof(*a->applied));
    a->latency = latency;
    a->latency_arg = latency_arg;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    PW_CHECK(pthread_create(&a->thread, &attr, work, a) == 0);
    pthread_attr_destroy(&attr);
    return a;
}

void pw_advisor_configure(struct advisor *a, const struct advisor_options *o)
{
    pthread_mutex_lock(&a->lock);
    options_free(&a->options);
    options_copy(&a->options, o);
    pthread_mutex_unlock(&a->lock);
}

/* A build may run for hours: ask the server to stop it. */
static void cancel_build(struct advisor *a)
{
    char sql[64] = "", *conninfo = NULL, *error = NULL;
    pthread_mutex_lock(&a->lock);
    if (a->busy_pid && a->busy_conninfo) {
        snprintf(sql, sizeof(sql), "SELECT pg_cancel_backend(%d)", a->busy_pid);
        conninfo = pw_strdup(a->busy_conninfo);
    }
    pthread_mutex_unlock(&a->lock);
    struct pgsync *pg = conninfo ? pw_pgsync_connect(conninfo, 2000000, &error) : NULL;
    if (pg) {
        pw_pgresult_free(pw_pgsync_query(pg, sql, 0, NULL));
        pw_pgsync_free(pg);
    }
    pw_free(error);
    pw_free(conninfo);
}

void pw_advisor_free(struct advisor *a)
{
    if (!a)
        return;
    atomic_store(&a->cancel, true);
    pthread_mutex_lock(&a->lock);
    a->stopping = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
    cancel_build(a);
    pthread_join(a->thread, NULL);
    for (struct list_node *n; (n = pw_list_pop_front(&a->queue));) {
        struct request *q = PW_LIST_ENTRY(n, struct request, node);
        if (q->on_done)
            q->on_done(q->arg, false, "closed", NULL);
        if (q->on_reading)
            q->on_reading(q->arg, NULL, "closed");
        request_free(q);
    }
    for (size_t k = 0; k < a->n_latest; k++) {
        pw_free(a->latest[k].database);
        pw_advice_set_unref(a->latest[k].set);
    }
    for (size_t k = 0; k < a->n_applied; k++)
        pw_applied_free(&a->applied[k]);
    pw_free(a->applied);
    options_free(&a->options);
    pthread_cond_destroy(&a->wake);
    pthread_mutex_destroy(&a->lock);
    pw_free(a);
}

static bool enqueue(struct advisor *a, struct request *q)
{
    pthread_mutex_lock(&a->lock);
    bool room = !a->stopping && a->queue.count < QUEUE_MAX;
    if (room) {
        pw_list_push_back(&a->queue, &q->node);
        pthread_cond_signal(&a->wake);
    }
    pthread_mutex_unlock(&a->lock);
    if (!room)
        request_free(q);
    return room;
}

bool pw_advisor_run(struct advisor *a, enum advise_what what, const char *database,
                    const char *conninfo, struct workload *w, pw_on_advice on_done, void *arg)
{
    struct request *q = pw_alloc(sizeof(*q));
    *q = (struct request){.kind = REQUEST_RUN,
                          .what = what,
                          .database = pw_strdup(database),
                          .conninfo = pw_strdup(conninfo),
                          .w = w,
                          .on_done = on_done,
                          .arg = arg};
    return enqueue(a, q);
}

static bool by_id(struct advisor *a, enum request_kind kind, const char *id, const char *conninfo,
                  struct workload *w, pw_on_advice on_done, void *arg)
{
    struct request *q = pw_alloc(sizeof(*q));
    *q = (struct request){.kind = kind,
                          .w = w,
                          .id = pw_strdup(id),
                          .conninfo = pw_strdup(conninfo),
                          .on_done = on_done,
                          .arg = arg};
    return enqueue(a, q);
}

bool pw_advisor_read_server(struct advisor *a, const char *conninfo, pw_on_server_reading cb,
                            void *arg)
{
    struct request *q = pw_alloc(sizeof(*q));
    *q = (struct request){
        .kind = REQUEST_READ, .conninfo = pw_strdup(conninfo), .on_reading = cb, .arg = arg};
    return enqueue(a, q);
}

bool pw_advisor_apply(struct advisor *a, const char *id, const char *conninfo, struct workload *w,
                      pw_on_advice on_done, void *arg)
{
    return by_id(a, REQUEST_APPLY, id, conninfo, w, on_done, arg);
}

bool pw_advisor_undo(struct advisor *a, const char *id, const char *conninfo, pw_on_advice on_done,
                     void *arg)
{
    return by_id(a, REQUEST_UNDO, id, conninfo, NULL, on_done, arg);
}
