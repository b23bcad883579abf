/* Strict base64. No state; any thread. */
#include "proxy/wire/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool pw_base64_encode(struct buf *out, const void *data, size_t len)
{
    const uint8_t *in = data;
    if (!pw_buf_reserve(out, pw_base64_encoded_len(len)))
        return false;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16;
        v |= i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0;
        v |= i + 2 < len ? in[i + 2] : 0u;
        const char quad[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63],
                              i + 1 < len ? alphabet[v >> 6 & 63] : '=',
                              i + 2 < len ? alphabet[v & 63] : '='};
        pw_buf_append(out, quad, sizeof quad);
    }
    return true;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool pw_base64_decode(struct slice text, void *out, size_t max, size_t *len)
{
    uint8_t *to = out;
    *len = 0;
    if (text.len % 4 != 0)
        return false;
    size_t pad = 0;
    while (pad < 2 && pad < text.len && text.ptr[text.len - 1 - pad] == '=')
        pad++;
    size_t want = text.len / 4 * 3 - pad;
    if (want > max)
        return false;
    uint32_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        int d = i >= text.len - pad ? 0 : value_of(text.ptr[i]);
        if (d < 0)
            return false;
        v = v << 6 | (uint32_t)d;
        if (i % 4 == 3) {
            const uint8_t bytes[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
            for (size_t k = 0; k < 3 && *len < want; k++)
                to[(*len)++] = bytes[k];
            /* The bits that padding hides must be zero, or two texts would mean the same bytes. */
            if (i + 1 == text.len &&
                ((pad == 1 && bytes[2]) || (pad == 2 && (bytes[1] || bytes[2]))))
                return false;
            v = 0;
        }
    }
    return true;
}
