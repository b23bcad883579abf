/*
 * Authenticates one client, after its StartupMessage. A pure machine: the caller sends what is
 * appended to `out`, feeds it each message, and runs the slow derivation elsewhere when asked.
 * Owns its copies; must not be moved between init and wipe (it points into itself). One thread at a
 * time; while AUTH_NEED_DERIVE is pending, another thread may read `job` and nothing else.
 *
 * What the user must not be able to tell apart is kept alike: an unknown user gets the challenge
 * that known users get, and fails at the same step, after the same work.
 */
#ifndef PROXY_WIRE_CLIENT_AUTH_H
#define PROXY_WIRE_CLIENT_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/buf.h"
#include "proxy/wire/scram.h"
#include "proxy/wire/secret.h"

enum auth_method { AUTH_METHOD_TRUST, AUTH_METHOD_PASSWORD, AUTH_METHOD_MD5, AUTH_METHOD_SCRAM };

enum auth_result {
    AUTH_MORE,        /* waits for the client's next message */
    AUTH_OK,          /* AuthenticationOk has been appended */
    AUTH_FAIL,        /* `reason` says why, for the log; nothing was appended: the caller answers */
    AUTH_NEED_DERIVE, /* pw_scram_derive on `job`, then pw_client_auth_resume */
};

struct client_auth {
    enum {
        CLIENT_AUTH_NEW,
        CLIENT_AUTH_DERIVE_VERIFIER, /* scram with a plain secret: its verifier is being made */
        CLIENT_AUTH_PASSWORD,
        CLIENT_AUTH_DERIVE_PASSWORD, /* cleartext against a verifier: its keys are being made */
        CLIENT_AUTH_MD5,
        CLIENT_AUTH_SASL_INITIAL,
        CLIENT_AUTH_SASL,
        CLIENT_AUTH_END
    } state;
    enum auth_method method;
    struct secret secret, typed; /* OWN: what we know; what the client sent in clear */
    char user[256];
    size_t user_len;
    uint8_t seed[SCRAM_KEY]; /* of mock verifiers */
    uint8_t salt[SCRAM_SALT_NEW], md5_salt[MD5_SALT];
    struct scram_binding binding;
    struct scram_verifier verifier;
    struct scram_server scram;
    struct scram_job job;
    bool doomed; /* there is nothing this client could send that would be right */
    const char *reason;
    /* After AUTH_OK, for the login to the server: */
    bool have_keys;
    struct scram_keys keys; /* a SCRAM login, or a password checked against a verifier */
};

/*
 * secret: as in rolpassword or a user list (plain, md5..., SCRAM-SHA-256$...), empty when the user
 * is unknown or has none. seed: the same 32 secret random bytes for the life of the process. As in
 * PostgreSQL, method md5 asks for SCRAM when a verifier is what is known (or nothing is). False: no
 * memory or no randomness. Wipe in either case.
 */
PW_MUSTUSE bool pw_client_auth_init(struct client_auth *a, enum auth_method method,
                                    struct slice user, struct slice secret,
                                    const uint8_t seed[SCRAM_KEY]);
/* Before the start, where the client came by TLS: it may bind its SCRAM login to that channel. */
void pw_client_auth_bind(struct client_auth *a, const struct scram_binding *b);
enum auth_result pw_client_auth_start(struct client_auth *a, struct buf *out);
enum auth_result pw_client_auth_feed(struct client_auth *a, uint8_t type, struct slice body,
                                     struct buf *out);
/* keys NULL: the derivation failed. */
enum auth_result pw_client_auth_resume(struct client_auth *a, const struct scram_keys *keys,
                                       struct buf *out);
/* After AUTH_OK: the password the client sent in clear, for the server leg; empty if it did not. */
struct slice pw_client_auth_password(const struct client_auth *a);
void pw_client_auth_wipe(struct client_auth *a);

#endif
