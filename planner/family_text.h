/*
 * A recent statement of a family with what it takes to plan it again (planner/sample.h). In memory
 * only: never shown, never written. Immutable, reference-counted; any thread.
 *
 * A family keeps three: the latest, the slowest of the last hour and one of about median duration:
 * where the plan depends on the values, they are likely to show it (field/ADVISORS.md 5.2).
 */
#ifndef PLANNER_FAMILY_TEXT_H
#define PLANNER_FAMILY_TEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"

struct family_offer {
    struct slice sql;
    const char *types, *values, *setup; /* BORROW; NULL: none */
    bool is_prepared; /* by the client, under a name: it will be executed more often */
    uint64_t took_us; /* on the server */
};

struct family_text {
    _Atomic uint32_t refs;
    bool is_prepared;
    const char *sql, *types, *values, *setup; /* into bytes; NULL: none (sql never is) */
    uint64_t taken_us, took_us;
    size_t len; /* of all of them */
    char bytes[];
};

enum family_which { FAMILY_LATEST, FAMILY_SLOWEST, FAMILY_TYPICAL, FAMILY_TEXTS };

struct family_text *pw_family_text_new(const struct family_offer *offer, uint64_t now_us);
struct family_text *pw_family_text_ref(struct family_text *t); /* NULL is allowed */
void pw_family_text_unref(struct family_text *t);              /* NULL is allowed */
/* The same to plan? */
bool pw_family_text_equal(const struct family_text *a, const struct family_text *b);

/* Of an array of FAMILY_TEXTS, each NULL or OWN. */
void pw_family_texts_clear(struct family_text **texts);
size_t pw_family_texts_bytes(struct family_text *const *texts); /* each text counted once */
/* Puts t (BORROW) where it belongs. median_us: of the family's durations. */
void pw_family_texts_put(struct family_text **texts, struct family_text *t, uint64_t median_us);
/* Is one that took so long worth making a text of? */
bool pw_family_texts_want(struct family_text *const *texts, uint64_t took_us, uint64_t now_us);

#endif
