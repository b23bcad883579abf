/* See latencies.h. */
#include "proxy/control/latencies.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/control/show.h"

struct row {
    const char *database; /* BORROW from the registry of pools, which outlives us */
    uint64_t family;
    struct latency_moments moments;
};

struct latencies {
    pthread_mutex_t lock; /* guards the rest */
    struct row *rows;     /* OWN */
    size_t n;
};

struct latencies *pw_latencies_new(void)
{
    struct latencies *l = pw_alloc(sizeof(*l));
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void pw_latencies_free(struct latencies *l)
{
    pthread_mutex_destroy(&l->lock);
    pw_free(l->rows);
    pw_free(l);
}

/* Each bucket counts as the geometric middle of its bounds. */
static struct latency_moments moments_of(const struct family_stats *f)
{
    struct latency_moments m = {0};
    for (uint32_t b = 0; b < FAMILY_BUCKETS; b++) {
        if (!f->buckets[b])
            continue;
        double low = (double)pw_family_bucket_floor(b);
        double high = b + 1 < FAMILY_BUCKETS ? (double)pw_family_bucket_floor(b + 1) : low * 1.19;
        double middle = (log(low < 1 ? 1 : low) + log(high < 1 ? 1 : high)) / 2;
        m.n += f->buckets[b];
        m.sum += middle * f->buckets[b];
        m.sum2 += middle * middle * f->buckets[b];
    }
    return m;
}

void pw_latencies_update(struct latencies *l, struct control *c, const struct families_snapshot *s)
{
    struct row *rows = s->n ? pw_alloc(s->n * sizeof(*rows)) : NULL;
    for (size_t i = 0; i < s->n; i++)
        rows[i] = (struct row){pw_database_name(c, s->rows[i].database_id), s->rows[i].family,
                               moments_of(&s->rows[i])};
    pthread_mutex_lock(&l->lock);
    struct row *old = l->rows;
    l->rows = rows;
    l->n = s->n;
    pthread_mutex_unlock(&l->lock);
    pw_free(old);
}

bool pw_latencies_find(void *latencies, const char *database, uint64_t family,
                       struct latency_moments *out)
{
    struct latencies *l = latencies;
    bool found = false;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n && !found; i++) {
        found = l->rows[i].family == family && strcmp(l->rows[i].database, database) == 0;
        if (found)
            *out = l->rows[i].moments;
    }
    pthread_mutex_unlock(&l->lock);
    return found;
}
