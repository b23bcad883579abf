/* See refusal.h. Owns nothing. */
#include "proxy/session/refusal.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/session/session_priv.h"
#include "proxy/wire/back.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"

enum leg { LEG_CLIENT, LEG_SERVER };

static const struct {
    const char *name;
    enum leg leg;
    enum pw_status status;
    const char *next;
} refusals[] = {
#define REFUSAL(name, leg, status, next) {#name, LEG_##leg, PW_##status, next},
#include "proxy/session/refusals.def"
#undef REFUSAL
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Who it was and on which leg, as the error's DETAIL. */
static void print_detail(const struct session *s, enum refusal kind, char *out, size_t size)
{
    char host[64], whom[300] = "";
    int port;
    pw_stream_peer(&s->stream, host, sizeof host, &port);
    if (s->user)
        snprintf(whom, sizeof whom, " for user \"%s\", database \"%s\"", s->user,
                 or_empty(s->database));
    if (refusals[kind].leg == LEG_CLIENT)
        snprintf(out, size, "pgweir refused the connection from client to pgweir (%s, %s)%s.",
                 s->stream.is_pipe ? "local socket" : host,
                 pw_stream_is_tls(&s->stream) ? "TLS" : "no encryption", whom);
    else
        snprintf(out, size, "%s on the connection from pgweir to the server%s.",
                 s->login && s->login->relay_asked ? "The client's login was passed on and failed"
                                                   : "The client's part is done; pgweir's failed",
                 whom);
}

static void log_refusal(const struct session *s, enum refusal kind, const char *text,
                        const char *why, const char *next)
{
    char host[64];
    int port;
    pw_stream_peer(&s->stream, host, sizeof host, &port);
    pw_log_warn("client=%llu database=%s user=%s event=login_refused leg=%s kind=%s address=%s:%d "
                "tls=%s text=\"%s\"%s%s%s "
                "next=\"%s\"",
                (unsigned long long)s->id, or_empty(s->database), or_empty(s->user),
                refusals[kind].leg == LEG_CLIENT ? "client_to_pgweir" : "pgweir_to_server",
                refusals[kind].name, host, port, pw_stream_is_tls(&s->stream) ? "on" : "off", text,
                why ? " reason=\"" : "", or_empty(why), why ? "\"" : "", next);
}

void pw_refuse(struct session *s, enum refusal kind, const char *text, const char *why)
{
    if (s->state == SESSION_CLOSING)
        return;
    char detail[600];
    struct buf out;
    pw_buf_init(&out, 1 << 14);
    print_detail(s, kind, detail, sizeof detail);
    enum pw_status status = refusals[kind].status;
    const char *next = refusals[kind].next;
    if (!next)
        next = pw_login_next_step((struct slice){0}, text);
    const struct error_fields fields = {.severity = "FATAL",
                                        .sqlstate = pw_status_sqlstate(status),
                                        .message = text ? text : pw_status_text(status),
                                        .detail = detail,
                                        .hint = next};
    log_refusal(s, kind, fields.message, why, next);
    /* Who began with a handshake cannot read our words in clear. */
    bool is_deaf = kind == REFUSED_TLS_OFF || kind == REFUSED_TLS_HANDSHAKE;
    if (!is_deaf && pw_emit_error(&out, &fields))
        pw_stream_write(&s->stream, out.data, out.len);
    pw_buf_free(&out);
    pw_session_count_failure(s, status);
    pw_session_close(s, true);
}

/* Is it about the login, or does the server only dislike a setting that the client sent at
 * start-up? */
static bool is_about_login(struct slice error)
{
    static const char *const classes[] = {"08", "28", "3D", "42501", "53", "55", "57", "58", "XX"};
    struct slice state = pw_errfields_sqlstate(error);
    for (size_t i = 0; i < PW_COUNT_OF(classes); i++)
        if (!strncmp(state.ptr, classes[i], strlen(classes[i])))
            return true;
    return false;
}

void pw_refuse_as_server(struct session *s, struct slice error, const char *text)
{
    if (s->state == SESSION_CLOSING)
        return;
    char detail[600];
    struct slice message = {0};
    struct buf out, copy;
    pw_buf_init(&out, 1 << 17);
    pw_buf_init(&copy, 1 << 17);
    const char *next = pw_login_next_step(error, text);
    print_detail(s, REFUSED_SERVER_LOGIN, detail, sizeof detail);
    pw_errfields_find(error, 'M', &message);
    pw_buf_append(&copy, message.ptr, message.len);
    pw_buf_append_u8(&copy, 0);
    log_refusal(s, REFUSED_SERVER_LOGIN, copy.failed ? "" : copy.data, text, next);
    if (is_about_login(error)
            ? pw_errfields_annotate(&out, error, "FATAL", detail, next)
            : pw_errfields_rewrite(&out, BACK_ERROR_RESPONSE, error, "FATAL", NULL))
        pw_stream_write(&s->stream, out.data, out.len);
    pw_buf_free(&copy);
    pw_buf_free(&out);
    pw_session_close(s, true);
}

void pw_refuse_late(struct session *s)
{
    const struct login *l = s->login;
    bool server = s->state == SESSION_WELCOME ||
                  (l && (l->secret_pending || (l->relaying && !l->client_turn)));
    char text[200];
    snprintf(text, sizeof text, "the login took longer than auth.login_timeout (%.3g s): %s",
             (double)s->env->dispatch->conf->auth.login_timeout_us / 1e6,
             server ? "no server connection was there for it in time (see SHOW POOLS)"
                    : "the client did not answer in time");
    pw_refuse(s, server ? REFUSED_SERVER_TIMEOUT : REFUSED_CLIENT_TIMEOUT, text, NULL);
}
