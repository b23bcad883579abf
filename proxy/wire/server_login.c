/* Login to a server. Owns what struct server_login holds; see the header for threads. */
#include "proxy/wire/server_login.h"

#include <stdio.h>

#include "proxy/base/alloc.h"
#include "proxy/wire/back.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"

enum { MESSAGES_MAX = 1000, ERROR_MAX = 65536, RELAY_MAX = 65536 + 16 };

PW_PRINTF(2, 3) static enum login_result fail(struct server_login *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(l->reason, sizeof l->reason, fmt, args);
    va_end(args);
    l->state = SERVER_LOGIN_END;
    return LOGIN_FAIL;
}

static bool keep_user(struct server_login *l, const struct name_value *params, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pw_slice_is(params[i].name, "user") && params[i].value.len) {
            PW_FREE(l->user);
            l->user = pw_strndup(params[i].value.ptr, params[i].value.len);
        }
    }
    return l->user != NULL;
}

bool pw_server_login_init(struct server_login *l, const struct name_value *params, size_t count,
                          const struct login_credentials *c)
{
    *l = (struct server_login){.credentials = c->kind};
    if (c->kind == LOGIN_PASSWORD && c->text.len == 0)
        l->credentials = LOGIN_NOTHING;
    pw_buf_init(&l->startup, STARTUP_LEN_MAX);
    pw_buf_init(&l->relay, RELAY_MAX);
    pw_buf_init(&l->error, ERROR_MAX);
    pw_params_init(&l->params);
    if (!pw_emit_startup(&l->startup, params, count) || !keep_user(l, params, count))
        return false;
    switch (l->credentials) {
    case LOGIN_NOTHING:
    case LOGIN_CLIENT:
        return true;
    case LOGIN_PASSWORD:
        return pw_secret_init_plain(&l->secret, c->text) &&
               pw_scram_client_init(&l->scram, pw_secret_text(&l->secret));
    case LOGIN_MD5:
        return pw_md5_is_hash(c->text) && pw_secret_init(&l->secret, c->text);
    case LOGIN_KEYS:
        return pw_scram_client_init_keys(&l->scram, c->keys);
    }
    return false;
}

void pw_server_login_free(struct server_login *l)
{
    pw_secret_wipe(&l->secret);
    PW_FREE(l->user);
    pw_buf_free(&l->startup);
    pw_buf_free(&l->relay);
    pw_buf_free(&l->error);
    pw_params_free(&l->params);
    pw_crypto_wipe(&l->scram, sizeof l->scram);
}

void pw_server_login_bind(struct server_login *l, const struct scram_binding *b)
{
    l->binding = *b;
}

enum login_result pw_server_login_start(struct server_login *l, struct buf *out)
{
    if (l->state != SERVER_LOGIN_NEW || !pw_buf_append(out, l->startup.data, l->startup.len))
        return fail(l, "out of memory");
    l->state = SERVER_LOGIN_AUTH;
    return LOGIN_MORE;
}

/* ---- authentication ---- */

static const char *method_name(uint32_t code)
{
    switch (code) {
    case AUTH_CODE_CLEARTEXT:
        return "a cleartext password";
    case AUTH_CODE_MD5:
        return "an md5 password";
    case AUTH_CODE_SASL:
        return SCRAM_MECHANISM;
    case AUTH_CODE_KERBEROS5:
        return "Kerberos 5";
    case AUTH_CODE_GSS:
    case AUTH_CODE_GSS_CONTINUE:
        return "GSSAPI";
    case AUTH_CODE_SSPI:
        return "SSPI";
    default:
        return "an unknown authentication method";
    }
}

static const char *known_name(enum login_secret kind)
{
    switch (kind) {
    case LOGIN_NOTHING:
        return "no password is known";
    case LOGIN_PASSWORD:
        return "only a password is known";
    case LOGIN_MD5:
        return "only an md5 hash is known";
    case LOGIN_KEYS:
        return "only SCRAM keys are known";
    case LOGIN_CLIENT:
        return "it cannot be relayed to the client";
    }
    return "";
}

static enum login_result fail_method(struct server_login *l, uint32_t code)
{
    return fail(l, "server asks for %s, but %s", method_name(code), known_name(l->credentials));
}

static enum login_result sent(struct server_login *l, bool ok)
{
    return ok ? LOGIN_MORE : fail(l, "out of memory");
}

static enum login_result answer_md5(struct server_login *l, struct slice salt, struct buf *out)
{
    struct md5_text hash, answer;
    if (!pw_secret_md5(&l->secret, pw_slice_str(l->user), &hash) ||
        !pw_md5_respond(pw_slice(hash.text, MD5_TEXT), (const uint8_t *)salt.ptr, &answer))
        return fail(l, "MD5 is not available");
    l->state = SERVER_LOGIN_ANSWERED;
    return sent(l, pw_emit_password(out, pw_slice(answer.text, MD5_TEXT)));
}

static enum login_result answer_cleartext(struct server_login *l, struct buf *out)
{
    l->state = SERVER_LOGIN_ANSWERED;
    return sent(l, pw_emit_password(out, pw_secret_text(&l->secret)));
}

static enum login_result start_sasl(struct server_login *l, const struct back_auth *a,
                                    struct buf *out)
{
    bool plus = l->binding.len && pw_back_auth_offers(a, SCRAM_MECHANISM_PLUS);
    if (!plus && !pw_back_auth_offers(a, SCRAM_MECHANISM))
        return fail(l, "server offers no SASL mechanism that we know");
    struct buf first;
    pw_buf_init(&first, SCRAM_MESSAGE_MAX);
    pw_scram_client_bind(&l->scram, &l->binding, plus);
    bool ok = pw_scram_client_first(&l->scram, &first) == SCRAM_CLIENT_MORE &&
              pw_emit_sasl_initial(out, plus ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM,
                                   pw_buf_slice(&first));
    pw_buf_free(&first);
    l->state = SERVER_LOGIN_SASL;
    return sent(l, ok);
}

/* One SCRAM message out, framed around what the machine appends. */
static enum login_result scram_step(struct server_login *l, struct slice data,
                                    const struct scram_keys *keys, struct buf *out)
{
    struct emit e = pw_emit_begin(out, FRONT_PASSWORD);
    enum scram_client_result r = l->state == SERVER_LOGIN_DERIVING
                                     ? pw_scram_client_resume(&l->scram, keys, out)
                                     : pw_scram_client_feed(&l->scram, data, out);
    l->state = SERVER_LOGIN_SASL;
    if (r == SCRAM_CLIENT_MORE)
        return sent(l, pw_emit_end(&e));
    out->len = e.start;
    if (r == SCRAM_CLIENT_FAIL)
        return fail(l, "%s", l->scram.reason);
    l->state = r == SCRAM_CLIENT_OK ? SERVER_LOGIN_ANSWERED : SERVER_LOGIN_DERIVING;
    l->job = l->scram.job;
    return r == SCRAM_CLIENT_OK ? LOGIN_MORE : LOGIN_NEED_DERIVE;
}

enum login_result pw_server_login_resume(struct server_login *l, const struct scram_keys *keys,
                                         struct buf *out)
{
    if (l->state != SERVER_LOGIN_DERIVING)
        return fail(l, "no derivation was asked for");
    return scram_step(l, (struct slice){0}, keys, out);
}

/* The list of mechanisms without those that bind to a TLS channel that is not the client's. */
static bool relay_mechanisms(struct server_login *l, const struct back_auth *a)
{
    static const char *const unbound[] = {SCRAM_MECHANISM};
    return pw_back_auth_offers(a, SCRAM_MECHANISM) && pw_emit_auth_sasl(&l->relay, unbound, 1);
}

static enum login_result relay_request(struct server_login *l, const struct back_auth *a)
{
    bool ok;
    bool in_sasl = l->state == SERVER_LOGIN_SASL;
    pw_buf_reset(&l->relay);
    switch (a->code) {
    case AUTH_CODE_CLEARTEXT:
    case AUTH_CODE_MD5:
        ok = !in_sasl && pw_emit_auth(&l->relay, a->code, a->data);
        break;
    case AUTH_CODE_SASL:
        ok = !in_sasl && relay_mechanisms(l, a);
        break;
    case AUTH_CODE_SASL_CONTINUE:
    case AUTH_CODE_SASL_FINAL:
        ok = in_sasl && pw_emit_auth(&l->relay, a->code, a->data);
        break;
    default:
        return fail_method(l, a->code);
    }
    if (!ok)
        return fail(l, "unexpected Authentication message from the server");
    if (a->code == AUTH_CODE_SASL_FINAL) {
        l->state = SERVER_LOGIN_ANSWERED;
        return LOGIN_RELAY;
    }
    /* Whether SASL goes on after the client's answer is known by the request it answers. */
    l->scram.state = a->code >= AUTH_CODE_SASL ? SCRAM_CLIENT_CHALLENGE : SCRAM_CLIENT_END;
    l->state = SERVER_LOGIN_RELAYING;
    return LOGIN_RELAY;
}

enum login_result pw_server_login_relay(struct server_login *l, struct slice body, struct buf *out)
{
    if (l->state != SERVER_LOGIN_RELAYING)
        return fail(l, "unexpected password message from the client");
    bool sasl = l->scram.state == SCRAM_CLIENT_CHALLENGE;
    l->state = sasl ? SERVER_LOGIN_SASL : SERVER_LOGIN_ANSWERED;
    return sent(l, pw_emit_raw(out, FRONT_PASSWORD, body));
}

static enum login_result feed_request(struct server_login *l, const struct back_auth *a,
                                      struct buf *out)
{
    if (l->credentials == LOGIN_CLIENT)
        return relay_request(l, a);
    bool plain = l->credentials == LOGIN_PASSWORD;
    switch (a->code) {
    case AUTH_CODE_CLEARTEXT:
        return plain ? answer_cleartext(l, out) : fail_method(l, a->code);
    case AUTH_CODE_MD5:
        return plain || l->credentials == LOGIN_MD5 ? answer_md5(l, a->data, out)
                                                    : fail_method(l, a->code);
    case AUTH_CODE_SASL:
        return plain || l->credentials == LOGIN_KEYS ? start_sasl(l, a, out)
                                                     : fail_method(l, a->code);
    default:
        return fail_method(l, a->code);
    }
}

static enum login_result feed_auth(struct server_login *l, struct slice body, struct buf *out)
{
    struct back_auth a;
    if (!pw_back_auth(body, &a))
        return fail(l, "malformed Authentication message from the server");
    if (a.code == AUTH_CODE_OK) {
        if (l->state == SERVER_LOGIN_SASL)
            return fail(l, "server ended SCRAM without proving that it knows the password");
        l->state = SERVER_LOGIN_STARTING;
        return LOGIN_MORE;
    }
    if (l->state == SERVER_LOGIN_AUTH)
        return feed_request(l, &a, out);
    if (l->state != SERVER_LOGIN_SASL)
        return fail(l, "unexpected Authentication message from the server");
    if (l->credentials == LOGIN_CLIENT)
        return relay_request(l, &a);
    if (a.code != AUTH_CODE_SASL_CONTINUE && a.code != AUTH_CODE_SASL_FINAL)
        return fail(l, "unexpected Authentication message from the server");
    /* The signature must come as the final message, the challenge must not. */
    if ((a.code == AUTH_CODE_SASL_FINAL) != (l->scram.state == SCRAM_CLIENT_FINAL))
        return fail(l, "SCRAM messages of the server are out of order");
    return scram_step(l, a.data, NULL, out);
}

/* ---- everything else ---- */

static enum login_result feed_error(struct server_login *l, struct slice body)
{
    if (!pw_buf_append(&l->error, body.ptr, body.len))
        return fail(l, "server sent an error that is too long");
    struct slice state = pw_errfields_sqlstate(body), text;
    if (!pw_errfields_find(body, 'M', &text))
        text = PW_SLICE_LIT("no message");
    int len = text.len > 120 ? 120 : (int)text.len;
    enum login_result r = fail(l, "server says: %.5s %.*s", state.ptr, len, text.ptr);
    for (char *p = l->reason; *p; p++)
        *p = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
    return r;
}

static enum login_result feed_started(struct server_login *l, uint8_t type, struct slice body)
{
    struct name_value nv;
    struct back_key key;
    char status;
    switch (type) {
    case BACK_PARAMETER_STATUS:
        if (!pw_back_parameter_status(body, &nv) || !pw_params_set(&l->params, nv.name, nv.value))
            return fail(l, "malformed or too many ParameterStatus messages from the server");
        return LOGIN_MORE;
    case BACK_BACKEND_KEY_DATA:
        if (!pw_back_key(body, &key))
            return fail(l, "malformed BackendKeyData from the server");
        l->pid = key.pid;
        memcpy(l->key, key.key.ptr, key.key.len);
        l->key_len = (uint16_t)key.key.len;
        return LOGIN_MORE;
    case BACK_READY_FOR_QUERY:
        if (!pw_back_ready(body, &status) || status != 'I')
            return fail(l, "malformed ReadyForQuery from the server");
        l->state = SERVER_LOGIN_END;
        return LOGIN_DONE;
    default:
        return fail(l, "unexpected message of type 0x%02x during login", type);
    }
}

enum login_result pw_server_login_feed(struct server_login *l, uint8_t type, struct slice body,
                                       struct buf *out)
{
    bool authenticating = l->state == SERVER_LOGIN_AUTH || l->state == SERVER_LOGIN_SASL ||
                          l->state == SERVER_LOGIN_ANSWERED;
    bool waiting = l->state == SERVER_LOGIN_RELAYING || l->state == SERVER_LOGIN_DERIVING;
    if (l->state == SERVER_LOGIN_NEW || l->state == SERVER_LOGIN_END)
        return fail(l, "login is not under way");
    if (++l->messages > MESSAGES_MAX)
        return fail(l, "server sends too many messages during login");
    if (type == BACK_ERROR_RESPONSE)
        return feed_error(l, body);
    if (type == BACK_NOTICE_RESPONSE) {
        l->notices++;
        return LOGIN_MORE;
    }
    if (waiting)
        return fail(l, "server does not wait for the answer");
    if (authenticating && type == BACK_AUTHENTICATION)
        return feed_auth(l, body, out);
    if (authenticating || type == BACK_AUTHENTICATION)
        return fail(l, "unexpected message of type 0x%02x during login", type);
    return feed_started(l, type, body);
}
