#include "proxy/admin/parse.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { DISTANCE_TEXT_MAX = 63 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v' || c == '\0';
}

/* The end of the quoted text or comment that starts at p, or NULL when it never ends. */
static const char *skip_quoted(const char *p, const char *end)
{
    char quote = *p++;
    while (p < end) {
        if (*p++ != quote)
            continue;
        if (p == end || *p != quote)
            return p;
        p++; /* doubled */
    }
    return NULL;
}

static const char *skip_comment(const char *p, const char *end)
{
    if (p[0] == '-') {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        return line_end ? line_end + 1 : end;
    }
    size_t depth = 0;
    while (p + 1 < end) {
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            p += 2;
        } else if (p[0] == '*' && p[1] == '/') {
            p += 2;
            if (--depth == 0)
                return p;
        } else {
            p++;
        }
    }
    return NULL;
}

static bool at_comment(const char *p, const char *end)
{
    return p + 1 < end && ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*'));
}

struct slice pw_admin_trim(struct slice text)
{
    while (text.len && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

bool pw_admin_next_statement(struct slice *rest, struct slice *statement)
{
    if (pw_admin_trim(*rest).len == 0)
        return false;
    const char *p = rest->ptr, *end = p + rest->len;
    while (p && p < end && *p != ';') {
        if (*p == '\'' || *p == '"')
            p = skip_quoted(p, end);
        else if (at_comment(p, end))
            p = skip_comment(p, end);
        else
            p++;
    }
    if (!p)
        p = end; /* an open quote takes the rest; the tokenizer reports it */
    *statement = pw_admin_trim(pw_slice(rest->ptr, (size_t)(p - rest->ptr)));
    if (p < end)
        p++;
    *rest = pw_slice(p, (size_t)(end - p));
    return true;
}

/* The end of the token that starts at p; NULL when a quote in it never ends. */
static const char *token_end(const char *p, const char *end)
{
    if (*p == '\'' || *p == '"')
        return skip_quoted(p, end);
    if (*p == '=')
        return p + 1;
    while (p < end && !is_space(*p) && *p != '=' && *p != '\'' && *p != '"' && !at_comment(p, end))
        p++;
    return p;
}

void pw_admin_tokenize(struct slice text, struct admin_tokens *out)
{
    const char *p = text.ptr, *end = p + text.len;
    *out = (struct admin_tokens){.n = 0};
    while (p < end) {
        if (is_space(*p)) {
            p++;
            continue;
        }
        if (out->n == PW_ADMIN_TOKENS_MAX) {
            out->more = true;
            return;
        }
        bool comment = at_comment(p, end);
        const char *stop = comment ? skip_comment(p, end) : token_end(p, end);
        if (!stop) {
            out->open_quote = true;
            return;
        }
        if (!comment)
            out->items[out->n++] =
                (struct admin_token){pw_slice(p, (size_t)(stop - p)), *p == '\'' || *p == '"'};
        p = stop;
    }
}

size_t pw_admin_unquote(const struct admin_token *t, char *out)
{
    if (!t->quoted) {
        memcpy(out, t->raw.ptr, t->raw.len);
        return t->raw.len;
    }
    size_t n = 0;
    char quote = t->raw.ptr[0];
    for (size_t i = 1; i + 1 < t->raw.len; i++) {
        if (t->raw.ptr[i] == quote)
            i++; /* the first of a pair: keep one */
        out[n++] = t->raw.ptr[i];
    }
    return n;
}

bool pw_admin_token_is(const struct admin_token *t, const char *word)
{
    return !t->quoted && t->raw.len == strlen(word) &&
           strncasecmp(t->raw.ptr, word, t->raw.len) == 0;
}

static bool strip_word(struct slice *text, const char *word)
{
    size_t len = strlen(word);
    if (text->len < len || strncasecmp(text->ptr + text->len - len, word, len) != 0)
        return false;
    if (text->len > len && !is_space(text->ptr[text->len - len - 1]) && word[0] != '\\')
        return false;
    text->len -= len;
    *text = pw_admin_trim(*text);
    return true;
}

bool pw_admin_strip_format(struct slice *text)
{
    struct slice left = pw_admin_trim(*text);
    while (left.len && left.ptr[left.len - 1] == ';') {
        left.len--;
        left = pw_admin_trim(left);
    }
    *text = left;
    if (strip_word(&left, "\\j") || (strip_word(&left, "json") && strip_word(&left, "format"))) {
        while (left.len && left.ptr[left.len - 1] == ';') { /* psql users type `show pools;\j` */
            left.len--;
            left = pw_admin_trim(left);
        }
        *text = left;
        return true;
    }
    return false;
}

struct admin_match pw_admin_match(const struct admin_tokens *tokens, const char *words,
                                  bool abbreviated)
{
    static const struct admin_match none = {0, 0};
    struct admin_match m = none;
    while (*words) {
        size_t len = strcspn(words, " ");
        if (m.words == tokens->n)
            return none;
        const struct admin_token *t = &tokens->items[m.words];
        if (t->quoted || t->raw.len > len || strncasecmp(t->raw.ptr, words, t->raw.len) != 0)
            return none;
        if (t->raw.len == len)
            m.exact++;
        else if (!abbreviated)
            return none;
        m.words++;
        words += len;
        words += *words == ' ';
    }
    return m;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

size_t pw_admin_distance(const struct admin_tokens *tokens, const char *words)
{
    char typed[DISTANCE_TEXT_MAX + 1];
    size_t len = 0, n_words = 1, words_len = strlen(words);
    for (const char *c = words; *c; c++)
        n_words += *c == ' ';
    for (size_t i = 0; i < n_words && i < tokens->n; i++) {
        if (i && len < DISTANCE_TEXT_MAX)
            typed[len++] = ' ';
        for (size_t j = 0; j < tokens->items[i].raw.len && len < DISTANCE_TEXT_MAX; j++)
            typed[len++] = (char)toupper((unsigned char)tokens->items[i].raw.ptr[j]);
    }
    if (words_len > DISTANCE_TEXT_MAX)
        words_len = DISTANCE_TEXT_MAX;
    size_t row[DISTANCE_TEXT_MAX + 1];
    for (size_t j = 0; j <= words_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= words_len; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (typed[i - 1] != words[j - 1]));
            diagonal = above;
        }
    }
    return row[words_len];
}
