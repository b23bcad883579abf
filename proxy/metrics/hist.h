/*
 * A log-linear histogram of unsigned values (microseconds from 1 us to 1,000 s, or plain counts):
 * 16 linear steps per power of two, so a quantile is off by at most about 3 %. One writer with
 * relaxed loads and stores, any number of readers, no lock; a reader may see a count a moment
 * before its sum. Embedded in its owner, zeroed memory is an empty histogram. About 3.5 kB.
 */
#ifndef PROXY_METRICS_HIST_H
#define PROXY_METRICS_HIST_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PW_HIST_SUB_BITS = 4,
    PW_HIST_SUB = 1 << PW_HIST_SUB_BITS,
    PW_HIST_MAX_BITS = 30, /* 2^30 us = 1,073 s; larger values count in the last bucket */
    PW_HIST_BUCKETS = (PW_HIST_MAX_BITS - PW_HIST_SUB_BITS + 1) * PW_HIST_SUB,
};

struct hist {
    _Atomic uint64_t sum, max;
    _Atomic uint64_t buckets[PW_HIST_BUCKETS];
};

static inline size_t pw_hist_bucket(uint64_t v)
{
    if (v < PW_HIST_SUB)
        return (size_t)v;
    int top = 63 - __builtin_clzll(v);
    if (top >= PW_HIST_MAX_BITS)
        return PW_HIST_BUCKETS - 1;
    int shift = top - PW_HIST_SUB_BITS;
    return (size_t)(shift + 1) * PW_HIST_SUB + (size_t)((v >> shift) - PW_HIST_SUB);
}

static inline void pw_hist_bump(_Atomic uint64_t *v, uint64_t n)
{
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* The owner's thread only. */
static inline void pw_hist_add(struct hist *h, uint64_t v)
{
    pw_hist_bump(&h->buckets[pw_hist_bucket(v)], 1);
    pw_hist_bump(&h->sum, v);
    if (v > atomic_load_explicit(&h->max, memory_order_relaxed))
        atomic_store_explicit(&h->max, v, memory_order_relaxed);
}

/* Any thread from here on. */
struct hist_view { /* a plain copy, to merge and to ask */
    uint64_t count, sum, max;
    uint64_t buckets[PW_HIST_BUCKETS];
};

void pw_hist_clear(struct hist *h);                            /* the owner's thread only */
void pw_hist_read(struct hist_view *v, const struct hist *h);  /* replaces v */
void pw_hist_merge(struct hist_view *v, const struct hist *h); /* adds h to v */
void pw_hist_subtract(struct hist_view *v, const struct hist_view *earlier); /* an interval */
double pw_hist_quantile(const struct hist_view *v, double q); /* 0..1; 0 when empty */
double pw_hist_mean(const struct hist_view *v);
/* How many values are at most `limit` (counted by the middle of their bucket). */
uint64_t pw_hist_count_until(const struct hist_view *v, uint64_t limit);

#endif
