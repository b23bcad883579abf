/*
 * A replication connection: a server connection that is one client's own, because the walsender
 * behind it speaks a protocol of its own (COPY BOTH) and keeps what it is doing in the connection.
 * Nothing is looked into: whole messages are passed on as they come, in either direction, and the
 * server connection ends with its client.
 */
#include <string.h>
#include <strings.h>

#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/dispatch/login.h"
#include "proxy/pool/welcome.h"
#include "proxy/wire/back.h"
#include "proxy/wire/errfields.h"
#include "proxy/wire/front.h"

enum { RUNS_PER_TURN = 1024 };

void pw_dedicated_take(struct client *c, struct server *s)
{
    pw_server_enter(s, SERVER_ACTIVE);
    s->holder = c;
    c->server = s;
}

/* SQL may be said there too, and is not looked into. What only replicates never ends, and writes
 * nothing. */
static bool only_replicates(uint8_t type, struct slice text)
{
    static const char *const commands[] = {"START_REPLICATION", "IDENTIFY_SYSTEM",
                                           "CREATE_REPLICATION_SLOT", "BASE_BACKUP"};
    if (type == FRONT_COPY_DATA || type == FRONT_COPY_DONE || type == FRONT_COPY_FAIL)
        return true;
    for (size_t i = 0; type == FRONT_QUERY && i < PW_COUNT_OF(commands); i++) {
        size_t n = strlen(commands[i]);
        if (text.len > n && strncasecmp(text.ptr, commands[i], n) == 0)
            return true;
    }
    return false;
}

void pw_dedicated_said(struct client *c, uint8_t type, struct slice text)
{
    if (c->pool && !c->txn_wrote_all && !only_replicates(type, text))
        pw_effects_anything(c->dispatch, c);
}

bool pw_dedicated_is_open(const struct client *c)
{
    return c->server && c->server->dedicated;
}

bool pw_dedicated_is_midway(const struct client *c)
{
    return pw_dedicated_is_open(c) && c->server->body_left > 0;
}

bool pw_dedicated_welcome(struct client *c, struct buf *out)
{
    pw_client_pin(c, PIN_COPY_BOTH);
    return pw_welcome_emit(&c->server->params, c->app_name, out);
}

static void forward(struct server *s, struct client *c, size_t n)
{
    pw_stat_add(&s->pool->stats->received, n);
    pw_stream_forward(&s->stream, n, c->stream);
}

/* The server's farewell is the client's too: nothing is added to it. */
static void note_farewell(struct server *s, struct slice in, const struct frame *f)
{
    if (f->type == BACK_ERROR_RESPONSE && pw_frame_complete(in, f) &&
        pw_errfields_is_fatal(pw_frame_body(in, f)))
        s->broken = true;
}

/* False: nothing more to do now. */
static bool pass_some(struct server *s, struct client *c)
{
    struct slice in = pw_stream_input(&s->stream);
    struct frame f;
    if (s->body_left == 0) {
        enum frame_result r = pw_frame_peek_back(in, &f);
        if (r == FRAME_BAD)
            pw_server_close(s, "the server broke the protocol");
        if (r != FRAME_OK)
            return false;
        note_farewell(s, in, &f);
        if (f.type == BACK_READY_FOR_QUERY && pw_frame_complete(in, &f) &&
            pw_frame_body(in, &f).ptr[0] == 'I' && c->pool)
            pw_effects_abort(c->dispatch, c); /* before its client hears of it */
        s->body_left = f.len;
    }
    size_t n = in.len < s->body_left ? in.len : (size_t)s->body_left;
    s->body_left -= n;
    if (n)
        forward(s, c, n);
    return n > 0;
}

void pw_dedicated_on_input(struct server *s)
{
    struct client *c = s->holder;
    if (!c) {
        pw_server_close(s, "its client is gone");
        return;
    }
    for (int i = 0; i < RUNS_PER_TURN; i++) {
        if (pw_stream_is_congested(
                c->stream)) { /* the rest stays with the kernel: see pw_dispatch_client_drained */
            if (!s->paused)
                pw_stream_pause(&s->stream);
            s->paused = true;
            return;
        }
        if (!pass_some(s, c))
            break;
        if (i + 1 == RUNS_PER_TURN) {
            pw_server_mark(s);
            return;
        }
    }
    if (s->state == SERVER_ACTIVE && s->eof) {
        s->broken |=
            s->body_left > 0; /* a message of ours in the middle of one would help nobody */
        pw_server_close(s, "server closed the connection unexpectedly");
    }
}
