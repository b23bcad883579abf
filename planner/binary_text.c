/* See binary_text.h. What each type sends is in PostgreSQL's *_send functions. */
#include "planner/binary_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "planner/binary_time.h"
#include "proxy/base/attrs.h"

enum {
    DIMENSIONS_MAX = 6,
    ARRAY_HEADER = 12,
    NUMERIC_DIGITS_MAX = 1000,
    NUMERIC_SCALE_MAX = 16383
};

static uint64_t integer(struct slice v, size_t at, size_t n)
{
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++)
        x = x << 8 | (uint8_t)v.ptr[at + i];
    return x;
}

static int64_t signed_integer(struct slice v, size_t at, size_t n)
{
    uint64_t x = integer(v, at, n), sign = UINT64_C(1) << (8 * n - 1);
    return (int64_t)((x ^ sign) - sign);
}

static bool integer_text(struct buf *out, struct slice v, size_t size)
{
    return v.len == size && pw_buf_printf(out, "%lld", (long long)signed_integer(v, 0, size));
}

static bool int2_text(struct buf *out, struct slice v)
{
    return integer_text(out, v, 2);
}

static bool int4_text(struct buf *out, struct slice v)
{
    return integer_text(out, v, 4);
}

static bool int8_text(struct buf *out, struct slice v)
{
    return integer_text(out, v, 8);
}

static bool oid_text(struct buf *out, struct slice v)
{
    return v.len == 4 && pw_buf_printf(out, "%u", (unsigned)integer(v, 0, 4));
}

static bool bool_text(struct buf *out, struct slice v)
{
    return v.len == 1 && pw_buf_append_str(out, v.ptr[0] ? "t" : "f");
}

static bool string_text(struct buf *out, struct slice v)
{
    return !v.len || (!memchr(v.ptr, 0, v.len) && pw_buf_append(out, v.ptr, v.len));
}

static bool jsonb_text(struct buf *out, struct slice v)
{
    return v.len > 1 && v.ptr[0] == 1 && string_text(out, pw_slice(v.ptr + 1, v.len - 1));
}

static bool hex(struct buf *out, struct slice v)
{
    for (size_t i = 0; i < v.len; i++)
        if (!pw_buf_printf(out, "%02x", (unsigned)(uint8_t)v.ptr[i]))
            return false;
    return true;
}

static bool bytea_text(struct buf *out, struct slice v)
{
    return pw_buf_append_str(out, "\\x") && hex(out, v);
}

static bool uuid_text(struct buf *out, struct slice v)
{
    return v.len == 16 && hex(out, v);
}

static bool real_text(struct buf *out, double x, int digits)
{
    if (isnan(x))
        return pw_buf_append_str(out, "NaN");
    if (isinf(x))
        return pw_buf_append_str(out, x > 0 ? "Infinity" : "-Infinity");
    return pw_buf_printf(out, "%.*g", digits, x);
}

static bool float4_text(struct buf *out, struct slice v)
{
    if (v.len != 4)
        return false;
    uint32_t bits = (uint32_t)integer(v, 0, 4);
    float x;
    memcpy(&x, &bits, sizeof x);
    return real_text(out, (double)x, 9);
}

static bool float8_text(struct buf *out, struct slice v)
{
    if (v.len != 8)
        return false;
    uint64_t bits = integer(v, 0, 8);
    double x;
    memcpy(&x, &bits, sizeof x);
    return real_text(out, x, 17);
}

/* The digits come four at a time, the first worth 10000 ^ weight. */
static unsigned numeric_group(struct slice v, int n, int weight, int place)
{
    int i = weight - place;
    return i >= 0 && i < n ? (unsigned)integer(v, 8 + 2 * (size_t)i, 2) : 0;
}

static bool numeric_text(struct buf *out, struct slice v)
{
    if (v.len < 8)
        return false;
    int n = (int)integer(v, 0, 2), weight = (int)signed_integer(v, 2, 2),
        scale = (int)integer(v, 6, 2);
    unsigned sign = (unsigned)integer(v, 4, 2);
    if (sign == 0xC000 || sign == 0xD000 || sign == 0xF000)
        return pw_buf_append_str(out, sign == 0xC000   ? "NaN"
                                      : sign == 0xD000 ? "Infinity"
                                                       : "-Infinity");
    if ((sign && sign != 0x4000) || v.len != 8 + 2 * (size_t)n || n > NUMERIC_DIGITS_MAX ||
        weight > NUMERIC_DIGITS_MAX || weight < -NUMERIC_DIGITS_MAX || scale > NUMERIC_SCALE_MAX)
        return false;
    /* What the scale cuts off, the server would round away or refuse: not worth knowing. */
    if ((n - 1 - weight) * 4 > scale + 3)
        return false;
    for (int i = 0; i < n; i++)
        if (integer(v, 8 + 2 * (size_t)i, 2) > 9999)
            return false;
    bool ok = !sign || pw_buf_append_u8(out, '-');
    ok = ok && pw_buf_printf(out, "%u", weight >= 0 ? numeric_group(v, n, weight, weight) : 0);
    for (int place = weight - 1; ok && place >= 0; place--)
        ok = pw_buf_printf(out, "%04u", numeric_group(v, n, weight, place));
    ok = ok && (!scale || pw_buf_append_u8(out, '.'));
    for (int done = 0, place = -1; ok && done < scale; done += 4, place--) {
        char group[16];
        snprintf(group, sizeof group, "%04u", numeric_group(v, n, weight, place));
        ok = pw_buf_append(out, group, scale - done < 4 ? (size_t)(scale - done) : 4);
        for (int i = scale - done; i < 4; i++)
            ok = ok && group[i] == '0';
    }
    return ok;
}

/* Family, bits of the mask, is it a cidr, length of the address. */
static bool inet_text(struct buf *out, struct slice v)
{
    if (v.len < 4)
        return false;
    unsigned family = (uint8_t)v.ptr[0], bits = (uint8_t)v.ptr[1];
    size_t len = (uint8_t)v.ptr[3];
    if (v.len != 4 + len || !((family == 2 && len == 4) || (family == 3 && len == 16)) ||
        bits > 8 * len)
        return false;
    for (size_t i = 0; i < len; i += family == 2 ? 1 : 2) {
        const char *separator = i ? family == 2 ? "." : ":" : "";
        bool ok = family == 2
                      ? pw_buf_printf(out, "%s%u", separator, (unsigned)integer(v, 4 + i, 1))
                      : pw_buf_printf(out, "%s%x", separator, (unsigned)integer(v, 4 + i, 2));
        if (!ok)
            return false;
    }
    return pw_buf_printf(out, "/%u", bits);
}

static bool date_text(struct buf *out, struct slice v)
{
    return v.len == 4 && pw_binary_date(out, (int32_t)signed_integer(v, 0, 4));
}

static bool time_text(struct buf *out, struct slice v)
{
    return v.len == 8 && pw_binary_time(out, signed_integer(v, 0, 8));
}

static bool timetz_text(struct buf *out, struct slice v)
{
    return v.len == 12 && pw_binary_time(out, signed_integer(v, 0, 8)) &&
           pw_binary_zone(out, (int32_t)signed_integer(v, 8, 4));
}

static bool timestamp_text(struct buf *out, struct slice v)
{
    return v.len == 8 && pw_binary_timestamp(out, signed_integer(v, 0, 8), "");
}

static bool timestamptz_text(struct buf *out, struct slice v)
{
    return v.len == 8 && pw_binary_timestamp(out, signed_integer(v, 0, 8), "+00");
}

static bool interval_text(struct buf *out, struct slice v)
{
    return v.len == 16 &&
           pw_binary_interval(out, signed_integer(v, 0, 8), (int32_t)signed_integer(v, 8, 4),
                              (int32_t)signed_integer(v, 12, 4));
}

/* ---- the types, and arrays of them ---- */

struct binary_type {
    uint32_t oid, array;
    const char *name, *array_name;
    bool (*read)(struct buf *out, struct slice v);
};

static const struct binary_type types[] = {
#define BINARY_TYPE(oid, array, name, read) {oid, array, name, name "[]", read},
#include "planner/binary_types.def"
#undef BINARY_TYPE
};

const char *pw_binary_type_name(uint32_t type)
{
    for (size_t i = 0; i < PW_COUNT_OF(types); i++) {
        if (types[i].oid == type)
            return types[i].name;
        if (types[i].array == type)
            return types[i].array_name;
    }
    return NULL;
}

struct array {
    const struct binary_type *type;
    struct slice rest; /* of the elements */
    struct buf element;
    uint32_t n_dims;
    uint32_t size[DIMENSIONS_MAX];
};

static bool put_element(struct buf *out, struct array *a)
{
    if (a->rest.len < 4)
        return false;
    int64_t len = signed_integer(a->rest, 0, 4);
    a->rest = pw_slice(a->rest.ptr + 4, a->rest.len - 4);
    if (len == -1)
        return pw_buf_append_str(out, "NULL");
    pw_buf_reset(&a->element);
    if (len < 0 || (uint64_t)len > a->rest.len ||
        !a->type->read(&a->element, pw_slice(a->rest.ptr, (size_t)len)))
        return false;
    a->rest = pw_slice(a->rest.ptr + len, a->rest.len - (size_t)len);
    bool ok = pw_buf_append_u8(out, '"');
    for (size_t i = 0; ok && i < a->element.len; i++) {
        char c = a->element.data[i];
        ok = (c != '"' && c != '\\') || pw_buf_append_u8(out, '\\');
        ok = ok && pw_buf_append_u8(out, (uint8_t)c);
    }
    return ok && pw_buf_append_u8(out, '"');
}

/* Each level is at least two bytes of out, which is bounded. */
static bool put_level(struct buf *out, struct array *a, uint32_t level)
{
    bool ok = pw_buf_append_u8(out, '{');
    for (uint32_t i = 0; ok && i < a->size[level]; i++) {
        ok = !i || pw_buf_append_u8(out, ',');
        if (ok && level + 1 < a->n_dims)
            ok = put_level(out, a, level + 1);
        else if (ok)
            ok = put_element(out, a);
    }
    return ok && pw_buf_append_u8(out, '}');
}

static bool array_text(struct buf *out, const struct binary_type *type, struct slice v)
{
    struct array a = {.type = type};
    if (v.len < ARRAY_HEADER || integer(v, 0, 4) > DIMENSIONS_MAX || integer(v, 8, 4) != type->oid)
        return false;
    a.n_dims = (uint32_t)integer(v, 0, 4);
    if (!a.n_dims)
        return v.len == ARRAY_HEADER && pw_buf_append_str(out, "{}");
    size_t at = ARRAY_HEADER + 8 * (size_t)a.n_dims;
    if (v.len < at)
        return false;
    bool ok = true;
    for (uint32_t i = 0; ok && i < a.n_dims; i++) {
        int64_t size = signed_integer(v, ARRAY_HEADER + 8 * i, 4),
                low = signed_integer(v, ARRAY_HEADER + 8 * i + 4, 4);
        a.size[i] = (uint32_t)size;
        ok = size > 0 && low + size - 1 <= INT32_MAX &&
             pw_buf_printf(out, "[%lld:%lld]", (long long)low, (long long)(low + size - 1));
    }
    a.rest = pw_slice(v.ptr + at, v.len - at);
    pw_buf_init(&a.element, out->max);
    ok = ok && pw_buf_append_u8(out, '=') && put_level(out, &a, 0) && a.rest.len == 0;
    pw_buf_free(&a.element);
    return ok;
}

bool pw_binary_text(struct buf *out, uint32_t type, struct slice value)
{
    for (size_t i = 0; i < PW_COUNT_OF(types); i++) {
        if (types[i].oid == type)
            return types[i].read(out, value);
        if (types[i].array == type)
            return array_text(out, &types[i], value);
    }
    return false;
}
