/* See index_store.h. */
#include "advisor/index_store.h"

#include "advisor/store.h"
#include "proxy/base/alloc.h"
#include "proxy/base/log.h"

enum { INDEXES_KEPT = 5000, BUSY_MS = 20 };

struct index_store {
    sqlite3 *db; /* OWN */
};

static const char schema_sql[] =
    "CREATE TABLE IF NOT EXISTS index_total (db TEXT, name TEXT, tab TEXT, scan_kind TEXT, cond "
    "TEXT,"
    " uses INTEGER, last_us INTEGER, own_scans INTEGER, PRIMARY KEY (db, name));";
static const char save_sql[] = "INSERT OR REPLACE INTO index_total VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
static const char forget_sql[] = "DELETE FROM index_total WHERE rowid NOT IN (SELECT rowid FROM "
                                 "index_total ORDER BY last_us DESC LIMIT ?)";
static const char load_sql[] = "SELECT db, name, tab, scan_kind, cond, uses, last_us, own_scans "
                               "FROM index_total ORDER BY last_us DESC LIMIT ?";

struct index_store *pw_index_store_open(const char *state_dir, char **error)
{
    sqlite3 *db = pw_store_open(state_dir, schema_sql, BUSY_MS, error);
    if (!db)
        return NULL;
    struct index_store *s = pw_alloc(sizeof *s);
    s->db = db;
    return s;
}

void pw_index_store_close(struct index_store *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    pw_free(s);
}

/* ---- saving ---- */

struct saving {
    sqlite3_stmt *st;
    pw_index_store_name name;
    void *arg;
    bool ok;
};

static void save_row(void *arg, const struct index_use *use)
{
    struct saving *to = arg;
    const char *database = to->name(to->arg, use->database_id);
    if (!to->ok || !database || !*database)
        return;
    pw_store_bind_text(to->st, 1, database);
    pw_store_bind_text(to->st, 2, use->index);
    pw_store_bind_text(to->st, 3, use->table);
    pw_store_bind_text(to->st, 4, use->scan_kind);
    pw_store_bind_text(to->st, 5, use->cond);
    pw_store_bind_u64(to->st, 6, use->uses);
    pw_store_bind_u64(to->st, 7, use->last_used_us);
    pw_store_bind_u64(to->st, 8, use->own_scans);
    to->ok = sqlite3_step(to->st) == SQLITE_DONE;
    sqlite3_reset(to->st);
}

static bool forget_the_oldest(struct index_store *s)
{
    sqlite3_stmt *st = NULL;
    bool ok = sqlite3_prepare_v2(s->db, forget_sql, -1, &st, NULL) == SQLITE_OK &&
              sqlite3_bind_int(st, 1, INDEXES_KEPT) == SQLITE_OK && sqlite3_step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    return ok;
}

bool pw_index_store_save(struct index_store *s, const struct index_log *log,
                         pw_index_store_name name, void *arg)
{
    if (sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return false; /* somebody else writes: next time */
    struct saving to = {.name = name, .arg = arg};
    to.ok = sqlite3_prepare_v2(s->db, save_sql, -1, &to.st, NULL) == SQLITE_OK;
    if (to.ok)
        pw_index_log_each(log, save_row, &to);
    sqlite3_finalize(to.st);
    bool ok = to.ok && forget_the_oldest(s);
    if (!ok)
        pw_log_warn("event=index_uses_not_saved error=\"%s\"", sqlite3_errmsg(s->db));
    return sqlite3_exec(s->db, ok ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK && ok;
}

/* ---- loading ---- */

void pw_index_store_load(struct index_store *s, struct index_log *log, pw_index_store_id id,
                         void *arg)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, load_sql, -1, &st, NULL) == SQLITE_OK &&
        sqlite3_bind_int(st, 1, INDEXES_KEPT) == SQLITE_OK) {
        while (sqlite3_step(st) == SQLITE_ROW) {
            const struct index_use use = {.database_id = id(arg, pw_store_text(st, 0)),
                                          .index = pw_store_text(st, 1),
                                          .table = pw_store_text(st, 2),
                                          .scan_kind = pw_store_text(st, 3),
                                          .cond = pw_store_text(st, 4),
                                          .uses = pw_store_u64(st, 5),
                                          .last_used_us = pw_store_u64(st, 6),
                                          .own_scans = pw_store_u64(st, 7)};
            pw_index_log_remember(log, &use);
        }
    }
    sqlite3_finalize(st);
}
