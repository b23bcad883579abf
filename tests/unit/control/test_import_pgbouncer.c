/* pgbouncer.ini in, pgweir.yaml out: what comes out loads and means the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/base/buf.h"
#include "proxy/control/import_pgbouncer.h"

enum { OUT_MAX = 1 << 20 };

static struct conf_errors errors;

static struct pw_conf *import(const char *ini, struct buf *out)
{
    struct conf_sources sources = {0};
    struct pw_conf *conf = NULL;
    pw_buf_init(out, OUT_MAX);
    if (!pw_import_pgbouncer(pw_slice_str(ini), "p.ini", out, &errors))
        fail_msg("%s", errors.items[0].text);
    pw_conf_errors_free(&errors);
    if (pw_conf_load_text(out->data, out->len, "out", &sources, &conf, &errors) != PW_OK)
        fail_msg("%s in:\n%.*s", errors.items[0].text, (int)out->len, out->data);
    pw_conf_errors_free(&errors);
    pw_buf_append_u8(out, 0);
    return conf;
}

static void test_everything(void **state)
{
    (void)state;
    struct buf out;
    struct pw_conf *c =
        import("; comment\n"
               "[databases]\n"
               "app = host=10.0.0.1,10.0.0.2 port=5433 dbname=real user=u password='it''s @ %' "
               "pool_size=7\n"
               "\"we\"\"ird\" = host=::1 pool_mode=session connect_query='SELECT 1'\n"
               "sock = host=/run/pg auth_user=looker\n"
               "* = host=db.example.com\n"
               "[pgbouncer]\n"
               "listen_addr = 127.0.0.1\nlisten_port = 7000\n"
               "unix_socket_dir = /tmp\n"
               "pool_mode = transaction\ndefault_pool_size = 30\nmin_pool_size = 2\n"
               "reserve_pool_size = 3\nreserve_pool_timeout = 7\n"
               "max_client_conn = 500\nmax_user_client_connections = 50\nserver_lifetime = "
               "1800\nserver_idle_timeout = 90.5\n"
               "query_wait_timeout = 30\nclient_login_timeout = 20\nidle_transaction_timeout = 0\n"
               "auth_type = trust\nadmin_users = ann, bob\nserver_tls_sslmode = require\n"
               "server_tls_ca_file = /etc/ca.pem\n"
               "server_reset_query = DISCARD ALL\nmax_db_connections = 5\nlog_stats = 1\nfoo = 1\n"
               "[users]\neve = pool_mode=session\n",
               &out);
    assert_string_equal(c->pgweir.listen, "127.0.0.1:7000");
    assert_string_equal(c->pgweir.unix_socket, "/tmp");
    assert_int_equal(c->pgweir.max_clients, 500);
    assert_int_equal(c->pgweir.max_user_clients, 50);
    assert_int_equal(c->auth.type, CONF_AUTH_TRUST);
    assert_int_equal(c->auth.n_admin_users, 2);
    assert_int_equal(c->auth.login_timeout_us, 20000000);
    assert_int_equal(c->tls.server_mode, CONF_TLS_SERVER_REQUIRE);
    const struct conf_database *app = pw_conf_database_find(c, "app");
    assert_string_equal(app->upstream.password, "it's @ %");
    assert_string_equal(app->upstream.dbname, "real");
    assert_int_equal(app->upstream.n_hosts, 2);
    assert_int_equal(app->upstream.hosts[0].port, 5433);
    assert_string_equal(app->upstream.sslrootcert, "/etc/ca.pem");
    assert_int_equal(app->upstream.sslmode, CONF_TLS_SERVER_REQUIRE);
    assert_int_equal(app->pool_size, 7);
    assert_int_equal(app->min_pool_size, 2);
    assert_int_equal(app->reserve_pool_size, 3);
    assert_int_equal(app->reserve_pool_timeout_us, 7000000);
    assert_int_equal(app->pool_mode, CONF_POOL_TRANSACTION);
    assert_int_equal(app->server_lifetime_us, 1800000000);
    assert_int_equal(app->server_idle_timeout_us, 90500000);
    assert_int_equal(app->query_wait_timeout_us, 30000000);
    const struct conf_database *weird = pw_conf_database_find(c, "we\"ird");
    assert_string_equal(weird->name, "we\"ird");
    assert_string_equal(weird->upstream.hosts[0].host, "::1");
    assert_int_equal(weird->pool_mode, CONF_POOL_SESSION);
    assert_int_equal(weird->pool_size, 30);
    const struct conf_database *sock = pw_conf_database_find(c, "sock");
    assert_string_equal(sock->upstream.hosts[0].host, "/run/pg");
    assert_string_equal(sock->upstream.user, "looker");
    assert_string_equal(pw_conf_database_find(c, "zzz")->upstream.hosts[0].host, "db.example.com");
    static const char *const notes[] = {
        "# note: server_reset_query: ",
        "# note: max_db_connections: ",
        ": foo is not known",
        "# note: user eve: ",
        "# note: database we\"ird: connect_query has no equivalent",
        "# note: database sock: if looker needs a password, put it into the URL",
        "# note: database *: name a user in the URL"};
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++)
        if (!strstr(out.data, notes[i]))
            fail_msg("no \"%s\" in:\n%s", notes[i], out.data);
    assert_null(strstr(out.data, "log_stats"));
    assert_null(strstr(out.data, "database app: if"));
    pw_conf_unref(c);
    pw_buf_free(&out);
}

static void test_defaults_of_pgbouncer(void **state)
{
    (void)state;
    struct buf out;
    struct pw_conf *c =
        import("[databases]\nd = host=h\n[pgbouncer]\nlisten_addr = *\n"
               "server_tls_ca_file = <system default>\nclient_tls_ca_file = <system default>\n",
               &out);
    assert_int_equal(c->databases[0].pool_mode,
                     CONF_POOL_SESSION); /* PgBouncer's default, not ours */
    assert_string_equal(c->pgweir.listen, "*:6432");
    assert_string_equal(c->databases[0].upstream.sslrootcert, "");
    assert_int_equal(c->auth.type, CONF_AUTH_UPSTREAM); /* md5 without a file has no verifiers */
    pw_conf_unref(c);
    pw_buf_free(&out);
}

static void fails(const char *ini, const char *expected)
{
    struct buf out;
    pw_buf_init(&out, OUT_MAX);
    assert_false(pw_import_pgbouncer(pw_slice_str(ini), "p.ini", &out, &errors));
    assert_string_equal(errors.items[0].text, expected);
    pw_conf_errors_free(&errors);
    pw_buf_free(&out);
}

static void test_errors(void **state)
{
    (void)state;
    fails("x = 1\n", "p.ini:1: a setting before any [section]");
    fails("[pgbouncer]\nnonsense\n", "p.ini:2: expected key = value");
    fails("[databases]\nd = host\n", "p.ini:2: d: expected key=value words");
    fails("[databases]\nd = host='h\n", "p.ini:2: d: expected key=value words");
    fails("[databases]\nd = host=h\n[pgbouncer]\nserver_lifetime = soon\n",
          "p.ini: server_lifetime: bad value \"soon\"");
    fails("[databases]\nd = host=h\n[pgbouncer]\npool_mode = best\n",
          "p.ini: pool_mode: unknown \"best\"");
    fails("[databases]\nd = host=h pool_size=x\n", "p.ini:2: pool_size: bad value");
    fails("%include other.ini\n",
          "p.ini:1: %include is not followed: import the files one by one, or join them");
    fails("[pgbouncer]\n", "p.ini: no [databases]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_defaults_of_pgbouncer),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
