/* See families_store.h. */
#include "advisor/families_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/store.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

enum { FAMILIES_KEPT = 5000, TABLES_MAX = 1000, OIDS_TEXT_MAX = 16 * 1024, BUSY_MS = 20 };

struct families_store {
    sqlite3 *db; /* OWN */
};

static const char schema_sql[] =
    "CREATE TABLE IF NOT EXISTS family_total (db TEXT, id INTEGER, text TEXT, cache_reason TEXT,"
    " batch_reason TEXT, cacheable INTEGER, pipeline INTEGER, read TEXT, written TEXT,"
    " calls INTEGER, rows INTEGER, bytes INTEGER, wait_us INTEGER, server_us INTEGER,"
    " total_us INTEGER, max_us INTEGER, errors INTEGER, overcount INTEGER, first_us INTEGER,"
    " last_us INTEGER, outcomes BLOB, buckets BLOB, by_sqlstate BLOB, PRIMARY KEY (db, id));";

static const char save_sql[] = "INSERT OR REPLACE INTO family_total VALUES (?, ?, ?, ?, ?, ?, ?, "
                               "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                               "?, ?, ?, ?, ?, ?)";
static const char forget_sql[] =
    "DELETE FROM family_total WHERE rowid NOT IN (SELECT rowid FROM family_total "
    "ORDER BY total_us DESC LIMIT ?)";
static const char load_sql[] = "SELECT * FROM family_total ORDER BY total_us DESC LIMIT ?";

struct families_store *pw_families_store_open(const char *state_dir, char **error)
{
    sqlite3 *db = pw_store_open(state_dir, schema_sql, BUSY_MS, error);
    if (!db)
        return NULL;
    struct families_store *s = pw_alloc(sizeof *s);
    s->db = db;
    return s;
}

void pw_families_store_close(struct families_store *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    pw_free(s);
}

/* ---- saving ---- */

static void bind_oids(sqlite3_stmt *st, int at, const uint32_t *oids, uint32_t n)
{
    struct buf b;
    pw_buf_init(&b, OIDS_TEXT_MAX);
    for (uint32_t i = 0; i < n && i < TABLES_MAX; i++)
        pw_buf_printf(&b, "%s%u", i ? " " : "", oids[i]);
    sqlite3_bind_text(st, at, b.len ? b.data : "", (int)b.len, SQLITE_TRANSIENT);
    pw_buf_free(&b);
}

static int64_t to_wall(uint64_t mono_us)
{
    uint64_t now = pw_clock_us();
    return (int64_t)(pw_clock_wall_us() - (now > mono_us ? now - mono_us : 0));
}

static uint64_t from_wall(int64_t wall_us)
{
    uint64_t now = pw_clock_us(), wall = pw_clock_wall_us();
    uint64_t ago = wall > (uint64_t)wall_us ? wall - (uint64_t)wall_us : 0;
    return now > ago ? now - ago : 1;
}

static bool save_row(sqlite3_stmt *st, const char *database, const struct family_stats *f)
{
    const struct plan *p = f->plan;
    pw_store_bind_text(st, 1, database);
    sqlite3_bind_int64(st, 2, (int64_t)f->family);
    pw_store_bind_text(st, 3, p->family_text);
    pw_store_bind_text(st, 4, pw_plan_reason_text(p->reason));
    pw_store_bind_text(st, 5, pw_plan_reason_text(p->batch_reason));
    sqlite3_bind_int(st, 6, pw_plan_has(p, PLAN_F_CACHEABLE));
    sqlite3_bind_int(st, 7, pw_plan_has(p, PLAN_F_PIPELINE));
    bind_oids(st, 8, p->tables_read, p->n_read);
    bind_oids(st, 9, p->tables_written, p->n_written);
    const uint64_t counts[] = {f->calls,    f->rows,   f->bytes,  f->wait_us,  f->server_us,
                               f->total_us, f->max_us, f->errors, f->overcount};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        pw_store_bind_u64(st, 10 + (int)i, counts[i]);
    sqlite3_bind_int64(st, 19, to_wall(f->first_us));
    sqlite3_bind_int64(st, 20, to_wall(f->last_us));
    sqlite3_bind_blob(st, 21, f->outcomes, sizeof f->outcomes, SQLITE_STATIC);
    sqlite3_bind_blob(st, 22, f->buckets, sizeof f->buckets, SQLITE_STATIC);
    sqlite3_bind_blob(st, 23, f->by_sqlstate, sizeof f->by_sqlstate, SQLITE_STATIC);
    bool ok = sqlite3_step(st) == SQLITE_DONE;
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return ok;
}

static bool forget_the_smallest(struct families_store *s)
{
    sqlite3_stmt *st = NULL;
    bool ok = sqlite3_prepare_v2(s->db, forget_sql, -1, &st, NULL) == SQLITE_OK &&
              sqlite3_bind_int(st, 1, FAMILIES_KEPT) == SQLITE_OK &&
              sqlite3_step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    return ok;
}

bool pw_families_store_save(struct families_store *s, const struct families_snapshot *all,
                            pw_families_name name, void *arg)
{
    sqlite3_stmt *st = NULL;
    bool ok = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    if (!ok)
        return false; /* somebody else writes: next time */
    ok = sqlite3_prepare_v2(s->db, save_sql, -1, &st, NULL) == SQLITE_OK;
    for (size_t i = 0; ok && i < all->n; i++) {
        const char *database = name(arg, all->rows[i].database_id);
        if (database && *database && all->rows[i].plan)
            ok = save_row(st, database, &all->rows[i]);
    }
    sqlite3_finalize(st);
    ok = ok && forget_the_smallest(s);
    if (!ok)
        pw_log_warn("event=families_not_saved error=\"%s\"", sqlite3_errmsg(s->db));
    ok = sqlite3_exec(s->db, ok ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK && ok;
    return ok;
}

/* ---- loading ---- */

static uint32_t oids_of(sqlite3_stmt *st, int at, uint32_t *oids)
{
    uint32_t n = 0;
    char *end;
    for (const char *p = pw_store_text(st, at); *p && n < TABLES_MAX; p = end) {
        oids[n++] = (uint32_t)strtoul(p, &end, 10);
        if (end == p)
            return 0;
    }
    return n;
}

static void take_blob(sqlite3_stmt *st, int at, void *to, size_t size)
{
    if ((size_t)sqlite3_column_bytes(st, at) == size) /* else of another version: zeros */
        memcpy(to, sqlite3_column_blob(st, at), size);
}

static const struct plan *plan_of(sqlite3_stmt *st)
{
    uint32_t read[TABLES_MAX], written[TABLES_MAX];
    struct plan_memory m = {.family = (uint64_t)sqlite3_column_int64(st, 1),
                            .text = pw_store_text(st, 2),
                            .cache_reason = pw_store_text(st, 3),
                            .batch_reason = pw_store_text(st, 4),
                            .cacheable = sqlite3_column_int(st, 5) != 0,
                            .pipeline = sqlite3_column_int(st, 6) != 0,
                            .tables_read = read,
                            .tables_written = written};
    m.n_read = oids_of(st, 7, read);
    m.n_written = oids_of(st, 8, written);
    return pw_plan_remembered(&m);
}

static void load_row(sqlite3_stmt *st, struct family_stats *f)
{
    *f = (struct family_stats){.family = (uint64_t)sqlite3_column_int64(st, 1),
                               .plan = plan_of(st),
                               .calls = pw_store_u64(st, 9),
                               .rows = pw_store_u64(st, 10),
                               .bytes = pw_store_u64(st, 11),
                               .wait_us = pw_store_u64(st, 12),
                               .server_us = pw_store_u64(st, 13),
                               .total_us = pw_store_u64(st, 14),
                               .max_us = pw_store_u64(st, 15),
                               .errors = pw_store_u64(st, 16),
                               .overcount = pw_store_u64(st, 17),
                               .first_us = from_wall(sqlite3_column_int64(st, 18)),
                               .last_us = from_wall(sqlite3_column_int64(st, 19))};
    take_blob(st, 20, f->outcomes, sizeof f->outcomes);
    take_blob(st, 21, f->buckets, sizeof f->buckets);
    take_blob(st, 22, f->by_sqlstate, sizeof f->by_sqlstate);
    for (int i = 0; i < FAMILY_ERRORS; i++)
        f->by_sqlstate[i].sqlstate[5] = 0;
}

struct families_snapshot *pw_families_store_load(struct families_store *s, pw_families_id id,
                                                 void *arg)
{
    struct families_snapshot *all = pw_alloc(sizeof *all);
    all->rows = pw_alloc(FAMILIES_KEPT * sizeof *all->rows);
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, load_sql, -1, &st, NULL) == SQLITE_OK &&
        sqlite3_bind_int(st, 1, FAMILIES_KEPT) == SQLITE_OK) {
        while (all->n < FAMILIES_KEPT && sqlite3_step(st) == SQLITE_ROW) {
            load_row(st, &all->rows[all->n]);
            all->rows[all->n++].database_id = id(arg, pw_store_text(st, 0));
        }
    }
    sqlite3_finalize(st);
    return all;
}
