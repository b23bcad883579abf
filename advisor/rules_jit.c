/*
 * JIT: does compiling pay? Each expensive read is run alternately without JIT, with plain
 * compilation, and with inlining and optimization, in READ ONLY transactions under a time limit;
 * only on command (ADVISE JIT).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/context.h"
#include "advisor/explain.h"
#include "advisor/jit_cause.h"
#include "advisor/needs.h"
#include "advisor/params.h"
#include "advisor/rules.h"
#include "advisor/welch.h"
#include "advisor/whatif.h"
#include "planner/ast.h"
#include "proxy/base/clock.h"

#define FAMILIES_MAX 20
#define REPETITIONS  7
#define RUN_SECONDS  120 /* for all families together */
#define STATEMENT_MS 10000
#define WORTH_PCT    10.0 /* a setting must be this much faster */
#define CHEAP        1000 /* plans below this cost are never worth compiling: not measured */

enum arm { ARM_OFF, ARM_PLAIN, ARM_FULL, ARMS };

static const char *const arm_texts[ARMS] = {"off", "compiled", "compiled, inlined and optimized"};
static const char *const arm_settings[ARMS] = {
    "SET jit = off",
    "SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = -1;"
    " SET jit_optimize_above_cost = -1",
    "SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0;"
    " SET jit_optimize_above_cost = 0"};

struct arm_result {
    double ms[REPETITIONS];
    struct latency_moments moments; /* of ln(us) */
    double median, warmup, compile_ms, functions;
    struct jit_cause cause; /* of the last run's plan */
    int n;
    bool too_long; /* a run did not end within STATEMENT_MS: median is that, a lower bound */
};

struct jit_family {
    size_t family;
    double cost;
    struct whatif_query query;
    struct arm_result arms[ARMS];
    enum arm current, best;
    bool measured;
};

struct jit_settings {
    bool on;
    double above, inline_above, optimize_above;
};

static bool read_settings(struct advice_run *r, struct jit_settings *out)
{
    /* Our session has jit off: ask for what other sessions start with. */
    struct pgresult *res = pw_side_rows(
        &r->side, "JIT settings",
        "SELECT pg_jit_available(), current_setting('jit_above_cost'),"
        " current_setting('jit_inline_above_cost'), current_setting('jit_optimize_above_cost'),"
        " (SELECT reset_val FROM pg_settings WHERE name = 'jit')",
        0, NULL);
    if (!res)
        return false;
    bool available = pw_cell_bool(res, 0, 0);
    out->above = pw_cell_num(res, 0, 1, 100000);
    out->inline_above = pw_cell_num(res, 0, 2, 500000);
    out->optimize_above = pw_cell_num(res, 0, 3, 500000);
    out->on = strcmp(pw_cell(res, 0, 4), "on") == 0;
    pw_pgresult_free(res);
    /* pg_jit_available() is also false when jit is off in this session: ask with it on. */
    if (!available && pw_side_exec(&r->side, NULL, "SET jit = on")) {
        char *v = pw_side_value(&r->side, NULL, "SELECT pg_jit_available()");
        available = v && v[0] == 't';
        pw_side_exec(&r->side, NULL, "SET jit = off");
    }
    if (!available)
        pw_side_note(&r->side, "no JIT advice: this server was built or installed without LLVM");
    return available;
}

static enum arm arm_of(const struct jit_settings *s, double cost)
{
    if (!s->on || s->above < 0 || cost <= s->above)
        return ARM_OFF;
    bool full = s->optimize_above >= 0 && cost > s->optimize_above;
    return full ? ARM_FULL : ARM_PLAIN;
}

/* Functions that may act must not run, not even in a READ ONLY transaction. */
static bool is_inert(struct advice_run *r, const struct need_statement *st)
{
    for (int k = 0; k < st->n_functions; k++) {
        const char *params[] = {st->functions[k]};
        struct pgresult *res = pw_side_rows(
            &r->side, "functions",
            "SELECT bool_or(provolatile = 'v') FROM pg_proc WHERE proname = $1", 1, params);
        bool acts = !res || pw_cell(res, 0, 0)[0] != 'f';
        if (res)
            pw_pgresult_free(res);
        if (acts)
            return false;
    }
    return st->verb == NEED_SELECT && !st->locks && st->parsed;
}

/* timing: slower, but it tells the time of compiling. */
static bool run_once(struct advice_run *r, const struct workload_sample *s, bool timing, double *ms,
                     struct arm_result *arm)
{
    const char *options =
        timing ? "ANALYZE, TIMING ON, FORMAT JSON" : "ANALYZE, TIMING OFF, FORMAT JSON";
    if (!pw_context_enter(&r->side, s->setup))
        return false;
    struct pgresult *res = pw_explain_sample(&r->side, options, s);
    bool ok = pw_pgresult_ok(res) && pw_pgresult_rows(res) > 0;
    if (ok) {
        cJSON *tree = cJSON_Parse(pw_cell(res, 0, 0));
        const cJSON *top = cJSON_GetArrayItem(tree, 0);
        const cJSON *time = pw_ast_get(top, "Execution Time"), *jit = pw_ast_get(top, "JIT");
        const cJSON *total = pw_ast_get(pw_ast_get(jit, "Timing"), "Total");
        ok = cJSON_IsNumber(time);
        if (ok)
            *ms = time->valuedouble;
        if (cJSON_IsNumber(total))
            arm->compile_ms = total->valuedouble;
        arm->functions = pw_ast_int(jit, "Functions");
        pw_jit_cause_read(pw_ast_get(top, "Plan"), &arm->cause);
        cJSON_Delete(tree);
    }
    pw_pgresult_free(res);
    pw_context_leave(&r->side);
    return ok;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void summarize(struct arm_result *a)
{
    if (a->too_long)
        a->n = 0;
    qsort(a->ms, (size_t)a->n, sizeof(a->ms[0]), by_value);
    a->median = a->n ? a->ms[a->n / 2] : a->too_long ? STATEMENT_MS : NAN;
    for (int k = 0; k < a->n; k++) {
        double l = log(fmax(a->ms[k], 1e-6) * 1000);
        a->moments.n++;
        a->moments.sum += l;
        a->moments.sum2 += l * l;
    }
}

static void read_compile_times(struct advice_run *r, struct jit_family *f)
{
    for (int arm = ARM_PLAIN; arm < ARMS; arm++) {
        double ms;
        if (f->arms[arm].too_long || r->side.lost)
            continue;
        pw_side_exec(&r->side, "JIT settings", arm_settings[arm]);
        run_once(r, &f->query.samples[0], true, &ms, &f->arms[arm]);
    }
}

/* A statement that runs without JIT but not with it takes too long to compile: that is a result. */
static bool measure(struct advice_run *r, struct jit_family *f, uint64_t deadline)
{
    for (int rep = -1; rep < REPETITIONS; rep++) /* the first round warms up */
        for (int arm = 0; arm < ARMS; arm++) {
            struct arm_result *to = &f->arms[arm];
            double ms = 0;
            if (to->too_long)
                continue;
            if (pw_clock_us() > deadline || r->side.lost)
                return rep >= 3;
            pw_side_exec(&r->side, "JIT settings", arm_settings[arm]);
            if (!run_once(r, &f->query.samples[0], false, &ms, to)) {
                if (arm == ARM_OFF || r->side.lost)
                    return false;
                to->too_long = true;
            } else if (rep < 0) {
                to->warmup = ms;
            } else {
                to->ms[to->n++] = ms;
            }
        }
    read_compile_times(r, f);
    return true;
}

static void judge(struct jit_family *f)
{
    for (int arm = 0; arm < ARMS; arm++)
        summarize(&f->arms[arm]);
    f->best = f->current;
    for (int arm = 0; arm < ARMS; arm++) {
        struct welch t;
        pw_welch(&f->arms[f->current].moments, &f->arms[arm].moments, &t);
        double gain = 100 * (1 - f->arms[arm].median / f->arms[f->current].median);
        bool sure = t.p < 0.05 || (f->arms[f->current].too_long && !f->arms[arm].too_long);
        if (gain >= WORTH_PCT && sure && f->arms[arm].median < f->arms[f->best].median)
            f->best = (enum arm)arm;
    }
}

static void advise_family(struct advice_run *r, const struct jit_family *f)
{
    struct advice_set *s = r->set;
    const struct workload_family *w = &r->w->families[f->family];
    const struct arm_result *now = &f->arms[f->current], *best = &f->arms[f->best];
    char id[32];
    snprintf(id, sizeof(id), "%016llx", (unsigned long long)w->id);
    struct advice *a = pw_advice_add(s, ADVICE_JIT, "", id);
    a->sql = f->best == ARM_OFF ? "SET LOCAL jit = off;"
             : f->best == ARM_PLAIN
                 ? "SET LOCAL jit = on; SET LOCAL jit_above_cost = 0; SET LOCAL "
                   "jit_inline_above_cost = -1; SET LOCAL jit_optimize_above_cost = -1;"
                 : "SET LOCAL jit = on; SET LOCAL jit_above_cost = 0; SET LOCAL "
                   "jit_inline_above_cost = 0; SET LOCAL jit_optimize_above_cost = 0;";
    a->benefit_pct = 100 * (1 - best->median / now->median);
    const struct jit_cause *cause = &f->arms[ARM_OFF].cause; /* the arm that always runs */
    bool against = f->best < f->current;
    const char *why =
        against ? pw_jit_cause_text(cause, f->arms[ARM_PLAIN].functions, &s->mem) : "";
    bool estimate = against && pw_jit_cause_is_estimate(cause);
    a->confidence = estimate ? ADVICE_LOW : ADVICE_MEDIUM;
    a->reason = pw_mem_printf(
        &s->mem,
        "This family takes %s%.1f ms (JIT %s), but %.1f ms with JIT %s: compiling "
        "%.0f functions takes %.1f ms each time.%s",
        now->too_long ? "more than " : "", now->median, arm_texts[f->current], best->median,
        arm_texts[f->best], f->arms[ARM_PLAIN].functions, f->arms[ARM_PLAIN].compile_ms, why);
    static const char *const names[ARMS] = {"off_ms", "compiled_ms", "optimized_ms"};
    static const char *const compile[ARMS] = {NULL, "compile_ms", "compile_optimized_ms"};
    static const char *const warm[ARMS] = {"off_warmup_ms", "compiled_warmup_ms",
                                           "optimized_warmup_ms"};
    for (int arm = 0; arm < ARMS; arm++) {
        pw_advice_fact_num(s, a, names[arm], f->arms[arm].median);
        pw_advice_fact_num(s, a, warm[arm], f->arms[arm].too_long ? NAN : f->arms[arm].warmup);
        if (compile[arm])
            pw_advice_fact_num(s, a, compile[arm],
                               f->arms[arm].too_long ? NAN : f->arms[arm].compile_ms);
    }
    struct welch t;
    pw_welch(&now->moments, &best->moments, &t);
    pw_advice_fact_bool(s, a, "current_ran_into_the_time_limit", now->too_long);
    pw_advice_fact_num(s, a, "functions", f->arms[ARM_PLAIN].functions);
    pw_advice_fact_num(s, a, "plan_cost", f->cost);
    pw_advice_fact_num(s, a, "plan_nodes", cause->nodes);
    pw_advice_fact_num(s, a, "partitions_read", cause->partitions);
    pw_advice_fact_bool(s, a, "limit_stops_early", cause->stops_early);
    if (estimate) {
        pw_advice_fact_num(s, a, "rows_expected", cause->expected);
        pw_advice_fact_num(s, a, "rows_seen", cause->seen);
    }
    pw_advice_fact_num(s, a, "runs_per_setting", best->n);
    pw_advice_fact_num(s, a, "spread_best_pct",
                       100 * (best->ms[best->n - 1] - best->ms[0]) / best->median);
    pw_advice_fact_num(s, a, "p_value", t.p);
    pw_advice_query(s, a, w->id, w->text, w->calls, f->cost, f->cost);
}

/* Total time of the measured families were jit_above_cost this. */
static double total_ms(const struct advice_run *r, const struct jit_family *f, size_t n,
                       const struct jit_settings *s)
{
    double total = 0;
    for (size_t k = 0; k < n; k++)
        if (f[k].measured)
            total += r->w->families[f[k].family].calls * f[k].arms[arm_of(s, f[k].cost)].median;
    return total;
}

/* One threshold for the database: among the families' own costs, the one with the least total time.
 */
static void advise_database(struct advice_run *r, const struct jit_family *f, size_t n,
                            const struct jit_settings *now)
{
    struct advice_set *s = r->set;
    struct jit_settings best = *now;
    double current = total_ms(r, f, n, now), least = current;
    for (size_t k = 0; k <= n; k++) {
        struct jit_settings trial = *now;
        trial.on = true;
        if (k < n && !f[k].measured)
            continue;
        trial.above = k < n ? ceil(f[k].cost) : floor(f[n - 1].cost) - 1;
        trial.inline_above = fmax(trial.inline_above, trial.above);
        trial.optimize_above = fmax(trial.optimize_above, trial.above);
        double t = total_ms(r, f, n, &trial);
        if (t < least * 0.999) {
            least = t;
            best = trial;
        }
    }
    if (!(current > 0) || least > current * (1 - WORTH_PCT / 100))
        return;
    struct advice *a = pw_advice_add(s, ADVICE_JIT, "", r->side.database);
    const char *db = pw_mem_ident(&s->mem, r->side.database);
    a->sql = pw_mem_printf(&s->mem, "ALTER DATABASE %s SET jit_above_cost = %.0f;", db, best.above);
    a->undo_sql = pw_mem_printf(&s->mem, "ALTER DATABASE %s RESET jit_above_cost;", db);
    a->benefit_pct = 100 * (1 - least / current);
    a->confidence = ADVICE_MEDIUM;
    a->reason =
        pw_mem_printf(&s->mem,
                      "With jit_above_cost at %.0f instead of %.0f the measured families would "
                      "together take %.1f ms instead of %.1f ms.",
                      best.above, now->above, least, current);
    pw_advice_fact_num(s, a, "jit_above_cost_now", now->above);
    pw_advice_fact_num(s, a, "total_ms_now", current);
    pw_advice_fact_num(s, a, "total_ms_then", least);
}

static int by_cost(const void *a, const void *b)
{
    const struct jit_family *x = a, *y = b;
    return x->cost > y->cost ? -1 : x->cost < y->cost;
}

static size_t expensive_reads(struct advice_run *r, const struct needs *needs,
                              struct jit_family *out)
{
    size_t n = 0;
    for (size_t k = 0; k < needs->n && n < PW_WORKLOAD_FAMILIES; k++) {
        struct jit_family *f = &out[n];
        memset(f, 0, sizeof(*f));
        f->family = k;
        if (!is_inert(r, &needs->statements[k]))
            continue;
        pw_params_fill(r, &needs->statements[k], &r->w->families[k], &f->query);
        char *json = f->query.n_samples ? pw_whatif_explain(r, &f->query.samples[0], NULL) : NULL;
        cJSON *tree = json ? cJSON_Parse(json) : NULL;
        const cJSON *cost =
            pw_ast_get(pw_ast_get(cJSON_GetArrayItem(tree, 0), "Plan"), "Total Cost");
        f->cost = cJSON_IsNumber(cost) ? cost->valuedouble : 0;
        cJSON_Delete(tree);
        free(json);
        n += f->cost >= CHEAP;
    }
    qsort(out, n, sizeof(*out), by_cost);
    return n < FAMILIES_MAX ? n : FAMILIES_MAX;
}

void pw_rules_jit(struct advice_run *r)
{
    struct jit_settings now;
    struct needs needs;
    if (!read_settings(r, &now))
        return;
    pw_needs_find(&needs, &r->mem, &r->inv, &r->side, r->w);
    pw_side_exec(&r->side, "search_path",
                 pw_mem_printf(&r->mem, "SET search_path = %s", r->side.search_path));
    pw_side_exec(&r->side, "time limit",
                 pw_mem_printf(&r->mem, "SET statement_timeout = %d", STATEMENT_MS));
    struct jit_family *f = pw_mem(&r->mem, (needs.n + 1) * sizeof(*f));
    size_t n = expensive_reads(r, &needs, f);
    uint64_t deadline = pw_clock_us() + (uint64_t)RUN_SECONDS * 1000000;
    for (size_t k = 0; k < n; k++) {
        pw_run_progress(r, "measuring JIT", k, n);
        f[k].current = arm_of(&now, f[k].cost);
        f[k].measured = measure(r, &f[k], deadline);
        const struct workload_family *w = &r->w->families[f[k].family];
        if (!f[k].measured) {
            pw_side_note(&r->side,
                         "JIT of family %016llx was not measured: its runs failed or took too "
                         "long",
                         (unsigned long long)w->id);
            continue;
        }
        judge(&f[k]);
        if (f[k].best != f[k].current)
            advise_family(r, &f[k]);
        else
            pw_advice_refuse(r->set, w->text,
                             "JIT %s is the best or as good as the best: off %.1f ms, "
                             "compiled %.1f ms, optimized %.1f ms",
                             arm_texts[f[k].current], f[k].arms[ARM_OFF].median,
                             f[k].arms[ARM_PLAIN].median, f[k].arms[ARM_FULL].median);
    }
    if (n)
        advise_database(r, f, n, &now);
}
