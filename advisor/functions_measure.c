/* What a call of a function takes, and what it would take were it inlined. See functions.h. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/functions.h"
#include "advisor/welch.h"
#include "planner/ast.h"

#define ROWS         10000 /* calls per run */
#define REPETITIONS  9
#define STATEMENT_MS 3000
#define WORTH_PCT    10.0

enum arm { ARM_CALL, ARM_INLINE, ARMS };

struct timing {
    double ms[REPETITIONS];
    struct latency_moments moments; /* of ln(us) */
    int n;
};

/* $n in a body is the n-th argument's name. Strings and comments stay as they are; NULL: a number
 * that is not an argument. */
static char *with_names(struct arena *mem, const char *sql, const char *names)
{
    char *out = pw_mem_str(mem, "");
    for (const char *s = sql; *s;) {
        size_t plain = strcspn(s, "$'\"");
        out = pw_mem_printf(mem, "%s%.*s", out, (int)plain, s);
        s += plain;
        if (*s == '\'' || *s == '"') {
            const char *end = strchr(s + 1, *s);
            size_t len = end ? (size_t)(end - s) + 1 : strlen(s);
            out = pw_mem_printf(mem, "%s%.*s", out, (int)len, s);
            s += len;
        } else if (*s == '$') {
            if (!isdigit((unsigned char)s[1]))
                return NULL; /* a dollar quote */
            const char *at = names;
            for (unsigned long n = strtoul(s + 1, NULL, 10); n > 1 && at; n--) {
                at = strstr(at, ", ");
                at = at ? at + 2 : NULL;
            }
            if (!at || !*at)
                return NULL;
            const char *end = strstr(at, ", ");
            size_t len = end ? (size_t)(end - at) : strlen(at);
            out = pw_mem_printf(mem, "%s%.*s", out, (int)len, at);
            s += 1 + strspn(s + 1, "0123456789");
        }
    }
    return out;
}

static bool run_once(struct advice_run *r, const char *sql, double *ms)
{
    pw_side_exec(&r->side, NULL, "BEGIN READ ONLY");
    struct pgresult *res = pw_side_rows(&r->side, NULL, sql, 0, NULL);
    cJSON *tree = res && pw_pgresult_rows(res) ? cJSON_Parse(pw_cell(res, 0, 0)) : NULL;
    const cJSON *time = pw_ast_get(cJSON_GetArrayItem(tree, 0), "Execution Time");
    bool ok = cJSON_IsNumber(time);
    if (ok)
        *ms = time->valuedouble;
    cJSON_Delete(tree);
    if (res)
        pw_pgresult_free(res);
    pw_side_exec(&r->side, NULL, "ROLLBACK");
    return ok;
}

static bool run_all(struct advice_run *r, const char *const sql[ARMS], struct timing t[ARMS])
{
    for (int rep = -1; rep < REPETITIONS; rep++) /* the first round warms up */
        for (int arm = 0; arm < ARMS; arm++) {
            double ms;
            if (r->side.lost || !run_once(r, sql[arm], &ms))
                return false;
            if (rep < 0)
                continue;
            double l = log(fmax(ms, 1e-6) * 1000);
            t[arm].ms[t[arm].n++] = ms;
            t[arm].moments.n++;
            t[arm].moments.sum += l;
            t[arm].moments.sum2 += l * l;
        }
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double us_per_call(struct timing *t)
{
    qsort(t->ms, (size_t)t->n, sizeof(t->ms[0]), by_value);
    return t->ms[t->n / 2] * 1000 / ROWS;
}

/* An operator may stand for anything. */
static bool operators_are_inert(struct advice_run *r)
{
    char *v = pw_side_value(&r->side, NULL,
                            "SELECT count(*) FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode"
                            " WHERE p.provolatile = 'v'");
    return v && strcmp(v, "0") == 0;
}

static const char *why_not(struct advice_run *r, const struct function *f, const struct body *b,
                           const char *select)
{
    if (f->returns_set)
        return "it returns a set: what it saves depends on the query around it";
    if (!b->plain || b->worst == 'v' || b->reads_tables || !operators_are_inert(r))
        return "running it might not be without effect";
    if (!f->args)
        return "an argument is of a type for which no values can be made up";
    return select ? NULL : "its body could not be written in place";
}

bool pw_function_measure(struct advice_run *r, const struct function *f, const struct body *b,
                         const char *select, struct advice *a)
{
    struct advice_set *s = r->set;
    struct timing t[ARMS] = {{.n = 0}, {.n = 0}};
    if (r->job->what != ADVISE_FUNCTIONS)
        return true;
    char *body = f->args && select ? with_names(&r->mem, select, f->arg_names) : NULL;
    const char *why = why_not(r, f, b, body);
    if (why) {
        pw_advice_fact_text(s, a, "not_measured", why);
        return true;
    }
    static const char head[] = "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, FORMAT JSON)";
    const char *from = pw_mem_printf(&r->mem, "FROM (SELECT %s FROM generate_series(1, %d) g) args",
                                     f->args[0] ? f->args : "g", ROWS);
    const char *const sql[ARMS] = {pw_mem_printf(&r->mem, "%s SELECT %s(%s) %s", head,
                                                 pw_mem_qualified(&r->mem, f->schema, f->name),
                                                 f->arg_names, from),
                                   pw_mem_printf(&r->mem, "%s %s\n%s", head, body, from)};
    pw_side_exec(&r->side, "time limit",
                 pw_mem_printf(&r->mem, "SET statement_timeout = %d", STATEMENT_MS));
    pw_side_exec(&r->side, "search_path",
                 pw_mem_printf(&r->mem, "SET search_path = %s", r->side.search_path));
    bool ok = run_all(r, sql, t);
    pw_side_exec(&r->side, NULL, "SET search_path = pg_catalog, pg_temp");
    if (!ok) {
        pw_advice_fact_text(s, a, "not_measured", "a call failed or took too long");
        return true;
    }
    struct welch test;
    pw_welch(&t[ARM_CALL].moments, &t[ARM_INLINE].moments, &test);
    double now = us_per_call(&t[ARM_CALL]), then = us_per_call(&t[ARM_INLINE]);
    bool faster = 100 * (1 - then / now) >= WORTH_PCT && test.p < 0.05;
    pw_advice_fact_num(s, a, "us_per_call_now", now);
    pw_advice_fact_num(s, a, "us_per_call_inlined", then);
    pw_advice_fact_num(s, a, "runs_per_arm", REPETITIONS);
    pw_advice_fact_num(s, a, "calls_per_run", ROWS);
    pw_advice_fact_num(s, a, "p_value", test.p);
    a->reason = pw_mem_printf(&s->mem, "%s Measured: %.2f us a call, %.2f us in place%s.",
                              a->reason, now, then, faster ? "" : ", no real difference");
    return faster;
}
