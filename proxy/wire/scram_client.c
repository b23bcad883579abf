/* SCRAM-SHA-256, the side that logs in to a server. Owns what scram_client holds; any thread. */
#include "proxy/base/num.h"
#include "proxy/wire/base64.h"
#include "proxy/wire/scram.h"
#include "proxy/wire/scram_attr.h"

static enum scram_client_result fail(struct scram_client *c, const char *reason)
{
    c->state = SCRAM_CLIENT_END;
    c->reason = reason;
    return SCRAM_CLIENT_FAIL;
}

bool pw_scram_client_init(struct scram_client *c, struct slice password)
{
    *c = (struct scram_client){.password = password, .gs2_flag = 'n'};
    return pw_scram_nonce_new(c->nonce);
}

bool pw_scram_client_init_keys(struct scram_client *c, const struct scram_keys *keys)
{
    *c = (struct scram_client){.have_keys = true, .keys = *keys, .gs2_flag = 'n'};
    return pw_scram_nonce_new(c->nonce);
}

void pw_scram_client_bind(struct scram_client *c, const struct scram_binding *b, bool offered)
{
    c->binding = *b;
    c->gs2_flag = b->len == 0 ? 'n' : offered ? 'p' : 'y';
}

/* PostgreSQL takes the user from the StartupMessage, so n= stays empty, as in libpq. */
enum scram_client_result pw_scram_client_first(struct scram_client *c, struct buf *out)
{
    struct buf bare;
    pw_buf_init(&bare, SCRAM_MESSAGE_MAX);
    bool ok = c->state == SCRAM_CLIENT_FIRST && pw_buf_append_str(&bare, "n=,r=") &&
              pw_buf_append_str(&bare, c->nonce) &&
              pw_scram_text_set(&c->client_first_bare, pw_buf_slice(&bare)) &&
              pw_buf_append_str(out, pw_scram_gs2_header(c->gs2_flag)) &&
              pw_buf_append(out, bare.data, bare.len);
    pw_buf_free(&bare);
    if (!ok)
        return fail(c, "out of memory");
    c->state = SCRAM_CLIENT_CHALLENGE;
    return SCRAM_CLIENT_MORE;
}

/* "c=<binding>,r=<nonce>" and the proof: ClientKey XOR HMAC(H(ClientKey), AuthMessage). */
static bool append_final(struct scram_client *c, struct slice nonce, struct buf *out)
{
    struct buf bare;
    pw_buf_init(&bare, SCRAM_MESSAGE_MAX);
    bool ok = pw_buf_append_str(&bare, "c=") &&
              pw_scram_append_binding(&bare, c->gs2_flag, &c->binding) &&
              pw_buf_append_str(&bare, ",r=") && pw_buf_append(&bare, nonce.ptr, nonce.len) &&
              pw_scram_text_set(&c->client_final_bare, pw_buf_slice(&bare));
    pw_buf_free(&bare);
    const struct scram_texts texts = {pw_scram_text_slice(&c->client_first_bare),
                                      pw_scram_text_slice(&c->server_first),
                                      pw_scram_text_slice(&c->client_final_bare)};
    uint8_t stored[SCRAM_KEY], proof[SCRAM_KEY];
    ok = ok && pw_crypto_sha256((struct slice){(char *)c->keys.client, SCRAM_KEY}, stored) &&
         pw_scram_sign(stored, &texts, proof);
    for (size_t i = 0; ok && i < SCRAM_KEY; i++)
        proof[i] ^= c->keys.client[i];
    return ok && pw_buf_append(out, c->client_final_bare.text, c->client_final_bare.len) &&
           pw_buf_append_str(out, ",p=") && pw_base64_encode(out, proof, SCRAM_KEY);
}

/* The server's nonce must begin with ours and add something. */
static bool nonce_continues(const struct scram_client *c, struct slice nonce)
{
    size_t own = strlen(c->nonce);
    return pw_scram_nonce_valid(nonce) && nonce.len > own && memcmp(nonce.ptr, c->nonce, own) == 0;
}

static enum scram_client_result send_final(struct scram_client *c, struct buf *out)
{
    struct slice rest = pw_scram_text_slice(&c->server_first), nonce;
    if (!pw_scram_attr(&rest, 'r', &nonce) || !append_final(c, nonce, out))
        return fail(c, "out of memory");
    c->state = SCRAM_CLIENT_FINAL;
    return SCRAM_CLIENT_MORE;
}

static enum scram_client_result challenge(struct scram_client *c, struct slice in, struct buf *out)
{
    struct slice nonce, salt, count, value, rest = in;
    uint64_t iterations;
    size_t salt_len;
    char name;
    if (!pw_scram_text_set(&c->server_first, in))
        return fail(c, "server's SCRAM message is too long");
    if (!pw_scram_attr(&rest, 'r', &nonce) || !pw_scram_attr(&rest, 's', &salt) ||
        !pw_scram_attr(&rest, 'i', &count))
        return fail(c, "malformed SCRAM message from the server");
    while (rest.len) {
        if (!pw_scram_attr_any(&rest, &name, &value))
            return fail(c, "malformed SCRAM message from the server");
    }
    if (!nonce_continues(c, nonce))
        return fail(c, "server's SCRAM nonce does not continue ours");
    if (!pw_base64_decode(salt, c->salt, sizeof c->salt, &salt_len) || salt_len == 0)
        return fail(c, "malformed SCRAM salt from the server");
    if (!pw_num_parse_u64(count, &iterations) || iterations == 0 ||
        iterations > SCRAM_ITERATIONS_MAX)
        return fail(c, "SCRAM iteration count of the server is out of range");
    if (c->have_keys)
        return send_final(c, out);
    c->job =
        (struct scram_job){c->password, {(const char *)c->salt, salt_len}, (uint32_t)iterations};
    c->state = SCRAM_CLIENT_DERIVING;
    return SCRAM_CLIENT_NEED_DERIVE;
}

enum scram_client_result pw_scram_client_resume(struct scram_client *c,
                                                const struct scram_keys *keys, struct buf *out)
{
    if (c->state != SCRAM_CLIENT_DERIVING || !keys)
        return fail(c, "SCRAM keys could not be derived");
    c->keys = *keys;
    c->have_keys = true;
    return send_final(c, out);
}

static enum scram_client_result server_final(struct scram_client *c, struct slice in)
{
    struct slice value, rest = in;
    char name;
    uint8_t got[SCRAM_KEY], want[SCRAM_KEY];
    size_t len;
    const struct scram_texts texts = {pw_scram_text_slice(&c->client_first_bare),
                                      pw_scram_text_slice(&c->server_first),
                                      pw_scram_text_slice(&c->client_final_bare)};
    if (!pw_scram_attr_any(&rest, &name, &value))
        return fail(c, "malformed SCRAM message from the server");
    if (name == 'e')
        return fail(c, "server reports a SCRAM error");
    if (name != 'v' || !pw_base64_decode(value, got, SCRAM_KEY, &len) || len != SCRAM_KEY)
        return fail(c, "malformed SCRAM signature from the server");
    if (!pw_scram_sign(c->keys.server, &texts, want) || !pw_crypto_equal(got, want, SCRAM_KEY))
        return fail(c, "server does not know the password: its SCRAM signature is wrong");
    c->state = SCRAM_CLIENT_END;
    return SCRAM_CLIENT_OK;
}

enum scram_client_result pw_scram_client_feed(struct scram_client *c, struct slice in,
                                              struct buf *out)
{
    switch (c->state) {
    case SCRAM_CLIENT_CHALLENGE:
        return challenge(c, in, out);
    case SCRAM_CLIENT_FINAL:
        return server_final(c, in);
    case SCRAM_CLIENT_FIRST:
    case SCRAM_CLIENT_DERIVING:
    case SCRAM_CLIENT_END:
        break;
    }
    return fail(c, "unexpected SCRAM message from the server");
}

void pw_scram_client_wipe(struct scram_client *c)
{
    pw_crypto_wipe(c, sizeof *c);
}
