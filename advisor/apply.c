/* See apply.h. */
#include "advisor/apply.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/side.h"
#include "advisor/welch.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/num.h"

#define CONNECT_TIMEOUT_US (10 * 1000 * 1000)
#define ENOUGH             30   /* calls before a family is judged */
#define SIGNIFICANT        0.05 /* family-wise, by Holm */
#define LOCK_KEY           "7021790435"

static bool step(struct pgsync *pg, const char *sql, char **error)
{
    struct pgresult *r = pw_pgsync_query(pg, sql, 0, NULL);
    bool ok = pw_pgresult_ok(r);
    if (!ok && error && !*error)
        *error = pw_strdup(pw_pgresult_error(r));
    pw_pgresult_free(r);
    return ok;
}

static char *value(struct pgsync *pg, const char *sql, const char *param)
{
    struct pgresult *r = pw_pgsync_query(pg, sql, param ? 1 : 0, &param);
    const char *v = pw_pgresult_ok(r) && pw_pgresult_rows(r) > 0 ? pw_pgresult_get(r, 0, 0) : NULL;
    char *out = v ? pw_strdup(v) : NULL;
    pw_pgresult_free(r);
    return out;
}

/* "schema.name" of an index: t, f, or NULL when it does not exist. */
static char *validity(struct pgsync *pg, const char *object)
{
    return value(pg,
                 "SELECT x.indisvalid FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid"
                 " JOIN pg_namespace n ON n.oid = c.relnamespace"
                 " WHERE n.nspname || '.' || c.relname = $1",
                 object);
}

static void drop_failed_build(struct pgsync *pg, const char *object)
{
    char *name = value(pg,
                       "SELECT 'DROP INDEX CONCURRENTLY ' || quote_ident(n.nspname) || '.' ||"
                       " quote_ident(c.relname) FROM pg_index x JOIN pg_class c"
                       " ON c.oid = x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
                       " WHERE n.nspname || '.' || c.relname = $1 AND NOT x.indisvalid",
                       object);
    if (name)
        step(pg, name, NULL);
    pw_free(name);
}

/* One statement per line, except a function's definition, which has lines of its own. */
static bool run_lines(struct pgsync *pg, const char *sql, char **error)
{
    if (strncmp(sql, "CREATE OR REPLACE FUNCTION", 26) == 0)
        return step(pg, sql, error);
    while (*sql) {
        size_t n = strcspn(sql, "\n");
        char *line = pw_strndup(sql, n);
        bool ok = step(pg, line, error);
        pw_free(line);
        if (!ok)
            return false;
        sql += n + (sql[n] == '\n');
    }
    return true;
}

static bool run_locked(struct pgsync *pg, const char *sql, const char *object, bool creates,
                       char **error)
{
    if (creates) {
        char *there = validity(pg, object);
        if (there)
            *error = pw_asprintf("%s exists already%s", object,
                                 there[0] == 't' ? "" : " and is invalid: drop it first");
        pw_free(there);
        if (*error)
            return false;
    }
    if (!run_lines(pg, sql, error)) {
        if (creates)
            drop_failed_build(pg, object);
        return false;
    }
    if (!creates)
        return true;
    char *valid = validity(pg, object);
    bool ok = valid && valid[0] == 't';
    if (!ok)
        *error = pw_asprintf("%s was built but is not valid", object);
    pw_free(valid);
    return ok;
}

bool pw_apply_sql(const char *conninfo, const char *sql, const char *object, bool creates,
                  pw_on_backend on_backend, void *arg, char **error)
{
    *error = NULL;
    struct pgsync *pg = pw_pgsync_connect(conninfo, CONNECT_TIMEOUT_US, error);
    if (!pg)
        return false;
    step(pg,
         "SET statement_timeout = 0; SET lock_timeout = 0; SET default_transaction_read_only = off;"
         " SET idle_session_timeout = 0",
         NULL);
    char *locked = value(pg, "SELECT pg_try_advisory_lock(" LOCK_KEY ")", NULL);
    bool ok = locked && locked[0] == 't';
    pw_free(locked);
    if (ok) {
        char *pid = value(pg, "SELECT pg_backend_pid()", NULL);
        {
            int64_t number = 0;
            if (pid && !pw_num_parse_i64(pw_slice_str(pid), &number))
                number = 0;
            on_backend(arg, (int)number);
        }
        pw_free(pid);
        ok = run_locked(pg, sql, object, creates, error);
        on_backend(arg, 0);
        /* A closed connection's lock stays until its backend notices: the next command would be
         * refused for our own sake. */
        step(pg, "SELECT pg_advisory_unlock(" LOCK_KEY ")", NULL);
    } else {
        *error = pw_strdup("another pgweir is applying advice to this database");
    }
    pw_pgsync_free(pg);
    return ok;
}

void pw_applied_start(struct applied *x, const struct advice *a, const char *database,
                      pw_family_latency latency, void *arg)
{
    memset(x, 0, sizeof(*x));
    snprintf(x->outcome.id, sizeof(x->outcome.id), "%s", a->id);
    snprintf(x->outcome.object, sizeof(x->outcome.object), "%s", a->object);
    snprintf(x->database, sizeof(x->database), "%s", database);
    x->kind = a->kind;
    x->undo_sql = pw_strdup(a->undo_sql);
    x->outcome.verdict = ADVICE_MEASURING;
    x->outcome.applied_us = pw_clock_wall_us();
    x->outcome.before_ms = x->outcome.after_ms = x->outcome.p_value = NAN;
    for (size_t k = 0; k < a->n_queries && x->n_families < PW_APPLY_FAMILIES; k++) {
        struct latency_moments m = {0, 0, 0};
        if (latency)
            latency(arg, database, a->queries[k].family, &m);
        x->families[x->n_families] = a->queries[k].family;
        x->before[x->n_families++] = m;
    }
}

void pw_applied_done(struct applied *x, pw_family_latency latency, void *arg)
{
    for (size_t k = 0; k < x->n_families; k++)
        if (!latency || !latency(arg, x->database, x->families[k], &x->start[k]))
            x->start[k] = x->before[k];
}

static int by_p(const void *a, const void *b)
{
    const struct welch *x = a, *y = b;
    return x->p < y->p ? -1 : x->p > y->p;
}

void pw_applied_judge(struct applied *x, pw_family_latency latency, void *arg)
{
    struct advice_outcome *o = &x->outcome;
    if (o->verdict == ADVICE_UNDONE || o->verdict == ADVICE_FAILED || !latency)
        return;
    struct welch tests[PW_APPLY_FAMILIES];
    struct latency_moments all_before = {0, 0, 0}, all_after = {0, 0, 0};
    size_t n = 0;
    bool open = false;
    if (x->n_families == 0) { /* nobody's plan changed: nothing to measure */
        o->verdict = ADVICE_NEUTRAL;
        return;
    }
    for (size_t k = 0; k < x->n_families; k++) {
        struct latency_moments now;
        if (!latency(arg, x->database, x->families[k], &now))
            continue;
        struct latency_moments after = pw_moments_between(&x->start[k], &now);
        all_before.n += x->before[k].n;
        all_before.sum += x->before[k].sum;
        all_after.n += after.n;
        all_after.sum += after.sum;
        if (after.n < ENOUGH || x->before[k].n < ENOUGH) {
            open = true;
            continue;
        }
        pw_welch(&x->before[k], &after, &tests[n++]);
    }
    o->n_before = all_before.n;
    o->n_after = all_after.n;
    o->before_ms = all_before.n > 0 ? exp(all_before.sum / all_before.n) / 1000 : NAN;
    o->after_ms = all_after.n > 0 ? exp(all_after.sum / all_after.n) / 1000 : NAN;
    if (n == 0)
        return;
    qsort(tests, n, sizeof(tests[0]), by_p);
    o->p_value = tests[0].p;
    bool helped = false, hurt = false;
    for (size_t k = 0; k < n && tests[k].p * (double)(n - k) < SIGNIFICANT; k++) {
        double change = exp(tests[k].mean_after - tests[k].mean_before);
        helped = helped || change < 1;
        hurt = hurt || change > 1.1;
    }
    o->verdict = hurt     ? ADVICE_HURT
                 : helped ? ADVICE_HELPED
                 : open   ? ADVICE_MEASURING
                          : ADVICE_NEUTRAL;
}

void pw_applied_free(struct applied *x)
{
    PW_FREE(x->undo_sql);
}

const char *pw_advice_verdict_text(enum advice_verdict v)
{
    static const char *const texts[] = {"measuring", "helped", "neutral",
                                        "hurt",      "undone", "failed"};
    return texts[v];
}
