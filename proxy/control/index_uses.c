/*
 * Index use by query family: feeds the planner's index log with the families of all workers, tells
 * it where each database is, and puts what it learned into SHOW INDEXES, SHOW FAMILIES and the
 * metrics. Owns the log. Control thread.
 */
#include "planner/index_log.h"

#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/control/families_past.h"
#include "proxy/control/show.h"
#include "proxy/metrics/collector.h"

enum { NAMES_TEXT_MAX = 4000 };

struct index_uses {
    struct index_log *log;      /* OWN */
    struct families_past *past; /* OWN; NULL: none */
    bool is_gathering;          /* never two at a time */
};

/* ---- life ---- */

static struct index_log_options options_of(const struct pw_conf *conf)
{
    return (struct index_log_options){.interval_us = conf->planner.explain_interval_us,
                                      .share = conf->planner.explain_share,
                                      .path = conf->planner.index_log};
}

struct index_uses *pw_index_uses_new(struct control *c)
{
    struct index_uses *u = pw_alloc(sizeof(*u));
    const struct index_log_options options = options_of(c->conf);
    u->log = pw_index_log_new(&c->uv, &options);
    u->past = pw_families_past_new(c, u->log);
    return u;
}

void pw_index_uses_free(struct control *c)
{
    if (c->uses) {
        pw_families_past_free(c->uses->past);
        pw_index_log_free(c->uses->log);
    }
    PW_FREE(c->uses);
}

void pw_index_uses_database(struct control *c, uint32_t id, const char *name)
{
    const struct conf_database *db = pw_conf_database_find(c->conf, name);
    if (!db) {
        pw_index_log_database_remove(c->uses->log, id);
        return;
    }
    char *conninfo = pw_conninfo_for(&db->upstream, pw_conf_database_dbname(db, name));
    pw_index_log_database(c->uses->log, id, name, conninfo);
    pw_free(conninfo);
}

/* The first of the rows with this database. */
static bool is_first(struct control *c, const struct pool_row *r)
{
    const struct pool_row *o = pw_databases_rows(c->databases);
    while (o != r && o->database_id != r->database_id)
        o = o->next;
    return o == r;
}

void pw_index_uses_configure(struct control *c)
{
    const struct index_log_options options = options_of(c->conf);
    pw_index_log_configure(c->uses->log, &options);
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next)
        if (is_first(c, r))
            pw_index_uses_database(c, r->database_id, r->database);
}

/* ---- feeding ---- */

static void on_families(struct control *c, struct families_snapshot *s, void *arg)
{
    (void)arg;
    if (c->uses) /* else the process is stopping */
        c->uses->is_gathering = false;
    if (!s)
        return;
    pw_families_past_take(c->uses->past, s);
    pw_index_log_take(c->uses->log, s, pw_clock_us());
    pw_families_snapshot_free(s);
}

void pw_index_uses_second(struct control *c)
{
    bool explains = c->conf->planner.explain_interval_us && c->n_catalogs;
    if ((!explains && !c->uses->past) || c->uses->is_gathering)
        return;
    c->uses->is_gathering = true;
    pw_families_gather(c, on_families, NULL);
}

void pw_index_uses_final(struct control *c, struct families_snapshot *families)
{
    if (c->uses)
        pw_families_past_final(c->uses->past, families);
    else
        pw_families_snapshot_free(families);
}

const struct families_past *pw_control_families_past(const struct control *c)
{
    return c->uses ? c->uses->past : NULL;
}

/* ---- showing ---- */

void pw_index_names_put(struct control *c, struct table *t, uint32_t database_id, uint64_t family)
{
    struct buf names;
    pw_buf_init(&names, NAMES_TEXT_MAX);
    pw_index_log_of_family(c->uses->log, database_id, family, &names);
    if (names.len)
        pw_table_slice(t, pw_buf_slice(&names));
    else
        pw_table_null(t);
    pw_buf_free(&names);
}

void pw_index_plan_put(struct control *c, struct table *t, uint32_t database_id, uint64_t family)
{
    struct index_family seen;
    pw_index_log_family(c->uses->log, database_id, family, &seen);
    if (seen.looked_at) {
        pw_table_printf(t, "%016llx", (unsigned long long)seen.plan_hash);
        pw_table_uint(t, seen.plan_changes);
    } else {
        pw_table_null(t);
        pw_table_null(t);
    }
}

uint64_t pw_index_use_put(struct control *c, struct table *t, uint32_t database_id,
                          const char *index)
{
    struct index_use use;
    if (!pw_index_log_use(c->uses->log, database_id, index, &use)) {
        for (int cell = 0; cell < 4; cell++)
            pw_table_null(t);
        return use.own_scans;
    }
    uint64_t wall_us = pw_clock_wall_us();
    pw_table_uint(t, use.families);
    pw_table_uint(t, use.uses);
    pw_show_put_time(t,
                     pw_clock_us() - (wall_us > use.last_used_us ? wall_us - use.last_used_us : 0));
    pw_table_text(t, use.scan_kind);
    return use.own_scans;
}

struct collecting {
    struct metric_writer *writer;
    struct control *control;
};

static void put_sample(void *arg, const struct index_use *use)
{
    const struct collecting *to = arg;
    if (!use->last_used_us)
        return;
    pw_metric_sample(to->writer,
                     PW_LABELS({"database", pw_database_name(to->control, use->database_id)},
                               {"table", use->table}, {"index", use->index}),
                     (double)use->uses);
}

void pw_index_collect(struct metric_writer *w, struct control *c)
{
    pw_metric_family(w, "pgweir_index_uses_total", FAMILY_COUNTER,
                     "Calls of query families whose sampled plan uses the index.");
    pw_index_log_each(c->uses->log, put_sample, &(struct collecting){w, c});
    struct index_log_stats stats;
    pw_index_log_stats(c->uses->log, &stats);
    pw_metric_set(pw_metrics_slot(PW_SLOT_CONTROL), PW_METRIC_EXPLAIN_SAMPLES, stats.explains);
}
