/*
 * client_auth and server_login against each other in memory, for every method and kind of secret,
 * and server_login against servers that break the rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/base/alloc.h"
#include "proxy/wire/client_auth.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"
#include "proxy/wire/server_login.h"

static const uint8_t seed[SCRAM_KEY] = {42};
static const struct name_value ann[] = {{PW_SLICE_LIT("user"), PW_SLICE_LIT("ann")},
                                        {PW_SLICE_LIT("database"), PW_SLICE_LIT("db")}};

/* The two machines, joined by two buffers. */
struct pair {
    struct client_auth *auth;
    struct server_login *login;
    struct buf up, down;
    enum auth_result auth_says;
    enum login_result login_says;
    int derivations;
};

static bool next_message(struct buf *in, uint8_t *type, struct slice *body)
{
    struct frame f = {0};
    if (pw_frame_peek(pw_buf_slice(in), &f) != FRAME_OK)
        return false;
    assert_true(in->len >= f.len);
    *type = f.type;
    *body = pw_frame_body(pw_buf_slice(in), &f);
    return true;
}

static void derive_auth(struct pair *p)
{
    struct scram_keys keys;
    while (p->auth_says == AUTH_NEED_DERIVE) {
        const struct scram_job *j = &p->auth->job;
        p->derivations++;
        assert_true(pw_scram_derive(j->password, j->salt, j->iterations, &keys));
        p->auth_says = pw_client_auth_resume(p->auth, &keys, &p->down);
    }
}

static void derive_login(struct pair *p)
{
    struct scram_keys keys;
    while (p->login_says == LOGIN_NEED_DERIVE) {
        const struct scram_job *j = &p->login->job;
        assert_true(pw_scram_derive(j->password, j->salt, j->iterations, &keys));
        p->login_says = pw_server_login_resume(p->login, &keys, &p->up);
    }
}

/* Moves every message there is, until nobody has anything to say. */
static void pump(struct pair *p)
{
    uint8_t type;
    struct slice body;
    for (bool moved = true; moved;) {
        moved = false;
        while (p->auth_says == AUTH_MORE && next_message(&p->up, &type, &body)) {
            p->auth_says = pw_client_auth_feed(p->auth, type, body, &p->down);
            derive_auth(p);
            pw_buf_consume(&p->up, FRAME_HEADER + body.len);
            moved = true;
        }
        while (p->login_says == LOGIN_MORE && next_message(&p->down, &type, &body)) {
            p->login_says = pw_server_login_feed(p->login, type, body, &p->up);
            derive_login(p);
            pw_buf_consume(&p->down, FRAME_HEADER + body.len);
            moved = true;
        }
    }
}

static struct pair start(enum auth_method method, const char *secret,
                         const struct login_credentials *c)
{
    struct pair p = {.auth = pw_alloc(sizeof *p.auth), .login = pw_alloc(sizeof *p.login)};
    pw_buf_init(&p.up, 1 << 17);
    pw_buf_init(&p.down, 1 << 17);
    assert_true(pw_client_auth_init(p.auth, method, ann[0].value, pw_slice_str(secret), seed));
    assert_true(pw_server_login_init(p.login, ann, 2, c));
    p.login_says = pw_server_login_start(p.login, &p.up);
    struct startup s;
    assert_true(pw_startup_decode(pw_buf_slice(&p.up), &s));
    pw_buf_reset(&p.up);
    p.auth_says = pw_client_auth_start(p.auth, &p.down);
    derive_auth(&p);
    pump(&p);
    return p;
}

static void stop(struct pair *p)
{
    pw_client_auth_wipe(p->auth);
    pw_server_login_free(p->login);
    PW_FREE(p->auth);
    PW_FREE(p->login);
    pw_buf_free(&p->up);
    pw_buf_free(&p->down);
}

static char *verifier_of(const char *password)
{
    struct scram_keys keys;
    struct scram_verifier v;
    struct buf text;
    struct slice salt = PW_SLICE_LIT("sixteen bytes ..");
    pw_buf_init(&text, 1024);
    assert_true(pw_scram_derive(pw_slice_str(password), salt, 4096, &keys));
    assert_true(pw_scram_verifier_from_keys(&keys, salt, 4096, &v));
    assert_true(pw_scram_verifier_print(&v, &text) && pw_buf_append_u8(&text, 0));
    return text.data;
}

static void all_methods_and_secrets(void **state)
{
    (void)state;
    char *verifier = verifier_of("pencil");
    struct md5_text hash;
    assert_true(pw_md5_hash(PW_SLICE_LIT("pencil"), ann[0].value, &hash));
    const enum auth_method methods[] = {AUTH_METHOD_TRUST, AUTH_METHOD_PASSWORD, AUTH_METHOD_MD5,
                                        AUTH_METHOD_SCRAM};
    const char *const secrets[] = {"", "pencil", hash.text, verifier};
    const struct login_credentials right = {LOGIN_PASSWORD, PW_SLICE_LIT("pencil"), NULL};
    const struct login_credentials wrong = {LOGIN_PASSWORD, PW_SLICE_LIT("pencil2"), NULL};
    for (size_t m = 0; m < PW_COUNT_OF(methods); m++) {
        for (size_t s = 0; s < PW_COUNT_OF(secrets); s++) {
            bool trust = methods[m] == AUTH_METHOD_TRUST;
            bool possible = trust || (s != 0 && !(methods[m] == AUTH_METHOD_SCRAM && s == 2));
            struct pair p = start(methods[m], secrets[s], &right);
            assert_int_equal(p.auth_says, possible ? AUTH_OK : AUTH_FAIL);
            assert_int_equal(p.login_says, LOGIN_MORE);
            assert_int_equal(p.login->state == SERVER_LOGIN_STARTING, possible);
            stop(&p);
            p = start(methods[m], secrets[s], &wrong);
            assert_int_equal(p.auth_says, trust ? AUTH_OK : AUTH_FAIL);
            assert_int_equal(p.auth->reason != NULL, !trust);
            assert_false(p.auth->have_keys);
            stop(&p);
        }
    }
    pw_free(verifier);
}

static void keys_pass_through(void **state)
{
    (void)state;
    char *verifier = verifier_of("pencil");
    const struct login_credentials password = {LOGIN_PASSWORD, PW_SLICE_LIT("pencil"), NULL};
    const enum auth_method methods[] = {AUTH_METHOD_SCRAM, AUTH_METHOD_MD5, AUTH_METHOD_PASSWORD};
    for (size_t m = 0; m < PW_COUNT_OF(methods); m++) {
        struct pair p = start(methods[m], verifier, &password);
        assert_true(p.auth_says == AUTH_OK && p.auth->have_keys);
        const struct login_credentials keys = {LOGIN_KEYS, {0}, &p.auth->keys};
        struct pair q = start(AUTH_METHOD_SCRAM, verifier, &keys);
        assert_int_equal(q.auth_says, AUTH_OK);
        assert_int_equal(q.derivations, 0);
        stop(&q);
        bool clear = methods[m] == AUTH_METHOD_PASSWORD;
        assert_int_equal(pw_client_auth_password(p.auth).len, clear ? 6 : 0);
        stop(&p);
    }
    pw_free(verifier);
}

static void unknown_users_look_alike(void **state)
{
    (void)state;
    char *verifier = verifier_of("pencil");
    const struct login_credentials password = {LOGIN_PASSWORD, PW_SLICE_LIT("nope"), NULL};
    const enum auth_method methods[] = {AUTH_METHOD_PASSWORD, AUTH_METHOD_MD5, AUTH_METHOD_SCRAM};
    for (size_t m = 0; m < PW_COUNT_OF(methods); m++) {
        struct pair known = start(methods[m], verifier, &password);
        struct pair unknown = start(methods[m], "", &password);
        assert_int_equal(known.auth_says, AUTH_FAIL);
        assert_int_equal(unknown.auth_says, AUTH_FAIL);
        assert_int_equal(known.login->messages, unknown.login->messages);
        assert_int_equal(known.derivations, unknown.derivations);
        stop(&known);
        stop(&unknown);
    }
    pw_free(verifier);
    /* A user list of plain passwords: the same salt and count, for the known and the unknown. */
    struct pair known = start(AUTH_METHOD_SCRAM, "pencil", &password);
    struct pair unknown = start(AUTH_METHOD_SCRAM, "", &password);
    const struct scram_text *a = &known.auth->scram.server_first;
    const struct scram_text *b = &unknown.auth->scram.server_first;
    size_t tail = strlen(",s=0123456789abcdef01234567,i=4096");
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->text + a->len - tail, b->text + b->len - tail, tail);
    stop(&known);
    stop(&unknown);
}

static void missing_credentials_are_named(void **state)
{
    (void)state;
    struct scram_keys keys = {{1}, {2}};
    struct md5_text hash;
    assert_true(pw_md5_hash(PW_SLICE_LIT("pencil"), ann[0].value, &hash));
    const struct login_credentials nothing = {LOGIN_NOTHING, {0}, NULL};
    const struct login_credentials md5 = {LOGIN_MD5, pw_slice(hash.text, MD5_TEXT), NULL};
    const struct login_credentials only_keys = {LOGIN_KEYS, {0}, &keys};
    const struct {
        const struct login_credentials *c;
        enum auth_method method;
        const char *reason; /* NULL: works */
    } rows[] = {
        {&nothing, AUTH_METHOD_TRUST, NULL},
        {&nothing, AUTH_METHOD_PASSWORD,
         "server asks for a cleartext password, but no password is known"},
        {&nothing, AUTH_METHOD_SCRAM, "server asks for SCRAM-SHA-256, but no password is known"},
        {&md5, AUTH_METHOD_MD5, NULL},
        {&md5, AUTH_METHOD_SCRAM, "server asks for SCRAM-SHA-256, but only an md5 hash is known"},
        {&md5, AUTH_METHOD_PASSWORD,
         "server asks for a cleartext password, but only an md5 hash is known"},
        {&only_keys, AUTH_METHOD_MD5,
         "server asks for an md5 password, but only SCRAM keys are known"},
    };
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        struct pair p = start(rows[i].method, "pencil", rows[i].c);
        if (rows[i].reason)
            assert_string_equal(p.login->reason, rows[i].reason);
        else
            assert_int_equal(p.auth_says, AUTH_OK);
        stop(&p);
    }
}

/* ---- relay: the client's answers reach the server through us ---- */

/* A client (server_login with a password) talks to a server (client_auth) through the middle one.
 */
static bool relay(enum auth_method method, const char *secret, const char *typed)
{
    const struct login_credentials ask = {LOGIN_CLIENT, {0}, NULL};
    const struct login_credentials knows = {LOGIN_PASSWORD, pw_slice_str(typed), NULL};
    struct pair server = start(method, secret, &ask);
    struct server_login *client = pw_alloc(sizeof *client);
    struct buf up;
    pw_buf_init(&up, 1 << 17);
    assert_true(pw_server_login_init(client, ann, 2, &knows));
    assert_int_equal(pw_server_login_start(client, &up), LOGIN_MORE);
    struct scram_keys keys;
    while (server.login_says == LOGIN_RELAY) {
        pw_buf_reset(&up);
        uint8_t type;
        struct slice body;
        assert_true(next_message(&server.login->relay, &type, &body));
        enum login_result r = pw_server_login_feed(client, type, body, &up);
        if (r == LOGIN_NEED_DERIVE) {
            assert_true(pw_scram_derive(client->job.password, client->job.salt,
                                        client->job.iterations, &keys));
            r = pw_server_login_resume(client, &keys, &up);
        }
        assert_int_equal(r, LOGIN_MORE);
        server.login_says = LOGIN_MORE;
        if (next_message(&up, &type, &body))
            server.login_says = pw_server_login_relay(server.login, body, &server.up);
        pump(&server);
    }
    bool ok = server.auth_says == AUTH_OK && server.login->state == SERVER_LOGIN_STARTING;
    pw_server_login_free(client);
    pw_free(client);
    pw_buf_free(&up);
    stop(&server);
    return ok;
}

static void relayed_logins(void **state)
{
    (void)state;
    char *verifier = verifier_of("pencil");
    assert_true(relay(AUTH_METHOD_TRUST, "", "x"));
    assert_true(relay(AUTH_METHOD_PASSWORD, verifier, "pencil"));
    assert_false(relay(AUTH_METHOD_PASSWORD, verifier, "pen"));
    assert_true(relay(AUTH_METHOD_MD5, "pencil", "pencil"));
    assert_false(relay(AUTH_METHOD_MD5, "pencil", "pen"));
    assert_true(relay(AUTH_METHOD_SCRAM, verifier, "pencil"));
    assert_false(relay(AUTH_METHOD_SCRAM, verifier, "pen"));
    pw_free(verifier);
}

/* ---- servers that break the rules ---- */

#define SEND(type, text)                                                                           \
    {                                                                                              \
        (type), PW_SLICE_LIT(text)                                                                 \
    }
struct message {
    uint8_t type;
    struct slice body;
};
static const struct message auth_ok = SEND('R', "\0\0\0\0");

/* Plays the messages to a login with a password; what the last one that was taken gave. */
static enum login_result play(const struct message *m, size_t count, struct server_login *l)
{
    const struct login_credentials c = {LOGIN_PASSWORD, PW_SLICE_LIT("pencil"), NULL};
    struct buf out;
    pw_buf_init(&out, 1 << 17);
    assert_true(pw_server_login_init(l, ann, 2, &c));
    enum login_result r = pw_server_login_start(l, &out);
    for (size_t i = 0; r == LOGIN_MORE && i < count; i++)
        r = pw_server_login_feed(l, m[i].type, m[i].body, &out);
    pw_buf_free(&out);
    return r;
}

static void normal_start(void **state)
{
    (void)state;
    const struct message m[] = {auth_ok,
                                SEND('S', "TimeZone\0UTC\0"),
                                SEND('N', "SNOTICE\0Mhello\0\0"),
                                SEND('S', "DateStyle\0ISO\0"),
                                SEND('S', "TimeZone\0Europe/Paris\0"),
                                SEND('K', "\0\0\1\0abcd"),
                                SEND('Z', "I")};
    struct server_login l;
    struct slice v;
    for (size_t n = 0; n < PW_COUNT_OF(m); n++) {
        assert_int_equal(play(m, n, &l), LOGIN_MORE);
        pw_server_login_free(&l);
    }
    assert_int_equal(play(m, PW_COUNT_OF(m), &l), LOGIN_DONE);
    assert_int_equal(l.params.count, 2);
    assert_true(pw_params_find(&l.params, "timezone", &v) && pw_slice_is(v, "Europe/Paris"));
    assert_memory_equal(pw_params_all(&l.params).ptr, "TimeZone\0", 9);
    assert_int_equal(l.pid, 256);
    assert_int_equal(l.key_len, 4);
    assert_int_equal(l.notices, 1);
    pw_server_login_free(&l);
}

static void broken_starts(void **state)
{
    (void)state;
    const struct message rows[][3] = {
        {SEND('R', "\0\0\0")},
        {SEND('R', "\0\0\0\5sal")},
        {SEND('R', "\0\0\0\7")},
        {SEND('R', "\0\0\0\xff")},
        {SEND('R', "\0\0\0\x0bx")},
        {SEND('R', "\0\0\0\x0cv=")},
        {SEND('R', "\0\0\0\x0aPLAIN\0\0")},
        {SEND('R', "\0\0\0\x0aSCRAM-SHA-256")},
        {SEND('R', "\0\0\0\x0aSCRAM-SHA-256\0\0"), SEND('R', "\0\0\0\0")},
        {SEND('R', "\0\0\0\x0aSCRAM-SHA-256\0\0"), SEND('R', "\0\0\0\3")},
        {SEND('R', "\0\0\0\x0aSCRAM-SHA-256\0\0"), SEND('R', "\0\0\0\x0cr=a")},
        {SEND('R', "\0\0\0\x0aSCRAM-SHA-256\0\0"), SEND('S', "a\0b\0")},
        {SEND('R', "\0\0\0\3"), SEND('R', "\0\0\0\5salt")},
        {SEND('Z', "I")},
        {SEND('S', "a\0b\0")},
        {SEND('R', "\0\0\0\0"), SEND('Z', "T")},
        {SEND('R', "\0\0\0\0"), SEND('Z', "")},
        {SEND('R', "\0\0\0\0"), SEND('K', "\0\0\0\0abc")},
        {SEND('R', "\0\0\0\0"), SEND('S', "a\0b")},
        {SEND('R', "\0\0\0\0"), SEND('S', "\0b\0")},
        {SEND('R', "\0\0\0\0"), SEND('D', "\0\0")},
        {SEND('R', "\0\0\0\0"), SEND('R', "\0\0\0\0")},
        {SEND('R', "\0\0\0\0"), SEND('E', "")},
        {SEND('E', "SFATAL\0C28P01\0Mno\nway\0\0")},
    };
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        struct server_login l;
        size_t n = 0;
        while (n < 3 && rows[i][n].type)
            n++;
        assert_int_equal(play(rows[i], n, &l), LOGIN_FAIL);
        assert_true(l.reason[0] != 0);
        if (rows[i][0].type == 'E') {
            assert_string_equal(l.reason, "server says: 28P01 no?way");
            assert_true(pw_errfields_is_fatal(pw_buf_slice(&l.error)));
        }
        pw_server_login_free(&l);
    }
}

static void endless_servers(void **state)
{
    (void)state;
    struct server_login l;
    struct buf out;
    const struct message status = SEND('N', "\0"), other = SEND('S', "a\0b\0");
    struct message *many = pw_alloc(5000 * sizeof *many);
    for (int kind = 0; kind < 2; kind++) {
        many[0] = auth_ok;
        for (size_t i = 1; i < 5000; i++)
            many[i] = kind ? status : other;
        assert_int_equal(play(many, 5000, &l), LOGIN_FAIL);
        pw_server_login_free(&l);
    }
    pw_free(many);
    assert_int_equal(play(&auth_ok, 1, &l), LOGIN_MORE);
    pw_buf_init(&out, 64);
    enum login_result r = LOGIN_MORE;
    int set = 0;
    for (; r == LOGIN_MORE; set++) {
        char body[32];
        int len = snprintf(body, sizeof body, "n%d%cv", set, 0);
        r = pw_server_login_feed(&l, 'S', pw_slice(body, (size_t)len + 1), &out);
    }
    assert_int_equal(r, LOGIN_FAIL);
    assert_int_equal(l.params.count, PARAMS_COUNT_MAX);
    assert_int_equal(set, PARAMS_COUNT_MAX + 1);
    pw_server_login_free(&l);
    pw_buf_free(&out);
}

static void wrong_client_messages(void **state)
{
    (void)state;
    char *verifier = verifier_of("pencil");
    const struct {
        enum auth_method method;
        uint8_t type;
        struct slice body;
    } rows[] = {
        {AUTH_METHOD_PASSWORD, 'Q', PW_SLICE_LIT("select 1\0")},
        {AUTH_METHOD_PASSWORD, 'p', PW_SLICE_LIT("")},
        {AUTH_METHOD_PASSWORD, 'p', PW_SLICE_LIT("\0")},
        {AUTH_METHOD_PASSWORD, 'p', PW_SLICE_LIT("pencil")},
        {AUTH_METHOD_PASSWORD, 'p', PW_SLICE_LIT("pencil\0x")},
        {AUTH_METHOD_SCRAM, 'p', PW_SLICE_LIT("")},
        {AUTH_METHOD_SCRAM, 'p', PW_SLICE_LIT("pencil\0")},
        {AUTH_METHOD_SCRAM, 'p', PW_SLICE_LIT("SCRAM-SHA-256-PLUS\0\0\0\0\0")},
        {AUTH_METHOD_SCRAM, 'p', PW_SLICE_LIT("SCRAM-SHA-256\0\0\0\0\5n,,")},
        {AUTH_METHOD_SCRAM, 'p', PW_SLICE_LIT("SCRAM-SHA-256\0\xff\xff\xff\xfen,,")},
        {AUTH_METHOD_SCRAM, 'p', PW_SLICE_LIT("SCRAM-SHA-256\0\0\0\0\0")},
    };
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        struct client_auth a;
        struct buf out;
        pw_buf_init(&out, 4096);
        assert_true(
            pw_client_auth_init(&a, rows[i].method, ann[0].value, pw_slice_str(verifier), seed));
        assert_int_equal(pw_client_auth_start(&a, &out), AUTH_MORE);
        size_t before = out.len;
        assert_int_equal(pw_client_auth_feed(&a, rows[i].type, rows[i].body, &out), AUTH_FAIL);
        assert_int_equal(out.len, before);
        assert_non_null(a.reason);
        assert_int_equal(pw_client_auth_feed(&a, 'p', PW_SLICE_LIT("pencil\0"), &out), AUTH_FAIL);
        pw_client_auth_wipe(&a);
        pw_buf_free(&out);
    }
    pw_free(verifier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_methods_and_secrets),
        cmocka_unit_test(keys_pass_through),
        cmocka_unit_test(unknown_users_look_alike),
        cmocka_unit_test(missing_credentials_are_named),
        cmocka_unit_test(relayed_logins),
        cmocka_unit_test(normal_start),
        cmocka_unit_test(broken_starts),
        cmocka_unit_test(endless_servers),
        cmocka_unit_test(wrong_client_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
