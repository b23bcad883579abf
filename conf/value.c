/* A setting's value between text and field, by kind. Pure. */
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "conf/table.h"
#include "proxy/base/check.h"
#include "proxy/base/num.h"

static bool parse_bool(struct slice text, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"on", true},   {"true", true},   {"yes", true}, {"1", true},
                 {"off", false}, {"false", false}, {"no", false}, {"0", false}};
    for (size_t i = 0; i < PW_COUNT_OF(words); i++)
        if (text.len == strlen(words[i].word) &&
            strncasecmp(text.ptr, words[i].word, text.len) == 0) {
            *out = words[i].value;
            return true;
        }
    return false;
}

static bool parse_name(const char *const *names, struct slice text, uint32_t *out)
{
    for (uint32_t i = 0; names && names[i]; i++)
        if (pw_slice_is(text, names[i])) {
            *out = i;
            return true;
        }
    return false;
}

static struct slice without_percent(struct slice text, bool *had)
{
    *had = text.len > 0 && text.ptr[text.len - 1] == '%';
    return *had ? pw_slice(text.ptr, text.len - 1) : text;
}

static bool parse_fraction(const struct conf_row *row, struct slice text, double *out)
{
    bool percent;
    double number;
    struct slice digits = without_percent(text, &percent);
    if (!pw_num_parse_double(digits, &number) || (!percent && number > 0))
        return false;
    *out = number / 100;
    return number >= (double)row->min && number <= (double)row->max;
}

bool pw_conf_address_split(struct slice text, struct slice *host, uint16_t *port)
{
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    uint64_t number;
    if (!pw_num_parse_u64(pw_slice(text.ptr + colon, text.len - colon), &number) || number > 65535)
        return false;
    *port = (uint16_t)number;
    *host = pw_slice(text.ptr, colon - 1);
    if (host->len >= 2 && host->ptr[0] == '[' && host->ptr[host->len - 1] == ']') {
        *host = pw_slice(host->ptr + 1, host->len - 2);
        char copy[INET6_ADDRSTRLEN];
        struct in6_addr address;
        if (host->len >= sizeof copy)
            return false;
        memcpy(copy, host->ptr, host->len);
        copy[host->len] = '\0';
        return inet_pton(AF_INET6, copy, &address) == 1;
    }
    for (size_t i = 0; i < host->len; i++)
        if (strchr(":/[] \t\n", host->ptr[i])) /* also refuses NUL */
            return false;
    return true;
}

bool pw_conf_address_is_loopback(struct slice text)
{
    struct slice host;
    uint16_t port;
    if (!pw_conf_address_split(text, &host, &port))
        return false;
    return pw_slice_is(host, "localhost") || pw_slice_is(host, "::1") ||
           (host.len > 4 && memcmp(host.ptr, "127.", 4) == 0);
}

static bool parse_address(struct slice text)
{
    struct slice host;
    uint16_t port;
    return text.len == 0 || pw_slice_is(text, "off") || pw_conf_address_split(text, &host, &port);
}

static bool parse_number(const struct conf_row *row, struct slice text, uint64_t *number)
{
    uint32_t word;
    bool percent;
    switch (row->kind) {
    case CONF_KIND_DURATION:
        return pw_num_parse_duration(text, number);
    case CONF_KIND_BYTES:
        return pw_num_parse_bytes(text, number);
    case CONF_KIND_PERCENT:
        return pw_num_parse_u64(without_percent(text, &percent), number);
    default:
        *number = 0;
        return parse_name(row->names, text, &word) || pw_num_parse_u64(text, number);
    }
}

/* A word such as auto stands for 0, which the range of the number need not contain. */
static bool in_range(const struct conf_row *row, struct slice text, uint64_t number)
{
    uint32_t word;
    if (row->kind == CONF_KIND_COUNT && parse_name(row->names, text, &word))
        return true;
    return number >= row->min && number <= row->max;
}

static bool store(const struct conf_row *row, struct slice text, char *field)
{
    uint64_t number;
    uint32_t small;
    switch (row->kind) {
    case CONF_KIND_BOOL:
        return parse_bool(text, (bool *)(void *)field);
    case CONF_KIND_ENUM:
        if (!parse_name(row->names, text, &small))
            return false;
        memcpy(field, &small, sizeof small);
        return true;
    case CONF_KIND_FRACTION:
        return parse_fraction(row, text, (double *)(void *)field);
    case CONF_KIND_ADDRESS:
        return parse_address(text);
    case CONF_KIND_TEXT:
    case CONF_KIND_LIST:
    case CONF_KIND_URL:
        return memchr(text.ptr ? text.ptr : "", '\0', text.len) == NULL;
    case CONF_KIND_DURATION:
    case CONF_KIND_BYTES:
        if (!parse_number(row, text, &number) || !in_range(row, text, number))
            return false;
        memcpy(field, &number, sizeof number);
        return true;
    case CONF_KIND_COUNT:
    case CONF_KIND_PERCENT:
        if (!parse_number(row, text, &number) || !in_range(row, text, number))
            return false;
        small = (uint32_t)number; /* every maximum in the table fits */
        memcpy(field, &small, sizeof small);
        return true;
    }
    PW_UNREACHABLE();
}

bool pw_conf_value_parse(const struct conf_row *row, struct slice text, void *base, struct buf *why)
{
    static const char *const expected[] = {
        [CONF_KIND_BOOL] = "on or off",
        [CONF_KIND_ENUM] = "one of ",
        [CONF_KIND_COUNT] = "a whole number, ",
        [CONF_KIND_PERCENT] = "a percentage, ",
        [CONF_KIND_FRACTION] = "a percentage such as 0.5%, ",
        [CONF_KIND_DURATION] = "a duration such as 250ms, 30s, 10m, 1h or 7d, ",
        [CONF_KIND_BYTES] = "a size such as 64kB, 256MB or 1GB, ",
        [CONF_KIND_TEXT] = "text without NUL bytes",
        [CONF_KIND_ADDRESS] = "ADDRESS:PORT, [IPV6]:PORT, *:PORT or off",
        [CONF_KIND_LIST] = "a list of texts without NUL bytes",
        [CONF_KIND_URL] = "a URL without NUL bytes",
    };
    if (store(row, text, (char *)base + row->offset))
        return true;
    pw_buf_printf(why, "expected %s", expected[row->kind]);
    pw_conf_row_range(row, why);
    return false;
}

static void print_names(const char *const *names, const char *separator, struct buf *out)
{
    for (size_t i = 0; names[i]; i++) {
        pw_buf_append_str(out, i ? separator : "");
        pw_buf_append_str(out, names[i]);
    }
}

static void print_bound(const struct conf_row *row, uint64_t number, struct buf *out)
{
    char text[32];
    if (row->kind == CONF_KIND_DURATION)
        pw_buf_append_str(out, pw_num_print_duration(number, text, sizeof text));
    else if (row->kind == CONF_KIND_BYTES)
        pw_buf_append_str(out, pw_num_print_bytes(number, text, sizeof text));
    else
        pw_buf_printf(out, "%llu", (unsigned long long)number);
}

void pw_conf_row_range(const struct conf_row *row, struct buf *out)
{
    switch (row->kind) {
    case CONF_KIND_ENUM:
        print_names(row->names, "|", out);
        break;
    case CONF_KIND_COUNT:
    case CONF_KIND_PERCENT:
    case CONF_KIND_FRACTION:
    case CONF_KIND_DURATION:
    case CONF_KIND_BYTES:
        if (row->names) {
            print_names(row->names, "|", out);
            pw_buf_append_str(out, " or ");
        }
        print_bound(row, row->min, out);
        pw_buf_append_str(out, " .. ");
        print_bound(row, row->max, out);
        break;
    default:
        break;
    }
}

static void print_list(const char *field, struct buf *out)
{
    const char *const *items;
    size_t n;
    memcpy(&items, field, sizeof items);
    memcpy(&n, field + sizeof items, sizeof n);
    pw_buf_append_str(out, "[");
    for (size_t i = 0; i < n; i++)
        pw_buf_printf(out, "%s%s", i ? ", " : "", items[i]);
    pw_buf_append_str(out, "]");
}

static void print_count(const struct conf_row *row, uint32_t number, struct buf *out)
{
    if (number == 0 && row->names)
        pw_buf_append_str(out, row->names[0]);
    else
        pw_buf_printf(out, "%u", number);
}

void pw_conf_value_print(const struct conf_row *row, const void *base, struct buf *out)
{
    const char *field = (const char *)base + row->offset;
    uint64_t number = 0;
    const char *text;
    double fraction;
    if (row->kind == CONF_KIND_LIST) {
        print_list(field, out);
        return;
    }
    PW_CHECK(row->size <= sizeof number);
    memcpy(&number, field, row->size);
    switch (row->kind) {
    case CONF_KIND_BOOL:
        pw_buf_append_str(out, number ? "on" : "off");
        break;
    case CONF_KIND_ENUM:
        pw_buf_append_str(out, row->names[number]);
        break;
    case CONF_KIND_COUNT:
    case CONF_KIND_PERCENT:
        print_count(row, (uint32_t)number, out);
        break;
    case CONF_KIND_FRACTION:
        memcpy(&fraction, field, sizeof fraction);
        pw_buf_printf(out, "%.12g%%", fraction * 100);
        break;
    case CONF_KIND_DURATION:
    case CONF_KIND_BYTES:
        print_bound(row, number, out);
        break;
    default:
        memcpy(&text, field, sizeof text);
        pw_buf_append_str(out, text);
        break;
    }
}

const char *pw_conf_row_type(const struct conf_row *row)
{
    static const char *const types[] = {
        [CONF_KIND_BOOL] = "on|off",      [CONF_KIND_ENUM] = "enum",
        [CONF_KIND_COUNT] = "integer",    [CONF_KIND_PERCENT] = "percent",
        [CONF_KIND_FRACTION] = "percent", [CONF_KIND_DURATION] = "duration",
        [CONF_KIND_BYTES] = "size",       [CONF_KIND_TEXT] = "text",
        [CONF_KIND_ADDRESS] = "address",  [CONF_KIND_LIST] = "list",
        [CONF_KIND_URL] = "url",
    };
    return types[row->kind];
}
