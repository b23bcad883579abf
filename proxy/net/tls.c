/*
 * TLS over OpenSSL with memory BIOs; the only file of the data path that sees SSL_*. Owns contexts
 * (reference-counted, immutable, any thread) and sessions (one thread each).
 */
#include "proxy/net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/net/tls_conn.h"

struct tls_context {
    _Atomic unsigned refs;
    SSL_CTX *ssl_ctx; /* OWN */
    enum tls_verify verify;
    bool is_server;
};

struct tls_conn {
    struct tls_context *ctx; /* OWN reference */
    SSL *ssl;                /* OWN; owns its two BIOs */
    char *peer_cn;           /* OWN or NULL */
    bool error_set;
    char error[256];
};

/* The oldest queued OpenSSL error as text, and an empty queue. */
static void take_error(char *out, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    snprintf(out, size, "%s", why ? why : "unknown TLS error");
    ERR_clear_error();
}

/* ---- contexts ----------------------------------------------------------------------------- */

static char *file_error(const char *what, const char *path)
{
    char why[200];
    take_error(why, sizeof why);
    return pw_asprintf("%s \"%s\": %s", what, path, why);
}

/* "postgresql" where the peer offers ALPN (direct TLS demands it); a peer without ALPN is fine. */
static const unsigned char alpn[] = "\012postgresql";

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, alpn, sizeof alpn - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static char *load_identity(SSL_CTX *ctx, const char *cert, const char *key)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return file_error("certificate", cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return file_error("private key", key);
    return SSL_CTX_check_private_key(ctx) == 1 ? NULL : file_error("private key", key);
}

static struct tls_context *context_new(const SSL_METHOD *method, enum tls_verify verify,
                                       bool is_server)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    PW_CHECK(ctx);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    /* An idle session gives its record buffers back; what is written may move between attempts. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    struct tls_context *c = pw_alloc(sizeof *c);
    atomic_init(&c->refs, 1);
    c->ssl_ctx = ctx;
    c->verify = verify;
    c->is_server = is_server;
    return c;
}

static struct tls_context *refuse(struct tls_context *c, char **error, char *text)
{
    pw_tls_context_unref(c);
    *error = text;
    return NULL;
}

struct tls_context *pw_tls_server_context(const char *cert, const char *key, const char *ca,
                                          enum tls_verify verify, char **error)
{
    *error = NULL;
    struct tls_context *c = context_new(TLS_server_method(), verify, true);
    char *trouble = load_identity(c->ssl_ctx, cert, key);
    if (trouble)
        return refuse(c, error, trouble);
    SSL_CTX_set_alpn_select_cb(c->ssl_ctx, on_alpn, NULL);
    /* No resumption, as in PostgreSQL: no session cache, no tickets. */
    SSL_CTX_set_session_cache_mode(c->ssl_ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(c->ssl_ctx, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_num_tickets(c->ssl_ctx, 0);
    if (ca) {
        if (SSL_CTX_load_verify_locations(c->ssl_ctx, ca, NULL) != 1)
            return refuse(c, error, file_error("CA file", ca));
        SSL_CTX_set_client_CA_list(c->ssl_ctx, SSL_load_client_CA_file(ca));
    } else if (verify != TLS_VERIFY_NONE) {
        return refuse(c, error,
                      pw_strdup("client certificates are demanded but no CA file is set"));
    }
    int mode = SSL_VERIFY_NONE;
    if (ca)
        mode = SSL_VERIFY_PEER | (verify == TLS_VERIFY_NONE ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    SSL_CTX_set_verify(c->ssl_ctx, mode, NULL);
    return c;
}

struct tls_context *pw_tls_client_context(const char *ca, enum tls_verify verify, const char *cert,
                                          const char *key, char **error)
{
    *error = NULL;
    struct tls_context *c = context_new(TLS_client_method(), verify, false);
    if (ca && SSL_CTX_load_verify_locations(c->ssl_ctx, ca, NULL) != 1)
        return refuse(c, error, file_error("CA file", ca));
    if (!ca && verify != TLS_VERIFY_NONE)
        SSL_CTX_set_default_verify_paths(c->ssl_ctx);
    char *trouble = cert && key ? load_identity(c->ssl_ctx, cert, key) : NULL;
    if (trouble)
        return refuse(c, error, trouble);
    SSL_CTX_set_verify(c->ssl_ctx, verify == TLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                       NULL);
    SSL_CTX_set_alpn_protos(c->ssl_ctx, alpn, sizeof alpn - 1);
    return c;
}

struct tls_context *pw_tls_context_ref(struct tls_context *ctx)
{
    atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    return ctx;
}

void pw_tls_context_unref(struct tls_context *ctx)
{
    if (!ctx || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(ctx->ssl_ctx);
    pw_free(ctx);
}

/* ---- sessions ----------------------------------------------------------------------------- */

/* SNI carries names only; the certificate is checked against the name or the address. */
static bool set_host(struct tls_conn *c, const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    bool is_address = inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
    if (!is_address && SSL_set_tlsext_host_name(c->ssl, host) != 1)
        return false;
    if (c->ctx->verify != TLS_VERIFY_FULL)
        return true;
    X509_VERIFY_PARAM *param = SSL_get0_param(c->ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return (is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, host)
                       : X509_VERIFY_PARAM_set1_host(param, host, 0)) == 1;
}

struct tls_conn *pw_tls_conn_try_new(struct tls_context *ctx, const char *host)
{
    struct tls_conn *c = pw_alloc(sizeof *c);
    c->ctx = pw_tls_context_ref(ctx);
    c->ssl = SSL_new(ctx->ssl_ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!c->ssl || !in || !out) {
        BIO_free(in);
        BIO_free(out);
        pw_tls_conn_free(c);
        return NULL;
    }
    SSL_set_bio(c->ssl, in, out);
    if (ctx->is_server)
        SSL_set_accept_state(c->ssl);
    else
        SSL_set_connect_state(c->ssl);
    /* To verify a name there must be one: without it nothing would be checked. */
    if (!ctx->is_server && (host ? !set_host(c, host) : ctx->verify == TLS_VERIFY_FULL)) {
        pw_tls_conn_free(c);
        return NULL;
    }
    return c;
}

void pw_tls_conn_free(struct tls_conn *c)
{
    if (!c)
        return;
    SSL_free(c->ssl);
    pw_tls_context_unref(c->ctx);
    pw_free(c->peer_cn);
    pw_free(c);
}

bool pw_tls_conn_feed(struct tls_conn *c, const char *raw, size_t len)
{
    return BIO_write(SSL_get_rbio(c->ssl), raw, (int)len) == (int)len;
}

bool pw_tls_conn_has_alpn(const struct tls_conn *c)
{
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(c->ssl, &name, &len);
    return len > 0; /* on_alpn selects nothing but ours */
}

static void remember_error(struct tls_conn *c)
{
    if (c->error_set)
        return;
    c->error_set = true;
    long verdict = SSL_get_verify_result(c->ssl);
    if (verdict == X509_V_OK) {
        take_error(c->error, sizeof c->error);
        return;
    }
    snprintf(c->error, sizeof c->error, "certificate: %s", X509_verify_cert_error_string(verdict));
    ERR_clear_error();
}

static enum tls_step step_of(struct tls_conn *c, int result)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: /* memory BIOs grow: the rest comes with the next bytes */
        return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_EOF;
    default:
        remember_error(c);
        return TLS_ERROR;
    }
}

/* A CN with a NUL inside would be cut short by C: it is no name (CVE-2009-4034). */
static void read_peer_cn(struct tls_conn *c)
{
    X509 *cert = SSL_get0_peer_certificate(c->ssl);
    if (!cert || SSL_get_verify_result(c->ssl) != X509_V_OK ||
        (SSL_get_verify_mode(c->ssl) & SSL_VERIFY_PEER) == 0)
        return;
    X509_NAME *name = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0)
        return;
    unsigned char *text = NULL;
    int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (len > 0 && strlen((const char *)text) == (size_t)len)
        c->peer_cn = pw_strndup((const char *)text, (size_t)len);
    OPENSSL_free(text);
}

enum tls_step pw_tls_conn_handshake(struct tls_conn *c)
{
    ERR_clear_error();
    int result = SSL_do_handshake(c->ssl);
    if (result != 1) {
        enum tls_step step = step_of(c, result);
        return step == TLS_EOF ? TLS_ERROR : step;
    }
    read_peer_cn(c);
    return TLS_DONE;
}

enum tls_step pw_tls_conn_read(struct tls_conn *c, char *to, size_t size, size_t *len)
{
    ERR_clear_error();
    int result = SSL_read_ex(c->ssl, to, size, len);
    return result == 1 ? TLS_DONE : step_of(c, result);
}

enum tls_step pw_tls_conn_write(struct tls_conn *c, const char *from, size_t len)
{
    size_t written;
    ERR_clear_error();
    int result = SSL_write_ex(c->ssl, from, len, &written);
    return result == 1 ? TLS_DONE : step_of(c, result);
}

void pw_tls_conn_shutdown(struct tls_conn *c)
{
    ERR_clear_error();
    SSL_shutdown(c->ssl);
    ERR_clear_error();
}

size_t pw_tls_conn_take(struct tls_conn *c, char *to, size_t size)
{
    int len = BIO_read(SSL_get_wbio(c->ssl), to, (int)size);
    return len > 0 ? (size_t)len : 0;
}

const char *pw_tls_conn_error(const struct tls_conn *c)
{
    return c->error;
}

const char *pw_tls_conn_peer_cn(const struct tls_conn *c)
{
    return c->peer_cn;
}

/* RFC 5929, 4.1: the hash of the certificate's own signature, but SHA-256 instead of MD5 and SHA-1.
 */
static const EVP_MD *binding_hash(const X509 *cert)
{
    int digest;
    if (!OBJ_find_sigid_algs(X509_get_signature_nid(cert), &digest, NULL) || digest == NID_undef)
        return NULL;
    return digest == NID_md5 || digest == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(digest);
}

size_t pw_tls_conn_binding(const struct tls_conn *c, uint8_t *out, size_t max)
{
    const X509 *cert =
        c->ctx->is_server ? SSL_get_certificate(c->ssl) : SSL_get0_peer_certificate(c->ssl);
    const EVP_MD *hash = cert ? binding_hash(cert) : NULL;
    unsigned len = 0;
    if (!hash || (size_t)EVP_MD_get_size(hash) > max || !X509_digest(cert, hash, out, &len))
        len = 0;
    ERR_clear_error();
    return len;
}
