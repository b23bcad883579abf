/*
 * login_client: as many SCRAM logins per second as a server takes, and what they do to somebody
 * else.
 *
 *   login_client storm HOST PORT SECONDS CONNECTIONS USERS RATE [DATABASE]
 *   login_client bystander HOST PORT SECONDS USER PASSWORD [DATABASE]
 *
 * storm: one thread, epoll, at most CONNECTIONS logins at a time by the users user0 ..
 * user<USERS-1> with the passwords pass0 ..; each logs in, waits for ReadyForQuery and says
 * Terminate. RATE 0: the next begins at once; else so many begin per second, whatever the server
 * does. PBKDF2 runs once per user and salt, so that the client is not what is measured. Prints
 * "logins errors seconds p50_us p99_us". bystander: one connection that logs in and then sends
 * `select 1` in a closed loop with a pause of a millisecond. Prints "queries p50_us p99_us p999_us
 * max_us". An error is printed once; too many end the program.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IN_MAX = 8192,
    OUT_MAX = 1024,
    USERS_MAX = 10000,
    CONNECTIONS_MAX = 1000,
    SAMPLES_MAX = 1 << 22,
    KEY = 32
};

struct user {
    char name[32], password[32];
    char salt[128]; /* base64, as the server sent it; "" until then */
    int iterations;
    uint8_t client_key[KEY], stored_key[KEY];
};

struct conn {
    int fd;
    struct user *user;
    uint64_t started_us;
    char in[IN_MAX];
    size_t in_len;
    char nonce[32], first_bare[64];
    uint32_t number;
};

static struct sockaddr_in address;
static const char *database = "postgres";
static uint32_t *samples;
static size_t n_samples;
static uint64_t logins, errors;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what)
{
    fprintf(stderr, "login_client: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void note(uint64_t us)
{
    if (n_samples < SAMPLES_MAX)
        samples[n_samples++] = (uint32_t)us;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t percentile(double p)
{
    return n_samples ? samples[(size_t)((double)(n_samples - 1) * p)] : 0;
}

static void fail(struct conn *c, const char *why)
{
    if (errors++ == 0)
        fprintf(stderr, "login_client: user %s: %s\n", c->user->name, why);
    if (errors > 1000)
        exit(1);
}

/* ---- messages */

static void put_u32(char *to, uint32_t v)
{
    v = htonl(v);
    memcpy(to, &v, 4);
}

static uint32_t get_u32(const char *from)
{
    uint32_t v;
    memcpy(&v, from, 4);
    return ntohl(v);
}

static bool send_all(int fd, const char *data, size_t len)
{
    return send(fd, data, len, MSG_NOSIGNAL) ==
           (ssize_t)len; /* a few hundred bytes: they fit or the peer is gone */
}

static bool send_startup(struct conn *c)
{
    char out[OUT_MAX];
    int n = 8 + snprintf(out + 8, sizeof out - 8, "user%c%s%cdatabase%c%s%c", 0, c->user->name, 0,
                         0, database, 0);
    out[n++] = 0;
    put_u32(out, (uint32_t)n);
    put_u32(out + 4, 196608);
    return send_all(c->fd, out, (size_t)n);
}

static bool send_sasl_first(struct conn *c)
{
    char out[OUT_MAX];
    static const char mechanism[] = "SCRAM-SHA-256";
    snprintf(c->nonce, sizeof c->nonce, "nonce%08x%012llx", c->number,
             (unsigned long long)now_us());
    int bare = snprintf(c->first_bare, sizeof c->first_bare, "n=,r=%s", c->nonce);
    int n = 5;
    memcpy(out + n, mechanism, sizeof mechanism);
    n += (int)sizeof mechanism;
    put_u32(out + n, (uint32_t)bare + 3);
    n += 4 + snprintf(out + n + 4, sizeof out - (size_t)n - 4, "n,,%s", c->first_bare);
    out[0] = 'p';
    put_u32(out + 1, (uint32_t)n - 1);
    return send_all(c->fd, out, (size_t)n);
}

static void hmac(const uint8_t *key, const char *data, size_t len, uint8_t out[KEY])
{
    unsigned n = KEY;
    HMAC(EVP_sha256(), key, KEY, (const uint8_t *)data, len, out, &n);
}

/* Once per user and salt. */
static bool learn_keys(struct user *u, const char *salt, int iterations)
{
    uint8_t raw[128], salted[KEY];
    if (!strcmp(u->salt, salt) && u->iterations == iterations)
        return true;
    size_t len = strlen(salt);
    if (len >= sizeof u->salt || len % 4)
        return false;
    int n = EVP_DecodeBlock(raw, (const uint8_t *)salt, (int)len);
    while (len && salt[len - 1] == '=') {
        n--;
        len--;
    }
    PKCS5_PBKDF2_HMAC(u->password, (int)strlen(u->password), raw, n, iterations, EVP_sha256(), KEY,
                      salted);
    hmac(salted, "Client Key", 10, u->client_key);
    SHA256(u->client_key, KEY, u->stored_key);
    snprintf(u->salt, sizeof u->salt, "%s", salt);
    u->iterations = iterations;
    return true;
}

static bool send_sasl_final(struct conn *c, const char *server_first)
{
    char nonce[200], salt[128], bare[256], message[1024], out[OUT_MAX];
    int iterations;
    if (sscanf(server_first, "r=%199[^,],s=%127[^,],i=%d", nonce, salt, &iterations) != 3 ||
        !learn_keys(c->user, salt, iterations))
        return false;
    snprintf(bare, sizeof bare, "c=biws,r=%s", nonce);
    int len = snprintf(message, sizeof message, "%s,%s,%s", c->first_bare, server_first, bare);
    uint8_t proof[KEY], text[64];
    hmac(c->user->stored_key, message, (size_t)len, proof);
    for (int i = 0; i < KEY; i++)
        proof[i] ^= c->user->client_key[i];
    EVP_EncodeBlock(text, proof, KEY);
    int n = 5 + snprintf(out + 5, sizeof out - 5, "%s,p=%s", bare, (const char *)text);
    out[0] = 'p';
    put_u32(out + 1, (uint32_t)n - 1);
    return send_all(c->fd, out, (size_t)n);
}

/* ---- a login, message by message */

enum step { GO_ON, READY, BROKEN };

static enum step on_auth(struct conn *c, const char *body, size_t len)
{
    char text[512];
    switch (len >= 4 ? get_u32(body) : 99) {
    case 0:  /* ok */
    case 12: /* the server's signature: it is not what is measured */
        return GO_ON;
    case 10:
        return send_sasl_first(c) ? GO_ON : BROKEN;
    case 11:
        if (len - 4 >= sizeof text)
            return BROKEN;
        memcpy(text, body + 4, len - 4);
        text[len - 4] = '\0';
        return send_sasl_final(c, text) ? GO_ON : BROKEN;
    default:
        fail(c, "asked for another method than SCRAM");
        return BROKEN;
    }
}

static void say_error(struct conn *c, const char *body, size_t len)
{
    for (size_t i = 0; i < len && body[i]; i += strlen(body + i) + 1)
        if (body[i] == 'M')
            fail(c, body + i + 1);
}

static enum step on_input(struct conn *c)
{
    size_t at = 0;
    enum step step = GO_ON;
    while (step == GO_ON && c->in_len - at >= 5) {
        size_t len = get_u32(c->in + at + 1) + 1;
        if (len > IN_MAX) {
            fail(c, "message too long");
            return BROKEN;
        }
        if (c->in_len - at < len)
            break;
        const char *body = c->in + at + 5;
        if (c->in[at] == 'R')
            step = on_auth(c, body, len - 5);
        else if (c->in[at] == 'Z')
            step = READY;
        else if (c->in[at] == 'E') {
            say_error(c, body, len - 5);
            step = BROKEN;
        }
        at += len;
    }
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    return step;
}

static enum step take_input(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, IN_MAX - c->in_len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return GO_ON;
    if (n <= 0) {
        fail(c, n < 0 ? strerror(errno) : "closed by the server");
        return BROKEN;
    }
    c->in_len += (size_t)n;
    return on_input(c);
}

/* ---- storm */

static struct user users[USERS_MAX];
static uint32_t next_user, n_users;
static double rate;
static struct conn *idle[CONNECTIONS_MAX];
static int n_idle;
static uint64_t started;

static void begin(struct conn *c, int epoll)
{
    static uint32_t number;
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->user = &users[next_user++ % n_users];
    c->started_us = now_us();
    c->in_len = 0;
    c->number = ++number;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
        die("connect");
    struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static void end(struct conn *c, int epoll, bool good)
{
    static const char terminate[] = {'X', 0, 0, 0, 4};
    if (good) {
        logins++;
        note(now_us() - c->started_us);
        send_all(c->fd, terminate, sizeof terminate);
    }
    close(c->fd);
    if (rate > 0)
        idle[n_idle++] = c;
    else
        begin(c, epoll);
}

/* As many as are due by now, as far as connections are left. */
static void begin_due(uint64_t began_us, int epoll)
{
    while (n_idle > 0 && (double)started < (double)(now_us() - began_us) * rate / 1e6) {
        started++;
        begin(idle[--n_idle], epoll);
    }
}

static void on_event(struct epoll_event *e, int epoll)
{
    struct conn *c = e->data.ptr;
    enum step step = GO_ON;
    if (e->events & EPOLLOUT) {
        struct epoll_event in = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &in);
        if (!send_startup(c)) {
            fail(c, strerror(errno));
            step = BROKEN;
        }
    } else {
        step = take_input(c);
    }
    if (step != GO_ON)
        end(c, epoll, step == READY);
}

static void storm(double seconds, int n)
{
    int epoll = epoll_create1(0);
    struct conn *conns = calloc((size_t)n, sizeof *conns);
    struct epoll_event events[256];
    for (uint32_t i = 0; i < n_users; i++) {
        snprintf(users[i].name, sizeof users[i].name, "user%u", i);
        snprintf(users[i].password, sizeof users[i].password, "pass%u", i);
    }
    uint64_t began_us = now_us(), end_us = began_us + (uint64_t)(seconds * 1e6);
    for (int i = 0; i < n && rate > 0; i++)
        idle[n_idle++] = &conns[i];
    for (int i = 0; i < n && rate <= 0; i++)
        begin(&conns[i], epoll);
    while (now_us() < end_us) {
        begin_due(began_us, epoll);
        int got = epoll_wait(epoll, events, 256, rate > 0 ? 1 : 100);
        for (int i = 0; i < got; i++)
            on_event(&events[i], epoll);
    }
    qsort(samples, n_samples, sizeof *samples, by_value);
    printf("%llu %llu %.3f %u %u\n", (unsigned long long)logins, (unsigned long long)errors,
           (double)(now_us() - began_us) / 1e6, percentile(0.5), percentile(0.99));
    free(conns);
}

/* ---- bystander */

static void wait_ready(struct conn *c)
{
    enum step step = GO_ON;
    while ((step = take_input(c)) == GO_ON)
        ;
    if (step == BROKEN)
        exit(1);
}

static void bystand(double seconds)
{
    static const char query[] = "Q\0\0\0\rselect 1";
    struct conn c = {.user = &users[0]};
    uint64_t end_us;
    c.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c.fd < 0 || connect(c.fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    int one = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!send_startup(&c))
        die("send");
    wait_ready(&c);
    end_us = now_us() + (uint64_t)(seconds * 1e6);
    while (now_us() < end_us) {
        uint64_t sent_us = now_us();
        if (!send_all(c.fd, query, sizeof query))
            die("send");
        wait_ready(&c);
        note(now_us() - sent_us);
        usleep(1000);
    }
    qsort(samples, n_samples, sizeof *samples, by_value);
    printf("%zu %u %u %u %u\n", n_samples, percentile(0.5), percentile(0.99), percentile(0.999),
           percentile(1));
    close(c.fd);
}

int main(int argc, char **argv)
{
    bool is_storm = argc >= 8 && !strcmp(argv[1], "storm"),
         is_bystander = argc >= 7 && !strcmp(argv[1], "bystander");
    if (!is_storm && !is_bystander) {
        fprintf(stderr,
                "usage: login_client storm HOST PORT SECONDS CONNECTIONS USERS RATE [DATABASE]\n"
                "       login_client bystander HOST PORT SECONDS USER PASSWORD [DATABASE]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(argv[3]));
    if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
        die("host");
    int rest = is_storm ? 8 : 7;
    if (argc > rest)
        database = argv[rest];
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    if (!samples)
        die("memory");
    if (is_bystander) {
        snprintf(users[0].name, sizeof users[0].name, "%s", argv[5]);
        snprintf(users[0].password, sizeof users[0].password, "%s", argv[6]);
        bystand(atof(argv[4]));
        return 0;
    }
    int connections = atoi(argv[5]), wanted = atoi(argv[6]);
    if (connections < 1 || connections > CONNECTIONS_MAX || wanted < 1 || wanted > USERS_MAX) {
        fprintf(stderr, "login_client: 1 to %d connections, 1 to %d users\n", CONNECTIONS_MAX,
                USERS_MAX);
        return 2;
    }
    n_users = (uint32_t)wanted;
    rate = atof(argv[7]);
    storm(atof(argv[4]), connections);
    return 0;
}
