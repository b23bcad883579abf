/* Listening sockets: TCP (SO_REUSEADDR, one socket bound once and dup'ed per worker) and Unix.
 * Accept runs on each worker's loop; when out of descriptors accepting pauses for 100 ms and is
 * logged once a second. */
#ifndef PROXY_NET_LISTEN_H
#define PROXY_NET_LISTEN_H

#include <uv.h>

#include "proxy/base/attrs.h"
#include "proxy/base/status.h"

struct listener;

/* Binds now (control thread); returns a descriptor that any number of listeners may share.
 * addr is "host:port", "[v6]:port", ":port" or "*:port"; *error is OWN by the caller. */
enum pw_status pw_listen_bind_tcp(const char *addr, int backlog, int *fd, char **error) PW_MUSTUSE;
enum pw_status pw_listen_bind_unix(const char *path, int mode, int backlog, int *fd,
                                   char **error) PW_MUSTUSE;
/* The port a descriptor is bound to (for port 0 in tests). */
int pw_listen_port(int fd);

/* Called with the libuv handle to accept from (pw_stream_accept); must accept or the connection
 * stays queued. */
typedef void (*pw_on_connection)(void *arg, uv_stream_t *handle, bool is_pipe);
/* dup()s fd and accepts on loop. */
PW_MUSTUSE struct listener *pw_listener_new(uv_loop_t *uv, int fd, bool is_pipe,
                                            pw_on_connection cb, void *arg);
void pw_listener_close(struct listener *l); /* asynchronous; frees itself */

#endif
