/*
 * Who is it? As the demand says (demand.c): trust, a certificate, a secret that control looks up
 * (user list, auth_query, or the upstream's pg_authid), or, for `upstream` where no secret can be
 * read, the server's own login with the client's answers relayed. Every refusal says which leg
 * failed (refusal.h).
 */
#include <stdio.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/session/session_priv.h"
#include "proxy/wire/back.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/front.h"

static const struct pw_conf *conf_of(const struct session *s)
{
    return s->env->dispatch->conf;
}

/* One text for every reason, so that nobody learns which users there are. */
static void refuse_password(struct session *s, const char *why)
{
    char text[200], reason[300];
    const char *known = s->login->why;
    snprintf(text, sizeof text, "password authentication failed for user \"%s\"", s->user);
    snprintf(reason, sizeof reason, "%s%s%s", why, known ? ": " : "", known ? known : "");
    pw_refuse(s, REFUSED_PASSWORD, text, reason);
}

/* A user's verifier could not be had, and without it nobody can be checked. */
static void refuse_blind(struct session *s, const char *why)
{
    char text[200];
    snprintf(text, sizeof text,
             "pgweir could not find out how to check the password of user \"%s\"", s->user);
    pw_refuse(s, REFUSED_NO_VERIFIER, text, why);
}

static void flush_out(struct session *s)
{
    struct buf *out = &s->login->out;
    if (out->len)
        pw_stream_write(&s->stream, out->data, out->len);
    pw_buf_reset(out);
}

void pw_auth_granted(struct session *s)
{
    if (s->login->dedicated) {
        pw_session_enter(s, SESSION_WELCOME);
        pw_replication_begin(s);
    } else if (s->login->pool) {
        pw_session_enter(s, SESSION_WELCOME);
        pw_welcome_begin(s);
    } else {
        pw_session_enter(s, SESSION_ADMIN);
        pw_console_begin(s);
    }
}

static void grant_without_secret(struct session *s)
{
    pw_emit_auth_ok(&s->login->out);
    flush_out(s);
    pw_auth_granted(s);
}

/* ---- our own exchange with the client */

static void go_on(struct session *s, enum auth_result r);

static void on_derived(struct derive_waiter *w, const struct scram_keys *keys)
{
    struct login *l = PW_CONTAINER_OF(w, struct login, derive);
    struct session *s = l->session;
    go_on(s, pw_client_auth_resume(&l->auth, keys, &l->out));
    if (s->state != SESSION_CLOSING)
        pw_session_mark(s);
}

static void derive(struct session *s)
{
    struct login *l = s->login;
    struct scram_keys keys;
    l->derive.on_derived = on_derived;
    if (!pw_derive(s->env->derivations, &l->auth.job, &keys, &l->derive))
        return;
    go_on(s, pw_client_auth_resume(&l->auth, &keys, &l->out));
    pw_crypto_wipe(&keys, sizeof keys);
}

/* What opens the server for this user. Keys of a secret in clear are for a salt of ours: of no use
 * there. */
static void keep_credentials(struct session *s)
{
    struct login *l = s->login;
    const struct slice secret = pw_slice_str(l->secret ? l->secret : "");
    if (!l->pool)
        return;
    if (l->auth.secret.kind == SECRET_PLAIN)
        pw_login_keep_password(l->pool, secret);
    else if (l->auth.secret.kind == SECRET_MD5)
        pw_login_keep_md5(l->pool, secret);
    else if (l->auth.have_keys)
        pw_login_keep_keys(l->pool, &l->auth.keys);
}

static void go_on(struct session *s, enum auth_result r)
{
    struct login *l = s->login;
    if (r == AUTH_FAIL) {
        refuse_password(s, l->auth.reason ? l->auth.reason : "wrong password");
        return;
    }
    flush_out(s);
    if (r == AUTH_OK) {
        keep_credentials(s);
        pw_auth_granted(s);
    } else if (r == AUTH_NEED_DERIVE) {
        derive(s);
    }
}

static void start_exchange(struct session *s, enum auth_method method)
{
    struct login *l = s->login;
    struct slice secret = pw_slice_str(l->secret ? l->secret : "");
    l->auth_active = true;
    if (!pw_client_auth_init(&l->auth, method, pw_slice_str(s->user), secret, s->env->auth_seed)) {
        pw_session_fail(s, PW_NO_MEMORY, NULL);
        return;
    }
    struct scram_binding channel;
    channel.len = pw_stream_tls_binding(&s->stream, channel.data, sizeof channel.data);
    pw_client_auth_bind(&l->auth, &channel);
    go_on(s, pw_client_auth_start(&l->auth, &l->out));
}

/* The strongest method that the secret allows. */
static void start_best_exchange(struct session *s)
{
    const char *secret = s->login->secret;
    start_exchange(s, secret && !strncmp(secret, "md5", 3) ? AUTH_METHOD_MD5 : AUTH_METHOD_SCRAM);
}

/* ---- the server is asked: auth.type upstream */

static void start_relay(struct session *s)
{
    struct login *l = s->login;
    l->relaying = true;
    const struct server_launch how = {
        .relays = true, .dedicated = l->dedicated, .params = pw_buf_slice(&l->server_params)};
    pw_login_relay_start(&s->client, l->pool, &how);
}

static void decide_upstream(struct session *s)
{
    struct login *l = s->login;
    enum upstream_method method = pw_login_method(l->pool, s->env->loop->now_us);
    if (method == UPSTREAM_TRUST && l->found != LOOKUP_NO_USER)
        grant_without_secret(s); /* the server lets this user in without asking; so do we */
    else if (l->secret && method == UPSTREAM_SECRET)
        start_best_exchange(s);
    else
        start_relay(s); /* to learn what the server asks for, or because only it can tell */
}

/* A rule's method, with auth.type upstream: a verifier that cannot be read is no reason to ask for
 * less. */
static void decide_ruled(struct session *s, enum auth_method method)
{
    struct login *l = s->login;
    if (l->found != LOOKUP_FAILED)
        start_exchange(s, method);
    else if (l->pool && conf_of(s)->auth.type == CONF_AUTH_UPSTREAM)
        start_relay(s);
    else
        refuse_blind(s, l->why);
}

static void decide(struct session *s)
{
    switch (s->login->demand) {
    case DEMAND_UPSTREAM:
        if (s->login->pool)
            decide_upstream(s);
        else
            start_best_exchange(s);
        break;
    case DEMAND_PASSWORD:
        decide_ruled(s, AUTH_METHOD_PASSWORD);
        break;
    case DEMAND_MD5:
        decide_ruled(s, AUTH_METHOD_MD5);
        break;
    case DEMAND_SCRAM:
        decide_ruled(s, AUTH_METHOD_SCRAM);
        break;
    case DEMAND_TRUST:
    case DEMAND_CERT:
        break; /* never looked up */
    }
}

/* May the server ask the client for this, given what the rule demands? Later steps of SASL are not
 * asked about. */
static bool is_strong_enough(enum demand demand, struct slice message)
{
    struct slice body = message.len >= 9 ? pw_slice(message.ptr + 5, 4) : (struct slice){0};
    uint8_t code = body.len ? (uint8_t)body.ptr[3] : AUTH_CODE_CLEARTEXT;
    if (code == AUTH_CODE_CLEARTEXT)
        return demand == DEMAND_UPSTREAM || demand == DEMAND_PASSWORD;
    if (code == AUTH_CODE_MD5)
        return demand != DEMAND_SCRAM;
    return true;
}

void pw_auth_on_turn(struct session *s)
{
    if (s->state == SESSION_WELCOME)
        pw_replication_begin(s);
    if (s->state != SESSION_AUTH || !s->login || !s->login->relaying)
        return;
    s->login->relaying = false;
    if (s->login->strange_options)
        start_relay(s);
    else
        decide(s);
}

void pw_auth_on_relay(struct session *s, struct slice message)
{
    struct login *l = s->login;
    if (!l)
        return;
    if (l->secret &&
        !l->auth_active) { /* the server wants a secret, and we can check it ourselves */
        l->relaying = false;
        pw_login_relay_cancel(&s->client);
        start_best_exchange(s);
        return;
    }
    if (!is_strong_enough(l->demand, message)) {
        refuse_blind(s, "the server asks for less than the rule of auth.hba_file, and its "
                        "verifiers cannot be read");
        return;
    }
    l->relay_asked = l->client_turn = true;
    pw_stream_write(&s->stream, message.ptr, message.len);
}

void pw_auth_on_relay_done(struct session *s, bool ok, bool authenticated, const char *text,
                           struct slice error)
{
    struct login *l = s->login;
    if (s->state == SESSION_WELCOME)
        pw_replication_on_connected(s, ok, text, error);
    if (!s->login || !l->relaying)
        return;
    l->relaying = false;
    if (ok && l->ruled && !l->relay_asked) {
        refuse_blind(
            s,
            "the server lets this user in without asking, the rule of auth.hba_file does not, and "
            "verifiers cannot be read");
        return;
    }
    if (!ok &&
        authenticated) { /* the server believed the client, then refused for another reason */
        pw_emit_auth_ok(&l->out);
        flush_out(s);
    }
    if (ok && l->strange_options)
        pw_refuse(
            s, REFUSED_PARAMETER,
            "startup options other than -c and -- cannot be carried over to a pooled connection",
            NULL);
    else if (ok)
        grant_without_secret(s);
    else if (error.len)
        pw_refuse_as_server(s, error, text);
    else
        pw_refuse(s, REFUSED_SERVER_CONNECT, text, NULL);
}

/* ---- beginning */

static void look_up(struct session *s)
{
    s->login->secret_pending = true;
    s->env->find_secret(s->env->arg, s, s->database, s->user);
}

static void look_up_roles(struct session *s)
{
    s->login->secret_pending = s->login->roles_asked = true;
    s->env->find_roles(s->env->arg, s, s->database, s->user);
}

static bool is_local(const struct session *s)
{
    char host[64];
    int port;
    pw_stream_peer(&s->stream, host, sizeof host, &port);
    return s->stream.is_pipe || !strncmp(host, "127.", 4) || !strcmp(host, "::1");
}

static bool in_list(const char *const *list, size_t n, const char *user)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], user))
            return true;
    return false;
}

static void check_certificate(struct session *s)
{
    const char *cn = pw_stream_peer_cn(&s->stream);
    char text[200];
    if (cn && !strcmp(cn, s->user)) {
        grant_without_secret(s);
        return;
    }
    snprintf(text, sizeof text, "certificate authentication failed for user \"%s\"", s->user);
    pw_refuse(s, REFUSED_CERTIFICATE, text,
              cn ? "the client's certificate is for another name"
                 : "no valid client certificate was presented");
}

static void begin_by_demand(struct session *s)
{
    enum decision decision = pw_demand_decide(s);
    if (decision == DECIDE_REFUSED)
        return;
    if (decision == DECIDE_ROLES)
        look_up_roles(s);
    else if (s->login->strange_options)
        start_relay(s);
    else if (s->login->demand == DEMAND_TRUST)
        grant_without_secret(s);
    else if (s->login->demand == DEMAND_CERT)
        check_certificate(s);
    else
        look_up(s);
}

/* The console: loopback needs no password unless admin_auth says so (CONTRACT section 4). */
void pw_auth_begin(struct session *s)
{
    const struct pw_conf *conf = conf_of(s);
    if (s->login->pool) {
        begin_by_demand(s);
        return;
    }
    bool listed = conf->auth.n_admin_users || conf->auth.n_stats_users;
    s->is_admin = !listed || in_list(conf->auth.admin_users, conf->auth.n_admin_users, s->user);
    if (listed && !s->is_admin &&
        !in_list(conf->auth.stats_users, conf->auth.n_stats_users, s->user))
        pw_refuse(s, REFUSED_CONSOLE,
                  "this user is neither in auth.admin_users nor in auth.stats_users", NULL);
    else if (is_local(s) && !conf->pgweir.admin_auth)
        grant_without_secret(s);
    else
        begin_by_demand(s);
}

static void take_roles(struct login *l, const struct secret_answer *answer)
{
    l->roles_done = true;
    l->roles_known = answer->found == LOOKUP_FOUND;
    if (l->roles_known && answer->roles_len) {
        l->roles = pw_alloc(answer->roles_len);
        memcpy(l->roles, answer->roles, answer->roles_len);
        l->roles_len = answer->roles_len;
    }
    l->roles_why = answer->text ? pw_strdup(answer->text) : NULL;
}

void pw_session_on_secret(struct session *s, const struct secret_answer *answer)
{
    struct login *l = s->login;
    if (s->state != SESSION_AUTH || !l || !l->secret_pending)
        return;
    l->secret_pending = false;
    if (l->roles_asked && !l->roles_done) {
        take_roles(l, answer);
        begin_by_demand(s);
        return;
    }
    l->found = answer->found;
    if (answer->found == LOOKUP_FOUND)
        l->secret = pw_strdup(answer->secret);
    l->why = answer->text ? pw_strdup(answer->text) : NULL;
    decide(s);
}

/* ---- the client's answers */

enum step pw_auth_run(struct session *s)
{
    struct login *l = s->login;
    if (s->eof) {
        pw_session_close(s, false);
        return STEP_CLOSED;
    }
    if (l->secret_pending || pw_derive_is_pending(&l->derive) || (!l->auth_active && !l->relaying))
        return STEP_WAIT;
    struct slice in = pw_stream_input(&s->stream);
    struct frame f;
    enum frame_result r = pw_frame_peek_front(in, &f);
    if (r == FRAME_BAD ||
        (r == FRAME_OK && f.type != FRONT_PASSWORD && f.type != FRONT_TERMINATE)) {
        pw_refuse(s, REFUSED_ANSWER, "expected password response", NULL);
        return STEP_CLOSED;
    }
    if (r == FRAME_MORE)
        return STEP_WAIT;
    if (!pw_frame_complete(in, &f)) {
        if (!pw_stream_want(&s->stream, f.len))
            pw_session_fail(s, PW_NO_MEMORY, NULL);
        return STEP_WAIT;
    }
    if (f.type == FRONT_TERMINATE) {
        pw_session_close(s, false);
        return STEP_CLOSED;
    }
    struct slice body = pw_frame_body(in, &f);
    if (l->relaying) {
        l->client_turn = false;
        pw_login_relay_answer(&s->client, body);
        if (s->state == SESSION_CLOSING)
            return STEP_CLOSED;
        pw_stream_consume(&s->stream, f.len);
        return STEP_WAIT;
    }
    enum auth_result result = pw_client_auth_feed(&l->auth, f.type, body, &l->out);
    pw_stream_consume(&s->stream, f.len);
    go_on(s, result);
    return s->state == SESSION_CLOSING ? STEP_CLOSED : STEP_AGAIN;
}
