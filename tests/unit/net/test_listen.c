/* Binding (its errors too), sharing one descriptor, and running out of descriptors. */
#include "tests/unit/net/world.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char *dir;

static void expect_refusal(enum pw_status status, const int *fd, char **error, const char *text)
{
    assert_int_not_equal(status, PW_OK);
    assert_int_equal(*fd, -1);
    assert_non_null(*error);
    if (!strstr(*error, text))
        fail_msg("\"%s\" does not say \"%s\"", *error, text);
    PW_FREE(*error);
}

static void test_tcp_errors(void **state)
{
    (void)state;
    char *error = NULL;
    int fd, other;
    assert_int_equal(pw_listen_bind_tcp("127.0.0.1:0", 16, &fd, &error), PW_OK);
    char *same = pw_asprintf("127.0.0.1:%d", pw_listen_port(fd));
    char *text = pw_asprintf("cannot listen on %s: address already in use", same);
    expect_refusal(pw_listen_bind_tcp(same, 16, &other, &error), &other, &error, text);
    pw_free(text);
    pw_free(same);
    close(fd);
    static const char *const bad[] = {"",  "127.0.0.1", "127.0.0.1:", "host:x", "1.2.3.4:65536",
                                      ":", "::1:5432",  "a:-1",       "a:1 "};
    for (size_t i = 0; i < PW_COUNT_OF(bad); i++)
        expect_refusal(pw_listen_bind_tcp(bad[i], 16, &fd, &error), &fd, &error, "want host:port");
    expect_refusal(pw_listen_bind_tcp("192.0.2.1:0", 16, &fd, &error), &fd, &error,
                   "cannot listen on 192.0.2.1:0");
}

static void test_tcp_forms(void **state)
{
    (void)state;
    static const char *const good[] = {":0", "*:0", "localhost:0", "0.0.0.0:0"};
    for (size_t i = 0; i < PW_COUNT_OF(good); i++) {
        char *error = NULL;
        int fd;
        if (pw_listen_bind_tcp(good[i], 16, &fd, &error) != PW_OK)
            fail_msg("%s", error);
        assert_true(pw_listen_port(fd) > 0);
        close(fd);
    }
}

static void test_unix(void **state)
{
    (void)state;
    char *path = pw_asprintf("%s/sock", dir), *error = NULL;
    int fd, other;
    struct stat st;
    mode_t old = umask(077);
    assert_int_equal(pw_listen_bind_unix(path, 0777, 16, &fd, &error), PW_OK);
    umask(old);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0777); /* whatever the umask says */
    expect_refusal(pw_listen_bind_unix(path, 0777, 16, &other, &error), &other, &error,
                   "address already in use");
    close(fd); /* the file stays behind and is stale now */
    assert_int_equal(pw_listen_bind_unix(path, 0700, 16, &fd, &error), PW_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    close(fd);
    unlink(path);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    expect_refusal(pw_listen_bind_unix(path, 0777, 16, &fd, &error), &fd, &error,
                   "is not a socket");
    unlink(path);
    pw_free(path);
    expect_refusal(pw_listen_bind_unix("/nowhere/at/all", 0777, 16, &fd, &error), &fd, &error,
                   "the directory does not exist");
    expect_refusal(pw_listen_bind_unix("relative", 0777, 16, &fd, &error), &fd, &error,
                   "not absolute");
    char too_long[200];
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    expect_refusal(pw_listen_bind_unix(too_long, 0777, 16, &fd, &error), &fd, &error, "too long");
}

static size_t accepted;

static void count_accept(struct peer *p)
{
    (void)p;
    accepted++;
}

/* Connects blocking, as another process would. */
static int connect_to(int port)
{
    struct sockaddr_in addr;
    uv_ip4_addr("127.0.0.1", port, &addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

static void test_two_listeners_share_a_descriptor(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, NULL);
    struct listener *second = pw_listener_new(&w->uv, w->listen_fd, false, world_on_connection, w);
    w->on_accept = count_accept;
    accepted = 0;
    int fds[10];
    for (size_t i = 0; i < 10; i++) {
        fds[i] = connect_to(pw_listen_port(w->listen_fd));
        if (i == 5) {
            run_until_count(w, &accepted, 6);
            pw_listener_close(second);
        }
    }
    run_until_count(w, &accepted, 10);
    for (size_t i = 0; i < 10; i++)
        close(fds[i]);
    world_free(w);
    pw_free(w);
}

static void ignore_connection(void *arg, uv_stream_t *handle, bool is_pipe)
{
    (void)handle;
    (void)is_pipe;
    ++*(size_t *)arg;
}

/* A connection that nobody takes is closed, not leaked. */
static void test_refused_connection_is_closed(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, NULL);
    pw_listener_close(w->listener);
    size_t seen = 0;
    w->listener = pw_listener_new(&w->uv, w->listen_fd, false, ignore_connection, &seen);
    int fd = connect_to(pw_listen_port(w->listen_fd));
    run_until_count(w, &seen, 1);
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0);
    close(fd);
    world_free(w);
    pw_free(w);
}

/* Without descriptors clients wait in the backlog; they are served when there are some again. */
static void test_out_of_descriptors(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, NULL);
    w->on_accept = count_accept;
    accepted = 0;
    int client = connect_to(pw_listen_port(w->listen_fd));
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = (rlim_t)client; /* every number below is taken */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 20; i++)
        uv_run(&w->uv, UV_RUN_NOWAIT);
    assert_int_equal(accepted, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    run_until_count(w, &accepted, 1);
    close(client);
    world_free(w);
    pw_free(w);
}

static int make_dir(void **state)
{
    (void)state;
    dir = temp_dir();
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    rmdir(dir);
    pw_free(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp_errors),
        cmocka_unit_test(test_tcp_forms),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_two_listeners_share_a_descriptor),
        cmocka_unit_test(test_refused_connection_is_closed),
        cmocka_unit_test(test_out_of_descriptors),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
