/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it, with and without channel binding
 * (tls-server-end-point, RFC 5929): verifiers, keys, and the two machines. Pure: bytes in, bytes
 * out. Every machine owns copies of what it keeps, in arrays of fixed size; peer text is never
 * copied without its length having been compared with the array's. The machines hold secrets: wipe
 * them with pw_scram_{server,client}_wipe. Any thread; only pw_scram_derive is slow (PBKDF2), and
 * belongs in a thread pool.
 */
#ifndef PROXY_WIRE_SCRAM_H
#define PROXY_WIRE_SCRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/buf.h"
#include "proxy/base/slice.h"
#include "proxy/wire/crypto.h"

#define SCRAM_MECHANISM      "SCRAM-SHA-256"
#define SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

enum {
    SCRAM_KEY = CRYPTO_SHA256,
    SCRAM_SALT_NEW = 16, /* of verifiers we make, as PostgreSQL's */
    SCRAM_SALT_MAX = 256,
    SCRAM_ITERATIONS = 4096,        /* of verifiers we make */
    SCRAM_ITERATIONS_MAX = 1000000, /* a server may not keep our thread pool busy for long */
    SCRAM_NONCE_OURS = 24,
    SCRAM_NONCE_MAX = 256,
    SCRAM_MESSAGE_MAX = 1024,
    SCRAM_PASSWORD_MAX = 4096,
    SCRAM_BINDING_MAX = 64, /* a SHA-512 */
};

struct scram_keys {
    uint8_t client[SCRAM_KEY], server[SCRAM_KEY];
};

struct scram_verifier {
    uint32_t iterations;
    uint16_t salt_len;
    uint8_t salt[SCRAM_SALT_MAX];
    uint8_t stored[SCRAM_KEY], server[SCRAM_KEY];
};

/* The TLS channel that the exchange may be bound to: the hash of the server's certificate. */
struct scram_binding {
    uint8_t data[SCRAM_BINDING_MAX];
    size_t len; /* 0: no TLS, or nothing to bind to */
};

/* What pw_scram_derive needs; borrows from the machine that asks, which must stay alive. */
struct scram_job {
    struct slice password, salt;
    uint32_t iterations;
};

/* SASLprep (or the raw bytes where that is not possible, as PostgreSQL), PBKDF2, then both keys. */
PW_MUSTUSE bool pw_scram_derive(struct slice password, struct slice salt, uint32_t iterations,
                                struct scram_keys *keys);

/* "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>" */
bool pw_scram_verifier_parse(struct slice text, struct scram_verifier *out);
bool pw_scram_verifier_print(const struct scram_verifier *v, struct buf *out);
PW_MUSTUSE bool pw_scram_verifier_from_keys(const struct scram_keys *keys, struct slice salt,
                                            uint32_t iterations, struct scram_verifier *out);
/* For a user that does not exist: the same salt each time, from a secret seed of this process. */
PW_MUSTUSE bool pw_scram_verifier_mock(struct slice user, const uint8_t seed[SCRAM_KEY],
                                       struct scram_verifier *out);
/* Do these keys open this verifier? Constant time. */
bool pw_scram_verifier_matches(const struct scram_verifier *v, const struct scram_keys *keys);

/* The three texts of an exchange that are signed, joined by commas: AuthMessage. */
struct scram_texts {
    struct slice client_first_bare, server_first, client_final_bare;
};
PW_MUSTUSE bool pw_scram_sign(const uint8_t key[SCRAM_KEY], const struct scram_texts *t,
                              uint8_t out[SCRAM_KEY]);

struct scram_text {
    char text[SCRAM_MESSAGE_MAX];
    size_t len;
};

/* ---- we are the server ---- */
enum scram_result { SCRAM_MORE, SCRAM_OK, SCRAM_FAIL };

struct scram_server {
    enum { SCRAM_SERVER_FIRST, SCRAM_SERVER_FINAL, SCRAM_SERVER_END } state;
    struct scram_verifier verifier;
    bool doomed;                     /* a mock: no proof is good enough */
    struct scram_binding binding;    /* what was offered; len 0: SCRAM-SHA-256 only */
    bool is_bound;                   /* the client chose SCRAM-SHA-256-PLUS */
    char gs2_flag;                   /* 'n', 'y' or 'p', to be seen again in the final message */
    char nonce[SCRAM_NONCE_MAX + 1]; /* our part of it, text */
    struct scram_text client_first_bare, server_first;
    struct slice full_nonce; /* LINK into server_first: client's and ours */
    struct scram_keys keys;  /* after SCRAM_OK: what passes the login on to a server */
    const char *reason;      /* after SCRAM_FAIL, for the log */
};

PW_MUSTUSE bool pw_scram_server_init(struct scram_server *s, const struct scram_verifier *v,
                                     bool doomed);
/* Before the first message: what the channel offers, and whether the client chose to be bound. */
void pw_scram_server_bind(struct scram_server *s, const struct scram_binding *b, bool chosen);
/* One client message in, one server message appended to out (not after SCRAM_FAIL). */
enum scram_result pw_scram_server_feed(struct scram_server *s, struct slice in, struct buf *out);
void pw_scram_server_wipe(struct scram_server *s);

/* ---- we are the client ---- */
enum scram_client_result {
    SCRAM_CLIENT_MORE,        /* `out` goes to the server */
    SCRAM_CLIENT_NEED_DERIVE, /* run pw_scram_derive on `job`, then pw_scram_client_resume */
    SCRAM_CLIENT_OK,          /* the server has proved that it knows the verifier */
    SCRAM_CLIENT_FAIL,
};

struct scram_client {
    enum {
        SCRAM_CLIENT_FIRST,
        SCRAM_CLIENT_CHALLENGE,
        SCRAM_CLIENT_DERIVING,
        SCRAM_CLIENT_FINAL,
        SCRAM_CLIENT_END
    } state;
    char nonce[SCRAM_NONCE_MAX + 1];
    struct scram_binding binding;
    char gs2_flag; /* 'n': we cannot be bound; 'y': the server did not offer it; 'p': bound */
    bool have_keys;
    struct scram_keys keys;
    struct slice password; /* BORROW */
    struct scram_text client_first_bare, server_first, client_final_bare;
    uint8_t salt[SCRAM_SALT_MAX];
    struct scram_job job; /* valid in SCRAM_CLIENT_DERIVING */
    const char *reason;
};

/* password must outlive the machine. */
PW_MUSTUSE bool pw_scram_client_init(struct scram_client *c, struct slice password);
/* Pass-through: the keys that a client's own login gave away (scram_server.keys). */
PW_MUSTUSE bool pw_scram_client_init_keys(struct scram_client *c, const struct scram_keys *keys);
/* Before the first message: what our channel is, and whether the server offers to be bound to it.
 */
void pw_scram_client_bind(struct scram_client *c, const struct scram_binding *b, bool offered);
enum scram_client_result pw_scram_client_first(struct scram_client *c, struct buf *out);
enum scram_client_result pw_scram_client_feed(struct scram_client *c, struct slice in,
                                              struct buf *out);
/* keys NULL: the derivation failed. */
enum scram_client_result pw_scram_client_resume(struct scram_client *c,
                                                const struct scram_keys *keys, struct buf *out);
void pw_scram_client_wipe(struct scram_client *c);

#endif
