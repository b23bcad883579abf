/* A throwaway self-signed certificate, so that no test depends on a file or on the openssl command.
 */
#ifndef TESTS_UNIT_NET_CERTS_H
#define TESTS_UNIT_NET_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/net/tls.h"

struct certs {
    char *dir, *cert, *key; /* OWN */
};

static inline void certs_make(struct certs *c, const char *host)
{
    c->dir = temp_dir();
    c->cert = pw_asprintf("%s/cert.pem", c->dir);
    c->key = pw_asprintf("%s/key.pem", c->dir);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1, -1, 0);
    X509_set_issuer_name(x, name);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *f = fopen(c->cert, "w");
    assert_true(PEM_write_X509(f, x) == 1);
    fclose(f);
    f = fopen(c->key, "w");
    assert_true(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
}

static inline void certs_free(struct certs *c)
{
    unlink(c->cert);
    unlink(c->key);
    rmdir(c->dir);
    pw_free(c->cert);
    pw_free(c->key);
    pw_free(c->dir);
}

#endif
