/* The state of one scan and what template.c shares with template_words.c and template_run.c. */
#ifndef PLANNER_TEMPLATE_PRIV_H
#define PLANNER_TEMPLATE_PRIV_H

#include <string.h>

#include "planner/limits.h"
#include "planner/scan.h"

enum token { TOKEN_NONE, TOKEN_WORD, TOKEN_COMMA, TOKEN_OPEN, TOKEN_OTHER };

/* Per open parenthesis. */
enum paren_flag {
    PAREN_KEEP_NUMBERS = 1, /* type modifier, DISTINCT ON, inside ORDER BY or GROUP BY */
    PAREN_BY = 2,           /* at this level we are in an ORDER BY or GROUP BY list */
};

enum type_state { TYPE_NONE, TYPE_STARTED /* after :: or AS */, TYPE_NAMED };

struct scan {
    const char *p, *end; /* BORROW the text */
    const char *start;
    char *out, *out_end; /* BORROW the template's scratch */
    struct template *t;
    const char *word; /* in out: the last word */
    size_t word_len;
    bool distinct_on; /* the last word is ON, after DISTINCT */
    uint32_t depth;
    enum token prev;
    enum type_state type;
    bool space, keep, has_first_word;
    bool backslash, keep_nothing;
    uint8_t parens[LIMIT_NESTING + 1];
};

static inline bool scan_word_eq(const char *word, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(word, text, len) == 0;
}

/* Only what is followed by a quote or by "&" can be the prefix of a string. */
static inline bool scan_may_be_prefix(const char *p)
{
    return p[1] == '\'' || p[1] == '&';
}

/* template_words.c: what words and parentheses mean for the literals near them. */
bool pw_scan_is_data_statement(const char *word, size_t len);
bool pw_scan_ends_by_list(const char *word, size_t len);
bool pw_scan_open_paren(struct scan *s); /* false: nested too deep */
void pw_scan_close_paren(struct scan *s);

/* template_run.c: goes on as far as plain tokens go; called just after a word, when at least
 * SCAN_RUN_MIN bytes are left. Does nothing that scan_token would not do, only faster. */
enum { SCAN_RUN_MIN = 96 };
void pw_scan_plain_run(struct scan *s);

static inline void scan_note_first_word(struct scan *s, const char *word, size_t len)
{
    s->has_first_word = true;
    s->keep = !s->keep_nothing && !pw_scan_is_data_statement(word, len);
}

__attribute__((always_inline)) static inline void scan_note_word(struct scan *s, const char *word,
                                                                 size_t len)
{
    const char *before = s->word;
    size_t before_len = s->word_len;
    s->word = word;
    s->word_len = len;
    s->prev = TOKEN_WORD;
    if (s->type != TYPE_NONE)
        s->type = TYPE_NAMED;
    if (!s->has_first_word) {
        scan_note_first_word(s, word, len);
    } else if (len == 2) {
        if (word[0] == 'b' && word[1] == 'y')
            s->parens[s->depth] |= PAREN_BY;
        else if (word[0] == 'a' && word[1] == 's')
            s->type = TYPE_STARTED;
        else if (word[0] == 'o' && word[1] == 'n')
            s->distinct_on = scan_word_eq(before, before_len, "distinct");
    } else if (len == 10 && memcmp(word, "set_config", 10) == 0) {
        s->keep = !s->keep_nothing;
    } else if ((s->parens[s->depth] & PAREN_BY) && pw_scan_ends_by_list(word, len)) {
        s->parens[s->depth] &= (uint8_t)~PAREN_BY;
    }
}

#endif
