/*
 * What authenticates a user: the user list (auth.file), auth.query, or for auth.type upstream the
 * server's own pg_authid, read over libpq with the upstream's user. Answers go to the asking
 * worker. Nothing is kept: an answer is always of a query sent after the login began, so that a
 * changed password counts at once; but logins that arrive while a query runs share the next one, so
 * that a storm of them is a few queries.
 */
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"
#include "proxy/base/clock.h"
#include "proxy/base/hashmap.h"
#include "proxy/base/list.h"
#include "proxy/base/log.h"
#include "proxy/control/control_priv.h"
#include "proxy/control/userfile.h"
#include "proxy/net/pgconn.h"

enum {
    QUERY_TIMEOUT_US = 5 * 1000 * 1000,
    NO_RIGHT_US = 30 * 1000 * 1000,
    BATCH_MAX = 500,
    ASKS_MAX = 20000 /* users waited for at once, per upstream */
};

/* rolvaliduntil and rolcanlogin are honoured (CVE-2025-2291); names are fully qualified, and
 * pgconn's search_path is pg_catalog alone. Columns: user, verifier, may log in, its password is
 * over. */
#define ROLE_COLUMNS                                                                               \
    " rolcanlogin, (rolvaliduntil IS NOT NULL AND rolvaliduntil OPERATOR(pg_catalog.<) "           \
    "pg_catalog.now()) "
static const char authid_sql[] =
    "SELECT rolname, rolpassword," ROLE_COLUMNS
    "FROM pg_catalog.pg_authid WHERE rolname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.name[])";
static const char roles_sql[] =
    "SELECT rolname, NULL::pg_catalog.text," ROLE_COLUMNS
    "FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.name[])";

struct asker {
    struct asker *next; /* OWN */
    unsigned worker;
    uint64_t session_id;
};

struct ask {               /* one user, and everybody who waits for its secret */
    struct list_node link; /* LINK source's pending or running */
    struct hash_node node; /* LINK source's by_user while pending */
    char *user;            /* OWN */
    char *secret;          /* OWN; what auth.query said, while the role itself is looked at */
    struct asker *askers;  /* OWN */
};

struct source {              /* one upstream's connection */
    struct source *next;     /* OWN */
    struct secrets *secrets; /* BACK */
    char *conninfo;          /* OWN */
    struct pgconn *conn;     /* OWN */
    struct list pending, running;
    struct hashmap by_user; /* of pending */
    unsigned one_by_one;    /* a batch failed: so many of its users are asked about alone */
    uint64_t no_right_until_us;
    char *no_right; /* OWN: why */
};

struct secrets {
    struct control *control;
    struct source *sources;
    struct userfile *users; /* OWN */
};

struct secrets *pw_secrets_new(struct control *c)
{
    struct secrets *s = pw_alloc(sizeof *s);
    s->control = c;
    s->users = pw_userfile_new();
    return s;
}

const struct userlist *pw_secrets_users(struct secrets *s)
{
    return pw_userfile_get(s->users, s->control->conf->auth.file);
}

void pw_secrets_reload(struct secrets *s)
{
    pw_userfile_forget_stamp(s->users);
    for (struct source *src = s->sources; src; src = src->next)
        src->no_right_until_us = 0; /* perhaps it was granted */
}

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    pw_free(secret);
}

static void answer(struct secrets *s, const struct asker *who, enum lookup found,
                   const char *secret, const char *why)
{
    if (s->control->stopped) /* the workers are gone, or going */
        return;
    struct secret_answer a = {.session_id = who->session_id,
                              .found = found,
                              .secret = pw_strdup(found == LOOKUP_FOUND ? secret : ""),
                              .text = why ? pw_strdup(why) : NULL};
    pw_worker_post_secret(s->control->workers[who->worker], &a);
}

static void push(struct source *src, struct ask *ask, bool first)
{
    if (first)
        pw_list_push_front(&src->pending, &ask->link);
    else
        pw_list_push_back(&src->pending, &ask->link);
    pw_hashmap_insert(&src->by_user, &ask->node, pw_hash_bytes(ask->user, strlen(ask->user)));
}

static struct ask *pop(struct source *src)
{
    struct ask *ask = PW_LIST_ENTRY(pw_list_pop_front(&src->pending), struct ask, link);
    pw_hashmap_remove(&src->by_user, &ask->node);
    return ask;
}

/* Answers everybody who waits and frees the ask, which is in no list any more. */
static void settle(struct source *src, struct ask *ask, enum lookup found, const char *secret,
                   const char *why)
{
    while (ask->askers) {
        struct asker *who = ask->askers;
        ask->askers = who->next;
        answer(src->secrets, who, found, secret, why);
        pw_free(who);
    }
    wipe(ask->secret);
    pw_free(ask->user);
    pw_free(ask);
}

static void fail_running(struct source *src, const char *why)
{
    while (!pw_list_empty(&src->running))
        settle(src, PW_LIST_ENTRY(pw_list_pop_front(&src->running), struct ask, link),
               LOOKUP_FAILED, NULL, why);
}

static void fail_pending(struct source *src, const char *why)
{
    while (!pw_list_empty(&src->pending))
        settle(src, pop(src), LOOKUP_FAILED, NULL, why);
}

static void send_next(struct source *src);

/* ---- failing */

static void on_failure(struct source *src, const struct pgresult *r)
{
    const char *why = pw_pgresult_error(r), *state = pw_pgresult_sqlstate(r);
    bool lasting = !strcmp(state, "42501"),
         lost = !strncmp(state, "08", 2) || !strncmp(state, "57", 2);
    size_t n = src->running.count;
    if (n > 1 && !lasting &&
        !lost) { /* one name may be no name at all (bytes of another encoding): the others are */
        src->one_by_one = (unsigned)n;
        while (!pw_list_empty(&src->running)) {
            struct list_node *last = pw_list_last(&src->running);
            pw_list_remove(&src->running, last);
            push(src, PW_LIST_ENTRY(last, struct ask, link), true);
        }
        return;
    }
    if (lasting) {
        src->no_right_until_us = pw_clock_us() + NO_RIGHT_US;
        pw_free(src->no_right);
        src->no_right = pw_strdup(why);
        pw_log_info("event=no_right_to_read_verifiers leg=pgweir_to_server text=\"%s\" "
                    "next=\"clients' logins are relayed "
                    "to the server; else grant the upstream's user what it needs, or set "
                    "auth.query or auth.file\"",
                    why);
    } else {
        pw_log_warn("event=verifier_lookup_failed leg=pgweir_to_server text=\"%s\" next=\"look at "
                    "the server, and at the "
                    "upstream URL and auth.query\"",
                    why);
    }
    fail_running(src, why);
    if (lost || lasting) /* no need to try for those who came meanwhile */
        fail_pending(src, why);
}

/* ---- answers about roles */

static int find_row(const struct pgresult *r, const char *user)
{
    for (int i = 0; i < pw_pgresult_rows(r); i++) {
        const char *name = pw_pgresult_get(r, i, 0);
        if (name && !strcmp(name, user))
            return i;
    }
    return -1;
}

static bool is_set(const struct pgresult *r, int row, int col)
{
    const char *value = pw_pgresult_get(r, row, col);
    return value && value[0] == 't';
}

static void settle_by_row(struct source *src, struct ask *ask, const struct pgresult *r, int row)
{
    const char *secret = ask->secret ? ask->secret : row >= 0 ? pw_pgresult_get(r, row, 1) : NULL;
    if (row < 0 && !ask->secret)
        settle(src, ask, LOOKUP_NO_USER, NULL, "there is no such role");
    else if (row >= 0 && !is_set(r, row, 2))
        settle(src, ask, LOOKUP_NO_USER, NULL, "the role may not log in (NOLOGIN)");
    else if (row >= 0 && is_set(r, row, 3))
        settle(src, ask, LOOKUP_NONE, NULL, "the role's password is over (VALID UNTIL)");
    else if (!secret || !secret[0])
        settle(src, ask, LOOKUP_NONE, NULL, "the role has no password");
    else
        settle(src, ask, LOOKUP_FOUND, secret, NULL);
}

static void on_roles(void *arg, const struct pgresult *r)
{
    struct source *src = arg;
    if (!pw_pgresult_ok(r)) {
        on_failure(src, r);
    } else {
        while (!pw_list_empty(&src->running)) {
            struct ask *ask = PW_LIST_ENTRY(pw_list_pop_front(&src->running), struct ask, link);
            settle_by_row(src, ask, r, find_row(r, ask->user));
        }
    }
    send_next(src);
}

/* The users of `running` as an array's text, each quoted. */
static void ask_roles(struct source *src, const char *sql)
{
    struct buf names;
    pw_buf_init(&names, 1 << 20);
    PW_LIST_FOR(&src->running, n, tmp)
    {
        pw_buf_append_str(&names, names.len ? ",\"" : "{\"");
        for (const char *c = PW_LIST_ENTRY(n, struct ask, link)->user; *c; c++) {
            if (*c == '"' || *c == '\\')
                pw_buf_append_u8(&names, '\\');
            pw_buf_append_u8(&names, (uint8_t)*c);
        }
        pw_buf_append_str(&names, "\"");
    }
    pw_buf_append(&names, "}", 2);
    const char *params[] = {names.data};
    pw_pgconn_query(src->conn, sql, 1, params, QUERY_TIMEOUT_US, on_roles, src);
    pw_buf_free(&names);
}

/* ---- auth.query: one user at a time, then whether the role may log in at all */

static void on_query(void *arg, const struct pgresult *r)
{
    struct source *src = arg;
    struct ask *ask = PW_LIST_ENTRY(pw_list_first(&src->running), struct ask, link);
    if (!pw_pgresult_ok(r)) {
        on_failure(src, r);
        send_next(src);
        return;
    }
    int col = pw_pgresult_cols(r) > 1 ? 1 : 0; /* user, secret; or the secret alone */
    const char *secret = pw_pgresult_rows(r) > 0 ? pw_pgresult_get(r, 0, col) : NULL;
    if (secret && secret[0]) {
        ask->secret = pw_strdup(secret);
        ask_roles(src, roles_sql);
        return;
    }
    pw_list_remove(&src->running, &ask->link);
    settle(src, ask, pw_pgresult_rows(r) ? LOOKUP_NONE : LOOKUP_NO_USER, NULL,
           pw_pgresult_rows(r) ? "auth.query knows no password of this user"
                               : "auth.query does not know this user");
    send_next(src);
}

static void send_next(struct source *src)
{
    const char *query = src->secrets->control->conf->auth.query;
    size_t most = query[0] || src->one_by_one ? 1 : BATCH_MAX;
    if (!pw_list_empty(&src->running) || pw_list_empty(&src->pending))
        return;
    src->one_by_one -= src->one_by_one > 0;
    while (src->running.count < most && !pw_list_empty(&src->pending))
        pw_list_push_back(&src->running, &pop(src)->link);
    if (!query[0]) {
        ask_roles(src, authid_sql);
        return;
    }
    const char *params[] = {PW_LIST_ENTRY(pw_list_first(&src->running), struct ask, link)->user};
    pw_pgconn_query(src->conn, query, 1, params, QUERY_TIMEOUT_US, on_query, src);
}

/* ---- asking */

static struct source *source_for(struct secrets *s, const struct conf_database *db)
{
    /* Roles are the whole server's: where the URL names no database, the one that is always there
     * will do. */
    const char *dbname =
        db->upstream.dbname && db->upstream.dbname[0] ? db->upstream.dbname : "postgres";
    char *conninfo = pw_conninfo_for(&db->upstream, dbname);
    struct source *src = s->sources;
    while (src && strcmp(src->conninfo, conninfo) != 0)
        src = src->next;
    if (src) {
        wipe(conninfo);
        return src;
    }
    src = pw_alloc(sizeof *src);
    src->secrets = s;
    src->conninfo = conninfo;
    src->conn = pw_pgconn_new(&s->control->uv, conninfo, db->upstream.connect_timeout_us);
    pw_list_init(&src->pending);
    pw_list_init(&src->running);
    pw_hashmap_init(&src->by_user);
    src->next = s->sources;
    s->sources = src;
    return src;
}

static struct ask *pending_for(struct source *src, const char *user)
{
    uint64_t hash = pw_hash_bytes(user, strlen(user));
    for (struct hash_node *n = pw_hashmap_first(&src->by_user, hash); n; n = pw_hashmap_next(n))
        if (!strcmp(PW_CONTAINER_OF(n, struct ask, node)->user, user))
            return PW_CONTAINER_OF(n, struct ask, node);
    struct ask *ask = pw_alloc(sizeof *ask);
    ask->user = pw_strdup(user);
    push(src, ask, false);
    return ask;
}

/* NULL: this server is not to be asked. */
static const struct conf_database *database_to_ask(const struct pw_conf *conf, const char *database)
{
    const struct conf_database *db = pw_conf_database_find(conf, database);
    if (!conf->auth.query[0] && conf->auth.type != CONF_AUTH_UPSTREAM)
        return NULL;
    return !db && conf->n_databases ? &conf->databases[0] : db; /* the console's own database */
}

void pw_secrets_find(struct secrets *s, unsigned worker, uint64_t session_id, const char *database,
                     const char *user)
{
    const struct asker who = {.worker = worker, .session_id = session_id};
    const struct userlist *list = pw_secrets_users(s);
    const struct userlist_entry *entry = list ? pw_userlist_find(list, user) : NULL;
    if (entry) {
        answer(s, &who, entry->kind == USERLIST_NONE ? LOOKUP_NONE : LOOKUP_FOUND, entry->secret,
               entry->kind == USERLIST_NONE ? "the user has no password in auth.file" : NULL);
        return;
    }
    const struct conf_database *db = database_to_ask(s->control->conf, database);
    if (!db) {
        answer(s, &who, LOOKUP_NO_USER, NULL, "the user is not in auth.file");
        return;
    }
    struct source *src = source_for(s, db);
    if (pw_clock_us() < src->no_right_until_us) {
        answer(s, &who, LOOKUP_FAILED, NULL, src->no_right);
        return;
    }
    if (src->pending.count >= ASKS_MAX) {
        answer(s, &who, LOOKUP_FAILED, NULL, "too many logins wait for the server's answer");
        return;
    }
    struct ask *ask = pending_for(src, user);
    struct asker *waiting = pw_alloc(sizeof *waiting);
    *waiting = who;
    waiting->next = ask->askers;
    ask->askers = waiting;
    send_next(src);
}

void pw_secrets_free(struct secrets *s)
{
    while (s->sources) {
        struct source *src = s->sources;
        s->sources = src->next;
        fail_pending(src, "pgweir is shutting down");
        pw_pgconn_free(src->conn); /* what runs fails now */
        pw_hashmap_free(&src->by_user);
        wipe(src->conninfo);
        pw_free(src->no_right);
        pw_free(src);
    }
    pw_userfile_free(s->users);
    pw_free(s);
}
