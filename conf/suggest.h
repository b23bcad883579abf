/* "Did you mean": the closest word of a list by edit distance. Pure. */
#ifndef CONF_SUGGEST_H
#define CONF_SUGGEST_H

#include <stddef.h>

#include "proxy/base/slice.h"

/* Insertions, deletions, substitutions and swaps of neighbours; words longer than 63 bytes count as
 * far. */
size_t pw_suggest_distance(struct slice a, struct slice b);

struct suggestion {
    struct slice word; /* BORROW: what was typed */
    const char *best;  /* BORROW: NULL while nothing is close enough */
    size_t distance;
};

void pw_suggest_init(struct suggestion *s, struct slice word);
void pw_suggest_offer(struct suggestion *s, const char *candidate); /* keeps the closest so far */

#endif
