/*
 * What is known of one user's password: nothing, the password, an md5 hash or a SCRAM verifier.
 * Decides by its text, as PostgreSQL does with rolpassword. Owns a copy of the text, wiped by
 * pw_secret_wipe. Not movable into logs: there is no way to print one. Any thread.
 */
#ifndef PROXY_WIRE_SECRET_H
#define PROXY_WIRE_SECRET_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/slice.h"
#include "proxy/wire/md5.h"
#include "proxy/wire/scram.h"

enum secret_kind { SECRET_NONE, SECRET_PLAIN, SECRET_MD5, SECRET_SCRAM };

struct secret {
    enum secret_kind kind;
    char *text; /* OWN: PLAIN and MD5; ends in a NUL */
    size_t len;
    struct scram_verifier verifier; /* SCRAM */
};

/* An empty text is SECRET_NONE: PostgreSQL has no empty passwords. False: too long, or no memory.
 */
PW_MUSTUSE bool pw_secret_init(struct secret *s, struct slice text);
/* The text is a password whatever it looks like: what a user typed, or what a URL holds. */
PW_MUSTUSE bool pw_secret_init_plain(struct secret *s, struct slice password);
void pw_secret_wipe(struct secret *s);

static inline struct slice pw_secret_text(const struct secret *s)
{
    return (struct slice){s->text, s->len};
}

/* The stored md5 form for this user, from PLAIN or MD5; false for the others. */
bool pw_secret_md5(const struct secret *s, struct slice user, struct md5_text *out);

#endif
