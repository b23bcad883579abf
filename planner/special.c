/* Does a value name a moment? Dates and times accept 'now', ' Today 10:00', '[yesterday,)',
 * '{tomorrow}' ...: the words may stand anywhere between non-letters. Pure. */
#include <string.h>

#include "planner/scan.h"
#include "planner/template.h"
#include "proxy/base/attrs.h"

enum {
    MOMENT_CHARS_MAX =
        160, /* PostgreSQL's own limit of a date's text (MAXDATELEN and fields), blanks apart */
    MOMENT_LOOK_MAX = 4096, /* longer arrays and composites are not looked at: "may" */
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool word_is(const char *p, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        if ((p[i] | 0x20) != text[i])
            return false;
    }
    return true;
}

static bool is_moment_word(const char *p, size_t n)
{
    switch (n) {
    case 3:
        return word_is(p, n, "now");
    case 5:
        return word_is(p, n, "today");
    case 8:
        return word_is(p, n, "tomorrow");
    case 9:
        return word_is(p, n, "yesterday");
    default:
        return false;
    }
}

/* Long plain text cannot be read as a date; only arrays, ranges and composites may be long. */
static bool is_too_long(const char *p, const char *end)
{
    size_t n = 0;
    for (; p < end; p++) {
        if (scan_class_of(*p) != SCAN_SPACE && ++n > MOMENT_CHARS_MAX)
            return true;
    }
    return false;
}

bool pw_template_is_special(struct slice value)
{
    const char *p = value.ptr, *end = value.ptr + value.len;
    while (p < end && scan_class_of(*p) == SCAN_SPACE)
        p++;
    if (end - p < 3)
        return false;
    bool nested = *p == '{' || *p == '[' || *p == '(' || *p == '"';
    if (nested && end - p > MOMENT_LOOK_MAX)
        return true;
    if (!nested && end - p > MOMENT_CHARS_MAX && is_too_long(p, end))
        return false;
    while (p < end) {
        if (!is_letter(*p)) {
            p++;
            continue;
        }
        const char *start = p;
        while (p < end && is_letter(*p))
            p++;
        if (is_moment_word(start, (size_t)(p - start)))
            return true;
    }
    return false;
}

/* Strings in binary values, arrays and composites among them: lengths stand between them, whose
 * bytes may be letters, so what is before a word says nothing. */
bool pw_template_is_special_binary(struct slice value)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
    if (value.len > MOMENT_LOOK_MAX)
        return true;
    for (size_t i = 0; i + 3 <= value.len; i++) {
        char c = (char)(value.ptr[i] | 0x20);
        if (c != 'n' && c != 't' && c != 'y')
            continue;
        for (size_t k = 0; k < PW_COUNT_OF(words); k++) {
            size_t n = strlen(words[k]);
            if (i + n <= value.len && word_is(value.ptr + i, n, words[k]))
                return true;
        }
    }
    return false;
}
