/* Keys and verifiers of SCRAM-SHA-256. No state; any thread. */
#include <stdlib.h>
#include <stringprep.h>

#include "proxy/base/alloc.h"
#include "proxy/base/num.h"
#include "proxy/wire/base64.h"
#include "proxy/wire/scram.h"

/*
 * SASLprep as PostgreSQL's pg_saslprep: ASCII stays as it is, and what cannot be prepared (not
 * UTF-8, prohibited or unassigned characters) is used raw, because the server does the same.
 * *prepared is OWN by the caller, or NULL for "as it is". False: out of memory.
 */
static bool saslprep(struct slice password, char **prepared)
{
    *prepared = NULL;
    bool ascii = true;
    for (size_t i = 0; i < password.len; i++)
        ascii = ascii && (unsigned char)password.ptr[i] < 0x80;
    if (ascii || memchr(password.ptr, 0, password.len))
        return true;
    char *text = pw_try_alloc(password.len + 1);
    if (!text)
        return false;
    memcpy(text, password.ptr, password.len);
    text[password.len] = 0;
    int rc = stringprep_profile(text, prepared, "SASLprep", STRINGPREP_NO_UNASSIGNED);
    pw_crypto_wipe(text, password.len);
    pw_free(text);
    if (rc != STRINGPREP_OK)
        *prepared = NULL;
    return rc != STRINGPREP_MALLOC_ERROR;
}

bool pw_scram_derive(struct slice password, struct slice salt, uint32_t iterations,
                     struct scram_keys *keys)
{
    char *prepared;
    if (password.len > SCRAM_PASSWORD_MAX || salt.len == 0 || salt.len > SCRAM_SALT_MAX ||
        iterations == 0 || iterations > SCRAM_ITERATIONS_MAX || !saslprep(password, &prepared))
        return false;
    struct slice use = prepared ? pw_slice_str(prepared) : password;
    uint8_t salted[SCRAM_KEY];
    const struct slice client = PW_SLICE_LIT("Client Key"), server = PW_SLICE_LIT("Server Key");
    bool ok = pw_crypto_pbkdf2_sha256(use, salt, iterations, salted) &&
              pw_crypto_hmac_sha256(salted, &client, 1, keys->client) &&
              pw_crypto_hmac_sha256(salted, &server, 1, keys->server);
    pw_crypto_wipe(salted, sizeof salted);
    if (prepared)
        pw_crypto_wipe(prepared, use.len);
    free(prepared); /* libidn's, from malloc */
    return ok;
}

/* Everything up to the separator, which must be there, is taken off *rest. */
static bool take_until(struct slice *rest, char separator, struct slice *out)
{
    const char *at = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    if (!at)
        return false;
    *out = (struct slice){rest->ptr, (size_t)(at - rest->ptr)};
    *rest = (struct slice){at + 1, rest->len - out->len - 1};
    return true;
}

static bool decode_key(struct slice text, uint8_t key[SCRAM_KEY])
{
    size_t len;
    return pw_base64_decode(text, key, SCRAM_KEY, &len) && len == SCRAM_KEY;
}

bool pw_scram_verifier_parse(struct slice text, struct scram_verifier *out)
{
    struct slice rest = text, scheme, iterations, salt, stored;
    uint64_t n;
    size_t salt_len;
    if (!take_until(&rest, '$', &scheme) || !pw_slice_is(scheme, SCRAM_MECHANISM) ||
        !take_until(&rest, ':', &iterations) || !take_until(&rest, '$', &salt) ||
        !take_until(&rest, ':', &stored))
        return false;
    if (!pw_num_parse_u64(iterations, &n) || n == 0 || n > SCRAM_ITERATIONS_MAX ||
        !pw_base64_decode(salt, out->salt, sizeof out->salt, &salt_len) || salt_len == 0 ||
        !decode_key(stored, out->stored) || !decode_key(rest, out->server))
        return false;
    out->iterations = (uint32_t)n;
    out->salt_len = (uint16_t)salt_len;
    return true;
}

bool pw_scram_verifier_print(const struct scram_verifier *v, struct buf *out)
{
    return pw_buf_printf(out, SCRAM_MECHANISM "$%u:", v->iterations) &&
           pw_base64_encode(out, v->salt, v->salt_len) && pw_buf_append_str(out, "$") &&
           pw_base64_encode(out, v->stored, SCRAM_KEY) && pw_buf_append_str(out, ":") &&
           pw_base64_encode(out, v->server, SCRAM_KEY);
}

bool pw_scram_verifier_from_keys(const struct scram_keys *keys, struct slice salt,
                                 uint32_t iterations, struct scram_verifier *out)
{
    if (salt.len == 0 || salt.len > SCRAM_SALT_MAX || iterations == 0 ||
        iterations > SCRAM_ITERATIONS_MAX)
        return false;
    out->iterations = iterations;
    out->salt_len = (uint16_t)salt.len;
    memcpy(out->salt, salt.ptr, salt.len);
    memcpy(out->server, keys->server, SCRAM_KEY);
    return pw_crypto_sha256((struct slice){(const char *)keys->client, SCRAM_KEY}, out->stored);
}

bool pw_scram_verifier_mock(struct slice user, const uint8_t seed[SCRAM_KEY],
                            struct scram_verifier *out)
{
    uint8_t salt[SCRAM_KEY];
    if (!pw_crypto_hmac_sha256(seed, &user, 1, salt))
        return false;
    *out = (struct scram_verifier){.iterations = SCRAM_ITERATIONS, .salt_len = SCRAM_SALT_NEW};
    memcpy(out->salt, salt, SCRAM_SALT_NEW);
    return true;
}

bool pw_scram_verifier_matches(const struct scram_verifier *v, const struct scram_keys *keys)
{
    uint8_t stored[SCRAM_KEY];
    return pw_crypto_sha256((struct slice){(const char *)keys->client, SCRAM_KEY}, stored) &&
           pw_crypto_equal(stored, v->stored, SCRAM_KEY);
}

bool pw_scram_sign(const uint8_t key[SCRAM_KEY], const struct scram_texts *t,
                   uint8_t out[SCRAM_KEY])
{
    const struct slice parts[] = {t->client_first_bare, PW_SLICE_LIT(","), t->server_first,
                                  PW_SLICE_LIT(","), t->client_final_bare};
    return pw_crypto_hmac_sha256(key, parts, PW_COUNT_OF(parts), out);
}
