/*
 * What an operator does to databases and clients: PAUSE, RESUME, RECONNECT, WAIT_CLOSE, DISABLE,
 * ENABLE, KILL, KILL_CLIENT. A command is carried out by every worker and answered when all have;
 * PAUSE and KILL are answered when no server connection is left, WAIT_CLOSE when none is left that
 * is to be closed. Control thread, except collect.
 */
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/num.h"
#include "proxy/control/gather.h"
#include "proxy/control/show.h"

enum { ASK_AGAIN_MS = 20 };

enum order_kind {
    OP_PAUSE,
    OP_RESUME,
    OP_RECONNECT,
    OP_WAIT_CLOSE,
    OP_KILL,
    OP_KILL_CLIENT,
    OP_COUNT_SERVERS
};

struct op_waits {
    uv_timer_t timer;
    struct control *control; /* BORROW */
    struct list waiting;     /* struct order: asked again when the timer rings. OWN */
};

struct order {
    struct list_node link; /* LINK op_waits->waiting */
    struct admin_call *call;
    enum order_kind op;
    char *database; /* OWN; NULL: all of them */
    uint64_t session_id;
    unsigned worker; /* of session_id */
};

struct tally { /* a worker's part of the answer */
    uint64_t servers, clients;
};

/* ---- on a worker ---- */

static bool is_meant(const struct order *o, const char *database)
{
    return !o->database || (database && strcmp(o->database, database) == 0);
}

static void close_servers(struct server_pool *p)
{
    for (int state = SERVER_CONNECTING; state < SERVER_CLOSING; state++)
        while (!pw_list_empty(&p->by_state[state]))
            pw_server_close(
                PW_LIST_ENTRY(pw_list_first(&p->by_state[state]), struct server, state_link),
                "KILL");
}

static void do_pool(struct dispatch *d, struct server_pool *p, enum order_kind op)
{
    switch (op) {
    case OP_PAUSE:
        p->paused = true;
        pw_server_pool_recycle(p);
        break;
    case OP_KILL:
        p->paused = true;
        close_servers(p);
        break;
    case OP_RESUME:
        p->paused = false;
        if (!pw_list_linked(&p->poke_link))
            pw_list_push_back(&d->poked, &p->poke_link);
        break;
    case OP_RECONNECT:
        pw_server_pool_recycle(p);
        break;
    case OP_WAIT_CLOSE:
    case OP_KILL_CLIENT:
    case OP_COUNT_SERVERS:
        break;
    }
}

static uint64_t count_closing(struct server_pool *p)
{
    uint64_t n = 0;
    for (int state = 0; state < SERVER_CLOSING; state++)
        PW_LIST_FOR(&p->by_state[state], node, tmp)
        {
            const struct server *s = PW_LIST_ENTRY(node, struct server, state_link);
            n += s->close_when_idle || s->broken;
        }
    return n;
}

static uint64_t kill_sessions(struct worker *w, const struct order *o)
{
    struct list *by_state = pw_worker_sessions(w);
    uint64_t n = 0;
    for (int state = 0; state < SESSION_CLOSING; state++)
        PW_LIST_FOR(&by_state[state], node, tmp)
        {
            struct session *s = PW_LIST_ENTRY(node, struct session, state_link);
            if (state == SESSION_ADMIN || !s->database || !is_meant(o, s->database))
                continue;
            pw_session_fail(s, PW_ADMIN_KILLED, NULL);
            n++;
        }
    return n;
}

static uint64_t kill_one(struct worker *w, const struct order *o)
{
    struct session *s =
        pw_worker_index(w) == o->worker ? pw_worker_find_session(w, o->session_id) : NULL;
    if (!s || s->state == SESSION_CLOSING)
        return 0;
    pw_session_fail(s, PW_ADMIN_KILLED, NULL);
    return 1;
}

static void *carry_out(struct worker *w, const void *question)
{
    const struct order *o = question;
    struct dispatch *d = pw_worker_dispatch(w);
    struct tally *tally = pw_alloc(sizeof(*tally));
    if (o->op == OP_KILL)
        tally->clients = kill_sessions(w, o);
    if (o->op == OP_KILL_CLIENT)
        tally->clients = kill_one(w, o);
    PW_HASHMAP_FOR(&d->pools, h, tmp)
    {
        struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        if (!is_meant(o, p->database))
            continue;
        do_pool(d, p, o->op);
        tally->servers += o->op == OP_WAIT_CLOSE ? count_closing(p) : p->n_servers;
    }
    return tally;
}

/* ---- on control ---- */

static void order_free(struct order *o)
{
    pw_free(o->database);
    pw_free(o);
}

static void finish(struct order *o, const char *sqlstate, const char *error)
{
    if (error)
        pw_admin_finish_error(o->call, sqlstate, "%s", error);
    else
        pw_admin_finish(o->call);
    order_free(o);
}

static void on_timer(uv_timer_t *timer);

static void ask_again(struct control *c, struct order *o)
{
    struct op_waits *waits = c->show->waits;
    pw_list_push_back(&waits->waiting, &o->link);
    if (!uv_is_active((uv_handle_t *)&waits->timer))
        uv_timer_start(&waits->timer, on_timer, ASK_AGAIN_MS, 0);
}

static bool is_still_paused(struct control *c, const struct order *o)
{
    return o->database ? pw_databases_is_paused(c->databases, o->database) : c->paused;
}

static void carried_out(struct gather *g)
{
    struct order *o = g->question;
    struct control *c = g->control;
    struct tally sum = {0};
    for (unsigned i = 0; i < g->n; i++) {
        const struct tally *part = g->parts[i];
        sum.servers += part ? part->servers : 0;
        sum.clients += part ? part->clients : 0;
    }
    bool waits = o->op == OP_PAUSE || o->op == OP_KILL || o->op == OP_COUNT_SERVERS;
    if (c->stopped)
        finish(o, "57P01", "pgweir is shutting down");
    else if (o->op == OP_KILL_CLIENT && !sum.clients)
        finish(o, "22023", "no such client (see the column id of SHOW CLIENTS)");
    else if (waits && sum.servers && is_still_paused(c, o)) {
        o->op = OP_COUNT_SERVERS;
        ask_again(c, o);
    } else if (o->op == OP_WAIT_CLOSE && sum.servers)
        ask_again(c, o);
    else
        finish(o, NULL, NULL);
}

static const struct gather_kind orders = {carry_out, carried_out, pw_free};

static void on_timer(uv_timer_t *timer)
{
    struct op_waits *waits = timer->data;
    for (size_t n = waits->waiting.count; n > 0; n--) {
        struct list_node *node = pw_list_pop_front(&waits->waiting);
        pw_gather_start(waits->control, &orders, PW_LIST_ENTRY(node, struct order, link));
    }
}

struct op_waits *pw_op_waits_new(struct control *c)
{
    struct op_waits *waits = pw_alloc(sizeof(*waits));
    waits->control = c;
    pw_list_init(&waits->waiting);
    uv_timer_init(&c->uv, &waits->timer);
    waits->timer.data = waits;
    return waits;
}

static void on_timer_closed(uv_handle_t *h)
{
    pw_free(h->data);
}

void pw_op_waits_free(struct op_waits *waits)
{
    for (struct list_node *n; (n = pw_list_pop_front(&waits->waiting));)
        finish(PW_LIST_ENTRY(n, struct order, link), "57P01", "pgweir is shutting down");
    uv_close((uv_handle_t *)&waits->timer, on_timer_closed);
}

/* ---- the commands ---- */

static void give(struct admin_call *call, enum order_kind op, const char *database)
{
    struct order *o = pw_alloc(sizeof(*o));
    o->call = call;
    o->op = op;
    o->database = database ? pw_strdup(database) : NULL;
    pw_gather_start(call->arg, &orders, o);
}

/* The database named, known to the registry; false: the call is finished. */
static bool take_name(struct admin_call *call, bool needed, const char **name)
{
    struct control *c = call->arg;
    *name = call->n_args ? call->args[0] : NULL;
    if (call->n_args > 1 || (needed && !*name)) {
        pw_admin_finish_error(call, "42601", "usage: %s %s", call->command->words,
                              call->command->args);
        return false;
    }
    if (*name && !pw_show_find_database(c, *name)) {
        pw_admin_finish_error(call, "3D000", "no such database, or not used yet: \"%s\"", *name);
        return false;
    }
    if (*name)
        (void)pw_databases_id(c->databases, *name);
    return true;
}

static void pause_all(struct control *c, const char *name, bool paused)
{
    pw_databases_pause(c->databases, name, paused);
    if (!name)
        c->paused = paused;
}

static void run_pause(struct admin_call *call)
{
    const char *name;
    if (!take_name(call, false, &name))
        return;
    pause_all(call->arg, name, true);
    give(call, OP_PAUSE, name);
}

static void run_resume(struct admin_call *call)
{
    const char *name;
    if (!take_name(call, false, &name))
        return;
    pause_all(call->arg, name, false);
    give(call, OP_RESUME, name);
}

static void run_reconnect(struct admin_call *call)
{
    const char *name;
    if (take_name(call, false, &name))
        give(call, OP_RECONNECT, name);
}

static void run_wait_close(struct admin_call *call)
{
    const char *name;
    if (take_name(call, false, &name))
        give(call, OP_WAIT_CLOSE, name);
}

static void run_kill(struct admin_call *call)
{
    const char *name;
    if (!take_name(call, true, &name))
        return;
    pause_all(call->arg, name, true);
    give(call, OP_KILL, name);
}

static void switch_database(struct admin_call *call, bool disabled)
{
    struct control *c = call->arg;
    const char *name;
    if (!take_name(call, true, &name))
        return;
    pw_databases_disable(c->databases, name, disabled);
    pw_admin_finish(call);
}

static void run_disable(struct admin_call *call)
{
    switch_database(call, true);
}

static void run_enable(struct admin_call *call)
{
    switch_database(call, false);
}

static void run_kill_client(struct admin_call *call)
{
    uint64_t number;
    if (call->n_args != 1 || !pw_num_parse_u64(pw_slice_str(call->args[0]), &number)) {
        pw_admin_finish_error(call, "42601", "usage: KILL_CLIENT id (of SHOW CLIENTS)");
        return;
    }
    struct order *o = pw_alloc(sizeof(*o));
    o->call = call;
    o->op = OP_KILL_CLIENT;
    o->session_id = number / CONTROL_WORKERS_MAX;
    o->worker = (unsigned)(number % CONTROL_WORKERS_MAX);
    pw_gather_start(call->arg, &orders, o);
}

static const struct admin_command commands[] = {
    {"PAUSE", ADMIN_ADMIN, "[database]",
     "Lets requests finish, closes the server connections, and holds new requests until RESUME.",
     run_pause},
    {"RESUME", ADMIN_ADMIN, "[database]", "Ends PAUSE or KILL.", run_resume},
    {"RECONNECT", ADMIN_ADMIN, "[database]",
     "Closes each server connection as soon as it is free; new ones are opened when needed.",
     run_reconnect},
    {"WAIT_CLOSE", ADMIN_ADMIN, "[database]",
     "Answers when the server connections that RECONNECT or RELOAD gave up are closed.",
     run_wait_close},
    {"DISABLE", ADMIN_ADMIN, "database", "Refuses new clients of a database.", run_disable},
    {"ENABLE", ADMIN_ADMIN, "database", "Ends DISABLE.", run_enable},
    {"KILL", ADMIN_ADMIN, "database",
     "Closes all clients and server connections of a database at once, and pauses it.", run_kill},
    {"KILL_CLIENT", ADMIN_ADMIN, "id", "Closes one client, by its id in SHOW CLIENTS.",
     run_kill_client},
};

void pw_show_register_ops(struct control *c)
{
    pw_admin_register(c->admin, commands, PW_COUNT_OF(commands), c);
    pw_show_register_process_ops(c);
}
