/* One user's password in any of its forms. Owns the copy; any thread. */
#include "proxy/wire/secret.h"

#include "proxy/base/alloc.h"

static bool keep(struct secret *s, enum secret_kind kind, struct slice text)
{
    if (text.len > SCRAM_PASSWORD_MAX || memchr(text.ptr, 0, text.len))
        return false;
    s->text = pw_try_alloc(text.len + 1);
    if (!s->text)
        return false;
    memcpy(s->text, text.ptr, text.len);
    s->text[text.len] = 0;
    s->len = text.len;
    s->kind = kind;
    return true;
}

bool pw_secret_init(struct secret *s, struct slice text)
{
    *s = (struct secret){0};
    if (text.len == 0)
        return true;
    if (pw_scram_verifier_parse(text, &s->verifier)) {
        s->kind = SECRET_SCRAM;
        return true;
    }
    return keep(s, pw_md5_is_hash(text) ? SECRET_MD5 : SECRET_PLAIN, text);
}

bool pw_secret_init_plain(struct secret *s, struct slice password)
{
    *s = (struct secret){0};
    return password.len == 0 || keep(s, SECRET_PLAIN, password);
}

void pw_secret_wipe(struct secret *s)
{
    if (s->text)
        pw_crypto_wipe(s->text, s->len);
    PW_FREE(s->text);
    pw_crypto_wipe(s, sizeof *s);
}

bool pw_secret_md5(const struct secret *s, struct slice user, struct md5_text *out)
{
    if (s->kind == SECRET_PLAIN)
        return pw_md5_hash(pw_secret_text(s), user, out);
    if (s->kind != SECRET_MD5)
        return false;
    memcpy(out->text, s->text, MD5_TEXT + 1);
    return true;
}
