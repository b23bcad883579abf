/* Binding listening sockets, with errors an administrator can act on. Owns nothing after it
 * returns. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/base/num.h"
#include "proxy/net/listen.h"

/* "already in use" reads better than strerror's "Address already in use" in the middle of a line.
 */
static const char *reason(int err)
{
    return err == EADDRINUSE ? "address already in use" : strerror(err);
}

static enum pw_status refuse(char **error, const char *where, const char *why)
{
    *error = pw_asprintf("cannot listen on %s: %s", where, why);
    return PW_IO;
}

/* Splits "host:port", "[v6]:port", ":port", "*:port"; host becomes "" for every address. */
static bool split_address(const char *addr, char *host, size_t size, char port[8])
{
    const char *colon = strrchr(addr, ':');
    uint64_t number;
    if (!colon || !pw_num_parse_u64(pw_slice_str(colon + 1), &number) || number > 65535)
        return false;
    const char *from = addr;
    size_t len = (size_t)(colon - addr);
    if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
        from++;
        len -= 2;
    } else if (memchr(from, ':', len)) {
        return false; /* a bare IPv6 address: which colon is the port's? */
    }
    if (len == 1 && from[0] == '*')
        len = 0;
    if (len >= size)
        return false;
    memcpy(host, from, len);
    host[len] = '\0';
    snprintf(port, 8, "%u", (unsigned)number);
    return true;
}

/* A bound and listening socket for one address; -1 with errno set. */
static int listen_on(const struct sockaddr *addr, socklen_t len, int backlog)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    if (addr->sa_family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (addr->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, addr, len) == 0 && listen(fd, backlog) == 0)
        return fd;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

enum pw_status pw_listen_bind_tcp(const char *addr, int backlog, int *fd, char **error)
{
    char host[256], port[8];
    *fd = -1;
    *error = NULL;
    if (!split_address(addr, host, sizeof host, port)) {
        *error = pw_asprintf("cannot listen on \"%s\": want host:port, [v6]:port, :port or *:port",
                             addr);
        return PW_CONFIG;
    }
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int err = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
    if (err)
        return refuse(error, addr, gai_strerror(err));
    /* Every address: one IPv6 socket that also takes IPv4, where the machine has IPv6. */
    int failure = 0;
    for (int pass = 0; pass < 2 && *fd < 0; pass++)
        for (struct addrinfo *a = list; a && *fd < 0; a = a->ai_next) {
            bool preferred = host[0] ? a == list : a->ai_family == AF_INET6;
            if (preferred != (pass == 0))
                continue;
            *fd = listen_on(a->ai_addr, a->ai_addrlen, backlog);
            if (*fd < 0 && (failure == 0 || errno != EAFNOSUPPORT))
                failure = errno;
        }
    freeaddrinfo(list);
    return *fd >= 0 ? PW_OK : refuse(error, addr, reason(failure));
}

/* True when somebody answers on that socket file. */
static bool is_served(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true; /* not provably stale: leave it alone */
    bool served = connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0 || errno == EAGAIN;
    if (!served && errno != ECONNREFUSED)
        served = true;
    close(fd);
    return served;
}

/* NULL when the path is free (a stale socket file has been removed), else what is in the way. */
static const char *clear_path(const struct sockaddr_un *addr)
{
    struct stat st;
    if (lstat(addr->sun_path, &st) < 0)
        return errno == ENOENT ? NULL : strerror(errno);
    if (!S_ISSOCK(st.st_mode))
        return "the path exists and is not a socket";
    if (is_served(addr))
        return "address already in use";
    return unlink(addr->sun_path) == 0 || errno == ENOENT ? NULL : strerror(errno);
}

static const char *check_directory(const char *path)
{
    char dir[sizeof((struct sockaddr_un *)0)->sun_path];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (!slash)
        return "the path is not absolute";
    slash[slash == dir] = '\0';
    struct stat st;
    if (stat(dir, &st) < 0)
        return errno == ENOENT ? "the directory does not exist" : strerror(errno);
    return S_ISDIR(st.st_mode) ? NULL : "its parent is not a directory";
}

enum pw_status pw_listen_bind_unix(const char *path, int mode, int backlog, int *fd, char **error)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    *fd = -1;
    *error = NULL;
    if (strlen(path) >= sizeof addr.sun_path)
        return refuse(error, path, "the path is too long for a Unix socket (107 bytes)");
    memcpy(addr.sun_path, path, strlen(path) + 1);
    const char *trouble = check_directory(path);
    if (!trouble)
        trouble = clear_path(&addr);
    if (trouble)
        return refuse(error, path, trouble);
    *fd = listen_on((const struct sockaddr *)&addr, sizeof addr, backlog);
    if (*fd < 0)
        return refuse(error, path, reason(errno));
    /* As in PostgreSQL: the mode is set by chmod, so that the umask has no say. */
    if (chmod(path, (mode_t)mode) < 0) {
        int err = errno;
        close(*fd);
        *fd = -1;
        unlink(path);
        return refuse(error, path, strerror(err));
    }
    return PW_OK;
}

int pw_listen_port(int fd)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        return -1;
    if (addr.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&addr)->sin_port);
    return addr.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&addr)->sin6_port) : 0;
}
