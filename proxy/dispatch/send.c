/*
 * A ticket's messages onto a server: first what the server lacks (settings, prepared statements),
 * then the messages themselves with statement names translated, all in one write, and one expect
 * entry for each answer.
 */
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/dispatch/send_priv.h"
#include "proxy/pool/welcome.h"
#include "proxy/wire/emit.h"

enum { SERVER_STMTS_MAX = 200 };

void pw_send_expect(struct server *s, struct ticket *t, const struct op *op, uint8_t kind,
                    uint8_t action)
{
    struct expect e = {.ticket = t, .kind = kind, .action = action};
    if (op) {
        e.op = (uint16_t)(op - t->ops);
        e.unnamed = !op->named;
        if (kind == EXPECT_PARSE && op->stmt && !op->is_duplicate)
            e.stmt = pw_stmt_ref(op->stmt);
    }
    if (t)
        t->in_fifo++;
    pw_expect_push(&s->expects, e);
}

struct buf *pw_send_scratch(struct dispatch *d)
{
    pw_buf_reset(&d->scratch);
    return &d->scratch;
}

static void send_parse(struct dispatch *d, struct server *s, struct slice name, struct slice text,
                       struct slice types)
{
    struct buf *out = pw_send_scratch(d);
    struct emit e = pw_emit_begin(out, FRONT_PARSE);
    pw_emit_str(&e, name);
    pw_emit_str(&e, text);
    pw_buf_append(out, types.ptr, types.len);
    if (pw_emit_end(&e))
        pw_server_send(s, out->data, out->len);
    pw_stat_add(&s->pool->stats->parses_server, 1);
    pw_metric_inc(d->env.metrics, PW_METRIC_PREPARES_SENT);
}

static void send_close(struct dispatch *d, struct server *s, struct ticket *t, struct slice name)
{
    struct buf *out = pw_send_scratch(d);
    if (!pw_emit_close(out, 'S', name))
        return;
    pw_server_send(s, out->data, out->len);
    pw_send_expect(s, t, NULL, EXPECT_CLOSE, EXPECT_SKIP);
}

static void make_room(struct dispatch *d, struct server *s, struct ticket *t,
                      const struct stmt *keep)
{
    struct stmt *victim;
    while ((victim = pw_server_stmts_evict(&s->stmts, SERVER_STMTS_MAX, keep))) {
        send_close(d, s, t, pw_slice_str(victim->server_name));
        pw_stmt_unref(victim);
    }
}

/* A definition that is there for sure. One that another request, still under way, was the first to
 * send may not come to be: that request may fail in front of it. */
static bool is_sure(const struct server *s, const struct server_stmt *known)
{
    return known && (known->confirmed || s->in_flight <= 1);
}

/* A definition under our name, which the server does not have for sure. */
static struct server_stmt *send_ours(struct dispatch *d, struct server *s, struct ticket *t,
                                     struct stmt *stmt)
{
    struct slice name = pw_slice_str(stmt->server_name);
    bool perhaps_there = s->stmts_doubtful || pw_server_stmts_touch(&s->stmts, stmt);
    struct server_stmt *fresh = pw_server_stmts_add(&s->stmts, stmt);
    make_room(d, s, t, stmt);
    if (perhaps_there)
        send_close(d, s, t, name);
    send_parse(d, s, name, pw_stmt_text(stmt), pw_stmt_types(stmt));
    return fresh;
}

void pw_send_prepared(struct dispatch *d, struct server *s, struct ticket *t, struct op *op)
{
    struct stmt *stmt = op->stmt;
    if (op->named) {
        struct server_stmt *known = pw_server_stmts_touch(&s->stmts, stmt);
        bool reused = is_sure(s, known);
        if (!reused)
            known = send_ours(d, s, t, stmt);
        known->binds += op->kind == EXPECT_BIND;
        if (reused) {
            pw_metric_inc(d->env.metrics, PW_METRIC_PREPARES_REUSED);
            return;
        }
    } else {
        if (s->unnamed == stmt)
            return;
        pw_stmt_unref(s->unnamed);
        s->unnamed = pw_stmt_ref(stmt);
        send_parse(d, s, pw_slice("", 0), pw_stmt_text(stmt), pw_stmt_types(stmt));
    }
    pw_send_expect(s, t, NULL, EXPECT_PARSE, EXPECT_SKIP);
    struct expect *last = pw_expect_at(&s->expects, s->expects.count - 1);
    last->stmt = pw_stmt_ref(stmt);
    last->unnamed = !op->named;
}

static struct slice message_of(const struct ticket *t, const struct op *op)
{
    return pw_slice(t->msgs.data + op->off, op->len);
}

static void send_raw(struct server *s, struct ticket *t, const struct op *op)
{
    pw_server_send(s, t->msgs.data + op->off, op->len);
}

static void op_parse(struct dispatch *d, struct server *s, struct ticket *t, struct op *op)
{
    if (!op->named) {
        pw_stmt_unref(s->unnamed);
        s->unnamed = pw_stmt_ref(op->stmt);
        send_raw(s, t, op);
        pw_send_expect(s, t, op, EXPECT_PARSE, EXPECT_FORWARD);
        return;
    }
    if (op->is_duplicate) { /* let the server say it, about the name that is there */
        struct front_parse p;
        pw_send_prepared(d, s, t, op);
        if (!pw_front_parse(pw_slice(t->msgs.data + op->off + FRAME_HEADER, op->len - FRAME_HEADER),
                            &p))
            return;
        size_t types_at = FRAME_HEADER + p.name.len + 1 + p.sql.len + 1;
        send_parse(d, s, pw_slice_str(op->stmt->server_name), p.sql,
                   pw_slice(t->msgs.data + op->off + types_at, op->len - types_at));
        pw_send_expect(s, t, op, EXPECT_PARSE, EXPECT_FORWARD);
        return;
    }
    const struct plan *plan = op->stmt->plan;
    bool refused =
        s->txn == 'E' && !(plan && pw_plan_has(plan, PLAN_F_TXN_END)); /* 25P02, says the server */
    struct server_stmt *known = pw_server_stmts_touch(&s->stmts, op->stmt);
    if (known && t->promoted && pw_promote_is_worn(known)) {
        send_close(d, s, t, pw_slice_str(op->stmt->server_name));
        pw_server_stmts_forget(&s->stmts, op->stmt);
        known = NULL;
    }
    if (is_sure(s, known) && !refused) {
        pw_metric_inc(d->env.metrics, PW_METRIC_PREPARES_REUSED);
        pw_send_expect(s, t, op, EXPECT_PARSE, EXPECT_FAKE);
        return;
    }
    if (known && refused) { /* what is there stays, whatever becomes of this one */
        send_parse(d, s, pw_slice_str(op->stmt->server_name), pw_stmt_text(op->stmt),
                   pw_stmt_types(op->stmt));
        pw_send_expect(s, t, op, EXPECT_PARSE, EXPECT_FORWARD);
        struct expect *last = pw_expect_at(&s->expects, s->expects.count - 1);
        pw_stmt_unref(last->stmt);
        last->stmt = NULL;
        return;
    }
    send_ours(d, s, t, op->stmt);
    pw_send_expect(s, t, op, EXPECT_PARSE, EXPECT_FORWARD);
}

/* A name that this client never prepared. The server must not know it either (another client's
 * unnamed statement, or one of ours under our own prefix). */
static void guard_unknown(struct dispatch *d, struct server *s, struct ticket *t,
                          const struct op *op)
{
    if (!op->named && s->unnamed) {
        send_close(d, s, t, pw_slice("", 0));
        pw_stmt_unref(s->unnamed);
        s->unnamed = NULL;
    }
}

static void op_bind(struct dispatch *d, struct server *s, struct ticket *t, struct op *op)
{
    if (!op->stmt)
        guard_unknown(d, s, t, op);
    else
        pw_send_prepared(d, s, t, op);
    if (!op->stmt || !op->named) {
        send_raw(s, t, op);
    } else {
        struct slice m = message_of(t, op);
        size_t name_at = FRAME_HEADER + op->portal_len + 1;
        size_t rest_at = name_at + strlen(m.ptr + name_at) + 1;
        struct buf *out = pw_send_scratch(d);
        struct emit e = pw_emit_begin(out, FRONT_BIND);
        pw_buf_append(out, m.ptr + FRAME_HEADER, op->portal_len + 1);
        pw_buf_append_cstr(out, op->stmt->server_name);
        if (m.len - rest_at <= 4096) { /* the usual case: one piece */
            pw_buf_append(out, m.ptr + rest_at, m.len - rest_at);
            if (pw_emit_end(&e))
                pw_server_send(s, out->data, out->len);
        } else { /* head with the whole length, then the values as they are */
            uint32_t len = (uint32_t)(out->len - 1 + m.len - rest_at);
            const uint8_t be[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                   (uint8_t)len};
            memcpy(out->data + 1, be, 4);
            pw_server_send(s, out->data, out->len);
            pw_server_send(s, m.ptr + rest_at, m.len - rest_at);
        }
    }
    pw_send_expect(s, t, op, EXPECT_BIND, EXPECT_FORWARD);
}

static void op_describe_stmt(struct dispatch *d, struct server *s, struct ticket *t, struct op *op)
{
    if (!op->stmt) {
        guard_unknown(d, s, t, op);
        send_raw(s, t, op);
    } else {
        pw_send_prepared(d, s, t, op);
        struct buf *out = pw_send_scratch(d);
        if (op->named && pw_emit_describe(out, 'S', pw_slice_str(op->stmt->server_name)))
            pw_server_send(s, out->data, out->len);
        else
            send_raw(s, t, op);
    }
    pw_send_expect(s, t, op, EXPECT_DESCRIBE_STMT, EXPECT_FORWARD);
}

/* Closing a translated name never reaches the server: the definition stays for others. */
static void op_close(struct server *s, struct ticket *t, struct op *op)
{
    if (op->portal_close || !op->named) {
        if (!op->portal_close) {
            pw_stmt_unref(s->unnamed);
            s->unnamed = NULL;
        }
        send_raw(s, t, op);
        pw_send_expect(s, t, op, EXPECT_CLOSE, EXPECT_FORWARD);
    } else if (op->stmt) {
        pw_send_expect(s, t, op, EXPECT_CLOSE, EXPECT_FAKE);
    } else {
        send_raw(s, t, op); /* an SQL-level statement, or nothing: no error either way */
        pw_send_expect(s, t, op, EXPECT_CLOSE, EXPECT_FORWARD);
    }
}

/* What the server needs before a DEALLOCATE as SQL, see dealloc.c. Refused for sure in a failed
 * block. */
static void send_dealloc(struct dispatch *d, struct server *s, struct ticket *t,
                         const struct op *op)
{
    static const char no_types[2] = {0, 0};
    if (op->dealloc == DEALLOC_ONE) {
        struct slice name = pw_slice_str(pw_dealloc_name(t, op));
        send_close(d, s, t, name); /* whatever an error may have left there */
        send_parse(d, s, name, pw_slice("", 0), pw_slice(no_types, sizeof no_types));
        pw_send_expect(s, t, NULL, EXPECT_PARSE, EXPECT_SKIP);
    } else {
        pw_server_stmts_clear(
            &s->stmts); /* what follows in this request has to be prepared again */
        t->deallocs_all = true;
    }
}

static void send_op(struct dispatch *d, struct server *s, struct ticket *t, struct op *op)
{
    bool translate = t->translate;
    if (op->dealloc && translate && s->txn != 'E')
        send_dealloc(d, s, t, op);
    switch (op->kind) {
    case EXPECT_PARSE:
        if (translate) {
            op_parse(d, s, t, op);
            return;
        }
        break;
    case EXPECT_BIND:
        if (translate) {
            op_bind(d, s, t, op);
            return;
        }
        break;
    case EXPECT_DESCRIBE_STMT:
        if (translate) {
            op_describe_stmt(d, s, t, op);
            return;
        }
        break;
    case EXPECT_CLOSE:
        if (translate) {
            op_close(s, t, op);
            return;
        }
        break;
    case EXPECT_QUERY:
        if (t->promoted) {
            pw_promote_send(d, t, s, op);
            return;
        }
        pw_stmt_unref(s->unnamed);
        s->unnamed = NULL;
        break;
    case OP_FLUSH:
        send_raw(s, t, op);
        return;
    default:
        break;
    }
    send_raw(s, t, op);
    pw_send_expect(s, t, op, op->kind, EXPECT_FORWARD);
}

static bool is_changed_by(const struct ticket *t, uint32_t n_undo, struct slice name)
{
    for (uint32_t i = 0; i < n_undo; i++)
        if (pw_slice_is(name, t->undo[i].name))
            return true;
    return false;
}

static void end_preparing(struct ticket *t, struct server *s)
{
    static const char sync[5] = {FRONT_SYNC, 0, 0, 0, 4};
    pw_server_send(s, sync, sizeof sync);
    pw_send_expect(s, t, NULL, EXPECT_SYNC, EXPECT_SKIP);
}

static void send_definition(struct dispatch *d, struct ticket *t, struct server *s,
                            struct slice name, const struct stmt *stmt)
{
    send_parse(d, s, name, pw_stmt_text(stmt), pw_stmt_types(stmt));
    pw_send_expect(s, t, NULL, EXPECT_PARSE, EXPECT_SKIP);
    end_preparing(t, s); /* each by itself: one may have become impossible */
}

/* pg_prepared_statements shows what the client prepared, nothing of ours. */
static bool close_ours(struct dispatch *d, struct ticket *t, struct server *s)
{
    bool any = false;
    for (struct stmt *ours; (ours = pw_server_stmts_evict(&s->stmts, 0, NULL)); any = true) {
        send_close(d, s, t, pw_slice_str(ours->server_name));
        pw_stmt_unref(ours);
    }
    return any;
}

/*
 * SQL and the protocol share one name space. From the first statement that names a prepared
 * statement in SQL, this session keeps its server, and its protocol statements exist there under
 * the client's own names.
 */
static void stop_translating(struct dispatch *d, struct ticket *t, struct server *s)
{
    struct client *c = t->client;
    c->translate = t->translate = false;
    pw_client_pin(c, PIN_SQL_PREPARE);
    if (close_ours(d, t, s))
        end_preparing(t, s);
    struct names_walk walk = {0};
    struct slice name;
    for (struct stmt *stmt; (stmt = pw_names_next(&c->stmts, &walk, &name));) {
        if (is_changed_by(t, t->n_undo, name))
            continue; /* the request itself brings it */
        send_definition(d, t, s, name, stmt);
    }
    for (uint32_t i = 0; i < t->n_undo;
         i++) { /* what the request closes or deallocates is there until then */
        struct slice before = pw_slice_str(t->undo[i].name);
        if (before.len == 0 || !t->undo[i].old || is_changed_by(t, i, before))
            continue;
        send_definition(d, t, s, before, t->undo[i].old);
    }
}

/* What follows may look at the names of prepared statements: they are made those of the client. */
static void show_names(struct dispatch *d, struct ticket *t, struct server *s)
{
    bool has_named = pw_names_count(&t->client->stmts) > (t->client->stmts.unnamed != NULL);
    bool needs_names = pw_dealloc_needs_names(t);
    if (has_named || needs_names)
        stop_translating(d, t, s);
    else if (close_ours(d, t, s))
        end_preparing(t, s);
    if (!needs_names && !t->translate)
        t->client->pins_doubtful = true; /* it is over with this request */
}

void pw_send_rest(struct dispatch *d, struct ticket *t, struct server *s)
{
    bool discarding =
        t->failed && !t->is_simple; /* the server discards everything up to Sync: so do we */
    if (!discarding) {
        if (t->translate && t->client && t->sent_ops == 0 && t->client->txn != 'E' &&
            (pw_dealloc_needs_names(t) || pw_dealloc_shows_names(t)))
            show_names(d, t, s);
        pw_promote(d, t);
        pw_effects_begin(d, t);
        if (!t->is_reset && pw_effects_is_reset(t)) {
            t->is_reset = true;
            pw_params_init(&t->before);
            pw_welcome_copy(&t->before, &s->params);
            pw_gate_told(t, &t->before);
            bool renamed = t->client->txn == 'I' && t->client->pin == PIN_NONE; /* or it holds s */
            if (renamed && !pw_params_set(&t->before, PW_SLICE_LIT("application_name"),
                                          pw_slice_str(t->client->app_name)))
                pw_params_free(&t->before);
        }
    }
    for (; t->sent_ops < t->n_ops; t->sent_ops++)
        if (!discarding || t->ops[t->sent_ops].kind == EXPECT_SYNC)
            send_op(d, s, t, &t->ops[t->sent_ops]);
    struct expect *head = pw_expect_head(&s->expects);
    if (head && head->action == EXPECT_FAKE && !t->has_sync)
        pw_server_mark(s); /* nothing has to arrive for that answer */
}

void pw_ticket_send(struct dispatch *d, struct ticket *t, struct server *s)
{
    if (t->state != TICKET_SENT) {
        pw_ticket_enter(t, TICKET_SENT);
        t->server = s;
        t->sent_us = d->env.loop->now_us;
        if (s->in_flight++ == 0)
            s->sent_us = t->sent_us;
        pw_stat_add(&s->pool->stats->assignments, 1);
        pw_metric_inc(d->env.metrics, PW_METRIC_SERVER_ASSIGNMENTS);
        t->overhead_us = pw_stats_sampled(d) ? pw_clock_us() - d->env.loop->now_us + 1 : 0;
        pw_flight_sent(d, t);
        t->is_replaying = pw_replay_settings(d, t, s);
    } else if (s->expects.count == 0) {
        s->sent_us =
            d->env.loop
                ->now_us; /* an open request goes on: query_timeout is for what is sent now */
    }
    if (!t->is_replaying) {
        pw_lookup_begin_fill(d, t);
        pw_send_rest(d, t, s);
    }
}

void pw_send_streamed_raw(struct server *s, struct ticket *t, struct op *op, struct slice head)
{
    pw_stmt_unref(s->unnamed); /* it is a query */
    s->unnamed = NULL;
    pw_server_send(s, head.ptr, head.len);
    pw_send_expect(s, t, op, EXPECT_QUERY, EXPECT_FORWARD);
}

/* head: header and both names of a Bind whose whole length is len. */
void pw_send_streamed_bind(struct dispatch *d, struct server *s, struct ticket *t, struct op *op,
                           struct slice head, uint32_t len, size_t used)
{
    if (t->translate && op->stmt)
        pw_send_prepared(d, s, t, op);
    else if (t->translate)
        guard_unknown(d, s, t, op);
    const char *name = t->translate && op->stmt && op->named
                           ? op->stmt->server_name
                           : head.ptr + FRAME_HEADER + op->portal_len + 1;
    uint32_t total = (uint32_t)(len - used + FRAME_HEADER + op->portal_len + 1 + strlen(name) + 1);
    struct buf *out = pw_send_scratch(d);
    pw_buf_append_u8(out, FRONT_BIND);
    pw_buf_append_u32(out, total - 1);
    pw_buf_append(out, head.ptr + FRAME_HEADER, op->portal_len + 1);
    pw_buf_append_cstr(out, name);
    pw_server_send(s, out->data, out->len);
    pw_send_expect(s, t, op, EXPECT_BIND, EXPECT_FORWARD);
}
