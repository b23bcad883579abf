/*
 * Replication connections (pool_mode session): after its login the client gets a server connection
 * of its own, opened with the client's own startup parameters, and from then on messages go through
 * as they are, both ways.
 */
#include "proxy/base/log.h"
#include "proxy/session/session_priv.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/front.h"

static void say_welcome(struct session *s)
{
    struct buf out;
    pw_buf_init(&out, 1 << 16);
    pw_dedicated_welcome(&s->client, &out);
    pw_emit_backend_key(&out, s->cancel_pid, pw_slice((const char *)s->cancel_key, 4));
    pw_emit_ready(&out, 'I');
    if (!out.failed)
        pw_stream_write(&s->stream, out.data, out.len);
    pw_buf_free(&out);
    pw_login_end(s);
    pw_session_enter(s, SESSION_RELAY);
    pw_session_arm(s, 0);
    pw_stream_keepalive(&s->stream, 60, 15, 4);
    pw_log_info("client=%llu database=%s user=%s event=replication_login",
                (unsigned long long)s->id, s->database, s->user);
    pw_session_mark(s);
}

void pw_replication_begin(struct session *s)
{
    struct login *l = s->login;
    struct client *c = &s->client;
    if (!c->pool) {
        memcpy(c->app_name, l->app_name, sizeof c->app_name);
        pw_client_attach(c, l->pool, pw_settings_ref(l->pool->settings.empty));
    }
    if (pw_dedicated_is_open(c)) { /* the client's login was relayed: that connection is it */
        say_welcome(s);
        return;
    }
    const struct server_launch how = {.dedicated = l->dedicated,
                                      .params = pw_buf_slice(&l->server_params)};
    pw_login_relay_start(c, l->pool, &how);
}

void pw_replication_on_connected(struct session *s, bool ok, const char *text, struct slice error)
{
    if (ok)
        say_welcome(s);
    else if (error.len)
        pw_refuse_as_server(s, error, text);
    else
        pw_refuse(s, REFUSED_SERVER_CONNECT, text, NULL);
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

static enum step end(struct session *s)
{
    pw_session_close(s, !s->lost);
    return STEP_CLOSED;
}

enum step pw_relay_run(struct session *s)
{
    struct slice in = pw_stream_input(&s->stream);
    struct frame f;
    if (s->lost)
        return end(s);
    bool congested = pw_dispatch_is_congested(&s->client);
    pause_for(s, congested);
    if (congested)
        return STEP_WAIT; /* the server's stream says when it has room */
    if (s->stream_left == 0) {
        enum frame_result r = pw_frame_peek_front(in, &f);
        if (r == FRAME_BAD) {
            pw_session_fail(s, PW_PROTOCOL, "invalid frontend message type or length");
            return STEP_CLOSED;
        }
        if (r == FRAME_MORE)
            return s->eof ? end(s) : STEP_WAIT;
        if (f.type == FRONT_TERMINATE)
            return end(s); /* the server is told when its connection closes */
        pw_dedicated_said(&s->client, f.type,
                          pw_slice(in.ptr + FRAME_HEADER, in.len - FRAME_HEADER));
        s->stream_left = f.len;
    }
    size_t n = in.len < s->stream_left ? in.len : (size_t)s->stream_left;
    if (n == 0)
        return s->eof ? end(s) : STEP_WAIT;
    s->stream_left -= n;
    pw_dispatch_forward(&s->client, &s->stream, n);
    return STEP_AGAIN;
}
