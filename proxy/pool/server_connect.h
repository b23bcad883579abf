/* What a server connection needs until it is logged in; see server_connect.c. */
#ifndef PROXY_POOL_SERVER_CONNECT_H
#define PROXY_POOL_SERVER_CONNECT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "proxy/base/buf.h"
#include "proxy/pool/hosts.h"
#include "proxy/wire/server_login.h"

struct resolve_req;
struct server;

enum { CONNECT_ADDRS_MAX = 8 };

/* An attempt: goes from one connection to the next until one of the upstream's hosts will do. */
struct server_connect {
    struct server *server; /* BACK; NULL when it closed while a derivation was running */
    struct server_login login;
    struct buf out;
    void *relay_to;                /* BACK: who is told how it ended; NULL: the pool */
    struct resolve_req *resolving; /* OWN */
    struct buf params;             /* OWN; further startup parameters, name NUL value NUL */
    struct host_choice order[HOST_ORDER_MAX];
    size_t n_order, at;                               /* order[at] is tried now */
    struct sockaddr_storage addrs[CONNECT_ADDRS_MAX]; /* of that host */
    int n_addrs, addr_at;
    struct buf report; /* OWN; why the hosts before would not do, "host:port: reason; " each */
    char text[256];    /* why it failed before there was a stream */
    char role[2]; /* answers to the role query: 't' or 'f' for standby, read-only; 0: not known yet
                   */
    bool relays;  /* relay_to is also asked for the secret */
    bool event;   /* connected, or TLS is up */
    bool in_handshake, deriving, asked_secret, authenticated;
    bool asked_role; /* logged in, and asked what it is */
    bool refused;    /* by us, not by the server: no other host would be better */
};

#endif
