/*
 * The few primitives the logins need; crypto.c is the only file of this room that sees OpenSSL.
 * A false return means that OpenSSL refused (out of memory, or a FIPS provider without MD5).
 * No state of ours; any thread. pw_crypto_pbkdf2 takes milliseconds: never on an event loop.
 */
#ifndef PROXY_WIRE_CRYPTO_H
#define PROXY_WIRE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/slice.h"

enum { CRYPTO_SHA256 = 32, CRYPTO_MD5 = 16 };

PW_MUSTUSE bool pw_crypto_random(void *out, size_t len);
PW_MUSTUSE bool pw_crypto_sha256(struct slice data, uint8_t out[CRYPTO_SHA256]);
/* Over the concatenation of the parts. */
PW_MUSTUSE bool pw_crypto_md5(const struct slice *parts, size_t count, uint8_t out[CRYPTO_MD5]);
PW_MUSTUSE bool pw_crypto_hmac_sha256(const uint8_t key[CRYPTO_SHA256], const struct slice *parts,
                                      size_t count, uint8_t out[CRYPTO_SHA256]);
PW_MUSTUSE bool pw_crypto_pbkdf2_sha256(struct slice password, struct slice salt,
                                        uint32_t iterations, uint8_t out[CRYPTO_SHA256]);
/* In time that depends on the length only. */
bool pw_crypto_equal(const void *a, const void *b, size_t len);
bool pw_crypto_slice_equal(struct slice a, struct slice b);
/* Overwrites a secret; not optimized away. */
void pw_crypto_wipe(void *secret, size_t len);

#endif
