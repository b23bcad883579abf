/*
 * One EXPLAIN on the side connection: BEGIN READ ONLY with short timeouts, the client's role and
 * settings, EXPLAIN, what the catalog adds for tables that are written, what all that added to our
 * own backend's scan counters, ROLLBACK. See index_log.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/index_log_priv.h"
#include "planner/limits.h"
#include "planner/sample.h"
#include "planner/template.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/net/pgconn.h"

enum {
    CONNECT_TIMEOUT_US = 5000000,
    QUERY_TIMEOUT_US = 2000000,
    PARAMS_MAX = 100,
    EXPLAIN_SQL_MAX = 64 * 1024,
    BEGIN_SQL_MAX = 16 * 1024
};

static const char begin_sql[] =
    "ROLLBACK; DEALLOCATE ALL; BEGIN READ ONLY; SET LOCAL statement_timeout = '250ms'; "
    "SET LOCAL lock_timeout = '50ms'; SET LOCAL idle_in_transaction_session_timeout = '5s'; "
    "SET LOCAL jit = off; SET LOCAL standard_conforming_strings = on; ";

/* What no plan shows. $1 schema, $2 table, $3 operation, $4 and $5: columns that are written (none:
 * all). A row that changes an indexed column gets a new entry, and a check, in every index. */
static const char writes_sql[] =
    "WITH t AS (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
    "c.relnamespace WHERE n.nspname = $1 AND c.relname = $2), "
    "w AS (SELECT a FROM unnest($4::oid[], $5::int[]) x(o, a), t WHERE o = t.oid), "
    "every AS (SELECT $3 <> 'U' OR NOT EXISTS (SELECT FROM w) OR EXISTS (SELECT FROM w WHERE a = "
    "0) "
    "AS is), u AS ("
    "SELECT i.indexrelid AS index, 'Unique Check' AS kind FROM t, every e, pg_catalog.pg_index i "
    "WHERE i.indrelid = t.oid AND i.indisunique AND $3 IN ('I', 'U', 'M') AND (e.is OR EXISTS ("
    "SELECT FROM pg_catalog.pg_index o, w WHERE o.indrelid = t.oid AND w.a = ANY (o.indkey))) "
    "UNION ALL SELECT k.conindid, 'Foreign Key Check' FROM t, every e, pg_catalog.pg_constraint k "
    "WHERE k.conrelid = t.oid AND k.contype = 'f' AND $3 IN ('I', 'U', 'M') AND (e.is OR "
    "EXISTS (SELECT FROM w WHERE w.a = ANY (k.conkey))) "
    "UNION ALL SELECT (SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid = "
    "k.conrelid "
    "AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = k.conkey[1] "
    "ORDER BY i.indnatts, i.indexrelid LIMIT 1), 'Foreign Key Action' "
    "FROM t, every e, pg_catalog.pg_constraint k WHERE k.confrelid = t.oid AND k.contype = 'f' AND "
    "($3 IN ('D', 'M') OR ($3 = 'U' AND (e.is OR EXISTS (SELECT FROM w WHERE w.a = ANY "
    "(k.confkey)))))) "
    "SELECT tn.nspname || '.' || tc.relname, n.nspname || '.' || c.relname, u.kind FROM u "
    "JOIN pg_catalog.pg_class c ON c.oid = u.index JOIN pg_catalog.pg_namespace n ON n.oid = "
    "c.relnamespace JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid "
    "JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid JOIN pg_catalog.pg_namespace tn ON tn.oid "
    "= "
    "tc.relnamespace ORDER BY u.kind DESC, c.relname LIMIT 32";
static const char scans_sql[] =
    "SELECT n.nspname || '.' || c.relname, pg_catalog.pg_stat_get_xact_numscans(c.oid) "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'i' AND c.oid >= 16384 AND pg_catalog.pg_stat_get_xact_numscans(c.oid) > 0 "
    /* and, without a name, how often tables were analyzed */
    "UNION ALL SELECT '', pg_catalog.sum(pg_catalog.pg_stat_get_analyze_count(c.oid) + "
    "pg_catalog.pg_stat_get_autoanalyze_count(c.oid))::bigint FROM pg_catalog.pg_class c WHERE "
    "c.relkind IN ('r', 'm', 'p') AND c.oid >= 16384";

static bool is_explainable_word(const char *text, size_t len)
{
    static const char *const words[] = {"select", "insert", "update", "delete",
                                        "merge",  "with",   "values", "table"};
    while (len && (*text == '(' || *text == ' ')) {
        text++;
        len--;
    }
    for (size_t i = 0; i < PW_COUNT_OF(words); i++) {
        size_t n = strlen(words[i]);
        if (len > n && memcmp(text, words[i], n) == 0 && (text[n] == ' ' || text[n] == '('))
            return true;
    }
    return false;
}

static unsigned highest_param(const char *text, size_t len)
{
    unsigned highest = 0;
    for (size_t i = 0; i + 1 < len; i++) {
        if (text[i] != '$')
            continue;
        unsigned long n = strtoul(text + i + 1, NULL, 10);
        highest = n > highest && n <= PARAMS_MAX + 1 ? (unsigned)n : highest;
    }
    return highest;
}

static bool scan(const char *sample, unsigned *n_params)
{
    struct template t = {.cap = LIMIT_SQL_BYTES};
    t.text = pw_alloc(t.cap + 1);
    struct template_options options = {.standard_conforming_strings = true};
    bool ok = pw_template_scan(&t, pw_slice_str(sample), &options) == TEMPLATE_OK &&
              t.n_statements == 1 && is_explainable_word(t.text, t.len);
    t.text[t.len < t.cap ? t.len : t.cap] = 0;
    *n_params = ok ? highest_param(t.text, t.len) : 0;
    pw_free(t.text);
    return ok;
}

bool pw_index_is_one_statement(const char *sample)
{
    unsigned n_params;
    return scan(sample, &n_params);
}

bool pw_index_may_explain(const char *sample, unsigned *n_params)
{
    return scan(sample, n_params) && *n_params <= PARAMS_MAX;
}

static void ask(struct index_log *log, const char *sql, pw_on_pgresult cb)
{
    pw_pgconn_query(log->asking->conn, sql, 0, NULL, QUERY_TIMEOUT_US, cb, log);
}

void pw_index_question_free(struct log_question *q)
{
    pw_free(q->sql);
    pw_free(q->types);
    pw_free(q->values);
    pw_free(q->setup);
    pw_free(q->write_oids);
    pw_free(q->write_attnums);
    pw_index_plan_free(&q->plan);
    *q = (struct log_question){0};
}

static void on_rolled_back(void *arg, const struct pgresult *r)
{
    struct index_log *log = arg;
    (void)r;
    log->stats.spent_us += pw_clock_us() - log->started_us;
    pw_index_question_free(&log->question);
    log->asking = NULL;
    log->subject = NULL;
}

static void end(struct index_log *log, bool failed)
{
    if (log->closing) {
        on_rolled_back(log, NULL);
        return;
    }
    if (failed && !log->has_failed) {
        log->has_failed = true;
        pw_index_failed(log, log->subject);
    }
    /* Counted at once, so that the next EXPLAIN does not see this one's scans again. */
    bool can_flush = pw_pgconn_server_version(log->asking->conn) >= 150000;
    ask(log,
        can_flush ? "ROLLBACK; DEALLOCATE ALL; SELECT pg_catalog.pg_stat_force_next_flush()"
                  : "ROLLBACK; DEALLOCATE ALL",
        on_rolled_back);
}

static void on_scans(void *arg, const struct pgresult *r)
{
    struct index_log *log = arg;
    for (int i = 0; pw_pgresult_ok(r) && i < pw_pgresult_rows(r); i++) {
        const char *name = pw_pgresult_get(r, i, 0), *n = pw_pgresult_get(r, i, 1);
        if (name && n && !*name)
            pw_index_analyzed(log->asking, strtoull(n, NULL, 10), log->last_start_us);
        else if (name && n)
            pw_index_own_scans(log, log->asking->id, name, strtoull(n, NULL, 10));
    }
    end(log, false);
}

static void next_write(struct index_log *log);

static void on_writes(void *arg, const struct pgresult *r)
{
    struct index_log *log = arg;
    struct index_plan *plan = &log->question.plan;
    for (int i = 0; pw_pgresult_ok(r) && i < pw_pgresult_rows(r); i++)
        pw_index_plan_add(plan, pw_pgresult_get(r, i, 0), pw_pgresult_get(r, i, 1),
                          pw_pgresult_get(r, i, 2), "", 0);
    if (!pw_pgresult_ok(r))
        end(log, true);
    else
        next_write(log);
}

/* The catalog is asked about each table that is written; then all is known. */
static void next_write(struct index_log *log)
{
    struct log_question *q = &log->question;
    if (q->next_write == q->plan.n_writes) {
        pw_index_learned(log, log->subject, &q->plan);
        ask(log, scans_sql, on_scans);
        return;
    }
    const struct index_plan_write *w = &q->plan.writes[q->next_write++];
    const char operation[] = {w->operation, 0};
    const char *params[] = {w->schema, w->table, operation, q->write_oids, q->write_attnums};
    pw_pgconn_query(log->asking->conn, writes_sql, 5, params, QUERY_TIMEOUT_US, on_writes, log);
}

static void on_explained(void *arg, const struct pgresult *r)
{
    struct index_log *log = arg;
    struct log_question *q = &log->question;
    const char *json =
        pw_pgresult_ok(r) && pw_pgresult_rows(r) == 1 ? pw_pgresult_get(r, 0, 0) : NULL;
    if (!json || pw_index_plan_parse(json, &q->plan) != 0) {
        end(log, true);
        return;
    }
    unsigned n;
    q->is_generic = strstr(json, "$1") && pw_index_may_explain(q->sql, &n) && n > 0;
    next_write(log);
}

/* Several times when the server is to choose: its sixth plan is the one that stays. */
static void explain_prepared(struct index_log *log, unsigned n_params)
{
    const struct log_question *q = &log->question;
    struct buf nulls, sql;
    pw_buf_init(&nulls, 1000);
    for (unsigned i = 0; i < n_params; i++)
        pw_buf_append_str(&nulls, i ? ", NULL" : "NULL");
    pw_buf_append_u8(&nulls, 0);
    pw_buf_init(&sql, EXPLAIN_SQL_MAX);
    for (int i = 0; i < (q->values && q->is_prepared ? 6 : 1); i++)
        pw_buf_printf(&sql, "EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE pgweir_explain(%s); ",
                      q->values ? q->values : nulls.data);
    pw_buf_append_u8(&sql, 0);
    ask(log, sql.data, on_explained);
    pw_buf_free(&nulls);
    pw_buf_free(&sql);
}

static void on_generic(void *arg, const struct pgresult *r)
{
    struct index_log *log = arg;
    unsigned n;
    if (!pw_pgresult_ok(r) || !pw_index_may_explain(log->question.sql, &n))
        end(log, true);
    else
        explain_prepared(log, n);
}

/* The types that the server has inferred for binary values. */
static void on_types(void *arg, const struct pgresult *r)
{
    struct index_log *log = arg;
    struct log_question *q = &log->question;
    const char *types =
        pw_pgresult_ok(r) && pw_pgresult_rows(r) == 1 ? pw_pgresult_get(r, 0, 0) : NULL;
    char *values = types ? pw_sample_resolve(q->values, types) : NULL;
    pw_free(q->values);
    q->values = values;
    if (values)
        on_generic(log, r);
    else /* of a type that we cannot read: as if there were none */
        ask(log, "SET LOCAL plan_cache_mode = force_generic_plan", on_generic);
}

static void on_prepared(void *arg, const struct pgresult *r)
{
    struct index_log *log = arg;
    if (pw_pgresult_ok(r) && log->question.values && !pw_sample_is_resolved(log->question.values))
        ask(log,
            "SELECT pg_catalog.array_to_string(parameter_types::oid[], ' ') FROM "
            "pg_catalog.pg_prepared_statements WHERE name = 'pgweir_explain'",
            on_types);
    else
        on_generic(arg, r);
}

static void on_begun(void *arg, const struct pgresult *r)
{
    struct index_log *log = arg;
    const struct log_question *q = &log->question;
    unsigned n;
    if (!pw_pgresult_ok(r) || !pw_index_may_explain(q->sql, &n)) {
        end(log, true);
        return;
    }
    char *sql = !n ? pw_asprintf("EXPLAIN (FORMAT JSON, VERBOSE) %s", q->sql)
                   : pw_asprintf("PREPARE pgweir_explain%s%s%s AS %s", q->types ? " (" : "",
                                 q->types ? q->types : "", q->types ? ")" : "", q->sql);
    ask(log, sql, n ? on_prepared : on_explained);
    pw_free(sql);
}

void pw_index_ask(struct index_log *log, struct log_database *db, struct log_family *f,
                  const struct log_question *question)
{
    if (!db->conn)
        db->conn = pw_pgconn_new(log->uv, db->conninfo, CONNECT_TIMEOUT_US);
    pw_index_question_free(&log->question);
    log->asking = db;
    log->subject = f;
    log->question = *question;
    log->has_failed = false;
    log->started_us = pw_clock_us();
    log->stats.explains++;
    const char *mode = !question->values       ? "force_generic_plan"
                       : question->is_prepared ? "auto"
                                               : "force_custom_plan";
    struct buf sql;
    pw_buf_init(&sql, BEGIN_SQL_MAX);
    pw_buf_printf(&sql, "%sSET LOCAL plan_cache_mode = %s; ", begin_sql, mode);
    pw_sample_begin(&sql, question->setup);
    pw_buf_append_u8(&sql, 0);
    ask(log, sql.data, on_begun);
    pw_buf_free(&sql);
}
