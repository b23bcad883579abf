/* See dial.h. */
#include "proxy/control/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/table.h"
#include "proxy/base/alloc.h"

/* 0, or an errno. */
static int connect_within(int fd, const struct sockaddr *addr, socklen_t len, int timeout_ms)
{
    if (connect(fd, addr, len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int ready = poll(&p, 1, timeout_ms), failed = 0;
    socklen_t size = sizeof failed;
    if (ready <= 0)
        return ready == 0 ? ETIMEDOUT : errno;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) == 0 ? failed : errno;
}

static int dial_address(const struct sockaddr *addr, socklen_t len, int timeout_ms, int *failed)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *failed = fd < 0 ? errno : connect_within(fd, addr, len, timeout_ms);
    if (*failed == 0 && fcntl(fd, F_SETFL, 0) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int dial_tcp(const char *target, int timeout_ms, char **error)
{
    struct slice host;
    uint16_t port;
    if (!pw_conf_address_split(pw_slice_str(target), &host, &port)) {
        *error = pw_strdup("expected ADDRESS:PORT");
        return -1;
    }
    bool any = host.len == 0 || pw_slice_is(host, "*") || pw_slice_is(host, "0.0.0.0") ||
               pw_slice_is(host, "::");
    char *name = any ? pw_strdup("localhost") : pw_strndup(host.ptr, host.len), service[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    snprintf(service, sizeof service, "%u", port);
    int fd = -1, failed = getaddrinfo(name, service, &hints, &found);
    pw_free(name);
    if (failed) {
        *error = pw_strdup(gai_strerror(failed));
        return -1;
    }
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next)
        fd = dial_address(a->ai_addr, a->ai_addrlen, timeout_ms, &failed);
    freeaddrinfo(found);
    if (fd < 0)
        *error = pw_strdup(strerror(failed));
    return fd;
}

int pw_dial(const char *target, int timeout_ms, char **error)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    int failed;
    *error = NULL;
    if (target[0] != '/')
        return dial_tcp(target, timeout_ms, error);
    if (strlen(target) >= sizeof path.sun_path) {
        *error = pw_strdup("path too long for a socket");
        return -1;
    }
    memcpy(path.sun_path, target, strlen(target) + 1);
    int fd = dial_address((const struct sockaddr *)&path, sizeof path, timeout_ms, &failed);
    if (fd < 0)
        *error = pw_strdup(strerror(failed));
    return fd;
}
