/* Shared by server.c, server_connect.c, server_startup.c and pool.c only. */
#ifndef PROXY_POOL_SERVER_PRIV_H
#define PROXY_POOL_SERVER_PRIV_H

#include "proxy/pool/server.h"

extern const struct stream_callbacks pw_server_stream_callbacks;
struct server *pw_server_create(struct server_pool *pool); /* in state CONNECTING, not connected */
void pw_server_destroy(struct server *s);
void pw_server_connect_step(struct server *s);
void pw_server_connect_failed(struct server *s, const char *text, struct slice error);
/* The host will not do: the attempt goes on with the next one if it may, else it ends. s is closed.
 */
void pw_server_next_host(struct server *s, const char *text, struct slice error, bool may_go_on);
void pw_server_set_deadline(struct server *s);
struct host_state *pw_server_host_state(const struct server *s); /* of the host that is tried */
void pw_server_start_login(struct server *s);
void pw_server_read_login(struct server *s);
void pw_server_connect_destroy(struct server_connect *c);
void pw_server_connect_free(struct server *s); /* what only the login needed */

#endif
