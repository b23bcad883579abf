/* SHOW FAMILIES, BATCH, INDEXES. Control thread. */
#include <stdio.h>

#include "proxy/base/alloc.h"
#include "proxy/control/families_past.h"
#include "proxy/control/show.h"
#include "proxy/metrics/metrics.h"

enum { FAMILIES_DEFAULT = 50, TABLES_TEXT_MAX = 2000 };

/* ---- FAMILIES ---- */

static const struct table_column columns_families[] = {
    {"family", TABLE_TEXT},     {"calls", TABLE_INT8},        {"rows", TABLE_INT8},
    {"mean_ms", TABLE_NUMERIC}, {"p50_ms", TABLE_NUMERIC},    {"p95_ms", TABLE_NUMERIC},
    {"p99_ms", TABLE_NUMERIC},  {"cache_hits", TABLE_INT8},   {"merged", TABLE_INT8},
    {"tables", TABLE_TEXT},     {"indexes", TABLE_TEXT},      {"text", TABLE_TEXT},
    {"database", TABLE_TEXT},   {"joined", TABLE_INT8},       {"pipelined", TABLE_INT8},
    {"errors", TABLE_INT8},     {"server_ms", TABLE_NUMERIC}, {"wait_ms", TABLE_NUMERIC},
    {"cacheable", TABLE_TEXT},  {"batchable", TABLE_TEXT},    {"proxy_ms", TABLE_NUMERIC},
    {"max_ms", TABLE_NUMERIC},  {"bytes", TABLE_INT8},        {"sqlstates", TABLE_TEXT},
    {"overcount", TABLE_INT8},  {"plan", TABLE_TEXT},         {"plan_changes", TABLE_INT8}};

static void append_tables(struct buf *out, struct table_names *names, const struct family_stats *f,
                          const uint32_t *oids, uint32_t n)
{
    char name[160];
    for (uint32_t i = 0; i < n; i++) {
        pw_table_names_put(names, f->database_id, oids[i], name, sizeof name);
        pw_buf_printf(out, "%s%s", out->len ? ", " : "", name);
    }
}

static void put_tables(struct table *t, struct table_names *names, const struct family_stats *f)
{
    struct buf out;
    pw_buf_init(&out, TABLES_TEXT_MAX);
    append_tables(&out, names, f, f->plan->tables_read, f->plan->n_read);
    append_tables(&out, names, f, f->plan->tables_written, f->plan->n_written);
    pw_table_slice(t, out.len ? pw_buf_slice(&out) : PW_SLICE_LIT(""));
    pw_buf_free(&out);
}

static const char *verdict(const struct plan *plan, uint32_t flag, enum plan_reason why_not)
{
    return pw_plan_has(plan, flag) ? "yes" : pw_plan_reason_text(why_not);
}

static void put_family(struct control *c, struct table *t, struct table_names *names,
                       const struct family_stats *f)
{
    double calls = f->calls ? (double)f->calls : 1;
    pw_table_printf(t, "%016llx", (unsigned long long)f->family);
    pw_table_uint(t, f->calls);
    pw_table_uint(t, f->rows);
    pw_table_num(t, pw_family_mean_us(f) / 1e3, 3);
    pw_table_num(t, (double)pw_family_percentile(f, 0.50) / 1e3, 3);
    pw_table_num(t, (double)pw_family_percentile(f, 0.95) / 1e3, 3);
    pw_table_num(t, (double)pw_family_percentile(f, 0.99) / 1e3, 3);
    pw_table_uint(t, f->outcomes[FAMILY_CACHE_HIT]);
    pw_table_uint(t, f->outcomes[FAMILY_MERGED]);
    put_tables(t, names, f);
    pw_index_names_put(c, t, f->database_id, f->family);
    pw_table_text(t, f->plan->family_text);
    const char *database = pw_database_name(c, f->database_id);
    pw_table_text(t, *database
                         ? database
                         : pw_families_past_database(pw_control_families_past(c), f->database_id));
    pw_table_uint(t, f->outcomes[FAMILY_JOINED]);
    pw_table_uint(t, f->outcomes[FAMILY_PIPELINED]);
    pw_table_uint(t, f->errors);
    pw_table_num(t, (double)f->server_us / calls / 1e3, 3);
    pw_table_num(t, (double)f->wait_us / calls / 1e3, 3);
    pw_table_text(t, verdict(f->plan, PLAN_F_CACHEABLE, f->plan->reason));
    pw_table_text(t, verdict(f->plan, PLAN_F_PIPELINE, f->plan->batch_reason));
    uint64_t elsewhere = f->server_us + f->wait_us;
    uint64_t here = f->total_us > elsewhere ? f->total_us - elsewhere : 0;
    pw_table_num(t, (double)here / calls / 1e3, 3);
    pw_table_num(t, (double)f->max_us / 1e3, 3);
    pw_table_uint(t, f->bytes);
    char errors[160];
    pw_family_errors_text(f, errors, sizeof errors);
    pw_table_text(t, errors);
    pw_table_uint(t, f->overcount); /* calls that may belong to families that had to make room */
    pw_index_plan_put(c, t, f->database_id, f->family);
}

static void families(struct control *c, struct table *t, const struct families_snapshot *s,
                     size_t limit)
{
    struct table_names *names = pw_table_names_new(c);
    for (size_t i = 0; i < s->n && i < limit && pw_table_row(t); i++)
        put_family(c, t, names, &s->rows[i]);
    pw_table_names_free(names);
}

/* ---- BATCH ---- */

static const struct table_column columns_batch[] = {
    {"requests", TABLE_INT8},  {"executions", TABLE_INT8},   {"single_flight_joined", TABLE_INT8},
    {"pipelined", TABLE_INT8}, {"merged", TABLE_INT8},       {"merged_statements", TABLE_INT8},
    {"fallbacks", TABLE_INT8}, {"avg_batch", TABLE_NUMERIC}, {"max_batch", TABLE_INT8},
    {"promoted", TABLE_INT8},  {"effect", TABLE_TEXT}};

/* A batch is what one execution answered; avg_batch: requests per execution. */
static void build_batch(struct control *c, struct table *t, const struct admin_call *call)
{
    struct hist_view sizes;
    uint64_t requests = pw_metric_read(PW_METRIC_BATCH_REQUESTS);
    uint64_t executions = pw_metric_read(PW_METRIC_BATCH_EXECUTIONS);
    (void)call;
    pw_metric_hist_read(PW_HIST_BATCH_SIZE, &sizes);
    pw_table_row(t);
    pw_table_uint(t, requests);
    pw_table_uint(t, executions);
    pw_table_uint(t, pw_metric_read(PW_METRIC_BATCH_JOINED));
    pw_table_uint(t, pw_metric_read(PW_METRIC_BATCH_PIPELINED));
    pw_table_uint(t, pw_metric_read(PW_METRIC_BATCH_MERGED));
    pw_table_uint(t, pw_metric_read(PW_METRIC_BATCH_MERGED_STATEMENTS));
    pw_table_uint(t, pw_metric_read(PW_METRIC_BATCH_FALLBACKS));
    if (executions)
        pw_table_num(t, (double)requests / (double)executions, 2);
    else
        pw_table_null(t);
    if (executions)
        pw_table_uint(t, sizes.count ? sizes.max
                                     : 1); /* an execution that nobody joined is not observed */
    else
        pw_table_null(t);
    pw_table_uint(t, pw_metric_read(PW_METRIC_BATCH_PROMOTED));
    pw_table_text(t, c->conf->pgweir.mode == CONF_MODE_OBSERVE
                         ? "observing: what would be coalesced is counted, not done"
                         : "coalescing");
}

static const struct view views[] = {
    {PW_VIEW("SHOW FAMILIES", "[n]",
             "Query families by total time: calls, latency, what was cached and coalesced.",
             columns_families),
     .families = families, .limit = FAMILIES_DEFAULT},
    {PW_VIEW("SHOW BATCH", NULL, "How requests were coalesced; avg_batch: requests per execution.",
             columns_batch),
     .build = build_batch},
};

void pw_show_register_families(struct control *c)
{
    pw_views_register(c, views, PW_COUNT_OF(views));
    pw_show_register_indexes(c);
}
