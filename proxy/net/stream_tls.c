/*
 * TLS between a stream's queues: raw bytes -> plaintext input, plaintext output -> records. Owns
 * the stream's tls_conn. Thread: the loop's. Plaintext is made only while the input has room; the
 * rest stays encrypted (at most one read of PW_SCRATCH_BYTES and one record) until the owner
 * consumes.
 */
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/net/stream_priv.h"
#include "proxy/net/tls.h"
#include "proxy/net/tls_conn.h"

enum { RECORD_MAX = 16384, WIRE_ENOUGH = PW_STREAM_HIGH_WATER };

static char *tls_error(const struct stream *s)
{
    return pw_asprintf("TLS: %s", pw_tls_conn_error(s->tls));
}

/* From libuv callbacks: the first error is told at once. */
static void fail_now(struct stream *s, char *text)
{
    bool first = !s->failed;
    pw_stream_set_error(s, text);
    if (first)
        pw_stream_emit(s, STREAM_ERROR);
}

/* Moves finished records to the wire queue. False: no memory. */
static bool take_records(struct stream *s)
{
    for (;;) {
        struct chunk *c = pw_queue_open_tail(&s->wire, 1);
        bool fresh = !c;
        if (fresh && !(c = pw_chunk_try_get(s->loop, 0)))
            return false;
        size_t len = pw_tls_conn_take(s->tls, c->data + c->end, c->cap - c->end);
        if (len == 0) {
            if (fresh)
                pw_chunk_put(s->loop, c);
            return true;
        }
        if (fresh) {
            c->end = (uint32_t)len;
            pw_queue_append_chunk(&s->wire, c);
        } else {
            pw_queue_extend(&s->wire, c, len);
        }
        s->out_bytes = s->out.bytes + s->wire.bytes;
    }
}

static bool flush_records(struct stream *s)
{
    if (!take_records(s)) {
        fail_now(s, pw_strdup("TLS: out of memory"));
        return false;
    }
    if (s->wire.bytes > 0)
        pw_stream_flush(s);
    return !s->failed;
}

/* One step of the handshake, after more bytes came or at its start. */
static void handshake(struct stream *s)
{
    enum tls_step step = pw_tls_conn_handshake(s->tls);
    if (step == TLS_ERROR) {
        char *text = tls_error(s);
        /* The alert that says why is worth a try; the stream fails either way. */
        if (take_records(s) && s->wire.bytes > 0)
            pw_stream_flush(s);
        fail_now(s, text);
        return;
    }
    if (step == TLS_DONE && s->tls_direct && !pw_tls_conn_has_alpn(s->tls)) {
        fail_now(s, pw_strdup("TLS: direct negotiation without ALPN \"postgresql\""));
        return;
    }
    if (step == TLS_DONE)
        s->tls_waiting = false;
    if (!flush_records(s) || step != TLS_DONE)
        return;
    if (s->out.bytes > 0)
        pw_stream_mark_dirty(s);
    pw_stream_emit(s, STREAM_TLS_UP);
}

/* Moves plaintext to the input while there is room. */
static void decrypt(struct stream *s)
{
    bool any = false;
    enum tls_step step = TLS_DONE;
    char *at;
    size_t room, len;
    while (step == TLS_DONE && (room = pw_stream_input_room(s, &at)) > 0) {
        step = pw_tls_conn_read(s->tls, at, room, &len);
        if (step == TLS_DONE) {
            pw_stream_input_added(s, len);
            any = true;
        }
    }
    if (!s->in) {
        fail_now(s, pw_strdup("TLS: out of memory"));
        return;
    }
    pw_stream_input_trim(s);
    /* Full before it was empty: the rest comes when the owner has consumed. */
    s->note_input = step == TLS_DONE;
    if (any)
        pw_stream_emit(s, STREAM_READABLE);
    if (s->closing || s->failed)
        return;
    if (step == TLS_ERROR) {
        fail_now(s, tls_error(s));
    } else if ((step == TLS_EOF || (step == TLS_MORE && s->tls_raw_eof)) && !s->eof) {
        s->eof = true;
        pw_stream_update_reading(s);
        pw_stream_emit(s, STREAM_EOF);
    } else {
        flush_records(s); /* a key update asks for an answer */
    }
}

void pw_stream_tls_continue(struct stream *s)
{
    if (s->tls_waiting)
        handshake(s);
    if (!s->tls_waiting && !s->failed && !s->closing)
        decrypt(s);
}

void pw_stream_tls_read(struct stream *s, const char *raw, size_t len)
{
    if (!pw_tls_conn_feed(s->tls, raw, len)) {
        fail_now(s, pw_strdup("TLS: out of memory"));
        return;
    }
    pw_stream_tls_continue(s);
}

void pw_stream_tls_eof(struct stream *s)
{
    s->tls_raw_eof = true;
    if (s->tls_waiting)
        fail_now(s, pw_strdup("TLS: the peer closed the connection during the handshake"));
    else
        decrypt(s);
}

bool pw_stream_tls_encrypt(struct stream *s)
{
    while (!s->tls_waiting && s->out.bytes > 0 && s->wire.bytes < WIRE_ENOUGH) {
        size_t len = 0;
        const char *from = pw_queue_front(&s->out, &len);
        if (len > RECORD_MAX)
            len = RECORD_MAX;
        if (pw_tls_conn_write(s->tls, from, len) != TLS_DONE) {
            pw_stream_write_failed(s, tls_error(s));
            return false;
        }
        pw_queue_drop(s->loop, &s->out, len);
        if (!take_records(s)) {
            pw_stream_write_failed(s, pw_strdup("TLS: out of memory"));
            return false;
        }
    }
    return true;
}

void pw_stream_tls_shutdown(struct stream *s)
{
    if (pw_stream_tls_encrypt(s) && s->out.bytes == 0) {
        pw_tls_conn_shutdown(s->tls);
        (void)take_records(s); /* a courtesy; without memory the FIN has to do */
    }
}

void pw_stream_tls_free(struct stream *s)
{
    pw_tls_conn_free(s->tls);
    s->tls = NULL;
}

static enum pw_status start(struct stream *s, struct tls_context *ctx, const char *host)
{
    if (!s->is_open || s->closing || s->failed || s->tls || s->connecting)
        return PW_TLS_FAILED;
    s->tls = pw_tls_conn_try_new(ctx, host);
    if (!s->tls)
        return PW_TLS_FAILED;
    s->tls_waiting = true;
    /* What was written before (the "S" that agrees to TLS) leaves first and in the clear. */
    s->wire = s->out;
    s->out = (struct out_queue){NULL, NULL, 0};
    return PW_OK;
}

enum pw_status pw_stream_start_tls_server(struct stream *s, struct tls_context *ctx)
{
    return pw_stream_input(s).len > 0 ? PW_TLS_INJECTED : start(s, ctx, NULL);
}

enum pw_status pw_stream_start_tls_direct(struct stream *s, struct tls_context *ctx)
{
    enum pw_status status = start(s, ctx, NULL);
    if (status != PW_OK)
        return status;
    struct slice raw = pw_stream_input(s);
    if (!pw_tls_conn_feed(s->tls, raw.ptr, raw.len))
        return PW_NO_MEMORY;
    s->tls_direct = s->note_input = true;
    pw_stream_consume(s, raw.len);
    pw_stream_note(s);
    return PW_OK;
}

enum pw_status pw_stream_start_tls_client(struct stream *s, struct tls_context *ctx,
                                          const char *host)
{
    enum pw_status status = pw_stream_input(s).len > 0 ? PW_TLS_INJECTED : start(s, ctx, host);
    if (status != PW_OK)
        return status;
    if (pw_tls_conn_handshake(s->tls) == TLS_ERROR)
        pw_stream_fail_later(s, tls_error(s));
    else if (!take_records(s))
        pw_stream_fail_later(s, pw_strdup("TLS: out of memory"));
    else
        pw_stream_mark_dirty(s);
    return PW_OK;
}

bool pw_stream_is_tls(const struct stream *s)
{
    return s->tls != NULL;
}

const char *pw_stream_peer_cn(const struct stream *s)
{
    return s->tls ? pw_tls_conn_peer_cn(s->tls) : NULL;
}

size_t pw_stream_tls_binding(const struct stream *s, uint8_t *out, size_t max)
{
    return s->tls ? pw_tls_conn_binding(s->tls, out, max) : 0;
}
