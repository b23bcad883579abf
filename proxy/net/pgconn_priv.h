/* What the two pgconn files share: answers and connecting. Includes libpq; for net/pgconn*.c only.
 */
#ifndef PROXY_NET_PGCONN_PRIV_H
#define PROXY_NET_PGCONN_PRIV_H

#include <libpq-fe.h>

#include "proxy/net/pgconn.h"

/* No object of the user's may stand in for one of pg_catalog in our questions. */
#define PW_PG_SET_PATH "SET search_path TO pg_catalog, pg_temp"

struct pgresult {
    PGresult *res;    /* OWN; NULL when there was no answer */
    const char *text; /* BORROW from res or the caller; "" when ok */
    char *own_text;   /* OWN or NULL; what text may point to */
    char sqlstate[6];
};

void pw_pgresult_set(struct pgresult *r, PGresult *res); /* takes res */
void pw_pgresult_set_error(struct pgresult *r, const char *sqlstate,
                           const char *text); /* borrows text */
/* libpq's text without newlines. OWN by the caller. */
char *pw_pg_one_line(const char *text);
/* Blocks; any thread. NULL and *error (OWN by the caller) when it failed. */
PGconn *pw_pg_connect(const char *conninfo, uint64_t timeout_us, char **error);

#endif
