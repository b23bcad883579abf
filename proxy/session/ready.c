/* Requests: frames the client's messages and makes tickets of them, one request at a time. */
#include <stdio.h>
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/session/session_priv.h"
#include "proxy/wire/front.h"

enum {
    HOLD_MAX = 1 << 20,   /* longer messages are streamed to the server instead of held */
    PARSE_MAX = 32 << 20, /* except Parse: its text is needed again */
};

static enum step protocol_error(struct session *s, const char *text)
{
    pw_session_fail(s, PW_PROTOCOL, text);
    return STEP_CLOSED;
}

static void pause_for(struct session *s, bool pause)
{
    if (pause == s->paused)
        return;
    s->paused = pause;
    if (pause)
        pw_stream_pause(&s->stream);
    else
        pw_stream_resume(&s->stream);
}

/* ---- streaming: the rest of a long message, as fast as the server takes it */

static enum step stream_rest(struct session *s)
{
    if (pw_dispatch_is_congested(&s->client)) {
        pause_for(s, true);
        return STEP_WAIT;
    }
    pause_for(s, false);
    size_t here = pw_stream_input(&s->stream).len;
    size_t n = here < s->stream_left ? here : (size_t)s->stream_left;
    if (n) {
        s->stream_left -= n;
        pw_dispatch_forward(&s->client, &s->stream, n);
    }
    return s->stream_left ? STEP_WAIT : STEP_AGAIN;
}

static enum step begin_stream(struct session *s, const struct frame *f, struct slice in)
{
    struct client *c = &s->client;
    if (in.len < 8192) { /* the names at the front must be here */
        if (!pw_stream_want(&s->stream, 8192))
            pw_session_fail(s, PW_NO_MEMORY, NULL);
        return STEP_WAIT;
    }
    if (!pw_client_is_attached(
            c)) { /* a server first: an open ticket without messages waits for it */
        if (!s->waiting_server) {
            s->waiting_server = true;
            pw_client_open(c);
            pw_dispatch_submit(c);
        }
        return pw_client_is_attached(c) ? STEP_AGAIN : STEP_WAIT;
    }
    size_t used = 0;
    if (pw_client_add_streamed(c, f->type, in, f->len, &used) != ADD_OK)
        return protocol_error(s, "a long message is malformed");
    pw_stream_consume(&s->stream, used);
    s->stream_left = f->len - used;
    return STEP_AGAIN;
}

/* ---- COPY FROM STDIN */

static enum step copy_in(struct session *s, const struct frame *f, struct slice in)
{
    if (pw_dispatch_is_congested(&s->client)) {
        pause_for(s, true);
        return STEP_WAIT;
    }
    pause_for(s, false);
    if (f->type == FRONT_COPY_DONE || f->type == FRONT_COPY_FAIL) {
        if (!pw_frame_complete(in, f)) {
            if (!pw_stream_want(&s->stream, f->len))
                pw_session_fail(s, PW_NO_MEMORY, NULL);
            return STEP_WAIT;
        }
        s->copy_done = true;
    }
    s->stream_left = f->len;
    return STEP_AGAIN;
}

static bool is_copy_message(uint8_t type)
{
    return type == FRONT_COPY_DATA || type == FRONT_COPY_DONE || type == FRONT_COPY_FAIL;
}

/* ---- requests */

static enum add_result add(struct client *c, uint8_t type, struct slice message)
{
    switch (type) {
    case FRONT_QUERY:
    case FRONT_FUNCTION_CALL:
        return pw_client_add_query(c, message);
    case FRONT_PARSE:
        return pw_client_add_parse(c, message);
    case FRONT_BIND:
        return pw_client_add_bind(c, message);
    default:
        return pw_client_add_other(c, type, message);
    }
}

static enum step take(struct session *s, uint8_t type, struct slice message)
{
    struct client *c = &s->client;
    switch (add(c, type, message)) {
    case ADD_WAIT:
        s->waiting_plan = true;
        return STEP_WAIT;
    case ADD_TOO_LONG:
        return protocol_error(s, "the request is too long");
    case ADD_PROTOCOL:
        return protocol_error(s, "invalid message format");
    case ADD_OK:
        break;
    }
    pw_stream_consume(&s->stream, message.len);
    bool open_on_server = c->ticket->server != NULL;
    if (c->ticket->has_sync || type == FRONT_FLUSH || open_on_server)
        pw_dispatch_submit(c);
    if (s->state != SESSION_READY)
        return STEP_CLOSED;
    if (c->ticket && !c->ticket->has_sync)
        pw_session_arm_idle(s); /* an open request: the rest of it is awaited */
    return STEP_AGAIN;
}

/* The server discards what follows an error up to Sync; so nothing of it is looked at. */
static bool is_discarded(const struct ticket *t, uint8_t type)
{
    return t && t->failed && !t->is_simple && !t->has_sync && type != FRONT_SYNC;
}

static enum step on_eof(struct session *s)
{
    pw_session_close(s, !s->lost); /* what it is owed still goes out */
    return STEP_CLOSED;
}

/* Is there a request under way whose answer has to come first? */
static bool is_busy(const struct session *s)
{
    const struct ticket *t = s->client.ticket;
    if (s->waiting_plan || s->waiting_server)
        return true;
    if (!t)
        return false;
    if (t->in_copy_in && !s->copy_done)
        return false;
    return t->has_sync;
}

static enum step read_message(struct session *s)
{
    struct client *c = &s->client;
    struct slice in = pw_stream_input(&s->stream);
    struct frame f;
    enum frame_result r = pw_frame_peek_front(in, &f);
    if (r == FRAME_MORE)
        return s->eof ? on_eof(s) : STEP_WAIT;
    if (r == FRAME_BAD) {
        char text[80];
        snprintf(text, sizeof text, "invalid frontend message type %d or length",
                 (unsigned char)in.ptr[0]);
        return protocol_error(s, text);
    }
    struct ticket *t = c->ticket;
    if (f.type == FRONT_TERMINATE) {
        pw_session_close(s, true); /* answers to what came before it still go out */
        return STEP_CLOSED;
    }
    if (t && t->in_copy_in && !s->copy_done)
        return copy_in(s, &f, in);
    bool ignored = is_copy_message(f.type) || is_discarded(t, f.type);
    if (ignored &&
        f.len > in.len) { /* late COPY data, or after an error: as PostgreSQL, not looked at */
        s->discard_left = f.len;
        return STEP_AGAIN;
    }
    if (ignored) {
        pw_stream_consume(&s->stream, f.len);
        return STEP_AGAIN;
    }
    if (f.len > (f.type == FRONT_PARSE ? PARSE_MAX : HOLD_MAX))
        return begin_stream(s, &f, in);
    if (!pw_frame_complete(in, &f)) {
        if (s->eof)
            return on_eof(s);
        if (!pw_stream_want(&s->stream, f.len))
            pw_session_fail(s, PW_NO_MEMORY, NULL);
        return STEP_WAIT;
    }
    return take(s, f.type, pw_slice(in.ptr, f.len));
}

static enum step discard_rest(struct session *s)
{
    size_t here = pw_stream_input(&s->stream).len;
    size_t n = here < s->discard_left ? here : (size_t)s->discard_left;
    pw_stream_consume(&s->stream, n);
    s->discard_left -= n;
    return s->discard_left ? STEP_WAIT : STEP_AGAIN;
}

/* A client that has finished writing still gets its answers, as from PostgreSQL. */
enum step pw_ready_step(struct session *s)
{
    if (s->lost)
        return on_eof(s);
    bool starved = s->eof && pw_stream_input(&s->stream).len == 0;
    if (starved &&
        (s->stream_left || s->discard_left || (s->client.ticket && !s->client.ticket->has_sync)))
        return on_eof(s); /* the rest of the request will never come */
    if (s->stream_left)
        return stream_rest(s);
    if (s->discard_left)
        return discard_rest(s);
    if (is_busy(s))
        return STEP_WAIT;
    if (s->draining && !s->client.ticket && s->client.txn == 'I') {
        pw_session_fail(s, PW_SHUTTING_DOWN, NULL);
        return STEP_CLOSED;
    }
    return read_message(s);
}
