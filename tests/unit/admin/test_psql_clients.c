/* Real clients against the psql front: psql, psycopg2, psycopg 3 and asyncpg, where installed. The
 * server here is a thread that logs everybody in and runs commands on the spot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/admin/commands_own.h"
#include "proxy/admin/psql_front.h"
#include "proxy/base/alloc.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/reader.h"

enum { PROTOCOL_3 = 196608, MESSAGE_MAX = 1 << 16 };

static struct admin *admin;
static int listener, port;
static char wanted[PW_ADMIN_TEXT_MAX + 1];
static pthread_t server;

static void run_numbers(struct admin_call *call)
{
    static const struct table_column columns[] = {
        {"name", TABLE_TEXT}, {"small", TABLE_INT4}, {"big", TABLE_INT8}, {"exact", TABLE_NUMERIC}};
    struct table *t = pw_table_new(columns, PW_COUNT_OF(columns));
    pw_table_row(t);
    pw_table_text(t, "x");
    pw_table_int(t, -7);
    pw_table_int(t, 5000000000);
    pw_table_num(t, -12345.0625, 4);
    pw_table_row(t);
    pw_admin_finish_table(call, t);
}

static void run_pause(struct admin_call *call)
{
    pw_admin_finish(call);
}

static const struct admin_command rows[] = {
    {"SHOW NUMBERS", ADMIN_STATS, NULL, "Numbers.", run_numbers},
    {"PAUSE", ADMIN_ADMIN, "[db]", "Pause.", run_pause},
};

static void on_command(void *arg, struct slice text)
{
    *(bool *)arg = true;
    snprintf(wanted, sizeof wanted, "%.*s", (int)text.len, text.ptr);
}

static void on_finished(struct admin_call *call, void *owner)
{
    *(struct admin_result *)owner = pw_psql_result_take(call);
}

static bool read_all(int fd, char *out, size_t len)
{
    while (len) {
        ssize_t n = read(fd, out, len);
        if (n <= 0)
            return false;
        out += n;
        len -= (size_t)n;
    }
    return true;
}

static bool send_all(int fd, struct buf *b)
{
    bool ok = send(fd, b->data, b->len, MSG_NOSIGNAL) == (ssize_t)b->len;
    pw_buf_reset(b);
    return ok;
}

static bool log_in(int fd, char *body, struct buf *out)
{
    static const char *const params[][2] = {{"server_version", PW_PSQL_SERVER_VERSION},
                                            {"client_encoding", "UTF8"},
                                            {"server_encoding", "UTF8"},
                                            {"standard_conforming_strings", "on"},
                                            {"DateStyle", "ISO, MDY"},
                                            {"integer_datetimes", "on"},
                                            {"TimeZone", "UTC"}};
    uint32_t code = 0;
    while (code != PROTOCOL_3) {
        if (!read_all(fd, body, 8) || pw_load_u32(body) > MESSAGE_MAX)
            return false;
        code = pw_load_u32(body + 4);
        if (!read_all(fd, body, pw_load_u32(body) - 8))
            return false;
        if (code != PROTOCOL_3 && send(fd, "N", 1, MSG_NOSIGNAL) != 1) /* SSL or GSS: no */
            return false;
    }
    pw_emit_auth_ok(out);
    for (size_t i = 0; i < PW_COUNT_OF(params); i++)
        pw_emit_parameter_status(out, pw_slice_str(params[i][0]), pw_slice_str(params[i][1]));
    pw_emit_backend_key(out, 1, PW_SLICE_LIT("abcd"));
    pw_emit_ready(out, 'I');
    return send_all(fd, out);
}

static bool answer(struct psql_front *front, bool *asked, struct buf *out)
{
    while (*asked) {
        struct admin_result result = {0};
        const struct admin_request request = {
            .text = pw_slice_str(wanted), .level = ADMIN_ADMIN, .user = "u", .source = "test"};
        *asked = false;
        if (pw_admin_start(admin, &request, on_finished, &result) ||
            pw_psql_front_result(front, &result, out) != PW_OK)
            return false;
    }
    return true;
}

static void talk(int fd)
{
    static char body[MESSAGE_MAX];
    struct buf out;
    char head[5];
    bool asked = false, going = true;
    struct psql_front *front = pw_psql_front_new(admin, "u", "pgbouncer", on_command, &asked);
    pw_buf_init(&out, 1 << 20);
    going = log_in(fd, body, &out);
    while (going && read_all(fd, head, 5) && head[0] != 'X') {
        size_t len = pw_load_u32(head + 1) - 4;
        going = len <= MESSAGE_MAX && read_all(fd, body, len) &&
                pw_psql_front_feed(front, (uint8_t)head[0], pw_slice(body, len), &out) == PW_OK &&
                answer(front, &asked, &out) && send_all(fd, &out);
    }
    pw_psql_front_free(front);
    pw_buf_free(&out);
    close(fd);
}

static void *serve(void *arg)
{
    int fd;
    (void)arg;
    while ((fd = accept(listener, NULL, NULL)) >= 0)
        talk(fd);
    return NULL;
}

static int setup(void **state)
{
    static struct admin_own own;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    (void)state;
    admin = pw_admin_new();
    pw_admin_register_own(admin, &own);
    pw_admin_register(admin, rows, PW_COUNT_OF(rows), NULL);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&in, len) || listen(listener, 5) ||
        getsockname(listener, (struct sockaddr *)&in, &len))
        return -1;
    port = ntohs(in.sin_port);
    return pthread_create(&server, NULL, serve, NULL);
}

static int teardown(void **state)
{
    (void)state;
    shutdown(listener, SHUT_RDWR);
    pthread_join(server, NULL);
    close(listener);
    pw_admin_free(admin);
    return 0;
}

static void run_python(const char *module, const char *script)
{
    char command[2000];
    snprintf(command, sizeof command, "/usr/bin/python3 -c 'import %s' 2>/dev/null", module);
    if (system(command) != 0)
        skip();
    snprintf(command, sizeof command,
             "PORT=%d timeout 60 /usr/bin/python3 -c \"import os; port = "
             "int(os.environ['PORT'])\n%s\"",
             port, script);
    assert_int_equal(system(command), 0);
}

static void psql_works(void **state)
{
    char command[600];
    (void)state;
    if (system("command -v psql >/dev/null 2>&1") != 0)
        skip();
    snprintf(command, sizeof command,
             "out=$(printf 'SHOW VERSION;\\n\\\\\\\\dt\\nSELECT 1;\\nSHOW HELP;\\nPAUSE;\\n' | "
             "timeout 60 psql -XAt -h "
             "127.0.0.1 -p %d -U u pgbouncer 2>/dev/null); "
             "echo \"$out\" | grep -q '^pgweir ' && echo \"$out\" | grep -qx 1 && echo \"$out\" | "
             "grep -qx "
             "PAUSE",
             port);
    assert_int_equal(system(command), 0);
}

static void psycopg2_works(void **state)
{
    (void)state;
    run_python("psycopg2",
               "import psycopg2\n"
               "c = psycopg2.connect(host='127.0.0.1', port=port, user='u', dbname='pgbouncer')\n"
               "k = c.cursor()\n" /* not autocommit: it says BEGIN first */
               "k.execute('SHOW NUMBERS')\n"
               "assert k.fetchone()[:3] == ('x', -7, 5000000000)\n"
               "assert str(k.fetchall()) == '[(None, None, None, None)]'\n"
               "c.commit()\n"
               "k.execute('SHOW VERSION;')\n"
               "assert k.fetchone()[0].startswith('pgweir')\n");
}

static void psycopg3_works(void **state)
{
    (void)state;
    run_python("psycopg",
               "import psycopg\n"
               "c = psycopg.connect(host='127.0.0.1', port=port, user='u', dbname='pgbouncer')\n"
               "for binary in (False, True):\n"
               "    for prepare in (False, True):\n"
               "        k = c.cursor(binary=binary)\n"
               "        k.execute('SHOW NUMBERS', prepare=prepare)\n"
               "        r = k.fetchone()\n"
               "        assert r[:3] == ('x', -7, 5000000000) and str(r[3]) == '-12345.0625', r\n"
               "c.execute('PAUSE')\n"
               "c.commit()\n");
}

static void asyncpg_works(void **state)
{
    (void)state;
    run_python("asyncpg",
               "import asyncio, asyncpg\n"
               "async def go():\n"
               "    c = await asyncpg.connect(host='127.0.0.1', port=port, user='u', password='x', "
               "database='pgbouncer', ssl=False)\n"
               "    r = (await c.fetch('SHOW NUMBERS'))\n"
               "    assert tuple(r[0])[:3] == ('x', -7, 5000000000) and str(r[0][3]) == "
               "'-12345.0625', r\n"
               "    await c.execute('PAUSE')\n"
               "    await c.close()\n"
               "asyncio.run(go())\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(psql_works),
        cmocka_unit_test(psycopg2_works),
        cmocka_unit_test(psycopg3_works),
        cmocka_unit_test(asyncpg_works),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
