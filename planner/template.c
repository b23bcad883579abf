/* See template.h. */
#include "planner/template.h"

#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "planner/limits.h"
#include "planner/template_priv.h"

static bool put(struct scan *s, const char *bytes, size_t n)
{
    if ((size_t)(s->out_end - s->out) < n)
        return false;
    memcpy(s->out, bytes, n);
    s->out += n;
    return true;
}

static bool put_byte(struct scan *s, char c)
{
    if (s->out == s->out_end)
        return false;
    *s->out++ = c;
    return true;
}

/* Before each token: one blank where there was white space or a comment. */
static bool begin_token(struct scan *s)
{
    if (s->space) {
        s->space = false;
        if (s->out > s->t->text)
            return put_byte(s, ' ');
    }
    return true;
}

static bool scan_word(struct scan *s)
{
    char *start = s->out, *out = start;
    const char *p = s->p;
    ptrdiff_t room = s->out_end - out;
    const char *end = s->end - p <= room ? s->end : p + room;
    char folded;
    while (p < end && (folded = pw_scan_fold[(uint8_t)*p])) {
        *out++ = folded;
        p++;
    }
    s->p = p;
    s->out = out;
    if (p == end && p < s->end && scan_is_word_part(*p))
        return false;
    scan_note_word(s, start, (size_t)(s->out - start));
    return true;
}

static bool has_control_bytes(const char *p, const char *end)
{
    for (; p < end; p++) {
        if ((uint8_t)*p < 32 && scan_class_of(*p) != SCAN_SPACE)
            return true;
    }
    return false;
}

/* A literal is either copied as it is or becomes a slot. */
static enum template_refusal put_literal(struct scan *s, const char *from, enum slot_kind kind,
                                         bool keep)
{
    if (keep) {
        if (has_control_bytes(from, s->p))
            return TEMPLATE_BAD_BYTE;
        s->prev = TOKEN_OTHER;
        return put(s, from, (size_t)(s->p - from)) ? TEMPLATE_OK : TEMPLATE_TOO_LONG;
    }
    struct template *t = s->t;
    /* 'a'E'b' are two tokens, u&E'b' three; side by side they would render as one string. */
    bool glued = s->out > t->text && (s->out[-1] == '\'' || s->out[-1] == '&' ||
                                      (s->out[-1] > 0 && s->out[-1] <= SLOT_HEXBITS));
    if (glued && !put_byte(s, ' '))
        return TEMPLATE_TOO_LONG;
    if (t->n_slots < t->cap_slots) {
        t->slots[t->n_slots] =
            (struct template_slot){(uint32_t)(from - s->start), (uint32_t)(s->p - from), kind};
    }
    t->n_slots++;
    s->prev = TOKEN_OTHER;
    s->type = TYPE_NONE;
    return put_byte(s, (char)kind) ? TEMPLATE_OK : TEMPLATE_TOO_LONG;
}

/* s->p is just past the opening quote; from is where the literal starts. */
static enum template_refusal scan_string(struct scan *s, const char *from, bool backslash,
                                         enum slot_kind kind, bool keep)
{
    bool continued = false, escaped = false;
    const char *body = s->p;
    /* What a U&"" name spells depends on it. */
    if (s->prev == TOKEN_WORD && scan_word_eq(s->word, s->word_len, "uescape") && !s->keep_nothing)
        keep = true;
    const char *close = pw_scan_string(body, s->end, backslash, &continued, &escaped);
    if (!close)
        return TEMPLATE_UNTERMINATED;
    s->p = close;
    /* In bit strings '' is no escape, and nobody writes them in two lines. */
    if (kind != SLOT_STRING && memchr(body, '\'', (size_t)(close - 1 - body)))
        return TEMPLATE_BAD_BYTE;
    /* Kept with backslashes that mean something only under the session's
     * standard_conforming_strings: what reads the template would take it for another text, with
     * another end. */
    if (escaped && *from == '\'' && (keep || s->keep))
        return TEMPLATE_BAD_BYTE;
    if (kind == SLOT_STRING && !(keep || s->keep) &&
        (continued || escaped ||
         pw_template_is_special(pw_slice(body, (size_t)(close - 1 - body)))))
        kind = SLOT_SPECIAL;
    return put_literal(s, from, kind, keep || s->keep);
}

static enum template_refusal scan_quoted(struct scan *s, const char *from)
{
    const char *close = pw_scan_quoted(s->p, s->end);
    if (!close)
        return TEMPLATE_UNTERMINATED;
    s->p = close;
    if (has_control_bytes(from, close))
        return TEMPLATE_BAD_BYTE;
    if (!put(s, from, (size_t)(close - from)))
        return TEMPLATE_TOO_LONG;
    /* An escaped identifier may spell set_config too. */
    if (!s->keep_nothing &&
        (*from != '"' || ((size_t)(close - from) == 12 && memcmp(from, "\"set_config\"", 12) == 0)))
        s->keep = true;
    s->word = NULL;
    s->word_len = 0;
    s->type = s->type != TYPE_NONE ? TYPE_NAMED : TYPE_NONE;
    s->prev = TOKEN_OTHER;
    return TEMPLATE_OK;
}

/* Words that are really the prefix of a string: E'' B'' X'' U&'' U&"". */
static bool scan_prefixed(struct scan *s, enum template_refusal *result)
{
    const char *p = s->p;
    if (s->end - p < 2)
        return false;
    char c = (char)(p[0] | 0x20);
    if (p[1] == '\'' && (c == 'e' || c == 'b' || c == 'x')) {
        s->p = p + 2;
        *result = scan_string(s, p, c == 'e',
                              c == 'e'   ? SLOT_STRING
                              : c == 'b' ? SLOT_BITS
                                         : SLOT_HEXBITS,
                              false);
        return true;
    }
    if (c == 'u' && p[1] == '&' && s->end - p >= 3 && (p[2] == '\'' || p[2] == '"')) {
        s->p = p + 3;
        /* Kept: what it spells depends on UESCAPE, which follows. */
        *result = p[2] == '"' ? scan_quoted(s, p)
                              : scan_string(s, p, false, SLOT_STRING, !s->keep_nothing);
        return true;
    }
    return false;
}

static enum template_refusal scan_number(struct scan *s)
{
    enum slot_kind kind;
    const char *from = s->p;
    s->p = pw_scan_number(s->p, s->end, &kind);
    bool keep = s->keep;
    if (s->out > s->t->text &&
        (s->out[-1] == '.' || (*from == '.' && scan_is_word_part(s->out[-1]))))
        keep = true; /* glued to a number or name: "1.5.6", "a.5" stay as they are */
    if (s->p < s->end) {
        enum scan_class next = scan_class_of(*s->p);
        /* Trailing junk: an error for PostgreSQL 15, digits of another base for later ones. */
        if (next == SCAN_WORD || next == SCAN_DOLLAR || next == SCAN_QUOTE)
            return TEMPLATE_BAD_BYTE;
        keep = keep || next == SCAN_DOT;
    }
    uint8_t paren = s->parens[s->depth];
    if ((paren & PAREN_KEEP_NUMBERS) && !s->keep_nothing)
        keep = true;
    if ((paren & PAREN_BY) && !s->keep_nothing &&
        (s->prev == TOKEN_COMMA || s->prev == TOKEN_WORD || s->prev == TOKEN_OPEN))
        keep = true; /* ORDER BY 1 */
    return put_literal(s, from, kind, keep);
}

static enum template_refusal scan_dollar(struct scan *s)
{
    const char *p = s->p, *body = NULL, *body_end = NULL;
    if (s->end - p >= 2 && scan_class_of(p[1]) == SCAN_DIGIT) {
        const char *q = p + 1;
        while (q < s->end && scan_class_of(*q) == SCAN_DIGIT)
            q++;
        if (q < s->end && scan_class_of(*q) == SCAN_WORD)
            return TEMPLATE_BAD_BYTE;
        s->p = q;
        s->prev = TOKEN_OTHER;
        s->type = TYPE_NONE;
        return put(s, p, (size_t)(q - p)) ? TEMPLATE_OK : TEMPLATE_TOO_LONG;
    }
    const char *close = pw_scan_dollar(p, s->end, &body, &body_end);
    if (!close)
        return TEMPLATE_UNTERMINATED;
    if (close == p)
        return TEMPLATE_BAD_BYTE;
    s->p = close;
    bool special = pw_template_is_special(pw_slice(body, (size_t)(body_end - body)));
    return put_literal(s, p, special ? SLOT_SPECIAL : SLOT_STRING, s->keep);
}

static enum template_refusal scan_semi(struct scan *s)
{
    if (s->depth == 0) {
        s->t->n_statements += s->has_first_word;
        s->has_first_word = s->keep = false;
        s->parens[0] = 0;
    }
    s->prev = TOKEN_OTHER;
    s->type = TYPE_NONE;
    return put_byte(s, *s->p++) ? TEMPLATE_OK : TEMPLATE_TOO_LONG;
}

/* True when p is at a comment; then it was skipped (or refused). */
static bool scan_comment(struct scan *s, enum template_refusal *result)
{
    const char *p = s->p;
    if (s->end - p < 2)
        return false;
    const char *after;
    if (p[0] == '-' && p[1] == '-')
        after = pw_scan_line_comment(p, s->end);
    else if (p[0] == '/' && p[1] == '*')
        after = pw_scan_block_comment(p, s->end);
    else
        return false;
    if (!after) {
        *result = TEMPLATE_UNTERMINATED;
        return true;
    }
    pw_scan_hints(s->t, p, after);
    s->p = after;
    s->space = true;
    *result = TEMPLATE_OK;
    return true;
}

static enum template_refusal scan_operator(struct scan *s)
{
    enum template_refusal r;
    if (scan_comment(s, &r))
        return r;
    if (!begin_token(s))
        return TEMPLATE_TOO_LONG;
    const char *from = s->p;
    do {
        s->p++;
    } while (s->p < s->end && scan_class_of(*s->p) == SCAN_OP &&
             !(s->end - s->p >= 2 &&
               ((s->p[0] == '-' && s->p[1] == '-') || (s->p[0] == '/' && s->p[1] == '*'))));
    size_t n = (size_t)(s->p - from);
    if (n > LIMIT_OPERATOR_RUN)
        return TEMPLATE_LIMIT;
    s->prev = TOKEN_OTHER;
    s->type = TYPE_NONE;
    return put(s, from, n) ? TEMPLATE_OK : TEMPLATE_TOO_LONG;
}

static enum template_refusal scan_punctuation(struct scan *s)
{
    char c = *s->p++;
    if (c == ':' && s->p < s->end && *s->p == ':') {
        s->p++;
        s->type = TYPE_STARTED;
        s->prev = TOKEN_OTHER;
        return put(s, "::", 2) ? TEMPLATE_OK : TEMPLATE_TOO_LONG;
    }
    if (c == '.' && s->p < s->end &&
        *s->p == '.') { /* ".." is one token: what follows is no ".5" */
        s->p++;
        s->prev = TOKEN_OTHER;
        return put(s, "..", 2) ? TEMPLATE_OK : TEMPLATE_TOO_LONG;
    }
    s->prev = c == ',' ? TOKEN_COMMA : TOKEN_OTHER;
    if (c != '.') /* a qualified type name goes on */
        s->type = TYPE_NONE;
    return put_byte(s, c) ? TEMPLATE_OK : TEMPLATE_TOO_LONG;
}

static enum template_refusal scan_token(struct scan *s)
{
    enum template_refusal r;
    enum scan_class k = scan_class_of(*s->p);
    if (k == SCAN_OP)
        return scan_operator(s);
    if (!begin_token(s))
        return TEMPLATE_TOO_LONG;
    switch (k) {
    case SCAN_WORD:
        if (scan_prefixed(s, &r))
            return r;
        if (!scan_word(s))
            return TEMPLATE_TOO_LONG;
        if (s->end - s->p > SCAN_RUN_MIN)
            pw_scan_plain_run(s);
        return TEMPLATE_OK;
    case SCAN_DIGIT:
        return scan_number(s);
    case SCAN_QUOTE:
        s->p++;
        return scan_string(s, s->p - 1, s->backslash, SLOT_STRING, false);
    case SCAN_DQUOTE:
        s->p++;
        return scan_quoted(s, s->p - 1);
    case SCAN_DOLLAR:
        return scan_dollar(s);
    case SCAN_DOT:
        if (s->end - s->p >= 2 && scan_class_of(s->p[1]) == SCAN_DIGIT)
            return scan_number(s);
        return scan_punctuation(s);
    case SCAN_OPEN:
        if (!pw_scan_open_paren(s))
            return TEMPLATE_LIMIT;
        return put_byte(s, *s->p++) ? TEMPLATE_OK : TEMPLATE_TOO_LONG;
    case SCAN_CLOSE:
        pw_scan_close_paren(s);
        return put_byte(s, *s->p++) ? TEMPLATE_OK : TEMPLATE_TOO_LONG;
    case SCAN_SEMI:
        return scan_semi(s);
    case SCAN_COMMA:
    case SCAN_COLON:
        return scan_punctuation(s);
    default:
        return TEMPLATE_BAD_BYTE;
    }
}

/* Statements with other hints are other templates. */
static bool put_hints(struct scan *s)
{
    const struct template *t = s->t;
    if (!t->hint_cache && !t->hint_batch && !t->hint_ttl_us)
        return true;
    char tail[40];
    int n = snprintf(tail, sizeof tail, "%c%d %d %llu", TEMPLATE_HINT_MARK, t->hint_cache,
                     t->hint_batch, (unsigned long long)t->hint_ttl_us);
    return put(s, tail, (size_t)n);
}

enum template_refusal pw_template_scan(struct template *t, struct slice sql,
                                       const struct template_options *options)
{
    struct scan s; /* field by field: clearing parens would take as long as a short statement */
    s.p = s.start = sql.ptr;
    s.end = sql.ptr + sql.len;
    s.t = t;
    s.out = t->text;
    s.out_end = t->text + t->cap;
    s.word = NULL;
    s.word_len = 0;
    s.distinct_on = s.space = s.keep = s.has_first_word = false;
    s.prev = TOKEN_NONE;
    s.type = TYPE_NONE;
    s.backslash = !options->standard_conforming_strings;
    s.keep_nothing = options->keep_nothing;
    s.depth = 0;
    s.parens[0] = 0;
    t->n_slots = t->n_statements = 0;
    t->hint_cache = t->hint_batch = 0;
    t->hint_ttl_us = 0;
    enum template_refusal r = sql.len > LIMIT_RAW_BYTES ? TEMPLATE_TOO_LONG : TEMPLATE_OK;
    while (r == TEMPLATE_OK && s.p < s.end) {
        if (scan_class_of(*s.p) == SCAN_SPACE) {
            s.space = true;
            s.p++;
        } else {
            r = scan_token(&s);
        }
    }
    t->n_statements += s.has_first_word;
    if (r == TEMPLATE_OK && !put_hints(&s))
        r = TEMPLATE_TOO_LONG;
    t->len = (size_t)(s.out - t->text);
    XXH128_hash_t h = XXH3_128bits(t->text, r == TEMPLATE_OK ? t->len : 0);
    t->hash_lo = h.low64;
    t->hash_hi = h.high64;
    return r;
}
