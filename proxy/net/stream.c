/*
 * A stream's life (accept, connect, events, close) and its input. Owns the uv handle and the input
 * chunk. Thread: the loop's. The input is always one contiguous chunk: a recycled one of
 * PW_CHUNK_BYTES, or a larger one from the heap while a longer message is awaited; none at all
 * while nothing is unread.
 */
#include "proxy/net/stream.h"

#include <fcntl.h>
#include <string.h>
#include <sys/un.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/net/listen_priv.h"
#include "proxy/net/stream_priv.h"

/* Below this much free room at the tail, the unread rest is moved to the front first. */
enum { ROOM_MIN = 2048 };

struct chunk *pw_chunk_try_get(struct net_loop *loop, size_t cap)
{
    bool pooled = cap <= PW_CHUNK_BYTES;
    if (pooled)
        cap = PW_CHUNK_BYTES;
    else if (cap > UINT32_MAX)
        return NULL;
    struct chunk *c = pooled ? pw_objpool_try_get(&loop->chunks) : pw_try_alloc(sizeof *c + cap);
    if (!c)
        return NULL;
    c->start = c->end = 0;
    c->cap = (uint32_t)cap;
    c->pooled = pooled;
    return c;
}

void pw_chunk_put(struct net_loop *loop, struct chunk *c)
{
    if (c->pooled)
        pw_objpool_put(&loop->chunks, c);
    else
        pw_free(c);
}

/* ---- events ------------------------------------------------------------------------------- */

void pw_stream_emit(struct stream *s, enum stream_event what)
{
    if (!s->loop->in_poll)
        s->loop->again = true;
    if (!s->closing)
        s->cb->on_event(s, what);
}

void pw_stream_set_error(struct stream *s, char *text)
{
    if (s->failed) {
        pw_free(text);
        return;
    }
    s->failed = true;
    s->error = text;
    s->tls_waiting = s->above_high = false;
    pw_stream_update_reading(s);
    pw_stream_drop_output(s);
}

void pw_stream_fail_later(struct stream *s, char *text)
{
    bool first = !s->failed;
    pw_stream_set_error(s, text);
    if (first) {
        s->note_error = true;
        pw_stream_note(s);
    }
}

static void fail_uv(struct stream *s, const char *what, int err)
{
    bool first = !s->failed;
    pw_stream_set_error(s, pw_asprintf("%s: %s", what, uv_strerror(err)));
    if (first)
        pw_stream_emit(s, STREAM_ERROR);
}

void pw_stream_deliver(struct stream *s)
{
    bool error = s->note_error, drained = s->note_drained, input = s->note_input;
    s->note_error = s->note_drained = s->note_input = false;
    if (error)
        pw_stream_emit(s, STREAM_ERROR);
    if (s->failed)
        return;
    if (drained && !s->above_high)
        pw_stream_emit(s, STREAM_DRAINED);
    if (input && s->tls && !s->closing)
        pw_stream_tls_continue(s);
}

/* ---- reading ------------------------------------------------------------------------------ */

size_t pw_stream_input_room(struct stream *s, char **at)
{
    struct chunk *c = s->in;
    if (!c) {
        c = s->in = pw_chunk_try_get(s->loop, s->want);
        if (!c)
            return 0;
    }
    size_t room = c->cap - c->end;
    if (room < ROOM_MIN && c->start > room) {
        memmove(c->data, c->data + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
        room = c->cap - c->end;
    }
    *at = c->data + c->end;
    return room;
}

void pw_stream_input_added(struct stream *s, size_t len)
{
    s->in->end += (uint32_t)len;
    PW_CHECK(s->in->end <= s->in->cap);
}

void pw_stream_input_trim(struct stream *s)
{
    if (s->in && s->in->start == s->in->end) {
        pw_chunk_put(s->loop, s->in);
        s->in = NULL;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct stream *s = handle->data;
    char *at = NULL;
    size_t room = pw_stream_input_room(s, &at);
    if (s->tls && room > 0) {
        at = s->loop->scratch;
        room = PW_SCRATCH_BYTES;
    }
    *buf = uv_buf_init(at, (unsigned)room);
}

static void on_read(uv_stream_t *uv, ssize_t nread, const uv_buf_t *buf)
{
    struct stream *s = uv->data;
    if (nread > 0) {
        s->was_full = false;
        s->loop->reads++;
        pw_stream_bytes(s)->in += (uint64_t)nread;
        if (s->tls) {
            pw_stream_tls_read(s, buf->base, (size_t)nread);
            return;
        }
        pw_stream_input_added(s, (size_t)nread);
        pw_stream_emit(s, STREAM_READABLE);
        return;
    }
    pw_stream_input_trim(s);
    if (nread == 0)
        return;
    if (nread == UV_ENOBUFS) {
        /* Full (or out of memory). The owner is given this turn to consume; only when it does not
         * is the descriptor taken out of epoll, which costs two system calls. */
        if (!s->in) {
            fail_uv(s, "read", UV_ENOMEM);
        } else if (s->was_full) {
            uv_read_stop(uv);
            s->reading = false;
        } else {
            s->was_full = true;
        }
        return;
    }
    s->reading = false;
    if (nread != UV_EOF) {
        fail_uv(s, "read", (int)nread);
    } else if (s->tls) {
        pw_stream_tls_eof(s);
    } else {
        s->eof = true;
        pw_stream_emit(s, STREAM_EOF);
    }
}

void pw_stream_update_reading(struct stream *s)
{
    bool should = s->is_open && !s->connecting && !s->paused && !s->eof && !s->tls_raw_eof &&
                  !s->failed && !s->closing;
    if (should == s->reading || s->uv_closing)
        return;
    s->reading = should;
    s->was_full = false;
    if (!should) {
        uv_read_stop(&s->uv.stream);
        return;
    }
    int err = uv_read_start(&s->uv.stream, on_alloc, on_read);
    if (err) {
        s->reading = false;
        pw_stream_fail_later(s, pw_asprintf("read: %s", uv_strerror(err)));
    }
}

struct slice pw_stream_input(const struct stream *s)
{
    const struct chunk *c = s->in;
    return c ? pw_slice(c->data + c->start, c->end - c->start) : pw_slice("", 0);
}

/* After something was taken from the input: reading may go on. */
static void input_shrank(struct stream *s)
{
    pw_stream_input_trim(s);
    s->was_full = false;
    if (PW_UNLIKELY(!s->reading))
        pw_stream_update_reading(s);
    if (s->note_input && !s->closing)
        pw_stream_note(s);
}

void pw_stream_consume(struct stream *s, size_t len)
{
    if (len == 0)
        return;
    struct chunk *c = s->in;
    PW_CHECK(c && len <= c->end - c->start);
    c->start += (uint32_t)len;
    s->want = 0;
    input_shrank(s);
}

struct chunk *pw_stream_take_input(struct stream *s, size_t len)
{
    struct chunk *c = s->in;
    size_t rest = c->end - c->start - len;
    struct chunk *fresh = NULL;
    if (rest > 0) {
        fresh = pw_chunk_try_get(s->loop, 0);
        if (!fresh)
            return NULL;
        memcpy(fresh->data, c->data + c->start + len, rest);
        fresh->end = (uint32_t)rest;
        c->end -= (uint32_t)rest;
    }
    s->in = fresh;
    s->want = 0;
    input_shrank(s);
    return c;
}

bool pw_stream_want(struct stream *s, size_t len)
{
    struct chunk *c = s->in;
    if (len > UINT32_MAX)
        return false;
    s->want = (uint32_t)len;
    if (!c || c->cap >= len) {
        if (c && c->cap - c->start < len) {
            memmove(c->data, c->data + c->start, c->end - c->start);
            c->end -= c->start;
            c->start = 0;
        }
    } else {
        struct chunk *big = pw_chunk_try_get(s->loop, len);
        if (!big)
            return false;
        big->end = c->end - c->start;
        memcpy(big->data, c->data + c->start, big->end);
        pw_chunk_put(s->loop, c);
        s->in = big;
    }
    input_shrank(s);
    return true;
}

void pw_stream_pause(struct stream *s)
{
    s->paused = true;
    pw_stream_update_reading(s);
}

void pw_stream_resume(struct stream *s)
{
    s->paused = false;
    pw_stream_update_reading(s);
}

/* ---- birth -------------------------------------------------------------------------------- */

static void init(struct stream *s, struct net_loop *loop, bool is_pipe,
                 const struct stream_callbacks *cb)
{
    memset(s, 0, sizeof *s);
    s->loop = loop;
    s->cb = cb;
    s->is_pipe = is_pipe;
    s->is_open = true;
    PW_CHECK((is_pipe ? uv_pipe_init(loop->uv, &s->uv.pipe, 0)
                      : uv_tcp_init(loop->uv, &s->uv.tcp)) == 0);
    s->uv.handle.data = s;
}

void pw_stream_adopt(struct stream *s, struct net_loop *loop, int fd, bool is_pipe,
                     const struct stream_callbacks *cb)
{
    init(s, loop, is_pipe, cb);
    s->accepted = true;
    int err = is_pipe ? uv_pipe_open(&s->uv.pipe, fd) : uv_tcp_open(&s->uv.tcp, fd);
    /* A fresh connected socket of the right family cannot be refused by libuv. */
    PW_CHECK(err == 0);
    if (!is_pipe)
        uv_tcp_nodelay(&s->uv.tcp, 1);
    pw_stream_update_reading(s);
}

enum pw_status pw_stream_accept(struct stream *s, struct net_loop *loop, uv_stream_t *listener,
                                bool is_pipe, const struct stream_callbacks *cb)
{
    int fd = pw_listener_take(listener);
    if (fd < 0)
        return PW_IO;
    pw_stream_adopt(s, loop, fd, is_pipe, cb);
    return PW_OK;
}

static void on_connect(uv_connect_t *req, int status)
{
    struct stream *s = req->data;
    pw_free(req);
    s->connecting = false;
    if (s->closing)
        return;
    if (status < 0) {
        fail_uv(s, "connect", status);
        return;
    }
    pw_stream_update_reading(s);
    if (s->out.bytes > 0)
        pw_stream_mark_dirty(s);
    pw_stream_emit(s, STREAM_CONNECTED);
}

enum pw_status pw_stream_connect_tcp(struct stream *s, struct net_loop *loop,
                                     const struct sockaddr *addr, const struct stream_callbacks *cb)
{
    init(s, loop, false, cb);
    uv_connect_t *req = pw_alloc(sizeof *req);
    req->data = s;
    s->connecting = true;
    int err = uv_tcp_nodelay(&s->uv.tcp, 1);
    if (!err)
        err = uv_tcp_connect(req, &s->uv.tcp, addr, on_connect);
    if (err) {
        pw_free(req);
        s->connecting = false;
        pw_stream_fail_later(s, pw_asprintf("connect: %s", uv_strerror(err)));
    }
    return PW_OK;
}

enum pw_status pw_stream_connect_unix(struct stream *s, struct net_loop *loop, const char *path,
                                      const struct stream_callbacks *cb)
{
    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return PW_CONFIG; /* libuv would cut it off and connect elsewhere */
    init(s, loop, true, cb);
    uv_connect_t *req = pw_alloc(sizeof *req);
    req->data = s;
    s->connecting = true;
    uv_pipe_connect(req, &s->uv.pipe, path, on_connect);
    return PW_OK;
}

/* ---- death -------------------------------------------------------------------------------- */

static void on_uv_closed(uv_handle_t *handle)
{
    struct stream *s = handle->data;
    /* Only now: libuv has answered every pending write (ECANCELED) and reads no buffer of ours. */
    s->write_pending = false;
    pw_stream_drop_output(s);
    pw_stream_tls_free(s);
    PW_FREE(s->error);
    s->is_open = false;
    s->loop->again = true; /* the closing phase comes after this turn's steps */
    s->cb->on_closed(s);
}

void pw_stream_close_now(struct stream *s)
{
    if (s->uv_closing)
        return;
    s->closing = true;
    pw_stream_update_reading(s);
    s->uv_closing = true;
    if (pw_list_linked(&s->dirty_link))
        pw_list_remove(&s->loop->dirty, &s->dirty_link);
    if (pw_list_linked(&s->notify_link))
        pw_list_remove(&s->loop->notify, &s->notify_link);
    if (s->in) {
        pw_chunk_put(s->loop, s->in);
        s->in = NULL;
    }
    uv_close(&s->uv.handle, on_uv_closed);
}

void pw_stream_close(struct stream *s, bool flush)
{
    if (!s->is_open || s->uv_closing || (s->closing && flush))
        return;
    if (flush && !s->failed && !s->connecting && !s->tls_waiting) {
        s->closing = true;
        pw_stream_update_reading(s);
        if (s->tls)
            pw_stream_tls_shutdown(s);
        if (s->out.bytes > 0 || s->wire.bytes > 0) {
            pw_stream_flush(s); /* closes when everything is out, or when it fails */
            return;
        }
    }
    pw_stream_close_now(s);
}

int pw_stream_dup(const struct stream *s)
{
    uv_os_fd_t fd;
    return uv_fileno(&s->uv.handle, &fd) == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
}

const char *pw_stream_error_text(const struct stream *s)
{
    return s->error ? s->error : "";
}
