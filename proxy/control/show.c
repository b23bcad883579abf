/* How a view is answered, and the list of all of them. Control thread, except collect. */
#include "proxy/control/show.h"
#include "proxy/control/families_past.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/control/collect.h"
#include "proxy/control/explain.h"
#include "proxy/control/gather.h"

/* ---- gathering ---- */

void pw_show_refresh_pools(struct worker *w)
{
    struct dispatch *d = pw_worker_dispatch(w);
    PW_HASHMAP_FOR(&d->pools, h, tmp)
    {
        struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        uint32_t cancels = 0, canceled = 0;
        for (int state = SERVER_IDLE; state < SERVER_CLOSING; state++) {
            PW_LIST_FOR(&p->by_state[state], n, unused)
            {
                const struct server *s = PW_LIST_ENTRY(n, struct server, state_link);
                cancels += s->cancels;
                canceled += s->waits_for_cancel;
            }
        }
        struct pool_stats *st = p->stats;
        pw_server_pool_count(p);
        atomic_store_explicit(&st->sv_cancels, cancels, memory_order_relaxed);
        atomic_store_explicit(&st->sv_canceled, canceled, memory_order_relaxed);
        atomic_store_explicit(&st->cl_active, p->clients, memory_order_relaxed);
        atomic_store_explicit(&st->cl_waiting, (uint32_t)p->waiters.count + p->joined,
                              memory_order_relaxed);
        struct list_node *first = pw_list_first(&p->waiters);
        uint64_t since = first ? PW_LIST_ENTRY(first, struct ticket, queue_link)->queued_us : 0;
        atomic_store_explicit(&st->waiting_since_us, since, memory_order_relaxed);
    }
}

static const struct view *view_of(const struct admin_call *call)
{
    return PW_CONTAINER_OF(call->command, const struct view, command);
}

static void *collect_rows(struct worker *w, const void *question)
{
    const struct view *v = view_of(question);
    struct table *t = pw_table_new(v->columns, v->n_columns);
    pw_show_refresh_pools(w);
    if (v->collect)
        v->collect(w, t);
    return t;
}

static void append(struct table *into, const struct table *from)
{
    struct slice cell;
    for (size_t row = 0; row < pw_table_rows(from) && pw_table_row(into); row++)
        for (size_t column = 0; column < pw_table_columns(from); column++) {
            if (pw_table_cell(from, row, column, &cell))
                pw_table_slice(into, cell);
            else
                pw_table_null(into);
        }
}

static void finish_stopping(struct admin_call *call)
{
    pw_admin_finish_error(call, "57P01", "pgweir is shutting down");
}

static void rows_done(struct gather *g)
{
    struct admin_call *call = g->question;
    const struct view *v = view_of(call);
    if (g->control->stopped) {
        finish_stopping(call);
        return;
    }
    struct table *t = pw_table_new(v->columns, v->n_columns);
    if (v->build)
        v->build(g->control, t, call);
    for (unsigned i = 0; i < g->n; i++)
        if (g->parts[i])
            append(t, g->parts[i]);
    pw_admin_finish_table(call, t);
}

static void free_table(void *part)
{
    pw_table_free(part);
}

static const struct gather_kind rows_kind = {collect_rows, rows_done, free_table};

/* ---- query families ---- */

struct families_question {
    pw_on_families on_families;
    void *arg;
};

static void *collect_families(struct worker *w, const void *question)
{
    (void)question;
    return pw_families_snapshot(pw_worker_dispatch(w)->families);
}

static void families_done(struct gather *g)
{
    struct families_question *q = g->question;
    struct families_snapshot *all = NULL;
    for (unsigned i = 0; i < g->n; i++) {
        struct families_snapshot *part = g->parts[i];
        g->parts[i] = NULL;
        if (!all)
            all = part;
        else if (part)
            pw_families_merge(all, part);
    }
    if (all)
        pw_families_sort(all);
    if (g->control->stopped) {
        if (all)
            pw_families_snapshot_free(all);
        all = NULL;
    }
    q->on_families(g->control, all, q->arg);
    pw_free(q);
}

static void free_families(void *part)
{
    pw_families_snapshot_free(part);
}

static const struct gather_kind families_kind = {collect_families, families_done, free_families};

void pw_families_gather(struct control *c, pw_on_families on_families, void *arg)
{
    struct families_question *q = pw_alloc(sizeof(*q));
    *q = (struct families_question){on_families, arg};
    pw_gather_start(c, &families_kind, q);
}

static void show_families(struct control *c, struct families_snapshot *s, void *arg)
{
    struct admin_call *call = arg;
    const struct view *v = view_of(call);
    if (!s) {
        finish_stopping(call);
        return;
    }
    size_t limit = pw_admin_arg_count(call, 0, v->limit, SHOW_LIMIT_MAX);
    if (limit) {
        struct table *t = pw_table_new(v->columns, v->n_columns);
        pw_families_past_add(pw_control_families_past(c), s);
        v->families(c, t, s, limit);
        pw_admin_finish_table(call, t);
    }
    pw_families_snapshot_free(s);
}

/* ---- running ---- */

void pw_view_run(struct admin_call *call)
{
    struct control *c = call->arg;
    if (view_of(call)->families)
        pw_families_gather(c, show_families, call);
    else
        pw_gather_start(c, &rows_kind, call);
}

void pw_views_register(struct control *c, const struct view *views, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pw_admin_register(c->admin, &views[i].command, 1, c);
}

/* ---- helpers ---- */

void pw_show_put_time(struct table *t, uint64_t mono_us)
{
    char text[32];
    struct tm tm;
    uint64_t now_us = pw_clock_us();
    if (!mono_us || mono_us > now_us) {
        pw_table_null(t);
        return;
    }
    time_t seconds = (time_t)((pw_clock_wall_us() - (now_us - mono_us)) / 1000000);
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    pw_table_text(t, text);
}

const char *pw_database_name(struct control *c, uint32_t database_id)
{
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next)
        if (r->database_id == database_id)
            return r->database;
    return "";
}

static int by_name(const void *a, const void *b)
{
    const struct pool_row *x = *(const struct pool_row *const *)a,
                          *y = *(const struct pool_row *const *)b;
    int order = strcmp(x->database, y->database);
    order = order ? order : strcmp(x->user, y->user);
    return order ? order : (int)x->worker - (int)y->worker;
}

const struct pool_row **pw_show_rows_sorted(struct control *c, size_t *n)
{
    const struct pool_row *first = pw_databases_rows(c->databases);
    size_t count = 0;
    for (const struct pool_row *r = first; r; r = r->next)
        count++;
    const struct pool_row **rows = pw_alloc((count + 1) * sizeof(*rows));
    *n = 0;
    for (const struct pool_row *r = first; r; r = r->next)
        rows[(*n)++] = r;
    qsort(rows, *n, sizeof(*rows), by_name);
    return rows;
}

const struct conf_database *pw_show_find_database(struct control *c, const char *name)
{
    const struct conf_database *db = pw_conf_database_find(c->conf, name);
    if (!db || strcmp(db->name, "*") != 0 || strcmp(db->upstream.dbname, name) == 0)
        return db;
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next)
        if (strcmp(r->database, name) == 0)
            return db;
    return NULL;
}

/* ---- life ---- */

void pw_control_register_commands(struct control *c)
{
    c->show = pw_alloc(sizeof(*c->show));
    c->show->stats = pw_stats_period_new();
    c->show->waits = pw_op_waits_new(c);
    c->show->explains = pw_explains_new(c);
    pw_list_init(&c->show->asking);
    pw_show_register_pools(c);
    pw_show_register_stats(c);
    pw_show_register_sessions(c);
    pw_show_register_state(c);
    pw_show_register_cache(c);
    pw_show_register_families(c);
    pw_show_register_explain(c);
    pw_show_register_advice(c);
    pw_show_register_ops(c);
    pw_control_add_collectors(c);
}

void pw_show_second(struct control *c)
{
    pw_stats_period_second(c, c->show->stats);
}

void pw_show_free(struct control *c)
{
    struct show_state *s = c->show;
    pw_control_remove_collectors(c);
    pw_index_end_asking(c);
    pw_explains_free(s->explains);
    pw_stats_period_free(s->stats);
    pw_op_waits_free(s->waits);
    PW_FREE(c->show);
}
