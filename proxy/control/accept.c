/* Accepts on the control thread and deals the sockets out to the workers in turn, so that sessions
 * are spread evenly. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/control/control_priv.h"

enum { ACCEPTS_PER_TURN = 64, PAUSE_MS = 100 };

struct acceptor {
    struct control *control; /* BACK */
    uv_poll_t poll;
    uv_timer_t pause; /* out of descriptors: try again soon */
    int fd, handles;  /* OWN fd */
    bool is_unix;
    uint64_t complained_us;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *t)
{
    struct acceptor *a = t->data;
    uv_poll_start(&a->poll, UV_READABLE, on_poll);
}

static void pause_for_lack(struct acceptor *a)
{
    uint64_t now_us = pw_clock_us();
    if (now_us - a->complained_us > 1000000) {
        a->complained_us = now_us;
        pw_log_error("listener=%d event=accept_failed text=\"%s\"", a->fd, strerror(errno));
    }
    uv_poll_stop(&a->poll);
    uv_timer_start(&a->pause, on_pause_over, PAUSE_MS, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct acceptor *a = poll->data;
    struct control *c = a->control;
    (void)events;
    if (status < 0)
        return;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            pw_worker_post_client(c->workers[c->next_worker++ % c->n_workers], fd, a->is_unix);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_for_lack(a);
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

struct acceptor *pw_acceptor_new(struct control *c, int fd, bool is_unix)
{
    struct acceptor *a = pw_alloc(sizeof *a);
    a->control = c;
    a->fd = fd;
    a->is_unix = is_unix;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    uv_poll_init(&c->uv, &a->poll, fd);
    uv_timer_init(&c->uv, &a->pause);
    a->poll.data = a->pause.data = a;
    a->handles = 2;
    uv_poll_start(&a->poll, UV_READABLE, on_poll);
    return a;
}

static void on_closed(uv_handle_t *h)
{
    struct acceptor *a = h->data;
    if (--a->handles)
        return;
    close(a->fd);
    pw_free(a);
}

void pw_acceptor_close(struct acceptor *a)
{
    uv_close((uv_handle_t *)&a->poll, on_closed);
    uv_close((uv_handle_t *)&a->pause, on_closed);
}
