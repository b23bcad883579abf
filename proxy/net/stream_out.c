/*
 * A stream's output: a queue of segments, appended to by the owner, sent by pw_loop_flush in one
 * gathered write. Owns the queued chunks and rcbuf references until the kernel has taken them.
 * Thread: the loop's. While a uv_write is pending (the socket was full) nothing else is sent; its
 * segments stay at the head of the queue, so they outlive the write, and later bytes may be
 * appended behind them even in the same chunk.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/net/stream_priv.h"

enum { IOV_MAX_SENT = 64, REF_MIN = 512, HANDOVER_MIN = 4096, HANDOVER_REST_MAX = 2048 };

/* ---- the queue ---------------------------------------------------------------------------- */

static void append_segment(struct out_queue *q, struct out_segment *seg)
{
    seg->next = NULL;
    if (q->tail)
        q->tail->next = seg;
    else
        q->head = seg;
    q->tail = seg;
    q->bytes += seg->len;
}

void pw_queue_append_chunk(struct out_queue *q, struct chunk *c)
{
    c->out.ptr = c->data + c->start;
    c->out.len = c->end - c->start;
    c->out.ref = NULL;
    append_segment(q, &c->out);
}

static void pop_head(struct net_loop *loop, struct out_queue *q)
{
    struct out_segment *seg = q->head;
    q->head = seg->next;
    if (!q->head)
        q->tail = NULL;
    q->bytes -= seg->len;
    if (seg->ref) {
        pw_rcbuf_unref(seg->ref);
        pw_objpool_put(&loop->segments, seg);
    } else {
        pw_chunk_put(loop, (struct chunk *)(void *)seg);
    }
}

void pw_queue_drop(struct net_loop *loop, struct out_queue *q, size_t len)
{
    while (len > 0) {
        struct out_segment *seg = q->head;
        if (seg->len > len) {
            seg->ptr += len;
            seg->len -= len;
            q->bytes -= len;
            return;
        }
        len -= seg->len;
        pop_head(loop, q);
    }
}

/* The chunk at the tail if at least `room` more bytes fit in it. */
struct chunk *pw_queue_open_tail(const struct out_queue *q, size_t room)
{
    struct out_segment *seg = q->tail;
    if (!seg || seg->ref)
        return NULL;
    struct chunk *c = (struct chunk *)(void *)seg;
    return c->cap - c->end >= room ? c : NULL;
}

void pw_queue_extend(struct out_queue *q, struct chunk *c, size_t len)
{
    c->end += (uint32_t)len;
    c->out.len += len;
    q->bytes += len;
}

const char *pw_queue_front(const struct out_queue *q, size_t *len)
{
    const struct out_segment *seg = q->head;
    while (seg->len == 0) /* reserved in vain */
        seg = seg->next;
    *len = seg->len;
    return seg->ptr;
}

void pw_stream_drop_output(struct stream *s)
{
    if (s->write_pending)
        return; /* the kernel's view of them ends in the write callback or with the handle */
    while (s->out.head)
        pop_head(s->loop, &s->out);
    while (s->wire.head)
        pop_head(s->loop, &s->wire);
    s->out_bytes = 0;
    s->above_high = false;
}

/* ---- appending ---------------------------------------------------------------------------- */

static inline bool accepts_output(const struct stream *s)
{
    return s->is_open && !s->closing && !s->failed;
}

void pw_stream_mark_dirty(struct stream *s)
{
    if (!pw_list_linked(&s->dirty_link) && !s->write_pending && !s->connecting)
        pw_list_push_back(&s->loop->dirty, &s->dirty_link);
}

static inline void queued(struct stream *s, size_t len)
{
    s->out_bytes += len;
    if (s->out_bytes > PW_STREAM_HIGH_WATER)
        s->above_high = true;
    pw_stream_mark_dirty(s);
}

/* A chunk with at least `room` bytes free at the tail of the queue; NULL: the stream has failed. */
static struct chunk *tail_with_room(struct stream *s, size_t room)
{
    struct chunk *c = pw_queue_open_tail(&s->out, room);
    if (c)
        return c;
    c = pw_chunk_try_get(s->loop, 0);
    if (c)
        pw_queue_append_chunk(&s->out, c);
    else
        pw_stream_fail_later(s, pw_strdup("write: out of memory"));
    return c;
}

static inline void extend_tail(struct stream *s, struct chunk *c, size_t len)
{
    pw_queue_extend(&s->out, c, len);
    queued(s, len);
}

void pw_stream_write(struct stream *s, const void *data, size_t len)
{
    const char *from = data;
    while (len > 0 && accepts_output(s)) {
        struct chunk *c = tail_with_room(s, 1);
        if (!c)
            return;
        size_t part = c->cap - c->end;
        if (part > len)
            part = len;
        memcpy(c->data + c->end, from, part);
        extend_tail(s, c, part);
        from += part;
        len -= part;
    }
}

char *pw_stream_reserve(struct stream *s, size_t len)
{
    PW_CHECK(len <= 4096);
    struct chunk *c = accepts_output(s) ? tail_with_room(s, len) : NULL;
    return c ? c->data + c->end : s->loop->scratch;
}

void pw_stream_commit(struct stream *s, size_t len)
{
    if (len == 0 || !accepts_output(s))
        return;
    struct chunk *c = pw_queue_open_tail(&s->out, len);
    PW_CHECK(c);
    extend_tail(s, c, len);
}

void pw_stream_write_ref(struct stream *s, struct rcbuf *b, size_t off, size_t len)
{
    PW_CHECK(off <= b->len && len <= b->len - off);
    if (len < REF_MIN) {
        pw_stream_write(s, b->data + off, len);
        return;
    }
    if (!accepts_output(s))
        return;
    struct out_segment *seg = pw_objpool_try_get(&s->loop->segments);
    if (!seg) {
        pw_stream_fail_later(s, pw_strdup("write: out of memory"));
        return;
    }
    seg->ptr = b->data + off;
    seg->len = len;
    seg->ref = pw_rcbuf_ref(b);
    append_segment(&s->out, seg);
    queued(s, len);
}

void pw_stream_forward(struct stream *from, size_t len, struct stream *to)
{
    struct slice in = pw_stream_input(from);
    PW_CHECK(len <= in.len && from->loop == to->loop);
    if (len >= HANDOVER_MIN && in.len - len <= HANDOVER_REST_MAX && accepts_output(to)) {
        struct chunk *c = pw_stream_take_input(from, len);
        if (c) {
            pw_queue_append_chunk(&to->out, c);
            queued(to, len);
            return;
        }
    }
    pw_stream_write(to, in.ptr, len);
    pw_stream_consume(from, len);
}

/* ---- sending ------------------------------------------------------------------------------ */

static struct out_queue *kernel_queue(struct stream *s)
{
    return s->tls ? &s->wire : &s->out;
}

static void sent(struct stream *s, size_t len)
{
    s->loop->writes++;
    pw_stream_bytes(s)->out += len;
    pw_queue_drop(s->loop, kernel_queue(s), len);
    s->out_bytes = s->out.bytes + s->wire.bytes;
    if (s->above_high && s->out_bytes < PW_STREAM_LOW_WATER) {
        s->above_high = false;
        s->note_drained = true;
        if (!s->closing)
            pw_stream_note(s);
    }
}

static unsigned gather(const struct out_queue *q, uv_buf_t *bufs)
{
    unsigned n = 0;
    for (const struct out_segment *seg = q->head; seg && n < IOV_MAX_SENT; seg = seg->next)
        if (seg->len > 0) {
            /* libuv's type is not const; it only reads. */
            bufs[n].base = (char *)(uintptr_t)seg->ptr;
            bufs[n++].len = seg->len;
        }
    return n;
}

struct write_job {
    uv_write_t req;
    struct stream *s; /* BORROW; open until its pending write was answered */
    size_t bytes;
};

/* Takes over text. */
void pw_stream_write_failed(struct stream *s, char *text)
{
    if (s->closing) {
        pw_stream_set_error(s, text);
        pw_stream_close_now(s);
    } else {
        pw_stream_fail_later(s, text);
    }
}

static void write_failed_uv(struct stream *s, int err)
{
    pw_stream_write_failed(s, pw_asprintf("write: %s", uv_strerror(err)));
}

static void on_written(uv_write_t *req, int status)
{
    struct write_job *job = PW_CONTAINER_OF(req, struct write_job, req);
    struct stream *s = job->s;
    size_t bytes = job->bytes;
    pw_free(job);
    s->write_pending = false;
    if (s->uv_closing)
        return; /* ECANCELED, or answered just before; the queue goes with the handle */
    if (s->failed) {
        pw_stream_drop_output(s);
        return;
    }
    if (status < 0) {
        write_failed_uv(s, status);
        return;
    }
    sent(s, bytes);
    pw_stream_flush(s);
}

static void write_rest(struct stream *s)
{
    uv_buf_t bufs[IOV_MAX_SENT];
    unsigned n = gather(kernel_queue(s), bufs);
    struct write_job *job = pw_try_alloc(sizeof *job);
    if (!job) {
        write_failed_uv(s, UV_ENOMEM);
        return;
    }
    job->s = s;
    job->bytes = 0;
    for (unsigned i = 0; i < n; i++)
        job->bytes += bufs[i].len;
    int err = uv_write(&job->req, &s->uv.stream, bufs, n, on_written);
    if (err) {
        pw_free(job);
        write_failed_uv(s, err);
        return;
    }
    s->write_pending = true;
}

/* Sends what the kernel takes now. What is left waits for writability in one uv_write. */
/* As uv_try_write, through the socket calls: they skip the file layer that write(2) passes (about
 * 0.2 us per call). A uv_buf_t has the layout of a struct iovec on Unix (uv/unix.h). */
static int send_now(struct stream *s, uv_buf_t *bufs, unsigned n)
{
    uv_os_fd_t fd;
    if (uv_fileno(&s->uv.handle, &fd) != 0)
        return UV_EBADF;
    ssize_t len;
    do {
        if (n == 1) {
            len = send(fd, bufs[0].base, bufs[0].len, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else {
            struct msghdr msg = {.msg_iov = (struct iovec *)(void *)bufs, .msg_iovlen = n};
            len = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
    } while (len < 0 && errno == EINTR);
    if (len >= 0)
        return (int)len;
    return errno == EAGAIN || errno == ENOBUFS ? UV_EAGAIN : -errno;
}

void pw_stream_flush(struct stream *s)
{
    if (s->write_pending || s->connecting || s->failed || s->uv_closing)
        return;
    struct out_queue *q = kernel_queue(s);
    /* One round, unless TLS has more plaintext than it encrypts at a time. */
    do {
        if (s->tls && !pw_stream_tls_encrypt(s))
            return;
        if (q->bytes == 0)
            break;
        uv_buf_t bufs[IOV_MAX_SENT];
        unsigned n = gather(q, bufs);
        int len = send_now(s, bufs, n);
        if (len < 0 && len != UV_EAGAIN) {
            write_failed_uv(s, len);
            return;
        }
        sent(s, len > 0 ? (size_t)len : 0);
        if (q->bytes > 0) {
            write_rest(s);
            return;
        }
    } while (s->out.bytes > 0 && !s->tls_waiting);
    if (s->closing)
        pw_stream_close_now(s);
}
