/*
 * A byte stream over TCP, a Unix socket, TLS, or a test's fake, with the same functions for all.
 * Embedded in its owner; the owner's memory may be reused only after on_closed.
 *
 * Rhythm: callbacks only take note. on_event tells the owner that something happened (bytes to
 * read, end, error, output drained, connected, TLS up); the owner marks itself and does the work
 * later in the turn (from the worker's uv_check handle). No owner code runs inside pw_stream_*
 * calls or pw_loop_flush: on_event comes from libuv callbacks only; what such a call finds out (an
 * error, a drained queue) is delivered on the next turn, which then comes at once. The owner may
 * call any pw_stream function inside on_event, pw_stream_close too. Output is appended to a queue
 * and leaves in one gathered write when pw_loop_flush runs at the end of the turn.
 *
 * Memory: an idle stream holds no buffer. Input sits in one recycled chunk while it is unread; a
 * message longer than a chunk makes the input grow only up to what pw_stream_want asked for. When
 * that is full the kernel is not read any more until something is consumed, so the input is
 * bounded. Output is bounded by its owner: stop producing while pw_stream_is_congested. Thread: the
 * loop's.
 */
#ifndef PROXY_NET_STREAM_H
#define PROXY_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proxy/base/attrs.h"
#include "proxy/base/list.h"
#include "proxy/base/slice.h"
#include "proxy/base/status.h"
#include "proxy/mem/rcbuf.h"

struct net_loop;
struct stream;
struct chunk;
struct out_segment;
struct tls_context; /* net/tls.h */
struct tls_conn;

enum stream_event {
    STREAM_READABLE,  /* new input bytes */
    STREAM_EOF,       /* the peer finished; what was read before is still readable */
    STREAM_ERROR,     /* see pw_stream_error_text; nothing more will be read or written */
    STREAM_DRAINED,   /* queued output fell below the low-water mark after being above high-water */
    STREAM_CONNECTED, /* pw_stream_connect_* succeeded */
    STREAM_TLS_UP,    /* the handshake asked for is complete */
};

struct stream_callbacks {
    void (*on_event)(struct stream *s, enum stream_event what);
    void (*on_closed)(struct stream *s); /* last call; the memory is the owner's again */
};

/* Segments waiting for the kernel, oldest first. Private to stream_out.c. */
struct out_queue {
    struct out_segment *head, *tail; /* OWN */
    size_t bytes;
};

struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct net_loop *loop;             /* BORROW */
    const struct stream_callbacks *cb; /* BORROW, static */
    struct chunk *in;                  /* OWN; unread input, NULL when there is none */
    struct out_queue out;              /* OWN; what the owner wrote */
    struct out_queue wire;             /* OWN; with TLS only: out, encrypted */
    struct tls_conn *tls;              /* OWN; NULL while plain */
    char *error;                       /* OWN; why STREAM_ERROR */
    struct list_node dirty_link;       /* LINK loop->dirty */
    struct list_node notify_link;      /* LINK loop->notify */
    size_t out_bytes;                  /* queued and not yet taken by the kernel */
    uint32_t want;                     /* bytes of input the owner needs contiguous */
    bool is_open, is_pipe, reading, paused, eof, failed, closing, write_pending, above_high;
    /* Private: */
    bool accepted;    /* it came to us; else we opened it */
    bool connecting;  /* connect not yet answered; output waits */
    bool was_full;    /* the last read found no room; a second time in a row stops reading */
    bool uv_closing;  /* uv_close was called */
    bool tls_waiting; /* handshake in progress */
    bool tls_direct;  /* the handshake must agree on ALPN */
    bool tls_raw_eof; /* the peer's FIN came, its last records are still to be decrypted */
    bool note_error, note_drained, note_input; /* what notify_link is waiting to deliver */
};

enum { PW_STREAM_HIGH_WATER = 256 * 1024, PW_STREAM_LOW_WATER = 64 * 1024 };

/* Accepts; listener is the handle given to pw_on_connection. On failure the stream needs no close.
 */
enum pw_status pw_stream_accept(struct stream *s, struct net_loop *loop, uv_stream_t *listener,
                                bool is_pipe, const struct stream_callbacks *cb) PW_MUSTUSE;
/* Takes over a connected stream socket: fd becomes the stream's (tests: one end of a socketpair).
 */
void pw_stream_adopt(struct stream *s, struct net_loop *loop, int fd, bool is_pipe,
                     const struct stream_callbacks *cb);
/* Starts connecting; on failure (a path too long) the stream needs no close; else the outcome is
 * STREAM_CONNECTED or STREAM_ERROR. Copies addr and path. */
enum pw_status pw_stream_connect_tcp(struct stream *s, struct net_loop *loop,
                                     const struct sockaddr *addr,
                                     const struct stream_callbacks *cb) PW_MUSTUSE;
enum pw_status pw_stream_connect_unix(struct stream *s, struct net_loop *loop, const char *path,
                                      const struct stream_callbacks *cb) PW_MUSTUSE;

/* Input: the contiguous unread bytes (may be empty), and dropping from their front. */
struct slice pw_stream_input(const struct stream *s);
void pw_stream_consume(struct stream *s, size_t len);
/* Asks that the next `len` unread bytes become contiguous (a message longer than a chunk). The
 * owner has checked len against its limit. False: no memory. Reset by consuming. */
bool pw_stream_want(struct stream *s, size_t len) PW_MUSTUSE;
/* Back-pressure: stop and restart reading from the kernel. Paused at accept/connect: no. */
void pw_stream_pause(struct stream *s);
void pw_stream_resume(struct stream *s);

/* Output. write copies; write_ref takes its own reference on b; forward moves the first len bytes
 * of from's input to to's output (without copying when that is cheaper) and consumes them.
 * Writing to a failed or closing stream is a no-op. Memory exhaustion fails the stream. */
void pw_stream_write(struct stream *s, const void *data, size_t len);
void pw_stream_write_ref(struct stream *s, struct rcbuf *b, size_t off, size_t len);
void pw_stream_forward(struct stream *from, size_t len, struct stream *to);
/* Room to build a small message in place: at least `len` (<= 4096) writable bytes at the tail, then
 * commit. */
char *pw_stream_reserve(struct stream *s, size_t len);
void pw_stream_commit(struct stream *s, size_t len);
static inline bool pw_stream_is_congested(const struct stream *s)
{
    return s->above_high;
}

/* TLS. For a server-side start, bytes already read and not consumed are an injection attempt:
 * PW_TLS_INJECTED (CVE-2021-3935). The result is STREAM_TLS_UP or STREAM_ERROR. */
enum pw_status pw_stream_start_tls_server(struct stream *s, struct tls_context *ctx) PW_MUSTUSE;
enum pw_status pw_stream_start_tls_client(struct stream *s, struct tls_context *ctx,
                                          const char *host) PW_MUSTUSE;
/* TLS from the first byte (sslnegotiation=direct): the unread input is the start of the handshake.
 * The peer must name PostgreSQL by ALPN, so that no other protocol's client can be led here. */
enum pw_status pw_stream_start_tls_direct(struct stream *s, struct tls_context *ctx) PW_MUSTUSE;
bool pw_stream_is_tls(const struct stream *s);
/* Subject CN of the peer's verified certificate, or NULL. BORROW until close. */
const char *pw_stream_peer_cn(const struct stream *s);
/* The channel binding tls-server-end-point (RFC 5929): a hash of the server's certificate, ours
 * where we are the server. 0: no TLS, it does not fit, or the certificate's signature has no hash.
 */
size_t pw_stream_tls_binding(const struct stream *s, uint8_t *out, size_t max);

const char *pw_stream_error_text(const struct stream *s); /* "" when none */
/* Peer address as text: "127.0.0.1" and port, or "unix" and 0. */
void pw_stream_peer(const struct stream *s, char *host, size_t size, int *port);
/* The same as bytes; AF_UNSPEC when there is none (a Unix socket). */
void pw_stream_peer_address(const struct stream *s, struct sockaddr_storage *out);
void pw_stream_local(const struct stream *s, char *host, size_t size, int *port);
/* Keepalive and TCP_USER_TIMEOUT set by hand; TCP_NODELAY always on. */
void pw_stream_keepalive(struct stream *s, int idle_s, int interval_s, int count);

/* Closes; on_closed follows, no other event does. With flush, what is queued is sent first, however
 * long that takes: the owner bounds it with its own timer and a second call without flush, which
 * closes at once (unsent output is dropped). Idempotent. */
void pw_stream_close(struct stream *s, bool flush);
/* A second descriptor of its socket, for the caller to close(2): until then the peer sees no end.
 * -1: there is none. */
int pw_stream_dup(const struct stream *s);

#endif
