#include "proxy/dispatch/login.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/pool/server_connect.h"
#include "proxy/pool/welcome.h"

enum { METHOD_LASTS_US = 60 * 1000 * 1000 };

enum upstream_method pw_login_method(const struct server_pool *p, uint64_t now_us)
{
    return now_us - p->method_seen_us < METHOD_LASTS_US ? p->method : UPSTREAM_UNKNOWN;
}

/* A place under pool_size for a login. An idle connection gives its own. */
static bool take_place(struct dispatch *d, struct server_pool *p)
{
    struct list *idle = &p->by_state[SERVER_IDLE];
    unsigned worker = d->env.worker;
    if (!p->relay_since_us)
        p->relay_since_us = d->env.loop->now_us;
    bool turn = pw_permits_is_turn(p->permits, worker, p->relay_since_us);
    bool taken = turn && pw_permits_try_take(p->permits, p->db->pool_size);
    if (!taken && !pw_list_empty(idle)) {
        pw_server_close(PW_LIST_ENTRY(pw_list_last(idle), struct server, state_link),
                        "a login needs its place");
        taken = pw_permits_try_take(p->permits, p->db->pool_size);
    }
    if (taken) {
        pw_permits_ask_no_more(p->permits, worker);
        p->relay_since_us = 0;
    } else {
        pw_permits_ask(d->env.permits, p->permits, worker, p->relay_since_us);
    }
    return taken;
}

void pw_login_relay_start(struct client *c, struct server_pool *p, const struct server_launch *how)
{
    struct dispatch *d = c->dispatch;
    bool probing = p->relays > 0 && p->method == UPSTREAM_UNKNOWN;
    bool waits = probing || p->paused; /* PAUSE: no connection is opened, not even for a login */
    bool taken = !waits && take_place(d, p);
    if (!taken) {
        c->relay_waits_for = p;
        if (!pw_list_linked(&c->relay_link))
            pw_list_push_back(&p->relay_waiters, &c->relay_link);
        return;
    }
    struct server_launch launch = *how;
    launch.relay_to = c;
    p->relays++;
    c->relay_pool = p;
    c->relay = pw_server_launch(p, &launch);
}

static void end_relay(struct client *c)
{
    c->relay = NULL;
    if (c->relay_pool)
        c->relay_pool->relays--;
    if (c->relay_pool)
        pw_dispatch_poke(c->dispatch, c->relay_pool);
    c->relay_pool = NULL;
}

void pw_login_relay_ended(struct client *c)
{
    end_relay(c);
}

void pw_login_wake(struct dispatch *d, struct server_pool *p)
{
    (void)d;
    size_t n = p->relay_waiters.count;
    bool all =
        p->method != UPSTREAM_UNKNOWN && p->relays == 0; /* what the server asks for is known now */
    for (size_t i = 0; i < n && (all || i == 0); i++) {
        struct list_node *first = pw_list_pop_front(&p->relay_waiters);
        struct client *c = PW_LIST_ENTRY(first, struct client, relay_link);
        c->sink->on_relay_turn(c);
    }
}

static void leave(_Atomic uint32_t **count)
{
    if (*count)
        pw_permits_leave(*count);
    *count = NULL;
}

/* A limit of 0 counts too: it may be set by a reload while these clients stay. */
bool pw_login_admit(struct client *c, struct server_pool *p, char *why, size_t size)
{
    struct permits *permits = c->dispatch->env.permits;
    c->user_account = pw_permits_account(permits, "", p->user);
    const struct {
        _Atomic uint32_t *count;
        uint32_t limit;
        const char *of, *setting;
    } limits[CLIENT_COUNTS] = {
        {pw_pool_row_of(p->stats)->database_clients, p->db->max_clients, "this database",
         "databases.max_clients"},
        {&p->permits->clients, p->db->max_user_clients, "this user of this database",
         "databases.max_user_clients"},
        {&c->user_account->clients, p->conf->pgweir.max_user_clients, "this user",
         "pgweir.max_user_clients"},
    };
    for (size_t i = 0; i < CLIENT_COUNTS; i++) {
        if (!pw_permits_try_enter(limits[i].count, limits[i].limit)) {
            snprintf(why, size,
                     "no more connections allowed for %s: %s is %u (database \"%s\", user \"%s\")",
                     limits[i].of, limits[i].setting, limits[i].limit, p->database, p->user);
            pw_login_leave(c);
            return false;
        }
        c->admitted_to[i] = limits[i].count;
    }
    return true;
}

void pw_login_leave(struct client *c)
{
    for (size_t i = 0; i < CLIENT_COUNTS; i++)
        leave(&c->admitted_to[i]);
    pw_permits_drop(c->dispatch->env.permits, c->user_account);
    c->user_account = NULL;
}

void pw_login_relay_answer(struct client *c, struct slice body)
{
    if (c->relay)
        pw_server_relay(c->relay, body);
}

void pw_login_relay_cancel(struct client *c)
{
    struct server *s = c->relay;
    if (pw_list_linked(&c->relay_link))
        pw_list_remove(&c->relay_waits_for->relay_waiters, &c->relay_link);
    if (s) {
        end_relay(c);
        if (s->connect)
            s->connect->relay_to = NULL;
        pw_server_close(s, "the client's login ended");
    }
}

bool pw_login_welcome(const struct client *c, struct buf *out)
{
    return pw_welcome_emit(&c->settings->welcome, c->app_name, out);
}

/* ---- what opens the server for this user: the newest proof counts, and replaces the others
 *
 * The upstream URL's own password stays: an administrator wrote it down for this user. */
static bool is_configured(const struct server_pool *p)
{
    const struct conf_upstream *up = &p->db->upstream;
    return up->password[0] && !strcmp(up->user, p->user);
}

static void forget_secrets(struct pool_credentials *c)
{
    if (c->password)
        explicit_bzero(c->password, strlen(c->password));
    if (c->md5)
        explicit_bzero(c->md5, strlen(c->md5));
    PW_FREE(c->password);
    PW_FREE(c->md5);
}

void pw_login_keep_keys(struct server_pool *p, const struct scram_keys *keys)
{
    if (is_configured(p))
        return;
    forget_secrets(&p->credentials);
    pw_server_pool_set_keys(p, keys, NULL);
}

void pw_login_keep_md5(struct server_pool *p, struct slice secret)
{
    struct pool_credentials *c = &p->credentials;
    if (is_configured(p) || (c->md5 && pw_slice_is(secret, c->md5)))
        return;
    forget_secrets(c);
    c->md5 = pw_strndup(secret.ptr, secret.len);
    c->has_keys = false;
}

void pw_login_keep_password(struct server_pool *p, struct slice password)
{
    struct pool_credentials *c = &p->credentials;
    if (is_configured(p) || password.len == 0 ||
        (c->password && pw_slice_is(password, c->password)))
        return;
    forget_secrets(c);
    c->password = pw_strndup(password.ptr, password.len);
    c->has_keys = false;
}
