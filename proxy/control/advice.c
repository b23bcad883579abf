/*
 * The advisor seen from control: builds each database's live workload from the query families,
 * starts runs (advisor.interval, ADVISE), and brings their ends back from the advisor's thread.
 * Owns the advisor. Control thread, except on_advice and latency_of (advisor's thread).
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "planner/families.h"
#include "planner/index_log.h"
#include "planner/sample.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/control/desk.h"
#include "proxy/control/latencies.h"
#include "proxy/control/profile.h"
#include "proxy/control/show.h"

struct advice_desk {
    struct control *control;      /* BORROW */
    struct advisor *advisor;      /* OWN */
    struct latencies *latencies;  /* OWN */
    const struct pw_conf *conf;   /* REF: what the advisor was configured with */
    struct profile_desk *profile; /* OWN */
    uint64_t last_us;             /* when the last periodic run began */
};

/* One command or periodic run over one or more databases. */
struct job {
    struct control *control;
    struct admin_call *call; /* NULL: periodic */
    enum advise_what what;
    char *database;      /* OWN; NULL: every database that was used */
    struct table *table; /* OWN */
    unsigned left;
};

/* A message from the advisor's thread. */
struct news {
    struct job *job;
    char *database, *error; /* OWN */
    struct advice_set *set; /* REF; may be NULL */
    bool ok;
};

static const struct table_column columns_run[] = {
    {"database", TABLE_TEXT},  {"outcome", TABLE_TEXT},
    {"advice", TABLE_INT8},    {"queries", TABLE_NUMERIC},
    {"families", TABLE_INT8},  {"estimated_improvement_pct", TABLE_NUMERIC},
    {"seconds", TABLE_NUMERIC}};

/* ---- the end of a run ---- */

static void job_free(struct job *job)
{
    pw_table_free(job->table);
    pw_free(job->database);
    pw_free(job);
}

static void job_end(struct job *job)
{
    if (job->call && pw_table_rows(job->table)) {
        pw_admin_finish_table(job->call, job->table);
        job->table = NULL;
    } else if (job->call) {
        pw_admin_finish_error(job->call, "55000", "no database has been used yet; name one");
    }
    job_free(job);
}

static void put_outcome(struct table *t, const struct news *n)
{
    const struct advice_set *s = n->set;
    if (!pw_table_row(t))
        return;
    pw_table_text(t, n->database);
    pw_table_text(t, !n->ok ? n->error : s && s->partial ? "partial (see its notes)" : "complete");
    if (!n->ok || !s)
        return;
    pw_table_uint(t, s->n_items);
    pw_table_num(t, s->window_queries, 0);
    pw_table_uint(t, s->window_families);
    pw_table_num(t, s->summary.improvement_pct, 1);
    pw_table_num(t, s->summary.seconds, 2);
}

static void take_news(void *arg)
{
    struct news *n = arg;
    struct job *job = n->job;
    put_outcome(job->table, n);
    if (n->ok)
        pw_metric_inc(pw_metrics_slot(PW_SLOT_CONTROL), PW_METRIC_ADVISOR_RUNS);
    pw_advice_set_unref(n->set);
    pw_free(n->database);
    pw_free(n->error);
    pw_free(n);
    if (--job->left == 0)
        job_end(job);
}

static void on_news(struct control *c, void *arg)
{
    (void)c;
    take_news(arg);
}

static void on_advice(void *arg, bool ok, const char *error, struct advice_set *set)
{
    struct news *n = arg;
    n->ok = ok;
    n->error = pw_strdup(error);
    n->set = set ? pw_advice_set_ref(set) : NULL;
    pw_control_call(n->job->control, on_news, take_news, n);
}

/* ---- the workload ---- */

/* With the client's own values where they are known, its role and its settings; each text once. */
static void add_text(struct workload_family *to, struct family_text *const *texts, int which)
{
    const struct family_text *t = texts[which];
    for (int i = 0; i < which; i++)
        if (pw_family_text_equal(t, texts[i]))
            return;
    if (!t || !pw_index_is_one_statement(t->sql))
        return;
    bool has_values = t->values && pw_sample_is_resolved(t->values);
    pw_workload_add_bound(to, pw_slice_str(t->sql), has_values ? t->types : NULL,
                          has_values ? t->values : NULL, t->setup);
}

static void add_family(struct workload *w, const struct family_stats *f, uint64_t *first_us)
{
    if (f->plan->cls != PLAN_READ && f->plan->cls != PLAN_WRITE)
        return;
    struct workload_family *to =
        pw_workload_add(w, f->family, f->plan->family_text, (double)f->calls,
                        (double)f->server_us / 1e3, (double)f->rows);
    for (int i = 0; to && i < FAMILY_TEXTS; i++)
        add_text(to, f->texts, i);
    if (!*first_us || f->first_us < *first_us)
        *first_us = f->first_us;
}

struct workload *pw_advice_workload(const struct families_snapshot *s, uint32_t database_id)
{
    struct workload *w = pw_workload_new("live");
    uint64_t first_us = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->rows[i].database_id == database_id)
            add_family(w, &s->rows[i], &first_us);
    w->to_us = pw_clock_wall_us();
    w->from_us = first_us ? w->to_us - (pw_clock_us() - first_us) : w->to_us;
    return w;
}

/* ---- the start of a run ---- */

static void start_one(struct advice_desk *desk, struct job *job, const char *database,
                      const struct families_snapshot *s)
{
    struct control *c = desk->control;
    const struct conf_database *db = pw_conf_database_find(c->conf, database);
    if (!db)
        return;
    struct news *n = pw_alloc(sizeof(*n));
    n->job = job;
    n->database = pw_strdup(database);
    job->left++;
    char *conninfo = pw_conninfo_for(&db->upstream, pw_conf_database_dbname(db, database));
    struct workload *w = pw_advice_workload(s, pw_databases_id(c->databases, database));
    if (!pw_advisor_run(desk->advisor, job->what, database, conninfo, w, on_advice, n))
        on_advice(n, false, "the advisor's queue is full", NULL);
    pw_free(conninfo);
}

static bool is_first(struct control *c, const struct pool_row *r)
{
    const struct pool_row *o = pw_databases_rows(c->databases);
    while (o != r && strcmp(o->database, r->database) != 0)
        o = o->next;
    return o == r;
}

static void on_families(struct control *c, struct families_snapshot *s, void *arg)
{
    struct job *job = arg;
    job->left = 1; /* ours, until all are started */
    if (s && c->advice) {
        pw_latencies_update(c->advice->latencies, c, s);
        if (job->database)
            start_one(c->advice, job, job->database, s);
        for (struct pool_row *r = pw_databases_rows(c->databases); r && !job->database; r = r->next)
            if (is_first(c, r))
                start_one(c->advice, job, r->database, s);
    }
    if (s)
        pw_families_snapshot_free(s);
    if (--job->left == 0)
        job_end(job);
}

static void begin(struct control *c, struct admin_call *call, enum advise_what what,
                  const char *database)
{
    struct job *job = pw_alloc(sizeof(*job));
    *job = (struct job){.control = c,
                        .call = call,
                        .what = what,
                        .database = database ? pw_strdup(database) : NULL,
                        .table = pw_table_new(columns_run, PW_COUNT_OF(columns_run))};
    pw_families_gather(c, on_families, job);
}

void pw_advice_desk_run(struct advice_desk *desk, struct admin_call *call, enum advise_what what)
{
    struct control *c = desk->control;
    const char *database = call->n_args ? call->args[0] : NULL;
    if (database && !pw_show_find_database(c, database))
        pw_admin_finish_error(call, "3D000", "no such database, or not used yet: \"%s\"", database);
    else
        begin(c, call, what, database);
}

/* ---- APPLY, UNDO ---- */

struct change {
    struct control *control;
    struct admin_call *call; /* OWN until finished */
    char *error;             /* OWN */
    char id[64];
    bool undo, ok;
};

static void change_done(void *arg)
{
    struct change *x = arg;
    if (x->ok)
        pw_admin_finish_notice(x->call,
                               x->undo ? "%s was undone"
                                       : "%s was applied; SHOW ADVICE %s says later whether it "
                                         "helped, UNDO %s takes it back",
                               x->id, x->id, x->id);
    else
        pw_admin_finish_error(x->call, "55000", "%s: %s", x->id, x->error);
    pw_free(x->error);
    pw_free(x);
}

static void on_changed(struct control *c, void *arg)
{
    (void)c;
    change_done(arg);
}

static void on_change(void *arg, bool ok, const char *error, struct advice_set *set)
{
    struct change *x = arg;
    (void)set;
    x->ok = ok;
    x->error = pw_strdup(error);
    pw_control_call(x->control, on_changed, change_done, x);
}

/* The families' latencies are fresh now: they are the "before" of the comparison. */
static void change_now(struct control *c, struct families_snapshot *s, void *arg)
{
    struct change *x = arg;
    struct advice_desk *desk = s ? c->advice : NULL;
    char database[128] = "";
    const struct conf_database *db =
        desk && pw_advisor_find(desk->advisor, x->id, database, sizeof database)
            ? pw_conf_database_find(c->conf, database)
            : NULL;
    if (db) {
        char *conninfo = pw_conninfo_for(&db->upstream, pw_conf_database_dbname(db, database));
        pw_latencies_update(desk->latencies, c, s);
        struct workload *w =
            x->undo ? NULL : pw_advice_workload(s, pw_databases_id(c->databases, database));
        bool queued = x->undo ? pw_advisor_undo(desk->advisor, x->id, conninfo, on_change, x)
                              : pw_advisor_apply(desk->advisor, x->id, conninfo, w, on_change, x);
        if (!queued)
            on_change(x, false, "the advisor's queue is full", NULL);
        pw_free(conninfo);
    } else {
        x->error = pw_strdup(s ? "no such advice (see SHOW ADVICE)" : "pgweir is shutting down");
        change_done(x);
    }
    if (s)
        pw_families_snapshot_free(s);
}

void pw_advice_desk_change(struct advice_desk *desk, struct admin_call *call, bool undo)
{
    struct change *x = pw_alloc(sizeof(*x));
    x->control = desk->control;
    x->call = call;
    x->undo = undo;
    snprintf(x->id, sizeof x->id, "%s", call->args[0]);
    pw_families_gather(desk->control, change_now, x);
}

/* ---- looking ---- */

struct advisor *pw_advice_desk_advisor(struct advice_desk *desk)
{
    return desk ? desk->advisor : NULL;
}

void pw_advice_desk_see(struct advice_desk *desk, const struct families_snapshot *s)
{
    pw_latencies_update(desk->latencies, desk->control, s);
}

struct profile_desk *pw_advice_desk_profile(struct advice_desk *desk)
{
    return desk->profile;
}

void pw_advice_desk_each(struct advice_desk *desk,
                         void (*each)(void *arg, const char *database, struct advice_set *set),
                         void *arg)
{
    struct control *c = desk->control;
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next) {
        struct advice_set *set =
            is_first(c, r) ? pw_advisor_latest(desk->advisor, r->database) : NULL;
        if (set)
            each(arg, r->database, set);
        pw_advice_set_unref(set);
    }
}

static void count_one(void *arg, const char *database, struct advice_set *set)
{
    uint64_t *n = arg;
    (void)database;
    for (size_t i = 0; i < set->n_items; i++)
        n[set->items[i].kind]++;
}

void pw_advice_desk_count(struct advice_desk *desk, uint64_t out[ADVICE_KIND_COUNT])
{
    if (desk)
        pw_advice_desk_each(desk, count_one, out);
}

/* ---- life ---- */

static struct advisor_options options_of(const struct pw_conf *conf)
{
    return (struct advisor_options){.state_dir = conf->pgweir.state_dir,
                                    .budget_bytes = conf->advisor.budget_bytes,
                                    .max_columns = (int)conf->advisor.max_columns,
                                    .unused_after_us = conf->advisor.unused_after_us,
                                    .rebuild_density = conf->advisor.rebuild_density,
                                    .min_index_size = conf->advisor.min_index_size_bytes,
                                    .history = conf->advisor.history};
}

struct advice_desk *pw_advice_desk_new(struct control *c)
{
    struct advice_desk *desk = pw_alloc(sizeof(*desk));
    const struct advisor_options options = options_of(c->conf);
    desk->control = c;
    desk->conf = pw_conf_ref(c->conf);
    desk->latencies = pw_latencies_new();
    desk->profile = pw_profile_desk_new();
    desk->advisor = pw_advisor_new(&options, pw_latencies_find, desk->latencies);
    desk->last_us = pw_clock_us();
    return desk;
}

void pw_advice_desk_second(struct advice_desk *desk)
{
    struct control *c = desk->control;
    uint64_t now_us = pw_clock_us(), interval_us = c->conf->advisor.interval_us;
    if (desk->conf != c->conf) {
        const struct advisor_options options = options_of(c->conf);
        pw_advisor_configure(desk->advisor, &options);
        pw_conf_unref(desk->conf);
        desk->conf = pw_conf_ref(c->conf);
    }
    if (!interval_us || now_us - desk->last_us < interval_us || c->draining)
        return;
    desk->last_us = now_us;
    begin(c, NULL, ADVISE_INDEXES, NULL);
}

void pw_advice_desk_free(struct advice_desk *desk)
{
    if (!desk)
        return;
    desk->control->advice = NULL;
    pw_advisor_free(desk->advisor);
    pw_profile_desk_free(desk->profile);
    pw_latencies_free(desk->latencies);
    pw_conf_unref(desk->conf);
    pw_free(desk);
}
