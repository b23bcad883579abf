/*
 * What a server's message means: for the request it answers, for what the server knows, for the
 * client's names. Sends nothing but rewritten errors; see receive.c for the bytes.
 */
#include <string.h>

#include "proxy/dispatch/receive_priv.h"
#include "proxy/dispatch/send_priv.h"
#include "proxy/wire/back.h"
#include "proxy/wire/errfields.h"

void pw_answer_drop_until_sync(struct server *s, struct ticket *t)
{
    struct expect *e;
    while ((e = pw_expect_head(&s->expects)) && e->ticket == t && e->kind != EXPECT_SYNC) {
        struct expect dropped = pw_intake_pop(s);
        if (dropped.kind == EXPECT_PARSE && dropped.stmt && dropped.action != EXPECT_FAKE) {
            if (!dropped.unnamed) {
                pw_server_stmts_forget(&s->stmts, dropped.stmt);
            } else if (s->unnamed == dropped.stmt) {
                pw_stmt_unref(s->unnamed);
                s->unnamed = NULL;
            }
        }
        if (dropped.kind == EXPECT_CLOSE && dropped.action == EXPECT_SKIP)
            s->stmts_doubtful =
                true; /* of what was forgotten when the Close was sent, and is still there */
        pw_stmt_unref(dropped.stmt);
    }
}

/* ---- the messages that matter */

static void note_error(struct ticket *t, struct slice body)
{
    struct slice state = pw_errfields_sqlstate(body);
    memcpy(t->sqlstate, state.ptr, 5);
    t->sqlstate[5] = '\0';
}

static void reply_local(struct intake *r, struct ticket *t, const struct buf *message)
{
    pw_intake_flush(r);
    if (t && t->client) {
        t->replied = true;
        pw_stream_write(t->client->stream, message->data, message->len);
    }
}

/* The server knows statements by our names: its errors about them get the client's name back. */
static bool rename_error(struct intake *r, struct ticket *t, const struct expect *e,
                         struct slice body)
{
    if (!t->translate || e->action != EXPECT_FORWARD || e->op >= t->n_ops)
        return false;
    const struct op *op = &t->ops[e->op];
    struct slice text;
    if (!op->stmt || !op->named || op->kind == EXPECT_QUERY || op->len == 0 ||
        !pw_errfields_find(body, 'M', &text))
        return false;
    char *at = memmem(text.ptr, text.len, op->stmt->server_name, strlen(op->stmt->server_name));
    if (!at)
        return false;
    size_t skip = op->kind == EXPECT_BIND            ? op->portal_len + 1
                  : op->kind == EXPECT_DESCRIBE_STMT ? 1
                                                     : 0;
    const char *name = t->msgs.data + op->off + FRAME_HEADER + skip;
    struct buf message, out;
    pw_buf_init(&message, 1 << 16);
    pw_buf_init(&out, 1 << 17);
    pw_buf_append(&message, text.ptr, (size_t)(at - text.ptr));
    pw_buf_append_str(&message, name);
    const char *rest = at + strlen(op->stmt->server_name);
    pw_buf_append(&message, rest, text.len - (size_t)(rest - text.ptr));
    pw_buf_append_u8(&message, 0);
    bool ok = !message.failed &&
              pw_errfields_rewrite(&out, BACK_ERROR_RESPONSE, body, NULL, message.data);
    if (ok)
        reply_local(r, t, &out);
    pw_buf_free(&message);
    pw_buf_free(&out);
    return ok;
}

/* Names that the refused message and those after it would have defined. */
static void undo_names(struct ticket *t, const struct expect *at)
{
    bool is_theirs = at->action == EXPECT_FORWARD || (at->action == EXPECT_FAKE && t->promoted);
    const struct op *op = is_theirs && at->op < t->n_ops ? &t->ops[at->op] : NULL;
    if (!t->client)
        return;
    pw_client_undo_names(t->client, t, op ? at->op : 0);
    /* A Parse of the unnamed statement drops the old one before it can fail (exec_parse_message).
     */
    if (op && op->kind == EXPECT_PARSE && (!op->named || t->promoted))
        pw_stmt_unref(pw_names_set(&t->client->stmts, pw_slice("", 0), NULL));
    /* "cached plan must not change result type": whoever prepares that text again gets a new
     * definition. */
    if (op && op->stmt && !strcmp(t->sqlstate, "0A000"))
        pw_stmt_retire(op->stmt);
}

/* A statement of the client that is being given its own name on the server (send.c). */
static bool is_own_definition(struct server *s, const struct expect *e)
{
    if (e->kind != EXPECT_PARSE || e->action != EXPECT_SKIP || e->stmt || s->expects.count < 2)
        return false;
    const struct expect *next = pw_expect_at(&s->expects, 1);
    return next->kind == EXPECT_SYNC && next->action == EXPECT_SKIP;
}

/* A Bind to a name that nobody has, and nothing was executed in front of it: what follows was not
 * understood, since there was nothing to understand, and was not run. */
static bool is_unknown_name(const struct ticket *t, const struct expect *at)
{
    if (at->kind != EXPECT_BIND || at->action != EXPECT_FORWARD || at->op >= t->n_ops ||
        t->ops[at->op].stmt || strcmp(t->sqlstate, "26000") != 0)
        return false;
    for (uint32_t i = 0; i < at->op; i++)
        if (t->ops[i].kind == EXPECT_EXECUTE)
            return false;
    return true;
}

static enum verdict on_error(struct intake *r, struct slice body)
{
    struct server *s = r->s;
    struct expect *e = pw_expect_head(&s->expects);
    bool fatal = pw_errfields_is_fatal(body);
    if (fatal)
        s->broken = true;
    if (!e)
        return s->holder && fatal ? PASS : BROKEN;
    struct ticket *t = e->ticket;
    if (t && !fatal && pw_promote_refused(t, s, body))
        return DROP;
    if (is_own_definition(s, e) && !fatal) { /* it will be missed where it is used */
        pw_stmt_unref(pw_intake_pop(s).stmt);
        return DROP;
    }
    if (t->is_asking && !fatal) { /* the session stays pinned */
        pw_answer_drop_until_sync(s, t);
        return DROP;
    }
    t->failed = true;
    note_error(t, body);
    pw_flight_spoil(t);
    if (t->fill) {
        pw_cache_fill_abandon(t->fill);
        t->fill = NULL;
    }
    if (e->action == EXPECT_SKIP) { /* kept for the one who asked: a login, or the client's FATAL */
        pw_buf_reset(&t->key);
        pw_buf_append(&t->key, body.ptr, body.len);
        if (e->kind == EXPECT_QUERY)
            return DROP; /* our own replay failed: finish() leads to who tells the client why */
        if (t->is_replaying) {
            pw_answer_drop_until_sync(s, t);
            return DROP;
        }
        if (t->is_gated && !fatal) { /* the server discards the request: nothing more comes */
            r->then = THEN_REPLAYED;
            return DROP;
        }
    }
    struct expect at = *e;
    const struct op *op = at.action == EXPECT_FORWARD && at.op < t->n_ops ? &t->ops[at.op] : NULL;
    if (op && op->dealloc == DEALLOC_ONE && t->translate && s->txn != 'E')
        s->close_when_idle = true; /* what was prepared for it is left there */
    s->stmts_doubtful |=
        t->deallocs_all; /* forgotten when it was sent, but were they deallocated? */
    if (e->kind == EXPECT_QUERY) {
        if (t->client)
            pw_client_undo_names(t->client, t, at.op);
        return PASS;
    }
    t->ran_nothing = is_unknown_name(t, &at);
    bool renamed = rename_error(r, t, &at, body);
    undo_names(t, &at);
    pw_answer_drop_until_sync(s, t);
    if (!pw_expect_head(&s->expects) || pw_expect_head(&s->expects)->ticket != t)
        t->has_sync = false; /* still to come */
    return renamed ? DROP : PASS;
}

/* False: the server broke the protocol: nothing that copies is sent in front of others' requests.
 */
static bool on_copy_in(struct intake *r, struct ticket *t, struct expect *e)
{
    struct server *s = r->s;
    for (uint32_t i = 0; i < s->expects.count; i++)
        if (pw_expect_at(&s->expects, i)->ticket != t)
            return false;
    s->in_copy = true;
    t->in_copy_in = true;
    if (e->kind == EXPECT_EXECUTE) {
        /* Sync and Flush sent ahead are swallowed by the copy (backend/commands/copyfromparse.c):
         * the client has to send another Sync, and what followed is not answered. */
        struct expect copy = pw_intake_pop(s);
        pw_answer_drop_until_sync(s, t);
        if (pw_expect_head(&s->expects) && pw_expect_head(&s->expects)->ticket == t)
            pw_intake_pop(s);
        copy.ticket = t;
        t->in_fifo++;
        PW_CHECK(s->expects.count == 0);
        pw_expect_push(&s->expects, copy);
        t->has_sync = false;
    }
    return true;
}

/* The client's names were settled when the request was read (dealloc.c), and ours on the server
 * when it was sent. Not so where one text has several statements, or the session has its own names
 * there. */
static void note_deallocation(struct ticket *t, const struct expect *e, struct server *s,
                              struct slice tag)
{
    bool settled = e->op < t->n_ops && t->ops[e->op].dealloc;
    bool all = pw_slice_is(tag, "DEALLOCATE ALL") || pw_slice_is(tag, "DISCARD ALL");
    if (!all && !pw_slice_is(tag, "DEALLOCATE"))
        return;
    if (all && !(settled && t->translate)) {
        pw_server_stmts_clear(&s->stmts);
        pw_stmt_unref(s->unnamed);
        s->unnamed = NULL;
    }
    if (!settled && t->client) /* not known which: none may be answered from the cache any more */
        pw_names_clear(&t->client->stmts);
}

static void note_tag(struct intake *r, struct ticket *t, const struct expect *e, struct slice body)
{
    struct slice tag;
    uint64_t rows;
    struct server *s = r->s;
    if (!pw_back_command_complete(body, &tag))
        return;
    if (pw_back_tag_rows(tag, &rows))
        t->rows += (uint32_t)rows;
    if (t->client && (pw_slice_is(tag, "DISCARD SEQUENCES") || pw_slice_is(tag, "DISCARD ALL"))) {
        t->client->used_sequence = false;
        s->sequences_of = 0;
    }
    if (pw_slice_is(tag, "COMMIT") || pw_slice_is(tag, "PREPARE TRANSACTION"))
        t->txn_tag = 'C'; /* both keep what was SET (xact.c, PrepareTransaction) */
    else if (pw_slice_is(tag, "ROLLBACK"))
        t->txn_tag = 'R';
    else {
        note_deallocation(t, e, s, tag);
        return;
    }
    if (t->n_txn_tags < UINT8_MAX)
        t->n_txn_tags++;
}

/* A change that nothing in the request explains: a function changed a setting, not known how to
 * replay. */
static bool is_surprise(const struct ticket *t)
{
    const uint32_t expected = PLAN_F_SETS | PLAN_F_TXN_END | PLAN_F_UNPINS | PLAN_F_PINS;
    return t->client && !t->failed && !(t->flags & expected);
}

/* Settings were replayed in front of the request: does what the server reports now differ from what
 * its client was told? */
static void settle(struct intake *r, struct ticket *t)
{
    if (!t->replayed_from || t->is_reset || !t->client)
        return;
    struct buf out;
    pw_buf_init(&out, 2 * PARAMS_BYTES_MAX);
    if (pw_gate_settle(t, r->s, &out)) {
        reply_local(r, t, &out);
        if (is_surprise(t)) {
            pw_client_pin(t->client, PIN_SET);
            t->settings->welcome_known = false; /* or that has changed meanwhile */
        }
    }
    pw_buf_free(&out);
}

static enum verdict finish(struct intake *r, struct slice body)
{
    struct server *s = r->s;
    struct dispatch *d = r->d;
    struct expect e = pw_intake_pop(s);
    struct ticket *t = e.ticket;
    if (body.len != 1)
        return BROKEN;
    s->txn = (uint8_t)body.ptr[0];
    s->in_copy = false;
    if (e.action == EXPECT_SKIP && e.kind == EXPECT_SYNC) {
        r->then = !t                ? THEN_NOTHING
                  : t->is_asking    ? THEN_ANSWERED
                  : t->is_replaying ? THEN_REPLAYED
                  : t->again        ? THEN_AGAIN
                                    : THEN_NOTHING;
        return DROP; /* or statements were prepared under the client's own names */
    }
    if (e.action == EXPECT_SKIP) { /* the end of our replay: the request itself may follow */
        r->then = THEN_REPLAYED;
        return DROP;
    }
    t->end_status = s->txn;
    settle(r, t);
    pw_effects_end(d, t, s); /* before the client hears */
    r->then = t->is_reset ? THEN_RESTORE : pw_unpin_is_due(t, s) ? THEN_ASK : THEN_COMPLETE;
    return r->then == THEN_COMPLETE ? PASS : DROP;
}

/* ---- one message */

static enum verdict on_async(struct intake *r, uint8_t type, struct slice body)
{
    struct server *s = r->s;
    struct expect *e = pw_expect_head(&s->expects);
    struct ticket *t = e ? e->ticket : NULL;
    bool to_client = t && ((t->is_asking && type != BACK_NOTICE_RESPONSE) ||
                           (t->is_simple && t->promoted && type == BACK_NOTICE_RESPONSE &&
                            (e->kind == EXPECT_PARSE || e->kind == EXPECT_BIND) && !t->is_gated));
    bool ours = e && e->action == EXPECT_SKIP && !to_client;
    struct name_value nv;
    if (e && e->kind == EXPECT_PARSE && e->stmt)
        e->stmt->plain = false; /* a notice belongs to each Parse */
    if (type == BACK_PARAMETER_STATUS && pw_back_parameter_status(body, &nv)) {
        s->close_when_idle |= !pw_params_set(&s->params, nv.name, nv.value);
        if (ours || (t && pw_gate_hides(t, nv.name)))
            return DROP;
    }
    if (t && t->fill && type != BACK_PARAMETER_STATUS) {
        pw_cache_fill_abandon(t->fill);
        t->fill = NULL;
    }
    if (t)
        pw_flight_spoil(t);
    if (type == BACK_PARAMETER_STATUS && pw_back_parameter_status(body, &nv)) {
        if (t && is_surprise(t) && !pw_slice_is(nv.name, "in_hot_standby"))
            pw_client_pin(t->client, PIN_SET);
    }
    if (ours || (t && t->is_reset && type == BACK_PARAMETER_STATUS))
        return DROP;
    if (!e && !s->holder)
        return DROP;
    if (t && t->shareable && type == BACK_NOTIFICATION_RESPONSE)
        return DROP;
    return PASS;
}

/* Does this message answer the head entry, and is the entry then done? */
static bool answers(const struct expect *e, uint8_t type, bool *done)
{
    *done = true;
    switch ((enum expect_kind)e->kind) {
    case EXPECT_PARSE:
        return type == BACK_PARSE_COMPLETE;
    case EXPECT_BIND:
        return type == BACK_BIND_COMPLETE;
    case EXPECT_CLOSE:
        return type == BACK_CLOSE_COMPLETE;
    case EXPECT_DESCRIBE_STMT:
        *done = type != BACK_PARAMETER_DESCRIPTION;
        return type == BACK_PARAMETER_DESCRIPTION || type == BACK_ROW_DESCRIPTION ||
               type == BACK_NO_DATA;
    case EXPECT_DESCRIBE_PORTAL:
        return type == BACK_ROW_DESCRIPTION || type == BACK_NO_DATA;
    case EXPECT_EXECUTE:
        *done = type == BACK_COMMAND_COMPLETE || type == BACK_EMPTY_QUERY_RESPONSE ||
                type == BACK_PORTAL_SUSPENDED;
        return *done || type == BACK_DATA_ROW || type == BACK_COPY_IN_RESPONSE ||
               type == BACK_COPY_OUT_RESPONSE || type == BACK_COPY_BOTH_RESPONSE ||
               type == BACK_COPY_DATA || type == BACK_COPY_DONE;
    case EXPECT_QUERY:
        *done = false; /* ends with ReadyForQuery, see finish() */
        return type != BACK_AUTHENTICATION && type != BACK_BACKEND_KEY_DATA;
    case EXPECT_SYNC:
        return false;
    }
    return false;
}

enum verdict pw_answer_message(struct intake *r, const struct frame *f, struct slice body)
{
    struct server *s = r->s;
    struct expect *e = pw_expect_head(&s->expects);
    switch (f->type) {
    case BACK_ERROR_RESPONSE:
        return on_error(r, body);
    case BACK_NOTICE_RESPONSE:
    case BACK_PARAMETER_STATUS:
    case BACK_NOTIFICATION_RESPONSE:
        return on_async(r, f->type, body);
    case BACK_READY_FOR_QUERY:
        if (!e || (e->kind != EXPECT_SYNC && e->kind != EXPECT_QUERY))
            return BROKEN;
        return finish(r, body);
    default:
        break;
    }
    bool done;
    if (!e || !answers(e, f->type, &done))
        return BROKEN;
    struct ticket *t = e->ticket;
    bool forward = e->action == EXPECT_FORWARD;
    if (f->type == BACK_DATA_ROW && t && t->is_asking) {
        pw_unpin_row(t, body);
    } else if (f->type == BACK_COMMAND_COMPLETE && forward) {
        note_tag(r, t, e, body);
        pw_effects_progress(r->d, t);
    } else if (f->type == BACK_COPY_IN_RESPONSE && forward) {
        return on_copy_in(r, t, e) ? PASS : BROKEN;
    } else if (f->type == BACK_COPY_BOTH_RESPONSE) {
        return BROKEN; /* replication is refused at login outside session mode */
    } else if (f->type == BACK_COPY_OUT_RESPONSE && t->fill) {
        pw_cache_fill_abandon(t->fill);
        t->fill = NULL;
    }
    if (f->type == BACK_COMMAND_COMPLETE && t->in_copy_in) {
        t->in_copy_in = false;
        s->in_copy = false;
    }
    if (done) {
        if (f->type == BACK_PARSE_COMPLETE && e->stmt && !e->unnamed)
            pw_server_stmts_confirm(&s->stmts, e->stmt);
        bool gate = e->kind == EXPECT_CLOSE && !forward && t && t->is_gated;
        pw_stmt_unref(pw_intake_pop(s).stmt);
        if (gate)
            pw_gate_passed(r->d, t);
    }
    return forward ? PASS : DROP;
}
