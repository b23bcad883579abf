/* What words and parentheses mean for the literals near them. See template_priv.h. */
#include "planner/template_priv.h"

#define LETTER(c) (1u << ((c) - 'a'))

/* `letters`: what the words of the list begin with; most words are told from that. */
static bool word_in(const char *word, size_t len, uint32_t letters, const char *const *list)
{
    unsigned first = (unsigned)(uint8_t)*word - 'a';
    if (first > 25 || !(letters >> first & 1))
        return false;
    for (; *list; list++) {
        if (**list == *word && scan_word_eq(word, len, *list))
            return true;
    }
    return false;
}

/* A statement that starts with one of these has the same meaning whatever its constants are. */
bool pw_scan_is_data_statement(const char *word, size_t len)
{
    static const char *const list[] = {"select", "insert", "update", "delete", "with",
                                       "values", "merge",  "table",  "call",   "execute",
                                       "notify", "do",     NULL};
    return word_in(word, len, UINT32_MAX, list);
}

bool pw_scan_ends_by_list(const char *word, size_t len)
{
    static const char *const list[] = {"limit",     "offset", "fetch",     "for",  "having",
                                       "window",    "union",  "except",    "rows", "range",
                                       "intersect", "groups", "returning", NULL};
    enum {
        LETTERS = LETTER('l') | LETTER('o') | LETTER('f') | LETTER('h') | LETTER('w') |
                  LETTER('u') | LETTER('e') | LETTER('r') | LETTER('i') | LETTER('g')
    };
    return word_in(word, len, LETTERS, list);
}

static bool is_modified_type(const char *word, size_t len)
{
    static const char *const list[] = {"char",    "character", "varchar",     "varying", "bit",
                                       "numeric", "decimal",   "dec",         "float",   "time",
                                       "bpchar",  "timestamp", "timestamptz", "timetz",  "nchar",
                                       "varbit",  "interval",  "second",      NULL};
    enum {
        LETTERS = LETTER('c') | LETTER('v') | LETTER('b') | LETTER('n') | LETTER('d') |
                  LETTER('f') | LETTER('t') | LETTER('i') | LETTER('s')
    };
    return word_in(word, len, LETTERS, list);
}

bool pw_scan_open_paren(struct scan *s)
{
    if (s->depth >= LIMIT_NESTING)
        return false;
    uint8_t above = s->parens[s->depth], flags = 0;
    if (above & (PAREN_KEEP_NUMBERS | PAREN_BY))
        flags = PAREN_KEEP_NUMBERS;
    if (s->type == TYPE_NAMED && !scan_word_eq(s->word, s->word_len, "materialized"))
        flags = PAREN_KEEP_NUMBERS;
    if (s->prev == TOKEN_WORD) {
        if (is_modified_type(s->word, s->word_len))
            flags = PAREN_KEEP_NUMBERS;
        else if (s->distinct_on && scan_word_eq(s->word, s->word_len, "on"))
            flags = PAREN_KEEP_NUMBERS;
    }
    s->parens[++s->depth] = flags;
    s->prev = TOKEN_OPEN;
    s->type = TYPE_NONE;
    return true;
}

void pw_scan_close_paren(struct scan *s)
{
    if (s->depth > 0)
        s->depth--;
    s->prev = TOKEN_OTHER;
    s->type = TYPE_NONE;
}
