/*
 * The extended protocol of the console: prepared statements and portals by the client's names.
 * Describing a statement that only looks runs it, because only its answer knows the columns; one
 * that changes something is described as having no rows, runs once, at Execute, and shows what
 * rows it has as a notice.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/admin/parse.h"
#include "proxy/admin/psql_front_priv.h"
#include "proxy/base/alloc.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/front.h"

static void fail(struct psql_front *f, struct buf *out, const char *sqlstate, const char *message)
{
    f->skipping = true;
    pw_psql_error(out, sqlstate, message, NULL);
}

static void fail_result(struct psql_front *f, struct buf *out, struct admin_result *r)
{
    f->skipping = true;
    pw_psql_error(out, r->sqlstate, r->error, r->hint);
    pw_admin_result_clear(r);
}

/* ---- names ------------------------------------------------------------------------------------
 */

static struct psql_statement *find_statement(struct psql_front *f, struct slice name)
{
    for (size_t i = 0; i < PW_PSQL_NAMES_MAX; i++)
        if (f->statements[i].name && pw_slice_is(name, f->statements[i].name))
            return &f->statements[i];
    return NULL;
}

static struct psql_portal *find_portal(struct psql_front *f, struct slice name)
{
    for (size_t i = 0; i < PW_PSQL_NAMES_MAX; i++)
        if (f->portals[i].name && pw_slice_is(name, f->portals[i].name))
            return &f->portals[i];
    return NULL;
}

static void drop_statement(struct psql_statement *s)
{
    PW_FREE(s->name);
    PW_FREE(s->text);
}

static void drop_portal(struct psql_portal *p)
{
    pw_free(p->name);
    pw_free(p->text);
    pw_admin_result_clear(&p->result);
    *p = (struct psql_portal){0};
}

void pw_psql_portals_clear(struct psql_front *f)
{
    for (size_t i = 0; i < PW_PSQL_NAMES_MAX; i++)
        if (f->portals[i].name)
            drop_portal(&f->portals[i]);
}

void pw_psql_names_clear(struct psql_front *f)
{
    pw_psql_portals_clear(f);
    for (size_t i = 0; i < PW_PSQL_NAMES_MAX; i++)
        drop_statement(&f->statements[i]);
}

/* ---- Parse, Bind, Close -----------------------------------------------------------------------
 */

static enum pw_status feed_parse(struct psql_front *f, struct slice body, struct buf *out)
{
    struct front_parse p;
    struct slice rest, text = {"", 0}, more;
    if (!pw_front_parse(body, &p))
        return PW_PROTOCOL;
    rest = p.sql;
    pw_admin_next_statement(&rest, &text);
    struct psql_statement *s = find_statement(f, p.name);
    if (p.sql.len > PW_ADMIN_TEXT_MAX) {
        fail(f, out, "54000", "the command is too long");
    } else if (pw_admin_next_statement(&rest, &more) && !pw_psql_is_empty(more)) {
        fail(f, out, "42601", "cannot insert multiple commands into a prepared statement");
    } else if (s && p.name.len) {
        fail(f, out, "42P05", "prepared statement already exists");
    } else {
        for (size_t i = 0; !s && i < PW_PSQL_NAMES_MAX; i++)
            if (!f->statements[i].name)
                s = &f->statements[i];
        if (!s) {
            fail(f, out, "53400", "too many prepared statements");
            return PW_OK;
        }
        drop_statement(s);
        s->name = pw_strndup(p.name.ptr, p.name.len);
        s->text = pw_strndup(text.ptr, text.len);
        pw_emit_parse_complete(out);
    }
    return PW_OK;
}

static bool take_formats(const struct front_bind *b, struct psql_portal *p)
{
    p->n_formats = b->nresult_formats;
    for (uint16_t c = 0; c < PW_TABLE_COLUMNS_MAX; c++) {
        uint16_t format = pw_front_bind_result_format(b, c);
        if (format > 1)
            return false;
        p->binary[c] = format == 1;
    }
    return true;
}

static enum pw_status feed_bind(struct psql_front *f, struct slice body, struct buf *out)
{
    struct front_bind b;
    if (!pw_front_bind(body, &b))
        return PW_PROTOCOL;
    struct psql_statement *s = find_statement(f, b.statement);
    struct psql_portal *p = find_portal(f, b.portal);
    if (!s) {
        fail(f, out, "26000", "prepared statement does not exist");
        return PW_OK;
    }
    if (b.nparams) {
        fail(f, out, "08P01", "bind message supplies parameters, the console takes none");
        return PW_OK;
    }
    if (p && b.portal.len) {
        fail(f, out, "42P03", "portal already exists");
        return PW_OK;
    }
    for (size_t i = 0; !p && i < PW_PSQL_NAMES_MAX; i++)
        if (!f->portals[i].name)
            p = &f->portals[i];
    if (!p) {
        fail(f, out, "53400", "too many portals");
        return PW_OK;
    }
    drop_portal(p);
    if (!take_formats(&b, p)) {
        fail(f, out, "22023", "unsupported format code");
        return PW_OK;
    }
    p->name = pw_strndup(b.portal.ptr, b.portal.len);
    p->text = pw_strdup(s->text);
    pw_emit_bind_complete(out);
    return PW_OK;
}

static enum pw_status feed_close(struct psql_front *f, struct slice body, struct buf *out)
{
    struct front_target t;
    if (!pw_front_target(body, &t))
        return PW_PROTOCOL;
    struct psql_statement *s = t.kind == 'S' ? find_statement(f, t.name) : NULL;
    struct psql_portal *p = t.kind == 'P' ? find_portal(f, t.name) : NULL;
    if (s)
        drop_statement(s);
    if (p)
        drop_portal(p);
    pw_emit_close_complete(out);
    return PW_OK;
}

/* ---- Describe ---------------------------------------------------------------------------------
 */

/* Commands that change something run once, so describing them must not run them. What is unknown
 * is run: it ends in the error that says so. */
static bool may_run_to_describe(const struct psql_front *f, const char *text)
{
    const struct admin_command *c = pw_admin_find(f->registry, pw_slice_str(text));
    return !c || c->level == ADMIN_STATS;
}

static void describe_statement(struct psql_front *f, struct admin_result *r, struct buf *out)
{
    if (r->error) {
        fail_result(f, out, r);
        return;
    }
    pw_psql_result_adapt(r);
    pw_emit_parameter_description(out, NULL, 0);
    if (r->table)
        pw_table_emit_description(r->table, NULL, out);
    else
        pw_emit_no_data(out);
    pw_admin_result_clear(r);
}

static const bool *formats_of(const struct psql_portal *p)
{
    return p->n_formats ? p->binary : NULL;
}

/* From the result it has: Describe ran it, or an Execute came first. */
static void announce_portal(struct psql_portal *p, struct buf *out)
{
    p->described = true;
    p->described_rows = p->result.table != NULL;
    if (p->result.table)
        pw_table_emit_description(p->result.table, formats_of(p), out);
    else
        pw_emit_no_data(out);
}

static void describe_portal(struct psql_front *f, struct psql_portal *p, struct admin_result *r,
                            struct buf *out)
{
    if (r->error) {
        fail_result(f, out, r);
        return;
    }
    pw_psql_result_adapt(r);
    p->result = *r;
    *r = (struct admin_result){0};
    p->has_result = true;
    announce_portal(p, out);
}

static enum pw_status feed_describe(struct psql_front *f, struct slice body, struct buf *out)
{
    struct front_target t;
    struct admin_result now = {0};
    if (!pw_front_target(body, &t))
        return PW_PROTOCOL;
    struct psql_statement *s = t.kind == 'S' ? find_statement(f, t.name) : NULL;
    struct psql_portal *p = t.kind == 'P' ? find_portal(f, t.name) : NULL;
    if (!s && !p) {
        fail(f, out, t.kind == 'S' ? "26000" : "34000",
             t.kind == 'S' ? "prepared statement does not exist" : "portal does not exist");
        return PW_OK;
    }
    const char *text = s ? s->text : p->text;
    if (p && p->has_result) {
        announce_portal(p, out);
    } else if (pw_psql_is_empty(pw_slice_str(text)) || !may_run_to_describe(f, text)) {
        if (s)
            pw_emit_parameter_description(out, NULL, 0);
        else
            p->described = true;
        pw_emit_no_data(out);
    } else if (s) {
        if (pw_psql_run(f, pw_slice_str(text), &now, PSQL_WAIT_DESCRIBE_STATEMENT))
            describe_statement(f, &now, out);
    } else {
        f->current = (size_t)(p - f->portals);
        if (pw_psql_run(f, pw_slice_str(text), &now, PSQL_WAIT_DESCRIBE_PORTAL))
            describe_portal(f, p, &now, out);
    }
    return PW_OK;
}

/* ---- Execute ----------------------------------------------------------------------------------
 */

/* Rows nobody announced may not be sent: they are shown as a notice instead. */
static void rows_to_notice(struct admin_result *r)
{
    struct buf text;
    pw_buf_init(&text, PW_ADMIN_TEXT_MAX);
    pw_table_render_text(r->table, &text);
    char *notice = pw_asprintf("%s%s%.*s", r->notice ? r->notice : "", r->notice ? "\n" : "",
                               (int)text.len, text.data ? text.data : "");
    pw_free(r->notice);
    r->notice = notice;
    pw_buf_free(&text);
    pw_table_free(r->table);
    r->table = NULL;
}

static void send_portal(struct psql_front *f, struct psql_portal *p, struct buf *out)
{
    struct admin_result *r = &p->result;
    bool looks = may_run_to_describe(f, p->text);
    if (r->table && ((p->described && !p->described_rows) || !looks))
        rows_to_notice(r);
    pw_psql_notice(r, out);
    PW_FREE(r->notice);
    if (r->table) {
        size_t rows = pw_table_rows(r->table), to = rows;
        if (f->max_rows && p->sent + f->max_rows < rows)
            to = p->sent + f->max_rows;
        pw_table_emit_rows(r->table, formats_of(p), p->sent, to, out);
        p->sent = to;
        if (to < rows) {
            pw_emit_portal_suspended(out);
            return;
        }
    }
    pw_emit_command_complete(out, r->tag);
}

static void execute(struct psql_front *f, struct psql_portal *p, struct admin_result *r,
                    struct buf *out)
{
    if (r->error) {
        fail_result(f, out, r);
        return;
    }
    pw_psql_result_adapt(r);
    p->result = *r;
    *r = (struct admin_result){0};
    p->has_result = true;
    send_portal(f, p, out);
}

static enum pw_status feed_execute(struct psql_front *f, struct slice body, struct buf *out)
{
    struct front_execute e;
    struct admin_result now = {0};
    if (!pw_front_execute(body, &e))
        return PW_PROTOCOL;
    struct psql_portal *p = find_portal(f, e.portal);
    f->max_rows = e.max_rows;
    if (!p) {
        fail(f, out, "34000", "portal does not exist");
    } else if (p->has_result) {
        send_portal(f, p, out);
    } else if (pw_psql_is_empty(pw_slice_str(p->text))) {
        pw_emit_empty_query(out);
    } else {
        f->current = (size_t)(p - f->portals);
        if (pw_psql_run(f, pw_slice_str(p->text), &now, PSQL_WAIT_EXECUTE))
            execute(f, p, &now, out);
    }
    return PW_OK;
}

/* ---- in ---------------------------------------------------------------------------------------
 */

enum pw_status pw_psql_names_feed(struct psql_front *f, uint8_t type, struct slice body,
                                  struct buf *out)
{
    switch (type) {
    case 'P':
        return feed_parse(f, body, out);
    case 'B':
        return feed_bind(f, body, out);
    case 'C':
        return feed_close(f, body, out);
    case 'D':
        return feed_describe(f, body, out);
    default:
        return feed_execute(f, body, out);
    }
}

void pw_psql_names_result(struct psql_front *f, enum psql_wait wait, struct admin_result *result,
                          struct buf *out)
{
    if (wait == PSQL_WAIT_DESCRIBE_STATEMENT)
        describe_statement(f, result, out);
    else if (wait == PSQL_WAIT_DESCRIBE_PORTAL)
        describe_portal(f, &f->portals[f->current], result, out);
    else
        execute(f, &f->portals[f->current], result, out);
}
