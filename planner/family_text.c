/* See family_text.h. */
#include "planner/family_text.h"

#include <string.h>

#include "proxy/base/alloc.h"

enum { EVERY_US = 1000000, MUCH_SLOWER = 2 };
#define OLD_US UINT64_C(3600000000) /* it is no longer known to be like that */

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

static const char *put(char **at, const char *text, size_t len)
{
    if (!text)
        return NULL;
    char *begin = *at;
    memcpy(begin, text, len);
    begin[len] = 0;
    *at += len + 1;
    return begin;
}

struct family_text *pw_family_text_new(const struct family_offer *o, uint64_t now_us)
{
    size_t len = o->sql.len + length(o->types) + length(o->values) + length(o->setup);
    struct family_text *t = pw_alloc(sizeof *t + len + 4);
    char *at = t->bytes;
    atomic_init(&t->refs, 1);
    t->is_prepared = o->is_prepared;
    t->sql = put(&at, o->sql.ptr, o->sql.len);
    t->types = put(&at, o->types, length(o->types));
    t->values = put(&at, o->values, length(o->values));
    t->setup = put(&at, o->setup, length(o->setup));
    t->taken_us = now_us;
    t->took_us = o->took_us;
    t->len = len;
    return t;
}

struct family_text *pw_family_text_ref(struct family_text *t)
{
    if (t)
        atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void pw_family_text_unref(struct family_text *t)
{
    if (t && atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
        pw_free(t);
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool pw_family_text_equal(const struct family_text *a, const struct family_text *b)
{
    return a == b ||
           (a && b && a->is_prepared == b->is_prepared && same(a->sql, b->sql) &&
            same(a->types, b->types) && same(a->values, b->values) && same(a->setup, b->setup));
}

void pw_family_texts_clear(struct family_text **texts)
{
    for (int i = 0; i < FAMILY_TEXTS; i++) {
        pw_family_text_unref(texts[i]);
        texts[i] = NULL;
    }
}

size_t pw_family_texts_bytes(struct family_text *const *texts)
{
    size_t bytes = 0;
    for (int i = 0; i < FAMILY_TEXTS; i++) {
        bool counted = !texts[i];
        for (int k = 0; k < i; k++)
            counted = counted || texts[k] == texts[i];
        bytes += counted ? 0 : texts[i]->len;
    }
    return bytes;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static bool is_old(const struct family_text *t, uint64_t now_us)
{
    return !t || t->taken_us + OLD_US < now_us;
}

void pw_family_texts_put(struct family_text **texts, struct family_text *t, uint64_t median_us)
{
    const struct family_text *latest = texts[FAMILY_LATEST], *slowest = texts[FAMILY_SLOWEST],
                             *typical = texts[FAMILY_TYPICAL];
    const bool better[FAMILY_TEXTS] = {
        [FAMILY_LATEST] = !latest || t->taken_us >= latest->taken_us,
        [FAMILY_SLOWEST] = is_old(slowest, t->taken_us) || t->took_us > slowest->took_us,
        [FAMILY_TYPICAL] = is_old(typical, t->taken_us) ||
                           distance(t->took_us, median_us) < distance(typical->took_us, median_us),
    };
    for (int i = 0; i < FAMILY_TEXTS; i++) {
        if (!better[i])
            continue;
        pw_family_text_unref(texts[i]);
        texts[i] = pw_family_text_ref(t);
    }
}

bool pw_family_texts_want(struct family_text *const *texts, uint64_t took_us, uint64_t now_us)
{
    const struct family_text *latest = texts[FAMILY_LATEST], *slowest = texts[FAMILY_SLOWEST];
    return !latest || now_us - latest->taken_us >= EVERY_US ||
           (slowest && took_us > slowest->took_us * MUCH_SLOWER);
}
