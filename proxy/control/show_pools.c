/* SHOW POOLS, DATABASES, USERS, LISTS: from the pools' rows, which workers keep. Control thread. */
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/control/show.h"

/* One (database, user) over all workers. A NULL user or database adds up more than one. */
struct pool_sum {
    const char *database, *user; /* BORROW */
    uint64_t cl_active, cl_waiting, sv_active, sv_idle, sv_used, sv_login, sv_cancels, sv_canceled;
    uint64_t waiting_since_us; /* 0: nobody waits */
};

static uint32_t get(const _Atomic uint32_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static void add_row(struct pool_sum *sum, const struct pool_row *r)
{
    const struct pool_stats *st = &r->stats;
    uint64_t since = atomic_load_explicit(&st->waiting_since_us, memory_order_relaxed);
    uint32_t clients = get(&st->cl_active), waiting = get(&st->cl_waiting);
    sum->cl_active += clients > waiting ? clients - waiting : 0;
    sum->cl_waiting += waiting;
    sum->sv_active += get(&st->sv_active);
    sum->sv_idle += get(&st->sv_idle);
    sum->sv_used += get(&st->sv_used);
    sum->sv_login += get(&st->sv_login);
    sum->sv_cancels += get(&st->sv_cancels);
    sum->sv_canceled += get(&st->sv_canceled);
    if (since && (!sum->waiting_since_us || since < sum->waiting_since_us))
        sum->waiting_since_us = since;
}

static bool matches(const struct pool_row *r, const char *database, const char *user)
{
    return (!database || strcmp(r->database, database) == 0) &&
           (!user || strcmp(r->user, user) == 0);
}

static struct pool_sum sum_of(struct control *c, const char *database, const char *user)
{
    struct pool_sum sum = {.database = database, .user = user};
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next)
        if (matches(r, database, user))
            add_row(&sum, r);
    return sum;
}

/* Is r the first row with this database (and user)? So that each is listed once. */
static bool is_first(struct control *c, const struct pool_row *r, bool by_database, bool by_user)
{
    const struct pool_row *o = pw_databases_rows(c->databases);
    while (o != r && !matches(o, by_database ? r->database : NULL, by_user ? r->user : NULL))
        o = o->next;
    return o == r;
}

static uint64_t servers_of(const struct pool_sum *s)
{
    return s->sv_active + s->sv_idle + s->sv_used + s->sv_login;
}

static const char *mode_name(enum conf_pool_mode mode)
{
    static const char *const names[] = {[CONF_POOL_TRANSACTION] = "transaction",
                                        [CONF_POOL_SESSION] = "session",
                                        [CONF_POOL_STATEMENT] = "statement"};
    return names[mode];
}

/* ---- POOLS ---- */

static const struct table_column columns_pools[] = {{"database", TABLE_TEXT},
                                                    {"user", TABLE_TEXT},
                                                    {"cl_active", TABLE_INT4},
                                                    {"cl_waiting", TABLE_INT4},
                                                    {"cl_active_cancel_req", TABLE_INT4},
                                                    {"cl_waiting_cancel_req", TABLE_INT4},
                                                    {"sv_active", TABLE_INT4},
                                                    {"sv_active_cancel", TABLE_INT4},
                                                    {"sv_being_canceled", TABLE_INT4},
                                                    {"sv_idle", TABLE_INT4},
                                                    {"sv_used", TABLE_INT4},
                                                    {"sv_tested", TABLE_INT4},
                                                    {"sv_login", TABLE_INT4},
                                                    {"maxwait", TABLE_INT4},
                                                    {"maxwait_us", TABLE_INT4},
                                                    {"pool_mode", TABLE_TEXT},
                                                    {"load_balance_hosts", TABLE_TEXT},
                                                    {"pool_size", TABLE_INT4},
                                                    {"paused", TABLE_INT4}};

static void put_pool(struct control *c, struct table *t, const struct pool_sum *s)
{
    const struct conf_database *db = pw_conf_database_find(c->conf, s->database);
    uint64_t now_us = pw_clock_us();
    uint64_t wait_us =
        s->waiting_since_us && s->waiting_since_us < now_us ? now_us - s->waiting_since_us : 0;
    pw_table_text(t, s->database);
    pw_table_text(t, s->user);
    pw_table_uint(t, s->cl_active);
    pw_table_uint(t, s->cl_waiting);
    pw_table_uint(t, s->sv_cancels);
    pw_table_uint(t, 0); /* a cancel request never waits here: it has a connection of its own */
    pw_table_uint(t, s->sv_active);
    pw_table_uint(t, s->sv_cancels);
    pw_table_uint(t, s->sv_canceled);
    pw_table_uint(t, s->sv_idle);
    pw_table_uint(t, s->sv_used);
    pw_table_uint(t, 0); /* idle connections are watched, not tested */
    pw_table_uint(t, s->sv_login);
    pw_table_uint(t, wait_us / 1000000);
    pw_table_uint(t, wait_us % 1000000);
    pw_table_text(t, db ? mode_name(db->pool_mode) : NULL);
    pw_table_text(t, NULL); /* hosts are tried in their order */
    if (db)
        pw_table_uint(t, db->pool_size);
    else
        pw_table_null(t);
    pw_table_uint(t, pw_databases_is_paused(c->databases, s->database));
}

static void build_pools(struct control *c, struct table *t, const struct admin_call *call)
{
    size_t n;
    const struct pool_row **rows = pw_show_rows_sorted(c, &n);
    (void)call;
    for (size_t i = 0; i < n; i++) {
        if ((i && matches(rows[i - 1], rows[i]->database, rows[i]->user)) || !pw_table_row(t))
            continue;
        struct pool_sum sum = sum_of(c, rows[i]->database, rows[i]->user);
        put_pool(c, t, &sum);
    }
    pw_free(rows);
}

/* ---- DATABASES ---- */

static const struct table_column columns_databases[] = {{"name", TABLE_TEXT},
                                                        {"host", TABLE_TEXT},
                                                        {"port", TABLE_INT4},
                                                        {"database", TABLE_TEXT},
                                                        {"force_user", TABLE_TEXT},
                                                        {"pool_size", TABLE_INT4},
                                                        {"min_pool_size", TABLE_INT4},
                                                        {"reserve_pool_size", TABLE_INT4},
                                                        {"server_lifetime", TABLE_INT4},
                                                        {"pool_mode", TABLE_TEXT},
                                                        {"load_balance_hosts", TABLE_TEXT},
                                                        {"max_connections", TABLE_INT4},
                                                        {"current_connections", TABLE_INT4},
                                                        {"max_client_connections", TABLE_INT4},
                                                        {"current_client_connections", TABLE_INT4},
                                                        {"paused", TABLE_INT4},
                                                        {"disabled", TABLE_INT4},
                                                        {"upstream", TABLE_TEXT}};

/* Several as the URL has them: the first one's port is in the next column. */
static void put_hosts(struct table *t, const struct conf_upstream *up)
{
    struct buf text;
    pw_buf_init(&text, 8192);
    for (size_t i = 0; i < up->n_hosts; i++)
        pw_buf_printf(&text, i ? ",%s:%u" : "%s", up->hosts[i].host, up->hosts[i].port);
    pw_buf_append_u8(&text, 0);
    pw_table_text(t, text.failed ? up->hosts[0].host : text.data);
    pw_buf_free(&text);
}

static void put_database(struct control *c, struct table *t, const char *name,
                         const struct conf_database *db)
{
    struct pool_sum sum = sum_of(c, name, NULL);
    if (!pw_table_row(t))
        return;
    pw_table_text(t, name);
    put_hosts(t, &db->upstream);
    pw_table_uint(t, db->upstream.hosts[0].port);
    pw_table_text(t, pw_conf_database_dbname(db, name));
    pw_table_text(t, NULL);
    pw_table_uint(t, db->pool_size);
    pw_table_uint(t, db->min_pool_size);
    pw_table_uint(t, db->reserve_pool_size);
    pw_table_uint(t, db->server_lifetime_us / 1000000);
    pw_table_text(t, mode_name(db->pool_mode));
    pw_table_text(t, NULL);
    pw_table_uint(t, 0); /* no limit besides pool_size */
    pw_table_uint(t, servers_of(&sum));
    pw_table_uint(t, db->max_clients);
    pw_table_uint(t, sum.cl_active + sum.cl_waiting);
    pw_table_uint(t, pw_databases_is_paused(c->databases, name));
    pw_table_uint(t, pw_databases_is_disabled(c->databases, name));
    pw_table_text(t, db->upstream.masked);
}

/* Those with a row of their own, then those that "*" stood for so far. */
static void build_databases(struct control *c, struct table *t, const struct admin_call *call)
{
    const struct pw_conf *conf = c->conf;
    size_t n;
    const struct pool_row **rows = pw_show_rows_sorted(c, &n);
    (void)call;
    for (size_t i = 0; i < conf->n_databases; i++)
        if (strcmp(conf->databases[i].name, "*") != 0)
            put_database(c, t, conf->databases[i].name, &conf->databases[i]);
    for (size_t i = 0; i < n; i++) {
        const struct conf_database *db = pw_conf_database_find(conf, rows[i]->database);
        if (db && strcmp(db->name, "*") == 0 &&
            !(i && matches(rows[i - 1], rows[i]->database, NULL)))
            put_database(c, t, rows[i]->database, db);
    }
    pw_free(rows);
}

/* ---- USERS ---- */

static const struct table_column columns_users[] = {{"name", TABLE_TEXT},
                                                    {"pool_size", TABLE_INT4},
                                                    {"reserve_pool_size", TABLE_INT4},
                                                    {"pool_mode", TABLE_TEXT},
                                                    {"max_user_connections", TABLE_INT4},
                                                    {"current_connections", TABLE_INT4},
                                                    {"max_user_client_connections", TABLE_INT4},
                                                    {"current_client_connections", TABLE_INT4}};

/* Users have one limit of their own, pgweir.max_user_clients; the others are per database. */
static void build_users(struct control *c, struct table *t, const struct admin_call *call)
{
    (void)call;
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next) {
        if (!is_first(c, r, false, true) || !pw_table_row(t))
            continue;
        struct pool_sum sum = sum_of(c, NULL, r->user);
        pw_table_text(t, r->user);
        pw_table_null(t);
        pw_table_null(t);
        pw_table_null(t);
        pw_table_uint(t, 0);
        pw_table_uint(t, servers_of(&sum));
        pw_table_uint(t, c->conf->pgweir.max_user_clients);
        pw_table_uint(t, sum.cl_active + sum.cl_waiting);
    }
}

/* ---- LISTS ---- */

static const struct table_column columns_lists[] = {{"list", TABLE_TEXT}, {"items", TABLE_INT4}};

static void put_list(struct table *t, const char *name, uint64_t items)
{
    if (!pw_table_row(t))
        return;
    pw_table_text(t, name);
    pw_table_uint(t, items);
}

static void build_lists(struct control *c, struct table *t, const struct admin_call *call)
{
    uint64_t databases = 0, users = 0, pools = 0;
    (void)call;
    for (size_t i = 0; i < c->conf->n_databases; i++)
        databases += strcmp(c->conf->databases[i].name, "*") != 0;
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next) {
        const struct conf_database *db = pw_conf_database_find(c->conf, r->database);
        databases += db && strcmp(db->name, "*") == 0 && is_first(c, r, true, false);
        users += is_first(c, r, false, true);
        pools += is_first(c, r, true, true);
    }
    struct pool_sum sum = sum_of(c, NULL, NULL);
    uint64_t clients = sum.cl_active + sum.cl_waiting;
    uint64_t admitted = atomic_load(&c->shared.clients);
    put_list(t, "databases", databases);
    put_list(t, "users", users);
    put_list(t, "peers", 0);
    put_list(t, "pools", pools);
    put_list(t, "peer_pools", 0);
    put_list(t, "free_clients", 0);
    put_list(t, "used_clients", clients);
    put_list(t, "login_clients", admitted > clients ? admitted - clients : 0);
    put_list(t, "free_servers", 0);
    put_list(t, "used_servers", servers_of(&sum));
    put_list(t, "dns_names", 0);
    put_list(t, "dns_zones", 0);
    put_list(t, "dns_queries", 0);
    put_list(t, "dns_pending", 0);
}

static const struct view views[] = {
    {PW_VIEW("SHOW POOLS", NULL, "Clients and server connections per database and user.",
             columns_pools),
     .build = build_pools},
    {PW_VIEW("SHOW DATABASES", NULL, "The databases: where they are, limits, connections.",
             columns_databases),
     .build = build_databases},
    {PW_VIEW("SHOW USERS", NULL, "The users that have connected.", columns_users),
     .build = build_users},
    {PW_VIEW("SHOW LISTS", NULL, "How many of everything there are.", columns_lists),
     .build = build_lists},
};

void pw_show_register_pools(struct control *c)
{
    pw_views_register(c, views, PW_COUNT_OF(views));
}
