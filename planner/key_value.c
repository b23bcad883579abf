/*
 * The value of a key as bytes that are equal when the values are (planner.h): what literals and
 * parameters spell, without the many ways to spell it. Pure.
 */
#include <string.h>

#include "planner/planner.h"
#include "planner/scan.h"

enum {
    OID_BPCHAR_UNKNOWN = 705,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_VARCHAR = 1043,
    OID_UUID = 2950
};

static bool put_integer(uint64_t magnitude, bool negative, struct plan_key_bytes *out)
{
    if (magnitude > (uint64_t)INT64_MAX)
        return false;
    int64_t v = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    memcpy(out->bytes, &v, sizeof v);
    out->len = sizeof v;
    return true;
}

/* Digits, with a sign and blanks around as PostgreSQL 15 reads them. */
static bool integer_text(struct slice text, bool negative, struct plan_key_bytes *out)
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    uint64_t n = 0;
    while (p < end && scan_class_of(*p) == SCAN_SPACE)
        p++;
    if (p < end && (*p == '-' || *p == '+'))
        negative ^= *p++ == '-';
    const char *digits = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (n > (uint64_t)INT64_MAX / 10)
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    if (p == digits)
        return false;
    while (p < end && scan_class_of(*p) == SCAN_SPACE)
        p++;
    return p == end && put_integer(n, negative, out);
}

static bool integer_binary(struct slice raw, struct plan_key_bytes *out)
{
    if (raw.len != 2 && raw.len != 4 && raw.len != 8)
        return false;
    uint64_t n = (uint64_t)((int64_t)(int8_t)raw.ptr[0]);
    for (size_t i = 1; i < raw.len; i++)
        n = n << 8 | (uint8_t)raw.ptr[i];
    int64_t v = (int64_t)n;
    memcpy(out->bytes, &v, sizeof v);
    out->len = sizeof v;
    return true;
}

/* Bytes above 127 depend on the client's encoding. */
static bool text_bytes(struct slice raw, struct plan_key_bytes *out)
{
    if (raw.len > sizeof out->bytes)
        return false;
    for (size_t i = 0; i < raw.len; i++) {
        if ((uint8_t)raw.ptr[i] > 127)
            return false;
    }
    memcpy(out->bytes, raw.ptr, raw.len);
    out->len = raw.len;
    return true;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* 32 digits, hyphens after every four at most; braces are not understood. */
static bool uuid_text(struct slice text, struct plan_key_bytes *out)
{
    size_t n = 0;
    memset(out->bytes, 0, 16);
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex(text.ptr[i]);
        if (text.ptr[i] == '-' && n && n % 4 == 0 && text.ptr[i - 1] != '-')
            continue;
        if (digit < 0 || n == 32)
            return false;
        out->bytes[n / 2] = (char)(out->bytes[n / 2] << 4 | digit);
        n++;
    }
    out->len = 16;
    return n == 32;
}

static bool uuid_binary(struct slice raw, struct plan_key_bytes *out)
{
    if (raw.len != 16)
        return false;
    memcpy(out->bytes, raw.ptr, 16);
    out->len = 16;
    return true;
}

static bool from_text(const struct plan_key_column *column, struct slice text, bool negative,
                      struct plan_key_bytes *out)
{
    switch (column->kind) {
    case PLAN_KEY_INTEGER:
        return integer_text(text, negative, out);
    case PLAN_KEY_TEXT:
        return !negative && text_bytes(text, out);
    case PLAN_KEY_UUID:
        return !negative && uuid_text(text, out);
    default:
        return false;
    }
}

bool pw_plan_key_param(const struct plan_key_column *column, uint32_t type, bool is_binary,
                       struct slice value, struct plan_key_bytes *out)
{
    bool is_text = type == OID_TEXT || type == OID_VARCHAR || type == OID_BPCHAR_UNKNOWN;
    bool is_integer = type == OID_INT2 || type == OID_INT4 || type == OID_INT8;
    if (!value.ptr)
        return false;
    switch (column->kind) {
    case PLAN_KEY_INTEGER:
        if (type && !is_integer)
            return false;
        return is_binary ? integer_binary(value, out) : integer_text(value, false, out);
    case PLAN_KEY_TEXT:
        return (!type || is_text) && text_bytes(value, out);
    case PLAN_KEY_UUID:
        if (type && type != OID_UUID)
            return false;
        return is_binary ? uuid_binary(value, out) : uuid_text(value, out);
    default:
        return false;
    }
}

/* 'it''s' $$x$$ e'x' 7: what it spells. A slot that has escapes is of another kind. */
static bool unquote(struct slice literal, struct plan_key_bytes *out)
{
    const char *p = literal.ptr, *end = literal.ptr + literal.len, *body, *body_end;
    out->len = 0;
    if (p < end && *p == '$') {
        if (!pw_scan_dollar(p, end, &body, &body_end) ||
            (size_t)(body_end - body) > sizeof out->bytes)
            return false;
        out->len = (size_t)(body_end - body);
        memcpy(out->bytes, body, out->len);
        return true;
    }
    if (p < end && (*p == 'e' || *p == 'E'))
        p++;
    bool quoted = p < end && *p == '\'';
    p += quoted;
    end -= quoted;
    for (; p < end; p++) {
        if (out->len == sizeof out->bytes)
            return false;
        out->bytes[out->len++] = *p;
        if (quoted && *p == '\'')
            p++;
    }
    return true;
}

bool pw_plan_key_literal(const struct plan_key_column *column, const struct plan_value *v,
                         struct slice literal, struct plan_key_bytes *out)
{
    struct plan_key_bytes text;
    return unquote(literal, &text) &&
           from_text(column, pw_slice(text.bytes, text.len), v->is_negative, out);
}
