/*
 * libpq, blocking: connecting, answers, and the connection of tools and of the advisor's thread.
 * Thread: any, never a loop's; nothing is shared between connections.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/net/pgconn_priv.h"

struct pgsync {
    PGconn *pg; /* OWN */
};

/* ---- answers ------------------------------------------------------------------------------ */

/* Takes res. */
void pw_pgresult_set(struct pgresult *r, PGresult *res)
{
    *r = (struct pgresult){.res = res, .text = ""};
    ExecStatusType status = PQresultStatus(res);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY)
        return;
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(r->sqlstate, sizeof r->sqlstate, "%s", state ? state : "08006");
    r->text = text ? text : PQresultErrorMessage(res);
    if (!r->text[0])
        r->text = "unexpected answer";
}

void pw_pgresult_set_error(struct pgresult *r, const char *sqlstate, const char *text)
{
    *r = (struct pgresult){.text = text};
    snprintf(r->sqlstate, sizeof r->sqlstate, "%s", sqlstate);
}

bool pw_pgresult_ok(const struct pgresult *r)
{
    return r->text[0] == '\0';
}

const char *pw_pgresult_error(const struct pgresult *r)
{
    return r->text;
}

const char *pw_pgresult_sqlstate(const struct pgresult *r)
{
    return r->sqlstate;
}

int pw_pgresult_rows(const struct pgresult *r)
{
    return r->res ? PQntuples(r->res) : 0;
}

int pw_pgresult_cols(const struct pgresult *r)
{
    return r->res ? PQnfields(r->res) : 0;
}

const char *pw_pgresult_name(const struct pgresult *r, int col)
{
    return r->res ? PQfname(r->res, col) : NULL;
}

const char *pw_pgresult_get(const struct pgresult *r, int row, int col)
{
    if (!r->res || row < 0 || row >= PQntuples(r->res) || col < 0 || col >= PQnfields(r->res))
        return NULL;
    return PQgetisnull(r->res, row, col) ? NULL : PQgetvalue(r->res, row, col);
}

size_t pw_pgresult_len(const struct pgresult *r, int row, int col)
{
    return pw_pgresult_get(r, row, col) ? (size_t)PQgetlength(r->res, row, col) : 0;
}

/* ---- connecting (any thread) -------------------------------------------------------------- */

static void on_notice(void *arg, const char *message)
{
    (void)arg;
    pw_log_debug("pgconn=notice text=\"%s\"", message);
}

/* libpq's texts end in a newline and may have several lines. */
char *pw_pg_one_line(const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    char *out = pw_strndup(text, len);
    for (char *c = out; *c; c++)
        if (*c == '\n')
            *c = ' ';
    return out;
}

/* Parse errors quote the connection string, and with it the password. What is quoted is hidden,
 * unless it is the name of an option. Takes text. */
static char *hide_quoted(char *text)
{
    static const char option[] = "invalid connection option";
    if (strncmp(text, option, sizeof option - 1) == 0)
        return text;
    bool quoted = false;
    for (char *c = text; *c; c++) {
        if (*c == '"' && (!quoted || c[1] == '\0' || c[1] == ' ' || c[1] == ')'))
            quoted = !quoted;
        else if (quoted)
            *c = '*';
    }
    return text;
}

/* Why libpq cannot read conninfo, on one line (OWN); NULL when it can. */
static char *parse_error(const char *conninfo)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &message);
    char *text = NULL;
    if (!options)
        text = hide_quoted(pw_pg_one_line(message ? message : "out of memory"));
    PQfreemem(message);
    PQconninfoFree(options);
    return text;
}

static char *connect_error(PGconn *pg, const char *message)
{
    char *text = pw_pg_one_line(message);
    char *out =
        pw_asprintf("cannot connect to %s:%s as %s: %s", pg && PQhost(pg) ? PQhost(pg) : "?",
                    pg && PQport(pg) ? PQport(pg) : "?", pg && PQuser(pg) ? PQuser(pg) : "?", text);
    pw_free(text);
    return out;
}

/* Blocks. NULL and *error (OWN) when it failed. */
PGconn *pw_pg_connect(const char *conninfo, uint64_t timeout_us, char **error)
{
    char seconds[24];
    uint64_t s = (timeout_us + 999999) / 1000000;
    snprintf(seconds, sizeof seconds, "%u", (unsigned)(s > 3600 ? 3600 : s));
    /* Later words win: what stands before dbname is only a default. */
    const char *words[] = {"connect_timeout", "client_encoding", "dbname", "application_name",
                           NULL};
    const char *values[] = {seconds, "UTF8", conninfo, "pgweir", NULL};
    *error = parse_error(conninfo);
    if (*error)
        return NULL;
    PGconn *pg = PQconnectdbParams(words, values, 1);
    if (pg && PQstatus(pg) == CONNECTION_OK) {
        PQsetNoticeProcessor(pg, on_notice, NULL);
        return pg;
    }
    *error = connect_error(pg, pg ? PQerrorMessage(pg) : "out of memory");
    PQfinish(pg);
    return NULL;
}

/* ---- blocking ----------------------------------------------------------------------------- */

struct pgsync *pw_pgsync_connect(const char *conninfo, uint64_t timeout_us, char **error)
{
    PGconn *pg = pw_pg_connect(conninfo, timeout_us, error);
    if (!pg)
        return NULL;
    PGresult *res = PQexec(pg, PW_PG_SET_PATH);
    bool ok = PQresultStatus(res) == PGRES_COMMAND_OK;
    PQclear(res);
    if (!ok) {
        *error = connect_error(pg, PQerrorMessage(pg));
        PQfinish(pg);
        return NULL;
    }
    struct pgsync *c = pw_alloc(sizeof *c);
    c->pg = pg;
    return c;
}

struct pgresult *pw_pgsync_query(struct pgsync *c, const char *sql, int n_params,
                                 const char *const *params)
{
    struct pgresult *r = pw_alloc(sizeof *r);
    PGresult *res = n_params == 0 ? PQexec(c->pg, sql)
                                  : PQexecParams(c->pg, sql, n_params, NULL, params, NULL, NULL, 0);
    if (res) {
        pw_pgresult_set(r, res);
        return r;
    }
    char *text = pw_pg_one_line(PQerrorMessage(c->pg));
    pw_pgresult_set_error(r, "08006", text);
    r->own_text = text;
    return r;
}

void pw_pgresult_free(struct pgresult *r)
{
    if (!r)
        return;
    PQclear(r->res);
    pw_free(r->own_text);
    pw_free(r);
}

int pw_pgsync_server_version(const struct pgsync *c)
{
    return PQserverVersion(c->pg);
}

void pw_pgsync_free(struct pgsync *c)
{
    if (!c)
        return;
    PQfinish(c->pg);
    pw_free(c);
}

char *pw_pgconn_info_get(const char *conninfo, const char *keyword, char **error)
{
    char *value = NULL;
    *error = parse_error(conninfo);
    PQconninfoOption *options = *error ? NULL : PQconninfoParse(conninfo, NULL);
    if (!options)
        return NULL;
    for (PQconninfoOption *o = options; o->keyword && !value; o++)
        if (strcmp(o->keyword, keyword) == 0 && o->val)
            value = pw_strdup(o->val);
    PQconninfoFree(options);
    return value;
}
