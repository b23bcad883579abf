/* Between the listener and pw_stream_accept: the descriptor of the connection being offered. */
#ifndef PROXY_NET_LISTEN_PRIV_H
#define PROXY_NET_LISTEN_PRIV_H

#include <uv.h>

/* Takes the accepted descriptor (non-blocking, close-on-exec) out of the handle given to
 * pw_on_connection; -1 when it has already been taken. */
int pw_listener_take(uv_stream_t *handle);

#endif
