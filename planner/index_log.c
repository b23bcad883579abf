/* See index_log.h: who is explained, when, and what is remembered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/index_log_priv.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/net/pgconn.h"

enum {
    EVERY_US = 1000000,       /* one EXPLAIN a second at most */
    STATISTICS_US = 60000000, /* autovacuum analyzes all the time */
    GRACE_US = 200000,        /* what may be spent before the share counts */
    COLUMNS_TEXT_MAX = 32 * 1024,
    GENERIC_CALLS = 6, /* from then on the server may plan without the values */
};

void pw_index_log_configure(struct index_log *log, const struct index_log_options *options)
{
    log->interval_us = options->interval_us;
    log->share = options->share;
    pw_free(log->path);
    log->path = pw_strdup(options->path ? options->path : "");
}

struct index_log *pw_index_log_new(uv_loop_t *uv, const struct index_log_options *options)
{
    struct index_log *log = pw_alloc(sizeof *log);
    log->uv = uv;
    pw_hashmap_init(&log->families);
    pw_hashmap_init(&log->by_name);
    pw_index_log_configure(log, options);
    return log;
}

static void free_database(struct index_log *log, struct log_database *d)
{
    log->closing = log->asking == d;
    pw_pgconn_free(d->conn);
    log->closing = false;
    pw_free(d->name);
    pw_free(d->conninfo);
}

void pw_index_log_free(struct index_log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < log->n_databases; i++)
        free_database(log, &log->databases[i]);
    PW_HASHMAP_FOR(&log->families, it, tmp)
    {
        pw_free(PW_CONTAINER_OF(it, struct log_family, node));
    }
    while (log->indexes) {
        struct log_index *x = log->indexes;
        log->indexes = x->next;
        pw_free(x->table);
        pw_free(x->index);
        pw_free(x->scan_kind);
        pw_free(x->cond);
        pw_free(x);
    }
    pw_hashmap_free(&log->families);
    pw_hashmap_free(&log->by_name);
    pw_index_question_free(&log->question);
    pw_free(log->path);
    pw_free(log);
}

static struct log_database *find_database(struct index_log *log, uint32_t id)
{
    for (size_t i = 0; i < log->n_databases; i++) {
        if (log->databases[i].id == id)
            return &log->databases[i];
    }
    return NULL;
}

void pw_index_log_database_remove(struct index_log *log, uint32_t id)
{
    struct log_database *d = find_database(log, id);
    if (!d)
        return;
    free_database(log, d);
    /* The one under way, if it is another's, must find its row where it was. */
    struct log_database *last = &log->databases[--log->n_databases];
    if (log->asking == last)
        log->asking = d;
    *d = *last;
}

void pw_index_log_database(struct index_log *log, uint32_t id, const char *name,
                           const char *conninfo)
{
    pw_index_log_database_remove(log, id);
    if (log->n_databases == INDEX_LOG_DATABASES_MAX)
        return;
    log->databases[log->n_databases++] =
        (struct log_database){.id = id, .name = pw_strdup(name), .conninfo = pw_strdup(conninfo)};
}

bool pw_index_log_is_busy(const struct index_log *log)
{
    return log->asking != NULL;
}

void pw_index_log_stats(const struct index_log *log, struct index_log_stats *out)
{
    *out = log->stats;
}

/* ---- indexes ---- */

static uint64_t index_hash(uint32_t database_id, const char *index)
{
    return pw_hash_mix(pw_hash_bytes(index, strlen(index)), database_id);
}

static struct log_index *find_index(const struct index_log *log, uint32_t database_id,
                                    const char *index)
{
    for (struct hash_node *n = pw_hashmap_first(&log->by_name, index_hash(database_id, index)); n;
         n = pw_hashmap_next(n)) {
        struct log_index *x = PW_CONTAINER_OF(n, struct log_index, node);
        if (x->database_id == database_id && strcmp(x->index, index) == 0)
            return x;
    }
    return NULL;
}

struct log_index *pw_index_of(struct index_log *log, uint32_t database_id, const char *index)
{
    struct log_index *x = find_index(log, database_id, index);
    if (x || log->n_indexes == INDEX_LOG_INDEXES_MAX)
        return x;
    x = pw_alloc(sizeof *x);
    x->database_id = database_id;
    x->index = pw_strdup(index);
    x->table = pw_strdup("");
    x->scan_kind = pw_strdup("");
    x->cond = pw_strdup("");
    x->next = log->indexes;
    log->indexes = x;
    log->n_indexes++;
    pw_hashmap_insert(&log->by_name, &x->node, index_hash(database_id, index));
    return x;
}

void pw_index_own_scans(struct index_log *log, uint32_t database_id, const char *index, uint64_t n)
{
    struct log_index *x = pw_index_of(log, database_id, index);
    if (x)
        x->own_scans += n;
}

void pw_index_log_remember(struct index_log *log, const struct index_use *use)
{
    struct log_index *x = pw_index_of(log, use->database_id, use->index);
    if (!x)
        return;
    x->uses += use->uses;
    x->own_scans += use->own_scans;
    if (use->last_used_us > x->last_used_us)
        x->last_used_us = use->last_used_us;
    if (!*x->table)
        pw_index_replace(&x->table, use->table);
    if (!*x->cond)
        pw_index_replace(&x->cond, use->cond);
    pw_index_note_kinds(x, use->scan_kind);
}

/* ---- families ---- */

static struct log_family *find_family(const struct index_log *log, uint32_t database_id,
                                      uint64_t family)
{
    for (struct hash_node *n = pw_hashmap_first(&log->families, pw_hash_mix(family, database_id));
         n; n = pw_hashmap_next(n)) {
        struct log_family *f = PW_CONTAINER_OF(n, struct log_family, node);
        if (f->family == family && f->database_id == database_id)
            return f;
    }
    return NULL;
}

static struct log_family *family_of(struct index_log *log, const struct family_stats *s)
{
    struct log_family *f = find_family(log, s->database_id, s->family);
    if (f || log->families.count >= INDEX_LOG_FAMILIES_MAX)
        return f;
    f = pw_alloc(sizeof *f);
    f->database_id = s->database_id;
    f->family = s->family;
    pw_hashmap_insert(&log->families, &f->node, pw_hash_mix(f->family, f->database_id));
    return f;
}

/* At once, and what was known counts no longer. */
static void look_again(struct log_family *f)
{
    f->due_us = 0;
    f->next_text = 0;
    f->is_stale = true;
}

/* count: how often its tables were analyzed, by whomever. */
void pw_index_analyzed(struct log_database *d, uint64_t count, uint64_t now_us)
{
    bool is_news =
        d->analyzed && count != d->analyzed && now_us - d->statistics_us >= STATISTICS_US;
    if (!d->analyzed || is_news) {
        d->analyzed = count;
        d->statistics += is_news;
        d->statistics_us = now_us;
    }
}

/* A client has just said ANALYZE: at once, and the count is no news then. */
static void note_analyze(struct log_database *d, const struct family_stats *s, uint64_t calls)
{
    if (!calls || !s->plan || !s->plan->tag ||
        (strcmp(s->plan->tag, "ANALYZE") != 0 && strcmp(s->plan->tag, "VACUUM") != 0))
        return;
    d->statistics++;
    d->analyzed = 0;
}

/* Counts the calls since the last time; a family twice as slow as before is looked at again at
 * once. */
static void count_calls(struct index_log *log, struct log_family *f, const struct family_stats *s)
{
    uint64_t calls = s->calls >= f->calls ? s->calls - f->calls : s->calls;
    uint64_t total = s->total_us >= f->total_us ? s->total_us - f->total_us : s->total_us;
    pw_index_count_uses(f, calls);
    if (s->plan &&
        s->plan->generation != f->generation) { /* after DDL: look again, forgive errors */
        f->generation = s->plan->generation;
        f->errors = 0;
        look_again(f);
    }
    struct log_database *d = find_database(log, s->database_id);
    if (d) {
        note_analyze(d, s, calls);
        if (f->statistics != d->statistics && f->looked_at)
            look_again(f);
        f->statistics = d->statistics;
    }
    log->server_us += total;
    f->calls = s->calls;
    f->total_us = s->total_us;
    if (calls >= 10) {
        uint64_t mean = total / calls;
        if (f->mean_us && mean > 2 * f->mean_us && mean > 1000 && f->errors == 0)
            look_again(f);
        f->mean_us = f->mean_us ? (f->mean_us * 7 + mean) / 8 : mean;
    }
}

static bool is_plain(const struct family_stats *s)
{
    const struct plan *p = s->plan;
    return s->texts[FAMILY_LATEST] && p && !p->user_code && p->n_statements == 1 &&
           (p->cls == PLAN_READ || p->cls == PLAN_WRITE) &&
           !pw_plan_has(p, PLAN_F_PINS | PLAN_F_CATALOG | PLAN_F_MULTI) &&
           (p->n_read || p->n_written);
}

static bool may_spend(const struct index_log *log, uint64_t now_us)
{
    return log->interval_us && !log->asking && now_us - log->last_start_us >= EVERY_US &&
           (double)log->stats.spent_us <= GRACE_US + log->share * (double)log->server_us;
}

/* The longest overdue, so that none starves; of those that are new or slower, the dearest. */
static bool is_before(const struct log_family *f, const struct family_stats *s,
                      const struct log_family *than, const struct family_stats *than_s)
{
    return f->due_us != than->due_us ? f->due_us < than->due_us : s->total_us > than_s->total_us;
}

static char *copy(const char *text)
{
    return text ? pw_strdup(text) : NULL;
}

/* "{16385,16385}" and "{1,2}"; both "{}" when all columns of every table may be written. */
static void written_columns(struct log_question *q, const struct plan *p)
{
    struct buf oids, attnums;
    pw_buf_init(&oids, COLUMNS_TEXT_MAX);
    pw_buf_init(&attnums, COLUMNS_TEXT_MAX);
    bool ok = pw_buf_append_u8(&oids, '{') && pw_buf_append_u8(&attnums, '{');
    for (uint32_t i = 0; ok && p->columns_known && i < p->n_columns_written; i++)
        ok = pw_buf_printf(&oids, "%s%u", i ? "," : "", p->columns_written[i].table) &&
             pw_buf_printf(&attnums, "%s%d", i ? "," : "", p->columns_written[i].attnum);
    ok = ok && pw_buf_append_u8(&oids, '}') && pw_buf_append_u8(&attnums, '}');
    q->write_oids = ok ? pw_strndup(oids.data, oids.len) : pw_strdup("{}");
    q->write_attnums = ok ? pw_strndup(attnums.data, attnums.len) : pw_strdup("{}");
    pw_buf_free(&oids);
    pw_buf_free(&attnums);
}

/* The next text of the round that is not one of those before; more: there are others to come. */
static const struct family_text *next_text(struct log_family *f, const struct family_stats *s,
                                           bool *more)
{
    const struct family_text *next = NULL;
    unsigned distinct = 0;
    *more = false;
    for (unsigned i = 0; i < FAMILY_TEXTS; i++) {
        bool is_new = s->texts[i] != NULL;
        for (unsigned k = 0; k < i; k++)
            is_new = is_new && !pw_family_text_equal(s->texts[i], s->texts[k]);
        distinct += is_new;
        if (!is_new || i < f->next_text)
            continue;
        *more = next != NULL;
        if (!next) {
            next = s->texts[i];
            f->next_text = i + 1;
        }
        if (*more)
            break;
    }
    f->has_variants = f->has_variants || distinct > 1;
    return next ? next : s->texts[FAMILY_LATEST];
}

static struct log_question question_of(const struct family_stats *s, const struct family_text *t)
{
    struct log_question q = {.sql = pw_strdup(t->sql),
                             .types = copy(t->types),
                             .values = copy(t->values),
                             .setup = copy(t->setup),
                             .is_prepared = t->is_prepared && s->calls >= GENERIC_CALLS};
    written_columns(&q, s->plan);
    return q;
}

void pw_index_log_take(struct index_log *log, const struct families_snapshot *s, uint64_t now_us)
{
    const struct family_stats *best = NULL;
    struct log_family *best_family = NULL;
    for (size_t i = 0; i < s->n; i++) {
        struct log_family *f = family_of(log, &s->rows[i]);
        if (!f)
            continue;
        count_calls(log, f, &s->rows[i]);
        if (f->due_us <= now_us && is_plain(&s->rows[i]) &&
            (!best || is_before(f, &s->rows[i], best_family, best)) &&
            find_database(log, s->rows[i].database_id)) {
            best = &s->rows[i];
            best_family = f;
        }
    }
    if (!best || !may_spend(log, now_us))
        return;
    unsigned n_params;
    bool more;
    const struct family_text *text = next_text(best_family, best, &more);
    if (!pw_index_may_explain(text->sql, &n_params)) {
        log->stats.refused++;
        best_family->due_us = now_us + log->interval_us;
        return;
    }
    log->last_start_us = now_us;
    struct log_question question = question_of(best, text);
    question.is_last = !more;
    pw_index_ask(log, find_database(log, best->database_id), best_family, &question);
}

/* ---- asking ---- */

static void describe(const struct log_index *x, struct index_use *out)
{
    *out = (struct index_use){.database_id = x->database_id,
                              .table = x->table,
                              .index = x->index,
                              .scan_kind = x->scan_kind,
                              .cond = x->cond,
                              .families = x->families,
                              .uses = x->uses,
                              .last_used_us = x->last_used_us,
                              .own_scans = x->own_scans};
}

void pw_index_log_each(const struct index_log *log, pw_on_index_use cb, void *arg)
{
    for (const struct log_index *x = log->indexes; x; x = x->next) {
        struct index_use use;
        describe(x, &use);
        cb(arg, &use);
    }
}

bool pw_index_log_use(const struct index_log *log, uint32_t database_id, const char *index,
                      struct index_use *out)
{
    const struct log_index *x = find_index(log, database_id, index);
    *out = (struct index_use){
        .database_id = database_id, .table = "", .index = "", .scan_kind = "", .cond = ""};
    if (x)
        describe(x, out);
    return x && x->last_used_us;
}

void pw_index_log_family(const struct index_log *log, uint32_t database_id, uint64_t family,
                         struct index_family *out)
{
    const struct log_family *f = find_family(log, database_id, family);
    *out = f ? (struct index_family){f->plan_hash, f->plan_changes, f->looked_at}
             : (struct index_family){0};
}

void pw_index_log_uses_of_family(const struct index_log *log, uint32_t database_id, uint64_t family,
                                 struct buf *out)
{
    const struct log_family *f = find_family(log, database_id, family);
    for (size_t i = 0; f && i < f->n_uses; i++) {
        pw_buf_printf(out, "%s%s (", i ? ", " : "", f->uses[i].index->index);
        pw_index_put_kinds(out, f->uses[i].kinds);
        pw_buf_append_u8(out, ')');
    }
}

void pw_index_log_of_family(const struct index_log *log, uint32_t database_id, uint64_t family,
                            struct buf *out)
{
    const struct log_family *f = find_family(log, database_id, family);
    for (size_t i = 0; f && i < f->n_uses; i++)
        pw_buf_printf(out, "%s%s", i ? ", " : "", f->uses[i].index->index);
}
