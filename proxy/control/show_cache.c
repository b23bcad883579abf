/* SHOW CACHE, CACHE ENTRIES, CACHE REASONS, CACHE FLUSH. Control thread. */
#include <stdlib.h>
#include <strings.h>

#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/control/show.h"

enum { ENTRIES_DEFAULT = 20 };

static const struct table_column columns_cache[] = {{"entries", TABLE_INT8},
                                                    {"memory_used", TABLE_INT8},
                                                    {"memory_total", TABLE_INT8},
                                                    {"hits", TABLE_INT8},
                                                    {"misses", TABLE_INT8},
                                                    {"hit_rate", TABLE_NUMERIC},
                                                    {"evictions", TABLE_INT8},
                                                    {"expirations", TABLE_INT8},
                                                    {"invalidations", TABLE_INT8},
                                                    {"fills", TABLE_INT8},
                                                    {"stale_fills_refused", TABLE_INT8},
                                                    {"redis_hits", TABLE_INT8},
                                                    {"bypasses", TABLE_INT8},
                                                    {"effect", TABLE_TEXT}};

static uint64_t bypasses(const struct control *c)
{
    uint64_t reasons[PW_CACHE_REASONS_MAX], sum = 0;
    pw_cache_reasons(c->cache, reasons);
    for (size_t i = 0; i < PW_CACHE_REASONS_MAX; i++)
        sum += reasons[i];
    return sum;
}

static void build_cache(struct control *c, struct table *t, const struct admin_call *call)
{
    struct cache_stats s;
    bool observing = c->conf->pgweir.mode == CONF_MODE_OBSERVE;
    (void)call;
    pw_cache_stats(c->cache, &s);
    pw_table_row(t);
    pw_table_uint(t, s.entries);
    pw_table_uint(t, s.memory_used);
    pw_table_uint(t, s.memory_total);
    pw_table_uint(t, s.hits);
    pw_table_uint(t, s.misses);
    pw_table_num(t, s.hit_rate, 4);
    pw_table_uint(t, s.evictions);
    pw_table_uint(t, s.expirations);
    pw_table_uint(t, s.invalidations);
    pw_table_uint(t, s.fills);
    pw_table_uint(t, s.stale_fills_refused);
    pw_table_uint(t, s.redis_hits);
    pw_table_uint(t, bypasses(c));
    pw_table_text(t, c->conf->cache.consistency == CONF_CACHE_OFF ? "off"
                     : observing ? "observing: hits are counted, not served"
                                 : "serving");
}

/* ---- ENTRIES ---- */

static const struct table_column columns_entries[] = {
    {"database", TABLE_TEXT}, {"family", TABLE_TEXT},        {"hits", TABLE_INT8},
    {"bytes", TABLE_INT8},    {"rows", TABLE_INT8},          {"cost_ms", TABLE_NUMERIC},
    {"age_s", TABLE_NUMERIC}, {"ttl_left_s", TABLE_NUMERIC}, {"tables", TABLE_INT4}};

static void put_entry(struct control *c, struct table *t, const struct cache_entry_info *e)
{
    pw_table_text(t, pw_database_name(c, e->database_id));
    pw_table_printf(t, "%016llx", (unsigned long long)e->family);
    pw_table_uint(t, e->hits);
    pw_table_uint(t, e->bytes);
    pw_table_uint(t, e->n_rows);
    pw_table_num(t, (double)e->cost_us / 1e3, 3);
    pw_table_num(t, (double)e->age_us / 1e6, 1);
    if (e->ttl_left_us == UINT64_MAX)
        pw_table_null(t);
    else
        pw_table_num(t, (double)e->ttl_left_us / 1e6, 1);
    pw_table_uint(t, e->n_tables);
}

static void run_entries(struct admin_call *call)
{
    struct control *c = call->arg;
    size_t max = pw_admin_arg_count(call, 0, ENTRIES_DEFAULT, SHOW_LIMIT_MAX);
    if (!max)
        return;
    struct cache_entry_info *rows = pw_alloc(max * sizeof(*rows));
    struct table *t = pw_table_new(columns_entries, PW_COUNT_OF(columns_entries));
    size_t n = pw_cache_list(c->cache, rows, max, pw_clock_us());
    for (size_t i = 0; i < n && pw_table_row(t); i++)
        put_entry(c, t, &rows[i]);
    pw_free(rows);
    pw_admin_finish_table(call, t);
}

/* ---- REASONS: how often, and the families behind it ---- */

static const struct table_column columns_reasons[] = {{"reason", TABLE_TEXT},
                                                      {"requests", TABLE_INT8},
                                                      {"families", TABLE_INT8},
                                                      {"calls", TABLE_INT8},
                                                      {"example", TABLE_TEXT}};

static void families_reasons(struct control *c, struct table *t, const struct families_snapshot *s,
                             size_t limit)
{
    uint64_t requests[PW_CACHE_REASONS_MAX];
    (void)limit;
    pw_cache_reasons(c->cache, requests);
    for (int reason = PLAN_WHY_NOT_NONE + 1; reason < PLAN_REASON_COUNT; reason++) {
        uint64_t n = 0, calls = 0;
        const char *example = NULL;
        for (size_t i = 0; i < s->n; i++) {
            const struct plan *plan = s->rows[i].plan;
            if (plan->cls != PLAN_READ || (int)plan->reason != reason)
                continue;
            n++;
            calls += s->rows[i].calls;
            if (!example)
                example = plan->family_text;
        }
        uint64_t counted = reason < PW_CACHE_REASONS_MAX ? requests[reason] : 0;
        if ((!n && !counted) || !pw_table_row(t))
            continue;
        pw_table_text(t, pw_plan_reason_text((enum plan_reason)reason));
        pw_table_uint(t, counted);
        pw_table_uint(t, n);
        pw_table_uint(t, calls);
        pw_table_text(t, example);
    }
}

/* ---- CACHE FLUSH ---- */

static const struct table_column columns_flush[] = {{"dropped", TABLE_INT8}};

static void finish_flush(struct admin_call *call, uint64_t dropped)
{
    struct table *t = pw_table_new(columns_flush, PW_COUNT_OF(columns_flush));
    pw_table_row(t);
    pw_table_uint(t, dropped);
    pw_admin_finish_table(call, t);
}

static uint64_t flush_database(struct control *c, const char *name, bool *found)
{
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next)
        if (strcmp(r->database, name) == 0) {
            struct cache_filter f = {.by_database = true, .database_id = r->database_id};
            *found = true;
            return pw_cache_flush(c->cache, &f);
        }
    return 0;
}

/* In every database that has the table: "name" or "schema.name". */
static uint64_t flush_table(struct control *c, const char *name, bool *found)
{
    uint64_t dropped = 0;
    uint32_t oids[64];
    for (uint32_t id = 1; id <= c->n_catalogs; id++) {
        size_t n = pw_table_oids(c, id, name, oids, PW_COUNT_OF(oids));
        for (size_t i = 0; i < n; i++) {
            struct cache_filter f = {.by_table = true,
                                     .table_slot = pw_cache_table_slot(id, oids[i])};
            *found = true;
            dropped += pw_cache_flush(c->cache, &f);
        }
    }
    return dropped;
}

static uint64_t flush_family(struct control *c, const char *text, bool *valid)
{
    char *end;
    struct cache_filter f = {.by_family = true, .family = strtoull(text, &end, 16)};
    *valid = *text && !*end;
    return *valid ? pw_cache_flush(c->cache, &f) : 0;
}

static void run_flush(struct admin_call *call)
{
    struct control *c = call->arg;
    const struct cache_filter everything = {0};
    bool found = false;
    uint64_t dropped = 0;
    if (call->n_args == 0) {
        finish_flush(call, pw_cache_flush(c->cache, &everything));
        return;
    }
    if (call->n_args == 2 && strcasecmp(call->args[0], "DATABASE") == 0)
        dropped = flush_database(c, call->args[1], &found);
    else if (call->n_args == 2 && strcasecmp(call->args[0], "TABLE") == 0)
        dropped = flush_table(c, call->args[1], &found);
    else if (call->n_args == 2 && strcasecmp(call->args[0], "FAMILY") == 0)
        dropped = flush_family(c, call->args[1], &found);
    else {
        pw_admin_finish_error(call, "42601",
                              "usage: CACHE FLUSH [DATABASE name | TABLE name | FAMILY id]");
        return;
    }
    if (found)
        finish_flush(call, dropped);
    else
        pw_admin_finish_error(call, "42704", "no such %s: \"%s\"", call->args[0], call->args[1]);
}

static const struct view views[] = {
    {PW_VIEW("SHOW CACHE", NULL, "The result cache: size, hits, and why entries went away.",
             columns_cache),
     .build = build_cache},
    {PW_VIEW("SHOW CACHE REASONS", NULL,
             "Why requests and query families are not cached, with an example of each.",
             columns_reasons),
     .families = families_reasons, .limit = SHOW_LIMIT_MAX},
};

static const struct admin_command commands[] = {
    {"SHOW CACHE ENTRIES", ADMIN_STATS, "[n]", "The n entries with the most hits.", run_entries},
    {"CACHE FLUSH", ADMIN_ADMIN, "[DATABASE name | TABLE name | FAMILY id]",
     "Drops cached results and says how many.", run_flush},
};

void pw_show_register_cache(struct control *c)
{
    pw_views_register(c, views, PW_COUNT_OF(views));
    pw_admin_register(c->admin, commands, PW_COUNT_OF(commands), c);
}
