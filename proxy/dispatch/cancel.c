/*
 * CancelRequest of a client (rule 8): passed on only while the server is executing this client's
 * request, and the server goes to nobody else before the cancel connection is closed, so the signal
 * cannot hit a stranger.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/wire/emit.h"

enum { CANCEL_TRIES = 5, CANCELLERS_MAX = 8 };

/* A short connection that carries one CancelRequest. */
struct canceller {
    struct stream stream;
    struct wheel_timer timer;
    struct server
        *server; /* BACK: alive while server->cancels > 0 unless it closed: see pw_cancel_forget */
    struct dispatch *dispatch;
    struct list_node link;
    int fd; /* OWN: the socket of the client that asked, or -1 */
    uint8_t packet[16 + 256];
    size_t len;
};

/* libpq's PQcancel returns when its connection is closed and then counts on the signal having been
 * sent. */
static void answer(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void end(struct canceller *x)
{
    struct server *s = x->server;
    pw_wheel_cancel(&x->dispatch->env.loop->wheel, &x->timer);
    answer(x->fd);
    x->fd = -1;
    if (s) {
        x->server = NULL;
        s->cancels--;
        if (s->cancels == 0 && s->waits_for_cancel && s->state == SERVER_ACTIVE) {
            s->waits_for_cancel = false;
            pw_server_unhold(x->dispatch, s);
        }
    }
    pw_stream_close(&x->stream, false);
}

static void on_event(struct stream *stream, enum stream_event what)
{
    struct canceller *x = PW_CONTAINER_OF(stream, struct canceller, stream);
    if (what == STREAM_CONNECTED) {
        pw_stream_write(stream, x->packet, x->len);
        return; /* flushed at the end of the turn; PostgreSQL closes when the signal has been sent
                 */
    }
    if (what == STREAM_EOF || what == STREAM_ERROR)
        end(x);
}

static void on_closed(struct stream *stream)
{
    struct canceller *x = PW_CONTAINER_OF(stream, struct canceller, stream);
    pw_wheel_cancel(&x->dispatch->env.loop->wheel,
                    &x->timer); /* at shutdown it closes without end() */
    pw_list_remove(&x->dispatch->cancellers, &x->link);
    answer(x->fd);
    pw_free(x);
}

static const struct stream_callbacks callbacks = {on_event, on_closed};

static void on_timeout(struct wheel_timer *t)
{
    end(PW_CONTAINER_OF(t, struct canceller, timer));
}

/* Takes over fd: see pw_dispatch_cancel. */
static void send_cancel(struct dispatch *d, struct server *s, int fd)
{
    struct canceller *x = pw_alloc(sizeof *x);
    struct buf packet;
    struct sockaddr_storage addr;
    int addr_len = sizeof addr;
    x->dispatch = d;
    pw_buf_init(&packet, sizeof x->packet);
    if (!pw_emit_cancel(&packet, s->pid, pw_slice(s->cancel_key, s->cancel_key_len))) {
        pw_buf_free(&packet);
        pw_free(x);
        answer(fd);
        return;
    }
    memcpy(x->packet, packet.data, packet.len);
    x->len = packet.len;
    pw_buf_free(&packet);
    enum pw_status st;
    if (s->stream.is_pipe) {
        char path[200];
        size_t size = sizeof path;
        st = uv_pipe_getpeername(&s->stream.uv.pipe, path, &size) == 0
                 ? pw_stream_connect_unix(&x->stream, d->env.loop, path, &callbacks)
                 : PW_IO;
    } else {
        st = uv_tcp_getpeername(&s->stream.uv.tcp, (struct sockaddr *)&addr, &addr_len) == 0
                 ? pw_stream_connect_tcp(&x->stream, d->env.loop, (struct sockaddr *)&addr,
                                         &callbacks)
                 : PW_IO;
    }
    if (st != PW_OK) {
        pw_free(x);
        answer(fd);
        return;
    }
    x->server = s;
    x->fd = fd;
    s->cancels++;
    pw_list_push_back(&d->cancellers, &x->link);
    pw_wheel_timer_init(&x->timer, on_timeout);
    pw_wheel_set(&d->env.loop->wheel, &x->timer, d->env.loop->now_us + 10000000);
    pw_metric_inc(d->env.metrics, PW_METRIC_CANCELS);
}

void pw_cancel_running(struct dispatch *d, struct server *s)
{
    send_cancel(d, s, -1); /* whoever else is on it runs again elsewhere: the connection closes */
}

void pw_cancel_forget(struct dispatch *d, struct server *s)
{
    PW_LIST_FOR(&d->cancellers, n, tmp)
    {
        struct canceller *x = PW_LIST_ENTRY(n, struct canceller, link);
        if (x->server == s)
            x->server = NULL;
    }
    s->cancels = 0;
}

void pw_cancel_close_all(struct dispatch *d)
{
    PW_LIST_FOR(&d->cancellers, n, tmp)
    pw_stream_close(&PW_LIST_ENTRY(n, struct canceller, link)->stream, false);
}

/* Cancels are rare, and one that seems lost is hard to explain afterwards. */
static void tell(const struct client *c, const struct server *s, const char *outcome)
{
    if (s)
        pw_log_info("client=%llu event=cancel backend=%u in_flight=%u cancels=%u text=\"%s\"",
                    (unsigned long long)c->id, s->pid, s->in_flight, s->cancels, outcome);
    else
        pw_log_info("client=%llu event=cancel text=\"%s\"", (unsigned long long)c->id, outcome);
}

/* While others share the connection nothing is sent: their queries must not be hit, and this one is
 * short. */
static void cancel_ticket(struct dispatch *d, struct ticket *t, int fd)
{
    struct server *s = t->server;
    struct expect *head = pw_expect_head(&s->expects);
    /* Of an earlier request of the same client a cancel may still be under way: PostgreSQL closes
     * that connection when it gets to it. This request's first one does not wait for that. */
    bool busy = s->cancels > 0 && (t->cancels > 0 || s->cancels >= CANCELLERS_MAX);
    t->cancel_asked = true;
    if (s->in_flight != 1 || !head || head->ticket != t) {
        tell(t->client, s, "waits: the connection also carries other requests");
    } else if (t->is_gated || t->is_replaying ||
               (head->action == EXPECT_SKIP && head->kind == EXPECT_QUERY)) {
        tell(t->client, s, "waits: the session's settings are being replayed");
    } else if (busy) {
        tell(t->client, s, "waits: an earlier cancel is still under way");
    } else {
        s->shared = false; /* nobody may be pipelined behind a cancel */
        t->cancels++;
        tell(t->client, s, "passed on");
        send_cancel(d, s, fd);
        return;
    }
    answer(fd);
}

void pw_cancel_after_replay(struct dispatch *d, struct ticket *t)
{
    if (t->cancel_asked && t->client && t->server)
        cancel_ticket(d, t, -1);
}

/* A cancel is a signal and may be lost on its way; while the same request still runs, it is
 * repeated. */
void pw_cancel_repeat(struct dispatch *d, struct server_pool *p)
{
    PW_LIST_FOR(&p->by_state[SERVER_ACTIVE], n, tmp)
    {
        struct server *s = PW_LIST_ENTRY(n, struct server, state_link);
        struct expect *head = pw_expect_head(&s->expects);
        struct ticket *t = head ? head->ticket : NULL;
        if (t && t->client && t->cancel_asked && t->cancels < CANCEL_TRIES && t->server == s)
            cancel_ticket(d, t, -1);
    }
}

void pw_dispatch_cancel(struct client *c, int fd)
{
    struct dispatch *d = c->dispatch;
    struct ticket *t = c->ticket;
    if (c->server && c->server->dedicated) {
        bool pass = c->server->cancels < CANCELLERS_MAX;
        tell(c, c->server, pass ? "passed on" : "too many are under way");
        if (pass)
            send_cancel(d, c->server, fd);
        else
            answer(fd);
        return;
    }
    if (t && t->server) {
        cancel_ticket(d, t, fd);
        return;
    }
    answer(fd);
    if (!t) {
        tell(c, NULL, "nothing is running"); /* as in PostgreSQL, nothing happens */
        return;
    }
    if (t->is_probe || !t->has_sync || t->state == TICKET_OPEN) {
        tell(c, NULL, "nothing is running yet");
        return;
    }
    tell(c, NULL, "taken out of the queue");
    pw_ticket_refuse(d, t, "57014", "canceling statement due to user request");
}
