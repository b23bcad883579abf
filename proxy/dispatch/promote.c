/*
 * Promotion: a statement that comes again and again lives on the server under a name of ours, so
 * that PostgreSQL parses it once for several requests (batch.promote). The client must not be able
 * to tell. So:
 *
 * Only one autocommit read without effects. Of unnamed statements: with the usual messages, and no
 * quoted constant in the text: 'now', 'today' or a name of an enum's value get their meaning when
 * they are parsed. Of simple queries: only what the planner has proven to answer the same with
 * parameters in place of its literals (struct plan_prepared). The definition belongs to the
 * settings it was parsed under and to one generation of the catalog (struct stmt).
 *
 * An error before BindComplete may be about the definition (a table was changed since: plancache.c,
 * RevalidateCachedQuery) or about a value, which a simple query is told of in other words. Then
 * nothing was told to the client yet and nothing was executed: the request is sent once more, as it
 * came, and the server says what it says.
 *
 * What is unnamed is planned for its values each time, and that can be told: 1 / $1 in a branch
 * that is never reached fails when it is planned with 0. What is prepared is planned for its values
 * five times (plancache.c, choose_custom_plan) and perhaps for any values after that. So after five
 * Binds it is prepared anew, unless its answer is known not to depend on that (PLAN_F_STEADY).
 */
#include <string.h>

#include "planner/template.h"
#include "proxy/dispatch/receive_priv.h"
#include "proxy/dispatch/send_priv.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"

enum { PROMOTE_AFTER = 5, CUSTOM_PLANS = 5, LITERAL_MAX = 1024 };

/* Then it is only counted what would be promoted. */
static bool is_only_observing(const struct dispatch *d)
{
    return d->conf->pgweir.mode == CONF_MODE_OBSERVE;
}

/* ---- simple queries */

/* The value that PostgreSQL reads from the literal: of plain spellings only. */
static bool value_of(struct slice literal, struct slice *out)
{
    *out = literal;
    if (literal.len == 0 || literal.len > LITERAL_MAX)
        return false;
    if (literal.ptr[0] == '\'') {
        *out = pw_slice(literal.ptr + 1, literal.len - 2);
        return literal.len >= 2 && literal.ptr[literal.len - 1] == '\'' &&
               !memchr(out->ptr, '\'', out->len) && !memchr(out->ptr, '\\', out->len);
    }
    for (size_t i = 0; i < literal.len; i++)
        if (literal.ptr[i] < '0' || literal.ptr[i] > '9')
            return false;
    return true;
}

void pw_promote_note(struct client *c, struct ticket *t, const struct plan *plan, struct slice sql)
{
    const struct template_slot *slots;
    uint32_t n;
    if (!pw_plan_slots(c->dispatch->memo, &slots, &n) || n != plan->prepared->n_values)
        return;
    for (uint32_t i = 0; i < n; i++) {
        struct slice value;
        if (!value_of(pw_slice(sql.ptr + slots[i].off, slots[i].len), &value))
            return;
        uint32_t off = FRAME_HEADER + (uint32_t)(value.ptr - sql.ptr);
        t->literals[i] = (struct ticket_literal){off, (uint32_t)value.len};
    }
    t->n_literals = n;
}

static void promote_query(struct dispatch *d, struct ticket *t)
{
    const struct plan *plan = t->plans[0];
    const struct plan_context *ctx = t->settings->plan_context;
    if (t->promoted || !t->n_literals || !pw_plan_is_current(ctx, plan) ||
        pw_settings_get(t->settings,
                        "log_parameter_max_length_on_error")) /* errors would show it */
        return;
    struct slice text = pw_slice(plan->prepared->text, plan->prepared->text_len),
                 types = pw_slice(plan->prepared->types, 2 + 4 * (size_t)t->n_literals);
    struct stmt *stmt = pw_stmt_get_ours(&t->pool->stmts, t->settings, text, types);
    if (stmt->plan && !pw_plan_is_current(ctx, stmt->plan)) { /* as for a client's Parse */
        pw_stmt_retire(stmt);
        pw_stmt_unref(stmt);
        stmt = pw_stmt_get_ours(&t->pool->stmts, t->settings, text, types);
    }
    if (!stmt->plan)
        stmt->plan = pw_plan_ref(plan);
    if (!stmt->plain || ++stmt->parses <= PROMOTE_AFTER) {
        pw_stmt_unref(stmt);
        return;
    }
    pw_metric_inc(d->env.metrics, PW_METRIC_BATCH_PROMOTED);
    if (is_only_observing(d)) {
        pw_stmt_unref(stmt);
        return;
    }
    t->ops[0].stmt = stmt;
    t->ops[0].named = true;
    t->promoted = true;
}

/* What a simple query is told, from RowDescription to ReadyForQuery, is what these are answered
 * with. */
void pw_promote_send(struct dispatch *d, struct ticket *t, struct server *s, struct op *op)
{
    struct wire_value values[PLAN_PREPARED_MAX];
    for (uint32_t i = 0; i < t->n_literals; i++)
        values[i] = (struct wire_value){
            .bytes = pw_slice(t->msgs.data + t->literals[i].off, t->literals[i].len)};
    const struct slice unnamed = PW_SLICE_LIT("");
    const struct emit_bind bind = {.portal = unnamed,
                                   .statement = pw_slice_str(op->stmt->server_name),
                                   .values = values,
                                   .nvalues = (uint16_t)t->n_literals};
    pw_send_prepared(d, s, t, op);
    struct buf *out = pw_send_scratch(d);
    if (pw_emit_bind(out, &bind) && pw_emit_describe(out, 'P', unnamed) &&
        pw_emit_execute(out, unnamed, 0) && pw_emit_sync(out))
        pw_server_send(s, out->data, out->len);
    pw_send_expect(s, t, op, EXPECT_BIND, EXPECT_SKIP);
    pw_send_expect(s, t, op, EXPECT_DESCRIBE_PORTAL, EXPECT_FORWARD);
    pw_send_expect(s, t, op, EXPECT_EXECUTE, EXPECT_FORWARD);
    pw_send_expect(s, t, op, EXPECT_SYNC, EXPECT_FORWARD);
}

/* ---- unnamed statements */

static bool has_usual_messages(const struct ticket *t)
{
    if (t->n_ops < 4 || t->ops[0].kind != EXPECT_PARSE || t->ops[1].kind != EXPECT_BIND ||
        t->ops[1].stmt != t->ops[0].stmt)
        return false;
    for (uint32_t i = 0; i < t->n_ops; i++)
        if (t->ops[i].named || (i > 1 && t->ops[i].stmt))
            return false;
    return true;
}

static void promote_unnamed(struct dispatch *d, struct ticket *t)
{
    if (!has_usual_messages(t))
        return;
    struct stmt *stmt = t->ops[0].stmt;
    if (!stmt->plain || stmt->parses <= PROMOTE_AFTER ||
        !pw_plan_has(t->plans[0], PLAN_F_CACHEABLE))
        return;
    pw_metric_inc(d->env.metrics, PW_METRIC_BATCH_PROMOTED);
    if (!is_only_observing(d))
        t->promoted = t->ops[0].named = t->ops[1].named = true;
}

bool pw_promote_is_worn(const struct server_stmt *known)
{
    const struct stmt *stmt = known->stmt;
    const struct plan *plan = stmt->plan;
    bool steady = plan && pw_plan_has(plan, PLAN_F_STEADY) && stmt->builtin_types;
    return !steady && known->binds >= CUSTOM_PLANS;
}

/* ---- both */

void pw_promote(struct dispatch *d, struct ticket *t)
{
    if (!t->shareable || t->again || t->sent_ops > 0 || !d->conf->batch.promote)
        return;
    if (t->is_simple)
        promote_query(d, t);
    else
        promote_unnamed(d, t);
}

/* Cancelled, or too late: it would be so wherever the request was at work, and is not to be tried
 * again. */
static bool is_interruption(struct slice error)
{
    return !strncmp(pw_errfields_sqlstate(error).ptr, "57", 2);
}

bool pw_promote_refused(struct ticket *t, struct server *s, struct slice error)
{
    const struct expect *head = pw_expect_head(&s->expects);
    if (t->is_gated ||
        t->is_replaying) /* it is about the session's settings, in front of the request */
        return false;
    bool unsaid = t->is_simple ? head->action == EXPECT_SKIP && head->kind != EXPECT_QUERY
                               : head->action == EXPECT_FAKE;
    if (!t->promoted || !t->client || !unsaid || is_interruption(error))
        return false;
    pw_stmt_retire(t->ops[0].stmt);
    pw_answer_drop_until_sync(s, t);
    pw_expect_head(&s->expects)->action = EXPECT_SKIP;
    t->promoted = false;
    t->again = true;
    t->ops[0].named = false;
    if (!t->is_simple) {
        t->ops[1].named = false;
    } else {
        pw_stmt_unref(t->ops[0].stmt);
        t->ops[0].stmt = NULL;
    }
    return true;
}

void pw_promote_again(struct dispatch *d, struct ticket *t, struct server *s)
{
    t->sent_ops = 0;
    pw_send_rest(d, t, s);
}
