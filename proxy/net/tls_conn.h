/*
 * One TLS session as a pure transformer between two byte streams: ciphertext in, plaintext out and
 * back. No I/O. Private to net: stream_tls.c moves the bytes. Thread: the owning stream's.
 */
#ifndef PROXY_NET_TLS_CONN_H
#define PROXY_NET_TLS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"

struct tls_context;
struct tls_conn;

enum tls_step {
    TLS_DONE,  /* it happened */
    TLS_MORE,  /* needs more ciphertext from the peer */
    TLS_EOF,   /* the peer said goodbye */
    TLS_ERROR, /* see pw_tls_conn_error */
};

/* Takes a reference on ctx. host (client side, may be NULL) is for SNI and for TLS_VERIFY_FULL. */
PW_MUSTUSE struct tls_conn *pw_tls_conn_try_new(struct tls_context *ctx, const char *host);
void pw_tls_conn_free(struct tls_conn *c);

bool pw_tls_conn_feed(struct tls_conn *c, const char *raw, size_t len); /* false: no memory */
bool pw_tls_conn_has_alpn(const struct tls_conn *c);                    /* after the handshake */
enum tls_step pw_tls_conn_handshake(struct tls_conn *c);
enum tls_step pw_tls_conn_read(struct tls_conn *c, char *to, size_t size, size_t *len);
enum tls_step pw_tls_conn_write(struct tls_conn *c, const char *from, size_t len); /* all of it */
void pw_tls_conn_shutdown(struct tls_conn *c);
size_t pw_tls_conn_take(struct tls_conn *c, char *to, size_t size); /* ciphertext for the peer */

const char *pw_tls_conn_error(const struct tls_conn *c); /* BORROW */
const char *pw_tls_conn_peer_cn(const struct tls_conn *c);
size_t pw_tls_conn_binding(const struct tls_conn *c, uint8_t *out, size_t max);

#endif
