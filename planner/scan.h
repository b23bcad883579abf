/* Parts of the scan (template.c) that know PostgreSQL's lexical rules: byte classes, ends of
 * strings and comments, numbers. Pure functions; `p` never passes `end`. */
#ifndef PLANNER_SCAN_H
#define PLANNER_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "planner/template.h"

enum scan_class {
    SCAN_BAD,   /* control bytes, lone back slash ... */
    SCAN_SPACE, /* blank, \t \n \r \f */
    SCAN_WORD,  /* may start an identifier: A-Z a-z _ and every byte above 127 */
    SCAN_DIGIT,
    SCAN_QUOTE,  /* ' */
    SCAN_DQUOTE, /* " */
    SCAN_DOLLAR,
    SCAN_DOT,
    SCAN_OPEN,  /* ( [ */
    SCAN_CLOSE, /* ) ] */
    SCAN_SEMI,
    SCAN_COMMA,
    SCAN_COLON,
    SCAN_OP, /* ~ ! @ # ^ & | ` ? + - * / % < > = */
};

extern const uint8_t pw_scan_class[256];
extern const char
    pw_scan_fold[256]; /* a byte of a word, ASCII capitals made small; 0: not of a word */

static inline enum scan_class scan_class_of(char c)
{
    return (enum scan_class)pw_scan_class[(uint8_t)c];
}
static inline bool scan_is_word_part(char c)
{
    return pw_scan_fold[(uint8_t)c] != 0;
}

#ifdef __SSE2__
#define SCAN_HAS_BLOCKS 1
/* 16 bytes with their capitals made small; of both there must be room for 16. */
static inline __m128i scan_fold_block(__m128i v)
{
    __m128i capital = _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8('A' - 1)),
                                    _mm_cmplt_epi8(v, _mm_set1_epi8('Z' + 1)));
    return _mm_or_si128(v, _mm_and_si128(capital, _mm_set1_epi8(0x20)));
}

static inline void scan_copy_block(const char *p, char *out)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    _mm_storeu_si128((__m128i *)(void *)out, scan_fold_block(v));
}

static inline uint64_t scan_word_bits(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p), small = scan_fold_block(v);
    __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(small, _mm_set1_epi8('a' - 1)),
                                   _mm_cmplt_epi8(small, _mm_set1_epi8('z' + 1)));
    __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8('0' - 1)),
                                  _mm_cmplt_epi8(v, _mm_set1_epi8('9' + 1)));
    __m128i other =
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('_')), _mm_cmpeq_epi8(v, _mm_set1_epi8('$')));
    /* The sign of a byte above 127 stands for itself. */
    __m128i part = _mm_or_si128(_mm_or_si128(letter, digit), _mm_or_si128(other, v));
    return (uint64_t)(unsigned)_mm_movemask_epi8(part);
}

static inline uint64_t scan_blank_bits(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(' ')));
}

/* One bit for each of the next 64 bytes: no part of a word? no blank (' ' only)? */
static inline uint64_t scan_word_ends(const char *p)
{
    return ~(scan_word_bits(p) | scan_word_bits(p + 16) << 16 | scan_word_bits(p + 32) << 32 |
             scan_word_bits(p + 48) << 48);
}

static inline uint64_t scan_blank_ends(const char *p)
{
    return ~(scan_blank_bits(p) | scan_blank_bits(p + 16) << 16 | scan_blank_bits(p + 32) << 32 |
             scan_blank_bits(p + 48) << 48);
}

/* How many bytes from `at` on (0 to 63) come before the next end or the last of the 64 bytes:
 * what lies behind them is not known. */
static inline size_t scan_run_length(uint64_t ends, size_t at)
{
    return (size_t)__builtin_ctzll((ends | 1ull << 63) >> at);
}
#else
#define SCAN_HAS_BLOCKS 0
#endif

/* Past the closing quote, continuation lines included ('a' newline 'b'); p is just after the
 * opening quote. NULL: no end. *continued and *escaped are set, never cleared. */
const char *pw_scan_string(const char *p, const char *end, bool backslash, bool *continued,
                           bool *escaped);
const char *pw_scan_quoted(const char *p, const char *end); /* "identifier" */
/* p is at '$'. Past the closing tag of a dollar quote; NULL: no end; p itself: not a dollar quote.
 */
const char *pw_scan_dollar(const char *p, const char *end, const char **body,
                           const char **body_end);
const char *pw_scan_block_comment(const char *p,
                                  const char *end); /* p at slash star; NULL: no end */
const char *pw_scan_line_comment(const char *p, const char *end); /* to the newline */
const char *pw_scan_number(const char *p, const char *end, enum slot_kind *kind);
/* "pgweir: cache=off ttl=30s batch=off" inside a comment; fills the hints of t. */
void pw_scan_hints(struct template *t, const char *p, const char *end);

#endif
