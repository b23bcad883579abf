/*
 * Which roles is a user a member of, directly or indirectly? For +role in auth.hba_file; asked on
 * the upstream's side connection (pg_auth_members is everybody's to read). As PostgreSQL's
 * is_member_of_role_nosuper: a superuser is no member of what it was not put into. Nothing is kept,
 * so that a REVOKE counts for the next login. Control thread.
 */
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"
#include "proxy/control/control_priv.h"
#include "proxy/net/pgconn.h"

enum { QUERY_TIMEOUT_US = 5 * 1000 * 1000, ASKS_MAX = 20000, ROLES_BYTES_MAX = 1 << 20 };

static const char members_sql[] =
    "WITH RECURSIVE mine(id) AS ("
    "SELECT oid FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name "
    "UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN mine ON m.member "
    "OPERATOR(pg_catalog.=) mine.id) "
    "SELECT r.rolname FROM pg_catalog.pg_roles r JOIN mine ON r.oid OPERATOR(pg_catalog.=) mine.id";

struct source {          /* one upstream's connection */
    struct source *next; /* OWN */
    struct roles *roles; /* BACK */
    char *conninfo;      /* OWN */
    struct pgconn *conn; /* OWN */
    unsigned asked;      /* queries on their way */
};

struct roles {
    struct control *control;
    struct source *sources; /* OWN */
};

struct ask {
    struct source *source; /* BACK */
    unsigned worker;
    uint64_t session_id;
};

struct roles *pw_roles_new(struct control *c)
{
    struct roles *r = pw_alloc(sizeof *r);
    r->control = c;
    return r;
}

static void wipe(char *text)
{
    explicit_bzero(text, strlen(text)); /* the conninfo has a password */
    pw_free(text);
}

void pw_roles_free(struct roles *r)
{
    while (r->sources) {
        struct source *src = r->sources;
        r->sources = src->next;
        pw_pgconn_free(src->conn); /* what runs fails now */
        wipe(src->conninfo);
        pw_free(src);
    }
    pw_free(r);
}

/* names: each with its NUL; NULL: not known, and why. */
static void answer(struct roles *r, unsigned worker, uint64_t session_id, const struct buf *names,
                   const char *why)
{
    if (r->control->stopped) /* the workers are gone, or going */
        return;
    struct secret_answer a = {.session_id = session_id,
                              .found = names ? LOOKUP_FOUND : LOOKUP_FAILED,
                              .text = names ? NULL : pw_strdup(why)};
    if (names && names->len) {
        a.roles = pw_alloc(names->len);
        a.roles_len = names->len;
        memcpy(a.roles, names->data, names->len);
    }
    pw_worker_post_secret(r->control->workers[worker], &a);
}

static void on_members(void *arg, const struct pgresult *result)
{
    struct ask *ask = arg;
    struct source *src = ask->source;
    struct buf names;
    pw_buf_init(&names, ROLES_BYTES_MAX);
    bool ok = pw_pgresult_ok(result);
    for (int i = 0; ok && i < pw_pgresult_rows(result); i++) {
        const char *name = pw_pgresult_get(result, i, 0);
        ok = name && pw_buf_append_cstr(&names, name);
    }
    const char *why =
        pw_pgresult_ok(result) ? "the user is in too many roles" : pw_pgresult_error(result);
    answer(src->roles, ask->worker, ask->session_id, ok ? &names : NULL, why);
    src->asked--;
    pw_buf_free(&names);
    pw_free(ask);
}

static struct source *source_for(struct roles *r, const struct conf_database *db)
{
    /* Roles are the whole server's, see secrets.c. */
    const char *named = db->upstream.dbname;
    char *conninfo = pw_conninfo_for(&db->upstream, named && named[0] ? named : "postgres");
    struct source *src = r->sources;
    while (src && strcmp(src->conninfo, conninfo) != 0)
        src = src->next;
    if (src) {
        wipe(conninfo);
        return src;
    }
    src = pw_alloc(sizeof *src);
    src->roles = r;
    src->conninfo = conninfo;
    src->conn = pw_pgconn_new(&r->control->uv, conninfo, db->upstream.connect_timeout_us);
    src->next = r->sources;
    r->sources = src;
    return src;
}

void pw_roles_find(struct roles *r, unsigned worker, uint64_t session_id, const char *database,
                   const char *user)
{
    const struct pw_conf *conf = r->control->conf;
    const struct conf_database *db = pw_conf_database_find(conf, database);
    if (!db && conf->n_databases)
        db = &conf->databases[0]; /* the console's own database */
    struct source *src = db ? source_for(r, db) : NULL;
    if (!src || src->asked >= ASKS_MAX) {
        answer(r, worker, session_id, NULL,
               src ? "too many logins wait for the server's answer" : "no server to ask");
        return;
    }
    struct ask *ask = pw_alloc(sizeof *ask);
    *ask = (struct ask){src, worker, session_id};
    src->asked++;
    const char *params[] = {user};
    pw_pgconn_query(src->conn, members_sql, 1, params, QUERY_TIMEOUT_US, on_members, ask);
}
