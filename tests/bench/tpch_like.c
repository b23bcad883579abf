/*
 * Advice on a TPC-H-like schema at equal real bytes: our portfolio against Extend's and DTA's rules
 * on the same candidates, costs and sizes. Each set is built for real: the table shows the bytes of
 * its indexes on disk and the server's own plan cost of the workload with them, in percent of the
 * cost without (statements are planned, never run; statistics stay the same). Exit status 1: a
 * baseline was better, or a set was larger than its budget. tpch_like CONNINFO WORKLOAD.sql
 * BUDGET_MB... (schema: tpch_like.sql; workload: tpch_like_queries)
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/plan_read.h"
#include "advisor/run.h"
#include "proxy/base/alloc.h"
#include "proxy/base/hashmap.h"

#define SLACK_PP    0.02 /* percentage points that count as equal */
#define SLACK_BYTES 1.05 /* our sizes are estimates: within 5 % */

static const char *const method_texts[] = {"ours", "extend", "dta"};

struct bench {
    char **argv;
    int argc, status;
    struct pgsync *pg;
    struct workload *w; /* the statements, for planning them ourselves */
    double base_cost;
};

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    char *out = pw_alloc(1 << 20);
    size_t n = f ? fread(out, 1, (1 << 20) - 1, f) : 0;
    if (f)
        fclose(f);
    out[n] = 0;
    return out;
}

static void run(struct bench *b, const char *sql)
{
    struct pgresult *r = pw_pgsync_query(b->pg, sql, 0, NULL);
    if (!pw_pgresult_ok(r)) {
        fprintf(stderr, "%s: %s\n", sql, pw_pgresult_error(r));
        exit(2);
    }
    pw_pgresult_free(r);
}

static double number(struct bench *b, const char *sql)
{
    struct pgresult *r = pw_pgsync_query(b->pg, sql, 0, NULL);
    double out = pw_pgresult_ok(r) && pw_pgresult_rows(r) ? atof(pw_pgresult_get(r, 0, 0)) : 0;
    pw_pgresult_free(r);
    return out;
}

/* The server's own plan cost of the workload, weighted. */
static double plan_cost(struct bench *b)
{
    double total = 0;
    for (size_t k = 0; k < b->w->n_families; k++) {
        const struct workload_family *f = &b->w->families[k];
        char *sql = pw_asprintf("EXPLAIN (FORMAT JSON) %s", f->samples[0].sql);
        struct pgresult *r = pw_pgsync_query(b->pg, sql, 0, NULL);
        struct plan_facts facts;
        if (pw_pgresult_ok(r) && pw_plan_read(pw_pgresult_get(r, 0, 0), &facts))
            total += f->calls * facts.cost;
        pw_pgresult_free(r);
        pw_free(sql);
    }
    return total;
}

static struct advice_set *advise(struct bench *b, const char *text, double mb,
                                 enum advise_baseline how)
{
    struct advise_job job = {.conninfo = b->argv[1], .baseline = how};
    job.o.budget_bytes = (uint64_t)(mb * 1e6);
    pw_advise_defaults(&job.o);
    struct workload *w = pw_workload_new("workload");
    pw_workload_add_file(w, pw_slice_str(text));
    bool reached;
    struct advice_set *s = pw_advise_run(&job, w, NULL, &reached);
    for (size_t k = 0; k < s->n_notes; k++)
        fprintf(stderr, "# %s\n", s->notes[k]);
    pw_workload_free(w);
    return s;
}

/* Builds the set, asks the server, takes it away again. */
static void measure(struct bench *b, const struct advice_set *s, double *mb, double *pct)
{
    double before = number(b, "SELECT sum(pg_relation_size(indexrelid)) FROM pg_index x JOIN"
                              " pg_class c ON c.oid = x.indrelid WHERE c.relnamespace ="
                              " 'public'::regnamespace");
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE)
            run(b, s->items[k].sql);
    double after = number(b, "SELECT sum(pg_relation_size(indexrelid)) FROM pg_index x JOIN"
                             " pg_class c ON c.oid = x.indrelid WHERE c.relnamespace ="
                             " 'public'::regnamespace");
    *mb = (after - before) / 1e6;
    *pct = 100 * plan_cost(b) / b->base_cost;
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE)
            run(b, s->items[k].undo_sql);
}

static void one_budget(struct bench *b, const char *text, double budget)
{
    double pct[3];
    for (int how = 0; how < 3; how++) {
        double mb;
        struct advice_set *s = advise(b, text, budget, (enum advise_baseline)how);
        measure(b, s, &mb, &pct[how]);
        printf("%9.0f %-7s %7zu %11.1f %13.2f %8.2f %8.1f %7llu\n", budget, method_texts[how],
               pw_advice_count(s, ADVICE_CREATE), mb,
               100 * s->summary.cost_after / s->summary.cost_before, pct[how], s->summary.seconds,
               (unsigned long long)s->summary.whatif_calls);
        fflush(stdout);
        if (how == 0 && mb > budget * SLACK_BYTES)
            b->status = 1;
        pw_advice_set_unref(s);
    }
    if (pct[0] > pct[1] + SLACK_PP || pct[0] > pct[2] + SLACK_PP)
        b->status = 1;
}

static void *work(void *arg)
{
    struct bench *b = arg;
    char *text = read_file(b->argv[2]), *error = NULL;
    b->pg = pw_pgsync_connect(b->argv[1], 600000000, &error);
    if (!b->pg) {
        fprintf(stderr, "%s\n", error);
        exit(2);
    }
    run(b, "SET search_path = public");
    b->w = pw_workload_new("workload");
    pw_workload_add_file(b->w, pw_slice_str(text));
    b->base_cost = plan_cost(b);
    printf("budget_mb method  indexes real_mb_used estimated_pct real_pct  seconds what-if\n");
    for (int k = 3; k < b->argc; k++)
        one_budget(b, text, strtod(b->argv[k], NULL));
    pw_workload_free(b->w);
    pw_pgsync_free(b->pg);
    pw_free(text);
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench b = {.argv = argv, .argc = argc};
    if (argc < 4) {
        fprintf(stderr, "usage: tpch_like CONNINFO WORKLOAD.sql BUDGET_MB...\n");
        return 2;
    }
    pw_hash_seed_init();
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)64 << 20);
    if (pthread_create(&thread, &attr, work, &b) != 0)
        return 2;
    pthread_join(thread, NULL);
    return b.status;
}
