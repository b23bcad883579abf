/* Messages from other threads to a worker. Each is one struct that moves with the message. */
#include <string.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/worker/worker_priv.h"

struct message {
    struct mail mail;
    struct worker *worker;
    void (*run)(struct message *m);
    union {
        struct {
            int fd;
            bool is_unix;
        } client;
        struct secret_answer secret;
        struct {
            uint64_t session_id;
            struct admin_result result;
        } admin;
        struct {
            uint32_t pid, key;
            int fd;
            bool again; /* a turn was waited for the query that it may have overtaken */
        } cancel;
        const struct pw_conf *conf; /* REF */
        struct {
            void (*fn)(struct worker *w, void *arg);
            void (*drop)(void *arg);
            void *arg;
        } call;
    } u;
    void (*drop)(struct message *m);
};

static void run_mail(struct mail *mail)
{
    struct message *m = PW_CONTAINER_OF(mail, struct message, mail);
    m->run(m);
    pw_free(m);
}

static void drop_mail(struct mail *mail)
{
    struct message *m = PW_CONTAINER_OF(mail, struct message, mail);
    if (m->drop)
        m->drop(m);
    pw_free(m);
}

static struct message *message_new(struct worker *w, void (*run)(struct message *m))
{
    struct message *m = pw_alloc(sizeof *m);
    m->mail.run = run_mail;
    m->mail.drop = drop_mail;
    m->worker = w;
    m->run = run;
    return m;
}

static void post(struct message *m)
{
    pw_mailbox_send(&m->worker->box, &m->mail);
}

static void run_client(struct message *m)
{
    pw_worker_accept(m->worker, m->u.client.fd, m->u.client.is_unix);
}

static void drop_client(struct message *m)
{
    close(m->u.client.fd);
}

void pw_worker_post_client(struct worker *w, int fd, bool is_unix)
{
    struct message *m = message_new(w, run_client);
    m->u.client.fd = fd;
    m->u.client.is_unix = is_unix;
    m->drop = drop_client;
    post(m);
}

static void drop_secret(struct message *m)
{
    if (m->u.secret.secret)
        explicit_bzero(m->u.secret.secret, strlen(m->u.secret.secret));
    pw_free(m->u.secret.secret);
    pw_free(m->u.secret.text);
    pw_free(m->u.secret.roles);
}

static void run_secret(struct message *m)
{
    struct session *s = pw_worker_find_session(m->worker, m->u.secret.session_id);
    if (s)
        pw_session_on_secret(s, &m->u.secret);
    drop_secret(m);
}

void pw_worker_post_secret(struct worker *w, struct secret_answer *answer)
{
    struct message *m = message_new(w, run_secret);
    m->u.secret = *answer;
    m->drop = drop_secret;
    post(m);
}

static void drop_admin(struct message *m)
{
    pw_admin_result_clear(&m->u.admin.result);
}

static void run_admin(struct message *m)
{
    struct session *s = pw_worker_find_session(m->worker, m->u.admin.session_id);
    if (s)
        pw_session_on_admin_result(s, &m->u.admin.result);
    else
        drop_admin(m);
}

void pw_worker_post_admin_result(struct worker *w, uint64_t session_id, struct admin_result *result)
{
    struct message *m = message_new(w, run_admin);
    m->u.admin.session_id = session_id;
    m->u.admin.result = *result;
    m->drop = drop_admin;
    post(m);
}

static void drop_cancel(struct message *m)
{
    if (m->u.cancel.fd >= 0)
        close(m->u.cancel.fd);
}

static void run_cancel(struct message *m);

static void post_cancel(struct worker *w, uint32_t pid, uint32_t key, int fd, bool again)
{
    struct message *m = message_new(w, run_cancel);
    m->drop = drop_cancel;
    m->u.cancel.pid = pid;
    m->u.cancel.key = key;
    m->u.cancel.fd = fd;
    m->u.cancel.again = again;
    post(m);
}

/* The query that it is about may still lie unread in the session's socket: with nothing to cancel
 * it waits for one turn of the loop. Its own connection stays open meanwhile, so a client that
 * counts on that sends nothing new. */
static void run_cancel(struct message *m)
{
    uint32_t slot = m->u.cancel.pid & 0xffffff, key;
    struct session *s = slot < m->worker->n_slots ? m->worker->slots[slot] : NULL;
    if (s)
        memcpy(&key, s->cancel_key, sizeof key);
    if (!s || (s->state != SESSION_READY && s->state != SESSION_RELAY) || key != m->u.cancel.key ||
        s->cancel_pid != m->u.cancel.pid)
        drop_cancel(m);
    else if (!s->client.ticket && !m->u.cancel.again)
        post_cancel(m->worker, m->u.cancel.pid, m->u.cancel.key, m->u.cancel.fd, true);
    else
        pw_dispatch_cancel(&s->client, m->u.cancel.fd);
}

void pw_worker_post_cancel(struct worker *w, uint32_t pid, uint32_t key, int fd)
{
    post_cancel(w, pid, key, fd, false);
}

static void drop_conf(struct message *m)
{
    pw_conf_unref(m->u.conf);
}

static void run_conf(struct message *m)
{
    struct list *ready = &m->worker->by_state[SESSION_READY];
    pw_dispatch_reconfigure(m->worker->dispatch, m->u.conf);
    PW_LIST_FOR(ready, n, tmp)
    pw_session_reconfigured(PW_LIST_ENTRY(n, struct session, state_link));
    drop_conf(m);
}

void pw_worker_post_conf(struct worker *w, const struct pw_conf *conf)
{
    struct message *m = message_new(w, run_conf);
    m->u.conf = pw_conf_ref(conf);
    m->drop = drop_conf;
    post(m);
}

static void run_wake(struct message *m)
{
    struct dispatch *d = m->worker->dispatch;
    PW_HASHMAP_FOR(&d->pools, h, tmp)
    {
        struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        pw_server_pool_share(p);
        bool waiting = !pw_list_empty(&p->waiters) || !pw_list_empty(&p->relay_waiters);
        if (!waiting)
            pw_permits_ask_no_more(p->permits, d->env.worker);
        else if (!pw_list_linked(&p->poke_link))
            pw_list_push_back(&d->poked, &p->poke_link);
    }
}

void pw_worker_wake(struct worker *w)
{
    post(message_new(w, run_wake));
}

static void run_drain(struct message *m)
{
    struct worker *w = m->worker;
    w->draining = true;
    for (int state = 0; state < SESSION_CLOSING; state++)
        PW_LIST_FOR(&w->by_state[state], n, tmp)
    pw_session_drain(PW_LIST_ENTRY(n, struct session, state_link));
}

void pw_worker_drain(struct worker *w)
{
    post(message_new(w, run_drain));
}

static void run_stop(struct message *m)
{
    m->worker->stopping = true;
    pw_worker_close_sessions(m->worker);
}

void pw_worker_stop(struct worker *w)
{
    post(message_new(w, run_stop));
}

static void run_call(struct message *m)
{
    m->u.call.fn(m->worker, m->u.call.arg);
}

static void drop_call(struct message *m)
{
    if (m->u.call.drop)
        m->u.call.drop(m->u.call.arg);
}

void pw_worker_call_or(struct worker *w, void (*fn)(struct worker *w, void *arg),
                       void (*drop)(void *arg), void *arg)
{
    struct message *m = message_new(w, run_call);
    m->u.call.fn = fn;
    m->u.call.drop = drop;
    m->u.call.arg = arg;
    m->drop = drop_call;
    post(m);
}

void pw_worker_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg)
{
    pw_worker_call_or(w, fn, NULL, arg);
}

struct dispatch *pw_worker_dispatch(struct worker *w)
{
    return w->dispatch;
}

struct list *pw_worker_sessions(struct worker *w)
{
    return w->by_state;
}

unsigned pw_worker_index(const struct worker *w)
{
    return w->index;
}

uint64_t pw_worker_now_us(const struct worker *w)
{
    return w->loop.now_us;
}
