/*
 * Logs us in to a server, from the StartupMessage to the first ReadyForQuery. A pure machine: the
 * caller sends what is appended to `out`, feeds it each whole message of the server, and runs the
 * slow derivation elsewhere when asked. Owns its copies; must not be moved between init and free
 * (it points into itself). One thread at a time; while LOGIN_NEED_DERIVE is pending, another thread
 * may read `job` and nothing else.
 */
#ifndef PROXY_WIRE_SERVER_LOGIN_H
#define PROXY_WIRE_SERVER_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/buf.h"
#include "proxy/wire/params.h"
#include "proxy/wire/scram.h"
#include "proxy/wire/secret.h"

enum login_result {
    LOGIN_MORE,        /* waits for the server's next message */
    LOGIN_NEED_DERIVE, /* pw_scram_derive on `job`, then pw_server_login_resume */
    LOGIN_RELAY,       /* send `relay`, a whole message, to the client; its 'p' comes back through
                          pw_server_login_relay (not after the last SASL message) */
    LOGIN_DONE,        /* ReadyForQuery: params, pid and key are complete */
    LOGIN_FAIL,        /* `reason`, and `error` if the server sent one */
};

enum login_secret { LOGIN_NOTHING, LOGIN_PASSWORD, LOGIN_MD5, LOGIN_KEYS, LOGIN_CLIENT };

struct login_credentials {
    enum login_secret kind;
    struct slice text;             /* PASSWORD: the password; MD5: "md5..." */
    const struct scram_keys *keys; /* KEYS: from the client's own login (pass-through) */
};                                 /* CLIENT: the client itself is asked (relay) */

struct server_login {
    enum {
        SERVER_LOGIN_NEW,
        SERVER_LOGIN_AUTH, /* the server's Authentication request comes next */
        SERVER_LOGIN_SASL, /* in the middle of SCRAM */
        SERVER_LOGIN_DERIVING,
        SERVER_LOGIN_ANSWERED, /* all said: AuthenticationOk comes next */
        SERVER_LOGIN_RELAYING, /* the client's answer comes next */
        SERVER_LOGIN_STARTING, /* authenticated: parameters and the key */
        SERVER_LOGIN_END
    } state;
    enum login_secret credentials;
    struct secret secret; /* OWN */
    char *user;           /* OWN: of the startup parameters; MD5 needs it */
    struct buf startup;   /* OWN: the StartupMessage */
    struct scram_client scram;
    struct scram_binding binding;
    struct scram_job job;
    uint32_t messages, notices;
    struct buf relay; /* OWN: after LOGIN_RELAY */
    /* After LOGIN_DONE: */
    struct params params; /* OWN: ParameterStatus, in the order of arrival */
    uint32_t pid;
    uint8_t key[CANCEL_KEY_MAX];
    uint16_t key_len; /* 0: the server sent none, and cannot be cancelled */
    /* After LOGIN_FAIL: */
    char reason[200]; /* printable, for the log; never a secret */
    struct buf error; /* OWN: the body of the server's ErrorResponse, or empty (see errfields.h) */
};

/* params: user, database, options and settings for the StartupMessage; "user" must be there,
 * "_pq_." names must not. False: not encodable (a NUL, over 10 kB), or no memory. Free in either
 * case. */
PW_MUSTUSE bool pw_server_login_init(struct server_login *l, const struct name_value *params,
                                     size_t count, const struct login_credentials *c);
/* Before the start, where the server is reached by TLS: a SCRAM login is bound to that channel if
 * the server offers it. */
void pw_server_login_bind(struct server_login *l, const struct scram_binding *b);
enum login_result pw_server_login_start(struct server_login *l, struct buf *out);
enum login_result pw_server_login_feed(struct server_login *l, uint8_t type, struct slice body,
                                       struct buf *out);
/* keys NULL: the derivation failed. */
enum login_result pw_server_login_resume(struct server_login *l, const struct scram_keys *keys,
                                         struct buf *out);
/*
 * The body of the client's 'p' message. AuthenticationOk is not relayed: after LOGIN_DONE the
 * caller sends its own, then params, key and ReadyForQuery. SCRAM with channel binding is not
 * offered to the client, because the client's TLS does not end at that server.
 */
enum login_result pw_server_login_relay(struct server_login *l, struct slice body, struct buf *out);
void pw_server_login_free(struct server_login *l);

#endif
