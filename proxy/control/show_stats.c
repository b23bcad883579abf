/*
 * SHOW STATS and its kin: sums since start, and averages over the last whole period. The period's
 * two ends are kept here, per database. Control thread.
 */
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/control/show.h"

enum { PERIOD_US = 60 * 1000 * 1000, COUNTERS = 12, DATABASES_MAX = 1000 };

/* In the order of the columns; times are averaged per what they are the time of. */
enum counter { ASSIGNMENTS, XACTS, QUERIES, RECEIVED, SENT, XACT_US, QUERY_US, WAIT_US };

struct sums {
    uint64_t v[COUNTERS];
};

struct moment {
    const char *database; /* BORROW from the pools' rows */
    struct sums before, now;
};

struct stats_period {
    struct moment *moments; /* OWN */
    size_t n;
    uint64_t before_us, now_us; /* 0: not taken yet */
};

struct stats_period *pw_stats_period_new(void)
{
    struct stats_period *p = pw_alloc(sizeof(*p));
    p->moments = pw_alloc(DATABASES_MAX * sizeof(*p->moments));
    p->now_us = pw_clock_us();
    return p;
}

void pw_stats_period_free(struct stats_period *p)
{
    pw_free(p->moments);
    pw_free(p);
}

/* PgBouncer's "received" comes from clients and its "sent" goes to them; a pool counts from its
 * servers' side: what clients said is sent there, what they get is received there. */
static void add(struct sums *s, const struct pool_stats *st)
{
    const _Atomic uint64_t *const counters[COUNTERS] = {
        &st->assignments,   &st->xacts,         &st->queries,  &st->sent,
        &st->received,      &st->xact_us,       &st->query_us, &st->wait_us,
        &st->parses_client, &st->parses_server, &st->binds,    &st->logins};
    for (size_t i = 0; i < COUNTERS; i++)
        s->v[i] += atomic_load_explicit(counters[i], memory_order_relaxed);
}

static struct sums sums_of(struct control *c, const char *database)
{
    struct sums s = {0};
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next)
        if (!database || strcmp(r->database, database) == 0)
            add(&s, &r->stats);
    return s;
}

static struct moment *moment_of(struct stats_period *p, const char *database)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->moments[i].database, database) == 0)
            return &p->moments[i];
    return NULL;
}

static bool is_first(struct control *c, const struct pool_row *r)
{
    const struct pool_row *o = pw_databases_rows(c->databases);
    while (o != r && strcmp(o->database, r->database) != 0)
        o = o->next;
    return o == r;
}

void pw_stats_period_second(struct control *c, struct stats_period *p)
{
    uint64_t now_us = pw_clock_us();
    if (now_us - p->now_us < PERIOD_US)
        return;
    p->before_us = p->now_us;
    p->now_us = now_us;
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next) {
        if (!is_first(c, r))
            continue;
        struct moment *m = moment_of(p, r->database);
        if (!m && p->n < DATABASES_MAX) {
            m = &p->moments[p->n++];
            m->database = r->database;
        }
        if (m) {
            m->before = m->now;
            m->now = sums_of(c, r->database);
        }
    }
}

/* The two ends to average between: the last whole period, or from the start until it is over. */
static void averages(struct control *c, const char *database, double out[COUNTERS])
{
    const struct stats_period *p = c->show->stats;
    const struct moment *m = p->before_us ? moment_of(c->show->stats, database) : NULL;
    struct sums from = m ? m->before : (struct sums){0};
    struct sums until = m ? m->now : sums_of(c, database);
    uint64_t span_us = m ? p->now_us - p->before_us : pw_clock_us() - c->started_us;
    double seconds = (double)(span_us ? span_us : 1) / 1e6;
    uint64_t d[COUNTERS];
    for (size_t i = 0; i < COUNTERS; i++) {
        d[i] = until.v[i] - from.v[i];
        out[i] = (double)d[i] / seconds;
    }
    out[XACT_US] = d[XACTS] ? (double)d[XACT_US] / (double)d[XACTS] : 0;
    out[QUERY_US] = d[QUERIES] ? (double)d[QUERY_US] / (double)d[QUERIES] : 0;
}

static void put_totals(struct control *c, struct table *t, const char *database)
{
    struct sums s = sums_of(c, database);
    for (size_t i = 0; i < COUNTERS; i++)
        pw_table_uint(t, s.v[i]);
}

static void put_averages(struct control *c, struct table *t, const char *database)
{
    double v[COUNTERS];
    averages(c, database, v);
    for (size_t i = 0; i < COUNTERS; i++)
        pw_table_num(t, v[i], 0);
}

#define TOTAL_COLUMNS                                                                              \
    {"total_server_assignment_count", TABLE_NUMERIC}, {"total_xact_count", TABLE_NUMERIC},         \
        {"total_query_count", TABLE_NUMERIC}, {"total_received", TABLE_NUMERIC},                   \
        {"total_sent", TABLE_NUMERIC}, {"total_xact_time", TABLE_NUMERIC},                         \
        {"total_query_time", TABLE_NUMERIC}, {"total_wait_time", TABLE_NUMERIC},                   \
        {"total_client_parse_count", TABLE_NUMERIC}, {"total_server_parse_count", TABLE_NUMERIC},  \
        {"total_bind_count", TABLE_NUMERIC},                                                       \
    {                                                                                              \
        "total_client_login_count", TABLE_NUMERIC                                                  \
    }
#define AVERAGE_COLUMNS                                                                            \
    {"avg_server_assignment_count", TABLE_NUMERIC}, {"avg_xact_count", TABLE_NUMERIC},             \
        {"avg_query_count", TABLE_NUMERIC}, {"avg_recv", TABLE_NUMERIC},                           \
        {"avg_sent", TABLE_NUMERIC}, {"avg_xact_time", TABLE_NUMERIC},                             \
        {"avg_query_time", TABLE_NUMERIC}, {"avg_wait_time", TABLE_NUMERIC},                       \
        {"avg_client_parse_count", TABLE_NUMERIC}, {"avg_server_parse_count", TABLE_NUMERIC},      \
        {"avg_bind_count", TABLE_NUMERIC},                                                         \
    {                                                                                              \
        "avg_client_login_count", TABLE_NUMERIC                                                    \
    }
#define PLAIN_COLUMNS                                                                              \
    {"server_assignment_count", TABLE_NUMERIC}, {"xact_count", TABLE_NUMERIC},                     \
        {"query_count", TABLE_NUMERIC}, {"bytes_received", TABLE_NUMERIC},                         \
        {"bytes_sent", TABLE_NUMERIC}, {"xact_time", TABLE_NUMERIC},                               \
        {"query_time", TABLE_NUMERIC},                                                             \
    {                                                                                              \
        "wait_time", TABLE_NUMERIC                                                                 \
    }

static const struct table_column columns_stats[] = {
    {"database", TABLE_TEXT}, TOTAL_COLUMNS, AVERAGE_COLUMNS};
static const struct table_column columns_totals[] = {{"database", TABLE_TEXT},
                                                     PLAIN_COLUMNS,
                                                     {"client_parse_count", TABLE_NUMERIC},
                                                     {"server_parse_count", TABLE_NUMERIC},
                                                     {"bind_count", TABLE_NUMERIC},
                                                     {"client_login_count", TABLE_NUMERIC}};
static const struct table_column columns_averages[] = {{"database", TABLE_TEXT},
                                                       PLAIN_COLUMNS,
                                                       {"avg_client_parse_count", TABLE_NUMERIC},
                                                       {"avg_server_parse_count", TABLE_NUMERIC},
                                                       {"avg_bind_count", TABLE_NUMERIC},
                                                       {"avg_client_login_count", TABLE_NUMERIC}};
static const struct table_column columns_named[] = {{"name", TABLE_TEXT}, {"value", TABLE_NUMERIC}};

static void for_each(struct control *c, struct table *t, bool totals, bool means)
{
    size_t n;
    const struct pool_row **rows = pw_show_rows_sorted(c, &n);
    for (size_t i = 0; i < n; i++) {
        const char *database = rows[i]->database;
        if ((i && strcmp(rows[i - 1]->database, database) == 0) || !pw_table_row(t))
            continue;
        pw_table_text(t, database);
        if (totals)
            put_totals(c, t, database);
        if (means)
            put_averages(c, t, database);
    }
    pw_free(rows);
}

static void build_stats(struct control *c, struct table *t, const struct admin_call *call)
{
    (void)call;
    for_each(c, t, true, true);
}

static void build_totals(struct control *c, struct table *t, const struct admin_call *call)
{
    (void)call;
    for_each(c, t, true, false);
}

static void build_averages(struct control *c, struct table *t, const struct admin_call *call)
{
    (void)call;
    for_each(c, t, false, true);
}

/* One row per number, over all databases. */
static void build_named(struct control *c, struct table *t, const struct admin_call *call)
{
    struct sums s = sums_of(c, NULL);
    double mean[COUNTERS] = {0}, xacts = 0, queries = 0, xact_us = 0, query_us = 0, one[COUNTERS];
    (void)call;
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next) {
        if (!is_first(c, r))
            continue;
        averages(c, r->database, one);
        for (size_t i = 0; i < COUNTERS; i++)
            mean[i] += one[i];
        xacts += one[XACTS];
        queries += one[QUERIES];
        xact_us += one[XACT_US] * one[XACTS];
        query_us += one[QUERY_US] * one[QUERIES];
    }
    mean[XACT_US] = xacts > 0 ? xact_us / xacts : 0;
    mean[QUERY_US] = queries > 0 ? query_us / queries : 0;
    for (size_t i = 0; i < 2 * COUNTERS && pw_table_row(t); i++) {
        pw_table_text(t, columns_stats[1 + i].name);
        if (i < COUNTERS)
            pw_table_uint(t, s.v[i]);
        else
            pw_table_num(t, mean[i - COUNTERS], 0);
    }
}

static const struct view views[] = {
    {PW_VIEW("SHOW STATS", NULL,
             "Per database: sums since start, and averages per second of the last minute; times in "
             "microseconds, averaged per transaction and query.",
             columns_stats),
     .build = build_stats},
    {PW_VIEW("SHOW STATS_TOTALS", NULL, "The sums of SHOW STATS.", columns_totals),
     .build = build_totals},
    {PW_VIEW("SHOW STATS_AVERAGES", NULL, "The averages of SHOW STATS.", columns_averages),
     .build = build_averages},
    {PW_VIEW("SHOW TOTALS", NULL, "The sums and averages of SHOW STATS over all databases.",
             columns_named),
     .build = build_named},
};

void pw_show_register_stats(struct control *c)
{
    pw_views_register(c, views, PW_COUNT_OF(views));
}
