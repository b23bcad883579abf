/*
 * PostgreSQL's md5 passwords: the stored form "md5" + hex(md5(password + user)), and the answer to
 * a salted challenge "md5" + hex(md5(hex + salt)). False means that MD5 is not available. Any
 * thread.
 */
#ifndef PROXY_WIRE_MD5_H
#define PROXY_WIRE_MD5_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/slice.h"

enum { MD5_TEXT = 35, MD5_SALT = 4 };

struct md5_text {
    char text[MD5_TEXT + 1];
};

/* Is this the stored form: "md5" and 32 hexadecimal digits? */
bool pw_md5_is_hash(struct slice secret);
PW_MUSTUSE bool pw_md5_hash(struct slice password, struct slice user, struct md5_text *out);
/* hash is the stored form. */
PW_MUSTUSE bool pw_md5_respond(struct slice hash, const uint8_t salt[MD5_SALT],
                               struct md5_text *out);

#endif
