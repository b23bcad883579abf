/*
 * From messages to a ticket: what each message of the client is, which statement it is about, and
 * which plan belongs to it. Names are resolved here, in the order the client sent them; what the
 * server refuses later is undone (pw_client_undo_names).
 */
#include <string.h>
#include <strings.h>

#include "proxy/base/alloc.h"
#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/pool/welcome.h"
#include "proxy/wire/front.h"

const struct plan_context *pw_client_plan_context(struct client *c)
{
    struct settings *s = c->txn_settings ? c->txn_settings : c->settings;
    if (s->plan_context)
        return s->plan_context;
    const char *role = pw_settings_get(s, "role");
    const char *scs = pw_settings_get(s, "standard_conforming_strings");
    const char *encoding = pw_settings_get(s, "client_encoding");
    if (!scs)
        scs = pw_welcome_get(&c->pool->welcome, "standard_conforming_strings");
    if (!encoding)
        encoding = pw_welcome_get(&c->pool->welcome, "client_encoding");
    struct plan_context_key key = {
        .database_id = c->pool->database_id,
        .user = role && strcmp(role, "none") != 0 ? role : c->pool->user,
        .login = c->pool->user,
        .search_path = pw_settings_get(s, "search_path"),
    };
    pw_plan_context_lexing(&key, encoding, scs);
    s->plan_context = pw_plan_context(c->dispatch->shared->planner, &key);
    return s->plan_context;
}

static void on_plan(struct plan_waiter *w, const struct plan *plan)
{
    struct client *c = PW_CONTAINER_OF(w, struct client, waiter);
    pw_plan_unref(c->waited_plan);
    c->waited_plan = plan;
    c->sink->on_plan(c);
}

/* The plan for sql with one reference, or NULL when it has to be waited for. */
static const struct plan *find_plan(struct client *c, struct slice sql)
{
    const struct plan *plan = c->waited_plan;
    if (plan) {
        c->waited_plan = NULL;
        return plan;
    }
    c->waiter.on_plan = on_plan;
    /* Nothing is gained by knowing the catalog, or it may wait for a lock of this very transaction.
     */
    c->waiter.is_impatient = c->pin != PIN_NONE || c->txn_catalog || c->txn_rights ||
                             c->pool->db->pool_mode == CONF_POOL_SESSION;
    plan = pw_plan_get(c->dispatch->memo, pw_client_plan_context(c), sql, &c->waiter);
    return plan ? pw_plan_ref(plan) : NULL;
}

static bool ensure_stmt_plan(struct client *c, struct stmt *stmt)
{
    if (stmt->plan && !c->waited_plan && pw_plan_is_current(pw_client_plan_context(c), stmt->plan))
        return true;
    const struct plan *plan = find_plan(c, pw_stmt_text(stmt));
    if (!plan)
        return false;
    pw_plan_unref(stmt->plan);
    stmt->plan = plan;
    return true;
}

static struct ticket *open_ticket(struct client *c)
{
    if (!c->ticket)
        c->ticket = pw_ticket_new(&c->dispatch->tickets, c, c->dispatch->env.loop->now_us);
    return c->ticket;
}

static struct slice body_of(struct slice message)
{
    return pw_slice(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);
}

void pw_client_set_name(struct client *c, struct ticket *t, struct slice name, struct stmt *stmt)
{
    struct undo *u = pw_ticket_push_undo(t, t->n_ops - 1, name);
    u->old = pw_names_set(&c->stmts, name, stmt);
}

void pw_client_undo_names(struct client *c, struct ticket *t, uint32_t from_op)
{
    while (t->n_undo && t->undo[t->n_undo - 1].op >= from_op) {
        struct undo *u = &t->undo[--t->n_undo];
        pw_stmt_unref(pw_names_set(&c->stmts, pw_slice_str(u->name), u->old));
        pw_undo_free_name(u);
    }
}

/* libpq's large object functions are FunctionCalls, by numbers that are fixed in pg_proc.dat. They
 * leave nothing behind a transaction, as their kin in SQL, whose plan they get: other functions are
 * opaque and pin the session. */
static const struct plan *plan_of_call(struct client *c, struct slice body)
{
    static const uint32_t large_object[] = {715, 764, 767, 952,  953,  954,  955, 956,
                                            957, 958, 964, 1004, 3170, 3171, 3172};
    struct front_call call;
    for (size_t i = 0; pw_front_call(body, &call) && i < PW_COUNT_OF(large_object); i++)
        if (call.function_oid == large_object[i])
            return find_plan(c, PW_SLICE_LIT("select pg_catalog.lo_creat(-1)"));
    return pw_plan_ref(pw_plan_opaque());
}

enum add_result pw_client_add_query(struct client *c, struct slice message)
{
    struct front_query q;
    bool is_call = message.ptr[0] == FRONT_FUNCTION_CALL;
    if (!is_call && !pw_front_query(body_of(message), &q))
        return ADD_PROTOCOL;
    bool scanned_now = !c->waited_plan;
    const struct plan *plan = is_call ? plan_of_call(c, body_of(message)) : find_plan(c, q.sql);
    if (!plan)
        return ADD_WAIT;
    struct ticket *t = open_ticket(c);
    t->is_simple = t->n_ops == 0;
    t->has_sync = true;
    struct op *op = pw_ticket_add(t, message, EXPECT_QUERY);
    if (!op) {
        pw_plan_unref(plan);
        return ADD_TOO_LONG;
    }
    pw_ticket_add_plan(t, plan);
    if (!is_call)
        pw_dealloc_add(c, t, op, plan, q.sql);
    if (plan->prepared && scanned_now && t->is_simple)
        pw_promote_note(c, t, plan, q.sql);
    pw_plan_unref(plan);
    if (!is_call && c->stmts.unnamed)
        pw_stmt_unref(pw_names_set(&c->stmts, pw_slice("", 0), NULL));
    return ADD_OK;
}

enum add_result pw_client_add_parse(struct client *c, struct slice message)
{
    struct front_parse p;
    struct slice body = body_of(message);
    if (!pw_front_parse(body, &p) || pw_names_count(&c->stmts) >= NAMES_MAX)
        return ADD_PROTOCOL;
    size_t types_at = p.name.len + 1 + p.sql.len + 1;
    struct slice types = pw_slice(body.ptr + types_at, body.len - types_at);
    struct stmt *known = p.name.len ? pw_names_get(&c->stmts, p.name) : NULL;
    struct stmt *stmt = pw_stmt_get(&c->pool->stmts, c->settings, p.sql, types);
    if (stmt->plan && !c->waited_plan &&
        !pw_plan_is_current(pw_client_plan_context(c), stmt->plan)) {
        /* From before a change of the catalog: what it would return now may be something else. */
        pw_stmt_retire(stmt);
        pw_stmt_unref(stmt);
        stmt = pw_stmt_get(&c->pool->stmts, c->settings, p.sql, types);
    }
    if (!ensure_stmt_plan(c, stmt)) {
        pw_stmt_unref(c->waiting_stmt);
        c->waiting_stmt = stmt; /* keeps the definition until the answer comes */
        return ADD_WAIT;
    }
    struct ticket *t = open_ticket(c);
    struct op *op = pw_ticket_add(t, message, EXPECT_PARSE);
    if (!op) {
        pw_stmt_unref(stmt);
        return ADD_TOO_LONG;
    }
    op->named = p.name.len > 0;
    op->is_duplicate = known != NULL;
    if (known) { /* the server will refuse it, in its own words */
        op->stmt = pw_stmt_ref(known);
        pw_stmt_unref(stmt);
    } else {
        op->stmt = pw_stmt_ref(stmt);
        stmt->parses += !op->named;
        pw_client_set_name(c, t, p.name, stmt);
    }
    pw_stat_add(&c->pool->stats->parses_client, 1);
    return ADD_OK;
}

enum add_result pw_client_add_bind(struct client *c, struct slice message)
{
    struct front_bind b;
    if (!pw_front_bind(body_of(message), &b))
        return ADD_PROTOCOL;
    struct stmt *stmt = pw_names_get(&c->stmts, b.statement);
    if (stmt && !ensure_stmt_plan(c, stmt))
        return ADD_WAIT;
    struct ticket *t = open_ticket(c);
    struct op *op = pw_ticket_add(t, message, EXPECT_BIND);
    if (!op)
        return ADD_TOO_LONG;
    op->named = b.statement.len > 0;
    op->portal_len = (uint32_t)b.portal.len;
    op->stmt = stmt ? pw_stmt_ref(stmt) : NULL;
    if (pw_names_count(&c->portals) < NAMES_MAX)
        pw_stmt_unref(pw_names_set(&c->portals, b.portal, stmt ? pw_stmt_ref(stmt) : NULL));
    pw_stat_add(&c->pool->stats->binds, 1);
    return ADD_OK;
}

static enum add_result add_target(struct client *c, uint8_t type, struct slice message)
{
    struct front_target target;
    if (!pw_front_target(body_of(message), &target))
        return ADD_PROTOCOL;
    bool is_stmt = target.kind == 'S', is_close = type == FRONT_CLOSE;
    struct stmt *stmt = is_stmt ? pw_names_get(&c->stmts, target.name) : NULL;
    struct ticket *t = open_ticket(c);
    struct op *op = pw_ticket_add(t, message,
                                  is_close  ? EXPECT_CLOSE
                                  : is_stmt ? EXPECT_DESCRIBE_STMT
                                            : EXPECT_DESCRIBE_PORTAL);
    if (!op)
        return ADD_TOO_LONG;
    op->named = target.name.len > 0;
    op->portal_close = is_close && !is_stmt;
    op->stmt = stmt ? pw_stmt_ref(stmt) : NULL;
    t->closes_unknown |= is_close && is_stmt && !stmt;
    if (is_close && is_stmt && stmt)
        pw_client_set_name(c, t, target.name, NULL);
    else if (op->portal_close)
        pw_stmt_unref(pw_names_set(&c->portals, target.name, NULL));
    return ADD_OK;
}

static enum add_result add_execute(struct client *c, struct slice message)
{
    struct front_execute e;
    if (!pw_front_execute(body_of(message), &e))
        return ADD_PROTOCOL;
    struct stmt *stmt = pw_names_get(&c->portals, e.portal);
    struct ticket *t = open_ticket(c);
    struct op *op = pw_ticket_add(t, message, EXPECT_EXECUTE);
    if (!op)
        return ADD_TOO_LONG;
    op->named = e.portal.len > 0 || e.max_rows > 0; /* a reply in parts, or a cursor */
    /* A portal we did not see bound is a cursor made by SQL, or an error: treated as able to do
     * anything. */
    pw_ticket_add_plan(t, stmt && stmt->plan ? stmt->plan : pw_plan_opaque());
    if (stmt && stmt->plan)
        pw_dealloc_add(c, t, op, stmt->plan, pw_stmt_text(stmt));
    return ADD_OK;
}

enum add_result pw_client_add_other(struct client *c, uint8_t type, struct slice message)
{
    struct ticket *t;
    switch (type) {
    case FRONT_DESCRIBE:
    case FRONT_CLOSE:
        return add_target(c, type, message);
    case FRONT_EXECUTE:
        return add_execute(c, message);
    case FRONT_SYNC:
    case FRONT_FLUSH:
        t = open_ticket(c);
        if (!pw_ticket_add(t, message, type == FRONT_SYNC ? EXPECT_SYNC : OP_FLUSH))
            return ADD_TOO_LONG;
        if (type == FRONT_SYNC)
            t->has_sync = true;
        return ADD_OK;
    default:
        return ADD_PROTOCOL;
    }
}

/* ---- messages too long to hold */

void pw_client_open(struct client *c)
{
    open_ticket(c);
}

enum add_result pw_client_add_streamed(struct client *c, uint8_t type, struct slice in,
                                       uint32_t len, size_t *used)
{
    struct dispatch *d = c->dispatch;
    struct ticket *t = open_ticket(c);
    bool is_query = type == FRONT_QUERY || type == FRONT_FUNCTION_CALL;
    if (!is_query && type != FRONT_BIND)
        return ADD_PROTOCOL;
    if (t->state != TICKET_SENT) /* an earlier request of this session holds the server */
        pw_dispatch_submit(c);
    struct op *op = pw_ticket_add(t, pw_slice("", 0), is_query ? EXPECT_QUERY : EXPECT_BIND);
    if (!op)
        return ADD_TOO_LONG;
    t->sent_ops = t->n_ops;
    if (is_query) {
        t->is_simple = t->n_ops == 1;
        t->has_sync = true;
        pw_ticket_add_plan(t, pw_plan_opaque());
        pw_effects_begin(d, t);
        *used = FRAME_HEADER;
        pw_send_streamed_raw(c->server, t, op, pw_slice(in.ptr, *used));
        return ADD_OK;
    }
    struct slice portal, name;
    size_t names_len;
    if (!pw_front_two_names(pw_slice(in.ptr + FRAME_HEADER, in.len - FRAME_HEADER), &portal, &name,
                            &names_len))
        return ADD_PROTOCOL;
    struct stmt *stmt = pw_names_get(&c->stmts, name);
    op->named = name.len > 0;
    op->portal_len = (uint32_t)portal.len;
    op->stmt = stmt ? pw_stmt_ref(stmt) : NULL;
    pw_stmt_unref(pw_names_set(&c->portals, portal, stmt ? pw_stmt_ref(stmt) : NULL));
    *used = FRAME_HEADER + names_len;
    pw_send_streamed_bind(d, c->server, t, op, pw_slice(in.ptr, *used), len, *used);
    return ADD_OK;
}
