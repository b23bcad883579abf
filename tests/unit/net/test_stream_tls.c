/* Streams over TLS: both sides, verification, injection before the handshake, direct negotiation.
 */
#include "tests/unit/net/echo.h"

#include "tests/unit/net/certs.h"

struct tls_setup {
    struct tls_context *server, *client;
    const char *host;
};

static struct tls_setup setup; /* what the accept and connect hooks below use */

static void tls_server_step(struct peer *p)
{
    if (!pw_stream_is_tls(&p->s)) {
        if (pw_stream_input(&p->s).len == 0)
            return;
        pw_stream_consume(&p->s, 1);
        pw_stream_write(&p->s, "S", 1);
        if (pw_stream_start_tls_server(&p->s, setup.server) != PW_OK)
            pw_stream_close(&p->s, true);
        return;
    }
    if (p->tls_up)
        echo_step(p);
}

static void tls_client_step(struct peer *p)
{
    if (p->connected && !p->arg) {
        pw_stream_write(&p->s, "?", 1);
        p->arg = p;
    }
    if (!pw_stream_is_tls(&p->s)) {
        if (pw_stream_input(&p->s).len == 0)
            return;
        assert_int_equal(pw_stream_input(&p->s).ptr[0], 'S');
        pw_stream_consume(&p->s, 1);
        assert_int_equal(pw_stream_start_tls_client(&p->s, setup.client, setup.host), PW_OK);
        return;
    }
    if (p->tls_up && !p->error)
        echo_client_step(p);
}

static struct tls_context *server_context(const struct certs *c, const char *ca, enum tls_verify v)
{
    char *error = NULL;
    struct tls_context *ctx = pw_tls_server_context(c->cert, c->key, ca, v, &error);
    if (!ctx)
        fail_msg("%s", error);
    return ctx;
}

static struct tls_context *client_context(const struct certs *c, enum tls_verify v, bool identity)
{
    char *error = NULL;
    struct tls_context *ctx = pw_tls_client_context(c->cert, v, identity ? c->cert : NULL,
                                                    identity ? c->key : NULL, &error);
    if (!ctx)
        fail_msg("%s", error);
    return ctx;
}

static void test_echo_tls(void **state)
{
    (void)state;
    struct certs c;
    certs_make(&c, "localhost");
    setup = (struct tls_setup){server_context(&c, c.cert, TLS_VERIFY_CA),
                               client_context(&c, TLS_VERIFY_FULL, true), "localhost"};
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, tls_server_step);
    struct peer *clients[3];
    for (size_t i = 0; i < 3; i++)
        clients[i] = world_connect(w, NULL, tls_client_step);
    for (size_t i = 0; i < 3; i++)
        run_until_count(w, &clients[i]->received, ECHO_BYTES);
    assert_string_equal(pw_stream_peer_cn(&clients[0]->s), "localhost");
    size_t servers = 0;
    for (size_t i = 0; i < MAX_PEERS; i++)
        if (w->peers[i].used && w->peers[i].step == tls_server_step) {
            servers++;
            assert_string_equal(pw_stream_peer_cn(&w->peers[i].s), "localhost");
        }
    assert_int_equal(servers, 3);
    /* A goodbye from one side is an end of file on the other. */
    pw_stream_close(&clients[0]->s, true);
    run_until(w, &clients[0]->closed);
    world_free(w);
    pw_free(w);
    pw_tls_context_unref(setup.server);
    pw_tls_context_unref(setup.client);
    certs_free(&c);
}

static void test_tls_refuses_wrong_host(void **state)
{
    (void)state;
    struct certs c;
    certs_make(&c, "localhost");
    setup = (struct tls_setup){server_context(&c, NULL, TLS_VERIFY_NONE),
                               client_context(&c, TLS_VERIFY_FULL, false), "other.example"};
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, tls_server_step);
    struct peer *p = world_connect(w, NULL, tls_client_step);
    run_until(w, &p->error);
    assert_non_null(strstr(pw_stream_error_text(&p->s), "ostname mismatch"));
    assert_false(p->tls_up);
    world_free(w);
    pw_free(w);
    pw_tls_context_unref(setup.server);
    pw_tls_context_unref(setup.client);
    certs_free(&c);
}

static void test_tls_demands_certificate(void **state)
{
    (void)state;
    struct certs c;
    certs_make(&c, "localhost");
    setup = (struct tls_setup){server_context(&c, c.cert, TLS_VERIFY_CA),
                               client_context(&c, TLS_VERIFY_CA, false), "localhost"};
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, tls_server_step);
    struct peer *p = world_connect(w, NULL, tls_client_step);
    run_until(w, &p->error);
    assert_int_equal(p->received, 0);
    world_free(w);
    pw_free(w);
    pw_tls_context_unref(setup.server);
    pw_tls_context_unref(setup.client);
    certs_free(&c);
}

/* Direct TLS: no SSLRequest, the handshake is the first thing on the connection. */
static void direct_server_step(struct peer *p)
{
    if (!pw_stream_is_tls(&p->s)) {
        if (pw_stream_input(&p->s).len == 0)
            return;
        assert_int_equal(pw_stream_input(&p->s).ptr[0], 0x16);
        assert_int_equal(pw_stream_start_tls_direct(&p->s, setup.server), PW_OK);
        return;
    }
    if (p->tls_up)
        echo_step(p);
}

static void direct_client_step(struct peer *p)
{
    if (p->connected && !pw_stream_is_tls(&p->s))
        assert_int_equal(pw_stream_start_tls_client(&p->s, setup.client, setup.host), PW_OK);
    else if (p->tls_up && !p->error)
        echo_client_step(p);
}

static void test_tls_direct(void **state)
{
    (void)state;
    struct certs c;
    certs_make(&c, "localhost");
    setup = (struct tls_setup){server_context(&c, NULL, TLS_VERIFY_NONE),
                               client_context(&c, TLS_VERIFY_FULL, false), "localhost"};
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, direct_server_step);
    struct peer *p = world_connect(w, NULL, direct_client_step);
    run_until_count(w, &p->received, ECHO_BYTES);
    world_free(w);
    pw_free(w);
    pw_tls_context_unref(setup.server);
    pw_tls_context_unref(setup.client);
    certs_free(&c);
}

static enum pw_status injected_status;

static void injected_step(struct peer *p)
{
    if (pw_stream_input(&p->s).len < 6)
        return;
    pw_stream_consume(&p->s, 1);
    injected_status = pw_stream_start_tls_server(&p->s, setup.server);
    pw_stream_close(&p->s, false);
}

static void test_tls_injection(void **state)
{
    (void)state;
    struct certs c;
    certs_make(&c, "localhost");
    setup = (struct tls_setup){server_context(&c, NULL, TLS_VERIFY_NONE), NULL, NULL};
    struct world *w = pw_alloc(sizeof *w);
    world_init(w);
    world_listen(w, NULL, injected_step);
    struct peer *p = world_connect(w, NULL, NULL);
    pw_stream_write(&p->s, "?Qevil", 6);
    run_until(w, &p->eof);
    assert_int_equal(injected_status, PW_TLS_INJECTED);
    world_free(w);
    pw_free(w);
    pw_tls_context_unref(setup.server);
    certs_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_tls),
        cmocka_unit_test(test_tls_refuses_wrong_host),
        cmocka_unit_test(test_tls_demands_certificate),
        cmocka_unit_test(test_tls_direct),
        cmocka_unit_test(test_tls_injection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
