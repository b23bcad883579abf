/* Streams over real sockets: echo, long messages, back-pressure, forwarding, closing. */
#include "tests/unit/net/echo.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "proxy/mem/rcbuf.h"

/* ---- echo --------------------------------------------------------------------------------- */

static void run_echo(const char *path)
{
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, path, echo_step);
    struct peer *clients[8];
    for (size_t i = 0; i < 8; i++)
        clients[i] = world_connect(w, path, echo_client_step);
    for (size_t i = 0; i < 8; i++)
        run_until_count(w, &clients[i]->received, ECHO_BYTES);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(clients[i]->received, ECHO_BYTES);
        assert_null(clients[i]->s.in); /* an idle stream holds no buffer */
        assert_null(clients[i]->s.out.head);
    }
    assert_true(w->loop.accepted.in + w->loop.connected.in >= 16u * ECHO_BYTES);
    assert_true(w->loop.accepted.out + w->loop.connected.out >= 16u * ECHO_BYTES);
    world_free(w);
    pw_free(w);
}

static void test_echo_tcp(void **state)
{
    (void)state;
    run_echo(NULL);
}

static void test_echo_unix(void **state)
{
    (void)state;
    char *dir = temp_dir();
    char *path = pw_asprintf("%s/s", dir);
    run_echo(path);
    unlink(path);
    rmdir(dir);
    pw_free(path);
    pw_free(dir);
}

/* ---- long messages ------------------------------------------------------------------------ */

/* Messages are a length of four bytes and that many bytes; each must become contiguous. */
static void want_step(struct peer *p)
{
    for (;;) {
        struct slice in = pw_stream_input(&p->s);
        uint32_t len;
        if (in.len < sizeof len)
            return;
        memcpy(&len, in.ptr, sizeof len);
        if (in.len < sizeof len + len) {
            assert_true(pw_stream_want(&p->s, sizeof len + len));
            return;
        }
        text_check(in.ptr + sizeof len, len, len);
        pw_stream_consume(&p->s, sizeof len + len);
        p->received++;
    }
}

static void test_want(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {5, 16380, 16381, 100000, 3, 2000000, 17000, 0, 16384, 40000};
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, want_step);
    struct peer *p = world_connect(w, NULL, NULL);
    for (size_t i = 0; i < PW_COUNT_OF(sizes); i++) {
        char *copy = malloc(sizes[i] + 1);
        text_fill(copy, sizes[i], sizes[i]);
        pw_stream_write(&p->s, &sizes[i], sizeof sizes[i]);
        pw_stream_write(&p->s, copy, sizes[i]);
        free(copy);
    }
    run_until(w, &p->connected);
    struct peer *server = NULL;
    while (!server || server->received < PW_COUNT_OF(sizes)) {
        uv_run(&w->uv, UV_RUN_ONCE);
        for (size_t i = 0; i < MAX_PEERS; i++)
            if (w->peers[i].used && w->peers[i].step == want_step)
                server = &w->peers[i];
    }
    assert_null(server->s.in);
    assert_int_equal(p->drained, 1);
    world_free(w);
    pw_free(w);
}

/* ---- back-pressure, forwarding ------------------------------------------------------------ */

static void pair(struct world *w, struct peer **a, struct peer **b)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    *a = peer_new(w, NULL);
    *b = peer_new(w, NULL);
    pw_stream_adopt(&(*a)->s, &w->loop, fd[0], true, &peer_callbacks);
    pw_stream_adopt(&(*b)->s, &w->loop, fd[1], true, &peer_callbacks);
    (*a)->connected = (*b)->connected = true;
}

static void big_sender_step(struct peer *p)
{
    send_some(p, BIG);
}

/* A relay as in the proxy: pauses its source while its sink is congested. */
static void relay_step(struct peer *p)
{
    struct peer *to = p->other;
    size_t len = pw_stream_input(&p->s).len;
    if (len > 0 && !pw_stream_is_congested(&to->s))
        pw_stream_forward(&p->s, len - (len > 100 ? next_random(&p->rng) % 50 : 0), &to->s);
    if (pw_stream_input(&p->s).len > 0)
        p->marked = !pw_stream_is_congested(&to->s);
    if (pw_stream_is_congested(&to->s))
        pw_stream_pause(&p->s);
}

static void relay_sink_step(struct peer *p)
{
    if (p->drained) {
        p->drained = 0;
        pw_stream_resume(&p->other->s);
        p->other->marked = true;
    }
}

static void check_all_step(struct peer *p)
{
    while (pw_stream_input(&p->s).len > 0)
        check_some(p);
}

static void test_forward_with_slow_reader(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    struct peer *sender, *in, *out, *reader;
    pair(w, &sender, &in);
    pair(w, &out, &reader);
    sender->step = big_sender_step;
    in->step = relay_step;
    out->step = relay_sink_step;
    in->other = out;
    out->other = in;
    pw_stream_pause(&reader->s);
    sender->marked = true;
    /* Everything fills up: the relay congests, its source is paused, the sender congests. */
    while (!pw_stream_is_congested(&out->s) || !pw_stream_is_congested(&sender->s))
        uv_run(&w->uv, UV_RUN_NOWAIT);
    for (int i = 0; i < 50; i++)
        uv_run(&w->uv, UV_RUN_NOWAIT);
    assert_true(out->s.out_bytes <= PW_STREAM_HIGH_WATER + PW_CHUNK_BYTES);
    assert_true(w->loop.chunks.in_use < 80);
    reader->step = check_all_step;
    pw_stream_resume(&reader->s);
    run_until_count(w, &reader->received, BIG);
    assert_int_equal(reader->received, BIG);
    assert_false(pw_stream_is_congested(&out->s));
    world_free(w);
    pw_free(w);
}

static void test_unread_input_is_bounded(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    struct peer *sender, *reader;
    pair(w, &sender, &reader);
    sender->step = big_sender_step;
    sender->marked = true;
    while (!pw_stream_is_congested(&sender->s) || pw_stream_input(&reader->s).len == 0 ||
           reader->s.reading)
        uv_run(&w->uv, UV_RUN_NOWAIT); /* nobody consumes: reading stops by itself */
    assert_int_equal(pw_stream_input(&reader->s).len, PW_CHUNK_BYTES);
    reader->step = check_all_step;
    reader->marked = true;
    uv_run(&w->uv, UV_RUN_NOWAIT); /* nothing else brings a turn */
    run_until_count(w, &reader->received, BIG);
    world_free(w);
    pw_free(w);
}

/* ---- closing ------------------------------------------------------------------------------ */

static void test_close_with_flush(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    struct peer *sender, *reader;
    pair(w, &sender, &reader);
    reader->step = check_all_step;
    char *copy = malloc(BIG);
    text_fill(copy, 0, BIG);
    pw_stream_write(&sender->s, copy, BIG);
    free(copy);
    pw_stream_close(&sender->s, true);
    pw_stream_write(&sender->s, "ignored", 7);
    assert_false(sender->closed); /* never from inside the call */
    run_until(w, &sender->closed);
    run_until(w, &reader->eof);
    assert_int_equal(reader->received, BIG);
    world_free(w);
    pw_free(w);
}

static void test_close_with_pending_output(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    struct peer *sender, *reader;
    pair(w, &sender, &reader);
    struct rcbuf *b = pw_rcbuf_try_new(BIG);
    assert_non_null(b);
    b->len = BIG;
    memset(b->data, 'x', BIG);
    pw_stream_pause(&reader->s);
    pw_stream_write_ref(&sender->s, b, 0, BIG);
    pw_loop_flush(&w->loop);
    assert_true(sender->s.write_pending);
    pw_stream_close(&sender->s, true); /* cannot finish: nobody reads */
    for (int i = 0; i < 20; i++)
        uv_run(&w->uv, UV_RUN_NOWAIT);
    assert_false(sender->closed);
    pw_stream_close(&sender->s, false);
    run_until(w, &sender->closed);
    assert_int_equal(b->refs, 1); /* given back after the close, not before */
    pw_rcbuf_unref(b);
    world_free(w);
    pw_free(w);
}

static void test_write_to_closed_peer(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    struct peer *a, *b;
    pair(w, &a, &b);
    pw_stream_pause(&a->s); /* so that it is the write that notices */
    peer_close(b, false);
    pw_stream_write(&a->s, "hello", 5);
    pw_loop_flush(&w->loop);
    assert_false(a->error); /* told on the next turn, not from inside the flush */
    run_until(w, &a->error);
    assert_non_null(strstr(pw_stream_error_text(&a->s), "broken pipe"));
    pw_stream_write(&a->s, "ignored", 7);
    assert_non_null(pw_stream_reserve(&a->s, 100));
    pw_stream_commit(&a->s, 100);
    assert_int_equal(a->s.out_bytes, 0);
    world_free(w);
    pw_free(w);
}

static void test_connect_refused(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, NULL);
    struct sockaddr_in addr;
    int port = pw_listen_port(w->listen_fd);
    pw_listener_close(w->listener);
    close(w->listen_fd);
    w->listener = NULL;
    w->listen_fd = -1;
    uv_run(&w->uv, UV_RUN_NOWAIT);
    uv_ip4_addr("127.0.0.1", port, &addr);
    struct peer *p = peer_new(w, NULL);
    assert_int_equal(
        pw_stream_connect_tcp(&p->s, &w->loop, (struct sockaddr *)&addr, &peer_callbacks), PW_OK);
    run_until(w, &p->error);
    assert_non_null(strstr(pw_stream_error_text(&p->s), "connection refused"));
    struct peer *q = peer_new(w, NULL);
    assert_int_equal(pw_stream_connect_unix(&q->s, &w->loop, "/tmp/none/such", &peer_callbacks),
                     PW_OK);
    run_until(w, &q->error);
    struct peer *closing = peer_new(w, NULL); /* closed while connecting */
    assert_int_equal(
        pw_stream_connect_unix(&closing->s, &w->loop, "/tmp/none/such", &peer_callbacks), PW_OK);
    peer_close(closing, true);
    assert_false(closing->error);
    world_free(w);
    pw_free(w);
}

/* What happens outside the poll phase is stepped at once, not when something else wakes the loop.
 */
static bool stepped;

static void note_step(struct peer *p)
{
    (void)p;
    stepped = true;
}

static void test_steps_follow_at_once(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    stepped = false;
    struct peer *p = peer_new(w, note_step);
    assert_int_equal(pw_stream_connect_unix(&p->s, &w->loop, "/tmp/none/such", &peer_callbacks),
                     PW_OK);
    run_until(w, &stepped); /* libuv reports this one before it polls */
    assert_true(p->error);
    struct peer *a, *b;
    pair(w, &a, &b);
    pw_stream_pause(&a->s);
    peer_close(b, false);
    stepped = false;
    a->step = note_step;
    pw_stream_write(&a->s, "x", 1);
    pw_loop_flush(&w->loop);
    run_until(w, &stepped); /* noted by the flush */
    assert_true(a->error);
    world_free(w);
    pw_free(w);
}

/* ---- chaos -------------------------------------------------------------------------------- */

enum { CHAOS_PAIRS = 8, CHAOS_STEPS = 30000 };

/* Anything at any time; the text must stay in order and nothing may be left behind (world_free). */
static void chaos_action(struct peer *p, uint64_t r)
{
    switch (r % 16) {
    case 0:
        pw_stream_pause(&p->s);
        break;
    case 1:
        if ((r >> 8) % 50 == 0)
            pw_stream_close(&p->s, (r >> 16) % 2);
        break;
    case 2:
    case 3:
        if (!p->eof && !p->error && !p->s.closing)
            send_some(p, p->sent + (r >> 8) % 200000);
        break;
    case 4:
        assert_true(p->s.closing || pw_stream_want(&p->s, (r >> 8) % 300000));
        break;
    case 5:
        (void)pw_stream_reserve(&p->s, (r >> 8) % 4096); /* and nothing committed */
        break;
    default:
        pw_stream_resume(&p->s);
        if (pw_stream_input(&p->s).len > 0)
            check_some(p);
    }
}

static void test_chaos(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    uint64_t rng = 20260101;
    world_init(w);
    for (size_t i = 0; i < CHAOS_STEPS; i++) {
        struct peer *p = &w->peers[next_random(&rng) % (2 * CHAOS_PAIRS)];
        if (p->used && p->closed)
            p->used = false;
        if (!p->used) {
            struct peer *a, *b;
            size_t free_peers = 0;
            for (size_t k = 0; k < 2 * CHAOS_PAIRS; k++)
                free_peers += !w->peers[k].used;
            if (free_peers >= 2)
                pair(w, &a, &b);
            continue;
        }
        chaos_action(p, next_random(&rng));
        if (next_random(&rng) % 4 == 0)
            pw_loop_flush(&w->loop);
        if (next_random(&rng) % 3 == 0)
            uv_run(&w->uv, UV_RUN_NOWAIT);
    }
    assert_true(w->loop.accepted.in + w->loop.connected.in > 1000000);
    world_free(w);
    pw_free(w);
}

static void test_addresses(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, echo_step);
    struct peer *p = world_connect(w, NULL, NULL);
    run_until(w, &p->connected);
    char host[64];
    int port;
    pw_stream_peer(&p->s, host, sizeof host, &port);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(port, pw_listen_port(w->listen_fd));
    pw_stream_local(&p->s, host, sizeof host, &port);
    assert_string_equal(host, "127.0.0.1");
    assert_int_not_equal(port, 0);
    pw_stream_keepalive(&p->s, 30, 5, 4);
    struct peer *a, *b;
    pair(w, &a, &b);
    pw_stream_peer(&a->s, host, sizeof host, &port);
    assert_string_equal(host, "unix");
    assert_int_equal(port, 0);
    world_free(w);
    pw_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_tcp),
        cmocka_unit_test(test_echo_unix),
        cmocka_unit_test(test_want),
        cmocka_unit_test(test_forward_with_slow_reader),
        cmocka_unit_test(test_unread_input_is_bounded),
        cmocka_unit_test(test_close_with_flush),
        cmocka_unit_test(test_close_with_pending_output),
        cmocka_unit_test(test_write_to_closed_peer),
        cmocka_unit_test(test_connect_refused),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_steps_follow_at_once),
        cmocka_unit_test(test_chaos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
