/*
 * Name resolution. Owns the table of remembered names and the lookups under way, on one loop;
 * libuv's pool threads see only libuv's own request. A lookup for the same name joins the one under
 * way. Failures are not remembered: the next ask looks again.
 */
#include "proxy/net/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/base/hashmap.h"
#include "proxy/base/list.h"

enum { ADDRS_MAX = 16, NAMES_MAX = 1024, HOST_MAX = 255, REMEMBER_US = 30000000 };

struct name {
    struct hash_node hash; /* LINK resolver->names */
    struct list_node link; /* LINK resolver->by_age, oldest answer first */
    struct resolver *r;    /* BORROW; NULL when the resolver is gone and only the lookup is left */
    char *host;            /* OWN */
    struct list waiting;   /* of struct resolve_req */
    bool looking_up;
    uint64_t known_us; /* when addrs was learnt; 0: nothing known */
    int n;
    struct sockaddr_storage addrs[ADDRS_MAX]; /* port 0 */
    uv_getaddrinfo_t req;
};

struct resolve_req {
    struct list_node link; /* LINK name->waiting */
    struct name *name;     /* BORROW */
    int port;
    pw_on_resolved cb;
    void *arg; /* BORROW */
};

struct resolver {
    uv_loop_t *uv; /* BORROW */
    struct hashmap names;
    struct list by_age;
};

struct resolver *pw_resolver_new(uv_loop_t *uv)
{
    struct resolver *r = pw_alloc(sizeof *r);
    r->uv = uv;
    pw_hashmap_init(&r->names);
    pw_list_init(&r->by_age);
    return r;
}

static void set_port(struct sockaddr_storage *addr, int port)
{
    if (addr->ss_family == AF_INET)
        ((struct sockaddr_in *)addr)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)addr)->sin6_port = htons((uint16_t)port);
}

static void answer(const struct sockaddr_storage *addrs, int n, int port, const char *error,
                   pw_on_resolved cb, void *arg)
{
    struct sockaddr_storage copy[ADDRS_MAX];
    for (int i = 0; i < n; i++) {
        copy[i] = addrs[i];
        set_port(&copy[i], port);
    }
    cb(arg, copy, n, error);
}

/* Takes the name out of the table; frees it unless libuv still works on it. */
static void forget(struct resolver *r, struct name *name)
{
    pw_hashmap_remove(&r->names, &name->hash);
    pw_list_remove(&r->by_age, &name->link);
    while (!pw_list_empty(&name->waiting))
        pw_free(PW_LIST_ENTRY(pw_list_pop_front(&name->waiting), struct resolve_req, link));
    name->r = NULL;
    if (name->looking_up) {
        uv_cancel((uv_req_t *)&name->req);
        return;
    }
    pw_free(name->host);
    pw_free(name);
}

void pw_resolver_free(struct resolver *r)
{
    struct list_node *n;
    if (!r)
        return;
    while ((n = pw_list_first(&r->by_age)))
        forget(r, PW_LIST_ENTRY(n, struct name, link));
    pw_hashmap_free(&r->names);
    pw_free(r);
}

static struct name *find(const struct resolver *r, const char *host, uint64_t hash)
{
    for (struct hash_node *n = pw_hashmap_first(&r->names, hash); n; n = pw_hashmap_next(n)) {
        struct name *name = PW_CONTAINER_OF(n, struct name, hash);
        if (strcmp(name->host, host) == 0)
            return name;
    }
    return NULL;
}

static void remember(struct name *name, const struct addrinfo *list)
{
    name->n = 0;
    for (const struct addrinfo *a = list; a && name->n < ADDRS_MAX; a = a->ai_next)
        if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
            memcpy(&name->addrs[name->n++], a->ai_addr, a->ai_addrlen);
    name->known_us = name->n > 0 ? pw_clock_us() : 0;
    pw_list_remove(&name->r->by_age, &name->link);
    pw_list_push_back(&name->r->by_age, &name->link);
}

static void on_answer(uv_getaddrinfo_t *req, int status, struct addrinfo *list);

static bool start_lookup(struct name *name)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    name->req.data = name;
    name->looking_up =
        uv_getaddrinfo(name->r->uv, &name->req, on_answer, name->host, NULL, &hints) == 0;
    return name->looking_up;
}

/* Those that wait now; one that asks again meanwhile stays in the list. */
static void answer_waiting(struct name *name, const struct sockaddr_storage *addrs, int n,
                           const char *error)
{
    for (size_t left = name->waiting.count; left > 0 && !pw_list_empty(&name->waiting); left--) {
        struct resolve_req *r =
            PW_LIST_ENTRY(pw_list_pop_front(&name->waiting), struct resolve_req, link);
        struct resolve_req copy = *r;
        pw_free(r);
        answer(addrs, n, copy.port, error, copy.cb, copy.arg);
    }
}

static void on_answer(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct name *name = req->data;
    name->looking_up = false;
    if (!name->r) {
        uv_freeaddrinfo(list);
        pw_free(name->host);
        pw_free(name);
        return;
    }
    remember(name, status == 0 ? list : NULL);
    uv_freeaddrinfo(list);
    const char *error = name->n > 0 ? NULL : status ? uv_strerror(status) : "no address";
    /* A callback may ask again, cancel another request, or free the resolver: the addresses are
     * copied, and looking_up keeps the name alive through forget(). */
    struct sockaddr_storage addrs[ADDRS_MAX];
    int n = name->n;
    memcpy(addrs, name->addrs, sizeof addrs[0] * (size_t)n);
    name->looking_up = true;
    answer_waiting(name, addrs, n, error);
    name->looking_up = false;
    if (name->r && !pw_list_empty(&name->waiting) && !start_lookup(name))
        answer_waiting(name, addrs, 0, "cannot start the look-up");
    if (!name->r) {
        pw_free(name->host);
        pw_free(name);
    } else if (n == 0 && pw_list_empty(&name->waiting)) {
        forget(name->r, name);
    }
}

/* Room for one more name: the one learnt longest ago goes, unless all are being looked up. */
static bool make_room(struct resolver *r)
{
    if (r->by_age.count < NAMES_MAX)
        return true;
    PW_LIST_FOR(&r->by_age, it, tmp)
    {
        struct name *name = PW_LIST_ENTRY(it, struct name, link);
        if (name->looking_up)
            continue;
        forget(r, name);
        return true;
    }
    return false;
}

static bool parse_literal(const char *host, struct sockaddr_storage *addr)
{
    return uv_ip4_addr(host, 0, (struct sockaddr_in *)addr) == 0 ||
           uv_ip6_addr(host, 0, (struct sockaddr_in6 *)addr) == 0;
}

struct resolve_req *pw_resolve(struct resolver *r, const char *host, int port, pw_on_resolved cb,
                               void *arg)
{
    struct sockaddr_storage literal;
    size_t len = strlen(host);
    if (len == 0 || len > HOST_MAX) {
        answer(NULL, 0, 0, "not a host name", cb, arg);
        return NULL;
    }
    if (parse_literal(host, &literal)) {
        answer(&literal, 1, port, NULL, cb, arg);
        return NULL;
    }
    uint64_t hash = pw_hash_bytes(host, len);
    struct name *name = find(r, host, hash);
    if (name && !name->looking_up && name->known_us &&
        pw_clock_us() - name->known_us < REMEMBER_US) {
        answer(name->addrs, name->n, port, NULL, cb, arg);
        return NULL;
    }
    if (!name) {
        if (!make_room(r)) {
            answer(NULL, 0, 0, "too many host names are being looked up", cb, arg);
            return NULL;
        }
        name = pw_alloc(sizeof *name);
        name->r = r;
        name->host = pw_strdup(host);
        pw_list_init(&name->waiting);
        pw_hashmap_insert(&r->names, &name->hash, hash);
        pw_list_push_back(&r->by_age, &name->link);
    }
    if (!name->looking_up && !start_lookup(name)) {
        forget(r, name);
        answer(NULL, 0, 0, "cannot start the look-up", cb, arg);
        return NULL;
    }
    struct resolve_req *req = pw_alloc(sizeof *req);
    *req = (struct resolve_req){.name = name, .port = port, .cb = cb, .arg = arg};
    pw_list_push_back(&name->waiting, &req->link);
    return req;
}

void pw_resolve_cancel(struct resolve_req *req)
{
    pw_list_remove(&req->name->waiting, &req->link);
    pw_free(req);
}
