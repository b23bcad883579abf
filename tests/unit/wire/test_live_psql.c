/*
 * A real libpq client, psql: against client_auth with every method, its SCRAM keys passed on to a
 * real PostgreSQL, and its login relayed to that server.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "proxy/wire/client_auth.h"
#include "tests/unit/wire/live.h"

static const uint8_t seed[SCRAM_KEY] = {7};

/* ---- psql against client_auth ---- */

static int listen_any(uint16_t *at)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
    assert_true(listen(fd, 1) == 0 && getsockname(fd, (struct sockaddr *)&addr, &len) == 0);
    *at = ntohs(addr.sin_port);
    return fd;
}

static pid_t spawn_psql(uint16_t at, const char *user, const char *typed)
{
    pid_t pid = fork();
    if (pid == 0) {
        char *url = pw_asprintf("host=127.0.0.1 port=%u user=%s dbname=d sslmode=disable "
                                "gssencmode=disable",
                                at, user);
        setenv("PGPASSWORD", typed, 1);
        char *program = pw_asprintf("%s/psql", bin);
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(126);
        execl(program, "psql", "-X", "-w", "-c", ";", url, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void read_startup(int fd, const char *user)
{
    char packet[STARTUP_LEN_MAX];
    uint32_t len = 0;
    struct startup s;
    struct slice v;
    assert_true(read_exactly(fd, packet, 4));
    assert_int_equal(pw_startup_peek(pw_slice(packet, 4), &len), FRAME_OK);
    assert_true(read_exactly(fd, packet + 4, len - 4));
    assert_true(pw_startup_decode(pw_slice(packet, len), &s));
    assert_int_equal(s.kind, STARTUP_MESSAGE);
    assert_true(pw_startup_find(&s, "user", &v) && pw_slice_is(v, user));
}

static enum auth_result serve_auth(int fd, struct client_auth *a, struct buf *in, struct buf *out)
{
    uint8_t type;
    struct slice body;
    enum auth_result r = pw_client_auth_start(a, out);
    for (;;) {
        while (r == AUTH_NEED_DERIVE) {
            struct scram_keys keys;
            assert_true(pw_scram_derive(a->job.password, a->job.salt, a->job.iterations, &keys));
            r = pw_client_auth_resume(a, &keys, out);
        }
        if (r != AUTH_MORE)
            return r;
        flush(fd, out);
        assert_true(read_message(fd, in, &type, &body));
        r = pw_client_auth_feed(a, type, body, out);
    }
}

/* Lets psql in or not; true when it ended well. *keys is filled when the login gave them. */
static bool psql_logs_in(const char *user, const char *typed, enum auth_method method,
                         const char *secret, struct scram_keys *keys)
{
    uint16_t at = 0;
    int listener = listen_any(&at);
    pid_t pid = spawn_psql(at, user, typed);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    close(listener);
    struct client_auth *a = pw_alloc(sizeof *a);
    struct buf in, out;
    uint8_t type;
    struct slice body;
    pw_buf_init(&in, 1 << 20);
    pw_buf_init(&out, 1 << 20);
    read_startup(fd, user);
    assert_true(pw_client_auth_init(a, method, pw_slice_str(user), pw_slice_str(secret), seed));
    if (serve_auth(fd, a, &in, &out) == AUTH_OK) {
        pw_emit_parameter_status(&out, PW_SLICE_LIT("server_version"), PW_SLICE_LIT("15.0"));
        pw_emit_parameter_status(&out, PW_SLICE_LIT("client_encoding"), PW_SLICE_LIT("UTF8"));
        pw_emit_backend_key(&out, 1, PW_SLICE_LIT("key!"));
        pw_emit_ready(&out, 'I');
        flush(fd, &out);
        assert_true(read_message(fd, &in, &type, &body) && type == 'Q');
        pw_emit_empty_query(&out);
        pw_emit_ready(&out, 'I');
        flush(fd, &out);
        assert_true(read_message(fd, &in, &type, &body) && type == 'X');
        if (keys && a->have_keys)
            *keys = a->keys;
    } else {
        pw_emit_error_status(&out, PW_AUTH_FAILED, NULL);
        flush(fd, &out);
    }
    close(fd);
    int status = -1;
    waitpid(pid, &status, 0);
    pw_client_auth_wipe(a);
    pw_free(a);
    pw_buf_free(&in);
    pw_buf_free(&out);
    return status == 0;
}

static void psql_every_method(void **state)
{
    (void)state;
    char *md5 = stored("u_md5"), *scram = stored("u_scram");
    const struct {
        enum auth_method method;
        const char *user, *secret;
    } rows[] = {
        {AUTH_METHOD_PASSWORD, "u_md5", md5},    {AUTH_METHOD_PASSWORD, "u_scram", scram},
        {AUTH_METHOD_PASSWORD, "u_x", "pencil"}, {AUTH_METHOD_MD5, "u_md5", md5},
        {AUTH_METHOD_MD5, "u_scram", scram},     {AUTH_METHOD_MD5, "u_x", "pencil"},
        {AUTH_METHOD_SCRAM, "u_scram", scram},   {AUTH_METHOD_SCRAM, "u_x", "pencil"},
    };
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        const char *user = rows[i].user, *secret = rows[i].secret;
        assert_true(psql_logs_in(user, "pencil", rows[i].method, secret, NULL));
        assert_false(psql_logs_in(user, "pen", rows[i].method, secret, NULL));
        assert_false(psql_logs_in(user, "pencil", rows[i].method, "", NULL));
    }
    assert_true(psql_logs_in("u_x", "", AUTH_METHOD_TRUST, "", NULL));
    pw_free(md5);
    pw_free(scram);
}

static void psql_keys_open_the_server(void **state)
{
    (void)state;
    char *scram = stored("u_scram");
    struct scram_keys keys = {0};
    assert_true(psql_logs_in("u_scram", "pencil", AUTH_METHOD_SCRAM, scram, &keys));
    const struct login_credentials c = {LOGIN_KEYS, {0}, &keys};
    struct leg leg = log_in("u_scram", &c);
    assert_int_equal(leg.says, LOGIN_DONE);
    leave(&leg);
    keys.client[0] ^= 1;
    leg = log_in("u_scram", &c);
    assert_int_equal(leg.says, LOGIN_FAIL);
    leave(&leg);
    pw_free(scram);
}

/* psql talks to PostgreSQL's own authentication through a relaying login. */
static bool psql_relayed(const char *user, const char *typed)
{
    uint16_t at = 0;
    int listener = listen_any(&at);
    pid_t pid = spawn_psql(at, user, typed);
    int client = accept(listener, NULL, NULL);
    close(listener);
    read_startup(client, user);
    const struct name_value params[] = {{PW_SLICE_LIT("user"), pw_slice_str(user)},
                                        {PW_SLICE_LIT("database"), PW_SLICE_LIT("postgres")}};
    const struct login_credentials c = {LOGIN_CLIENT, {0}, NULL};
    struct leg leg = {.login = pw_alloc(sizeof *leg.login), .fd = connect_server()};
    struct buf in, out;
    uint8_t type;
    struct slice body;
    pw_buf_init(&in, 1 << 20);
    pw_buf_init(&out, 1 << 20);
    assert_true(pw_server_login_init(leg.login, params, 2, &c));
    leg.says = pw_server_login_start(leg.login, &out);
    while (leg.says == LOGIN_MORE || leg.says == LOGIN_RELAY) {
        flush(leg.fd, &out);
        if (leg.says == LOGIN_RELAY) {
            flush(client, &leg.login->relay);
            bool answered = leg.login->state == SERVER_LOGIN_RELAYING;
            leg.says = LOGIN_MORE;
            if (answered) {
                assert_true(read_message(client, &in, &type, &body) && type == 'p');
                leg.says = pw_server_login_relay(leg.login, body, &out);
            }
            continue;
        }
        assert_true(read_message(leg.fd, &in, &type, &body));
        leg.says = pw_server_login_feed(leg.login, type, body, &out);
    }
    if (leg.says == LOGIN_DONE) {
        pw_emit_auth_ok(&out);
        pw_emit_ready(&out, 'I');
        flush(client, &out);
        assert_true(read_message(client, &in, &type, &body) && type == 'Q');
        pw_emit_empty_query(&out);
        pw_emit_ready(&out, 'I');
    } else {
        pw_errfields_rewrite(&out, 'E', pw_buf_slice(&leg.login->error), NULL, NULL);
    }
    flush(client, &out);
    if (leg.says == LOGIN_DONE)
        assert_true(read_message(client, &in, &type, &body) && type == 'X');
    close(client);
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(leg.says == LOGIN_DONE, status == 0);
    leave(&leg);
    pw_buf_free(&in);
    pw_buf_free(&out);
    return status == 0;
}

static void relayed(void **state)
{
    (void)state;
    const char *const users[] = {"u_scram", "u_md5", "u_clear"};
    for (size_t i = 0; i < PW_COUNT_OF(users); i++) {
        assert_true(psql_relayed(users[i], "pencil"));
        assert_false(psql_relayed(users[i], "pen"));
    }
    assert_true(psql_relayed("u_trust", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(psql_every_method),
        cmocka_unit_test(psql_keys_open_the_server),
        cmocka_unit_test(relayed),
    };
    if (!find_server()) {
        fprintf(stderr, "no PostgreSQL server on this machine\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
