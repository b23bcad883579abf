/* Shared by the files of this folder only. Everything here belongs to the control thread unless
 * said otherwise. */
#ifndef PROXY_CONTROL_CONTROL_PRIV_H
#define PROXY_CONTROL_CONTROL_PRIV_H

#include <uv.h>

#include "cache/cache.h"
#include "planner/planner.h"
#include "proxy/admin/admin.h"
#include "proxy/admin/commands_own.h"
#include "proxy/admin/line_front.h"
#include "proxy/control/control.h"
#include "proxy/http/http.h"
#include "proxy/metrics/sampler.h"
#include "proxy/net/listen.h"
#include "proxy/net/loop.h"
#include "proxy/net/mailbox.h"
#include "proxy/worker/worker.h"

struct acceptor;
struct secrets;
struct tls_set;
struct advice_desk;
struct index_uses;
struct show_state;

enum { CONTROL_WORKERS_MAX = 64, CONTROL_LISTENERS_MAX = 2, CONTROL_DATABASES_MAX = 1000 };

struct control {
    const struct pw_conf *conf; /* REF: the snapshot now */
    const struct control_options *options;
    uv_loop_t uv;
    struct net_loop loop;
    struct mailbox box;
    uv_check_t check;
    uv_timer_t second, sample, grace;
    uv_signal_t signals[4];
    struct worker_shared shared;
    struct worker *workers[CONTROL_WORKERS_MAX];
    unsigned n_workers, n_drained, next_worker;
    struct acceptor *acceptors[CONTROL_LISTENERS_MAX]; /* OWN */
    struct planner *planner;
    struct cache *cache;
    struct databases *databases;
    struct permits *permits;
    struct planner_database *catalogs[CONTROL_DATABASES_MAX]; /* by database id - 1 */
    uint32_t n_catalogs;
    struct secrets *secrets;
    struct roles *roles; /* OWN */
    struct admin *admin;
    struct admin_own own;
    struct line_front *line;
    struct http *http;
    struct sampler *sampler;
    struct advice_desk *advice;
    struct index_uses *uses;     /* OWN */
    struct show_state *show;     /* OWN; what SHOW STATS and PAUSE remember */
    struct tls_set *_Atomic tls; /* OWN; newest first, see tls.c */
    uint64_t started_us;
    bool stopping, draining, paused, stopped, has_state_dir;
    int exit_status, fronts_open;
};

/* accept.c */
struct acceptor *pw_acceptor_new(struct control *c, int fd, bool is_unix);
void pw_acceptor_close(struct acceptor *a); /* asynchronous; frees itself */

/* secrets.c */
struct secrets *pw_secrets_new(struct control *c);
void pw_secrets_free(struct secrets *s);
const struct userlist *
pw_secrets_users(struct secrets *s); /* auth.file; NULL: none. BORROW until the next call */
void pw_secrets_reload(struct secrets *s);
void pw_secrets_find(struct secrets *s, unsigned worker, uint64_t session_id, const char *database,
                     const char *user);

/* roles.c: which roles is a user a member of? The answer goes to the worker. */
struct roles *pw_roles_new(struct control *c);
void pw_roles_free(struct roles *r);
void pw_roles_find(struct roles *r, unsigned worker, uint64_t session_id, const char *database,
                   const char *user);

/* conninfo.c: a libpq conninfo for a database row, with this database name. OWN by the caller. */
char *pw_conninfo_for(const struct conf_upstream *up, const char *dbname);

/* mail.c: messages from worker threads; any thread */
void pw_control_find_secret(void *control, unsigned worker, uint64_t session_id,
                            const char *database, const char *user);
void pw_control_find_roles(void *control, unsigned worker, uint64_t session_id,
                           const char *database, const char *user);
void pw_control_run_command(void *control, unsigned worker, uint64_t session_id, const char *user,
                            struct slice text, bool is_admin);
void pw_control_route_cancel(void *control, uint32_t pid, struct slice key, int fd);
void pw_control_on_drained(void *control, unsigned worker);
void pw_control_on_new_database(void *control, uint32_t id, const char *name);
/* Runs fn on the control thread. drop instead of it when the loop is gone (may be NULL). */
void pw_control_call(struct control *c, void (*fn)(struct control *c, void *arg),
                     void (*drop)(void *arg), void *arg);

/* life.c */
void pw_control_stop(struct control *c, bool graceful);
void pw_control_reload(struct control *c);
/* Makes conf the snapshot everywhere (takes the reference), with the files that it names. False:
 * one of them is bad, nothing was changed, *error (OWN by the caller) says why. */
bool pw_control_publish(struct control *c, const struct pw_conf *conf, char **error);

bool pw_control_try_reload(struct control *c, char **error); /* error: OWN by the caller */
void pw_control_close_listeners(struct control *c);
unsigned pw_default_workers(void);
char *pw_unix_socket_path(const struct pw_conf *conf); /* OWN by the caller */

/* tls.c */
struct tls_set *pw_tls_set_new(const struct pw_conf *conf,
                               char **error); /* NULL and *error (OWN by the caller) */
void pw_tls_set_free(struct tls_set *set);    /* NULL is allowed */
void pw_tls_set_use(struct control *c, struct tls_set *set); /* takes it over */
struct tls_context *pw_tls_for(const struct dispatch_shared *shared,
                               const struct conf_database *db); /* any thread */
void pw_control_free_tls(struct control *c);

/* login.c: AUTH on the line console */
bool pw_console_login(void *control, const char *user, const char *password,
                      enum admin_level *level);

/* advice.c: the advisor seen from control */
struct advice_desk *pw_advice_desk_new(struct control *c);
void pw_advice_desk_free(struct advice_desk *desk); /* NULL is allowed */
void pw_advice_desk_second(struct advice_desk *desk);

/* index_uses.c: which indexes the query families use */
struct index_uses *pw_index_uses_new(struct control *c);
void pw_index_uses_free(struct control *c);      /* asynchronous: before the loop's last turns */
void pw_index_uses_configure(struct control *c); /* after a reload: settings and databases */
void pw_index_uses_database(struct control *c, uint32_t id, const char *name);
void pw_index_uses_second(struct control *c);
struct families_snapshot;
/* What a worker that ended had counted; takes it over. NULL is allowed. */
void pw_index_uses_final(struct control *c, struct families_snapshot *families);

/* show.c */
void pw_control_register_commands(struct control *c);
void pw_show_second(struct control *c);
void pw_show_free(struct control *c); /* asynchronous: before the loop's last turns */
/* api.c */
void pw_control_register_routes(struct control *c);
/* notify.c: systemd, when NOTIFY_SOCKET is set */
void pw_notify(const char *state);

#endif
