/*
 * Simple Query, and what both protocols share: sending a result, errors, busy and idle. The
 * extended protocol's names live in psql_names.c. Owns the text of the Query being worked on.
 */
#include "proxy/admin/psql_front.h"

#include <stdio.h>
#include <string.h>

#include "proxy/admin/parse.h"
#include "proxy/admin/psql_canned.h"
#include "proxy/admin/psql_front_priv.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/front.h"

struct psql_front *pw_psql_front_new(const struct admin *registry, const char *user,
                                     const char *database, pw_on_psql_command on_command, void *arg)
{
    struct psql_front *f = pw_alloc(sizeof *f);
    f->registry = registry;
    f->user = pw_strdup(user);
    f->database = pw_strdup(database);
    f->on_command = on_command;
    f->arg = arg;
    f->status = 'I';
    return f;
}

void pw_psql_front_free(struct psql_front *f)
{
    if (!f)
        return;
    pw_psql_names_clear(f);
    pw_free(f->query);
    pw_free(f->user);
    pw_free(f->database);
    pw_free(f);
}

bool pw_psql_front_is_busy(const struct psql_front *f)
{
    return f->wait != PSQL_WAIT_NOTHING;
}

struct admin_result pw_psql_result_take(struct admin_call *call)
{
    struct admin_result taken = call->result;
    call->result = (struct admin_result){0};
    return taken;
}

/* ---- results as messages ----------------------------------------------------------------------
 */

void pw_psql_error(struct buf *out, const char *sqlstate, const char *message, const char *hint)
{
    const struct error_fields fields = {
        .severity = "ERROR", .sqlstate = sqlstate, .message = message, .hint = hint};
    pw_emit_error(out, &fields);
}

static void put_notice(struct buf *out, const char *text)
{
    const struct error_fields fields = {.severity = "NOTICE", .sqlstate = "00000", .message = text};
    pw_emit_notice(out, &fields);
}

static const struct table_column column_json = {"json", TABLE_TEXT};

/* FORMAT JSON on this front: one text column, one object per row. */
static struct table *to_json(struct table *t)
{
    struct table *json = pw_table_new(&column_json, 1);
    struct buf lines;
    pw_buf_init(&lines, PW_TABLE_BYTES_MAX);
    pw_table_render_json_lines(t, &lines);
    const char *at = lines.data, *end = lines.data + lines.len, *stop;
    while (at < end && (stop = memchr(at, '\n', (size_t)(end - at)))) {
        pw_table_row(json);
        pw_table_slice(json, pw_slice(at, (size_t)(stop - at)));
        at = stop + 1;
    }
    pw_buf_free(&lines);
    pw_table_free(t);
    return json;
}

void pw_psql_result_adapt(struct admin_result *r)
{
    if (r->table && r->format == ADMIN_FORMAT_JSON) {
        r->table = to_json(r->table);
        r->format = ADMIN_FORMAT_TEXT;
    }
}

void pw_psql_notice(const struct admin_result *r, struct buf *out)
{
    if (r->notice)
        put_notice(out, r->notice);
}

/* A result of a simple Query; false when it was an error. */
static bool put_result(struct admin_result *r, struct buf *out)
{
    if (r->error) {
        pw_psql_error(out, r->sqlstate, r->error, r->hint);
        return false;
    }
    pw_psql_result_adapt(r);
    pw_psql_notice(r, out);
    if (r->table) {
        pw_table_emit_description(r->table, NULL, out);
        pw_table_emit_rows(r->table, NULL, 0, pw_table_rows(r->table), out);
    }
    pw_emit_command_complete(out, r->tag);
    return true;
}

/* ---- running one statement --------------------------------------------------------------------
 */

bool pw_psql_run(struct psql_front *f, struct slice text, struct admin_result *now,
                 enum psql_wait wait)
{
    struct psql_canned canned = pw_psql_canned(text, f->user, f->database);
    if (canned.tag) {
        *now = (struct admin_result){.table = canned.table};
        snprintf(now->tag, sizeof now->tag, "%s", canned.tag);
        if (canned.status && wait != PSQL_WAIT_DESCRIBE_STATEMENT)
            f->status = canned.status;
        return true;
    }
    f->wait = wait;
    f->on_command(f->arg, text);
    return false;
}

/* ---- simple Query -----------------------------------------------------------------------------
 */

static void end_query(struct psql_front *f, struct buf *out)
{
    PW_FREE(f->query);
    f->rest = pw_slice("", 0);
    pw_emit_ready(out, f->status);
}

static void next_statement(struct psql_front *f, struct buf *out)
{
    struct slice text;
    while (pw_admin_next_statement(&f->rest, &text)) {
        struct admin_result result;
        if (text.len == 0)
            continue;
        if (!pw_psql_run(f, text, &result, PSQL_WAIT_QUERY))
            return;
        put_result(&result, out);
        pw_admin_result_clear(&result);
    }
    end_query(f, out);
}

bool pw_psql_is_empty(struct slice text)
{
    struct slice statement;
    while (pw_admin_next_statement(&text, &statement)) {
        struct admin_tokens tokens;
        pw_admin_tokenize(statement, &tokens);
        if (tokens.n || tokens.open_quote)
            return false;
    }
    return true;
}

static enum pw_status feed_query(struct psql_front *f, struct slice body, struct buf *out)
{
    struct front_query q;
    if (!pw_front_query(body, &q))
        return PW_PROTOCOL;
    f->skipping = false;
    if (q.sql.len > PW_ADMIN_TEXT_MAX) {
        pw_psql_error(out, "54000", "the command is too long", NULL);
        pw_emit_ready(out, f->status);
        return PW_OK;
    }
    if (pw_psql_is_empty(q.sql)) {
        pw_emit_empty_query(out);
        pw_emit_ready(out, f->status);
        return PW_OK;
    }
    f->query = pw_strndup(q.sql.ptr, q.sql.len);
    f->rest = pw_slice(f->query, q.sql.len);
    next_statement(f, out);
    return PW_OK;
}

/* ---- turns ------------------------------------------------------------------------------------
 */

enum pw_status pw_psql_front_feed(struct psql_front *f, uint8_t type, struct slice body,
                                  struct buf *out)
{
    enum pw_status status = PW_OK;
    PW_CHECK(!pw_psql_front_is_busy(f));
    switch (type) {
    case 'Q':
        status = feed_query(f, body, out);
        break;
    case 'S':
        f->skipping = false;
        if (f->status == 'I')
            pw_psql_portals_clear(f); /* they end with their transaction */
        pw_emit_ready(out, f->status);
        break;
    case 'H':
        break;
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
        if (!f->skipping)
            status = pw_psql_names_feed(f, type, body, out);
        break;
    case 'F':
        pw_psql_error(out, "0A000", "function calls are not supported", NULL);
        pw_emit_ready(out, f->status);
        break;
    case 'd': /* COPY data after a COPY that failed: ignored, as PostgreSQL does */
    case 'c':
    case 'f':
        break;
    default:
        status = PW_PROTOCOL;
    }
    return status == PW_OK && out->failed ? PW_NO_MEMORY : status;
}

enum pw_status pw_psql_front_result(struct psql_front *f, struct admin_result *result,
                                    struct buf *out)
{
    enum psql_wait wait = f->wait;
    PW_CHECK(wait != PSQL_WAIT_NOTHING);
    f->wait = PSQL_WAIT_NOTHING;
    if (wait == PSQL_WAIT_QUERY) {
        bool ok = put_result(result, out);
        pw_admin_result_clear(result);
        if (ok)
            next_statement(f, out);
        else
            end_query(f, out); /* the rest of the message is skipped, as PostgreSQL does */
    } else {
        pw_psql_names_result(f, wait, result, out);
    }
    return out->failed ? PW_NO_MEMORY : PW_OK;
}
