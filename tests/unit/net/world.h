/* A real uv loop with the worker's rhythm (callbacks mark, a check handle steps, one flush per
 * turn), and peers on it. For the tests of proxy/net only. */
#ifndef TESTS_UNIT_NET_WORLD_H
#define TESTS_UNIT_NET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/net/listen.h"
#include "proxy/net/loop.h"
#include "proxy/net/stream.h"

enum { MAX_PEERS = 64, WATCHDOG_MS = 60000 };

struct world;

struct peer {
    struct stream s;
    struct world *w;
    void (*step)(struct peer *p); /* NULL: nothing to do */
    bool used, marked, eof, error, connected, tls_up, closed;
    unsigned drained, readable;
    struct peer *other;    /* for relays */
    size_t sent, received; /* for steps */
    uint64_t rng;
    void *arg;
};

struct world {
    uv_loop_t uv;
    struct net_loop loop;
    uv_check_t check;
    uv_prepare_t prepare;
    const bool *until; /* BORROW; what run_until waits for */
    const size_t *until_count, *want;
    uv_timer_t watchdog;
    struct listener *listener;
    int listen_fd;
    struct peer peers[MAX_PEERS];
    void (*on_accept)(struct peer *p);
    void (*server_step)(struct peer *p);
};

static inline void peer_on_event(struct stream *s, enum stream_event what)
{
    struct peer *p = (struct peer *)(void *)s;
    p->marked = true;
    switch (what) {
    case STREAM_READABLE:
        p->readable++;
        break;
    case STREAM_EOF:
        p->eof = true;
        break;
    case STREAM_ERROR:
        p->error = true;
        break;
    case STREAM_DRAINED:
        p->drained++;
        break;
    case STREAM_CONNECTED:
        p->connected = true;
        break;
    case STREAM_TLS_UP:
        p->tls_up = true;
        break;
    }
}

static inline void peer_on_closed(struct stream *s)
{
    struct peer *p = (struct peer *)(void *)s;
    p->closed = true;
}

static const struct stream_callbacks peer_callbacks = {peer_on_event, peer_on_closed};

static inline struct peer *peer_new(struct world *w, void (*step)(struct peer *p))
{
    for (size_t i = 0; i < MAX_PEERS; i++)
        if (!w->peers[i].used) {
            w->peers[i] = (struct peer){.used = true, .w = w, .step = step, .rng = i + 1};
            return &w->peers[i];
        }
    fail_msg("too many peers");
    return NULL;
}

static inline void stop_when_reached(struct world *w)
{
    if ((w->until && *w->until) || (w->until_count && *w->until_count >= *w->want))
        uv_stop(&w->uv);
}

static inline void world_on_check(uv_check_t *check)
{
    struct world *w = check->data;
    pw_loop_tick(&w->loop);
    for (size_t i = 0; i < MAX_PEERS; i++) {
        struct peer *p = &w->peers[i];
        if (!p->marked || p->closed)
            continue;
        p->marked = false;
        if (p->step)
            p->step(p);
    }
    pw_loop_flush(&w->loop);
    stop_when_reached(w);
}

static inline void world_on_watchdog(uv_timer_t *t)
{
    (void)t;
    fprintf(stderr, "the test hangs\n");
    abort();
}

/* After the timers and before the loop would sleep. */
static inline void world_on_prepare(uv_prepare_t *prepare)
{
    stop_when_reached(prepare->data);
}

static inline void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(uv_loop_init(&w->uv), 0);
    pw_loop_init(&w->loop, &w->uv);
    uv_check_init(&w->uv, &w->check);
    w->check.data = w;
    uv_check_start(&w->check, world_on_check);
    uv_prepare_init(&w->uv, &w->prepare);
    w->prepare.data = w;
    uv_timer_init(&w->uv, &w->watchdog);
    uv_timer_start(&w->watchdog, world_on_watchdog, WATCHDOG_MS, 0);
    uv_prepare_start(&w->prepare, world_on_prepare);
    w->listen_fd = -1;
}

/* Turns the loop until *flag. */
static inline void run_until(struct world *w, const bool *flag)
{
    w->until = flag;
    if (!*flag)
        uv_run(&w->uv, UV_RUN_DEFAULT);
    w->until = NULL;
}

static inline void run_until_count(struct world *w, const size_t *count, size_t want)
{
    w->until_count = count;
    w->want = &want;
    if (*count < want)
        uv_run(&w->uv, UV_RUN_DEFAULT);
    w->until_count = NULL;
}

static inline void peer_close(struct peer *p, bool flush)
{
    pw_stream_close(&p->s, flush);
    run_until(p->w, &p->closed);
    p->used = false;
}

/* Closes everything; the loop must then be empty: nothing of ours may be left in it. */
static inline void world_free(struct world *w)
{
    for (size_t i = 0; i < MAX_PEERS; i++)
        if (w->peers[i].used && w->peers[i].s.is_open)
            pw_stream_close(&w->peers[i].s, false);
    for (size_t i = 0; i < MAX_PEERS; i++)
        while (w->peers[i].used && w->peers[i].s.is_open)
            uv_run(&w->uv, UV_RUN_ONCE);
    if (w->listener)
        pw_listener_close(w->listener);
    if (w->listen_fd >= 0)
        close(w->listen_fd);
    uv_close((uv_handle_t *)&w->check, NULL);
    uv_close((uv_handle_t *)&w->prepare, NULL);
    uv_unref((uv_handle_t *)&w->watchdog);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&w->watchdog, NULL);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    assert_int_equal(w->loop.chunks.in_use, 0);
    assert_int_equal(w->loop.segments.in_use, 0);
    pw_loop_destroy(&w->loop);
    assert_int_equal(uv_loop_close(&w->uv), 0);
}

static inline void world_on_connection(void *arg, uv_stream_t *handle, bool is_pipe)
{
    struct world *w = arg;
    struct peer *p = peer_new(w, w->server_step);
    assert_int_equal(pw_stream_accept(&p->s, &w->loop, handle, is_pipe, &peer_callbacks), PW_OK);
    if (w->on_accept)
        w->on_accept(p);
}

/* Listens on a free port of loopback, or on path; every accepted connection runs server_step. */
static inline void world_listen(struct world *w, const char *path,
                                void (*server_step)(struct peer *))
{
    char *error = NULL;
    enum pw_status status = path ? pw_listen_bind_unix(path, 0777, 128, &w->listen_fd, &error)
                                 : pw_listen_bind_tcp("127.0.0.1:0", 128, &w->listen_fd, &error);
    if (status != PW_OK)
        fail_msg("%s", error);
    w->server_step = server_step;
    w->listener = pw_listener_new(&w->uv, w->listen_fd, path != NULL, world_on_connection, w);
    assert_non_null(w->listener);
}

static inline struct peer *world_connect(struct world *w, const char *path,
                                         void (*step)(struct peer *))
{
    struct peer *p = peer_new(w, step);
    if (path) {
        assert_int_equal(pw_stream_connect_unix(&p->s, &w->loop, path, &peer_callbacks), PW_OK);
        return p;
    }
    struct sockaddr_in addr;
    assert_int_equal(uv_ip4_addr("127.0.0.1", pw_listen_port(w->listen_fd), &addr), 0);
    assert_int_equal(
        pw_stream_connect_tcp(&p->s, &w->loop, (struct sockaddr *)&addr, &peer_callbacks), PW_OK);
    return p;
}

static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* The byte at one place of the endless test text. */
static inline char text_at(size_t pos)
{
    return (char)(pos * 131 + (pos >> 8) * 7 + (pos >> 16));
}

static inline void text_fill(char *to, size_t pos, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = text_at(pos + i);
}

static inline void text_check(const char *from, size_t pos, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (from[i] != text_at(pos + i))
            fail_msg("byte %zu is wrong", pos + i);
}

static inline char *temp_dir(void)
{
    char *dir = pw_strdup("/tmp/pgweir-net-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

#endif
