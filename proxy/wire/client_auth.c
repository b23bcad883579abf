/* Authentication of a client. Owns what struct client_auth holds; see the header for threads. */
#include "proxy/wire/client_auth.h"

#include "proxy/wire/back.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/front.h"

static enum auth_result fail(struct client_auth *a, const char *reason)
{
    a->state = CLIENT_AUTH_END;
    a->reason = reason;
    return AUTH_FAIL;
}

static enum auth_result succeed(struct client_auth *a, struct buf *out)
{
    if (!pw_emit_auth_ok(out))
        return fail(a, "out of memory");
    a->state = CLIENT_AUTH_END;
    return AUTH_OK;
}

bool pw_client_auth_init(struct client_auth *a, enum auth_method method, struct slice user,
                         struct slice secret, const uint8_t seed[SCRAM_KEY])
{
    *a = (struct client_auth){.method = method};
    if (user.len > sizeof a->user)
        return false;
    memcpy(a->user, user.ptr ? user.ptr : "", user.len);
    a->user_len = user.len;
    memcpy(a->seed, seed, SCRAM_KEY);
    if (!pw_secret_init(&a->secret, secret) || !pw_crypto_random(a->md5_salt, sizeof a->md5_salt))
        return false;
    bool hash = a->secret.kind == SECRET_MD5 || a->secret.kind == SECRET_PLAIN;
    if (method == AUTH_METHOD_MD5 && !hash)
        a->method = AUTH_METHOD_SCRAM;
    return true;
}

static struct slice user_of(const struct client_auth *a)
{
    return (struct slice){a->user, a->user_len};
}

/* The verifier that stands for a user without one. */
static bool use_mock(struct client_auth *a)
{
    a->doomed = true;
    return pw_scram_verifier_mock(user_of(a), a->seed, &a->verifier);
}

void pw_client_auth_bind(struct client_auth *a, const struct scram_binding *b)
{
    a->binding = *b;
}

/* The strongest first. */
static enum auth_result offer_sasl(struct client_auth *a, struct buf *out)
{
    static const char *const mechanisms[] = {SCRAM_MECHANISM_PLUS, SCRAM_MECHANISM};
    size_t skip = a->binding.len ? 0 : 1;
    if (!pw_scram_server_init(&a->scram, &a->verifier, a->doomed) ||
        !pw_emit_auth_sasl(out, mechanisms + skip, PW_COUNT_OF(mechanisms) - skip))
        return fail(a, "out of memory");
    a->state = CLIENT_AUTH_SASL_INITIAL;
    return AUTH_MORE;
}

/* The salt is the one a mock would have: it must not tell who is in the user list. */
static enum auth_result derive_verifier(struct client_auth *a)
{
    if (!pw_scram_verifier_mock(user_of(a), a->seed, &a->verifier))
        return fail(a, "out of memory");
    memcpy(a->salt, a->verifier.salt, sizeof a->salt);
    a->job = (struct scram_job){pw_secret_text(&a->secret),
                                {(const char *)a->salt, sizeof a->salt},
                                a->verifier.iterations};
    a->state = CLIENT_AUTH_DERIVE_VERIFIER;
    return AUTH_NEED_DERIVE;
}

static enum auth_result start_scram(struct client_auth *a, struct buf *out)
{
    switch (a->secret.kind) {
    case SECRET_SCRAM:
        a->verifier = a->secret.verifier;
        return offer_sasl(a, out);
    case SECRET_PLAIN:
        return derive_verifier(a);
    case SECRET_MD5:
    case SECRET_NONE:
        break;
    }
    return use_mock(a) ? offer_sasl(a, out) : fail(a, "out of memory");
}

enum auth_result pw_client_auth_start(struct client_auth *a, struct buf *out)
{
    if (a->state != CLIENT_AUTH_NEW)
        return fail(a, "authentication started twice");
    switch (a->method) {
    case AUTH_METHOD_TRUST:
        return succeed(a, out);
    case AUTH_METHOD_PASSWORD:
        a->state = CLIENT_AUTH_PASSWORD;
        return pw_emit_auth_cleartext(out) ? AUTH_MORE : fail(a, "out of memory");
    case AUTH_METHOD_MD5:
        a->state = CLIENT_AUTH_MD5;
        return pw_emit_auth_md5(out, a->md5_salt) ? AUTH_MORE : fail(a, "out of memory");
    case AUTH_METHOD_SCRAM:
        return start_scram(a, out);
    }
    return fail(a, "unknown authentication method");
}

/* The client's password in clear, against whatever is known. */
static enum auth_result feed_password(struct client_auth *a, struct slice body, struct buf *out)
{
    struct slice password;
    struct md5_text hash;
    if (!pw_front_password(body, &password))
        return fail(a, "malformed password message");
    if (password.len == 0)
        return fail(a, "empty password");
    if (!pw_secret_init_plain(&a->typed, password))
        return fail(a, "password too long");
    switch (a->secret.kind) {
    case SECRET_PLAIN:
        if (pw_crypto_slice_equal(pw_secret_text(&a->typed), pw_secret_text(&a->secret)))
            return succeed(a, out);
        return fail(a, "wrong password");
    case SECRET_MD5:
        if (pw_md5_hash(pw_secret_text(&a->typed), user_of(a), &hash) &&
            pw_crypto_slice_equal(pw_slice(hash.text, MD5_TEXT), pw_secret_text(&a->secret)))
            return succeed(a, out);
        return fail(a, "wrong password");
    case SECRET_SCRAM:
        a->verifier = a->secret.verifier;
        break;
    case SECRET_NONE:
        if (!use_mock(a))
            return fail(a, "out of memory");
        break;
    }
    a->job = (struct scram_job){pw_secret_text(&a->typed),
                                {(const char *)a->verifier.salt, a->verifier.salt_len},
                                a->verifier.iterations};
    a->state = CLIENT_AUTH_DERIVE_PASSWORD;
    return AUTH_NEED_DERIVE;
}

static enum auth_result feed_md5(struct client_auth *a, struct slice body, struct buf *out)
{
    struct slice answer;
    struct md5_text hash, want;
    if (!pw_front_password(body, &answer))
        return fail(a, "malformed password message");
    if (!pw_secret_md5(&a->secret, user_of(a), &hash) ||
        !pw_md5_respond(pw_slice(hash.text, MD5_TEXT), a->md5_salt, &want))
        return fail(a, "MD5 is not available");
    bool good = pw_crypto_slice_equal(answer, pw_slice(want.text, MD5_TEXT));
    return good ? succeed(a, out) : fail(a, "wrong password");
}

/* One SASL message of the client; the answer is framed around what the machine appends. */
static enum auth_result feed_scram(struct client_auth *a, struct slice data, struct buf *out)
{
    struct emit e = pw_emit_begin(out, BACK_AUTHENTICATION);
    size_t code_at = out->len;
    pw_buf_append_u32(out, AUTH_CODE_SASL_CONTINUE);
    enum scram_result r = pw_scram_server_feed(&a->scram, data, out);
    if (r == SCRAM_FAIL) {
        out->len = e.start;
        return fail(a, a->scram.reason);
    }
    if (r == SCRAM_OK && !out->failed)
        out->data[code_at + 3] = AUTH_CODE_SASL_FINAL;
    if (!pw_emit_end(&e))
        return fail(a, "out of memory");
    a->state = CLIENT_AUTH_SASL;
    if (r == SCRAM_MORE)
        return AUTH_MORE;
    a->keys = a->scram.keys;
    a->have_keys = true;
    return succeed(a, out);
}

static enum auth_result feed_sasl_initial(struct client_auth *a, struct slice body, struct buf *out)
{
    struct front_sasl_initial m;
    if (!pw_front_sasl_initial(body, &m))
        return fail(a, "malformed SASLInitialResponse");
    bool plus = pw_slice_is(m.mechanism, SCRAM_MECHANISM_PLUS) && a->binding.len;
    if (!plus && !pw_slice_is(m.mechanism, SCRAM_MECHANISM))
        return fail(a, "client chose a SASL mechanism that was not offered");
    pw_scram_server_bind(&a->scram, &a->binding, plus);
    if (m.has_data)
        return feed_scram(a, m.data, out);
    /* It wants to speak after an empty challenge; SASL allows that. */
    a->state = CLIENT_AUTH_SASL;
    return pw_emit_auth_sasl_continue(out, (struct slice){0}) ? AUTH_MORE
                                                              : fail(a, "out of memory");
}

enum auth_result pw_client_auth_feed(struct client_auth *a, uint8_t type, struct slice body,
                                     struct buf *out)
{
    if (type != FRONT_PASSWORD)
        return fail(a, "expected a password message");
    switch (a->state) {
    case CLIENT_AUTH_PASSWORD:
        return feed_password(a, body, out);
    case CLIENT_AUTH_MD5:
        return feed_md5(a, body, out);
    case CLIENT_AUTH_SASL_INITIAL:
        return feed_sasl_initial(a, body, out);
    case CLIENT_AUTH_SASL:
        return feed_scram(a, body, out);
    case CLIENT_AUTH_NEW:
    case CLIENT_AUTH_DERIVE_VERIFIER:
    case CLIENT_AUTH_DERIVE_PASSWORD:
    case CLIENT_AUTH_END:
        break;
    }
    return fail(a, "unexpected password message");
}

static enum auth_result check_derived(struct client_auth *a, const struct scram_keys *keys,
                                      struct buf *out)
{
    if (!(pw_scram_verifier_matches(&a->verifier, keys) & !a->doomed))
        return fail(a, a->doomed ? "no such user, or no usable password" : "wrong password");
    a->keys = *keys;
    a->have_keys = true;
    return succeed(a, out);
}

enum auth_result pw_client_auth_resume(struct client_auth *a, const struct scram_keys *keys,
                                       struct buf *out)
{
    if (!keys)
        return fail(a, "SCRAM keys could not be derived");
    if (a->state == CLIENT_AUTH_DERIVE_PASSWORD)
        return check_derived(a, keys, out);
    if (a->state != CLIENT_AUTH_DERIVE_VERIFIER)
        return fail(a, "no derivation was asked for");
    if (!pw_scram_verifier_from_keys(keys, a->job.salt, a->job.iterations, &a->verifier))
        return fail(a, "out of memory");
    return offer_sasl(a, out);
}

struct slice pw_client_auth_password(const struct client_auth *a)
{
    return pw_secret_text(&a->typed);
}

void pw_client_auth_wipe(struct client_auth *a)
{
    pw_secret_wipe(&a->secret);
    pw_secret_wipe(&a->typed);
    pw_crypto_wipe(a, sizeof *a);
}
