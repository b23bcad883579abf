/*
 * The configuration: an immutable, reference-counted snapshot. Every field is named as its key in
 * the YAML file; durations end in _us (microseconds), sizes in _bytes, lists come with n_. Facts
 * about settings (type, range, default, help) live in conf.def. Strings are never NULL unless the
 * comment says so ("" = not set); all of them belong to the snapshot and live as long as a
 * reference does. Threads: any, through a reference.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/log.h"
#include "proxy/base/status.h"

enum conf_mode { CONF_MODE_OPTIMIZE, CONF_MODE_OBSERVE };
enum conf_log_format { CONF_LOG_TEXT, CONF_LOG_JSON };
enum conf_pool_mode { CONF_POOL_TRANSACTION, CONF_POOL_SESSION, CONF_POOL_STATEMENT };
enum conf_auth_type {
    CONF_AUTH_UPSTREAM,
    CONF_AUTH_SCRAM,
    CONF_AUTH_MD5,
    CONF_AUTH_TRUST,
    CONF_AUTH_CERT
};
enum conf_tls_client {
    CONF_TLS_CLIENT_DISABLE,
    CONF_TLS_CLIENT_ALLOW,
    CONF_TLS_CLIENT_REQUIRE,
    CONF_TLS_CLIENT_VERIFY_FULL
};
enum conf_tls_server {
    CONF_TLS_SERVER_DISABLE,
    CONF_TLS_SERVER_PREFER,
    CONF_TLS_SERVER_REQUIRE,
    CONF_TLS_SERVER_VERIFY_CA,
    CONF_TLS_SERVER_VERIFY_FULL
};
enum conf_consistency {
    CONF_CACHE_AUTO,
    CONF_CACHE_OFF,
    CONF_CACHE_TTL,
    CONF_CACHE_PROXY,
    CONF_CACHE_POLL,
    CONF_CACHE_WAL
};
enum conf_rule_kind { CONF_RULE_FAMILY, CONF_RULE_TABLE, CONF_RULE_REGEX };
enum conf_rule_cache { CONF_RULE_ON, CONF_RULE_OFF, CONF_RULE_FORCE };
enum conf_gpu { CONF_GPU_AUTO, CONF_GPU_OFF };

struct conf_host {
    const char *host; /* name, address (without brackets) or, with a leading '/', the directory of a
                         Unix socket */
    uint16_t port;
};

/* A validated upstream URL. `url` holds the password: never log or print it, `masked` is for that.
 */
struct conf_upstream {
    const char *url;                      /* as given; libpq accepts it */
    const char *masked;                   /* the password shown as *** */
    const char *user, *password, *dbname; /* percent-decoded; "" when absent */
    const struct conf_host *hosts;        /* at least one, in the order to try */
    size_t n_hosts;
    enum conf_tls_server sslmode;     /* the URL's, else tls.server_mode */
    const char *sslrootcert;          /* the URL's, else tls.ca; "" = the system's */
    const char *sslcert, *sslkey;     /* of the URL; "" when absent */
    const char *target_session_attrs; /* "any" when absent */
    uint64_t connect_timeout_us;      /* the URL's, else 15 s */
};

struct conf_database {
    const char *name; /* "*": every database that has no row of its own */
    struct conf_upstream upstream;
    enum conf_pool_mode pool_mode;
    uint32_t pool_size, min_pool_size, reserve_pool_size;
    uint32_t max_clients, max_user_clients;                 /* 0: no limit of its own */
    uint64_t reserve_pool_timeout_us;                       /* 0: the reserve is used at once */
    uint64_t server_lifetime_us;                            /* 0: closed after one use */
    uint64_t outage_wait_us;                                /* 0: told at the first failure */
    uint64_t query_wait_timeout_us, server_idle_timeout_us; /* 0: never */
    uint64_t client_idle_timeout_us, idle_transaction_timeout_us, query_timeout_us; /* 0: never */
};

struct conf_cache_rule {
    const char *
        match; /* family id, table or schema.table, or the regular expression without its slashes */
    enum conf_rule_kind kind; /* regex: POSIX extended, checked to compile */
    enum conf_rule_cache cache;
    uint64_t ttl_us; /* cache.ttl when the rule has none */
};

struct conf_pgweir {
    enum conf_mode mode;
    const char *listen, *admin, *http; /* "" = off */
    const char *unix_socket;           /* "" = none; a directory (.s.PGSQL.PORT inside) or a path */
    bool admin_auth;                   /* on: AUTH is needed on loopback and the unix socket too */
    uint32_t workers;                  /* 0 = auto: one per two cores */
    const char *state_dir;             /* resolved; never "" */
    uint32_t max_clients, max_user_clients; /* max_user_clients 0: no limit */
    enum pw_log_level log_level;
    enum conf_log_format log_format;
    const char *log_file; /* "" = stderr */
    uint64_t shutdown_timeout_us;
};

struct hba;

struct conf_auth {
    enum conf_auth_type type;
    const char *file, *query, *hba_file; /* "" = none */
    const struct hba *hba; /* the rules of hba_file (conf/hba.h); NULL: none. REF of the snapshot */
    const char *const *admin_users;
    size_t n_admin_users;
    const char *const *stats_users;
    size_t n_stats_users;
    uint64_t login_timeout_us;
};

struct conf_tls {
    enum conf_tls_client client_mode;
    const char *cert, *key, *ca; /* "" = none */
    enum conf_tls_server server_mode;
};

struct conf_cache {
    enum conf_consistency consistency;
    uint64_t memory_bytes, ttl_us, max_entry_bytes;
    uint64_t min_cost_us; /* replies that took less time to make are not kept */
    uint64_t poll_interval_us;
};

struct conf_redis {
    const char *url;                    /* "" = no mirror; holds the password: never print it */
    const char *host, *user, *password; /* from the URL */
    uint16_t port;
    uint32_t database;
    const char *prefix;
    uint32_t queue;
};

struct conf_batch {
    bool single_flight, pipeline, merge, promote;
    uint32_t max;
    uint64_t delay_us;
    uint32_t depth;
    uint64_t slow_us;
};

struct conf_planner {
    uint64_t max_sql_bytes;
    uint32_t memo;
    uint64_t catalog_wait_us;     /* 0 = never wait */
    uint64_t explain_interval_us; /* 0 = never */
    double explain_share;         /* a fraction: 0.005 is 0.5% */
    const char *index_log;        /* "" = no file */
    uint64_t slow_query_us;       /* 0 = never */
};

struct conf_advisor {
    uint64_t interval_us;  /* 0 = only on request */
    uint64_t budget_bytes; /* 0 = no limit */
    uint32_t max_columns;
    uint64_t unused_after_us;
    uint32_t rebuild_density; /* percent */
    uint64_t min_index_size_bytes;
    bool history;
};

struct conf_metrics {
    uint64_t interval_us;
    uint32_t history; /* samples kept */
    enum conf_gpu gpu;
};

struct pw_conf {
    struct conf_pgweir pgweir;
    struct conf_auth auth;
    struct conf_tls tls;
    struct conf_cache cache;
    struct conf_redis redis;
    struct conf_batch batch;
    struct conf_planner planner;
    struct conf_advisor advisor;
    struct conf_metrics metrics;
    const struct conf_database *databases; /* "*" is the last one */
    size_t n_databases;
    const struct conf_cache_rule *cache_rules; /* the first that matches wins */
    size_t n_cache_rules;
};

/* ---- loading ------------------------------------------------------------------------------------
 */

struct conf_override {
    const char *key, *value; /* "section.key", from --set and the short options */
};

/* Where settings come from, weakest last: command line, environment, file, default. BORROW during a
 * call; keep it for HUP, so that a reload has the same precedence. */
struct conf_sources {
    const char *file;                 /* NULL: none */
    const char *upstream;             /* NULL: none; the upstream of databases."*" */
    const struct conf_override *sets; /* the last one wins */
    size_t n_sets;
    char *const *environ_;  /* NULL: no environment; usually `environ` */
    bool upstream_optional; /* no database at all is fine (advise, doctor, tests) */
};

struct conf_error {
    char *text; /* OWN: "FILE:LINE:COLUMN: message" */
    bool warning;
};

struct conf_errors {
    struct conf_error *items; /* OWN */
    size_t n, n_warnings;     /* n counts both */
};

/* PW_OK and a reference in *conf (errors may still hold warnings), or PW_CONFIG and at least one
 * error. All errors are reported, not only the first. *errors need not be initialised; free it in
 * any case. */
PW_MUSTUSE enum pw_status pw_conf_load(const struct conf_sources *sources, struct pw_conf **conf,
                                       struct conf_errors *errors);
/* The same from text instead of sources->file; file_name is used in messages only. */
PW_MUSTUSE enum pw_status pw_conf_load_text(const char *text, size_t len, const char *file_name,
                                            const struct conf_sources *sources,
                                            struct pw_conf **conf, struct conf_errors *errors);
void pw_conf_errors_free(struct conf_errors *errors);

/* Defaults only, with one upstream for "*" (NULL: no database): for tests and tools. Aborts on a
 * bad URL. */
PW_MUSTUSE struct pw_conf *pw_conf_default(const char *upstream);

struct pw_conf *pw_conf_ref(const struct pw_conf *conf); /* returns conf; counts are atomic */
void pw_conf_unref(const struct pw_conf *conf);          /* NULL is allowed */

/* ---- asking -------------------------------------------------------------------------------------
 */

/* The row for a client's database name: its own, else "*", else NULL. */
const struct conf_database *pw_conf_database_find(const struct pw_conf *conf, const char *name);
/* The database to name upstream: for "*" the client's own name, else the URL's, else the row's
 * name. */
const char *pw_conf_database_dbname(const struct conf_database *db, const char *client_name);

/* The upstream as a URL for libpq, in which tls.server_mode, tls.ca and the database's name (NULL
 * or "": the URL's own) are in force. OWN; holds the password: never print it. */
PW_MUSTUSE char *pw_conf_conninfo(const struct conf_database *db, const char *dbname);

/* A setting's value as text, secrets as ***: "batch.max", "databases.app.pool_size"; NULL when
 * there is none. BORROW from the snapshot. */
const char *pw_conf_get(const struct pw_conf *conf, const char *key);

/* A changed copy (SET section.key = value), validated as a whole. On error PW_CONFIG and *error
 * (OWN). Refuses settings that need a restart. */
PW_MUSTUSE enum pw_status pw_conf_set(const struct pw_conf *conf, const char *key,
                                      const char *value, struct pw_conf **changed, char **error);

enum conf_source {
    CONF_FROM_DEFAULT,
    CONF_FROM_FILE,
    CONF_FROM_ENVIRONMENT,
    CONF_FROM_COMMAND_LINE,
    CONF_FROM_SET
};
const char *pw_conf_source_name(enum conf_source s); /* "default", "file", ... */

/* One row of SHOW CONFIG. All text is BORROW from the snapshot or static. */
struct conf_setting {
    const char *key;   /* "section.key", or "databases.app.pool_size" */
    const char *value; /* secrets as *** */
    const char *default_value;
    const char
        *type; /* "duration", "size", "integer", "percent", "on|off", "enum", "text", "list" */
    const char *range; /* "1 .. 1000", "transaction|session|statement", or "" */
    const char *help;
    bool reloadable;
    enum conf_source source;
};

/* Settings in the table's order, then the rows of databases; false when i is past the end. */
bool pw_conf_setting(const struct pw_conf *conf, size_t i, struct conf_setting *out);

/* What a reload would change, one call per setting; returns how many of them need a restart. */
typedef void (*pw_on_conf_change)(void *arg, const char *key, const char *old_value,
                                  const char *new_value, bool needs_restart);
size_t pw_conf_diff(const struct pw_conf *before, const struct pw_conf *after, pw_on_conf_change cb,
                    void *arg);

#endif
