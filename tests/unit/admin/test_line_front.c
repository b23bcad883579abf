/* The line console: the reader alone, then live conversations over loopback and a Unix socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/admin/line_front.h"
#include "proxy/admin/line_reader.h"
#include "proxy/base/alloc.h"

/* ---- the reader ---- */

static void expect_lines(const char *bytes, size_t len, const char *want)
{
    static struct line_reader r;
    char got[9000] = "";
    size_t n = 0;
    memset(&r, 0, sizeof r);
    struct slice in = pw_slice(bytes, len);
    while (in.len) {
        enum line_event what;
        size_t used = pw_line_feed(&r, in, &what);
        assert_true(used > 0 && used <= in.len);
        in = pw_slice(in.ptr + used, in.len - used);
        if (what == LINE_READY)
            n += (size_t)snprintf(got + n, sizeof got - n, "[%s]", r.text);
        else if (what != LINE_NONE)
            n += (size_t)snprintf(got + n, sizeof got - n, what == LINE_END ? "END" : "LONG");
    }
    assert_string_equal(got, want);
}
#define LINES(bytes, want) expect_lines(bytes, sizeof(bytes) - 1, want)

static void lines_end_every_way(void **state)
{
    (void)state;
    LINES("a\nb\r\nc\r\0d\re\n\n", "[a][b][c][d][e][]");
    LINES("\xff\xfd\x01ls\xff\xfb\x03\xff\xfa\x18\x00\xff\xff xx\xff\xf0 -l\n", "[ls -l]");
    LINES("a\x07"
          "b\tc\xff\xff\n",
          "[a b c\xff]");
    LINES("\x04", "END");
    LINES("a\x04\n", "[a ]");
    LINES("\xff\xf4", "END");
    LINES("abc\b\x7f\n", "[a]");
}

static void long_lines_are_skipped(void **state)
{
    char *bytes = pw_alloc(PW_ADMIN_LINE_MAX + 10);
    (void)state;
    memset(bytes, 'x', PW_ADMIN_LINE_MAX + 1);
    strcpy(bytes + PW_ADMIN_LINE_MAX + 1, "\nok\n");
    expect_lines(bytes, strlen(bytes), "LONG[ok]");
    pw_free(bytes);
}

/* ---- live ---- */

static struct net_loop loop;
static uv_loop_t uv;
static uv_check_t turn;
static uv_async_t wake;
static uv_timer_t later;
static struct admin *admin;
static struct line_front *front;
static struct admin_call *held;
static char path[] = "/tmp/pgweir-console-XXXXXX";
static char socket_path[64];

static void run_version(struct admin_call *call)
{
    static const struct table_column columns[] = {{"version", TABLE_TEXT}};
    struct table *t = pw_table_new(columns, 1);
    pw_table_row(t);
    pw_table_text(t, "one");
    pw_admin_finish_table(call, t);
}

static void on_later(uv_timer_t *timer)
{
    (void)timer;
    pw_admin_finish_notice(held, "first\n\nsecond");
}

static void run_slow(struct admin_call *call)
{
    held = call;
    uv_timer_start(&later, on_later, 1, 0);
}

static void run_pause(struct admin_call *call)
{
    pw_admin_finish(call);
}

static const struct admin_command rows[] = {
    {"SHOW VERSION", ADMIN_STATS, NULL, "Version.", run_version},
    {"SHOW SLOW", ADMIN_STATS, NULL, "Slow.", run_slow},
    {"PAUSE", ADMIN_ADMIN, NULL, "Pause.", run_pause},
};

static bool check_login(void *arg, const char *user, const char *password, enum admin_level *level)
{
    (void)arg;
    *level = strcmp(user, "boss") == 0 ? ADMIN_ADMIN : ADMIN_STATS;
    return strcmp(password, "it's secret") == 0;
}

static void on_turn(uv_check_t *check)
{
    (void)check;
    pw_loop_tick(&loop);
    pw_loop_flush(&loop);
}

static void on_wake(uv_async_t *async)
{
    (void)async;
}

struct talk {
    const char *say;
    bool over_unix, half_close;
    char heard[20000];
    atomic_bool done;
};

static int dial(bool over_unix)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    in.sin_port = htons((uint16_t)pw_line_front_port(front));
    snprintf(un.sun_path, sizeof un.sun_path, "%s", socket_path);
    int fd = socket(over_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    int err = over_unix ? connect(fd, (struct sockaddr *)&un, sizeof un)
                        : connect(fd, (struct sockaddr *)&in, sizeof in);
    if (err)
        abort();
    return fd;
}

/* A client: says everything, listens until the other side closes. */
static void *talk_thread(void *arg)
{
    struct talk *t = arg;
    size_t len = 0;
    ssize_t n;
    int fd = dial(t->over_unix);
    if (send(fd, t->say, strlen(t->say), MSG_NOSIGNAL) < 0)
        abort();
    if (t->half_close)
        shutdown(fd, SHUT_WR);
    while ((n = read(fd, t->heard + len, sizeof t->heard - 1 - len)) > 0)
        len += (size_t)n;
    t->heard[len] = '\0';
    close(fd);
    atomic_store(&t->done, true);
    uv_async_send(&wake);
    return NULL;
}

static const char *talk(const char *say, bool over_unix, bool half_close)
{
    static struct talk t;
    pthread_t thread;
    memset(&t, 0, sizeof t);
    t.say = say;
    t.over_unix = over_unix;
    t.half_close = half_close;
    assert_int_equal(pthread_create(&thread, NULL, talk_thread, &t), 0);
    while (!atomic_load(&t.done) || pw_line_front_sessions(front))
        uv_run(&uv, UV_RUN_ONCE);
    pthread_join(thread, NULL);
    return t.heard;
}

static int setup_live(void **state)
{
    char *error = NULL;
    (void)state;
    if (!mkdtemp(path))
        return -1;
    snprintf(socket_path, sizeof socket_path, "%s/admin.sock", path);
    uv_loop_init(&uv);
    pw_loop_init(&loop, &uv);
    uv_check_init(&uv, &turn);
    uv_check_start(&turn, on_turn);
    uv_async_init(&uv, &wake, on_wake);
    uv_timer_init(&uv, &later);
    admin = pw_admin_new();
    pw_admin_register(admin, rows, PW_COUNT_OF(rows), NULL);
    const struct line_front_options options = {.admin = admin,
                                               .loop = &loop,
                                               .address = "127.0.0.1:0",
                                               .socket_path = socket_path,
                                               .check_login = check_login};
    return pw_line_front_new(&options, &front, &error) == PW_OK ? 0 : -1;
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static int teardown_live(void **state)
{
    bool closed = false;
    (void)state;
    pw_line_front_close(front, on_closed, &closed);
    uv_close((uv_handle_t *)&turn, NULL);
    uv_close((uv_handle_t *)&wake, NULL);
    uv_close((uv_handle_t *)&later, NULL);
    while (!closed)
        uv_run(&uv, UV_RUN_ONCE);
    pw_loop_destroy(&loop);
    uv_run(&uv, UV_RUN_DEFAULT);
    pw_admin_free(admin);
    bool gone = access(socket_path, F_OK) != 0;
    rmdir(path);
    return uv_loop_close(&uv) == 0 && gone ? 0 : -1;
}

static void expect_in(const char *all, const char *part)
{
    if (!strstr(all, part))
        fail_msg("\"%s\" is not in \"%s\"", part, all);
}

static void a_conversation(void **state)
{
    const char *heard =
        talk("SHOW VERSION\r\n\npause; show slow\nsh ver \\j\nnonsense\nquit\n", false, false);
    (void)state;
    expect_in(heard, "pgweir " PW_VERSION " console.");
    expect_in(
        heard,
        "pgweir> version\n-------\none\n(1 row)\n\npgweir> pgweir> OK\n\n"
        "first\n \nsecond\n\npgweir> {\"version\":\"one\"}\n\n"
        "pgweir> ERROR: unknown command \"nonsense\". SHOW HELP lists the commands.\n\npgweir> ");
}

static void the_format_is_kept(void **state)
{
    const char *heard = talk(
        "format json\nSHOW VERSION\nFORMAT TEXT\nshow version\nformat xml\nquit\n", false, false);
    (void)state;
    expect_in(heard, "pgweir> OK\n\npgweir> {\"version\":\"one\"}\n\npgweir> OK\n\npgweir> "
                     "version\n-------\none\n(1 row)\n\n"
                     "pgweir> ERROR: FORMAT wants JSON or TEXT\n\n");
}

static void piped_input_ends_after_its_answers(void **state)
{
    const char *heard = talk("show slow\nshow version", true, true);
    (void)state;
    expect_in(heard, "second\n\npgweir> version\n");
    expect_in(heard, "(1 row)\n\n");
}

static void browsers_are_refused(void **state)
{
    (void)state;
    assert_null(strstr(talk("POST / HTTP/1.1\r\nHost: x\r\n\r\nPAUSE\r\n", false, false), "OK"));
    assert_null(strstr(talk("Host: x\r\nPAUSE\r\n", false, false), "OK"));
}

static void passwords_can_be_asked_for(void **state)
{
    (void)state;
    pw_line_front_set_auth(front, true);
    const char *heard =
        talk("PAUSE\nAUTH boss wrong\nAUTH boss 'it''s secret'\nPAUSE\nQUIT\n", true, false);
    expect_in(heard, "ERROR: log in first: AUTH user password\n\n");
    expect_in(heard, "ERROR: wrong user or password\n\npgweir> OK\n\npgweir> OK\n\n");
    heard = talk("AUTH look 'it''s secret'\nPAUSE\nSHOW VERSION\nQUIT\n", false, false);
    expect_in(heard, "ERROR: permission denied: PAUSE is for admin users\n\n");
    expect_in(heard, "(1 row)\n\n");
    heard = talk("AUTH a b\nAUTH a b\nAUTH a b\nAUTH boss 'it''s secret'\nPAUSE\n", false, false);
    assert_null(strstr(heard, "OK"));
    pw_line_front_set_auth(front, false);
}

static void sessions_are_bounded(void **state)
{
    int fds[PW_LINE_SESSIONS_MAX];
    (void)state;
    for (size_t i = 0; i < PW_LINE_SESSIONS_MAX; i++) {
        fds[i] = dial(i % 2);
        while (pw_line_front_sessions(front) <= i)
            uv_run(&uv, UV_RUN_ONCE);
    }
    int extra = dial(false);
    char text[200] = "";
    size_t len = 0;
    while (!strstr(text, "ERROR: too many console sessions")) {
        uv_run(&uv, UV_RUN_NOWAIT);
        ssize_t n = recv(extra, text + len, sizeof text - 1 - len, MSG_DONTWAIT);
        len += n > 0 ? (size_t)n : 0;
    }
    close(extra);
    for (size_t i = 0; i < PW_LINE_SESSIONS_MAX; i++)
        close(fds[i]);
    while (pw_line_front_sessions(front))
        uv_run(&uv, UV_RUN_ONCE);
}

static void a_client_may_leave_early(void **state)
{
    int fd = dial(false);
    (void)state;
    held = NULL;
    assert_true(send(fd, "show slow\n", 10, MSG_NOSIGNAL) == 10);
    struct linger hard = {.l_onoff = 1};
    while (!held)
        uv_run(&uv, UV_RUN_ONCE);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd); /* a reset: the command goes on, nobody hears it */
    while (pw_line_front_sessions(front) || pw_admin_calls_in_flight(admin))
        uv_run(&uv, UV_RUN_ONCE);
}

int main(void)
{
    const struct CMUnitTest pure[] = {
        cmocka_unit_test(lines_end_every_way),
        cmocka_unit_test(long_lines_are_skipped),
    };
    const struct CMUnitTest live[] = {
        cmocka_unit_test(a_conversation),
        cmocka_unit_test(the_format_is_kept),
        cmocka_unit_test(piped_input_ends_after_its_answers),
        cmocka_unit_test(browsers_are_refused),
        cmocka_unit_test(passwords_can_be_asked_for),
        cmocka_unit_test(sessions_are_bounded),
        cmocka_unit_test(a_client_may_leave_early),
    };
    return cmocka_run_group_tests(pure, NULL, NULL) +
           cmocka_run_group_tests(live, setup_live, teardown_live);
}
