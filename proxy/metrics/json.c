#include "proxy/metrics/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Length of the UTF-8 character at p, or 0 when the bytes there are not one (overlong forms,
 * surrogates and values above U+10FFFF are not). */
static size_t utf8_len(const unsigned char *p, size_t left)
{
    size_t len;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        len = 2;
    else if (p[0] >= 0xE0 && p[0] <= 0xEF)
        len = 3;
    else if (p[0] >= 0xF0 && p[0] <= 0xF4)
        len = 4;
    else
        return 0;
    if (left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
    bool outside = (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF4 && p[1] > 0x8F);
    return overlong || outside ? 0 : len;
}

bool pw_json_string(struct buf *out, struct slice text)
{
    bool ok = pw_buf_append_u8(out, '"');
    const unsigned char *p = (const unsigned char *)text.ptr;
    for (size_t i = 0; i < text.len && ok;) {
        size_t len = utf8_len(p + i, text.len - i);
        if (len == 0) {
            ok = pw_buf_append_str(out, "\\ufffd");
            len = 1;
        } else if (p[i] == '"' || p[i] == '\\') {
            ok = pw_buf_append_u8(out, '\\') && pw_buf_append_u8(out, p[i]);
        } else if (p[i] == '\n') {
            ok = pw_buf_append_str(out, "\\n");
        } else if (p[i] < 0x20 || p[i] == 0x7F) {
            ok = pw_buf_printf(out, "\\u%04x", p[i]);
        } else {
            ok = pw_buf_append(out, p + i, len);
        }
        i += len;
    }
    return ok && pw_buf_append_u8(out, '"');
}

bool pw_json_number(struct buf *out, double v)
{
    char text[40];
    if (!isfinite(v))
        return pw_buf_append_str(out, "null");
    snprintf(text, sizeof text, "%.15g", v);
    if (strtod(text, NULL) != v)
        snprintf(text, sizeof text, "%.17g", v);
    return pw_buf_append_str(out, text);
}
