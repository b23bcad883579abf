/* See side.h. */
#include "advisor/side.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_US (10 * 1000 * 1000)
#define NOTES_MAX          200

void pw_side_note(struct side *s, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    for (size_t k = 0; k < s->n_notes; k++)
        if (strcmp(s->notes[k], text) == 0)
            return;
    if (s->n_notes >= NOTES_MAX)
        return;
    s->notes = pw_mem_push(s->mem, s->notes, &s->n_notes, sizeof(*s->notes));
    s->notes[s->n_notes - 1] = pw_mem_str(s->mem, text);
}

/* libpq's text holds several lines; the first says what happened. */
static void first_line(const char *text, char *out, size_t size)
{
    size_t n = strcspn(text, "\r\n");
    snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), text);
}

struct pgresult *pw_side_rows(struct side *s, const char *what, const char *sql, int n_params,
                              const char *const *params)
{
    if (s->lost)
        return NULL;
    struct pgresult *r = pw_pgsync_query(s->pg, sql, n_params, params);
    if (pw_pgresult_ok(r))
        return r;
    char line[256];
    first_line(pw_pgresult_error(r), line, sizeof(line));
    const char *state = pw_pgresult_sqlstate(r);
    if (strncmp(state, "08", 2) == 0 || strcmp(state, "57P01") == 0) {
        s->lost = true;
        pw_side_note(s, "the connection to the server was lost: %s", line);
    } else if (what) {
        pw_side_note(s, "%s: %s", what, line);
    }
    pw_pgresult_free(r);
    return NULL;
}

bool pw_side_exec(struct side *s, const char *what, const char *sql)
{
    struct pgresult *r = pw_side_rows(s, what, sql, 0, NULL);
    if (r)
        pw_pgresult_free(r);
    return r != NULL;
}

char *pw_side_value(struct side *s, const char *what, const char *sql)
{
    struct pgresult *r = pw_side_rows(s, what, sql, 0, NULL);
    if (!r)
        return NULL;
    char *out = pw_pgresult_rows(r) > 0 ? pw_cell_str(s->mem, r, 0, 0) : NULL;
    pw_pgresult_free(r);
    return out;
}

bool pw_side_has_extension(struct side *s, const char *name)
{
    const char *params[] = {name};
    struct pgresult *r = pw_side_rows(
        s, "extensions", "SELECT extversion FROM pg_extension WHERE extname = $1", 1, params);
    bool found = r && pw_pgresult_rows(r) > 0;
    if (r)
        pw_pgresult_free(r);
    return found;
}

/* Our connection starts with a clean search_path; statements of clients are planned with theirs. */
static const char path_sql[] = "BEGIN READ ONLY; SET LOCAL search_path TO DEFAULT; "
                               "SELECT pg_catalog.current_setting('search_path')";

static const char who_sql[] = "SELECT current_database(), session_user, pg_is_in_recovery(),"
                              " (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)";

static const char setup_sql[] =
    "SET default_transaction_read_only = on; SET statement_timeout = '10s';"
    "SET lock_timeout = '100ms'; SET idle_in_transaction_session_timeout = '30s';"
    "SET jit = off; SET client_min_messages = warning; SET standard_conforming_strings = on;"
    "SET plan_cache_mode = force_custom_plan; SET DateStyle = 'ISO, MDY'; SET extra_float_digits = "
    "1";

bool pw_side_open(struct side *s, struct arena *mem, const char *conninfo, char **error)
{
    memset(s, 0, sizeof(*s));
    s->mem = mem;
    s->pg = pw_pgsync_connect(conninfo, CONNECT_TIMEOUT_US, error);
    if (!s->pg)
        return false;
    s->version = pw_pgsync_server_version(s->pg);
    pw_side_exec(s, "session settings", setup_sql);
    struct pgresult *r = pw_side_rows(s, "session", who_sql, 0, NULL);
    if (r) {
        s->database = pw_cell_str(mem, r, 0, 0);
        s->user = pw_cell_str(mem, r, 0, 1);
        s->in_recovery = pw_cell_bool(r, 0, 2);
        s->superuser = pw_cell_bool(r, 0, 3);
        pw_pgresult_free(r);
    }
    s->search_path = pw_side_value(s, "search_path", path_sql);
    pw_side_exec(s, NULL, "ROLLBACK");
    if (!s->search_path)
        s->search_path = "\"$user\", public";
    return true;
}

void pw_side_close(struct side *s)
{
    if (s->pg)
        pw_pgsync_free(s->pg);
    s->pg = NULL;
}

const char *pw_cell(const struct pgresult *r, int row, int col)
{
    const char *v = pw_pgresult_get(r, row, col);
    return v ? v : "";
}

char *pw_cell_str(struct arena *a, const struct pgresult *r, int row, int col)
{
    return pw_mem_str(a, pw_pgresult_get(r, row, col));
}

double pw_cell_num(const struct pgresult *r, int row, int col, double otherwise)
{
    const char *v = pw_pgresult_get(r, row, col);
    return v && *v ? strtod(v, NULL) : otherwise;
}

int64_t pw_cell_int(const struct pgresult *r, int row, int col, int64_t otherwise)
{
    const char *v = pw_pgresult_get(r, row, col);
    return v && *v ? strtoll(v, NULL, 10) : otherwise;
}

bool pw_cell_bool(const struct pgresult *r, int row, int col)
{
    return pw_cell(r, row, col)[0] == 't';
}
