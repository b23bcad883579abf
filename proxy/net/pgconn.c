/*
 * libpq, asynchronous. Owns a PGconn, its uv_poll, two timers and the queue of questions. Thread:
 * the loop's, except that connecting and cancelling run in libuv's thread pool on objects nobody
 * else touches meanwhile.
 *
 * libuv callbacks only take note and wake the `kick` handle; on_kick, with no other callback on the
 * stack and in the poll phase (so that the check handles of the same turn see what it did), does
 * what has consequences: answers, gives the connection up, sends the next question. So an answer's
 * callback may free the pgconn, and uv_poll is never closed inside its own callback.
 */
#include "proxy/net/pgconn_priv.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/base/list.h"
#include "proxy/base/log.h"

enum {
    QUEUE_MAX = 256,
    BACKOFF_MIN_US = 100000,
    BACKOFF_MAX_US = 5000000,
    CANCEL_PATIENCE_MS = 5000, /* after a cancel request; then the connection is given up */
};

struct question {
    struct list_node link; /* LINK pgconn->queue or ->refused */
    char *sql;             /* OWN */
    char **params;         /* OWN, n_params of them, each OWN or NULL */
    int n_params;
    uint64_t timeout_us;
    pw_on_pgresult cb;
    void *arg; /* BORROW */
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_UP };

struct pgconn {
    uv_loop_t *uv;  /* BORROW */
    char *conninfo; /* OWN; holds a password, never printed */
    uint64_t connect_timeout_us;
    PGconn *pg;  /* OWN; NULL unless LINK_UP */
    int poll_fd; /* OWN; a dup: libpq closes its socket by itself, and the number may be another's
                    by then */
    uv_poll_t *poll; /* OWN; frees itself after its close */
    uv_async_t kick; /* referenced while a question waits */
    uv_timer_t deadline;
    struct list queue, refused; /* of struct question; refused: the queue was full */
    struct question *running;   /* OWN */
    PGresult *answer;           /* OWN; the last result of `running` so far */
    enum link_state link;
    bool finished;  /* `answer` is complete */
    bool lost;      /* the connection is to be given up, `why` says why */
    bool timed_out; /* a cancel request was sent for `running` */
    bool closed;    /* pw_pgconn_free was called */
    char *why;      /* OWN or NULL */
    uint64_t retry_us, backoff_us;
    int server_version;
    unsigned refs; /* the owner, uv handles and thread pool jobs; the last one frees */
};

/* ---- life --------------------------------------------------------------------------------- */

static void unref(struct pgconn *c)
{
    if (--c->refs > 0)
        return;
    pw_free(c->conninfo);
    pw_free(c->why);
    pw_free(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
    unref(handle->data);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct pgconn *c = handle->data;
    pw_free(handle);
    unref(c);
}

static void on_kick(uv_async_t *async);

static void kick(struct pgconn *c)
{
    if (c->closed)
        return;
    uv_ref((uv_handle_t *)&c->kick);
    uv_async_send(&c->kick);
}

struct pgconn *pw_pgconn_new(uv_loop_t *uv, const char *conninfo, uint64_t connect_timeout_us)
{
    struct pgconn *c = pw_alloc(sizeof *c);
    c->uv = uv;
    c->conninfo = pw_strdup(conninfo);
    c->connect_timeout_us = connect_timeout_us;
    c->refs = 3;
    pw_list_init(&c->queue);
    pw_list_init(&c->refused);
    PW_CHECK(uv_async_init(uv, &c->kick, on_kick) == 0);
    uv_unref((uv_handle_t *)&c->kick);
    uv_timer_init(uv, &c->deadline);
    c->kick.data = c->deadline.data = c;
    return c;
}

static void question_free(struct question *q)
{
    for (int i = 0; i < q->n_params; i++)
        pw_free(q->params[i]);
    pw_free(q->params);
    pw_free(q->sql);
    pw_free(q);
}

/* Takes q. */
static void answer_error(struct question *q, const char *sqlstate, const char *text)
{
    struct pgresult r;
    pw_pgresult_set_error(&r, sqlstate, text);
    q->cb(q->arg, &r);
    question_free(q);
}

/* Every question asked before now; those asked by the callbacks wait for the next kick. */
static void answer_all(struct pgconn *c, const char *sqlstate, const char *text)
{
    struct question *q = c->running;
    size_t waiting = c->queue.count;
    c->running = NULL;
    c->timed_out = c->finished = false;
    PQclear(c->answer);
    c->answer = NULL;
    if (q)
        answer_error(q, sqlstate, text);
    while (waiting-- > 0 && !pw_list_empty(&c->queue))
        answer_error(PW_LIST_ENTRY(pw_list_pop_front(&c->queue), struct question, link), sqlstate,
                     text);
}

/* Closes the connection: first the poll handle, then libpq's descriptor under it. */
static void disconnect(struct pgconn *c)
{
    if (c->poll) {
        uv_close((uv_handle_t *)c->poll,
                 on_poll_closed); /* takes the descriptor out of the loop at once */
        close(c->poll_fd);
    }
    c->poll = NULL;
    PQfinish(c->pg);
    c->pg = NULL;
    if (!c->closed)
        uv_timer_stop(&c->deadline);
    if (c->link == LINK_UP)
        c->link = LINK_DOWN;
}

void pw_pgconn_free(struct pgconn *c)
{
    if (!c || c->closed)
        return;
    c->closed = true;
    uv_close((uv_handle_t *)&c->kick, on_handle_closed);
    uv_close((uv_handle_t *)&c->deadline, on_handle_closed);
    disconnect(c);
    while (!pw_list_empty(&c->refused))
        pw_list_push_back(&c->queue, pw_list_pop_front(&c->refused));
    answer_all(c, "08006", "closed");
    unref(c);
}

/* ---- asking ------------------------------------------------------------------------------- */

static struct question *question_new(const char *sql, int n_params, const char *const *params,
                                     uint64_t timeout_us, pw_on_pgresult cb, void *arg)
{
    struct question *q = pw_alloc(sizeof *q);
    q->sql = pw_strdup(sql);
    q->n_params = n_params;
    q->params = n_params > 0 ? pw_alloc(sizeof *q->params * (size_t)n_params) : NULL;
    for (int i = 0; i < n_params; i++)
        q->params[i] = params[i] ? pw_strdup(params[i]) : NULL;
    q->timeout_us = timeout_us;
    q->cb = cb;
    q->arg = arg;
    return q;
}

void pw_pgconn_query(struct pgconn *c, const char *sql, int n_params, const char *const *params,
                     uint64_t timeout_us, pw_on_pgresult cb, void *arg)
{
    PW_CHECK(!c->closed);
    struct question *q = question_new(sql, n_params, params, timeout_us, cb, arg);
    pw_list_push_back(c->queue.count < QUEUE_MAX ? &c->queue : &c->refused, &q->link);
    kick(c);
}

bool pw_pgconn_is_idle(const struct pgconn *c)
{
    return !c->running && pw_list_empty(&c->queue) && pw_list_empty(&c->refused);
}

int pw_pgconn_server_version(const struct pgconn *c)
{
    return c->server_version;
}

static void lose(struct pgconn *c, const char *message)
{
    if (c->lost)
        return;
    c->lost = true;
    pw_free(c->why);
    c->why = pw_pg_one_line(message[0] ? message : "the connection was closed");
    if (c->poll)
        uv_poll_stop(c->poll);
    kick(c);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void flush_and_poll(struct pgconn *c)
{
    int left = PQflush(c->pg);
    if (left < 0) {
        lose(c, PQerrorMessage(c->pg));
        return;
    }
    if (uv_poll_start(c->poll, UV_READABLE | (left ? UV_WRITABLE : 0), on_poll) < 0)
        lose(c, "cannot watch the connection");
}

static bool has_failed(const struct pgconn *c)
{
    return c->answer && PQresultStatus(c->answer) == PGRES_FATAL_ERROR;
}

/* Takes what has arrived of the running question's answer. */
static void take_results(struct pgconn *c)
{
    while (c->running && !c->finished && !PQisBusy(c->pg)) {
        PGresult *res = PQgetResult(c->pg);
        if (!res) {
            c->finished = true;
            kick(c);
            return;
        }
        /* The first error stands: after a FATAL one libpq adds its own about the lost connection.
         */
        if (has_failed(c)) {
            PQclear(res);
            continue;
        }
        PQclear(c->answer);
        c->answer = res;
        ExecStatusType s = PQresultStatus(res);
        if (s == PGRES_COPY_IN || s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH) {
            lose(c, "COPY is not supported here"); /* libpq would report it for ever */
            return;
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct pgconn *c = poll->data;
    (void)events;
    /* An error status means EPOLLERR (libuv calls it EBADF) and stops polling; the read finds out.
     */
    (void)status;
    if (c->lost || c->closed)
        return;
    if (!PQconsumeInput(c->pg)) {
        take_results(c); /* a FATAL message says more than the end of the connection */
        if (has_failed(c))
            c->finished = true;
        lose(c, c->answer ? PQresultErrorMessage(c->answer) : PQerrorMessage(c->pg));
        return;
    }
    PGnotify *n;
    while ((n = PQnotifies(c->pg)))
        PQfreemem(n);
    take_results(c);
    if (!c->lost)
        flush_and_poll(c);
}

/* ---- time-out ----------------------------------------------------------------------------- */

struct cancel_job {
    uv_work_t work;
    struct pgconn *c; /* counted in its refs */
    PGcancel *cancel; /* OWN; independent of the PGconn */
};

static void do_cancel(uv_work_t *work)
{
    struct cancel_job *job = work->data;
    char error[256];
    if (!PQcancel(job->cancel, error, sizeof error))
        pw_log_warn("pgconn=cancel event=failed");
}

static void on_cancelled(uv_work_t *work, int status)
{
    struct cancel_job *job = work->data;
    (void)status;
    PQfreeCancel(job->cancel);
    unref(job->c);
    pw_free(job);
}

static void on_deadline(uv_timer_t *timer)
{
    struct pgconn *c = timer->data;
    if (!c->running || c->finished || c->lost)
        return;
    PGcancel *cancel = c->timed_out ? NULL : PQgetCancel(c->pg);
    if (!cancel) {
        lose(c, "timed out, and the cancel request was not answered");
        return;
    }
    c->timed_out = true;
    struct cancel_job *job = pw_alloc(sizeof *job);
    job->c = c;
    job->cancel = cancel;
    job->work.data = job;
    c->refs++;
    PW_CHECK(uv_queue_work(c->uv, &job->work, do_cancel, on_cancelled) == 0);
    uv_timer_start(&c->deadline, on_deadline, CANCEL_PATIENCE_MS, 0);
}

/* ---- connecting --------------------------------------------------------------------------- */

struct connect_job {
    uv_work_t work;
    struct pgconn *c; /* counted in its refs; the thread reads conninfo and the timeout only */
    PGconn *pg;       /* OWN */
    char *error;      /* OWN */
};

static void do_connect(uv_work_t *work)
{
    struct connect_job *job = work->data;
    job->pg = pw_pg_connect(job->c->conninfo, job->c->connect_timeout_us, &job->error);
}

static void connect_failed(struct pgconn *c, char *why)
{
    pw_free(c->why);
    c->why = why;
    c->link = LINK_DOWN;
    c->backoff_us = c->backoff_us ? 2 * c->backoff_us : BACKOFF_MIN_US;
    if (c->backoff_us > BACKOFF_MAX_US)
        c->backoff_us = BACKOFF_MAX_US;
    c->retry_us = pw_clock_us() + c->backoff_us;
    kick(c);
}

static void on_path_set(void *arg, const struct pgresult *r)
{
    struct pgconn *c = arg;
    if (!pw_pgresult_ok(r) && c->link == LINK_UP)
        lose(c, pw_pgresult_error(r));
}

static void on_connected(uv_work_t *work, int status)
{
    struct connect_job *job = work->data;
    struct pgconn *c = job->c;
    PGconn *pg = job->pg;
    char *error = job->error;
    (void)status; /* never cancelled */
    pw_free(job);
    int fd = pg && !c->closed ? dup(PQsocket(pg)) : -1;
    if (pg && !c->closed && fd < 0)
        error = pw_strdup("out of file descriptors");
    if (c->closed || !pg || fd < 0) {
        PQfinish(pg);
        if (c->closed)
            pw_free(error);
        else
            connect_failed(c, error);
        unref(c);
        return;
    }
    c->pg = pg;
    c->link = LINK_UP;
    c->lost = false;
    c->backoff_us = c->retry_us = 0;
    c->server_version = PQserverVersion(pg);
    PQsetnonblocking(pg, 1);
    c->poll = pw_alloc(sizeof *c->poll);
    c->poll_fd = fd;
    PW_CHECK(uv_poll_init(c->uv, c->poll, fd) == 0);
    c->poll->data = c; /* its close inherits the job's reference */
    flush_and_poll(c);
    /* The first question on a new connection is our own; those waiting follow. */
    struct question *q =
        question_new(PW_PG_SET_PATH, 0, NULL, c->connect_timeout_us, on_path_set, c);
    pw_list_push_front(&c->queue, &q->link);
    kick(c);
}

static void start_connect(struct pgconn *c)
{
    struct connect_job *job = pw_alloc(sizeof *job);
    job->c = c;
    job->work.data = job;
    c->refs++;
    c->link = LINK_CONNECTING;
    PW_CHECK(uv_queue_work(c->uv, &job->work, do_connect, on_connected) == 0);
}

/* ---- the turn ----------------------------------------------------------------------------- */

static void deliver_answer(struct pgconn *c)
{
    struct question *q = c->running;
    struct pgresult r;
    uv_timer_stop(&c->deadline);
    if (c->answer)
        pw_pgresult_set(&r, c->answer);
    else
        pw_pgresult_set_error(&r, "08006", "no answer");
    if (c->timed_out && !pw_pgresult_ok(&r))
        r.text = "timed out";
    c->running = NULL;
    c->answer = NULL;
    c->finished = c->timed_out = false;
    q->cb(q->arg, &r);
    PQclear(r.res);
    question_free(q);
}

static void send_next(struct pgconn *c)
{
    struct question *q = PW_LIST_ENTRY(pw_list_pop_front(&c->queue), struct question, link);
    c->running = q;
    int ok = q->n_params == 0 ? PQsendQuery(c->pg, q->sql)
                              : PQsendQueryParams(c->pg, q->sql, q->n_params, NULL,
                                                  (const char *const *)q->params, NULL, NULL, 0);
    if (!ok) {
        lose(c, PQerrorMessage(c->pg));
        return;
    }
    if (q->timeout_us > 0)
        uv_timer_start(&c->deadline, on_deadline, (q->timeout_us + 999) / 1000, 0);
    flush_and_poll(c);
}

static void on_kick(uv_async_t *async)
{
    struct pgconn *c = async->data;
    c->refs++; /* a callback may free it */
    for (size_t n = c->refused.count; n > 0 && !c->closed; n--)
        answer_error(PW_LIST_ENTRY(pw_list_pop_front(&c->refused), struct question, link), "53000",
                     "too many questions are waiting for this connection");
    if (c->running && c->finished)
        deliver_answer(c);
    if (!c->closed && c->lost) {
        c->lost = false;
        disconnect(c);
        answer_all(c, "08006", c->why);
    }
    if (!c->closed && !c->running && !pw_list_empty(&c->queue)) {
        if (c->link == LINK_UP)
            send_next(c);
        else if (c->link == LINK_DOWN && pw_clock_us() >= c->retry_us)
            start_connect(c);
        else if (c->link == LINK_DOWN)
            answer_all(c, "08006", c->why); /* backing off: the last refusal still stands */
    }
    if (!c->closed && pw_pgconn_is_idle(c))
        uv_unref((uv_handle_t *)&c->kick);
    unref(c);
}
