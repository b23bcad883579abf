/* The first packet: TLS requests, cancels, and the StartupMessage with its parameters. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/base/alloc.h"
#include "proxy/session/session_priv.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/startup.h"

enum {
    TLS_RECORD_HANDSHAKE = 0x16
}; /* no start-up packet is so long that its first byte is this */

/* On a Unix socket there is none, as in PostgreSQL. */
static struct tls_context *client_tls(struct session *s)
{
    return s->stream.is_pipe ? NULL : s->env->client_tls(s->env->arg);
}

/* PostgreSQL 17's sslnegotiation=direct: the client begins with the handshake itself. */
static enum step start_direct_tls(struct session *s)
{
    struct tls_context *tls = client_tls(s);
    if (!tls) {
        pw_refuse(s, REFUSED_TLS_OFF, "TLS from the first byte, but TLS is off here", NULL);
        return STEP_CLOSED;
    }
    pw_session_enter(s, SESSION_TLS);
    s->login->tls_done = true;
    if (pw_stream_start_tls_direct(&s->stream, tls) == PW_OK)
        return STEP_WAIT;
    pw_refuse(s, REFUSED_TLS_HANDSHAKE, NULL, pw_stream_error_text(&s->stream));
    return STEP_CLOSED;
}

static enum step answer_tls(struct session *s, uint32_t len)
{
    struct tls_context *tls = client_tls(s);
    if (s->login->tls_done) {
        pw_refuse(s, REFUSED_PACKET, "a second TLS request", NULL);
        return STEP_CLOSED;
    }
    pw_stream_consume(&s->stream, len);
    if (pw_stream_input(&s->stream)
            .len) { /* CVE-2021-3935: bytes sent before our answer is known */
        pw_refuse(s, REFUSED_TLS_INJECTED, NULL, NULL);
        return STEP_CLOSED;
    }
    pw_stream_write(&s->stream, tls ? "S" : "N", 1);
    if (!tls)
        return STEP_AGAIN;
    pw_session_enter(s, SESSION_TLS);
    s->login->tls_done = true;
    if (pw_stream_start_tls_server(&s->stream, tls) == PW_OK)
        return STEP_WAIT;
    pw_refuse(s, REFUSED_TLS_HANDSHAKE, NULL, pw_stream_error_text(&s->stream));
    return STEP_CLOSED;
}

enum step pw_tls_run(struct session *s)
{
    if (s->eof) {
        pw_refuse(s, REFUSED_TLS_HANDSHAKE, NULL, pw_stream_error_text(&s->stream));
        return STEP_CLOSED;
    }
    if (!s->login->tls_up)
        return STEP_WAIT;
    pw_session_enter(s, SESSION_STARTUP);
    return STEP_AGAIN;
}

/* ---- parameters become settings */

static bool add_setting(struct session *s, struct slice name, struct slice value)
{
    char lower[256];
    if (name.len == 0 || name.len >= sizeof lower)
        return false;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = (char)tolower((unsigned char)name.ptr[i]);
    lower[name.len] = '\0';
    if (!strcmp(lower, "application_name")) {
        snprintf(s->login->app_name, sizeof s->login->app_name, "%.*s", (int)value.len, value.ptr);
        return true;
    }
    char *text = pw_strndup(value.ptr, value.len);
    struct settings *with = pw_settings_with(s->login->settings, lower, text);
    pw_free(text);
    if (!with)
        return false;
    pw_settings_unref(s->login->settings);
    s->login->settings = with;
    return true;
}

static bool add_options(struct session *s, struct slice options)
{
    struct buf scratch;
    pw_buf_init(&scratch, 1 << 16);
    struct options_iter it = {options, &scratch};
    struct name_value nv;
    enum options_result r;
    bool ok = true;
    while (ok && (r = pw_startup_options_next(&it, &nv)) != OPTIONS_END)
        ok = r == OPTIONS_PAIR && add_setting(s, nv.name, nv.value);
    pw_buf_free(&scratch);
    return ok;
}

static bool add_server_param(struct session *s, struct slice name, struct slice value)
{
    struct buf *out = &s->login->server_params;
    return pw_buf_append(out, name.ptr, name.len) && pw_buf_append_u8(out, 0) &&
           pw_buf_append(out, value.ptr, value.len) && pw_buf_append_u8(out, 0);
}

/* As PostgreSQL (parse_bool): true, on, yes, 1 and their beginnings; "database" is a logical one.
 */
static bool asks_for_replication(const struct startup *st)
{
    struct slice value;
    if (!pw_startup_find(st, "replication", &value) || value.len == 0)
        return false;
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (value.len <= strlen(no[i]) && strncasecmp(no[i], value.ptr, value.len) == 0 &&
            !pw_slice_is(value, "o"))
            return false;
    return true;
}

/* What the client said goes to its own server connection as it is; a bad value is the server's to
 * refuse. */
static bool collect_server_params(struct session *s, const struct startup *st)
{
    struct slice rest = st->params;
    struct name_value nv;
    bool ok = true;
    struct slice kind = {0};
    pw_startup_find(st, "replication", &kind);
    s->login->dedicated = pw_slice_is(kind, "database") ? SERVER_LOGICAL : SERVER_PHYSICAL;
    while (ok && pw_startup_next(&rest, &nv)) {
        if (pw_slice_is(nv.name, "application_name"))
            snprintf(s->login->app_name, sizeof s->login->app_name, "%.*s", (int)nv.value.len,
                     nv.value.ptr);
        if (!pw_slice_is(nv.name, "user") && !pw_slice_is(nv.name, "database") &&
            !pw_startup_is_extension(nv.name))
            ok = add_server_param(s, nv.name, nv.value);
    }
    return ok;
}

static bool collect_settings(struct session *s, const struct startup *st)
{
    struct slice rest = st->params;
    struct name_value nv;
    bool ok = true;
    s->login->settings = pw_settings_ref(s->login->pool->settings.empty);
    while (ok && pw_startup_next(&rest, &nv)) {
        if (pw_slice_is(nv.name, "user") || pw_slice_is(nv.name, "database") ||
            pw_startup_is_extension(nv.name))
            continue;
        if (pw_slice_is(nv.name, "options") && !add_options(s, nv.value)) {
            pw_free(s->login->strange_options);
            s->login->strange_options = pw_strndup(nv.value.ptr, nv.value.len);
            ok = add_server_param(s, nv.name, nv.value);
        }
        if (pw_slice_is(nv.name, "options") || pw_slice_is(nv.name, "replication"))
            continue;
        ok = ok && add_setting(s, nv.name, nv.value);
    }
    /* PostgreSQL keeps printable ASCII only (check_application_name). */
    for (char *c = s->login->app_name; *c; c++)
        if (*c < 32 || *c > 126)
            *c = '?';
    return ok;
}

/* Minor versions and protocol extensions that nobody here speaks are answered, not refused. */
static void negotiate(struct session *s, const struct startup *st)
{
    struct slice rest = st->params;
    struct name_value nv;
    struct buf names;
    uint32_t count = 0;
    pw_buf_init(&names, STARTUP_LEN_MAX);
    while (pw_startup_next(&rest, &nv))
        if (pw_startup_is_extension(nv.name)) {
            pw_buf_append(&names, nv.name.ptr, nv.name.len + 1);
            count++;
        }
    if (count || st->minor > 0) {
        pw_emit_negotiate(&s->login->out, 0, count, pw_buf_slice(&names));
        pw_stream_write(&s->stream, s->login->out.data, s->login->out.len);
        pw_buf_reset(&s->login->out);
    }
    pw_buf_free(&names);
}

static bool is_console(const char *database)
{
    return !strcmp(database, "pgweir") || !strcmp(database, "pgbouncer");
}

static enum step begin_session(struct session *s, const struct startup *st)
{
    struct slice user, database;
    if (st->major != 3) {
        char text[120];
        snprintf(text, sizeof text,
                 "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0", st->major,
                 st->minor);
        pw_refuse(s, REFUSED_VERSION, text, NULL);
        return STEP_CLOSED;
    }
    negotiate(s, st);
    if (!pw_startup_find(st, "user", &user) || user.len == 0) {
        pw_refuse(s, REFUSED_NO_USER, "no PostgreSQL user name specified in startup packet", NULL);
        return STEP_CLOSED;
    }
    if (!pw_startup_find(st, "database", &database) || database.len == 0)
        database = user;
    s->user =
        pw_strndup(user.ptr, user.len < 64 ? user.len : 63); /* NAMEDATALEN, as the server does */
    s->database = pw_strndup(database.ptr, database.len < 64 ? database.len : 63);
    struct slice replication;
    s->login->is_walsender = asks_for_replication(st) &&
                             pw_startup_find(st, "replication", &replication) &&
                             !pw_slice_is(replication, "database");
    const struct conf_tls *tls = &s->env->dispatch->conf->tls;
    if (tls->client_mode >= CONF_TLS_CLIENT_REQUIRE && !pw_stream_is_tls(&s->stream) &&
        !s->stream.is_pipe) {
        pw_refuse(s, REFUSED_TLS_REQUIRED, "TLS is required by tls.client_mode", NULL);
        return STEP_CLOSED;
    }
    if (is_console(s->database)) {
        pw_session_enter(s, SESSION_AUTH);
        pw_auth_begin(s);
        return STEP_AGAIN;
    }
    if (!s->env->try_admit(s->env->arg)) {
        char text[200];
        snprintf(text, sizeof text,
                 "no more connections allowed: pgweir.max_clients is %u (SHOW CLIENTS says who is "
                 "connected)",
                 s->env->dispatch->conf->pgweir.max_clients);
        pw_refuse(s, REFUSED_MAX_CLIENTS, text, NULL);
        return STEP_CLOSED;
    }
    s->admitted = true;
    if (pw_databases_is_disabled(s->env->dispatch->shared->databases, s->database)) {
        pw_refuse(s, REFUSED_DISABLED, NULL, NULL);
        return STEP_CLOSED;
    }
    struct server_pool *pool = pw_dispatch_pool(s->env->dispatch, s->database, s->user);
    if (!pool) {
        char text[200];
        snprintf(text, sizeof text, "database \"%s\" is not configured in pgweir", s->database);
        pw_refuse(s, REFUSED_NO_DATABASE, text, NULL);
        return STEP_CLOSED;
    }
    char why[300];
    if (!pw_login_admit(&s->client, pool, why, sizeof why)) {
        pw_refuse(s, REFUSED_MAX_CLIENTS, why, NULL);
        return STEP_CLOSED;
    }
    s->login->pool = pool;
    pool->logins++;
    bool replicates = asks_for_replication(st);
    if (replicates && pool->db->pool_mode != CONF_POOL_SESSION) {
        snprintf(why, sizeof why,
                 "replication connections need pool_mode session: database \"%s\" is pooled by "
                 "transaction in pgweir; "
                 "give it a row with pool_mode: session, or connect to PostgreSQL directly",
                 s->database);
        pw_refuse(s, REFUSED_REPLICATION, why, NULL);
        return STEP_CLOSED;
    }
    if (!(replicates ? collect_server_params(s, st) : collect_settings(s, st))) {
        pw_refuse(s, REFUSED_PARAMETER,
                  "a startup parameter cannot be carried over, or there are too many", NULL);
        return STEP_CLOSED;
    }
    pw_session_enter(s, SESSION_AUTH);
    pw_auth_begin(s);
    return STEP_AGAIN;
}

enum step pw_startup_run(struct session *s)
{
    struct slice in = pw_stream_input(&s->stream);
    uint32_t len;
    struct startup st;
    if (in.len && (uint8_t)in.ptr[0] == TLS_RECORD_HANDSHAKE && !s->login->tls_done)
        return start_direct_tls(s);
    enum frame_result r = pw_startup_peek(in, &len);
    if (r == FRAME_BAD) {
        pw_refuse(s, REFUSED_PACKET, "invalid length of startup packet", NULL);
        return STEP_CLOSED;
    }
    if (r == FRAME_MORE || in.len < len) {
        if (s->eof) {
            pw_session_close(s, false);
            return STEP_CLOSED;
        }
        if (r == FRAME_OK && !pw_stream_want(&s->stream, len))
            pw_session_fail(s, PW_NO_MEMORY, NULL);
        return STEP_WAIT;
    }
    if (!pw_startup_decode(pw_slice(in.ptr, len), &st)) {
        pw_refuse(s, REFUSED_PACKET, "invalid startup packet layout", NULL);
        return STEP_CLOSED;
    }
    switch (st.kind) {
    case STARTUP_SSL:
        return answer_tls(s, len);
    case STARTUP_GSSENC:
        pw_stream_consume(&s->stream, len);
        pw_stream_write(&s->stream, "N", 1);
        return STEP_AGAIN;
    case STARTUP_CANCEL:
        s->env->cancel(s->env->arg, st.pid, st.key, pw_stream_dup(&s->stream));
        pw_session_close(s, false);
        return STEP_CLOSED;
    case STARTUP_MESSAGE:
        break;
    }
    enum step next = begin_session(s, &st);
    if (s->state == SESSION_CLOSING)
        return STEP_CLOSED;
    pw_stream_consume(&s->stream, len);
    return next;
}
