/* The checks that need no PostgreSQL, and the order of all; those of a database are in
 * doctor_upstream.c. */
#include "proxy/control/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "conf/hba.h"
#include "conf/userlist.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"
#include "proxy/control/cli.h"
#include "proxy/control/dial.h"
#include "proxy/control/doctor_priv.h"

enum { DIAL_TIMEOUT_MS = 5000, SPARE_FILES = 200 };

void pw_doctor_say(struct doctor *d, enum verdict verdict, const char *fix, const char *fmt, ...)
{
    static const char *const names[] = {"OK  ", "WARN", "FAIL"};
    va_list args;
    va_start(args, fmt);
    printf("%s  ", names[verdict]);
    vprintf(fmt, args);
    va_end(args);
    printf("%s%s\n", verdict == VERDICT_OK ? "" : "; fix: ", verdict == VERDICT_OK ? "" : fix);
    d->counts[verdict]++;
}

static void check_files(struct doctor *d)
{
    uint64_t servers = 0;
    struct rlimit limit;
    for (size_t i = 0; i < d->conf->n_databases; i++)
        servers += d->conf->databases[i].pool_size;
    uint64_t needed = d->conf->pgweir.max_clients + servers + SPARE_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_max >= needed)
        pw_doctor_say(d, VERDICT_OK, "", "open files: %llu are allowed, %llu may be needed",
                      (unsigned long long)limit.rlim_max, (unsigned long long)needed);
    else
        pw_doctor_say(
            d, VERDICT_WARN, "LimitNOFILE= in the systemd unit, or a lower pgweir.max_clients",
            "open files: %llu are allowed, pgweir.max_clients and the pools may need %llu",
            (unsigned long long)limit.rlim_max, (unsigned long long)needed);
}

static void check_state_dir(struct doctor *d)
{
    const char *dir = d->conf->pgweir.state_dir;
    struct stat st;
    if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
        pw_doctor_say(d, VERDICT_FAIL, "set pgweir.state_dir to a directory",
                      "state directory: %s is no directory", dir);
    else if (access(dir, W_OK | X_OK) == 0)
        pw_doctor_say(d, VERDICT_OK, "", "state directory: %s can be written", dir);
    else if (errno == ENOENT)
        pw_doctor_say(
            d, VERDICT_WARN,
            "create it for the user that runs pgweir, or let systemd do so (StateDirectory=pgweir)",
            "state directory: %s does not exist", dir);
    else
        pw_doctor_say(d, VERDICT_FAIL,
                      "chown it to the user that runs pgweir, or set pgweir.state_dir",
                      "state directory: %s cannot be written: %s", dir, strerror(errno));
}

static void say_errors(struct doctor *d, struct conf_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        pw_doctor_say(d, errors->items[i].warning ? VERDICT_WARN : VERDICT_FAIL,
                      "correct that line", "%s", errors->items[i].text);
    pw_conf_errors_free(errors);
}

static void check_auth_files(struct doctor *d)
{
    struct conf_errors errors = {0};
    if (*d->conf->auth.file) {
        struct userlist *list = pw_userlist_load(d->conf->auth.file, &errors);
        if (list)
            pw_doctor_say(d, VERDICT_OK, "", "auth.file: %zu users", pw_userlist_count(list));
        pw_userlist_free(list);
        say_errors(d, &errors);
    }
    if (d->conf->auth.hba)
        pw_doctor_say(d, VERDICT_OK, "", "auth.hba_file: %zu rules",
                      pw_hba_count(d->conf->auth.hba));
}

/* Sends one command of RESP and reads the first line of the answer. */
static bool redis_ask(int fd, const struct buf *command, char *answer, size_t size)
{
    size_t len = 0;
    if (send(fd, command->data, command->len, MSG_NOSIGNAL) != (ssize_t)command->len)
        return false;
    while (len + 1 < size && !memchr(answer, '\n', len)) {
        ssize_t got = recv(fd, answer + len, size - 1 - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
    }
    answer[len] = '\0';
    answer[strcspn(answer, "\r\n")] = '\0';
    return true;
}

static void redis_word(struct buf *command, const char *word)
{
    pw_buf_printf(command, "$%zu\r\n%s\r\n", strlen(word), word);
}

static bool redis_log_in(int fd, const struct conf_redis *redis, char *answer, size_t size)
{
    struct buf command;
    if (!*redis->password)
        return true;
    pw_buf_init(&command, 16384);
    pw_buf_printf(&command, "*%d\r\n", *redis->user ? 3 : 2);
    redis_word(&command, "AUTH");
    if (*redis->user)
        redis_word(&command, redis->user);
    redis_word(&command, redis->password);
    bool answered = redis_ask(fd, &command, answer, size);
    explicit_bzero(command.data, command.len);
    pw_buf_free(&command);
    return answered && answer[0] == '+';
}

static void check_redis(struct doctor *d)
{
    const struct conf_redis *redis = &d->conf->redis;
    char answer[256] = "no answer", *error = NULL;
    struct timeval limit = {.tv_sec = DIAL_TIMEOUT_MS / 1000};
    struct buf ping;
    if (!*redis->url)
        return;
    char *target = strchr(redis->host, ':') ? pw_asprintf("[%s]:%u", redis->host, redis->port)
                                            : pw_asprintf("%s:%u", redis->host, redis->port);
    int fd = pw_dial(target, DIAL_TIMEOUT_MS, &error);
    pw_buf_init(&ping, 64);
    pw_buf_append_str(&ping, "*1\r\n$4\r\nPING\r\n");
    if (fd < 0) {
        pw_doctor_say(
            d, VERDICT_WARN,
            "start Redis or correct redis.url; pgweir runs without it, the mirror does not",
            "redis: %s: %s", target, error);
    } else if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
               !redis_log_in(fd, redis, answer, sizeof answer)) {
        pw_doctor_say(d, VERDICT_WARN, "correct user and password in redis.url", "redis: %s: %s",
                      target, answer);
    } else if (!redis_ask(fd, &ping, answer, sizeof answer) || strcmp(answer, "+PONG") != 0) {
        pw_doctor_say(d, VERDICT_WARN, "correct redis.url (a password may be needed)",
                      "redis: %s: %s", target, answer);
    } else {
        pw_doctor_say(d, VERDICT_OK, "", "redis: %s answers", target);
    }
    if (fd >= 0)
        close(fd);
    pw_buf_free(&ping);
    pw_free(error);
    pw_free(target);
}

int pw_doctor_run(const struct pw_conf *conf)
{
    struct doctor d = {.conf = conf};
    check_files(&d);
    check_state_dir(&d);
    check_auth_files(&d);
    for (size_t i = 0; i < conf->n_databases; i++)
        pw_doctor_upstream(&d, &conf->databases[i]);
    check_redis(&d);
    printf("%zu OK, %zu WARN, %zu FAIL\n", d.counts[VERDICT_OK], d.counts[VERDICT_WARN],
           d.counts[VERDICT_FAIL]);
    return d.counts[VERDICT_FAIL] ? CLI_UNREACHABLE : CLI_OK;
}
