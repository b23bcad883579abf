/* SHOW CLIENTS, SERVERS, PINS: each worker tells of its own. Workers' threads. */
#include <stdio.h>

#include "proxy/control/show.h"

#define SOCKET_COLUMNS                                                                             \
    {"type", TABLE_TEXT}, {"user", TABLE_TEXT}, {"database", TABLE_TEXT},                          \
        {"replication", TABLE_TEXT}, {"state", TABLE_TEXT}, {"addr", TABLE_TEXT},                  \
        {"port", TABLE_INT4}, {"local_addr", TABLE_TEXT}, {"local_port", TABLE_INT4},              \
        {"connect_time", TABLE_TEXT}, {"request_time", TABLE_TEXT}, {"wait", TABLE_INT4},          \
        {"wait_us", TABLE_INT4}, {"close_needed", TABLE_INT4}, {"ptr", TABLE_TEXT},                \
        {"link", TABLE_TEXT}, {"remote_pid", TABLE_INT4}, {"tls", TABLE_TEXT},                     \
        {"application_name", TABLE_TEXT}, {"prepared_statements", TABLE_INT4},                     \
    {                                                                                              \
        "id", TABLE_INT8                                                                           \
    }

static const struct table_column columns_clients[] = {
    SOCKET_COLUMNS, {"transaction", TABLE_TEXT}, {"pinned", TABLE_TEXT}, {"worker", TABLE_INT4}};
static const struct table_column columns_servers[] = {
    SOCKET_COLUMNS, {"in_flight", TABLE_INT4}, {"shared", TABLE_TEXT}, {"worker", TABLE_INT4}};

static void put_ends(struct table *t, const struct stream *stream)
{
    char host[64] = "";
    int port = 0;
    pw_stream_peer(stream, host, sizeof host, &port);
    pw_table_text(t, host);
    pw_table_int(t, port);
    pw_stream_local(stream, host, sizeof host, &port);
    pw_table_text(t, host);
    pw_table_int(t, port);
}

static void put_wait(struct table *t, uint64_t since_us, uint64_t now_us)
{
    uint64_t wait_us = since_us && since_us < now_us ? now_us - since_us : 0;
    pw_table_uint(t, wait_us / 1000000);
    pw_table_uint(t, wait_us % 1000000);
}

static const char *replication_of(const struct server *s)
{
    return s->dedicated == SERVER_LOGICAL ? "logical" : s->dedicated ? "physical" : "none";
}

/* ---- CLIENTS ---- */

static bool is_waiting(const struct session *s)
{
    const struct ticket *t = s->client.ticket;
    return t && (t->state == TICKET_QUEUED || t->state == TICKET_JOINED);
}

static void put_client(struct table *t, struct worker *w, const struct session *s)
{
    const struct client *c = &s->client;
    uint64_t since_us = is_waiting(s) ? c->ticket->received_us : 0;
    if (!pw_table_row(t))
        return;
    pw_table_text(t, "C");
    pw_table_text(t, s->user ? s->user : "");
    pw_table_text(t, s->database ? s->database : "");
    pw_table_text(t, c->server ? replication_of(c->server) : "none");
    pw_table_text(t, is_waiting(s) ? "waiting" : pw_session_state_name(s->state));
    put_ends(t, &s->stream);
    pw_show_put_time(t, s->connected_us);
    pw_show_put_time(t, c->ticket ? c->ticket->received_us : 0);
    put_wait(t, since_us, pw_worker_now_us(w));
    pw_table_uint(t, s->draining || s->killed);
    pw_table_printf(t, "%p", (const void *)s);
    if (c->server)
        pw_table_printf(t, "%p", (const void *)c->server);
    else
        pw_table_text(t, "");
    pw_table_uint(t, 0); /* the client's own process is not known */
    pw_table_text(t, pw_stream_is_tls(&s->stream) ? "TLS" : "");
    pw_table_text(t, c->app_name);
    pw_table_uint(t, pw_names_count(&c->stmts));
    pw_table_uint(t, pw_client_number(s->id, pw_worker_index(w)));
    pw_table_text(t, c->txn == 'T' ? "open" : c->txn == 'E' ? "failed" : "none");
    pw_table_text(t, c->pin == PIN_NONE ? "" : pw_pin_reason_text(c->pin));
    pw_table_uint(t, pw_worker_index(w));
}

static void collect_clients(struct worker *w, struct table *t)
{
    struct list *by_state = pw_worker_sessions(w);
    for (int state = 0; state < SESSION_CLOSING; state++)
        PW_LIST_FOR(&by_state[state], n, tmp)
    put_client(t, w, PW_LIST_ENTRY(n, struct session, state_link));
}

/* ---- SERVERS ---- */

static void put_server(struct table *t, struct worker *w, const struct server *s)
{
    const struct server_pool *p = s->pool;
    if (!pw_table_row(t))
        return;
    pw_table_text(t, "S");
    pw_table_text(t, p->user);
    pw_table_text(t, p->database);
    pw_table_text(t, replication_of(s));
    pw_table_text(t, pw_server_state_name(s->state));
    put_ends(t, &s->stream);
    pw_show_put_time(t, s->connected_us);
    pw_show_put_time(t, s->in_flight ? s->sent_us : s->used_us);
    put_wait(t, 0, pw_worker_now_us(w));
    pw_table_uint(t, s->close_when_idle || s->broken);
    pw_table_printf(t, "%p", (const void *)s);
    if (s->holder)
        pw_table_printf(t, "%p", (const void *)PW_CONTAINER_OF(s->holder, struct session, client));
    else
        pw_table_text(t, "");
    pw_table_uint(t, s->pid);
    pw_table_text(t, pw_stream_is_tls(&s->stream) ? "TLS" : "");
    pw_table_text(t, s->app_name);
    pw_table_uint(t, s->stmts.map.count);
    pw_table_uint(t, s->id);
    pw_table_uint(t, s->in_flight);
    pw_table_bool(t, s->shared);
    pw_table_uint(t, pw_worker_index(w));
}

static void collect_servers(struct worker *w, struct table *t)
{
    PW_HASHMAP_FOR(&pw_worker_dispatch(w)->pools, h, unused)
    {
        struct server_pool *p = PW_CONTAINER_OF(h, struct server_pool, node);
        for (int state = 0; state < SERVER_CLOSING; state++)
            PW_LIST_FOR(&p->by_state[state], n, tmp)
        put_server(t, w, PW_LIST_ENTRY(n, struct server, state_link));
    }
}

/* ---- PINS ---- */

static const struct table_column columns_pins[] = {
    {"client", TABLE_INT8},     {"database", TABLE_TEXT}, {"user", TABLE_TEXT},
    {"reason", TABLE_TEXT},     {"since", TABLE_TEXT},    {"seconds", TABLE_NUMERIC},
    {"server_pid", TABLE_INT4}, {"worker", TABLE_INT4}};

static void collect_pins(struct worker *w, struct table *t)
{
    PW_LIST_FOR(&pw_worker_dispatch(w)->pinned, n, tmp)
    {
        const struct client *c = PW_LIST_ENTRY(n, struct client, pin_link);
        if (!pw_table_row(t))
            return;
        pw_table_uint(t, pw_client_number(c->id, pw_worker_index(w)));
        pw_table_text(t, c->pool ? c->pool->database : "");
        pw_table_text(t, c->pool ? c->pool->user : "");
        pw_table_text(t, pw_pin_reason_text(c->pin));
        pw_show_put_time(t, c->pinned_us);
        pw_table_num(t, (double)(pw_worker_now_us(w) - c->pinned_us) / 1e6, 1);
        if (c->server)
            pw_table_uint(t, c->server->pid);
        else
            pw_table_null(t);
        pw_table_uint(t, pw_worker_index(w));
    }
}

static const struct view views[] = {
    {PW_VIEW("SHOW CLIENTS", NULL, "Every client connection; id is for KILL_CLIENT.",
             columns_clients),
     .collect = collect_clients},
    {PW_VIEW("SHOW SERVERS", NULL, "Every connection to PostgreSQL.", columns_servers),
     .collect = collect_servers},
    {PW_VIEW("SHOW PINS", NULL,
             "Clients that keep a server connection to themselves, and what they did to need it.",
             columns_pins),
     .collect = collect_pins},
};

void pw_show_register_sessions(struct control *c)
{
    pw_views_register(c, views, PW_COUNT_OF(views));
}
