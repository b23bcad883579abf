/*
 * The console for PostgreSQL clients: a session whose database is `pgweir` or `pgbouncer` (psql,
 * exporters, drivers; simple and extended protocol, no parameters). Pure message handling: bytes
 * in, bytes out. The owner holds the socket, has done the login and frames the messages; commands
 * it is handed are run elsewhere (pw_admin_start on the control thread) and their results given
 * back.
 *
 * Turn: pw_psql_front_feed one message, unless pw_psql_front_is_busy; when on_command was called,
 * the front is busy until pw_psql_front_result. on_command must not call back into the front.
 * Nothing here ever closes a session but a violation of the protocol.
 * Thread: the owner's; the registry is only read.
 */
#ifndef PROXY_ADMIN_PSQL_FRONT_H
#define PROXY_ADMIN_PSQL_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/admin/admin.h"
#include "proxy/base/buf.h"
#include "proxy/base/status.h"

/* What SHOW server_version says and ParameterStatus must say: clients parse it. */
#define PW_PSQL_SERVER_VERSION "15.0 (pgweir " PW_VERSION ")"

enum { PW_PSQL_NAMES_MAX = 64 }; /* prepared statements, and portals, of a session */

struct psql_front;

/* text is BORROW during the call: copy it into the message to the control thread. */
typedef void (*pw_on_psql_command)(void *arg, struct slice text);

/* user and database are what SELECT current_user and current_database() answer; copied. */
PW_MUSTUSE struct psql_front *pw_psql_front_new(const struct admin *registry, const char *user,
                                                const char *database, pw_on_psql_command on_command,
                                                void *arg);
void pw_psql_front_free(struct psql_front *f); /* a result still due may be dropped; NULL allowed */

/* One whole message other than Terminate. PW_PROTOCOL: malformed, or of a type that cannot come
 * here: send the ErrorResponse of that status and close. PW_NO_MEMORY: out is at its maximum. */
PW_MUSTUSE enum pw_status pw_psql_front_feed(struct psql_front *f, uint8_t type, struct slice body,
                                             struct buf *out);
bool pw_psql_front_is_busy(const struct psql_front *f);
/* The answer to the last on_command; takes over what is in *result and clears it. */
PW_MUSTUSE enum pw_status pw_psql_front_result(struct psql_front *f, struct admin_result *result,
                                               struct buf *out);
/* Moves a finished call's result out, to be sent to the thread that waits for it. */
struct admin_result pw_psql_result_take(struct admin_call *call);

#endif
