/*
 * Query families (libpg_query fingerprints) and what they cost: one table per worker, written by
 * the worker's thread only, bounded (space-saving: the family with the fewest calls makes room),
 * read by copying on the owner's thread and merged elsewhere. No literal of a client is kept,
 * except a few recent statements per family when samples are asked for (EXPLAIN only: never shown,
 * never written).
 */
#ifndef PLANNER_FAMILIES_H
#define PLANNER_FAMILIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/family_text.h"
#include "planner/plan.h"
#include "proxy/base/slice.h"

enum family_outcome {
    FAMILY_SERVER,    /* executed on a server connection of its own */
    FAMILY_CACHE_HIT, /* answered from the cache */
    FAMILY_JOINED,    /* single flight: shared another's execution */
    FAMILY_PIPELINED, /* executed among others on a shared connection */
    FAMILY_MERGED,    /* executed inside a merged statement */
    FAMILY_OUTCOMES,
};

/* One finished request. */
struct family_sample {
    uint32_t database_id;
    enum family_outcome outcome;
    uint64_t rows, bytes;
    uint64_t wait_us;   /* queued for a plan or a connection */
    uint64_t server_us; /* from sent to ReadyForQuery; 0 for hits */
    uint64_t total_us;  /* what the client saw */
    uint64_t now_us;
    const char *sqlstate; /* NULL: no error. Five characters */
};

/* Log-linear histogram of total_us: 4 steps per power of two, 1 us .. about 2^32 us. */
enum { FAMILY_BUCKETS = 128, FAMILY_ERRORS = 6 };

struct family_error {
    char sqlstate[6]; /* "23505", "" when unused; the last row collects the others as "*****" */
    uint64_t count;
};

struct family_stats {
    uint64_t family;
    uint32_t database_id;
    const struct plan *plan; /* a reference: text, tables, reasons */
    uint64_t calls, rows, bytes, wait_us, server_us, total_us, max_us, errors;
    uint64_t outcomes[FAMILY_OUTCOMES];
    uint64_t overcount; /* calls that may belong to families evicted before this one came */
    uint64_t first_us, last_us;
    struct family_error by_sqlstate[FAMILY_ERRORS];
    uint32_t buckets[FAMILY_BUCKETS];
    struct family_text *texts[FAMILY_TEXTS]; /* OWN a reference each; NULL: none */
};

struct families;
struct families_options {
    size_t max_families;     /* 0: 1000 */
    bool samples;            /* keep statement texts of each family */
    size_t sample_bytes_max; /* of all texts of this table; 0: 1 MB */
};
struct families *pw_families_new(const struct families_options *options);
void pw_families_free(struct families *f);

/* Worker's thread. Takes no lock; allocates only when the family is new. */
void pw_family_record(struct families *f, const struct plan *plan, const struct family_sample *s);
/* The statement's text, offered after record; kept when samples are on, it fits, and the last one
 * is older than a second or it took much longer than any. */
bool pw_family_wants_sample(const struct families *f, const struct plan *plan, uint32_t database_id,
                            uint64_t took_us, uint64_t now_us);
void pw_family_offer(struct families *f, const struct plan *plan, uint32_t database_id,
                     const struct family_offer *offer, uint64_t now_us);
/* The same with nothing but a text. */
void pw_family_offer_sample(struct families *f, const struct plan *plan, uint32_t database_id,
                            struct slice sql, uint64_t now_us);

/* A copy that may move to another thread; also the result of a merge. */
struct families_snapshot {
    struct family_stats *rows; /* OWN */
    size_t n;
    uint64_t evictions;
};
struct families_snapshot *pw_families_snapshot(const struct families *f);      /* owner's thread */
struct families_snapshot *pw_families_copy(const struct families_snapshot *s); /* without samples */
/* Adds from's counts to into's (by database and family); from is emptied and freed. */
void pw_families_merge(struct families_snapshot *into, struct families_snapshot *from);
void pw_families_sort(struct families_snapshot *s); /* by total_us, largest first */
void pw_families_snapshot_free(struct families_snapshot *s);
void pw_families_reset(struct families *f); /* owner's thread */

/* "23505: 3, 40001: 1", most frequent first as they came; "" without errors. */
void pw_family_errors_text(const struct family_stats *s, char *out, size_t size);

/* The duration below which `share` (0..1) of the calls were, interpolated inside its bucket; 0
 * without calls. */
uint64_t pw_family_percentile(const struct family_stats *s, double share);
/* Mean of total_us in microseconds; 0 without calls. */
double pw_family_mean_us(const struct family_stats *s);
/* Index of the bucket of a duration and the smallest duration of a bucket (for Prometheus). */
uint32_t pw_family_bucket(uint64_t us);
uint64_t pw_family_bucket_floor(uint32_t bucket);

#endif
