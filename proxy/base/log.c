/* Owns the log's destination. Shared by all threads: level is atomic, the rest is under a mutex
 * that is held only to format into a stack buffer's destination descriptor. */
#include "proxy/base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/check.h"
#include "proxy/base/clock.h"

enum { LINE_MAX_BYTES = 2048 };

static _Atomic int current_level = PW_LOG_INFO;
static _Atomic bool as_json;
static _Atomic int log_fd = STDERR_FILENO;
static pthread_mutex_t path_lock = PTHREAD_MUTEX_INITIALIZER; /* guards log_path */
static char log_path[1024];

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};

const char *pw_log_level_name(enum pw_log_level level)
{
    return level_names[level];
}

void pw_log_reopen(void)
{
    pthread_mutex_lock(&path_lock);
    int fd = STDERR_FILENO;
    if (log_path[0]) {
        fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0)
            fd = STDERR_FILENO;
    }
    int old = atomic_load(&log_fd);
    if (old != STDERR_FILENO && fd != STDERR_FILENO) {
        dup3(fd, old,
             O_CLOEXEC); /* same number: a writer in another thread never sees a closed fd */
        close(fd);
    } else {
        atomic_store(&log_fd, fd);
    }
    pthread_mutex_unlock(&path_lock);
}

void pw_log_configure(const struct pw_log_options *options)
{
    atomic_store(&current_level, (int)options->level);
    atomic_store(&as_json, options->json);
    pthread_mutex_lock(&path_lock);
    snprintf(log_path, sizeof log_path, "%s", options->path ? options->path : "");
    pthread_mutex_unlock(&path_lock);
    pw_log_reopen();
}

bool pw_log_enabled(enum pw_log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* Escapes text for a JSON string; control characters become spaces. */
static size_t escape(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text && n + 3 < size; text++) {
        if (*text == '"' || *text == '\\')
            out[n++] = '\\';
        out[n++] = (unsigned char)*text < 0x20 ? ' ' : *text;
    }
    out[n] = '\0';
    return n;
}

void pw_log_write(enum pw_log_level level, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES], line[2 * LINE_MAX_BYTES + 128], stamp[32];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    pw_clock_iso(pw_clock_wall_us(), stamp, sizeof stamp);
    int len;
    if (atomic_load_explicit(&as_json, memory_order_relaxed)) {
        char escaped[2 * LINE_MAX_BYTES];
        escape(escaped, sizeof escaped, text);
        len = snprintf(line, sizeof line, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":\"%s\"}\n",
                       stamp, level_names[level], escaped);
    } else {
        len = snprintf(line, sizeof line, "%s %-5s %s\n", stamp, level_names[level], text);
    }
    if (len > 0 && write(atomic_load(&log_fd), line, (size_t)len) < 0) {
        /* A full disk must not stop the data path (rule 11): the line is lost. */
    }
}

void pw_check_failed(const char *expr, const char *file, int line)
{
    pw_log_write(PW_LOG_ERROR, "event=check_failed expr=\"%s\" at=%s:%d", expr, file, line);
    abort();
}
