/* Asking a snapshot, counting its references and making changed copies. Any thread that holds a
 * reference. */
#include "conf/conf.h"

#include <ctype.h>
#include <stdio.h>

#include "conf/box.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

static struct conf_box *writable(const struct pw_conf *conf)
{
    return (struct conf_box *)(uintptr_t)pw_box_of(conf); /* only the count is ever written */
}

struct pw_conf *pw_conf_ref(const struct pw_conf *conf)
{
    struct conf_box *box = writable(conf);
    unsigned before = atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
    PW_CHECK(before > 0);
    return &box->pub;
}

void pw_conf_unref(const struct pw_conf *conf)
{
    if (!conf)
        return;
    struct conf_box *box = writable(conf);
    if (atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) == 1)
        pw_box_free(box);
}

const struct conf_database *pw_conf_database_find(const struct pw_conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->n_databases; i++)
        if (strcmp(conf->databases[i].name, name) == 0)
            return &conf->databases[i];
    if (conf->n_databases && strcmp(conf->databases[conf->n_databases - 1].name, "*") == 0)
        return &conf->databases[conf->n_databases - 1];
    return NULL;
}

const char *pw_conf_database_dbname(const struct conf_database *db, const char *client_name)
{
    if (strcmp(db->name, "*") == 0)
        return client_name;
    return *db->upstream.dbname ? db->upstream.dbname : db->name;
}

static void url_parameter(struct buf *url, char *separator, const char *key, const char *value)
{
    pw_buf_printf(url, "%c%s=", *separator, key);
    for (; *value; value++)
        if (strchr("-._~/", *value) || isalnum((unsigned char)*value))
            pw_buf_append(url, value, 1);
        else
            pw_buf_printf(url, "%%%02X", (unsigned char)*value);
    *separator = '&';
}

char *pw_conf_conninfo(const struct conf_database *db, const char *dbname)
{
    static const char *const modes[] = {"disable", "prefer", "require", "verify-ca", "verify-full"};
    static const char system_ca[] = "/etc/ssl/certs/ca-certificates.crt";
    const struct conf_upstream *up = &db->upstream;
    char separator = strchr(up->url, '?') ? '&' : '?';
    struct buf url;
    pw_buf_init(&url, 64 * 1024);
    pw_buf_append_str(&url, up->url); /* of a key given twice libpq takes the last */
    url_parameter(&url, &separator, "sslmode", modes[up->sslmode]);
    if (*up->sslrootcert)
        url_parameter(&url, &separator, "sslrootcert", up->sslrootcert);
    else if (up->sslmode >= CONF_TLS_SERVER_VERIFY_CA)
        url_parameter(&url, &separator, "sslrootcert", system_ca);
    if (dbname && *dbname)
        url_parameter(&url, &separator, "dbname", dbname);
    pw_buf_append_u8(&url, 0);
    PW_CHECK(!url.failed);
    return url.data;
}

static const struct conf_setting *find(const struct conf_box *box, const char *key)
{
    for (size_t i = 0; i < box->n_settings; i++)
        if (strcmp(box->settings[i].key, key) == 0)
            return &box->settings[i];
    return NULL;
}

const char *pw_conf_get(const struct pw_conf *conf, const char *key)
{
    const struct conf_setting *s = find(pw_box_of(conf), key);
    return s ? s->value : NULL;
}

bool pw_conf_setting(const struct pw_conf *conf, size_t i, struct conf_setting *out)
{
    const struct conf_box *box = pw_box_of(conf);
    if (i >= box->n_settings)
        return false;
    *out = box->settings[i];
    return true;
}

const char *pw_conf_source_name(enum conf_source s)
{
    static const char *const names[] = {"default", "file", "environment", "command line", "SET"};
    return names[s];
}

static char *first_error(const struct conf_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        if (!errors->items[i].warning)
            return pw_strdup(errors->items[i].text);
    PW_UNREACHABLE();
}

enum pw_status pw_conf_set(const struct pw_conf *conf, const char *key, const char *value,
                           struct pw_conf **changed, char **error)
{
    const struct conf_box *box = pw_box_of(conf);
    const struct conf_setting *s = find(box, key);
    struct conf_errors errors = {0};
    struct raw raw;
    *changed = NULL;
    *error = NULL;
    if (s && !s->reloadable) {
        *error = pw_asprintf("SET: %s can only be changed by a restart", key);
        return PW_CONFIG;
    }
    pw_raw_init(&raw);
    pw_raw_copy(&raw, &box->raw);
    pw_raw_read_pair(&raw, key, value, CONF_FROM_SET, "SET", &errors);
    if (!s && errors.n == 0) /* a database comes by the file, not by the back door */
        pw_conf_error(&errors, "SET", "no such database in %s", key);
    struct conf_box *built = pw_conf_build(&raw, box->state_dir, true, conf, &errors);
    if (built)
        *changed = &built->pub;
    else
        *error = first_error(&errors);
    pw_conf_errors_free(&errors);
    return built ? PW_OK : PW_CONFIG;
}

static bool same_rules(const struct pw_conf *a, const struct pw_conf *b)
{
    if (a->n_cache_rules != b->n_cache_rules)
        return false;
    for (size_t i = 0; i < a->n_cache_rules; i++) {
        const struct conf_cache_rule *x = &a->cache_rules[i], *y = &b->cache_rules[i];
        if (strcmp(x->match, y->match) != 0 || x->kind != y->kind || x->cache != y->cache ||
            x->ttl_us != y->ttl_us)
            return false;
    }
    return true;
}

static void diff_rules(const struct pw_conf *before, const struct pw_conf *after,
                       pw_on_conf_change cb, void *arg)
{
    char was[32], now[32];
    if (same_rules(before, after))
        return;
    snprintf(was, sizeof was, "%zu rules", before->n_cache_rules);
    snprintf(now, sizeof now, "%zu rules", after->n_cache_rules);
    cb(arg, "cache.rules", was, now, false);
}

/* Usually at the same index; further on when databases came or went. */
static size_t counterpart(const struct conf_box *box, size_t guess, const char *key)
{
    if (guess < box->n_settings && strcmp(box->settings[guess].key, key) == 0)
        return guess;
    size_t i = 0;
    while (i < box->n_settings && strcmp(box->settings[i].key, key) != 0)
        i++;
    return i;
}

size_t pw_conf_diff(const struct pw_conf *before, const struct pw_conf *after, pw_on_conf_change cb,
                    void *arg)
{
    const struct conf_box *old = pw_box_of(before), *new = pw_box_of(after);
    size_t restarts = 0;
    for (size_t i = 0; i < new->n_settings; i++) {
        const struct conf_setting *s = &new->settings[i];
        size_t was = counterpart(old, i, s->key);
        bool known = was < old->n_settings;
        if (known && strcmp(old->exact[was], new->exact[i]) == 0)
            continue;
        restarts += !s->reloadable;
        cb(arg, s->key, known ? old->settings[was].value : "", s->value, !s->reloadable);
    }
    for (size_t i = 0; i < old->n_settings; i++)
        if (counterpart(new, i, old->settings[i].key) == new->n_settings)
            cb(arg, old->settings[i].key, old->settings[i].value, "", false);
    diff_rules(before, after, cb, arg);
    return restarts;
}
