/* TLS contexts of the configuration: one for clients, one per database row towards its servers. A
 * reload makes new ones; the old ones live until the process ends, because connections may still be
 * made with them. */
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/control/control_priv.h"

struct tls_set {
    struct tls_set *older;                 /* OWN */
    const struct pw_conf *conf;            /* REF */
    struct tls_context *client, **servers; /* OWN; servers by row */
};

static struct tls_context *server_context(const struct conf_upstream *up, char **error)
{
    enum tls_verify verify = up->sslmode == CONF_TLS_SERVER_VERIFY_FULL ? TLS_VERIFY_FULL
                             : up->sslmode == CONF_TLS_SERVER_VERIFY_CA ? TLS_VERIFY_CA
                                                                        : TLS_VERIFY_NONE;
    const char *ca = up->sslrootcert[0] ? up->sslrootcert : NULL;
    const char *cert = up->sslcert[0] ? up->sslcert : NULL,
               *key = up->sslkey[0] ? up->sslkey : NULL;
    return pw_tls_client_context(ca, verify, cert, key, error);
}

static struct tls_context *client_context(const struct pw_conf *conf, char **error)
{
    const struct conf_tls *t = &conf->tls;
    if (t->client_mode == CONF_TLS_CLIENT_DISABLE || !t->cert[0])
        return NULL;
    bool verify =
        t->client_mode == CONF_TLS_CLIENT_VERIFY_FULL || conf->auth.type == CONF_AUTH_CERT;
    return pw_tls_server_context(t->cert, t->key, t->ca[0] ? t->ca : NULL,
                                 verify ? TLS_VERIFY_FULL : TLS_VERIFY_NONE, error);
}

void pw_tls_set_free(struct tls_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->conf->n_databases; i++)
        if (set->servers[i])
            pw_tls_context_unref(set->servers[i]);
    if (set->client)
        pw_tls_context_unref(set->client);
    pw_free(set->servers);
    pw_conf_unref(set->conf);
    pw_free(set);
}

struct tls_set *pw_tls_set_new(const struct pw_conf *conf, char **error)
{
    struct tls_set *set = pw_alloc(sizeof *set);
    *error = NULL;
    set->conf = pw_conf_ref(conf);
    set->servers = pw_alloc((conf->n_databases + 1) * sizeof(struct tls_context *));
    set->client = client_context(conf, error);
    for (size_t i = 0; !*error && i < conf->n_databases; i++)
        if (conf->databases[i].upstream.sslmode != CONF_TLS_SERVER_DISABLE)
            set->servers[i] = server_context(&conf->databases[i].upstream, error);
    if (!*error)
        return set;
    pw_tls_set_free(set);
    return NULL;
}

void pw_tls_set_use(struct control *c, struct tls_set *set)
{
    set->older = atomic_load(&c->tls);
    atomic_store(&c->tls, set);
    atomic_store(&c->shared.client_tls, set->client);
}

struct tls_context *pw_tls_for(const struct dispatch_shared *shared, const struct conf_database *db)
{
    const struct control *c = shared->arg;
    for (struct tls_set *set = atomic_load(&c->tls); set; set = set->older)
        for (size_t i = 0; i < set->conf->n_databases; i++)
            if (&set->conf->databases[i] == db)
                return set->servers[i];
    return NULL;
}

void pw_control_free_tls(struct control *c)
{
    struct tls_set *set = atomic_load(&c->tls);
    while (set) {
        struct tls_set *older = set->older;
        pw_tls_set_free(set);
        set = older;
    }
    atomic_store(&c->tls, NULL);
}
