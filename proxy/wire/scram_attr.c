/* Attributes and nonces of SCRAM messages. No state; any thread. */
#include "proxy/wire/scram_attr.h"

#include "proxy/wire/base64.h"

bool pw_scram_attr_any(struct slice *rest, char *name, struct slice *value)
{
    if (rest->len < 2 || rest->ptr[1] != '=')
        return false;
    char c = rest->ptr[0];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
        return false;
    *name = c;
    const char *start = rest->ptr + 2;
    size_t left = rest->len - 2;
    const char *comma = left ? memchr(start, ',', left) : NULL;
    *value = (struct slice){start, comma ? (size_t)(comma - start) : left};
    size_t used = 2 + value->len + (comma ? 1 : 0);
    *rest = (struct slice){rest->ptr + used, rest->len - used};
    return true;
}

bool pw_scram_attr(struct slice *rest, char name, struct slice *value)
{
    char got;
    return pw_scram_attr_any(rest, &got, value) && got == name;
}

bool pw_scram_nonce_valid(struct slice nonce)
{
    if (nonce.len == 0 || nonce.len > SCRAM_NONCE_MAX)
        return false;
    for (size_t i = 0; i < nonce.len; i++) {
        if (nonce.ptr[i] < 0x21 || nonce.ptr[i] > 0x7e || nonce.ptr[i] == ',')
            return false;
    }
    return true;
}

bool pw_scram_nonce_new(char out[SCRAM_NONCE_MAX + 1])
{
    uint8_t raw[SCRAM_NONCE_OURS / 4 * 3];
    struct buf text;
    pw_buf_init(&text, SCRAM_NONCE_OURS);
    bool ok = pw_crypto_random(raw, sizeof raw) && pw_base64_encode(&text, raw, sizeof raw);
    if (ok) {
        memcpy(out, text.data, SCRAM_NONCE_OURS);
        out[SCRAM_NONCE_OURS] = 0;
    }
    pw_buf_free(&text);
    return ok;
}

bool pw_scram_text_set(struct scram_text *t, struct slice text)
{
    if (text.len > sizeof t->text)
        return false;
    if (text.len)
        memcpy(t->text, text.ptr, text.len);
    t->len = text.len;
    return true;
}

const char *pw_scram_gs2_header(char flag)
{
    return flag == 'p' ? "p=tls-server-end-point,," : flag == 'y' ? "y,," : "n,,";
}

bool pw_scram_append_binding(struct buf *out, char flag, const struct scram_binding *b)
{
    struct buf plain;
    pw_buf_init(&plain, SCRAM_MESSAGE_MAX);
    bool ok = pw_buf_append_str(&plain, pw_scram_gs2_header(flag)) &&
              (flag != 'p' || pw_buf_append(&plain, b->data, b->len)) &&
              pw_base64_encode(out, plain.data, plain.len);
    pw_buf_free(&plain);
    return ok;
}
