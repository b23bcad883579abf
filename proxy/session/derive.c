/* See derive.h. One struct per derivation, remembered or under way; the oldest unused one is
 * forgotten first. */
#include "proxy/session/derive.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/base/hashmap.h"

enum {
    REMEMBERED_MAX = 10000,
    RUNNING_MAX = 2, /* of libuv's four threads: names are resolved there too */
    NICE = 10        /* a login storm must not take the CPU from running queries */
};

struct derivation {
    struct hash_node node;
    struct list_node link; /* LINK owner's remembered, waiting or running */
    struct derivations *owner;
    uint8_t digest[CRYPTO_SHA256];
    uv_work_t work;
    struct scram_job job; /* OWN texts, NULL once done */
    struct list waiters;
    bool ok;
    struct scram_keys keys;
};

struct derivations {
    uv_loop_t *uv;
    const uint8_t *seed; /* BORROW */
    struct hashmap all;
    struct list remembered; /* least recently used first */
    struct list waiting, running;
};

struct derivations *pw_derivations_new(uv_loop_t *uv, const uint8_t *seed)
{
    struct derivations *d = pw_alloc(sizeof *d);
    d->uv = uv;
    d->seed = seed;
    pw_hashmap_init(&d->all);
    pw_list_init(&d->remembered);
    pw_list_init(&d->waiting);
    pw_list_init(&d->running);
    return d;
}

bool pw_derivations_is_quiet(const struct derivations *d)
{
    return d->running.count == 0;
}

static void free_job(struct derivation *e)
{
    char *password = (char *)(uintptr_t)e->job.password.ptr,
         *salt = (char *)(uintptr_t)e->job.salt.ptr;
    if (password)
        pw_crypto_wipe(password, e->job.password.len);
    pw_free(password);
    pw_free(salt);
    e->job = (struct scram_job){0};
}

/* Out of whatever list it was in. */
static void forget(struct derivations *d, struct derivation *e)
{
    pw_hashmap_remove(&d->all, &e->node);
    free_job(e);
    pw_crypto_wipe(e, sizeof *e);
    pw_free(e);
}

void pw_derivations_free(struct derivations *d)
{
    if (!d)
        return;
    PW_CHECK(pw_derivations_is_quiet(d));
    PW_HASHMAP_FOR(&d->all, n, tmp)
    forget(d, PW_CONTAINER_OF(n, struct derivation, node));
    pw_hashmap_free(&d->all);
    pw_free(d);
}

static bool digest_of(const struct derivations *d, const struct scram_job *job,
                      uint8_t out[CRYPTO_SHA256])
{
    const uint64_t numbers[] = {job->password.len, job->salt.len, job->iterations};
    const struct slice parts[] = {pw_slice((const char *)numbers, sizeof numbers), job->password,
                                  job->salt};
    return pw_crypto_hmac_sha256(d->seed, parts, PW_COUNT_OF(parts), out);
}

static struct derivation *find(const struct derivations *d, const uint8_t digest[CRYPTO_SHA256])
{
    for (struct hash_node *n = pw_hashmap_first(&d->all, pw_hash_bytes(digest, CRYPTO_SHA256)); n;
         n = pw_hashmap_next(n)) {
        struct derivation *e = PW_CONTAINER_OF(n, struct derivation, node);
        if (pw_crypto_equal(e->digest, digest, CRYPTO_SHA256))
            return e;
    }
    return NULL;
}

static void run(uv_work_t *work)
{
    static _Thread_local bool is_nice;
    struct derivation *e = PW_CONTAINER_OF(work, struct derivation, work);
    if (!is_nice) /* of this thread only, and for good: a thread may not take its claim back */
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    is_nice = true;
    e->ok = pw_scram_derive(e->job.password, e->job.salt, e->job.iterations, &e->keys);
}

static void start_some(struct derivations *d);

static void tell(struct derivation *e, bool ok)
{
    while (!pw_list_empty(&e->waiters)) {
        struct derive_waiter *w =
            PW_LIST_ENTRY(pw_list_pop_front(&e->waiters), struct derive_waiter, link);
        w->on_derived(w, ok ? &e->keys : NULL);
    }
}

static void on_done(uv_work_t *work, int status)
{
    struct derivation *e = PW_CONTAINER_OF(work, struct derivation, work);
    struct derivations *d = e->owner;
    pw_list_remove(&d->running, &e->link);
    free_job(e);
    bool ok = status == 0 && e->ok;
    if (ok)
        pw_list_push_back(&d->remembered, &e->link);
    else
        pw_hashmap_remove(&d->all, &e->node);
    tell(e, ok);
    if (!ok)
        pw_free(e);
    while (d->remembered.count > REMEMBERED_MAX)
        forget(d, PW_LIST_ENTRY(pw_list_pop_front(&d->remembered), struct derivation, link));
    start_some(d);
}

static void start_some(struct derivations *d)
{
    while (d->running.count < RUNNING_MAX && !pw_list_empty(&d->waiting)) {
        struct derivation *e =
            PW_LIST_ENTRY(pw_list_pop_front(&d->waiting), struct derivation, link);
        if (pw_list_empty(&e->waiters)) { /* everybody gave up */
            forget(d, e);
            continue;
        }
        pw_list_push_back(&d->running, &e->link);
        PW_CHECK(uv_queue_work(d->uv, &e->work, run, on_done) ==
                 0); /* fails only without a function to run */
    }
}

bool pw_derive(struct derivations *d, const struct scram_job *job, struct scram_keys *keys,
               struct derive_waiter *w)
{
    uint8_t digest[CRYPTO_SHA256];
    PW_CHECK(!pw_derive_is_pending(w));
    PW_CHECK(digest_of(d, job, digest)); /* SHA-256 is there, or SCRAM would not be */
    struct derivation *e = find(d, digest);
    bool is_new = !e;
    if (e && !e->job.salt.ptr) { /* done */
        *keys = e->keys;
        pw_list_remove(&d->remembered, &e->link);
        pw_list_push_back(&d->remembered, &e->link);
        return true;
    }
    if (is_new) {
        e = pw_alloc(sizeof *e);
        e->owner = d;
        memcpy(e->digest, digest, sizeof digest);
        e->job.password =
            pw_slice(pw_strndup(job->password.ptr, job->password.len), job->password.len);
        e->job.salt.ptr = memcpy(pw_alloc(job->salt.len + 1), job->salt.ptr, job->salt.len);
        e->job.salt.len = job->salt.len;
        e->job.iterations = job->iterations;
        pw_list_init(&e->waiters);
        pw_hashmap_insert(&d->all, &e->node, pw_hash_bytes(digest, CRYPTO_SHA256));
        pw_list_push_back(&d->waiting, &e->link);
    }
    w->in = &e->waiters;
    pw_list_push_back(&e->waiters, &w->link);
    if (is_new)
        start_some(d);
    return false;
}

void pw_derive_cancel(struct derive_waiter *w)
{
    if (pw_derive_is_pending(w))
        pw_list_remove(w->in, &w->link);
}
