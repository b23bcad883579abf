/* See families.h. Space-saving: a new family takes the place of the one with the fewest calls and
 * inherits its count as `overcount`, so that what is truly frequent is never lost. */
#include "planner/families.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/hashmap.h"

enum { FAMILIES_DEFAULT = 1000, SAMPLE_BYTES_DEFAULT = 1024 * 1024 };

struct family_row {
    struct hash_node node;
    struct family_stats stats; /* OWN plan reference and texts */
};

struct families {
    struct hashmap map;
    struct family_row *rows; /* OWN, max_families of them, n used */
    size_t n, max_families;
    size_t sample_bytes, sample_bytes_max;
    bool samples;
    uint64_t evictions;
};

struct families *pw_families_new(const struct families_options *options)
{
    struct families *f = pw_alloc(sizeof *f);
    f->max_families = options->max_families ? options->max_families : FAMILIES_DEFAULT;
    f->sample_bytes_max =
        options->sample_bytes_max ? options->sample_bytes_max : SAMPLE_BYTES_DEFAULT;
    f->samples = options->samples;
    f->rows = pw_alloc(f->max_families * sizeof *f->rows);
    pw_hashmap_init(&f->map);
    return f;
}

static void drop_sample(struct families *f, struct family_stats *s)
{
    f->sample_bytes -= pw_family_texts_bytes(s->texts);
    pw_family_texts_clear(s->texts);
}

void pw_families_reset(struct families *f)
{
    for (size_t i = 0; i < f->n; i++) {
        pw_hashmap_remove(&f->map, &f->rows[i].node);
        drop_sample(f, &f->rows[i].stats);
        pw_plan_unref(f->rows[i].stats.plan);
    }
    memset(f->rows, 0, f->max_families * sizeof *f->rows);
    f->n = 0;
    f->evictions = 0;
}

void pw_families_free(struct families *f)
{
    if (!f)
        return;
    pw_families_reset(f);
    pw_hashmap_free(&f->map);
    pw_free(f->rows);
    pw_free(f);
}

uint32_t pw_family_bucket(uint64_t us)
{
    if (us < 4)
        return (uint32_t)us;
    uint32_t exponent = 63 - (uint32_t)__builtin_clzll(us);
    uint32_t bucket = (exponent - 1) * 4 + (uint32_t)((us >> (exponent - 2)) & 3);
    return bucket < FAMILY_BUCKETS ? bucket : FAMILY_BUCKETS - 1;
}

uint64_t pw_family_bucket_floor(uint32_t bucket)
{
    if (bucket < 4)
        return bucket;
    uint32_t exponent = bucket / 4 + 1;
    return (uint64_t)(4 + bucket % 4) << (exponent - 2);
}

static uint64_t key_hash(uint64_t family, uint32_t database_id)
{
    return pw_hash_mix(family, database_id);
}

static struct family_row *find(const struct families *f, uint64_t family, uint32_t database_id)
{
    uint64_t hash = key_hash(family, database_id);
    for (struct hash_node *n = pw_hashmap_first(&f->map, hash); n; n = pw_hashmap_next(n)) {
        struct family_row *row = PW_CONTAINER_OF(n, struct family_row, node);
        if (row->stats.family == family && row->stats.database_id == database_id)
            return row;
    }
    return NULL;
}

static struct family_row *evict(struct families *f)
{
    struct family_row *least = &f->rows[0];
    for (size_t i = 1; i < f->n; i++) {
        if (f->rows[i].stats.calls + f->rows[i].stats.overcount <
            least->stats.calls + least->stats.overcount)
            least = &f->rows[i];
    }
    pw_hashmap_remove(&f->map, &least->node);
    drop_sample(f, &least->stats);
    pw_plan_unref(least->stats.plan);
    uint64_t inherited = least->stats.calls + least->stats.overcount;
    memset(least, 0, sizeof *least);
    least->stats.overcount = inherited;
    f->evictions++;
    return least;
}

static struct family_row *find_or_add(struct families *f, const struct plan *plan,
                                      uint32_t database_id, uint64_t now_us)
{
    struct family_row *row = find(f, plan->family, database_id);
    if (row)
        return row;
    row = f->n < f->max_families ? &f->rows[f->n++] : evict(f);
    row->stats.family = plan->family;
    row->stats.database_id = database_id;
    row->stats.first_us = now_us;
    pw_hashmap_insert(&f->map, &row->node, key_hash(plan->family, database_id));
    return row;
}

static void count_error(struct family_stats *s, const char *sqlstate, uint64_t by)
{
    for (int i = 0; i < FAMILY_ERRORS; i++) {
        struct family_error *e = &s->by_sqlstate[i];
        bool is_last = i == FAMILY_ERRORS - 1;
        if (!e->sqlstate[0] || is_last)
            memcpy(e->sqlstate, is_last ? "*****" : sqlstate, 5);
        if (is_last || memcmp(e->sqlstate, sqlstate, 5) == 0) {
            e->count += by;
            return;
        }
    }
}

void pw_family_errors_text(const struct family_stats *s, char *out, size_t size)
{
    size_t n = 0;
    *out = 0;
    for (int i = 0; i < FAMILY_ERRORS && n < size; i++) {
        const struct family_error *e = &s->by_sqlstate[i];
        if (e->count)
            n += (size_t)snprintf(out + n, size - n, "%s%s: %llu", n ? ", " : "", e->sqlstate,
                                  (unsigned long long)e->count);
    }
}

void pw_family_record(struct families *f, const struct plan *plan, const struct family_sample *s)
{
    struct family_stats *t = &find_or_add(f, plan, s->database_id, s->now_us)->stats;
    if (!t->plan || t->plan->generation != plan->generation) {
        pw_plan_unref(t->plan);
        t->plan = pw_plan_ref(plan);
    }
    t->calls++;
    t->rows += s->rows;
    t->bytes += s->bytes;
    t->wait_us += s->wait_us;
    t->server_us += s->server_us;
    t->total_us += s->total_us;
    t->max_us = s->total_us > t->max_us ? s->total_us : t->max_us;
    t->last_us = s->now_us;
    t->buckets[pw_family_bucket(s->total_us)]++;
    if ((unsigned)s->outcome < FAMILY_OUTCOMES)
        t->outcomes[s->outcome]++;
    if (s->sqlstate) {
        t->errors++;
        count_error(t, s->sqlstate, 1);
    }
}

static struct family_row *row_for_sample(const struct families *f, const struct plan *plan,
                                         uint32_t database_id, uint64_t took_us, uint64_t now_us)
{
    struct family_row *row = f->samples ? find(f, plan->family, database_id) : NULL;
    return row && pw_family_texts_want(row->stats.texts, took_us, now_us) ? row : NULL;
}

bool pw_family_wants_sample(const struct families *f, const struct plan *plan, uint32_t database_id,
                            uint64_t took_us, uint64_t now_us)
{
    return row_for_sample(f, plan, database_id, took_us, now_us) != NULL;
}

void pw_family_offer(struct families *f, const struct plan *plan, uint32_t database_id,
                     const struct family_offer *offer, uint64_t now_us)
{
    struct family_row *row = row_for_sample(f, plan, database_id, offer->took_us, now_us);
    if (!row || offer->sql.len == 0)
        return;
    struct family_stats *s = &row->stats;
    struct family_text *t = pw_family_text_new(offer, now_us), *texts[FAMILY_TEXTS];
    size_t others = f->sample_bytes - pw_family_texts_bytes(s->texts);
    for (int i = 0; i < FAMILY_TEXTS; i++)
        texts[i] = pw_family_text_ref(s->texts[i]);
    pw_family_texts_put(texts, t, pw_family_percentile(s, 0.5));
    for (int i = FAMILY_TEXTS;
         --i > 0 && others + pw_family_texts_bytes(texts) > f->sample_bytes_max;) {
        pw_family_text_unref(texts[i]); /* no room: the latest matters most */
        texts[i] = NULL;
    }
    if (others + pw_family_texts_bytes(texts) <= f->sample_bytes_max) {
        pw_family_texts_clear(s->texts);
        memcpy(s->texts, texts, sizeof texts);
        f->sample_bytes = others + pw_family_texts_bytes(texts);
    } else {
        pw_family_texts_clear(texts);
    }
    pw_family_text_unref(t);
}

void pw_family_offer_sample(struct families *f, const struct plan *plan, uint32_t database_id,
                            struct slice sql, uint64_t now_us)
{
    pw_family_offer(f, plan, database_id, &(struct family_offer){.sql = sql}, now_us);
}

/* ---- copies ---- */

static void copy_row(struct family_stats *to, const struct family_stats *from)
{
    *to = *from;
    to->plan = from->plan ? pw_plan_ref(from->plan) : NULL;
    for (int i = 0; i < FAMILY_TEXTS; i++)
        to->texts[i] = pw_family_text_ref(from->texts[i]);
}

static void free_row(struct family_stats *s)
{
    pw_plan_unref(s->plan);
    pw_family_texts_clear(s->texts);
}

struct families_snapshot *pw_families_snapshot(const struct families *f)
{
    struct families_snapshot *s = pw_alloc(sizeof *s);
    s->rows = pw_alloc((f->n ? f->n : 1) * sizeof *s->rows);
    s->n = f->n;
    s->evictions = f->evictions;
    for (size_t i = 0; i < f->n; i++)
        copy_row(&s->rows[i], &f->rows[i].stats);
    return s;
}

struct families_snapshot *pw_families_copy(const struct families_snapshot *from)
{
    struct families_snapshot *s = pw_alloc(sizeof *s);
    s->rows = pw_alloc((from->n ? from->n : 1) * sizeof *s->rows);
    s->n = from->n;
    s->evictions = from->evictions;
    for (size_t i = 0; i < from->n; i++) {
        s->rows[i] = from->rows[i];
        s->rows[i].plan = from->rows[i].plan ? pw_plan_ref(from->rows[i].plan) : NULL;
        memset(s->rows[i].texts, 0, sizeof s->rows[i].texts);
    }
    return s;
}

void pw_families_snapshot_free(struct families_snapshot *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        free_row(&s->rows[i]);
    pw_free(s->rows);
    pw_free(s);
}

static void add_counts(struct family_stats *to, const struct family_stats *from)
{
    to->calls += from->calls;
    to->rows += from->rows;
    to->bytes += from->bytes;
    to->wait_us += from->wait_us;
    to->server_us += from->server_us;
    to->total_us += from->total_us;
    to->errors += from->errors;
    to->overcount += from->overcount;
    to->max_us = from->max_us > to->max_us ? from->max_us : to->max_us;
    to->first_us = from->first_us < to->first_us ? from->first_us : to->first_us;
    for (int i = 0; i < FAMILY_OUTCOMES; i++)
        to->outcomes[i] += from->outcomes[i];
    for (int i = 0; i < FAMILY_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    for (int i = 0; i < FAMILY_ERRORS; i++) {
        if (from->by_sqlstate[i].count)
            count_error(to, from->by_sqlstate[i].sqlstate, from->by_sqlstate[i].count);
    }
}

/* The newer plan wins. */
static void merge_row(struct family_stats *to, struct family_stats *from)
{
    add_counts(to, from);
    if (from->last_us > to->last_us) {
        const struct plan *plan = to->plan;
        to->last_us = from->last_us;
        to->plan = from->plan;
        from->plan = plan;
    }
    for (int i = 0; i < FAMILY_TEXTS; i++)
        if (from->texts[i])
            pw_family_texts_put(to->texts, from->texts[i], pw_family_percentile(to, 0.5));
    free_row(from);
}

static int compare_keys(const void *a, const void *b)
{
    const struct family_stats *x = a, *y = b;
    if (x->database_id != y->database_id)
        return x->database_id < y->database_id ? -1 : 1;
    return x->family < y->family ? -1 : x->family > y->family;
}

void pw_families_merge(struct families_snapshot *into, struct families_snapshot *from)
{
    size_t n = into->n + from->n, used = 0;
    into->rows = pw_realloc(into->rows, (n ? n : 1) * sizeof *into->rows);
    if (from->n)
        memcpy(into->rows + into->n, from->rows, from->n * sizeof *from->rows);
    if (n)
        qsort(into->rows, n, sizeof *into->rows, compare_keys);
    for (size_t i = 0; i < n; i++) {
        if (used && compare_keys(&into->rows[used - 1], &into->rows[i]) == 0)
            merge_row(&into->rows[used - 1], &into->rows[i]);
        else if (used++ != i)
            into->rows[used - 1] = into->rows[i];
    }
    into->n = used;
    into->evictions += from->evictions;
    pw_free(from->rows);
    pw_free(from);
}

static int compare_totals(const void *a, const void *b)
{
    const struct family_stats *x = a, *y = b;
    if (x->total_us != y->total_us)
        return x->total_us > y->total_us ? -1 : 1;
    return compare_keys(a, b);
}

void pw_families_sort(struct families_snapshot *s)
{
    if (s->n)
        qsort(s->rows, s->n, sizeof *s->rows, compare_totals);
}

uint64_t pw_family_percentile(const struct family_stats *s, double share)
{
    if (s->calls == 0)
        return 0;
    double wanted = share * (double)s->calls, below = 0;
    for (uint32_t i = 0; i < FAMILY_BUCKETS; i++) {
        double here = s->buckets[i];
        if (here > 0 && below + here >= wanted) {
            double floor = (double)pw_family_bucket_floor(i);
            double width = (double)pw_family_bucket_floor(i + 1) - floor;
            double value = floor + width * (wanted - below) / here;
            return value > (double)s->max_us ? s->max_us : (uint64_t)value;
        }
        below += here;
    }
    return s->max_us;
}

double pw_family_mean_us(const struct family_stats *s)
{
    return s->calls ? (double)s->total_us / (double)s->calls : 0;
}
