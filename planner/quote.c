/* See quote.h. */
#include "planner/quote.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

/* Keywords that are not UNRESERVED in PostgreSQL 15 (pg_get_keywords), sorted. */
static bool is_keyword(const char *name)
{
    static const char *const words[] = {
#include "planner/keywords.def"
    };
    return bsearch(name, words, sizeof words / sizeof words[0], sizeof words[0], compare) != NULL;
}

static bool is_plain(const char *name)
{
    if (!((*name >= 'a' && *name <= 'z') || *name == '_'))
        return false;
    for (const char *p = name; *p; p++) {
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_'))
            return false;
    }
    return !is_keyword(name);
}

static bool quote(struct buf *out, const char *text, char mark)
{
    pw_buf_append_u8(out, (uint8_t)mark);
    for (const char *p = text; *p; p++) {
        if (*p == mark)
            pw_buf_append_u8(out, (uint8_t)mark);
        pw_buf_append_u8(out, (uint8_t)*p);
    }
    return pw_buf_append_u8(out, (uint8_t)mark);
}

bool pw_quote_identifier(struct buf *out, const char *name)
{
    return is_plain(name) ? pw_buf_append_str(out, name) : quote(out, name, '"');
}

bool pw_quote_literal(struct buf *out, const char *text)
{
    if (strchr(text, '\\'))
        pw_buf_append_str(out, " E");
    pw_buf_append_u8(out, '\'');
    for (const char *p = text; *p; p++) {
        if (*p == '\'' || *p == '\\')
            pw_buf_append_u8(out, (uint8_t)*p);
        pw_buf_append_u8(out, (uint8_t)*p);
    }
    return pw_buf_append_u8(out, '\'');
}
