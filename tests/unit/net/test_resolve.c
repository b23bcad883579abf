/* The resolver with names every machine knows. */
#include "tests/unit/net/world.h"

#include <arpa/inet.h>

#include "proxy/net/resolve.h"

struct heard {
    bool done;
    int n, port;
    char error[128];
    struct resolver *free_me, *ask;
    struct heard *next;
};

static void on_resolved(void *arg, const struct sockaddr_storage *addrs, int n, const char *error)
{
    struct heard *h = arg;
    assert_false(h->done);
    h->done = true;
    h->n = n;
    snprintf(h->error, sizeof h->error, "%s", error ? error : "");
    if (n > 0)
        h->port =
            ntohs(addrs[0].ss_family == AF_INET ? ((const struct sockaddr_in *)addrs)->sin_port
                                                : ((const struct sockaddr_in6 *)addrs)->sin6_port);
    if (h->ask)
        pw_resolve(h->ask, "no-such-host.invalid", 5, on_resolved, h->next);
    pw_resolver_free(h->free_me);
}

static int setup(void **state)
{
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    pw_free(*state);
    return 0;
}

static void test_literals(void **state)
{
    struct world *w = *state;
    struct resolver *r = pw_resolver_new(&w->uv);
    static const char *const hosts[] = {"127.0.0.1", "::1", "192.0.2.7"};
    for (size_t i = 0; i < PW_COUNT_OF(hosts); i++) {
        struct heard h = {0};
        assert_null(pw_resolve(r, hosts[i], 5432, on_resolved, &h));
        assert_true(h.done);
        assert_int_equal(h.n, 1);
        assert_int_equal(h.port, 5432);
    }
    struct heard empty = {0};
    assert_null(pw_resolve(r, "", 1, on_resolved, &empty));
    assert_true(empty.done && empty.n == 0 && empty.error[0]);
    pw_resolver_free(r);
}

static void test_names_are_remembered(void **state)
{
    struct world *w = *state;
    struct resolver *r = pw_resolver_new(&w->uv);
    struct heard a = {0}, joined = {0}, cancelled = {0}, known = {0};
    assert_non_null(pw_resolve(r, "localhost", 1, on_resolved, &a));
    struct resolve_req *req = pw_resolve(r, "localhost", 2, on_resolved, &cancelled);
    assert_non_null(pw_resolve(r, "localhost", 3, on_resolved, &joined));
    pw_resolve_cancel(req);
    assert_false(a.done);
    run_until(w, &joined.done);
    assert_true(a.n > 0 && a.port == 1 && joined.port == 3);
    assert_false(cancelled.done);
    assert_null(pw_resolve(r, "localhost", 4, on_resolved, &known));
    assert_true(known.done && known.n == a.n && known.port == 4);
    pw_resolver_free(r);
}

static void test_failure_is_told_and_forgotten(void **state)
{
    struct world *w = *state;
    struct resolver *r = pw_resolver_new(&w->uv);
    struct heard b = {0}, a = {.ask = r, .next = &b}; /* a's callback asks the same again */
    assert_non_null(pw_resolve(r, "no-such-host.invalid", 1, on_resolved, &a));
    run_until(w, &a.done);
    assert_int_equal(a.n, 0);
    assert_true(a.error[0] != '\0');
    run_until(w, &b.done);
    assert_int_equal(b.n, 0);
    pw_resolver_free(r);
}

static void test_freed_early(void **state)
{
    struct world *w = *state;
    struct resolver *r = pw_resolver_new(&w->uv);
    struct heard never = {0};
    assert_non_null(pw_resolve(r, "localhost", 1, on_resolved, &never));
    assert_non_null(pw_resolve(r, "no-such-host.invalid", 1, on_resolved, &never));
    pw_resolver_free(r);
    r = pw_resolver_new(&w->uv);
    struct heard a = {.free_me = r}; /* from inside the callback, with another one waiting */
    assert_non_null(pw_resolve(r, "localhost", 1, on_resolved, &a));
    assert_non_null(pw_resolve(r, "localhost", 1, on_resolved, &never));
    run_until(w, &a.done);
    assert_false(never.done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_literals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_are_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_is_told_and_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_early, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
