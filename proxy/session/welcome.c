/* After authentication: what the server reports with this session's settings, the cancel key,
 * ReadyForQuery. */
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/session/session_priv.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"

static void say_welcome(struct session *s)
{
    struct buf out;
    pw_buf_init(&out, 1 << 16);
    pw_login_welcome(&s->client, &out);
    pw_emit_backend_key(&out, s->cancel_pid, pw_slice((const char *)s->cancel_key, 4));
    pw_emit_ready(&out, 'I');
    if (!out.failed)
        pw_stream_write(&s->stream, out.data, out.len);
    pw_buf_free(&out);
    pw_login_end(s);
    pw_session_enter(s, SESSION_READY);
    pw_session_arm_idle(s);
    pw_stream_keepalive(&s->stream, 60, 15, 4);
    pw_log_debug("client=%llu database=%s user=%s event=login", (unsigned long long)s->id,
                 s->database, s->user);
}

void pw_welcome_begin(struct session *s)
{
    struct login *l = s->login;
    struct settings *settings = l->settings;
    l->settings = NULL;
    memcpy(s->client.app_name, l->app_name, sizeof s->client.app_name);
    memcpy(s->client.login_app_name, l->app_name, sizeof s->client.login_app_name);
    pw_client_attach(&s->client, l->pool, settings);
    if (settings->welcome_known)
        say_welcome(s);
    else
        pw_dispatch_probe(&s->client);
}

void pw_welcome_on_probe(struct session *s, bool ok, struct slice error)
{
    if (s->state != SESSION_WELCOME)
        return;
    if (ok) {
        say_welcome(s);
        pw_session_mark(s);
        return;
    }
    /* The server's refusal of a setting, or our own text when no server could be reached. */
    struct slice code;
    if (pw_errfields_find(error, 'C', &code))
        pw_refuse_as_server(s, error, NULL);
    else
        pw_refuse(s, REFUSED_SERVER_CONNECT, error.len ? error.ptr : NULL, NULL);
}

enum step pw_welcome_run(struct session *s)
{
    if (!s->eof)
        return STEP_WAIT;
    pw_session_close(s, false);
    return STEP_CLOSED;
}
