/*
 * Listeners. Owns a dup of the listening descriptor and its uv_poll; the accepted descriptor until
 * pw_stream_accept takes it (closed when nobody does). Thread: the loop's; binding: any.
 *
 * accept4 is called here and not by uv_listen, because libuv answers descriptor exhaustion by
 * accepting and dropping clients; here they stay in the backlog while accepting pauses.
 */
#include "proxy/net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/net/listen_priv.h"

enum { ACCEPTS_PER_TURN = 32, PAUSE_MS = 100, LOG_EVERY_US = 1000000 };

struct listener {
    uv_poll_t poll;
    uv_timer_t pause;
    uv_stream_t
        offer; /* never given to libuv: a token for pw_stream_accept; data = this listener */
    pw_on_connection on_connection;
    void *arg;    /* BORROW */
    int fd;       /* OWN */
    int accepted; /* OWN until taken; -1 when none */
    bool is_pipe, closing;
    uint8_t handles; /* uv handles not closed yet */
    uint64_t logged_us;
};

int pw_listener_take(uv_stream_t *handle)
{
    struct listener *l = handle->data;
    int fd = l->accepted;
    l->accepted = -1;
    return fd;
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct listener *l = timer->data;
    PW_CHECK(uv_poll_start(&l->poll, UV_READABLE, on_ready) == 0);
}

static void pause_accepting(struct listener *l, int err)
{
    uint64_t now_us = pw_clock_us();
    if (now_us - l->logged_us >= LOG_EVERY_US || l->logged_us == 0) {
        pw_log_error("listener=%d event=accept_paused error=\"%s\" pause_ms=%d", l->fd,
                     strerror(err), PAUSE_MS);
        l->logged_us = now_us;
    }
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
}

static bool is_exhausted(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an error on a listening socket shows in accept4 */
    (void)events;
    struct listener *l = poll->data;
    for (int i = 0; i < ACCEPTS_PER_TURN && !l->closing; i++) {
        l->accepted = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (l->accepted < 0) {
            if (is_exhausted(errno))
                pause_accepting(l, errno);
            else if (errno == ECONNABORTED || errno == EINTR)
                continue; /* that client is gone; the next may be there */
            else if (errno != EAGAIN && errno != EWOULDBLOCK)
                pause_accepting(l, errno);
            return;
        }
        l->on_connection(l->arg, &l->offer, l->is_pipe);
        if (l->accepted >= 0)
            close(pw_listener_take(&l->offer));
    }
}

struct listener *pw_listener_new(uv_loop_t *uv, int fd, bool is_pipe, pw_on_connection cb,
                                 void *arg)
{
    struct listener *l = pw_alloc(sizeof *l);
    l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (l->fd < 0) {
        pw_log_error("event=listen_failed error=\"%s\"", strerror(errno));
        pw_free(l);
        return NULL;
    }
    l->on_connection = cb;
    l->arg = arg;
    l->is_pipe = is_pipe;
    l->accepted = -1;
    l->handles = 2;
    l->poll.data = l->pause.data = l->offer.data = l;
    PW_CHECK(uv_poll_init(uv, &l->poll, l->fd) == 0);
    PW_CHECK(uv_timer_init(uv, &l->pause) == 0);
    PW_CHECK(uv_poll_start(&l->poll, UV_READABLE, on_ready) == 0);
    return l;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    if (--l->handles > 0)
        return;
    close(l->fd);
    pw_free(l);
}

void pw_listener_close(struct listener *l)
{
    if (l->closing)
        return;
    l->closing = true;
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
    uv_close((uv_handle_t *)&l->pause, on_handle_closed);
}
