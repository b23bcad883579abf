/*
 * A database as the planner knows it (planner.h): reads its catalog over libpq and keeps it fresh.
 * Control thread's loop; only pw_planner_catalog_changed comes from elsewhere, through the slot's
 * lock and a uv_async.
 *
 * Order matters: the counters are looked at before the catalog is read, so that no write between
 * the two is missed, and nothing is cacheable before both are there. A failure withdraws the
 * catalog until it can be read again.
 */
#include "planner/planner.h"

#include "planner/catalog_build.h"
#include "planner/poll.h"
#include "planner/state.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/net/pgconn.h"

enum {
    CONNECT_TIMEOUT_US = 10000000,
    QUERY_TIMEOUT_US = 60000000,
    RETRY_MS = 1000,
    BLOCKED_RETRY_MS = 50,
    BLOCKED_MAX = 40,
    POLL_SHARE = 20, /* at most one twentieth of the time is spent asking */
};

enum step { STEP_IDLE, STEP_POLL, STEP_BEGIN, STEP_PARTS, STEP_COMMIT };

struct planner_database {
    struct planner *planner; /* BORROW */
    struct db_slot *slot;    /* BORROW */
    char *name;              /* OWN */
    struct pgconn *conn;     /* OWN */
    uv_timer_t timer;
    uv_async_t changed;
    uint64_t poll_interval_us, asked_us, seen_changes;
    struct poll_state *poll; /* OWN */
    enum step step;
    int part;
    struct catalog_builder *builder; /* OWN while reading */
    bool want_read, closing, is_up;
    bool is_aborted; /* what failed may have left a transaction behind */
    int n_blocked;   /* attempts in a row that gave way to somebody's lock */
    int open_handles;
};

static void next(struct planner_database *d);

static void ask(struct planner_database *d, const char *sql, pw_on_pgresult cb)
{
    d->asked_us = pw_clock_us();
    pw_pgconn_query(d->conn, sql, 0, NULL, QUERY_TIMEOUT_US, cb, d);
}

static void on_timer(uv_timer_t *timer)
{
    struct planner_database *d = timer->data;
    if (d->step == STEP_IDLE && !d->closing)
        next(d);
}

static void sleep_ms(struct planner_database *d, uint64_t ms)
{
    d->step = STEP_IDLE;
    if (!d->closing)
        uv_timer_start(&d->timer, on_timer, ms, 0);
}

/* Without a working connection nothing about this database is proven any more. */
static void failed(struct planner_database *d, const struct pgresult *r)
{
    pw_catalog_build_free(d->builder);
    d->builder = NULL;
    if (d->closing)
        return;
    if (d->is_up || !d->want_read)
        pw_log_warn("database=%s event=catalog_unreadable error=\"%s\"", d->name,
                    r ? pw_pgresult_error(r) : "out of memory");
    d->is_up = false;
    d->want_read = d->is_aborted = true;
    pw_poll_forget(d->poll);
    pw_slot_publish(d->slot, NULL, false);
    sleep_ms(d, RETRY_MS);
}

/* Somebody's DDL holds a lock that pg_get_viewdef() and kin want. We give way before PostgreSQL looks
 * for a deadlock (deadlock_timeout, 1 s), since it might make the client the victim; and try again,
 * but not for ever with a picture that is out of date. */
static bool gave_way(struct planner_database *d, const struct pgresult *r)
{
    const char *state = pw_pgresult_sqlstate(r);
    if ((strcmp(state, "55P03") != 0 && strcmp(state, "40P01") != 0) ||
        ++d->n_blocked > BLOCKED_MAX || d->closing)
        return false;
    pw_catalog_build_free(d->builder);
    d->builder = NULL;
    d->want_read = d->is_aborted = true;
    sleep_ms(d, BLOCKED_RETRY_MS);
    return true;
}

static void report_all(struct planner_database *d)
{
    if (d->planner->on_foreign_writes)
        d->planner->on_foreign_writes(d->planner->on_foreign_writes_arg, d->slot->id, NULL, 0);
}

static bool is_same(struct db_slot *s, const struct catalog *fresh)
{
    uv_mutex_lock(&s->lock);
    bool same =
        s->catalog && !s->pending && pw_catalog_digest(s->catalog) == pw_catalog_digest(fresh);
    uv_mutex_unlock(&s->lock);
    return same;
}

static uint64_t changes(struct db_slot *s)
{
    uv_mutex_lock(&s->lock);
    uint64_t n = s->changes;
    uv_mutex_unlock(&s->lock);
    return n;
}

static void on_commit(void *arg, const struct pgresult *r)
{
    struct planner_database *d = arg;
    if (!pw_pgresult_ok(r)) {
        failed(d, r);
        return;
    }
    struct catalog *last = pw_slot_last_catalog(d->slot);
    bool remembered = pw_catalog_build_remember(d->builder, last);
    pw_catalog_unref(last);
    if (!remembered) {
        failed(d, NULL);
        return;
    }
    d->n_blocked = 0;
    struct catalog *fresh = pw_catalog_build_finish(d->builder);
    d->builder = NULL;
    if (changes(d->slot) != d->seen_changes) {
        pw_catalog_unref(fresh); /* out of date already: read again */
    } else if (is_same(d->slot, fresh)) {
        pw_catalog_unref(fresh);
        d->want_read = false;
    } else {
        pw_log_debug("database=%s event=catalog_read digest=%016llx", d->name,
                     (unsigned long long)pw_catalog_digest(fresh));
        pw_slot_publish(d->slot, fresh, false);
        report_all(d);
        d->want_read = false;
        d->is_up = true;
    }
    next(d);
}

static void read_catalog(struct planner_database *d);

static void on_part(void *arg, const struct pgresult *r)
{
    struct planner_database *d = arg;
    if (!pw_pgresult_ok(r) && gave_way(d, r))
        return;
    if (!pw_catalog_build_part(d->builder, d->part, r)) {
        failed(d, pw_pgresult_ok(r) ? NULL : r);
        return;
    }
    if (changes(d->slot) != d->seen_changes) { /* out of date already: somebody may wait */
        pw_catalog_build_free(d->builder);
        d->builder = NULL;
        read_catalog(d);
    } else if (++d->part < CATALOG_PARTS)
        ask(d, pw_catalog_part_sql(d->part), on_part);
    else
        ask(d, "COMMIT", on_commit);
}

static void on_begin(void *arg, const struct pgresult *r)
{
    struct planner_database *d = arg;
    if (!pw_pgresult_ok(r)) {
        failed(d, r);
        return;
    }
    d->is_aborted = false;
    d->builder = pw_catalog_build_new();
    d->part = 0;
    ask(d, pw_catalog_part_sql(0), on_part);
}

static void read_catalog(struct planner_database *d)
{
    d->step = STEP_PARTS;
    d->seen_changes = changes(d->slot);
    ask(d,
        "ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
        "SET LOCAL lock_timeout = '100ms'",
        on_begin);
}

static void on_poll(void *arg, const struct pgresult *r)
{
    struct planner_database *d = arg;
    struct poll_news news;
    if (!pw_poll_take(d->poll, r, &news)) {
        failed(d, r);
        return;
    }
    if (news.n && d->planner->on_foreign_writes)
        d->planner->on_foreign_writes(d->planner->on_foreign_writes_arg, d->slot->id, news.oids,
                                      news.n);
    d->want_read = d->want_read || news.catalog_changed;
    if (d->want_read) {
        read_catalog(d);
        return;
    }
    uint64_t took = pw_clock_us() - d->asked_us, pause = d->poll_interval_us;
    if (pause < took * POLL_SHARE)
        pause = took * POLL_SHARE;
    sleep_ms(d, pause / 1000 + 1);
}

static void on_rollback(void *arg, const struct pgresult *r)
{
    struct planner_database *d = arg;
    if (!pw_pgresult_ok(r)) {
        failed(d, r);
        return;
    }
    d->is_aborted = false;
    ask(d, pw_poll_sql(), on_poll);
}

/* What to do now: poll when that is on (it leads to reading where needed), else read if asked to.
 */
static void next(struct planner_database *d)
{
    uv_timer_stop(&d->timer);
    if (d->want_read && !d->poll_interval_us) {
        read_catalog(d);
    } else if (d->want_read && pw_poll_has_baseline(d->poll)) {
        read_catalog(d);
    } else if (d->poll_interval_us && (d->step == STEP_IDLE || d->want_read)) {
        d->step = STEP_POLL;
        if (d->is_aborted)
            ask(d, "ROLLBACK", on_rollback);
        else
            ask(d, pw_poll_sql(), on_poll);
    } else if (d->poll_interval_us) {
        sleep_ms(d, d->poll_interval_us / 1000 + 1);
    } else {
        d->step = STEP_IDLE;
    }
}

static void on_changed(uv_async_t *async)
{
    struct planner_database *d = async->data;
    d->want_read = true;
    if (d->step == STEP_IDLE && !d->closing)
        next(d);
}

/* The slot's lock is held. */
static void note_pending(struct db_slot *s, bool pending)
{
    if (pending && !s->pending)
        s->pending_since_us = pw_clock_us();
    s->pending = pending;
}

void pw_planner_database_expect(struct planner *p, uint32_t id, bool expected)
{
    struct db_slot *s = pw_planner_slot(p, id);
    if (!s)
        return;
    uv_mutex_lock(&s->lock);
    if (!s->database)
        note_pending(s, expected);
    uv_mutex_unlock(&s->lock);
    if (!expected)
        pw_analysis_stir(p->analysis);
}

void pw_planner_catalog_changed(struct planner *p, uint32_t database_id)
{
    struct db_slot *s = pw_planner_slot(p, database_id);
    if (!s)
        return;
    uv_mutex_lock(&s->lock);
    s->changes++;
    struct catalog *old = s->catalog;
    s->catalog = NULL;
    note_pending(s, s->pending || s->database);
    atomic_fetch_add_explicit(&s->generation, 1, memory_order_release);
    if (s->database)
        uv_async_send(&s->database->changed);
    uv_mutex_unlock(&s->lock);
    pw_catalog_unref(old);
}

struct planner_database *pw_planner_database_add(struct planner *p, uint32_t id, const char *name,
                                                 const char *conninfo, uv_loop_t *uv,
                                                 uint64_t poll_interval_us)
{
    struct db_slot *slot = pw_planner_slot(p, id);
    if (!slot)
        return NULL;
    struct planner_database *d = pw_alloc(sizeof *d);
    d->planner = p;
    d->slot = slot;
    d->name = pw_strdup(name);
    d->poll_interval_us = poll_interval_us;
    d->poll = pw_poll_new();
    d->conn = pw_pgconn_new(uv, conninfo, CONNECT_TIMEOUT_US);
    PW_CHECK(uv_timer_init(uv, &d->timer) == 0);
    PW_CHECK(uv_async_init(uv, &d->changed, on_changed) == 0);
    d->timer.data = d->changed.data = d;
    d->open_handles = 2;
    d->want_read = true;
    uv_mutex_lock(&slot->lock);
    slot->database = d;
    note_pending(slot, true);
    uv_mutex_unlock(&slot->lock);
    next(d);
    return d;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct planner_database *d = handle->data;
    if (--d->open_handles > 0)
        return;
    pw_poll_free(d->poll);
    pw_free(d->name);
    pw_free(d);
}

void pw_planner_database_remove(struct planner *p, struct planner_database *d)
{
    (void)p;
    if (!d)
        return;
    uv_mutex_lock(&d->slot->lock);
    d->slot->database = NULL;
    uv_mutex_unlock(&d->slot->lock);
    d->closing = true;
    pw_pgconn_free(d->conn);
    d->conn = NULL;
    pw_catalog_build_free(d->builder);
    d->builder = NULL;
    pw_slot_publish(d->slot, NULL, false);
    uv_close((uv_handle_t *)&d->timer, on_handle_closed);
    uv_close((uv_handle_t *)&d->changed, on_handle_closed);
}
