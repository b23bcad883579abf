/* Optimal string alignment distance over short words. Pure. */
#include "conf/suggest.h"

#include <ctype.h>

enum { WORD_MAX_LEN = 63 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static int letter(struct slice s, size_t i)
{
    int c = tolower((unsigned char)s.ptr[i]);
    return c == '-' ? '_' : c; /* pool-size is pool_size mistyped by habit */
}

size_t pw_suggest_distance(struct slice a, struct slice b)
{
    size_t rows[3][WORD_MAX_LEN + 1];
    if (a.len > WORD_MAX_LEN || b.len > WORD_MAX_LEN)
        return WORD_MAX_LEN + 1;
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b.len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t differs = letter(a, i - 1) != letter(b, j - 1);
            now[j] = smallest(last[j] + 1, now[j - 1] + 1, last[j - 1] + differs);
            if (i > 1 && j > 1 && letter(a, i - 1) == letter(b, j - 2) &&
                letter(a, i - 2) == letter(b, j - 1) && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b.len];
}

void pw_suggest_init(struct suggestion *s, struct slice word)
{
    /* Half of a short word may be wrong, a third of a longer one. */
    *s = (struct suggestion){.word = word,
                             .distance = word.len <= 4 ? word.len / 2 + 1 : word.len / 3 + 2};
}

void pw_suggest_offer(struct suggestion *s, const char *candidate)
{
    size_t distance = pw_suggest_distance(s->word, pw_slice_str(candidate));
    if (distance < s->distance && distance < strlen(candidate)) {
        s->distance = distance;
        s->best = candidate;
    }
}
