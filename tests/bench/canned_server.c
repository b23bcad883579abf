/*
 * canned_server: the fastest PostgreSQL there can be, to find the limit of the client in a
 * benchmark.
 *
 * Answers every simple query and every extended cycle with one fixed row (column abalance, value
 * 0), without looking at the SQL. One epoll loop per thread, each with its own listening socket
 * (SO_REUSEPORT). Owns its connections; a connection whose input is malformed or longer than its
 * buffer is closed.
 *
 *   canned_server PORT [THREADS]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IN_MAX = 65536,
    OUT_MAX = 262144,
    THREADS_MAX = 64,
    SSL_CODE = 80877103,
    GSS_CODE = 80877104
};

struct conn {
    int fd;
    bool started;
    size_t in_len, out_len;
    unsigned char in[IN_MAX], out[OUT_MAX];
};

#define MSG(text) text, sizeof(text) - 1

static const char greeting[] = "R\0\0\0\10\0\0\0\0"
                               "S\0\0\0\031client_encoding\0UTF8\0"
                               "S\0\0\0\030server_version\00015.0\0"
                               "K\0\0\0\14\0\0\0\1\0\0\0\1"
                               "Z\0\0\0\5I";
static const char description[] =
    "T\0\0\0\041\0\1abalance\0\0\0\0\0\0\0\0\0\0\027\0\4\377\377\377\377\0\0";
static const char row[] = "D\0\0\0\13\0\1\0\0\0\0010C\0\0\0\15SELECT 1\0";
static const char ready[] = "Z\0\0\0\5I";

static void put(struct conn *c, const char *data, size_t len)
{
    if (c->out_len + len <= OUT_MAX) {
        memcpy(c->out + c->out_len, data, len);
        c->out_len += len;
    }
}

static uint32_t get_u32(const unsigned char *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof(value));
    return ntohl(value);
}

/* Answers one message; false closes the connection. */
static bool answer(struct conn *c, const unsigned char *m, uint32_t len)
{
    switch (m[0]) {
    case 'Q':
        put(c, MSG(description));
        put(c, MSG(row));
        put(c, MSG(ready));
        return true;
    case 'P':
        put(c, "1\0\0\0\4", 5);
        return true;
    case 'B':
        put(c, "2\0\0\0\4", 5);
        return true;
    case 'D':
        if (len > 4 && m[5] == 'S')
            put(c, "t\0\0\0\6\0\0", 7);
        put(c, MSG(description));
        return true;
    case 'E':
        put(c, MSG(row));
        return true;
    case 'C':
        put(c, "3\0\0\0\4", 5);
        return true;
    case 'S':
        put(c, MSG(ready));
        return true;
    case 'H':
        return true;
    default:
        return false;
    }
}

/* Consumes all whole messages in the input buffer. */
static bool step(struct conn *c)
{
    size_t at = 0;
    while (c->in_len - at >= 5) {
        const unsigned char *m = c->in + at;
        uint32_t len = get_u32(c->started ? m + 1 : m);
        size_t whole = (size_t)len + (c->started ? 1 : 0);
        if (len < 4 || whole > IN_MAX)
            return false;
        if (c->in_len - at < whole)
            break;
        if (c->started) {
            if (!answer(c, m, len))
                return false;
        } else if (len == 8 && (get_u32(m + 4) == SSL_CODE || get_u32(m + 4) == GSS_CODE)) {
            put(c, "N", 1);
        } else {
            c->started = true;
            put(c, MSG(greeting));
        }
        at += whole;
    }
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    return true;
}

static bool flush_out(struct conn *c)
{
    size_t at = 0;
    while (at < c->out_len) {
        ssize_t n = send(c->fd, c->out + at, c->out_len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    c->out_len = 0;
    return true;
}

static bool serve(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, IN_MAX - c->in_len, 0);
    if (n <= 0)
        return false;
    c->in_len += (size_t)n;
    return step(c) && flush_out(c);
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 1024) != 0) {
        perror("canned_server: listen");
        exit(1);
    }
    return fd;
}

static void accept_one(int epoll, int listener)
{
    int fd = accept(listener, NULL, NULL), one = 1;
    struct conn *c = fd < 0 ? NULL : calloc(1, sizeof(*c));
    if (c == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        close(fd);
        free(c);
    }
}

static void *loop(void *arg)
{
    int listener = listen_on(*(const uint16_t *)arg);
    int epoll = epoll_create1(0);
    struct epoll_event events[64], event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) {
        perror("canned_server: epoll");
        exit(1);
    }
    for (;;) {
        int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c == NULL) {
                accept_one(epoll, listener);
            } else if (!serve(c)) {
                close(c->fd);
                free(c);
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    long port = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    long threads = argc > 2 ? strtol(argv[2], NULL, 10) : 1;
    if (port < 1 || port > 65535 || threads < 1 || threads > THREADS_MAX) {
        fputs("usage: canned_server PORT [THREADS]\n", stderr);
        return 2;
    }
    uint16_t number = (uint16_t)port;
    for (long i = 1; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, loop, &number) != 0)
            return 1;
    }
    loop(&number);
    return 0;
}
