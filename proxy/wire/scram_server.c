/* SCRAM-SHA-256, the side that checks a client. Owns what scram_server holds; any thread. */
#include "proxy/wire/base64.h"
#include "proxy/wire/scram.h"
#include "proxy/wire/scram_attr.h"

static enum scram_result fail(struct scram_server *s, const char *reason)
{
    s->state = SCRAM_SERVER_END;
    s->reason = reason;
    return SCRAM_FAIL;
}

bool pw_scram_server_init(struct scram_server *s, const struct scram_verifier *v, bool doomed)
{
    *s = (struct scram_server){.verifier = *v, .doomed = doomed};
    return pw_scram_nonce_new(s->nonce);
}

void pw_scram_server_bind(struct scram_server *s, const struct scram_binding *b, bool chosen)
{
    s->binding = *b;
    s->is_bound = chosen && b->len > 0;
}

/* "n,,", "y,," or "p=tls-server-end-point,," in front of the bare message; no authorization
 * identity. As PostgreSQL's auth-scram.c, read_client_first_message. */
static const char *read_gs2_header(struct scram_server *s, struct slice *in)
{
    s->gs2_flag = in->len ? in->ptr[0] : 0;
    if (s->gs2_flag != 'n' && s->gs2_flag != 'y' && s->gs2_flag != 'p')
        return "malformed SCRAM message";
    if (s->gs2_flag == 'p' && !s->is_bound)
        return "client asks for channel binding, which was not offered";
    if (s->gs2_flag != 'p' && s->is_bound)
        return "client chose " SCRAM_MECHANISM_PLUS ", but no channel binding";
    if (s->gs2_flag == 'y' && s->binding.len)
        return "client believes that channel binding was not offered, but it was: somebody between "
               "may have changed that";
    const char *header = pw_scram_gs2_header(s->gs2_flag);
    size_t len = strlen(header);
    if (in->len < len || memcmp(in->ptr, header, len - 1) != 0)
        return s->gs2_flag == 'p' ? "client asks for another type of channel binding"
                                  : "malformed SCRAM message";
    if (in->ptr[len - 1] != ',')
        return "client uses an authorization identity";
    *in = (struct slice){in->ptr + len, in->len - len};
    return NULL;
}

static bool binding_matches(const struct scram_server *s, struct slice binding)
{
    struct buf want;
    pw_buf_init(&want, SCRAM_MESSAGE_MAX);
    bool same = pw_scram_append_binding(&want, s->gs2_flag, &s->binding) &&
                pw_crypto_slice_equal(binding, pw_buf_slice(&want));
    pw_buf_free(&want);
    return same;
}

/* Formats server-first and remembers where the whole nonce is in it. */
static bool make_server_first(struct scram_server *s, struct slice client_nonce)
{
    struct buf text;
    pw_buf_init(&text, SCRAM_MESSAGE_MAX);
    size_t own = strlen(s->nonce);
    bool ok = pw_buf_append_str(&text, "r=") &&
              pw_buf_append(&text, client_nonce.ptr, client_nonce.len) &&
              pw_buf_append(&text, s->nonce, own) && pw_buf_append_str(&text, ",s=") &&
              pw_base64_encode(&text, s->verifier.salt, s->verifier.salt_len) &&
              pw_buf_printf(&text, ",i=%u", s->verifier.iterations) &&
              pw_scram_text_set(&s->server_first, pw_buf_slice(&text));
    pw_buf_free(&text);
    s->full_nonce = (struct slice){s->server_first.text + 2, client_nonce.len + own};
    return ok;
}

static enum scram_result client_first(struct scram_server *s, struct slice in, struct buf *out)
{
    const char *wrong = read_gs2_header(s, &in);
    if (wrong)
        return fail(s, wrong);
    if (!pw_scram_text_set(&s->client_first_bare, in))
        return fail(s, "SCRAM message too long");
    struct slice user, nonce, value;
    char name;
    if (in.len && in.ptr[0] == 'm')
        return fail(s, "client requires an unsupported SCRAM extension");
    /* The user name is the one of the StartupMessage; this one is not looked at. */
    if (!pw_scram_attr(&in, 'n', &user) || !pw_scram_attr(&in, 'r', &nonce) ||
        !pw_scram_nonce_valid(nonce))
        return fail(s, "malformed SCRAM message");
    while (in.len) {
        if (!pw_scram_attr_any(&in, &name, &value))
            return fail(s, "malformed SCRAM message");
    }
    if (!make_server_first(s, nonce) ||
        !pw_buf_append(out, s->server_first.text, s->server_first.len))
        return fail(s, "SCRAM message too long");
    s->state = SCRAM_SERVER_FINAL;
    return SCRAM_MORE;
}

/* ClientKey = proof XOR HMAC(StoredKey, AuthMessage); its hash must be StoredKey. */
static bool check_proof(struct scram_server *s, const struct scram_texts *t,
                        const uint8_t proof[SCRAM_KEY])
{
    uint8_t signature[SCRAM_KEY];
    if (!pw_scram_sign(s->verifier.stored, t, signature))
        return false;
    for (size_t i = 0; i < SCRAM_KEY; i++)
        s->keys.client[i] = proof[i] ^ signature[i];
    memcpy(s->keys.server, s->verifier.server, SCRAM_KEY);
    bool good = pw_scram_verifier_matches(&s->verifier, &s->keys) & !s->doomed;
    if (!good)
        pw_crypto_wipe(&s->keys, sizeof s->keys);
    return good;
}

static enum scram_result client_final(struct scram_server *s, struct slice in, struct buf *out)
{
    struct slice whole = in, binding, nonce, value = {0};
    uint8_t proof[SCRAM_KEY], signature[SCRAM_KEY];
    char name = 0;
    size_t len, bare = 0;
    if (!pw_scram_attr(&in, 'c', &binding) || !pw_scram_attr(&in, 'r', &nonce))
        return fail(s, "malformed SCRAM message");
    while (name != 'p') {
        bare = whole.len - in.len - 1; /* without the comma */
        if (!pw_scram_attr_any(&in, &name, &value))
            return fail(s, "malformed SCRAM message");
    }
    if (in.len || value.ptr + value.len != whole.ptr + whole.len ||
        !pw_base64_decode(value, proof, SCRAM_KEY, &len) || len != SCRAM_KEY)
        return fail(s, "malformed SCRAM proof");
    if (!binding_matches(s, binding))
        return fail(s, s->is_bound ? "SCRAM channel binding check failed: the client sees another "
                                     "certificate than ours"
                                   : "unexpected SCRAM channel binding data");
    if (!pw_crypto_slice_equal(nonce, s->full_nonce))
        return fail(s, "SCRAM nonce does not match");
    const struct scram_texts texts = {pw_scram_text_slice(&s->client_first_bare),
                                      pw_scram_text_slice(&s->server_first),
                                      {whole.ptr, bare}};
    if (!check_proof(s, &texts, proof))
        return fail(s, s->doomed ? "no such user, or no usable password" : "wrong password");
    if (!pw_scram_sign(s->verifier.server, &texts, signature) || !pw_buf_append_str(out, "v=") ||
        !pw_base64_encode(out, signature, SCRAM_KEY))
        return fail(s, "out of memory");
    s->state = SCRAM_SERVER_END;
    return SCRAM_OK;
}

enum scram_result pw_scram_server_feed(struct scram_server *s, struct slice in, struct buf *out)
{
    switch (s->state) {
    case SCRAM_SERVER_FIRST:
        return client_first(s, in, out);
    case SCRAM_SERVER_FINAL:
        return client_final(s, in, out);
    case SCRAM_SERVER_END:
        break;
    }
    return fail(s, "SCRAM message after the end of the exchange");
}

void pw_scram_server_wipe(struct scram_server *s)
{
    pw_crypto_wipe(s, sizeof *s);
}
