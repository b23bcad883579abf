/*
 * What the live tests share: a throwaway PostgreSQL in a temporary directory, on a unix socket,
 * with one user per authentication method; blocking sockets; and a login that ends in a usable
 * connection.
 */
#ifndef TESTS_UNIT_WIRE_LIVE_H
#define TESTS_UNIT_WIRE_LIVE_H

#include <glob.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/alloc.h"
#include "proxy/wire/back.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"
#include "proxy/wire/server_login.h"

static char bin[512], dir[64];      /* of the binaries; of the server */
static const char port[] = "54329"; /* of the unix socket's name; the directory is ours alone */

/* ---- the server ---- */

/* Runs a shell script, as postgres when we are root (PostgreSQL refuses root). */
static inline int script(const char *text)
{
    pid_t pid = fork();
    if (pid == 0) {
        const struct passwd *pw = getuid() == 0 ? getpwnam("postgres") : NULL;
        if (pw && (setgid(pw->pw_gid) || setuid(pw->pw_uid)))
            _exit(126);
        if (chdir("/") == 0)
            execl("/bin/sh", "sh", "-ec", text, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

static inline bool find_server(void)
{
    glob_t found;
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0)
        snprintf(bin, sizeof bin, "%.*s",
                 (int)(strlen(found.gl_pathv[found.gl_pathc - 1]) - strlen("/initdb")),
                 found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return bin[0] != 0;
}

static const char setup_sql[] = "SET password_encryption = 'scram-sha-256';"
                                "CREATE ROLE u_scram LOGIN PASSWORD 'pencil';"
                                "CREATE ROLE u_prep LOGIN PASSWORD 'I\xc2\xadX \xe2\x85\xa8';"
                                "CREATE ROLE u_raw LOGIN PASSWORD '\xd8\xa7"
                                "1';"
                                "CREATE ROLE u_clear LOGIN PASSWORD 'pencil';"
                                "CREATE ROLE u_nopw LOGIN;"
                                "CREATE ROLE u_trust LOGIN;"
                                "SET password_encryption = 'md5';"
                                "CREATE ROLE u_md5 LOGIN PASSWORD 'pencil';";

static inline int start_server(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/pw-live-XXXXXX");
    assert_non_null(mkdtemp(dir));
    const struct passwd *pw = getuid() == 0 ? getpwnam("postgres") : NULL;
    assert_true(!pw || chown(dir, pw->pw_uid, pw->pw_gid) == 0);
    assert_int_equal(chmod(dir, 0755), 0);
    char *text = pw_asprintf(
        "cd %s; export LC_ALL=C; %s/initdb -A trust -U postgres -E UTF8 -D data >initdb.log 2>&1;"
        "printf 'local all u_scram,u_prep,u_raw,u_nopw scram-sha-256\\nlocal all u_md5 md5\\n"
        "local all u_clear password\\nlocal all postgres,u_trust trust\\n' >data/pg_hba.conf;"
        "%s/pg_ctl -w -D data -l pg.log -o \"-k %s -p %s -c listen_addresses= -c fsync=off\" start"
        " >/dev/null 2>&1;"
        "cat >setup.sql <<'SQL'\n%s\nSQL\n"
        "%s/psql -q -h %s -p %s -U postgres -v ON_ERROR_STOP=1 -f setup.sql",
        dir, bin, bin, dir, port, setup_sql, bin, dir, port);
    int status = script(text);
    pw_free(text);
    return status;
}

static inline int stop_server(void **state)
{
    (void)state;
    char *text = pw_asprintf("cd /; %s/pg_ctl -D %s/data -m immediate stop >/dev/null", bin, dir);
    int status = script(text);
    pw_free(text);
    text = pw_asprintf("rm -rf %s", dir);
    status |= system(text);
    pw_free(text);
    return status;
}

/* ---- blocking sockets ---- */

static inline int connect_server(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/.s.PGSQL.%s", dir, port);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

static inline bool read_exactly(int fd, char *to, size_t len)
{
    while (len) {
        ssize_t n = read(fd, to, len);
        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

/* One whole message into `in`. */
static inline bool read_message(int fd, struct buf *in, uint8_t *type, struct slice *body)
{
    struct frame f = {0};
    pw_buf_reset(in);
    assert_true(pw_buf_reserve(in, FRAME_HEADER));
    if (!read_exactly(fd, in->data, FRAME_HEADER))
        return false;
    in->len = FRAME_HEADER;
    assert_int_equal(pw_frame_peek(pw_buf_slice(in), &f), FRAME_OK);
    assert_true(pw_buf_reserve(in, f.len - FRAME_HEADER));
    if (!read_exactly(fd, in->data + FRAME_HEADER, f.len - FRAME_HEADER))
        return false;
    in->len = f.len;
    *type = f.type;
    *body = pw_frame_body(pw_buf_slice(in), &f);
    return true;
}

static inline void flush(int fd, struct buf *out)
{
    if (out->len)
        assert_int_equal(write(fd, out->data, out->len), (ssize_t)out->len);
    pw_buf_reset(out);
}

/* ---- server_login against PostgreSQL ---- */

struct leg {
    struct server_login *login;
    int fd;
    enum login_result says;
};

static inline struct leg log_in(const char *user, const struct login_credentials *c)
{
    const struct name_value params[] = {
        {PW_SLICE_LIT("user"), pw_slice_str(user)},
        {PW_SLICE_LIT("database"), PW_SLICE_LIT("postgres")},
        {PW_SLICE_LIT("application_name"), PW_SLICE_LIT("wire test")},
        {PW_SLICE_LIT("options"), PW_SLICE_LIT("-c work_mem=77kB --statement-timeout=99000")}};
    struct leg leg = {.login = pw_alloc(sizeof *leg.login), .fd = connect_server()};
    struct buf in, out;
    uint8_t type;
    struct slice body;
    pw_buf_init(&in, 1 << 20);
    pw_buf_init(&out, 1 << 20);
    assert_true(pw_server_login_init(leg.login, params, PW_COUNT_OF(params), c));
    leg.says = pw_server_login_start(leg.login, &out);
    while (leg.says == LOGIN_MORE) {
        flush(leg.fd, &out);
        assert_true(read_message(leg.fd, &in, &type, &body));
        leg.says = pw_server_login_feed(leg.login, type, body, &out);
        if (leg.says == LOGIN_NEED_DERIVE) {
            struct scram_keys keys;
            const struct scram_job *j = &leg.login->job;
            assert_true(pw_scram_derive(j->password, j->salt, j->iterations, &keys));
            leg.says = pw_server_login_resume(leg.login, &keys, &out);
        }
    }
    assert_int_equal(out.len, 0);
    pw_buf_free(&in);
    pw_buf_free(&out);
    return leg;
}

static inline void leave(struct leg *leg)
{
    close(leg->fd);
    pw_server_login_free(leg->login);
    PW_FREE(leg->login);
}

/* The single value a query gives, OWN by the caller. */
static inline char *ask(struct leg *leg, const char *sql)
{
    struct buf in, out;
    uint8_t type = 0;
    struct slice body;
    char *answer = NULL;
    pw_buf_init(&in, 1 << 20);
    pw_buf_init(&out, 1 << 20);
    assert_true(pw_emit_query(&out, pw_slice_str(sql)));
    flush(leg->fd, &out);
    while (type != 'Z') {
        assert_true(read_message(leg->fd, &in, &type, &body));
        struct back_datarow row;
        struct wire_value v;
        if (type == 'D') {
            assert_true(pw_back_datarow(body, &row) && row.ncolumns == 1);
            assert_true(pw_wire_value_next(&row.columns, &v) && !v.null && !answer);
            answer = pw_strndup(v.bytes.ptr, v.bytes.len);
        }
    }
    pw_buf_free(&in);
    pw_buf_free(&out);
    assert_non_null(answer);
    return answer;
}

/* rolpassword of a user, OWN by the caller. */
static inline char *stored(const char *user)
{
    struct login_credentials none = {LOGIN_NOTHING, {0}, NULL};
    struct leg leg = log_in("postgres", &none);
    assert_int_equal(leg.says, LOGIN_DONE);
    char *sql = pw_asprintf("select rolpassword from pg_authid where rolname = '%s'", user);
    char *text = ask(&leg, sql);
    pw_free(sql);
    leave(&leg);
    return text;
}

#endif
