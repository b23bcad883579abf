/* A stream's two ends as text, and its keepalive. Owns nothing. Thread: the loop's. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/net/stream.h"

static void print_address(const struct sockaddr_storage *addr, char *host, size_t size, int *port)
{
    snprintf(host, size, "unknown");
    *port = 0;
    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
        uv_ip4_name(in, host, size);
        *port = ntohs(in->sin_port);
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)addr;
        uv_ip6_name(in, host, size);
        /* An IPv4 client on a dual-stack socket is an IPv4 client to every rule and log line. */
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr) && strncmp(host, "::ffff:", 7) == 0)
            memmove(host, host + 7, strlen(host + 7) + 1);
        *port = ntohs(in->sin6_port);
    }
}

static void unix_address(char *host, size_t size, int *port)
{
    snprintf(host, size, "unix");
    *port = 0;
}

void pw_stream_peer(const struct stream *s, char *host, size_t size, int *port)
{
    struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
    int len = sizeof addr;
    if (s->is_pipe) {
        unix_address(host, size, port);
        return;
    }
    if (uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&addr, &len) < 0)
        addr.ss_family = AF_UNSPEC;
    print_address(&addr, host, size, port);
}

void pw_stream_peer_address(const struct stream *s, struct sockaddr_storage *out)
{
    int len = sizeof *out;
    if (s->is_pipe || uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)out, &len) < 0)
        out->ss_family = AF_UNSPEC;
}

void pw_stream_local(const struct stream *s, char *host, size_t size, int *port)
{
    struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
    int len = sizeof addr;
    if (s->is_pipe) {
        unix_address(host, size, port);
        return;
    }
    if (uv_tcp_getsockname(&s->uv.tcp, (struct sockaddr *)&addr, &len) < 0)
        addr.ss_family = AF_UNSPEC;
    print_address(&addr, host, size, port);
}

void pw_stream_keepalive(struct stream *s, int idle_s, int interval_s, int count)
{
    uv_os_fd_t fd;
    if (s->is_pipe || uv_fileno(&s->uv.handle, &fd) < 0)
        return;
    /* By hand: uv_tcp_keepalive would set an interval of one second. Best effort, as in PostgreSQL.
     */
    int on = idle_s > 0;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (!on)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    unsigned timeout_ms = ((unsigned)idle_s + (unsigned)interval_s * (unsigned)count) * 1000u;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}
