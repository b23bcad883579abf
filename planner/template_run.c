/* The fast part of the scan. See template_priv.h. */
#include "planner/template_priv.h"

#if SCAN_HAS_BLOCKS
enum {
    WINDOW = 64,
    WINDOW_USED = 56,    /* then it is moved on */
    AHEAD = WINDOW + 16, /* what may be read and written behind the last place a window starts at */
};

/* A token of one byte that needs no look at what is around it; false: not such a token. */
static inline bool note_single(struct scan *s, enum scan_class k, const char *p)
{
    if (k == SCAN_OPEN)
        return pw_scan_open_paren(s);
    if (k == SCAN_CLOSE) {
        pw_scan_close_paren(s);
        return true;
    }
    if (k == SCAN_DOT && scan_class_of(p[1]) == SCAN_WORD) {
        s->prev = TOKEN_OTHER;
        return true;
    }
    if (k != SCAN_COMMA && (k != SCAN_OP || scan_class_of(p[1]) == SCAN_OP))
        return false;
    s->prev = k == SCAN_COMMA ? TOKEN_COMMA : TOKEN_OTHER;
    s->type = TYPE_NONE;
    return true;
}

/*
 * Words, blanks and single characters from base to last, of which AHEAD bytes behind it can be read
 * and, in the template, written. Where words and blanks end is read off bit masks, so that finding
 * the next token does not have to wait for loads. Does nothing else than scan_token would. Returns
 * where it stopped.
 */
static const char *scan_plain_until(struct scan *s, const char *base, const char *last)
{
    uint64_t word_ends = scan_word_ends(base), blank_ends = scan_blank_ends(base);
    char *out = s->out;
    size_t at = 0, space = s->space;
    for (;;) {
        if (at >= WINDOW_USED) {
            base += at;
            at = 0;
            if (base >= last)
                break;
            word_ends = scan_word_ends(base);
            blank_ends = scan_blank_ends(base);
        }
        const char *p = base + at;
        enum scan_class k = scan_class_of(*p);
        if (k == SCAN_WORD) {
            size_t n = scan_run_length(word_ends, at);
            if (scan_may_be_prefix(p) || at + n >= WINDOW - 1)
                break; /* or a long one */
            *out = ' ';
            out += space;
            scan_copy_block(p, out);
            for (size_t i = 16; i < n; i += 16)
                scan_copy_block(p + i, out + i);
            scan_note_word(s, out, n);
            at += n;
            out += n;
        } else if (k == SCAN_SPACE) { /* one that is not ' ', or after one */
            at++;
            size_t n = scan_run_length(blank_ends, at);
            at += n;
            space = true;
            continue;
        } else {
            if (!note_single(s, k, p))
                break;
            *out = ' ';
            out += space;
            *out++ = *p;
            at++;
        }
        size_t n_blanks = scan_run_length(blank_ends, at);
        at += n_blanks;
        space = n_blanks > 0;
    }
    s->out = out;
    s->space = space;
    return base + at;
}

/* Near the ends it would not pay. */
void pw_scan_plain_run(struct scan *s)
{
    ptrdiff_t left = s->end - s->p - AHEAD, room = s->out_end - s->out - 2 * AHEAD;
    ptrdiff_t n =
        left < room ? left : room; /* the template grows no faster than the text is read */
    if (n > 0)
        s->p = scan_plain_until(s, s->p, s->p + n);
}
#else
void pw_scan_plain_run(struct scan *s)
{
    (void)s;
}
#endif
