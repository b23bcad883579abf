/* PostgreSQL's md5 passwords. No state; any thread. */
#include "proxy/wire/md5.h"

#include "proxy/wire/crypto.h"

bool pw_md5_is_hash(struct slice secret)
{
    if (secret.len != MD5_TEXT || memcmp(secret.ptr, "md5", 3) != 0)
        return false;
    for (size_t i = 3; i < MD5_TEXT; i++) {
        char c = secret.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

static bool hash_parts(const struct slice parts[2], struct md5_text *out)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t sum[CRYPTO_MD5];
    if (!pw_crypto_md5(parts, 2, sum))
        return false;
    memcpy(out->text, "md5", 3);
    for (size_t i = 0; i < CRYPTO_MD5; i++) {
        out->text[3 + 2 * i] = hex[sum[i] >> 4];
        out->text[4 + 2 * i] = hex[sum[i] & 15];
    }
    out->text[MD5_TEXT] = 0;
    return true;
}

bool pw_md5_hash(struct slice password, struct slice user, struct md5_text *out)
{
    const struct slice parts[2] = {password, user};
    return hash_parts(parts, out);
}

bool pw_md5_respond(struct slice hash, const uint8_t salt[MD5_SALT], struct md5_text *out)
{
    if (!pw_md5_is_hash(hash))
        return false;
    const struct slice parts[2] = {{hash.ptr + 3, MD5_TEXT - 3}, {(const char *)salt, MD5_SALT}};
    return hash_parts(parts, out);
}
