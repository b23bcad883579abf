/* What the stream files share with each other and nobody else: chunks, queues, and who does what.
 * stream.c: life and input. stream_out.c: output. stream_tls.c: the TLS steps in between. */
#ifndef PROXY_NET_STREAM_PRIV_H
#define PROXY_NET_STREAM_PRIV_H

#include <stdint.h>

#include "proxy/net/loop.h"
#include "proxy/net/stream.h"

/* One piece of queued output: either the head of a chunk or a reference to an rcbuf. */
struct out_segment {
    struct out_segment *next; /* LINK */
    const char *ptr;
    size_t len;
    struct rcbuf *ref; /* OWN reference; NULL: the segment is the head of a struct chunk, OWN */
};

/* Bytes in a row. As input: data[start..end) is unread. As output: `out` says what is unsent and
 * data[end..cap) can still be appended to. */
struct chunk {
    struct out_segment out; /* must be first */
    uint32_t start, end, cap;
    bool pooled; /* from loop->chunks; otherwise from the heap */
    char data[];
};

/* stream.c */
PW_MUSTUSE struct chunk *pw_chunk_try_get(struct net_loop *loop, size_t cap); /* may be NULL */
void pw_chunk_put(struct net_loop *loop, struct chunk *c);
/* Room at the input's tail (making a chunk, or moving the unread rest to the front); 0 when full.
 */
size_t pw_stream_input_room(struct stream *s, char **at);
void pw_stream_input_added(struct stream *s, size_t len);
void pw_stream_input_trim(struct stream *s); /* gives an empty input chunk back */
/* Notes the first error and drops what cannot be sent; says nothing to the owner. Takes over text.
 */
void pw_stream_set_error(struct stream *s, char *text);
void pw_stream_fail_later(struct stream *s,
                          char *text);    /* the same, and STREAM_ERROR on the next turn */
void pw_stream_note(struct stream *s);    /* asks for pw_stream_deliver on the next turn */
void pw_stream_deliver(struct stream *s); /* from the loop's idle callback */
void pw_stream_emit(struct stream *s, enum stream_event what); /* unless closing */
void pw_stream_update_reading(struct stream *s);
/* Hands the input chunk over, its first len bytes unread; the rest stays as input. NULL: no memory.
 */
struct chunk *pw_stream_take_input(struct stream *s, size_t len) PW_MUSTUSE;
void pw_stream_close_now(struct stream *s);

/* stream_out.c */
void pw_stream_mark_dirty(struct stream *s);
void pw_stream_flush(struct stream *s);
void pw_stream_drop_output(struct stream *s);
/* The chunk at the tail if at least `room` more bytes fit in it, else NULL; and adding to it. */
struct chunk *pw_queue_open_tail(const struct out_queue *q, size_t room);
void pw_queue_extend(struct out_queue *q, struct chunk *c, size_t len);
const char *pw_queue_front(const struct out_queue *q, size_t *len); /* q->bytes is not 0 */
void pw_queue_drop(struct net_loop *loop, struct out_queue *q, size_t len);
void pw_queue_append_chunk(struct out_queue *q,
                           struct chunk *c); /* takes c; c->start..end is unsent */

/* A failed write: closes a stream that was only being flushed, else STREAM_ERROR later. Takes over
 * text. */
void pw_stream_write_failed(struct stream *s, char *text);

/* stream_tls.c */
void pw_stream_tls_read(struct stream *s, const char *raw, size_t len); /* from the read callback */
void pw_stream_tls_continue(struct stream *s); /* with what came before: handshake, decrypt */
/* out -> wire, as long as wire is short; false: the stream has failed (or is closed). */
bool pw_stream_tls_encrypt(struct stream *s);
void pw_stream_tls_eof(struct stream *s);
void pw_stream_tls_shutdown(struct stream *s); /* queues close_notify */
void pw_stream_tls_free(struct stream *s);

static inline struct net_bytes *pw_stream_bytes(const struct stream *s)
{
    return s->accepted ? &s->loop->accepted : &s->loop->connected;
}

#endif
