/* Host names to addresses through libuv's thread pool, remembered for 30 s. One per loop. */
#ifndef PROXY_NET_RESOLVE_H
#define PROXY_NET_RESOLVE_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

struct resolver;

/* n == 0: failed, error says why (BORROW during the call). Literal addresses answer from the cache
 * path too, always asynchronously from the caller's point of view only when a lookup was needed:
 * the callback may run before pw_resolve returns when the answer is known. */
typedef void (*pw_on_resolved)(void *arg, const struct sockaddr_storage *addrs, int n,
                               const char *error);

struct resolver *pw_resolver_new(uv_loop_t *uv);
void pw_resolver_free(
    struct resolver *r); /* pending lookups are forgotten, their callbacks not run */
/* Returns a handle for pw_resolve_cancel, or NULL when the callback has already run. */
struct resolve_req *pw_resolve(struct resolver *r, const char *host, int port, pw_on_resolved cb,
                               void *arg);
void pw_resolve_cancel(struct resolve_req *req); /* the callback will not run */

#endif
