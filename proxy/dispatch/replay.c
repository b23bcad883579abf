/*
 * A session's settings on the connection that serves it next: what differs is replayed before the
 * request, in the same write where that can be (gate.c), and RESET goes back to what the session
 * had at login.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/dispatch/send_priv.h"
#include "proxy/dispatch/sequences.h"
#include "proxy/pool/welcome.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"

/* What is harmless under other settings, as one simple Query: the request follows. */
static void send_extras(struct dispatch *d, struct ticket *t, struct server *s,
                        const struct gate_extras *extras)
{
    struct buf *out = pw_send_scratch(d);
    struct emit e = pw_emit_begin(out, FRONT_QUERY);
    if (extras->discard_sequences)
        pw_buf_append_str(out, "DISCARD SEQUENCES;");
    if (extras->app_name) {
        pw_buf_append_str(out, "SET application_name TO ");
        pw_settings_append_literal(out, extras->app_name);
    }
    pw_buf_append_u8(out, 0);
    if (!pw_emit_end(&e))
        return;
    pw_send_expect(s, t, NULL, EXPECT_QUERY, EXPECT_SKIP);
    pw_server_send(s, out->data, out->len);
    pw_stmt_unref(s->unnamed); /* a simple query drops the unnamed statement */
    s->unnamed = NULL;
}

static void forget_replay(struct ticket *t)
{
    pw_settings_unref(t->replayed_from);
    t->replayed_from = NULL;
    t->is_gated = false;
}

bool pw_replay_settings(struct dispatch *d, struct ticket *t, struct server *s)
{
    struct client *c = t->client;
    bool rename = c && !t->shareable && strcmp(s->app_name, c->app_name) != 0;
    bool changes = s->settings != t->settings;
    const struct gate_extras extras = {
        .app_name = rename ? c->app_name : NULL,
        .discard_sequences = pw_sequences_clean(t, s),
    };
    forget_replay(t); /* of an earlier connection that was lost */
    if (!extras.discard_sequences && !changes && !rename && !t->is_probe)
        return false;
    pw_metric_inc(d->env.metrics, PW_METRIC_REPLAYS);
    if (rename)
        memcpy(s->app_name, c->app_name, sizeof s->app_name);
    if (t->is_probe || t->is_restoring || (changes && !pw_gate_is_open(t, s))) {
        pw_gate_send(d, t, s, &extras);
        return true;
    }
    if (rename || extras.discard_sequences)
        send_extras(d, t, s, &extras);
    if (changes) {
        pw_gate_send(d, t, s, NULL);
        t->is_gated = true;
        t->replayed_from = s->settings;
        s->settings = pw_settings_ref(t->settings);
    }
    return false;
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
    t->is_restoring = true;
    t->is_replaying = t->is_restoring = pw_replay_settings(d, t, s);
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

static void fail_replay(struct dispatch *d, struct ticket *t, struct server *s)
{
    struct slice error = pw_buf_slice(&t->key),
                 text = PW_SLICE_LIT("settings could not be restored");
    char message[256];
    s->close_when_idle = true;
    if (t->is_probe) {
        pw_probe_done(d, t, s);
        return;
    }
    pw_errfields_find(error, 'M', &text);
    snprintf(message, sizeof message,
             "the session's settings could not be restored on the server connection: %.*s",
             (int)(text.len < 150 ? text.len : 150), text.ptr);
    if (t->client)
        pw_client_undo_names(t->client, t, 0);
    pw_ticket_fail_sent(d, t, s, PW_INTERNAL, message); /* and whatever it says now is nobody's */
}

/* What a clean server reports with these settings is what every client that has them was told. */
void pw_welcome_learn(struct settings *set, const struct server *s)
{
    if (set->welcome_known || s->settings != set || s->txn != 'I')
        return;
    pw_welcome_copy(&set->welcome, &s->params);
    set->welcome_known = true;
}

void pw_ticket_replayed(struct dispatch *d, struct ticket *t, struct server *s)
{
    bool waited = t->is_replaying;
    t->is_replaying = false;
    if (t->failed) {
        fail_replay(d, t, s);
        return;
    }
    if (waited) {
        pw_settings_ref(t->settings);
        pw_settings_unref(s->settings);
        s->settings = t->settings;
        pw_welcome_learn(t->settings, s);
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
            if (!t->has_sync && t->client) /* it goes on: see pw_client_is_attached */
                t->client->sink->on_attached(t->client);
        }
        pw_cancel_after_replay(d, t);
    }
}

void pw_gate_passed(struct dispatch *d, struct ticket *t)
{
    t->is_gated = false;
    pw_cancel_after_replay(d, t);
}
