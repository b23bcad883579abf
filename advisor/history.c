/* See history.h. */
#include "advisor/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/advice.h"
#include "advisor/advisor.h"
#include "advisor/inventory.h"
#include "advisor/store.h"
#include "advisor/workload.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define KEEP_DAYS 400
enum { BUSY_MS = 2000 };

struct history {
    sqlite3 *db; /* OWN */
};

static const char schema_sql[] =
    "CREATE TABLE IF NOT EXISTS family (db TEXT, id INTEGER, day INTEGER, text TEXT, calls REAL,"
    " ms REAL, rows REAL, PRIMARY KEY (db, id, day));"
    "CREATE TABLE IF NOT EXISTS family_last (db TEXT, id INTEGER, calls REAL, ms REAL, rows REAL,"
    " PRIMARY KEY (db, id));"
    "CREATE TABLE IF NOT EXISTS index_use (db TEXT, name TEXT, definition TEXT, first_us INTEGER,"
    " last_used_us INTEGER, scans REAL, used REAL, PRIMARY KEY (db, name));"
    "CREATE TABLE IF NOT EXISTS index_size (db TEXT, name TEXT, day INTEGER, bytes REAL, tuples "
    "REAL,"
    " PRIMARY KEY (db, name, day));"
    "CREATE TABLE IF NOT EXISTS advice (db TEXT, id TEXT, kind TEXT, object TEXT, sql TEXT,"
    " first_us INTEGER, last_us INTEGER, outcome TEXT, before_ms REAL, after_ms REAL, p REAL,"
    " PRIMARY KEY (db, id));";

struct history *pw_history_open(const char *state_dir, char **error)
{
    sqlite3 *db = pw_store_open(state_dir, schema_sql, BUSY_MS, error);
    if (!db)
        return NULL;
    struct history *h = pw_alloc(sizeof(*h));
    h->db = db;
    return h;
}

void pw_history_close(struct history *h)
{
    if (!h)
        return;
    sqlite3_close(h->db);
    pw_free(h);
}

static sqlite3_stmt *prepare(struct history *h, const char *sql)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(h->db, sql, -1, &st, NULL) != SQLITE_OK)
        pw_log_warn("advisor event=history_failed error=\"%s\"", sqlite3_errmsg(h->db));
    return st;
}

static void bind_num(sqlite3_stmt *st, int at, double v)
{
    if (isnan(v))
        sqlite3_bind_null(st, at);
    else
        sqlite3_bind_double(st, at, v);
}

/* Runs a bound statement to its end and makes it ready for the next row. */
static void run(struct history *h, sqlite3_stmt *st)
{
    if (sqlite3_step(st) != SQLITE_DONE)
        pw_log_warn("advisor event=history_failed error=\"%s\"", sqlite3_errmsg(h->db));
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

static void begin(struct history *h)
{
    sqlite3_exec(h->db, "BEGIN", NULL, NULL, NULL);
}

static void commit(struct history *h)
{
    sqlite3_exec(h->db, "COMMIT", NULL, NULL, NULL);
}

static int64_t day_of(uint64_t us)
{
    return (int64_t)(us / 1000000 / 86400);
}

/* Seconds since the last use that was not ours; NAN when nothing is remembered of this definition.
 */
static double idle_of(sqlite3_stmt *find, const char *database, const struct inv_index *x,
                      uint64_t now_us)
{
    double idle = NAN;
    pw_store_bind_text(find, 1, database);
    pw_store_bind_text(find, 2, x->full);
    if (sqlite3_step(find) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(find, 0), x->definition) == 0) {
        int64_t first = sqlite3_column_int64(find, 1), used = sqlite3_column_int64(find, 2);
        double seen = sqlite3_column_double(find, 3);
        bool used_since = x->scans > seen || (x->scans < seen && x->scans > 0);
        idle = used_since ? 0 : ((double)now_us - (double)(used > first ? used : first)) / 1e6;
    }
    sqlite3_reset(find);
    return idle;
}

void pw_history_before(struct history *h, const char *database, struct inventory *inv,
                       uint64_t now_us)
{
    sqlite3_stmt *find =
        prepare(h, "SELECT definition, first_us, last_used_us, scans FROM index_use"
                   " WHERE db = ? AND name = ?");
    sqlite3_stmt *size = prepare(h, "INSERT OR REPLACE INTO index_size VALUES (?, ?, ?, ?, ?)");
    begin(h);
    for (size_t k = 0; find && size && k < inv->n_indexes; k++) {
        struct inv_index *x = &inv->indexes[k];
        double idle = idle_of(find, database, x, now_us);
        if (!isnan(idle) && (isnan(x->idle_s) || idle > x->idle_s))
            x->idle_s = idle;
        pw_store_bind_text(size, 1, database);
        pw_store_bind_text(size, 2, x->full);
        sqlite3_bind_int64(size, 3, day_of(now_us));
        bind_num(size, 4, x->bytes);
        bind_num(size, 5, x->tuples);
        run(h, size);
    }
    commit(h);
    sqlite3_finalize(find);
    sqlite3_finalize(size);
}

void pw_history_after(struct history *h, const char *database, const struct inventory *inv,
                      const double *scans, uint64_t explains, uint64_t now_us)
{
    sqlite3_stmt *find =
        prepare(h, "SELECT definition, first_us, last_used_us, scans, used FROM index_use"
                   " WHERE db = ? AND name = ?");
    sqlite3_stmt *put = prepare(h, "INSERT OR REPLACE INTO index_use VALUES (?, ?, ?, ?, ?, ?, ?)");
    begin(h);
    for (size_t k = 0; find && put && k < inv->n_indexes; k++) {
        const struct inv_index *x = &inv->indexes[k];
        int64_t first = (int64_t)now_us, last = x->scans > 0 ? (int64_t)now_us : 0;
        double used = x->scans;
        pw_store_bind_text(find, 1, database);
        pw_store_bind_text(find, 2, x->full);
        if (sqlite3_step(find) == SQLITE_ROW &&
            strcmp((const char *)sqlite3_column_text(find, 0), x->definition) == 0) {
            double seen = sqlite3_column_double(find, 3);
            double delta = x->scans >= seen ? x->scans - seen : x->scans;
            /* More than our own EXPLAINs can have caused during the run: somebody used it
             * meanwhile. */
            if (scans[k] - x->scans > (double)explains)
                delta += scans[k] - x->scans - (double)explains;
            first = sqlite3_column_int64(find, 1);
            last = delta > 0 ? (int64_t)now_us : sqlite3_column_int64(find, 2);
            used = sqlite3_column_double(find, 4) + delta;
        }
        sqlite3_reset(find);
        pw_store_bind_text(put, 1, database);
        pw_store_bind_text(put, 2, x->full);
        pw_store_bind_text(put, 3, x->definition);
        sqlite3_bind_int64(put, 4, first);
        sqlite3_bind_int64(put, 5, last);
        bind_num(put, 6, scans[k]);
        bind_num(put, 7, used);
        run(h, put);
    }
    commit(h);
    sqlite3_finalize(find);
    sqlite3_finalize(put);
}

/* The live counters only grow until the proxy restarts: what is new since the last run. */
static double grown(sqlite3_stmt *last, int col, double now)
{
    double before = last ? sqlite3_column_double(last, col) : 0;
    return isnan(now) ? NAN : now >= before ? now - before : now;
}

static void put_family(struct history *h, sqlite3_stmt *get, sqlite3_stmt *put, sqlite3_stmt *keep,
                       const char *database, const struct workload_family *f, int64_t day)
{
    pw_store_bind_text(get, 1, database);
    sqlite3_bind_int64(get, 2, (int64_t)f->id);
    sqlite3_stmt *last = sqlite3_step(get) == SQLITE_ROW ? get : NULL;
    /* Fewer calls than before: the proxy began again, and so did every other counter. */
    if (last && f->calls < sqlite3_column_double(last, 0))
        last = NULL;
    pw_store_bind_text(put, 1, database);
    sqlite3_bind_int64(put, 2, (int64_t)f->id);
    sqlite3_bind_int64(put, 3, day);
    pw_store_bind_text(put, 4, f->text);
    bind_num(put, 5, grown(last, 0, f->calls));
    bind_num(put, 6, grown(last, 1, f->total_ms));
    bind_num(put, 7, grown(last, 2, f->rows));
    sqlite3_reset(get);
    run(h, put);
    pw_store_bind_text(keep, 1, database);
    sqlite3_bind_int64(keep, 2, (int64_t)f->id);
    bind_num(keep, 3, f->calls);
    bind_num(keep, 4, f->total_ms);
    bind_num(keep, 5, f->rows);
    run(h, keep);
}

void pw_history_families(struct history *h, const char *database, const struct workload *w,
                         uint64_t now_us)
{
    sqlite3_stmt *put = prepare(
        h, "INSERT INTO family VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (db, id, day) DO UPDATE SET"
           " calls = calls + excluded.calls, ms = ms + excluded.ms, rows = rows + excluded.rows");
    sqlite3_stmt *get =
        prepare(h, "SELECT calls, ms, rows FROM family_last WHERE db = ? AND id = ?");
    sqlite3_stmt *keep = prepare(h, "INSERT OR REPLACE INTO family_last VALUES (?, ?, ?, ?, ?)");
    sqlite3_stmt *old = prepare(h, "DELETE FROM family WHERE day < ?");
    begin(h);
    for (size_t k = 0; put && get && keep && k < w->n_families; k++)
        put_family(h, get, put, keep, database, &w->families[k], day_of(now_us));
    if (old) {
        sqlite3_bind_int64(old, 1, day_of(now_us) - KEEP_DAYS);
        run(h, old);
    }
    commit(h);
    sqlite3_finalize(put);
    sqlite3_finalize(get);
    sqlite3_finalize(keep);
    sqlite3_finalize(old);
}

void pw_history_advice(struct history *h, const struct advice_set *s)
{
    sqlite3_stmt *put =
        prepare(h, "INSERT INTO advice (db, id, kind, object, sql, first_us, last_us) VALUES (?, "
                   "?, ?, ?, ?, ?, ?)"
                   " ON CONFLICT (db, id) DO UPDATE SET last_us = excluded.last_us");
    begin(h);
    for (size_t k = 0; put && k < s->n_items; k++) {
        const struct advice *a = &s->items[k];
        pw_store_bind_text(put, 1, s->database);
        pw_store_bind_text(put, 2, a->id);
        pw_store_bind_text(put, 3, pw_advice_kind_text(a->kind));
        pw_store_bind_text(put, 4, a->object);
        pw_store_bind_text(put, 5, a->sql);
        sqlite3_bind_int64(put, 6, (int64_t)s->generated_us);
        sqlite3_bind_int64(put, 7, (int64_t)s->generated_us);
        run(h, put);
    }
    commit(h);
    sqlite3_finalize(put);
}

void pw_history_outcome(struct history *h, const char *database, const struct advice_outcome *o)
{
    sqlite3_stmt *put =
        prepare(h, "UPDATE advice SET outcome = ?, before_ms = ?, after_ms = ?, p = ?"
                   " WHERE db = ? AND id = ?");
    if (!put)
        return;
    pw_store_bind_text(put, 1, pw_advice_verdict_text(o->verdict));
    bind_num(put, 2, o->before_ms);
    bind_num(put, 3, o->after_ms);
    bind_num(put, 4, o->p_value);
    pw_store_bind_text(put, 5, database);
    pw_store_bind_text(put, 6, o->id);
    run(h, put);
    sqlite3_finalize(put);
}

bool pw_history_workload(struct history *h, const char *database, int days, struct workload *w)
{
    uint64_t now = pw_clock_wall_us();
    sqlite3_stmt *get =
        prepare(h, "SELECT id, text, sum(calls), sum(ms), sum(rows), min(day) FROM family"
                   " WHERE db = ? AND day >= ? GROUP BY id, text ORDER BY sum(ms) DESC,"
                   " sum(calls) DESC, id LIMIT 2000");
    if (!get)
        return false;
    pw_store_bind_text(get, 1, database);
    sqlite3_bind_int64(get, 2, day_of(now) - days);
    while (sqlite3_step(get) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(get, 1);
        bool timed = sqlite3_column_type(get, 3) != SQLITE_NULL;
        bool counted = sqlite3_column_type(get, 4) != SQLITE_NULL;
        struct workload_family *f = pw_workload_add(w, (uint64_t)sqlite3_column_int64(get, 0), text,
                                                    sqlite3_column_double(get, 2),
                                                    timed ? sqlite3_column_double(get, 3) : NAN,
                                                    counted ? sqlite3_column_double(get, 4) : NAN);
        if (f && f->n_samples == 0)
            pw_workload_add_sample(f, pw_slice_str(text), 0, NULL);
        uint64_t from = (uint64_t)sqlite3_column_int64(get, 5) * 86400 * 1000000;
        w->from_us = w->from_us == 0 || from < w->from_us ? from : w->from_us;
        w->to_us = now;
    }
    sqlite3_finalize(get);
    return true;
}
