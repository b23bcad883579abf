/* Which client encodings and kinds of strings the scan may read (planner.h). Pure. */
#include <string.h>
#include <strings.h>

#include "planner/planner.h"

/* The name as PostgreSQL compares it: letters and digits only, small. */
static size_t clean(const char *name, char *out, size_t cap)
{
    size_t n = 0;
    for (; *name; name++) {
        char c = *name >= 'A' && *name <= 'Z' ? (char)(*name | 0x20) : *name;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            continue;
        if (n + 1 == cap)
            return 0;
        out[n++] = c;
    }
    out[n] = 0;
    return n;
}

bool pw_plan_encoding_is_safe(const char *name)
{
    /* All client-only encodings of PostgreSQL 11 to 17, with their other names. */
    static const char *const unsafe[] = {
        "big5",       "win950", "windows950", "gbk",        "win936",       "windows936",
        "gb18030",    "johab",  "sjis",       "shiftjis",   "mskanji",      "win932",
        "windows932", "uhc",    "win949",     "windows949", "shiftjis2004", "sjis2004",
    };
    char cleaned[64];
    if (!name || clean(name, cleaned, sizeof cleaned) == 0)
        return false;
    for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++) {
        if (strcmp(cleaned, unsafe[i]) == 0)
            return false;
    }
    return true;
}

/* As PostgreSQL's parse_bool: any case, any beginning that is not ambiguous. */
static int boolean(const char *text)
{
    static const struct {
        const char *word;
        size_t least;
        int value;
    } rows[] = {{"true", 1, 1}, {"false", 1, 0}, {"yes", 1, 1}, {"no", 1, 0},
                {"on", 2, 1},   {"off", 2, 0},   {"1", 1, 1},   {"0", 1, 0}};
    size_t n = strlen(text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (n >= rows[i].least && n <= strlen(rows[i].word) &&
            strncasecmp(text, rows[i].word, n) == 0)
            return rows[i].value;
    }
    return -1;
}

void pw_plan_context_lexing(struct plan_context_key *key, const char *client_encoding,
                            const char *standard_conforming_strings)
{
    int standard = standard_conforming_strings ? boolean(standard_conforming_strings) : 1;
    key->standard_conforming_strings = standard != 0;
    key->encoding_is_safe = standard >= 0 && pw_plan_encoding_is_safe(client_encoding);
}
