/* Conflicts between settings, and what the file system says about those that are paths. Reads only.
 */
#include <errno.h>
#include <regex.h>
#include <unistd.h>

#include "conf/box.h"
#include "conf/hba.h"

const char *pw_box_where(const struct conf_box *box, const char *section, const char *key,
                         const char *database, size_t rule)
{
    for (size_t i = box->raw.n; i > 0; i--) {
        const struct raw_entry *e = &box->raw.entries[i - 1];
        if (e->rule != rule || !e->database != !database ||
            (database && strcmp(e->database, database) != 0))
            continue;
        if (key ? e->row && strcmp(e->row->key, key) == 0 && strcmp(e->row->section, section) == 0
                : !e->row)
            return e->where;
    }
    return "default";
}

static const char *where(const struct conf_box *box, const char *section, const char *key)
{
    return pw_box_where(box, section, key, NULL, 0);
}

static void check_readable(const struct conf_box *box, const char *section, const char *key,
                           const char *path, struct conf_errors *errors)
{
    if (*path && access(path, R_OK) != 0)
        pw_conf_error(errors, where(box, section, key), "%s.%s: cannot read %s: %s", section, key,
                      path, strerror(errno));
}

static void check_tls(const struct conf_box *box, struct conf_errors *errors)
{
    const struct conf_tls *tls = &box->pub.tls;
    const char *mode_at = where(box, "tls", "client_mode");
    if (*tls->cert && !*tls->key)
        pw_conf_error(errors, where(box, "tls", "cert"), "tls.cert without tls.key");
    if (*tls->key && !*tls->cert)
        pw_conf_error(errors, where(box, "tls", "key"), "tls.key without tls.cert");
    if (tls->client_mode != CONF_TLS_CLIENT_DISABLE && !*tls->cert)
        pw_conf_error(errors, mode_at, "tls.client_mode needs tls.cert and tls.key");
    if (tls->client_mode == CONF_TLS_CLIENT_VERIFY_FULL && !*tls->ca)
        pw_conf_error(errors, mode_at,
                      "tls.client_mode verify-full needs tls.ca, which vouches for clients");
    check_readable(box, "tls", "cert", tls->cert, errors);
    check_readable(box, "tls", "key", tls->key, errors);
    check_readable(box, "tls", "ca", tls->ca, errors);
}

static void check_auth(const struct conf_box *box, struct conf_errors *errors)
{
    const struct pw_conf *conf = &box->pub;
    const char *type_at = where(box, "auth", "type");
    if (conf->auth.type == CONF_AUTH_CERT && conf->tls.client_mode != CONF_TLS_CLIENT_VERIFY_FULL)
        pw_conf_error(errors, type_at, "auth.type cert needs tls.client_mode verify-full");
    if ((conf->auth.type == CONF_AUTH_SCRAM || conf->auth.type == CONF_AUTH_MD5) &&
        !*conf->auth.file && !*conf->auth.query)
        pw_conf_error(errors, type_at,
                      "auth.type %s needs auth.file or auth.query to find verifiers",
                      conf->auth.type == CONF_AUTH_MD5 ? "md5" : "scram-sha-256");
    if (conf->auth.type == CONF_AUTH_TRUST && *conf->pgweir.listen && !*conf->auth.hba_file &&
        !pw_conf_address_is_loopback(pw_slice_str(conf->pgweir.listen)))
        pw_conf_warning(errors, type_at,
                        "auth.type trust lets everybody who reaches %s in without a password",
                        conf->pgweir.listen);
    check_readable(box, "auth", "file", conf->auth.file, errors);
}

/* What a rule asks for must be possible, or everybody it matches would be refused at login. */
static void check_rules(const struct conf_box *box, struct conf_errors *errors)
{
    const struct pw_conf *conf = &box->pub;
    const struct hba *hba = conf->auth.hba;
    const char *at = where(box, "auth", "hba_file");
    if (!hba)
        return;
    bool offers_tls = conf->tls.client_mode != CONF_TLS_CLIENT_DISABLE;
    if (pw_hba_uses(hba, HBA_CERT) && (!offers_tls || !*conf->tls.ca))
        pw_conf_error(errors, at,
                      "a rule of auth.hba_file has the method cert: it needs tls.client_mode allow "
                      "or more, and tls.ca, which vouches for clients");
    bool has_secrets =
        *conf->auth.file || *conf->auth.query || conf->auth.type == CONF_AUTH_UPSTREAM;
    for (enum hba_method m = HBA_MD5; m <= HBA_PASSWORD && !has_secrets; m++)
        if (pw_hba_uses(hba, m))
            pw_conf_error(errors, at,
                          "a rule of auth.hba_file has the method %s: it needs auth.file, "
                          "auth.query or auth.type upstream to find verifiers",
                          pw_hba_method_name(m));
}

static bool same_address(const char *a, const char *b)
{
    struct slice host;
    uint16_t port;
    return *a && strcmp(a, b) == 0 && pw_conf_address_split(pw_slice_str(a), &host, &port) &&
           port != 0;
}

static void check_listen(const struct conf_box *box, struct conf_errors *errors)
{
    const struct conf_pgweir *p = &box->pub.pgweir;
    const char *admin_at = where(box, "pgweir", "admin");
    if (!*p->listen && !*p->unix_socket)
        pw_conf_error(errors, where(box, "pgweir", "listen"),
                      "nothing to listen on: pgweir.listen and pgweir.unix_socket are off");
    if (same_address(p->listen, p->admin) || same_address(p->admin, p->http))
        pw_conf_error(errors, admin_at, "pgweir.admin has the address of another listener, %s",
                      p->admin);
    if (same_address(p->listen, p->http))
        pw_conf_error(errors, where(box, "pgweir", "http"),
                      "pgweir.http and pgweir.listen have the same address, %s", p->http);
    if (*p->admin && !p->admin_auth && !pw_conf_address_is_loopback(pw_slice_str(p->admin)))
        pw_conf_error(errors, admin_at,
                      "pgweir.admin can be reached from other machines: set pgweir.admin_auth: on");
    if (p->admin_auth && box->pub.auth.n_admin_users == 0 && box->pub.auth.n_stats_users == 0)
        pw_conf_error(
            errors, where(box, "pgweir", "admin_auth"),
            "pgweir.admin_auth needs auth.admin_users or auth.stats_users: nobody could log in");
    else if (p->admin_auth && !*box->pub.auth.file)
        pw_conf_error(errors, where(box, "pgweir", "admin_auth"),
                      "pgweir.admin_auth needs auth.file, where AUTH finds the passwords: nobody "
                      "could log in");
}

static void check_cache(const struct conf_box *box, struct conf_errors *errors)
{
    const struct conf_cache *cache = &box->pub.cache;
    if (cache->max_entry_bytes > cache->memory_bytes)
        pw_conf_error(errors, where(box, "cache", "max_entry"),
                      "cache.max_entry is larger than cache.memory");
    for (size_t i = 0; i < box->pub.n_cache_rules; i++) {
        const struct conf_cache_rule *rule = &box->pub.cache_rules[i];
        const char *at = pw_box_where(box, "cache.rules", "match", NULL, i + 1);
        regex_t regex;
        if (!*rule->match) {
            at = pw_box_where(box, "cache.rules", NULL, NULL, i + 1);
            pw_conf_error(errors, at, "cache.rules[%zu] has no match", i + 1);
        } else if (rule->kind == CONF_RULE_REGEX) {
            char message[128];
            int failed = regcomp(&regex, rule->match, REG_EXTENDED | REG_NOSUB);
            if (failed) {
                regerror(failed, &regex, message, sizeof message);
                pw_conf_error(errors, at, "cache.rules[%zu].match: %s", i + 1, message);
            } else {
                regfree(&regex);
            }
        }
    }
}

/* A proxy in front of itself would wait for itself for ever. */
static bool is_own_address(const struct pw_conf *conf, const struct conf_host *host)
{
    struct slice listen;
    uint16_t port;
    if (!*conf->pgweir.listen ||
        !pw_conf_address_split(pw_slice_str(conf->pgweir.listen), &listen, &port))
        return false;
    bool local = strcmp(host->host, "localhost") == 0 || strcmp(host->host, "127.0.0.1") == 0 ||
                 strcmp(host->host, "::1") == 0;
    bool everywhere = listen.len == 0 || pw_slice_is(listen, "*") || pw_slice_is(listen, "0.0.0.0");
    bool loopback = pw_slice_is(listen, "127.0.0.1") || pw_slice_is(listen, "localhost") ||
                    pw_slice_is(listen, "::1");
    return host->port == port && port != 0 &&
           ((local && (everywhere || loopback)) || pw_slice_is(listen, host->host));
}

static void check_database(const struct conf_box *box, const struct conf_database *db,
                           struct conf_errors *errors)
{
    const char *at = pw_box_where(box, "databases", NULL, db->name, 0);
    const char *url_at = pw_box_where(box, "databases", "upstream", db->name, 0);
    if (strcmp(db->name, "pgweir") == 0 || strcmp(db->name, "pgbouncer") == 0)
        pw_conf_error(errors, at, "the database name %s is the console's", db->name);
    if (!db->upstream.url && strcmp(url_at, "default") == 0)
        pw_conf_error(errors, at, "databases.%s has no upstream", db->name);
    if (db->min_pool_size > db->pool_size)
        pw_conf_error(errors, pw_box_where(box, "databases", "min_pool_size", db->name, 0),
                      "databases.%s: min_pool_size %u is more than pool_size %u", db->name,
                      db->min_pool_size, db->pool_size);
    for (size_t i = 0; db->upstream.url && i < db->upstream.n_hosts; i++)
        if (is_own_address(&box->pub, &db->upstream.hosts[i]))
            pw_conf_error(errors, url_at,
                          "databases.%s.upstream is the address that pgweir itself listens on",
                          db->name);
}

void pw_conf_check(const struct conf_box *box, bool upstream_optional, struct conf_errors *errors)
{
    check_listen(box, errors);
    check_tls(box, errors);
    check_auth(box, errors);
    check_rules(box, errors);
    check_cache(box, errors);
    for (size_t i = 0; i < box->pub.n_databases; i++)
        check_database(box, &box->pub.databases[i], errors);
    bool complete = errors->n == errors->n_warnings; /* else they may be what could not be read */
    if (box->pub.n_databases == 0 && !upstream_optional && complete)
        pw_conf_error(errors, "configuration",
                      "no database: give --upstream URL, or databases: in the file");
}
