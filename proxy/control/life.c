/* Reload and shutdown. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/userlist.h"
#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/control/control_priv.h"

unsigned pw_default_workers(void)
{
    /* Half of the cores: the kernel's share of each query is on ours too, and a fuller loop wakes
     * less often (measured on two cores: 1.05 against 1.2 of PgBouncer's CPU per query at the same
     * throughput). */
    return (uv_available_parallelism() + 1) / 2;
}

char *pw_unix_socket_path(const struct pw_conf *conf)
{
    const char *given = conf->pgweir.unix_socket, *colon = strrchr(conf->pgweir.listen, ':');
    size_t len = strlen(given);
    if (len && given[len - 1] != '/' && access(given, X_OK) != 0)
        return pw_strdup(given); /* not a directory: the socket's own path */
    return pw_asprintf("%s%s.s.PGSQL.%s", given, len && given[len - 1] == '/' ? "" : "/",
                       colon ? colon + 1 : "6432");
}

void pw_control_close_listeners(struct control *c)
{
    for (int i = 0; i < CONTROL_LISTENERS_MAX; i++) {
        if (c->acceptors[i])
            pw_acceptor_close(c->acceptors[i]);
        c->acceptors[i] = NULL;
    }
}

static void on_grace_over(uv_timer_t *t)
{
    struct control *c = t->data;
    pw_log_warn("event=shutdown_timeout clients=%u", atomic_load(&c->shared.clients));
    pw_control_stop(c, false);
}

void pw_control_stop(struct control *c, bool graceful)
{
    if (c->stopping)
        return;
    pw_control_close_listeners(c);
    if (graceful && c->n_workers) {
        c->draining = true;
        pw_notify("STOPPING=1\nSTATUS=draining");
        pw_log_info("event=draining clients=%u", atomic_load(&c->shared.clients));
        for (unsigned i = 0; i < c->n_workers; i++)
            pw_worker_drain(c->workers[i]);
        uv_timer_start(&c->grace, on_grace_over, c->conf->pgweir.shutdown_timeout_us / 1000, 0);
        return;
    }
    c->stopping = c->stopped = true;
    for (unsigned i = 0; i < c->n_workers; i++)
        pw_worker_stop(c->workers[i]);
}

/* ---- reload */

static void log_change(void *arg, const char *key, const char *old_value, const char *new_value,
                       bool needs_restart)
{
    (void)arg;
    pw_log_info("event=setting_changed key=%s old=\"%s\" new=\"%s\"%s", key, old_value, new_value,
                needs_restart ? " note=\"takes effect after a restart\"" : "");
}

/* What only opening the files can tell. */
static bool check_userlist(const struct pw_conf *conf, char **error)
{
    struct conf_errors errors;
    if (!conf->auth.file[0])
        return true;
    struct userlist *list = pw_userlist_load(conf->auth.file, &errors);
    for (size_t i = 0; i < errors.n && !list && !*error; i++)
        if (!errors.items[i].warning)
            *error = pw_strdup(errors.items[i].text);
    pw_conf_errors_free(&errors);
    bool good = list != NULL;
    pw_userlist_free(list);
    return good;
}

bool pw_control_publish(struct control *c, const struct pw_conf *conf, char **error)
{
    const struct pw_conf *old = c->conf;
    struct tls_set *tls = pw_tls_set_new(conf, error);
    if (!tls || !check_userlist(conf, error)) {
        pw_tls_set_free(tls);
        pw_conf_unref(conf);
        return false;
    }
    pw_conf_diff(old, conf, log_change, NULL);
    c->conf = conf;
    const struct pw_log_options log = {.level = conf->pgweir.log_level,
                                       .json = conf->pgweir.log_format == CONF_LOG_JSON,
                                       .path = conf->pgweir.log_file};
    pw_log_configure(&log);
    const struct cache_options cache = {.memory_bytes = conf->cache.memory_bytes,
                                        .max_entry_bytes = conf->cache.max_entry_bytes,
                                        .min_cost_us = conf->cache.min_cost_us};
    pw_cache_configure(c->cache, &cache);
    pw_planner_configure(c->planner, conf);
    pw_index_uses_configure(c);
    pw_tls_set_use(c, tls);
    pw_secrets_reload(c->secrets);
    atomic_store(&c->shared.max_clients, conf->pgweir.max_clients);
    pw_line_front_set_auth(c->line, conf->pgweir.admin_auth);
    for (unsigned i = 0; i < c->n_workers; i++)
        pw_worker_post_conf(c->workers[i], conf);
    pw_metric_inc(pw_metrics_slot(PW_SLOT_CONTROL), PW_METRIC_RELOADS);
    pw_conf_unref(old);
    return true;
}

bool pw_control_try_reload(struct control *c, char **error)
{
    struct pw_conf *conf = NULL;
    struct conf_errors errors;
    enum pw_status st = pw_conf_load(&c->options->sources, &conf, &errors);
    *error = NULL;
    for (size_t i = 0; i < errors.n; i++) {
        pw_log_warn("event=reload text=\"%s\"", errors.items[i].text);
        if (!*error && !errors.items[i].warning)
            *error = pw_strdup(errors.items[i].text);
    }
    pw_conf_errors_free(&errors);
    if (st != PW_OK || !pw_control_publish(c, conf, error)) {
        pw_log_error("event=reload_refused text=\"%s\" next=\"nothing was changed\"",
                     *error ? *error : "");
        pw_metric_inc(pw_metrics_slot(PW_SLOT_CONTROL), PW_METRIC_RELOAD_FAILURES);
        return false;
    }
    pw_log_info("event=reloaded");
    return true;
}

void pw_control_reload(struct control *c)
{
    char *error;
    pw_notify("RELOADING=1");
    pw_control_try_reload(c, &error);
    pw_free(error);
    pw_notify("READY=1");
}
