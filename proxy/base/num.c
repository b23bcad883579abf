#include "proxy/base/num.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/base/attrs.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"us", 1},       {"ms", 1000},         {"s", 1000000},
    {"m", 60000000}, {"h", 3600000000ULL}, {"d", 86400000000ULL}};
static const struct unit sizes[] = {{"B", 1}, {"kB", 1024}, {"MB", 1 << 20}, {"GB", 1 << 30}};

bool pw_num_parse_u64(struct slice text, uint64_t *out)
{
    uint64_t value = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.ptr[i] - '0');
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool pw_num_parse_i64(struct slice text, int64_t *out)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t value;
    if (!pw_num_parse_u64(negative ? pw_slice(text.ptr + 1, text.len - 1) : text, &value))
        return false;
    if (value > (uint64_t)INT64_MAX + (negative ? 1u : 0u))
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool pw_num_parse_double(struct slice text, double *out)
{
    char copy[64], *end;
    if (text.len == 0 || text.len >= sizeof copy || !strchr("+-.0123456789", text.ptr[0]))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *out = strtod(copy, &end);
    return *end == '\0' && isfinite(*out);
}

static bool parse_with_units(struct slice text, const struct unit *units, size_t count,
                             uint64_t bare_factor, uint64_t *out)
{
    size_t digits = 0;
    while (digits < text.len && strchr("0123456789.", text.ptr[digits]) && text.ptr[digits])
        digits++;
    double number;
    if (!pw_num_parse_double(pw_slice(text.ptr, digits), &number) || number < 0)
        return false;
    struct slice rest = pw_slice(text.ptr + digits, text.len - digits);
    while (rest.len && rest.ptr[0] == ' ')
        rest = pw_slice(rest.ptr + 1, rest.len - 1);
    uint64_t factor = rest.len == 0 ? bare_factor : 0;
    for (size_t i = 0; i < count; i++)
        if (rest.len == strlen(units[i].name) && !strncasecmp(rest.ptr, units[i].name, rest.len))
            factor = units[i].factor;
    if (factor == 0 || number * (double)factor >= 9.2e18)
        return false;
    uint64_t whole;
    if (pw_num_parse_u64(pw_slice(text.ptr, digits), &whole))
        *out = whole * factor; /* exact where a double would round */
    else
        *out = (uint64_t)(number * (double)factor + 0.5);
    return true;
}

bool pw_num_parse_duration(struct slice text, uint64_t *us)
{
    return parse_with_units(text, durations, PW_COUNT_OF(durations), 1000000, us);
}

bool pw_num_parse_bytes(struct slice text, uint64_t *bytes)
{
    return parse_with_units(text, sizes, PW_COUNT_OF(sizes), 1, bytes);
}

static char *print_with_units(uint64_t value, const struct unit *units, size_t count, char *out,
                              size_t size)
{
    size_t best = 0;
    for (size_t i = 0; value && i < count; i++)
        if (value % units[i].factor == 0)
            best = i;
    if (value == 0)
        snprintf(out, size, "0");
    else
        snprintf(out, size, "%" PRIu64 "%s", value / units[best].factor, units[best].name);
    return out;
}

char *pw_num_print_duration(uint64_t us, char *out, size_t size)
{
    return print_with_units(us, durations, PW_COUNT_OF(durations), out, size);
}

char *pw_num_print_bytes(uint64_t bytes, char *out, size_t size)
{
    return print_with_units(bytes, sizes, PW_COUNT_OF(sizes), out, size);
}
