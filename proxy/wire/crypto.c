/* OpenSSL behind seven functions. Any thread. The only state: what OpenSSL's providers were asked
 * for once, because asking takes locks and searches by name, which a login would do eight times. */
#include "proxy/wire/crypto.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>

bool pw_crypto_random(void *out, size_t len)
{
    return len <= INT_MAX && RAND_bytes(out, (int)len) == 1;
}

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;    /* OWN by the process, like hmac; NULL: OpenSSL refused */
static EVP_MAC_CTX *hmac; /* HMAC-SHA-256 without a key: only ever duplicated */

static void fetch(void)
{
    char name[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                 OSSL_PARAM_construct_end()};
    sha256 = EVP_MD_fetch(NULL, name, NULL);
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    hmac = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac); /* the context holds it */
    if (hmac && EVP_MAC_CTX_set_params(hmac, params) != 1) {
        EVP_MAC_CTX_free(hmac);
        hmac = NULL;
    }
}

static bool digest(const EVP_MD *md, const struct slice *parts, size_t count, uint8_t *out)
{
    EVP_MD_CTX *ctx = md ? EVP_MD_CTX_new() : NULL;
    bool ok = ctx && EVP_DigestInit_ex(ctx, md, NULL) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].ptr, parts[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

bool pw_crypto_sha256(struct slice data, uint8_t out[CRYPTO_SHA256])
{
    pthread_once(&fetched, fetch);
    return digest(sha256, &data, 1, out);
}

bool pw_crypto_md5(const struct slice *parts, size_t count, uint8_t out[CRYPTO_MD5])
{
    return digest(EVP_md5(), parts, count, out);
}

bool pw_crypto_hmac_sha256(const uint8_t key[CRYPTO_SHA256], const struct slice *parts,
                           size_t count, uint8_t out[CRYPTO_SHA256])
{
    pthread_once(&fetched, fetch);
    EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_dup(hmac) : NULL;
    bool ok = ctx && EVP_MAC_init(ctx, key, CRYPTO_SHA256, NULL) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = parts[i].len == 0 ||
             EVP_MAC_update(ctx, (const unsigned char *)parts[i].ptr, parts[i].len) == 1;
    size_t len = 0;
    ok = ok && EVP_MAC_final(ctx, out, &len, CRYPTO_SHA256) == 1 && len == CRYPTO_SHA256;
    EVP_MAC_CTX_free(ctx);
    return ok;
}

bool pw_crypto_pbkdf2_sha256(struct slice password, struct slice salt, uint32_t iterations,
                             uint8_t out[CRYPTO_SHA256])
{
    if (password.len > INT_MAX || salt.len > INT_MAX || iterations == 0 || iterations > INT_MAX)
        return false;
    return PKCS5_PBKDF2_HMAC(password.len ? password.ptr : "", (int)password.len,
                             (const unsigned char *)salt.ptr, (int)salt.len, (int)iterations,
                             EVP_sha256(), CRYPTO_SHA256, out) == 1;
}

bool pw_crypto_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

bool pw_crypto_slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || pw_crypto_equal(a.ptr, b.ptr, a.len));
}

void pw_crypto_wipe(void *secret, size_t len)
{
    OPENSSL_cleanse(secret, len);
}
