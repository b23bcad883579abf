/*
 * A session's settings on the connection that serves it next: what differs is replayed before the
 * request, and RESET goes back to what the session had at login.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/dispatch/send_priv.h"
#include "proxy/dispatch/sequences.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"

/*
 * Settings and application_name that differ, as one simple Query of our own. A name alone is
 * harmless and travels with the request. Settings are waited for (true): were one refused, the
 * request would run under the wrong search_path or role.
 */
bool pw_replay_settings(struct dispatch *d, struct ticket *t, struct server *s)
{
    struct client *c = t->client;
    bool rename = c && !t->shareable && strcmp(s->app_name, c->app_name) != 0;
    bool changes = s->settings != t->settings;
    bool forgets = pw_sequences_clean(t, s);
    if (!forgets && !changes && !rename && !t->is_probe)
        return false;
    struct buf *out = pw_send_scratch(d);
    struct emit e = pw_emit_begin(out, FRONT_QUERY);
    pw_settings_diff_sql(s->settings, t->settings, out);
    if (forgets)
        pw_buf_append_str(out, "DISCARD SEQUENCES;");
    if (rename) {
        pw_buf_append_str(out, "SET application_name TO ");
        pw_settings_append_literal(out, c->app_name);
        memcpy(s->app_name, c->app_name, sizeof s->app_name);
    }
    pw_buf_append_u8(out, 0);
    if (!pw_emit_end(&e))
        return false;
    pw_send_expect(s, t, NULL, EXPECT_QUERY, EXPECT_SKIP);
    pw_server_send(s, out->data, out->len);
    pw_stmt_unref(s->unnamed); /* a simple query drops the unnamed statement */
    s->unnamed = NULL;
    pw_metric_inc(d->env.metrics, PW_METRIC_REPLAYS);
    return changes || t->is_probe;
}

static bool was_reset(const struct ticket *t, const char *name)
{
    for (uint32_t i = 0; i < t->n_plans; i++)
        for (uint32_t k = 0; k < t->plans[i]->n_sets; k++) {
            const struct plan_set *set = &t->plans[i]->sets[k];
            if (set->kind == PLAN_RESET_ALL || set->kind == PLAN_DISCARD_ALL ||
                (set->kind == PLAN_SET_DEFAULT && !strcmp(set->name, name)))
                return true;
        }
    return false;
}

static bool restore_in_txn(struct dispatch *d, struct ticket *t, struct server *s)
{
    const struct client *c = t->client;
    const struct settings *login = c->login_settings;
    struct buf *out = pw_send_scratch(d);
    struct emit e = pw_emit_begin(out, FRONT_QUERY);
    size_t empty = out->len;
    for (uint32_t i = 0; i < login->n; i++)
        if (was_reset(t, login->list[i].name))
            pw_settings_append_set(out, login->list[i].name, login->list[i].value);
    if (was_reset(t, "application_name"))
        pw_settings_append_set(out, "application_name", c->login_app_name);
    if (out->len == empty)
        return false;
    pw_buf_append_u8(out, 0);
    if (!pw_emit_end(&e))
        return false;
    pw_send_expect(s, t, NULL, EXPECT_QUERY, EXPECT_SKIP);
    pw_server_send(s, out->data, out->len);
    pw_stmt_unref(s->unnamed);
    s->unnamed = NULL;
    t->is_restoring = true;
    return true;
}

bool pw_ticket_restore(struct dispatch *d, struct ticket *t, struct server *s)
{
    struct client *c = t->client;
    if (!c)
        return false;
    if (s->txn == 'T') /* inside a transaction block: rolled back together with the RESET itself */
        return restore_in_txn(d, t, s);
    pw_settings_unref(t->settings);
    t->settings = pw_settings_ref(c->settings);
    bool renamed = strcmp(s->app_name, c->app_name) != 0;
    t->is_replaying = pw_replay_settings(d, t, s);
    t->is_restoring = t->is_replaying || renamed;
    return t->is_restoring;
}

/* What changed for the client since before its RESET, then the ReadyForQuery that was held back. */
void pw_ticket_end_reset(struct dispatch *d, struct ticket *t, struct server *s)
{
    struct slice rest = pw_params_all(&s->params), old;
    struct name_value nv;
    struct buf *out = pw_send_scratch(d);
    while (pw_startup_next(&rest, &nv))
        if (!pw_params_find(&t->before, nv.name.ptr, &old) || !pw_slice_eq(old, nv.value))
            pw_emit_parameter_status(out, nv.name, nv.value);
    bool ask = pw_unpin_is_due(t, s); /* as UNLISTEN *; RESET ALL */
    if (!ask)
        pw_emit_ready(out, (char)t->end_status);
    if (t->client)
        pw_stream_write(t->client->stream, out->data, out->len);
    if (ask)
        pw_unpin_ask(d, t, s);
    else
        pw_ticket_complete(d, t, s);
}

void pw_ticket_replayed(struct dispatch *d, struct ticket *t, struct server *s)
{
    bool waited = t->is_replaying, failed = t->failed;
    t->is_replaying = false;
    if (failed) {
        struct slice error = pw_buf_slice(&t->key),
                     text = PW_SLICE_LIT("settings could not be restored");
        s->close_when_idle = true;
        if (t->is_probe) {
            pw_probe_done(d, t, s);
            return;
        }
        pw_errfields_find(error, 'M', &text);
        char message[256];
        snprintf(message, sizeof message,
                 "the session's settings could not be restored on the server connection: %.*s",
                 (int)(text.len < 150 ? text.len : 150), text.ptr);
        if (!waited) /* the request is on its way already: its answer is not trusted */
            s->broken = true;
        pw_client_undo_names(t->client, t, 0);
        pw_ticket_fail_sent(d, t, s, PW_INTERNAL, message);
        return;
    }
    if (waited && !(t->is_restoring && s->txn != 'I')) {
        pw_settings_ref(t->settings);
        pw_settings_unref(s->settings);
        s->settings = t->settings;
    }
    if (t->is_restoring) {
        t->is_restoring = false;
        pw_ticket_end_reset(d, t, s);
    } else if (t->is_probe) {
        pw_probe_done(d, t, s);
    } else {
        if (waited) {
            pw_lookup_begin_fill(d, t);
            pw_send_rest(d, t, s);
        }
        pw_cancel_after_replay(d, t);
    }
}
