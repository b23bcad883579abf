/* What PostgreSQL itself says: one connection per database, a few catalog queries. Blocking, main
 * thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/table.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"
#include "proxy/control/doctor_priv.h"
#include "proxy/net/pgconn.h"

enum { OLDEST_VERSION = 120000 };

static const char facts_sql[] =
    "SELECT version.setting::int, current_user, pg_is_in_recovery(),"
    " coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),"
    " has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT'),"
    " current_setting('wal_level'), current_setting('max_connections')::int - "
    "current_setting('superuser_reserved_connections')::int,"
    " (SELECT setting LIKE '%pg_stat_statements%' FROM pg_settings" /* hidden from some roles */
    " WHERE name = 'shared_preload_libraries'),"
    " current_database(), current_setting('track_counts')::bool"
    " FROM pg_settings version WHERE version.name = 'server_version_num'";

enum fact {
    FACT_VERSION,
    FACT_USER,
    FACT_STANDBY,
    FACT_TLS,
    FACT_VERIFIERS,
    FACT_WAL_LEVEL,
    FACT_CONNECTIONS,
    FACT_STATEMENTS_LOADED,
    FACT_DATABASE,
    FACT_TRACK_COUNTS,
};

struct patient {
    struct doctor *d;
    const struct conf_database *db;
    const struct pgresult *facts; /* BORROW */
};

static const char *text(const struct patient *p, enum fact f)
{
    const char *value = pw_pgresult_get(p->facts, 0, (int)f);
    return value ? value : "";
}

static bool yes(const struct patient *p, enum fact f)
{
    return text(p, f)[0] == 't';
}

static bool is_known(const struct patient *p, enum fact f)
{
    return pw_pgresult_get(p->facts, 0, (int)f) != NULL;
}

static long number(const struct patient *p, enum fact f)
{
    return strtol(text(p, f), NULL, 10);
}

static void check_version(const struct patient *p)
{
    long version = number(p, FACT_VERSION);
    pw_doctor_say(p->d, version >= OLDEST_VERSION ? VERDICT_OK : VERDICT_WARN,
                  "upgrade PostgreSQL to 12 or later",
                  "%s: logged in as %s to database %s, PostgreSQL %ld%s", p->db->name,
                  text(p, FACT_USER), text(p, FACT_DATABASE), version / 10000,
                  yes(p, FACT_STANDBY) ? ", a standby" : "");
}

static void check_tls(const struct patient *p)
{
    bool local = p->db->upstream.hosts[0].host[0] == '/';
    if (yes(p, FACT_TLS))
        pw_doctor_say(p->d, VERDICT_OK, "", "%s: TLS on the way to PostgreSQL", p->db->name);
    else if (local || strcmp(p->db->upstream.hosts[0].host, "localhost") == 0 ||
             strncmp(p->db->upstream.hosts[0].host, "127.", 4) == 0)
        pw_doctor_say(p->d, VERDICT_OK, "", "%s: no TLS, and none is needed on this machine",
                      p->db->name);
    else
        pw_doctor_say(p->d, VERDICT_WARN,
                      "ssl = on in postgresql.conf and sslmode=verify-full in the URL",
                      "%s: no TLS on the way to PostgreSQL", p->db->name);
}

static void check_verifiers(const struct patient *p)
{
    const struct conf_auth *auth = &p->d->conf->auth;
    if (auth->type != CONF_AUTH_UPSTREAM || *auth->query)
        return;
    if (yes(p, FACT_VERIFIERS))
        pw_doctor_say(p->d, VERDICT_OK, "", "%s: %s may read verifiers: clients log in at pgweir",
                      p->db->name, text(p, FACT_USER));
    else
        pw_doctor_say(
            p->d, VERDICT_WARN,
            "GRANT SELECT ON pg_authid TO the user of the URL, or set auth.query to a SECURITY "
            "DEFINER function",
            "%s: %s may not read verifiers: each client's log-in is relayed to PostgreSQL",
            p->db->name, text(p, FACT_USER));
}

/* The follower is not part of this version: polling is what works, whatever the server would allow.
 */
static void check_wal(const struct patient *p)
{
    if (p->d->conf->cache.consistency == CONF_CACHE_WAL)
        pw_doctor_say(
            p->d, VERDICT_WARN, "cache.consistency: auto",
            "%s: the WAL follower is not part of this version: other writers are seen by polling",
            p->db->name);
    else if (p->d->conf->cache.consistency == CONF_CACHE_AUTO)
        pw_doctor_say(p->d, VERDICT_OK, "",
                      "%s: other writers are seen by polling; wal_level is %s, for a version that "
                      "follows the WAL",
                      p->db->name, text(p, FACT_WAL_LEVEL));
}

static void check_polling(const struct patient *p)
{
    if (!yes(p, FACT_TRACK_COUNTS))
        pw_doctor_say(
            p->d, VERDICT_WARN, "track_counts = on in postgresql.conf",
            "%s: track_counts is off: polling cannot see writes, the advisor cannot see use",
            p->db->name);
}

static void check_connections(const struct patient *p)
{
    long allowed = number(p, FACT_CONNECTIONS),
         wanted = p->db->pool_size + p->db->reserve_pool_size;
    if (wanted <= allowed)
        pw_doctor_say(p->d, VERDICT_OK, "", "%s: pool_size %ld, PostgreSQL accepts %ld connections",
                      p->db->name, wanted, allowed);
    else
        pw_doctor_say(p->d, VERDICT_FAIL,
                      "lower pool_size, or raise max_connections and restart PostgreSQL",
                      "%s: pool_size %ld is more than the %ld connections that PostgreSQL accepts",
                      p->db->name, wanted, allowed);
}

static void check_extension(const struct patient *p, struct pgsync *pg, const char *name,
                            const char *use)
{
    const char *params[] = {name};
    struct pgresult *r = pw_pgsync_query(
        pg, "SELECT installed_version IS NOT NULL FROM pg_available_extensions WHERE name = $1", 1,
        params);
    char fix[160];
    if (!pw_pgresult_ok(r) || pw_pgresult_rows(r) == 0) {
        snprintf(fix, sizeof fix, "install the server's package with %s, then CREATE EXTENSION %s",
                 name, name);
        pw_doctor_say(p->d, VERDICT_WARN, fix, "%s: extension %s is not available: %s", p->db->name,
                      name, use);
    } else if (pw_pgresult_get(r, 0, 0)[0] != 't') {
        snprintf(fix, sizeof fix, "CREATE EXTENSION %s", name);
        pw_doctor_say(p->d, VERDICT_WARN, fix, "%s: extension %s is not created: %s", p->db->name,
                      name, use);
    } else if (strcmp(name, "pg_stat_statements") == 0 && is_known(p, FACT_STATEMENTS_LOADED) &&
               !yes(p, FACT_STATEMENTS_LOADED)) {
        pw_doctor_say(p->d, VERDICT_WARN,
                      "add it to shared_preload_libraries and restart PostgreSQL",
                      "%s: extension %s is not loaded: %s", p->db->name, name, use);
    } else {
        pw_doctor_say(p->d, VERDICT_OK, "", "%s: extension %s", p->db->name, name);
    }
    pw_pgresult_free(r);
}

static void check_server(const struct patient *p, struct pgsync *pg)
{
    check_version(p);
    check_tls(p);
    check_verifiers(p);
    check_wal(p);
    check_polling(p);
    check_connections(p);
    check_extension(p, pg, "hypopg", "what-if indexes are estimated by pgweir's own model");
    check_extension(p, pg, "pgstattuple", "fragmentation of indexes is estimated, not measured");
    check_extension(p, pg, "pg_stat_statements", "advice knows only what passed through pgweir");
}

static void conninfo_word(struct buf *info, const char *key, struct slice value)
{
    pw_buf_printf(info, " %s='", key);
    for (size_t i = 0; i < value.len; i++)
        pw_buf_printf(info, "%s%c", value.ptr[i] == '\'' || value.ptr[i] == '\\' ? "\\" : "",
                      value.ptr[i]);
    pw_buf_append_str(info, "'");
}

/* The clients' leg: the same log-in through a pgweir that is running. */
static void check_client_leg(struct doctor *d, const struct conf_database *db, const char *dbname)
{
    const char *listen = d->conf->pgweir.listen;
    const struct conf_upstream *up = &db->upstream;
    struct slice host;
    uint16_t port;
    if (!*up->user || !pw_conf_address_split(pw_slice_str(listen), &host, &port))
        return;
    bool any = host.len == 0 || pw_slice_is(host, "*") || pw_slice_is(host, "0.0.0.0") ||
               pw_slice_is(host, "::");
    struct buf info;
    char *error = NULL;
    pw_buf_init(&info, 16384);
    pw_buf_printf(&info, "port=%u connect_timeout=5", port);
    conninfo_word(&info, "host", any ? PW_SLICE_LIT("localhost") : host);
    conninfo_word(&info, "user", pw_slice_str(up->user));
    conninfo_word(&info, "password", pw_slice_str(up->password));
    conninfo_word(&info, "dbname", pw_slice_str(dbname));
    pw_buf_append_u8(&info, 0);
    struct pgsync *pg = pw_pgsync_connect(info.data, 5000000, &error);
    if (pg)
        pw_doctor_say(d, VERDICT_OK, "", "%s: logged in through pgweir at %s", db->name, listen);
    else if (error && strstr(error, "refused"))
        pw_doctor_say(d, VERDICT_OK, "", "%s: pgweir is not running at %s; the address is free",
                      db->name, listen);
    else
        pw_doctor_say(d, VERDICT_FAIL, "see auth.* and pgweir's log",
                      "%s: log-in through pgweir at %s: %s", db->name, listen,
                      error ? error : "failed");
    pw_pgsync_free(pg);
    pw_free(error);
    explicit_bzero(info.data, info.len);
    pw_buf_free(&info);
}

static const char *connect_fix(const char *error)
{
    static const char *const causes[][2] = {
        {"password", "correct user and password in the URL"},
        {"authentication", "correct user and password in the URL, or pg_hba.conf on the server"},
        {"no encryption", "sslmode=require in the URL, or add this machine to pg_hba.conf on the "
                          "server and reload it"},
        {"pg_hba.conf", "add this machine to pg_hba.conf on the server and reload it"},
        {"permission denied for database", "GRANT CONNECT ON DATABASE to the user of the URL"},
        {"does not exist", "correct the database or user name in the URL"},
        {"refused",
         "start PostgreSQL, or correct host and port; see listen_addresses on the server"},
        {"translate host", "correct the host name in the URL"},
        {"certificate",
         "sslrootcert= in the URL, or tls.ca: the authority that signed the server's certificate"},
        {"SSL", "ssl = on on the server, or another sslmode in the URL"},
        {"timeout", "correct host and port, or open the firewall between here and there"},
    };
    for (size_t i = 0; i < PW_COUNT_OF(causes); i++)
        if (strstr(error, causes[i][0]))
            return causes[i][1];
    return "correct databases.*.upstream";
}

void pw_doctor_upstream(struct doctor *d, const struct conf_database *db)
{
    bool named = strcmp(db->name, "*") != 0;
    const char *dbname = *db->upstream.dbname ? db->upstream.dbname : named ? db->name : "postgres";
    char *conninfo = pw_conf_conninfo(db, dbname), *error = NULL;
    struct pgsync *pg = pw_pgsync_connect(conninfo, db->upstream.connect_timeout_us, &error);
    explicit_bzero(conninfo, strlen(conninfo));
    pw_free(conninfo);
    if (!pg) {
        const char *why = error ? error : "cannot connect";
        pw_doctor_say(d, VERDICT_FAIL, connect_fix(why), "%s: %s: %s", db->name,
                      db->upstream.masked, why);
        pw_free(error);
        return;
    }
    struct pgresult *facts = pw_pgsync_query(pg, facts_sql, 0, NULL);
    struct patient p = {d, db, facts};
    if (pw_pgresult_ok(facts) && pw_pgresult_rows(facts) == 1)
        check_server(&p, pg);
    else
        pw_doctor_say(d, VERDICT_FAIL, "is it PostgreSQL, and may this user read pg_settings?",
                      "%s: %s", db->name, pw_pgresult_error(facts));
    pw_pgresult_free(facts);
    pw_pgsync_free(pg);
    check_client_leg(d, db, named ? db->name : dbname);
}
