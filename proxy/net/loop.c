/*
 * One thread's net_loop. Owns the chunk and segment pools, the scratch buffer and the idle handle
 * that brings the next turn when a stream has something to say. Thread: the loop's.
 */
#include "proxy/net/loop.h"

#include <signal.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/net/stream_priv.h"

enum { KEEP_CHUNKS = 256, KEEP_SEGMENTS = 1024 };

static void on_handle_closed(uv_handle_t *handle)
{
    struct net_loop *l = handle->data;
    l->open_handles--;
}

void pw_loop_destroy(struct net_loop *l)
{
    PW_CHECK(pw_list_empty(&l->dirty) && pw_list_empty(&l->notify));
    uv_close((uv_handle_t *)&l->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&l->check, on_handle_closed);
    uv_close((uv_handle_t *)&l->idle, on_handle_closed);
    while (l->open_handles > 0)
        uv_run(l->uv, UV_RUN_NOWAIT);
    PW_FREE(l->scratch);
    pw_wheel_destroy(&l->wheel);
    pw_objpool_destroy(&l->chunks);
    pw_objpool_destroy(&l->segments);
}

void pw_loop_tick(struct net_loop *l)
{
    l->now_us = pw_clock_us();
    pw_wheel_run(&l->wheel, l->now_us);
}

void pw_loop_flush(struct net_loop *l)
{
    struct list_node *n;
    while ((n = pw_list_pop_front(&l->dirty)))
        pw_stream_flush(PW_LIST_ENTRY(n, struct stream, dirty_link));
}

/* ---- the next turn ------------------------------------------------------------------------ */
/*
 * The owner steps what is marked in a uv_check handle, after the poll. What is marked in the poll
 * phase is stepped in the same turn; what is marked before it (a timer, a connect that failed at
 * once, a note) or after it (on_closed) must not wait until the poll has slept. So `again` is set
 * by whatever happens outside the poll phase, and while it is set an idle handle makes the poll
 * return at once.
 */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* being active is all it does */
}

void pw_loop_again(struct net_loop *l)
{
    l->again = true;
}

/* Delivers what was noted before; what is noted meanwhile waits for the next turn. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct net_loop *l = prepare->data;
    for (size_t left = l->notify.count; left > 0 && !pw_list_empty(&l->notify); left--) {
        struct list_node *n = pw_list_pop_front(&l->notify);
        pw_stream_deliver(PW_LIST_ENTRY(n, struct stream, notify_link));
    }
    if (l->again || !pw_list_empty(&l->notify))
        uv_idle_start(&l->idle, on_idle);
    else
        uv_idle_stop(&l->idle);
    l->again = false;
    l->in_poll = true;
}

static void on_check(uv_check_t *check)
{
    struct net_loop *l = check->data;
    l->in_poll = false;
}

void pw_stream_note(struct stream *s)
{
    if (pw_list_linked(&s->notify_link))
        return;
    pw_list_push_back(&s->loop->notify, &s->notify_link);
    uv_idle_start(&s->loop->idle, on_idle);
}

void pw_loop_init(struct net_loop *l, uv_loop_t *uv)
{
    /* A peer that is gone is an error code of the write, not a signal. For the whole process. */
    signal(SIGPIPE, SIG_IGN);
    l->uv = uv;
    l->reads = l->writes = 0;
    l->accepted = l->connected = (struct net_bytes){0, 0};
    pw_objpool_init(&l->chunks, "net_chunk", sizeof(struct chunk) + PW_CHUNK_BYTES, KEEP_CHUNKS);
    pw_objpool_init(&l->segments, "net_segment", sizeof(struct out_segment), KEEP_SEGMENTS);
    pw_list_init(&l->dirty);
    pw_list_init(&l->notify);
    l->scratch = pw_alloc(PW_SCRATCH_BYTES);
    l->in_poll = l->again = false;
    l->open_handles = 3;
    l->prepare.data = l->check.data = l->idle.data = l;
    PW_CHECK(uv_prepare_init(uv, &l->prepare) == 0 && uv_check_init(uv, &l->check) == 0 &&
             uv_idle_init(uv, &l->idle) == 0);
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_start(&l->check, on_check);
    uv_unref((uv_handle_t *)&l->prepare); /* a loop without streams and timers may end */
    uv_unref((uv_handle_t *)&l->check);
    l->now_us = pw_clock_us();
    pw_wheel_init(&l->wheel, uv, l->now_us);
    l->wheel.now_us = &l->now_us;
    l->wheel.again = &l->again;
}
