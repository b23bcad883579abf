/* See mem.h. */
#include "advisor/mem.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/buf.h"
#include "proxy/base/check.h"
#include "proxy/metrics/json.h"

void *pw_mem(struct arena *a, size_t size)
{
    void *out = pw_arena_try_alloc(a, size ? size : 1);
    PW_CHECK(out);
    return memset(out, 0, size);
}

char *pw_mem_strn(struct arena *a, const char *text, size_t len)
{
    char *out = pw_mem(a, len + 1);
    memcpy(out, text, len);
    return out;
}

char *pw_mem_str(struct arena *a, const char *text)
{
    return text ? pw_mem_strn(a, text, strlen(text)) : NULL;
}

char *pw_mem_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    PW_CHECK(len >= 0);
    char *out = pw_mem(a, (size_t)len + 1);
    va_start(args, fmt);
    vsnprintf(out, (size_t)len + 1, fmt, args);
    va_end(args);
    return out;
}

void *pw_mem_push(struct arena *a, void *array, size_t *n, size_t element)
{
    size_t at = (*n)++;
    if (at == 0)
        return pw_mem(a, 4 * element);
    if (at >= 4 && (at & (at - 1)) == 0) {
        void *bigger = pw_mem(a, 2 * at * element);
        memcpy(bigger, array, at * element);
        return bigger;
    }
    return array;
}

char *pw_mem_json(struct arena *a, const char *text)
{
    struct buf b;
    pw_buf_init(&b, strlen(text) * 6 + 3);
    pw_json_string(&b, pw_slice_str(text));
    char *out = pw_mem_strn(a, b.data, b.len);
    pw_buf_free(&b);
    return out;
}

/* Reserved and type-function words that PostgreSQL's quote_ident quotes; lower case. */
static const char *const keywords[] = {
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
};

static int compare_words(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

static bool is_plain_ident(const char *name)
{
    if (!(name[0] == '_' || (name[0] >= 'a' && name[0] <= 'z')))
        return false;
    for (const char *s = name; *s; s++)
        if (!(*s == '_' || (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9')))
            return false;
    return !bsearch(name, keywords, PW_COUNT_OF(keywords), sizeof(keywords[0]), compare_words);
}

static char *quote(struct arena *a, const char *text, char q)
{
    size_t n = 0;
    char *out = pw_mem(a, strlen(text) * 2 + 3);
    out[n++] = q;
    for (const char *s = text; *s; s++) {
        if (*s == q)
            out[n++] = q;
        out[n++] = *s;
    }
    out[n] = q;
    return out;
}

char *pw_mem_ident(struct arena *a, const char *name)
{
    return is_plain_ident(name) ? pw_mem_str(a, name) : quote(a, name, '"');
}

char *pw_mem_qualified(struct arena *a, const char *schema, const char *name)
{
    return pw_mem_printf(a, "%s.%s", pw_mem_ident(a, schema), pw_mem_ident(a, name));
}

char *pw_mem_literal(struct arena *a, const char *text)
{
    if (!strchr(text, '\\'))
        return quote(a, text, '\'');
    size_t n = 0;
    char *out = pw_mem(a, strlen(text) * 2 + 5);
    memcpy(out, " E'", 3);
    n = 3;
    for (const char *s = text; *s; s++) {
        if (*s == '\'' || *s == '\\')
            out[n++] = *s;
        out[n++] = *s;
    }
    out[n] = '\'';
    return out;
}
