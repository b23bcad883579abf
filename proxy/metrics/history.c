#include "proxy/metrics/history.h"

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

struct history {
    size_t capacity, count, next; /* next: where the next sample goes */
    struct history_sample samples[];
};

struct history *pw_history_new(size_t capacity)
{
    PW_CHECK(capacity > 0);
    struct history *h = pw_alloc(sizeof *h + capacity * sizeof h->samples[0]);
    h->capacity = capacity;
    return h;
}

void pw_history_free(struct history *h)
{
    pw_free(h);
}

void pw_history_push(struct history *h, const struct history_sample *s)
{
    h->samples[h->next] = *s;
    h->next = (h->next + 1) % h->capacity;
    if (h->count < h->capacity)
        h->count++;
}

size_t pw_history_count(const struct history *h)
{
    return h->count;
}

const struct history_sample *pw_history_at(const struct history *h, size_t age)
{
    if (age >= h->count)
        return NULL;
    return &h->samples[(h->next + h->capacity - 1 - age) % h->capacity];
}
