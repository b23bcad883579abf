/* See file.h. */
#include "conf/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/alloc.h"

/* Up to max bytes of fd; NULL and errno when there are more or reading fails. */
static char *read_all(int fd, size_t max, size_t *len)
{
    size_t capacity = 4096, n = 0;
    char *text = pw_alloc(capacity + 1);
    ssize_t got;
    while ((got = read(fd, text + n, capacity - n)) > 0 && n <= max) {
        n += (size_t)got;
        if (n == capacity)
            text = pw_realloc(text, (capacity *= 2) + 1);
    }
    if (got >= 0 && n <= max) {
        text[n] = '\0';
        *len = n;
        return text;
    }
    int saved = got < 0 ? errno : EFBIG;
    pw_free(text);
    errno = saved;
    return NULL;
}

char *pw_file_read(const char *path, size_t max, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return NULL;
    char *text = read_all(fd, max, len);
    int saved = errno;
    close(fd);
    errno = saved;
    return text;
}

bool pw_file_next_line(struct slice *rest, struct slice *line)
{
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->ptr, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    *line = pw_slice(rest->ptr, len);
    if (line->len && line->ptr[line->len - 1] == '\r')
        line->len--;
    len += end != NULL;
    *rest = pw_slice(rest->ptr + len, rest->len - len);
    return true;
}
