/*
 * TLS contexts over OpenSSL; the only user of OpenSSL's SSL_* functions. Contexts are immutable
 * after creation and shared between threads; a reload makes new ones. Session: see stream.h.
 */
#ifndef PROXY_NET_TLS_H
#define PROXY_NET_TLS_H

#include "proxy/base/attrs.h"

struct tls_context;

enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_CA, TLS_VERIFY_FULL };

/* Server side (clients connect to us): cert and key are PEM paths; ca (may be NULL) verifies client
 * certificates, which are demanded when verify is not NONE. On error NULL and *error (OWN by the
 * caller). */
PW_MUSTUSE struct tls_context *pw_tls_server_context(const char *cert, const char *key,
                                                     const char *ca, enum tls_verify verify,
                                                     char **error);
/* Client side (we connect to PostgreSQL). cert/key may be NULL. */
PW_MUSTUSE struct tls_context *pw_tls_client_context(const char *ca, enum tls_verify verify,
                                                     const char *cert, const char *key,
                                                     char **error);
struct tls_context *pw_tls_context_ref(struct tls_context *ctx);
void pw_tls_context_unref(struct tls_context *ctx);

#endif
