/* Start order, stop order, and the control loop in between. */
#include "proxy/control/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/hashmap.h"
#include "proxy/base/log.h"
#include "proxy/control/collect.h"
#include "proxy/control/control_priv.h"
#include "proxy/control/state_dir.h"
#include "proxy/metrics/collector.h"

enum { BACKLOG = 1024, SWEEP_MAX = 10000 };

static void configure_log(const struct pw_conf *conf)
{
    const struct pw_log_options options = {.level = conf->pgweir.log_level,
                                           .json = conf->pgweir.log_format == CONF_LOG_JSON,
                                           .path = conf->pgweir.log_file};
    pw_log_configure(&options);
}

/* ---- periodic work */

static void on_check(uv_check_t *h)
{
    struct control *c = h->data;
    pw_loop_tick(&c->loop);
    pw_loop_flush(&c->loop);
}

static void on_second(uv_timer_t *t)
{
    struct control *c = t->data;
    pw_cache_sweep(c->cache, pw_clock_us(), SWEEP_MAX);
    pw_show_second(c);
    if (c->advice)
        pw_advice_desk_second(c->advice);
    pw_index_uses_second(c);
}

static void on_sample(uv_timer_t *t)
{
    struct control *c = t->data;
    pw_control_refresh_metrics(c);
    pw_sampler_take(c->sampler, pw_clock_us(), pw_clock_wall_us());
}

static void on_signal(uv_signal_t *h, int signum)
{
    struct control *c = h->data;
    pw_log_info("event=signal number=%d", signum);
    if (signum == SIGHUP)
        pw_control_reload(c);
    else if (signum == SIGUSR1)
        pw_log_reopen();
    else
        pw_control_stop(c, !c->draining);
}

static void on_foreign_writes(void *arg, uint32_t database_id, const uint32_t *oids, size_t n)
{
    struct control *c = arg;
    if (n == 0)
        pw_cache_bump_database(c->cache, database_id);
    for (size_t i = 0; i < n; i++)
        pw_cache_bump_table(c->cache, database_id, oids[i]);
}

static void wake_worker(void *arg, unsigned worker)
{
    struct control *c = arg;
    if (worker < c->n_workers && c->workers[worker])
        pw_worker_wake(c->workers[worker]);
}

/* ---- starting */

static bool check_console_login(void *arg, const char *user, const char *password,
                                enum admin_level *level)
{
    return pw_console_login(arg, user, password, level);
}

static bool fail(const char *setting, char *error)
{
    pw_log_error("event=start_failed setting=%s text=\"%s\"", setting, error ? error : "");
    fprintf(stderr, "pgweir: %s: %s\n", setting, error ? error : "not usable");
    pw_free(error);
    return false;
}

static bool listen_clients(struct control *c)
{
    const struct conf_pgweir *p = &c->conf->pgweir;
    char *error = NULL;
    int fd, n = 0;
    if (p->listen[0]) {
        if (pw_listen_bind_tcp(p->listen, BACKLOG, &fd, &error) != PW_OK)
            return fail("pgweir.listen", error);
        c->acceptors[n++] = pw_acceptor_new(c, fd, false);
        pw_log_info("event=listening on=%s port=%d", p->listen, pw_listen_port(fd));
    }
    if (p->unix_socket[0]) {
        char *path = pw_unix_socket_path(c->conf);
        enum pw_status st = pw_listen_bind_unix(path, 0777, BACKLOG, &fd, &error);
        if (st == PW_OK)
            pw_log_info("event=listening on=%s", path);
        pw_free(path);
        if (st != PW_OK)
            return fail("pgweir.unix_socket", error);
        c->acceptors[n++] = pw_acceptor_new(c, fd, true);
    }
    return true;
}

static bool start_fronts(struct control *c)
{
    const struct conf_pgweir *p = &c->conf->pgweir;
    char *error = NULL, *socket = pw_asprintf("%s/admin.sock", p->state_dir);
    const struct line_front_options line = {.admin = c->admin,
                                            .loop = &c->loop,
                                            .address = p->admin,
                                            .socket_path = c->has_state_dir ? socket : NULL,
                                            .auth_always = p->admin_auth,
                                            .check_login = check_console_login,
                                            .arg = c};
    enum pw_status st = pw_line_front_new(&line, &c->line, &error);
    pw_free(socket);
    if (st != PW_OK)
        return fail("pgweir.admin", error);
    if (p->admin[0])
        pw_log_info("event=listening on=%s for=console", p->admin);
    if (p->http[0]) {
        const struct http_options http = {.loop = &c->loop, .address = p->http};
        if (pw_http_new(&http, &c->http, &error) != PW_OK)
            return fail("pgweir.http", error);
        pw_log_info("event=listening on=%s for=http", p->http);
        pw_control_register_routes(c);
    }
    return true;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            pw_log_warn("event=nofile_limit text=\"could not be raised\"");
    }
}

static void init_loop(struct control *c)
{
    uv_loop_init(&c->uv);
    pw_loop_init(&c->loop, &c->uv);
    pw_mailbox_init(&c->box, &c->uv);
    uv_check_init(&c->uv, &c->check);
    uv_timer_init(&c->uv, &c->second);
    uv_timer_init(&c->uv, &c->sample);
    uv_timer_init(&c->uv, &c->grace);
    c->check.data = c->second.data = c->sample.data = c->grace.data = c;
    uv_check_start(&c->check, on_check);
    uv_timer_start(&c->second, on_second, 1000, 1000);
    static const int signals[PW_COUNT_OF(((struct control *)0)->signals)] = {SIGHUP, SIGTERM,
                                                                             SIGINT, SIGUSR1};
    for (size_t i = 0; i < PW_COUNT_OF(signals); i++) {
        uv_signal_init(&c->uv, &c->signals[i]);
        c->signals[i].data = c;
        uv_signal_start(&c->signals[i], on_signal, signals[i]);
    }
}

static const struct pw_conf *current_conf(void *arg)
{
    return ((struct control *)arg)->conf;
}

static bool pool_memory(void *arg, struct mem_pool_stats *out)
{
    struct control *c = arg;
    pw_pool_stats(pw_cache_pool(c->cache), out);
    return true;
}

static void init_rooms(struct control *c)
{
    const struct pw_conf *conf = c->conf;
    const struct cache_options cache = {.memory_bytes = conf->cache.memory_bytes,
                                        .max_entry_bytes = conf->cache.max_entry_bytes,
                                        .min_cost_us = conf->cache.min_cost_us};
    c->cache = pw_cache_new(&cache);
    c->planner = pw_planner_new(conf);
    pw_planner_on_foreign_writes(c->planner, on_foreign_writes, c);
    c->permits = pw_permits_new(wake_worker, c);
    c->databases = pw_databases_new(pw_control_on_new_database, c);
    c->secrets = pw_secrets_new(c);
    c->roles = pw_roles_new(c);
    c->uses = pw_index_uses_new(c);
    c->admin = pw_admin_new();
    const struct sampler_options sampler = {.history = conf->metrics.history,
                                            .gpu = conf->metrics.gpu == CONF_GPU_AUTO};
    c->sampler = pw_sampler_new(&sampler);
    pw_collector_add(pw_sampler_collect, c->sampler);
    pw_collector_add(pw_admin_collect_objects, NULL);
    c->own = (struct admin_own){
        .sampler = c->sampler, .conf = current_conf, .memory = pool_memory, .arg = c};
    pw_admin_register_own(c->admin, &c->own);
    pw_control_register_commands(c);
    uint64_t ms = conf->metrics.interval_us / 1000;
    uv_timer_start(&c->sample, on_sample, 0, ms ? ms : 1);
}

static void start_workers(struct control *c)
{
    unsigned n = c->conf->pgweir.workers ? c->conf->pgweir.workers : pw_default_workers();
    c->shared = (struct worker_shared){
        .dispatch = {.planner = c->planner,
                     .cache = c->cache,
                     .permits = c->permits,
                     .databases = c->databases,
                     .tls_for = pw_tls_for,
                     .arg = c},
        .admin = c->admin,
        .control = c,
        .find_secret = pw_control_find_secret,
        .find_roles = pw_control_find_roles,
        .run_command = pw_control_run_command,
        .route_cancel = pw_control_route_cancel,
        .on_drained = pw_control_on_drained,
    };
    atomic_store(&c->shared.max_clients, c->conf->pgweir.max_clients);
    if (getrandom(c->shared.auth_seed, sizeof c->shared.auth_seed, 0) != sizeof c->shared.auth_seed)
        PW_UNREACHABLE();
    c->n_workers = n < CONTROL_WORKERS_MAX ? n : CONTROL_WORKERS_MAX;
    for (unsigned i = 0; i < c->n_workers; i++)
        c->workers[i] = pw_worker_start(i, &c->shared, c->conf);
}

/* ---- stopping */

static void close_handles(struct control *c)
{
    uv_close((uv_handle_t *)&c->check, NULL);
    uv_close((uv_handle_t *)&c->second, NULL);
    uv_close((uv_handle_t *)&c->sample, NULL);
    uv_close((uv_handle_t *)&c->grace, NULL);
    for (size_t i = 0; i < PW_COUNT_OF(c->signals); i++)
        uv_close((uv_handle_t *)&c->signals[i], NULL);
    signal(SIGTERM, SIG_IGN); /* the second one may come this late: we end as asked */
    signal(SIGINT, SIG_IGN);
    pw_mailbox_close(&c->box);
}

static void on_front_closed(void *arg)
{
    struct control *c = arg;
    c->fronts_open--;
}

static void tear_down(struct control *c)
{
    for (unsigned i = 0; i < c->n_workers; i++)
        pw_index_uses_final(c, pw_worker_join(c->workers[i]));
    pw_control_close_listeners(c);
    c->fronts_open = (c->line != NULL) + (c->http != NULL);
    if (c->line)
        pw_line_front_close(c->line, on_front_closed, c);
    if (c->http)
        pw_http_close(c->http, on_front_closed, c);
    pw_advice_desk_free(c->advice);
    for (uint32_t i = 0; i < c->n_catalogs; i++)
        if (c->catalogs[i])
            pw_planner_database_remove(c->planner, c->catalogs[i]);
    pw_secrets_free(c->secrets);
    pw_roles_free(c->roles);
    pw_show_free(c);
    pw_index_uses_free(c);
    close_handles(c);
    while (c->fronts_open > 0)
        uv_run(&c->uv, UV_RUN_ONCE);
    pw_loop_destroy(&c->loop);
    uv_run(&c->uv, UV_RUN_DEFAULT); /* every handle is closing: ends when they are gone */
    pw_planner_free(c->planner);
    pw_collector_remove(pw_sampler_collect, c->sampler);
    pw_collector_remove(pw_admin_collect_objects, NULL);
    pw_sampler_free(c->sampler);
    pw_admin_free(c->admin);
    pw_cache_free(c->cache);
    pw_permits_free(c->permits);
    pw_databases_free(c->databases);
    pw_control_free_tls(c);
    pw_mailbox_destroy(&c->box);
    uv_loop_close(&c->uv);
    pw_conf_unref(c->conf);
}

/* Settings of the contract whose helper is not in this version. */
static void say_unsupported(const struct pw_conf *conf)
{
    if (conf->redis.url[0])
        pw_log_warn(
            "event=not_in_this_version setting=redis.url next=\"the cache is not mirrored\"");
    if (conf->cache.consistency == CONF_CACHE_WAL)
        pw_log_warn(
            "event=not_in_this_version setting=cache.consistency=wal next=\"poll is used\"");
}

int pw_control_run(const struct pw_conf *conf, const struct control_options *options)
{
    struct control *c = pw_alloc(sizeof *c);
    signal(SIGPIPE, SIG_IGN);
    pw_hash_seed_init();
    configure_log(conf);
    raise_file_limit();
    say_unsupported(conf);
    c->conf = pw_conf_ref(conf);
    c->options = options;
    c->started_us = pw_clock_us();
    init_loop(c);
    c->has_state_dir = pw_state_dir_make(conf->pgweir.state_dir);
    if (!c->has_state_dir)
        pw_log_warn(
            "event=state_dir_unusable path=%s text=\"%s\" next=\"no admin.sock, no history\"",
            conf->pgweir.state_dir, strerror(errno));
    init_rooms(c);
    char *error;
    struct tls_set *tls = pw_tls_set_new(conf, &error);
    bool ok = tls || fail("tls", error);
    if (ok) {
        start_workers(c);
        pw_tls_set_use(c, tls);
        c->advice = pw_advice_desk_new(c);
        ok = start_fronts(c) && listen_clients(c);
    }
    if (ok) {
        pw_log_info("event=started version=%s workers=%u", PW_VERSION, c->n_workers);
        pw_notify("READY=1\nSTATUS=ready");
    } else {
        c->exit_status = CLI_UNREACHABLE;
        pw_control_stop(c, false);
    }
    while (!c->stopped)
        uv_run(&c->uv, UV_RUN_ONCE);
    int status = c->exit_status;
    tear_down(c);
    pw_log_info("event=stopped");
    pw_free(c);
    return status;
}
