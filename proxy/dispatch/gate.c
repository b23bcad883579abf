/*
 * Settings replayed in the same write as the request that needs them, so that they cost no round
 * trip, and so that the request is executed with them or not at all.
 *
 * They go by the extended protocol and without a Sync, as BEGIN, what differs, COMMIT: after an
 * error PostgreSQL discards whatever comes up to the next Sync (tcop/postgres.c, ignore_till_sync),
 * and that is the request, be it a simple Query or extended messages. Without an error COMMIT ends
 * the transaction at once (exec_execute_message, is_xact_command), so that the request begins its
 * own, as it would have. BEGIN says its isolation level: the session's default may be one that
 * waits (DEFERRABLE) or that a standby refuses.
 *
 * Since PostgreSQL 14 changes of what ParameterStatus reports are told only before ReadyForQuery:
 * together with what the request itself changed. So this way is taken only when it is known what a
 * server reports with these settings (struct settings, welcome): it is what the client was told.
 * Reports about what may have been replayed are held back, and what differs in the end from what
 * the client was told is said in their place.
 */
#include <string.h>
#include <strings.h>

#include "proxy/base/check.h"
#include "proxy/dispatch/send_priv.h"
#include "proxy/pool/welcome.h"
#include "proxy/wire/emit.h"

static const uint32_t text_type = 25;

static void expect(struct server *s, struct ticket *t, uint8_t kind)
{
    pw_send_expect(s, t, NULL, kind, EXPECT_SKIP);
}

static void add_bound(struct server *s, struct ticket *t, struct buf *out,
                      const struct emit_bind *bind)
{
    pw_emit_bind(out, bind);
    pw_emit_execute(out, pw_slice("", 0), 0);
    expect(s, t, EXPECT_PARSE);
    expect(s, t, EXPECT_BIND);
    expect(s, t, EXPECT_EXECUTE);
}

static void add_statement(struct server *s, struct ticket *t, struct buf *out, const char *sql)
{
    static const struct emit_bind no_values;
    pw_emit_parse(out, pw_slice("", 0), pw_slice_str(sql), NULL, 0);
    add_bound(s, t, out, &no_values);
}

static void add_reset(struct server *s, struct ticket *t, struct buf *out, const char *name)
{
    static const struct emit_bind no_values;
    struct emit parse = pw_emit_begin(out, FRONT_PARSE);
    pw_emit_str(&parse, pw_slice("", 0));
    pw_settings_append_reset(out, name);
    pw_buf_append(out, "\0\0\0", 3); /* the end of the text, no parameter types */
    pw_emit_end(&parse);
    add_bound(s, t, out, &no_values);
}

/* Values are parameters: no quoting, which would depend on the encoding. They are taken from left
 * to right. */
static void add_sets(struct server *s, struct ticket *t, struct buf *out,
                     const struct setting_change *list, uint32_t n)
{
    struct wire_value values[2 * (PW_SETTINGS_DIFF_MAX + 1)];
    struct emit parse = pw_emit_begin(out, FRONT_PARSE);
    pw_emit_str(&parse, pw_slice("", 0));
    for (uint32_t i = 0; i < n; i++) {
        pw_buf_printf(out, "%spg_catalog.set_config($%u,$%u,false)", i ? "," : "SELECT ", 2 * i + 1,
                      2 * i + 2);
        values[2 * i] = (struct wire_value){.bytes = pw_slice_str(list[i].name)};
        values[2 * i + 1] = (struct wire_value){.bytes = pw_slice_str(list[i].value)};
    }
    pw_buf_append_u8(out, 0);
    pw_buf_append_u16(out, (uint16_t)(2 * n));
    for (uint32_t i = 0; i < 2 * n; i++)
        pw_buf_append_u32(out, text_type);
    pw_emit_end(&parse);
    const struct emit_bind bind = {.values = values, .nvalues = (uint16_t)(2 * n)};
    add_bound(s, t, out, &bind);
}

/* Those behind client_encoding are read in the new one, which needs messages of their own. */
static void add_changes(struct server *s, struct ticket *t, struct buf *out,
                        const struct setting_change *list, uint32_t n)
{
    for (uint32_t i = 0; i < n;) {
        if (!list[i].value) {
            add_reset(s, t, out, list[i++].name);
            continue;
        }
        uint32_t from = i++;
        while (i < n && list[i].value && strcmp(list[from].name, "client_encoding") != 0)
            i++;
        add_sets(s, t, out, list + from, i - from);
    }
}

bool pw_gate_is_open(const struct ticket *t, const struct server *s)
{
    return !t->is_probe && !t->is_restoring && s->txn == 'I' && t->settings->welcome_known;
}

void pw_gate_send(struct dispatch *d, struct ticket *t, struct server *s,
                  const struct gate_extras *extras)
{
    struct setting_change list[PW_SETTINGS_DIFF_MAX + 1];
    uint32_t n = pw_settings_diff(s->settings, t->settings, list);
    if (extras && extras->app_name)
        list[n++] = (struct setting_change){"application_name", extras->app_name};
    struct buf *out = pw_send_scratch(d);
    add_statement(s, t, out, "BEGIN ISOLATION LEVEL READ COMMITTED NOT DEFERRABLE");
    if (extras && extras->discard_sequences)
        add_statement(s, t, out, "DISCARD SEQUENCES");
    add_changes(s, t, out, list, n);
    add_statement(s, t, out, "COMMIT");
    pw_emit_close(out, 'S', pw_slice("", 0)); /* nobody may find our COMMIT there */
    expect(s, t, EXPECT_CLOSE);
    if (extras) {
        pw_emit_sync(out);
        expect(s, t, EXPECT_SYNC);
    }
    PW_CHECK(!out->failed); /* sets are bounded; and nothing may follow that was to be held back */
    pw_server_send(s, out->data, out->len);
    pw_stmt_unref(s->unnamed);
    s->unnamed = NULL;
}

/* ---- what is reported */

static bool has_authorization(const struct settings *set)
{
    return pw_settings_get(set, "role") || pw_settings_get(set, "session_authorization");
}

static bool has_name(const struct settings *set, struct slice name)
{
    for (uint32_t i = 0; i < set->n; i++)
        if (strlen(set->list[i].name) == name.len &&
            !strncasecmp(set->list[i].name, name.ptr, name.len))
            return true;
    return false;
}

bool pw_gate_hides(const struct ticket *t, struct slice name)
{
    const struct settings *from = t->replayed_from;
    if (!from)
        return false;
    if (pw_slice_is(name, "is_superuser") || pw_slice_is(name, "session_authorization"))
        return has_authorization(from) || has_authorization(t->settings);
    return has_name(from, name) || has_name(t->settings, name);
}

bool pw_gate_settle(const struct ticket *t, const struct server *s, struct buf *out)
{
    struct slice rest = pw_params_all(&s->params), old;
    struct name_value nv;
    bool any = false;
    while (pw_startup_next(&rest, &nv)) {
        if (!pw_gate_hides(t, nv.name))
            continue;
        if (pw_params_find(&t->settings->welcome, nv.name.ptr, &old) && pw_slice_eq(old, nv.value))
            continue;
        pw_emit_parameter_status(out, nv.name, nv.value);
        any = true;
    }
    return any;
}

void pw_gate_told(const struct ticket *t, struct params *told)
{
    struct slice rest = pw_params_all(&t->settings->welcome);
    struct name_value nv;
    while (t->replayed_from && pw_startup_next(&rest, &nv))
        if (pw_gate_hides(t, nv.name))
            pw_params_set(told, nv.name, nv.value);
}
