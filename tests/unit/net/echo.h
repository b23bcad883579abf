/* Peers that send, echo and check the endless test text in random pieces. For the stream tests
 * only. */
#ifndef TESTS_UNIT_NET_ECHO_H
#define TESTS_UNIT_NET_ECHO_H

#include "tests/unit/net/world.h"

#include "proxy/mem/rcbuf.h"

enum { ECHO_BYTES = 3000000, BIG = 10 * 1024 * 1024 };

static inline void echo_step(struct peer *p)
{
    size_t len = pw_stream_input(&p->s).len;
    while (len > 0 && !pw_stream_is_congested(&p->s)) {
        size_t part = 1 + (size_t)(next_random(&p->rng) % 9000);
        if (part > len)
            part = len;
        pw_stream_forward(&p->s, part, &p->s);
        len = pw_stream_input(&p->s).len;
    }
    if (p->eof && len == 0)
        pw_stream_close(&p->s, true);
}

static inline void send_some(struct peer *p, size_t total)
{
    while (p->sent < total && !pw_stream_is_congested(&p->s)) {
        size_t len = (size_t)(next_random(&p->rng) % 40000);
        if (len > total - p->sent)
            len = total - p->sent;
        switch (next_random(&p->rng) % 3) {
        case 0: {
            char *copy = malloc(len + 1);
            text_fill(copy, p->sent, len);
            pw_stream_write(&p->s, copy, len);
            free(copy);
            break;
        }
        case 1: {
            struct rcbuf *b = pw_rcbuf_try_new((uint32_t)len + 10);
            b->len = (uint32_t)len + 10;
            text_fill(b->data + 10, p->sent, len);
            pw_stream_write_ref(&p->s, b, 10, len);
            pw_rcbuf_unref(b);
            break;
        }
        default:
            len = len > 4096 ? 4096 : len;
            text_fill(pw_stream_reserve(&p->s, len), p->sent, len);
            pw_stream_commit(&p->s, len);
        }
        p->sent += len;
    }
}

static inline void check_some(struct peer *p)
{
    struct slice in = pw_stream_input(&p->s);
    size_t len = in.len > 3 ? in.len - (size_t)(next_random(&p->rng) % 3) : in.len;
    text_check(in.ptr, p->received, len);
    pw_stream_consume(&p->s, len);
    p->received += len;
    if (len < in.len)
        p->marked = true;
}

static inline void echo_client_step(struct peer *p)
{
    assert_false(p->error);
    if (!p->connected || (pw_stream_is_tls(&p->s) && !p->tls_up))
        return;
    send_some(p, ECHO_BYTES);
    while (pw_stream_input(&p->s).len > 0)
        check_some(p);
}

#endif
