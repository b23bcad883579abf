/* See store.h. */
#include "advisor/store.h"

#include <stdbool.h>

#include "proxy/base/alloc.h"

static const char pragmas_sql[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";

sqlite3 *pw_store_open(const char *state_dir, const char *schema_sql, int busy_ms, char **error)
{
    char *path = pw_asprintf("%s/advisor.sqlite", state_dir);
    sqlite3 *db = NULL;
    bool ok =
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(db, busy_ms) == SQLITE_OK &&
        sqlite3_exec(db, pragmas_sql, NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_exec(db, schema_sql, NULL, NULL, NULL) == SQLITE_OK;
    if (!ok) {
        *error = pw_asprintf("%s: %s", path, db ? sqlite3_errmsg(db) : "out of memory");
        sqlite3_close(db);
        db = NULL;
    }
    pw_free(path);
    return db;
}

void pw_store_bind_text(sqlite3_stmt *st, int at, const char *text)
{
    sqlite3_bind_text(st, at, text, -1, SQLITE_TRANSIENT);
}

void pw_store_bind_u64(sqlite3_stmt *st, int at, uint64_t v)
{
    sqlite3_bind_int64(st, at, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

const char *pw_store_text(sqlite3_stmt *st, int at)
{
    const char *text = (const char *)sqlite3_column_text(st, at);
    return text ? text : "";
}

uint64_t pw_store_u64(sqlite3_stmt *st, int at)
{
    int64_t v = sqlite3_column_int64(st, at);
    return v > 0 ? (uint64_t)v : 0;
}
