/*
 * Our own questions to PostgreSQL over libpq, asynchronous on uv_poll: catalog, verifier look-up,
 * EXPLAIN samples, hypothetical indexes, health. The only includer of libpq-fe.h. One query at a
 * time per connection; further ones queue (bounded). Thread: the loop's. Connecting runs in libuv's
 * thread pool because libpq computes SCRAM (milliseconds) inside PQconnectPoll; results never block
 * the loop. A lost connection fails the pending queries and is re-made on the next query, with
 * back-off.
 */
#ifndef PROXY_NET_PGCONN_H
#define PROXY_NET_PGCONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proxy/base/attrs.h"

struct pgconn;   /* an asynchronous connection */
struct pgresult; /* an answer; BORROW during the callback */

/* conninfo is a URL or keyword string; application_name=pgweir and a clean search_path
 * (pg_catalog, pg_temp) are added. Nothing is connected until the first query. */
PW_MUSTUSE struct pgconn *pw_pgconn_new(uv_loop_t *uv, const char *conninfo,
                                        uint64_t connect_timeout_us);
void pw_pgconn_free(struct pgconn *c); /* pending callbacks run with ok == false ("closed") */

/* Text parameters (NULL = SQL NULL). With n_params 0 the text may hold several statements; the
 * result is the last one's. cb runs exactly once, on the loop, never before the call returns.
 * timeout_us 0: none. */
typedef void (*pw_on_pgresult)(void *arg, const struct pgresult *r);
void pw_pgconn_query(struct pgconn *c, const char *sql, int n_params, const char *const *params,
                     uint64_t timeout_us, pw_on_pgresult cb, void *arg);
bool pw_pgconn_is_idle(const struct pgconn *c);       /* nothing queued or running */
int pw_pgconn_server_version(const struct pgconn *c); /* 150018; 0 while never connected */

/* The answer. */
bool pw_pgresult_ok(const struct pgresult *r);
const char *pw_pgresult_error(
    const struct pgresult *r); /* "" when ok; says which host and user for connect errors */
const char *pw_pgresult_sqlstate(
    const struct pgresult *r); /* "" when none; "08006" when the connection failed */
int pw_pgresult_rows(const struct pgresult *r);
int pw_pgresult_cols(const struct pgresult *r);
const char *pw_pgresult_name(const struct pgresult *r, int col);
const char *pw_pgresult_get(const struct pgresult *r, int row, int col); /* NULL for SQL NULL */
size_t pw_pgresult_len(const struct pgresult *r, int row, int col);

/* The same, blocking, for the command line tools and for the advisor's own thread (never on a loop
 * thread). */
struct pgsync;
PW_MUSTUSE struct pgsync *pw_pgsync_connect(const char *conninfo, uint64_t timeout_us,
                                            char **error);
struct pgresult *pw_pgsync_query(struct pgsync *c, const char *sql, int n_params,
                                 const char *const *params); /* OWN; never NULL */
void pw_pgresult_free(struct pgresult *r); /* only for results of pw_pgsync_query */
int pw_pgsync_server_version(const struct pgsync *c);
void pw_pgsync_free(struct pgsync *c);
/* Splits a conninfo or URL into one keyword's value (OWN, NULL when absent); parse errors in
 * *error. */
char *pw_pgconn_info_get(const char *conninfo, const char *keyword, char **error);

#endif
