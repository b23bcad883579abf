/* Reading histograms. Owns nothing; any thread. */
#include "proxy/metrics/hist.h"

#include <string.h>

void pw_hist_clear(struct hist *h)
{
    for (size_t i = 0; i < PW_HIST_BUCKETS; i++)
        atomic_store_explicit(&h->buckets[i], 0, memory_order_relaxed);
    atomic_store_explicit(&h->sum, 0, memory_order_relaxed);
    atomic_store_explicit(&h->max, 0, memory_order_relaxed);
}

void pw_hist_read(struct hist_view *v, const struct hist *h)
{
    memset(v, 0, sizeof *v);
    pw_hist_merge(v, h);
}

void pw_hist_merge(struct hist_view *v, const struct hist *h)
{
    for (size_t i = 0; i < PW_HIST_BUCKETS; i++) {
        uint64_t n = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        v->buckets[i] += n;
        v->count += n;
    }
    v->sum += atomic_load_explicit(&h->sum, memory_order_relaxed);
    uint64_t max = atomic_load_explicit(&h->max, memory_order_relaxed);
    if (max > v->max)
        v->max = max;
}

void pw_hist_subtract(struct hist_view *v, const struct hist_view *earlier)
{
    v->count = 0;
    for (size_t i = 0; i < PW_HIST_BUCKETS; i++) {
        v->buckets[i] -= v->buckets[i] < earlier->buckets[i] ? v->buckets[i] : earlier->buckets[i];
        v->count += v->buckets[i];
    }
    v->sum -= v->sum < earlier->sum ? v->sum : earlier->sum;
}

static uint64_t bucket_low(size_t i)
{
    if (i < PW_HIST_SUB)
        return i;
    size_t shift = i / PW_HIST_SUB - 1;
    return (uint64_t)(PW_HIST_SUB + i % PW_HIST_SUB) << shift;
}

static uint64_t bucket_width(size_t i)
{
    return i < PW_HIST_SUB ? 1 : (uint64_t)1 << (i / PW_HIST_SUB - 1);
}

static double bucket_middle(size_t i)
{
    return (double)bucket_low(i) + (double)(bucket_width(i) - 1) / 2.0;
}

double pw_hist_quantile(const struct hist_view *v, double q)
{
    if (v->count == 0)
        return 0;
    double rank = q * (double)v->count;
    uint64_t seen = 0;
    size_t last = 0;
    for (size_t i = 0; i < PW_HIST_BUCKETS; i++) {
        if (!v->buckets[i])
            continue;
        seen += v->buckets[i];
        last = i;
        if ((double)seen >= rank)
            break;
    }
    double middle = bucket_middle(last);
    /* max belongs to the whole life of the histogram, so it only ever lowers an answer. */
    return v->max && middle > (double)v->max ? (double)v->max : middle;
}

double pw_hist_mean(const struct hist_view *v)
{
    return v->count ? (double)v->sum / (double)v->count : 0;
}

uint64_t pw_hist_count_until(const struct hist_view *v, uint64_t limit)
{
    uint64_t n = 0;
    for (size_t i = 0; i < PW_HIST_BUCKETS && bucket_middle(i) <= (double)limit; i++)
        n += v->buckets[i];
    return n;
}
