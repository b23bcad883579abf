/* What a session's login needs of its pool, so that sessions need not know pools. Worker's thread.
 */
#ifndef PROXY_DISPATCH_LOGIN_H
#define PROXY_DISPATCH_LOGIN_H

#include "proxy/dispatch/dispatch.h"

/* How the server was last seen to accept this user; UNKNOWN when that was too long ago to rely on.
 */
enum upstream_method pw_login_method(const struct server_pool *p, uint64_t now_us);
/* Counts the client in under max_clients of its database and max_user_clients (over all workers),
 * until pw_client_close; false: a limit is reached, and why says which. */
bool pw_login_admit(struct client *c, struct server_pool *p, char *why, size_t size);
void pw_login_leave(struct client *c);
/* Starts a server login for this client (how->relay_to is set here): one whose authentication is
 * the client's own (how->relays), or a connection of its own (how->dedicated); sink->on_relay and
 * on_relay_done follow. When no connection may be opened now (pool_size), or another login is just
 * finding out what the server asks for, sink->on_relay_turn tells when to decide again. */
void pw_login_relay_start(struct client *c, struct server_pool *p, const struct server_launch *how);
/* Replication: the client has a server connection of its own (sink->on_relay_done said so).
 * dedicated.c */
bool pw_dedicated_is_open(const struct client *c);
bool pw_dedicated_is_midway(
    const struct client *c); /* it has only a part of the server's last message */
void pw_dedicated_said(
    struct client *c, uint8_t type,
    struct slice text); /* a message is on its way; text: its body as far as it is there */
bool pw_dedicated_welcome(struct client *c,
                          struct buf *out); /* what that server reported, as ParameterStatus */
void pw_login_relay_answer(struct client *c, struct slice body);
void pw_login_relay_cancel(struct client *c); /* no-op when none is under way */
/* What the server reports with this client's settings, as ParameterStatus messages. */
bool pw_login_welcome(const struct client *c, struct buf *out);
/* What somebody can do about a server that refused (its ErrorResponse's body, or empty) or could
 * not be reached (text, or NULL). A static text. */
const char *pw_login_next_step(struct slice error, const char *text);
/* Remembered for the server leg. */
void pw_login_keep_keys(struct server_pool *p, const struct scram_keys *keys);
void pw_login_keep_md5(struct server_pool *p, struct slice secret);
void pw_login_keep_password(struct server_pool *p, struct slice password);

#endif
