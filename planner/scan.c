/* See scan.h. PostgreSQL 15's scan.l by hand; the oracle test compares it with pg_query_scan. */
#include "planner/scan.h"

#include "proxy/base/num.h"

#define W SCAN_WORD
#define D SCAN_DIGIT
#define S SCAN_SPACE
#define O SCAN_OP
const uint8_t pw_scan_class[256] = {
    ['\t'] = S,          ['\n'] = S,         ['\r'] = S,          ['\f'] = S,
    [' '] = S,           ['A' ... 'Z'] = W,  ['a' ... 'z'] = W,   ['_'] = W,
    [128 ... 255] = W,   ['0' ... '9'] = D,  ['\''] = SCAN_QUOTE, ['"'] = SCAN_DQUOTE,
    ['$'] = SCAN_DOLLAR, ['.'] = SCAN_DOT,   ['('] = SCAN_OPEN,   ['['] = SCAN_OPEN,
    [')'] = SCAN_CLOSE,  [']'] = SCAN_CLOSE, [';'] = SCAN_SEMI,   [','] = SCAN_COMMA,
    [':'] = SCAN_COLON,  ['~'] = O,          ['!'] = O,           ['@'] = O,
    ['#'] = O,           ['^'] = O,          ['&'] = O,           ['|'] = O,
    ['`'] = O,           ['?'] = O,          ['+'] = O,           ['-'] = O,
    ['*'] = O,           ['/'] = O,          ['%'] = O,           ['<'] = O,
    ['>'] = O,           ['='] = O,
};
#undef W
#undef D
#undef S
#undef O

#define SAME8(b)                                                                                   \
    [(b)] = (char)(b), (char)((b) + 1), (char)((b) + 2), (char)((b) + 3), (char)((b) + 4),         \
    (char)((b) + 5), (char)((b) + 6), (char)((b) + 7)
const char
    pw_scan_fold[256] =
        {
            ['$'] = '$', ['_'] = '_', SAME8('0'), ['8'] = '8', ['9'] = '9', ['A'] = 'a',
            'b',         'c',         'd',        'e',         'f',         'g',
            'h',         'i',         'j',        'k',         'l',         'm',
            'n',         'o',         'p',        'q',         'r',         's',
            't',         'u',         'v',        'w',         'x',         'y',
            'z',         SAME8('a'),  SAME8('i'), SAME8('q'),  ['y'] = 'y', ['z'] = 'z',
            SAME8(128),  SAME8(136),  SAME8(144), SAME8(152),  SAME8(160),  SAME8(168),
            SAME8(176),  SAME8(184),  SAME8(192), SAME8(200),  SAME8(208),  SAME8(216),
            SAME8(224),  SAME8(232),  SAME8(240), SAME8(248),
};
#undef SAME8

/* After a closing quote: white space and line comments with at least one newline, then a quote,
 * continue the string. Returns just past that quote, or NULL. */
static const char *string_continues(const char *p, const char *end)
{
    bool newline = false;
    while (p < end) {
        if (*p == '\n' || *p == '\r') {
            newline = true;
            p++;
        } else if (scan_class_of(*p) == SCAN_SPACE) {
            p++;
        } else if (end - p >= 2 && p[0] == '-' && p[1] == '-') {
            p = pw_scan_line_comment(p, end);
        } else {
            return newline && *p == '\'' ? p + 1 : NULL;
        }
    }
    return NULL;
}

static const char *quote_or_backslash(const char *p, const char *end)
{
    while (p < end && *p != '\'' && *p != '\\')
        p++;
    return p < end ? p : NULL;
}

const char *pw_scan_string(const char *p, const char *end, bool backslash, bool *continued,
                           bool *escaped)
{
    for (;;) {
        const char *q = backslash ? quote_or_backslash(p, end) : memchr(p, '\'', (size_t)(end - p));
        if (!q)
            return NULL;
        if (*q == '\\') {
            *escaped = true;
            if (end - q < 2)
                return NULL;
            p = q + 2;
        } else if (end - q >= 2 && q[1] == '\'') {
            p = q + 2;
        } else {
            const char *next = string_continues(q + 1, end);
            if (!next)
                return q + 1;
            *continued = true;
            p = next;
        }
    }
}

const char *pw_scan_quoted(const char *p, const char *end)
{
    for (;;) {
        const char *q = memchr(p, '"', (size_t)(end - p));
        if (!q)
            return NULL;
        if (end - q < 2 || q[1] != '"')
            return q + 1;
        p = q + 2;
    }
}

const char *pw_scan_dollar(const char *p, const char *end, const char **body, const char **body_end)
{
    const char *q = p + 1;
    if (q < end && scan_class_of(*q) == SCAN_WORD) {
        while (q < end && (scan_class_of(*q) == SCAN_WORD || scan_class_of(*q) == SCAN_DIGIT))
            q++;
    }
    if (q >= end || *q != '$')
        return p;
    size_t tag = (size_t)(q + 1 - p);
    *body = q + 1;
    const char *at = memmem(q + 1, (size_t)(end - (q + 1)), p, tag);
    if (!at)
        return NULL;
    *body_end = at;
    return at + tag;
}

const char *pw_scan_block_comment(const char *p, const char *end)
{
    size_t depth = 1;
    p += 2;
    while (p < end) {
        if (*p == '*' && end - p >= 2 && p[1] == '/') {
            p += 2;
            if (--depth == 0)
                return p;
        } else if (*p == '/' && end - p >= 2 && p[1] == '*') {
            p += 2;
            depth++;
        } else {
            p++;
        }
    }
    return NULL;
}

const char *pw_scan_line_comment(const char *p, const char *end)
{
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static enum slot_kind integer_kind(const char *p, const char *end)
{
    while (p < end && *p == '0')
        p++;
    size_t n = (size_t)(end - p);
    if (n < 10 || (n == 10 && memcmp(p, "2147483647", 10) <= 0))
        return SLOT_INT4;
    if (n < 19 || (n == 19 && memcmp(p, "9223372036854775807", 19) <= 0))
        return SLOT_INT8;
    return SLOT_NUMERIC;
}

const char *pw_scan_number(const char *p, const char *end, enum slot_kind *kind)
{
    const char *start = p;
    p = skip_digits(p, end);
    bool integer = true;
    /* "1..10" is the integer 1 and two dots (a PL/pgSQL loop), not "1." and ".10". */
    if (p < end && *p == '.' && !(p > start && end - p >= 2 && p[1] == '.')) {
        integer = false;
        p = skip_digits(p + 1, end);
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1;
        if (q < end && (*q == '+' || *q == '-'))
            q++;
        const char *digits = q;
        q = skip_digits(q, end);
        if (q > digits) {
            integer = false;
            p = q;
        }
    }
    *kind = integer ? integer_kind(start, p) : SLOT_NUMERIC;
    return p;
}

static bool hint_is(struct slice word, const char *text, struct slice *value)
{
    size_t n = strlen(text);
    if (word.len <= n || memcmp(word.ptr, text, n) != 0)
        return false;
    *value = pw_slice(word.ptr + n, word.len - n);
    return true;
}

static void take_hint(struct template *t, struct slice word)
{
    struct slice value;
    if (hint_is(word, "cache=", &value)) {
        t->hint_cache = pw_slice_is(value, "on")      ? 1
                        : pw_slice_is(value, "off")   ? 2
                        : pw_slice_is(value, "force") ? 3
                                                      : t->hint_cache;
    } else if (hint_is(word, "batch=", &value)) {
        t->hint_batch = pw_slice_is(value, "off") ? 2 : t->hint_batch;
    } else if (hint_is(word, "ttl=", &value)) {
        uint64_t us;
        if (pw_num_parse_duration(value, &us))
            t->hint_ttl_us = us;
    }
}

void pw_scan_hints(struct template *t, const char *p, const char *end)
{
    p = memmem(p, (size_t)(end - p), "pgweir:", 7);
    if (!p)
        return;
    p += 7;
    while (p < end) {
        while (p < end && (scan_class_of(*p) == SCAN_SPACE || *p == ','))
            p++;
        const char *word = p;
        while (p < end && scan_class_of(*p) != SCAN_SPACE && *p != ',' && *p != '*')
            p++;
        if (p == word)
            return;
        take_hint(t, pw_slice(word, (size_t)(p - word)));
    }
}
