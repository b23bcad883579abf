/* SCRAM-SHA-256: the vectors of RFC 7677, both machines against each other, and every way to lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/base/alloc.h"
#include "proxy/wire/base64.h"
#include "proxy/wire/scram.h"

/* RFC 7677 section 3: user "user", password "pencil". */
static const char rfc_first_bare[] = "n=user,r=rOprNGfwEbeRWgbNEkqO";
static const char rfc_server_first[] =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
static const char rfc_final[] = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
static const char rfc_server_final[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

static struct scram_keys pencil;
static struct scram_verifier pencil_verifier;

static int setup(void **state)
{
    (void)state;
    uint8_t salt[64];
    size_t len;
    assert_true(
        pw_base64_decode(PW_SLICE_LIT("W22ZaJ0SNY7soEsUEjb6gQ=="), salt, sizeof salt, &len));
    struct slice s = pw_slice((char *)salt, len);
    assert_true(pw_scram_derive(PW_SLICE_LIT("pencil"), s, 4096, &pencil));
    assert_true(pw_scram_verifier_from_keys(&pencil, s, 4096, &pencil_verifier));
    return 0;
}

static bool is(const struct buf *b, const char *text)
{
    return pw_slice_is(pw_buf_slice(b), text);
}

static void base64(void **state)
{
    (void)state;
    const char *const rows[][2] = {{"", ""},
                                   {"f", "Zg=="},
                                   {"fo", "Zm8="},
                                   {"foo", "Zm9v"},
                                   {"foob", "Zm9vYg=="},
                                   {"fooba", "Zm9vYmE="},
                                   {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        struct buf b;
        char back[16];
        size_t len;
        pw_buf_init(&b, 64);
        assert_true(pw_base64_encode(&b, rows[i][0], strlen(rows[i][0])));
        assert_true(is(&b, rows[i][1]));
        assert_true(pw_base64_decode(pw_buf_slice(&b), back, sizeof back, &len));
        assert_true(pw_slice_is(pw_slice(back, len), rows[i][0]));
        if (len)
            assert_false(pw_base64_decode(pw_buf_slice(&b), back, len - 1, &len));
        pw_buf_free(&b);
    }
    const char *const bad[] = {"Z",        "Zg",   "Zg=",    "Zh==", "Zm9=", "Z===", "====",
                               "Zg==Zg==", "Zm 9", "Zm9v\n", "=",    "Zm-_", "Z=9v"};
    for (size_t i = 0; i < PW_COUNT_OF(bad); i++) {
        char back[16];
        size_t len;
        assert_false(pw_base64_decode(pw_slice_str(bad[i]), back, sizeof back, &len));
    }
}

static void rfc7677_server(void **state)
{
    (void)state;
    struct scram_server s;
    struct buf out, first;
    pw_buf_init(&out, 4096);
    pw_buf_init(&first, 4096);
    assert_true(pw_scram_server_init(&s, &pencil_verifier, false));
    strcpy(s.nonce, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    pw_buf_printf(&first, "n,,%s", rfc_first_bare);
    assert_int_equal(pw_scram_server_feed(&s, pw_buf_slice(&first), &out), SCRAM_MORE);
    assert_true(is(&out, rfc_server_first));
    pw_buf_reset(&out);
    assert_int_equal(pw_scram_server_feed(&s, pw_slice_str(rfc_final), &out), SCRAM_OK);
    assert_true(is(&out, rfc_server_final));
    assert_memory_equal(&s.keys, &pencil, sizeof pencil);
    assert_int_equal(pw_scram_server_feed(&s, pw_slice_str(rfc_final), &out), SCRAM_FAIL);
    pw_buf_free(&out);
    pw_buf_free(&first);
}

static void rfc7677_signature(void **state)
{
    (void)state;
    const struct scram_texts t = {
        pw_slice_str(rfc_first_bare), pw_slice_str(rfc_server_first),
        PW_SLICE_LIT("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")};
    uint8_t proof[SCRAM_KEY];
    struct buf text;
    pw_buf_init(&text, 256);
    assert_true(pw_scram_sign(pencil_verifier.stored, &t, proof));
    for (size_t i = 0; i < SCRAM_KEY; i++)
        proof[i] ^= pencil.client[i];
    assert_true(pw_base64_encode(&text, proof, sizeof proof));
    assert_true(is(&text, strstr(rfc_final, "p=") + 2));
    pw_buf_free(&text);
}

static void verifier_text(void **state)
{
    (void)state;
    /* CREATE ROLE ... PASSWORD 'pencil' with this salt stores this text. */
    struct buf text;
    struct scram_verifier v;
    pw_buf_init(&text, 1024);
    assert_true(pw_scram_verifier_print(&pencil_verifier, &text));
    assert_memory_equal(text.data, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$", 44);
    assert_true(pw_scram_verifier_parse(pw_buf_slice(&text), &v));
    assert_int_equal(v.iterations, 4096);
    assert_memory_equal(v.stored, pencil_verifier.stored, SCRAM_KEY);
    assert_memory_equal(v.server, pencil_verifier.server, SCRAM_KEY);
    for (size_t cut = 0; cut < text.len; cut++)
        assert_false(pw_scram_verifier_parse(pw_slice(text.data, cut), &v));
    pw_buf_append_u8(&text, 'x');
    assert_false(pw_scram_verifier_parse(pw_buf_slice(&text), &v));
    const char *const bad[] = {
        "SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==$",
        "SCRAM-SHA-256$-1:W22ZaJ0SNY7soEsUEjb6gQ==$",
        "SCRAM-SHA-256$99999999999999999999:W22ZaJ0SNY7soEsUEjb6gQ==$",
        "SCRAM-SHA-256$4096:$",
        "SCRAM-SHA-512$4096:W22ZaJ0SNY7soEsUEjb6gQ==$",
    };
    const char *keys = strchr(strchr(text.data, '$') + 1, '$') + 1;
    text.data[text.len - 1] = 0;
    for (size_t i = 0; i < PW_COUNT_OF(bad); i++) {
        char *whole = pw_asprintf("%s%s", bad[i], keys);
        assert_false(pw_scram_verifier_parse(pw_slice_str(whole), &v));
        pw_free(whole);
    }
    pw_buf_free(&text);
}

static void mock_is_stable_and_secret(void **state)
{
    (void)state;
    const uint8_t seed[SCRAM_KEY] = {1}, other[SCRAM_KEY] = {2};
    struct scram_verifier a, b;
    assert_true(pw_scram_verifier_mock(PW_SLICE_LIT("ann"), seed, &a));
    assert_true(pw_scram_verifier_mock(PW_SLICE_LIT("ann"), seed, &b));
    assert_memory_equal(a.salt, b.salt, SCRAM_SALT_NEW);
    assert_true(pw_scram_verifier_mock(PW_SLICE_LIT("bob"), seed, &b));
    assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_NEW);
    assert_true(pw_scram_verifier_mock(PW_SLICE_LIT("ann"), other, &b));
    assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_NEW);
    assert_int_equal(a.iterations, SCRAM_ITERATIONS);
}

static bool same_keys(const char *a, const char *b)
{
    struct scram_keys x, y;
    struct slice salt = PW_SLICE_LIT("0123456789abcdef");
    assert_true(pw_scram_derive(pw_slice_str(a), salt, 2, &x));
    assert_true(pw_scram_derive(pw_slice_str(b), salt, 2, &y));
    return memcmp(&x, &y, sizeof x) == 0;
}

static void saslprep(void **state)
{
    (void)state;
    assert_true(same_keys("I\xc2\xadX", "IX"));   /* RFC 4013: soft hyphen goes */
    assert_true(same_keys("\xc2\xaa", "a"));      /* NFKC */
    assert_true(same_keys("\xe2\x85\xa8", "IX")); /* roman numeral nine */
    assert_true(same_keys("a\xc2\xa0"
                          "b",
                          "a b")); /* no-break space */
    assert_false(same_keys("USER", "user"));
    assert_false(same_keys("\xff\xfe", "\xff")); /* not UTF-8: raw */
    assert_false(same_keys("\xd8\xa7"
                           "1",
                           "1")); /* bidi violation: raw */
    struct scram_keys k;
    assert_false(pw_scram_derive(PW_SLICE_LIT("x"), PW_SLICE_LIT(""), 1, &k));
    assert_false(pw_scram_derive(PW_SLICE_LIT("x"), PW_SLICE_LIT("s"), 0, &k));
    assert_false(
        pw_scram_derive(PW_SLICE_LIT("x"), PW_SLICE_LIT("s"), SCRAM_ITERATIONS_MAX + 1, &k));
}

/* The channel as each side sees it; {0}: none. */
struct channels {
    struct scram_binding server, client;
    bool offered; /* to the client's knowledge */
};

/* A whole exchange; returns what the two sides say in the end. */
static void converse_over(const struct channels *over, const char *typed,
                          const struct scram_keys *keys, bool doomed,
                          enum scram_result *server_says, enum scram_client_result *client_says)
{
    struct scram_server *s = pw_alloc(sizeof *s);
    struct scram_client *c = pw_alloc(sizeof *c);
    struct buf up, down;
    pw_buf_init(&up, 4096);
    pw_buf_init(&down, 4096);
    assert_true(pw_scram_server_init(s, &pencil_verifier, doomed));
    assert_true(keys ? pw_scram_client_init_keys(c, keys)
                     : pw_scram_client_init(c, pw_slice_str(typed)));
    pw_scram_client_bind(c, &over->client, over->offered);
    pw_scram_server_bind(s, &over->server, over->client.len && over->offered);
    *client_says = pw_scram_client_first(c, &up);
    assert_int_equal(*client_says, SCRAM_CLIENT_MORE);
    *server_says = pw_scram_server_feed(s, pw_buf_slice(&up), &down);
    pw_buf_reset(&up);
    if (*server_says == SCRAM_FAIL)
        goto out;
    *client_says = pw_scram_client_feed(c, pw_buf_slice(&down), &up);
    assert_int_equal(*client_says, keys ? SCRAM_CLIENT_MORE : SCRAM_CLIENT_NEED_DERIVE);
    if (*client_says == SCRAM_CLIENT_NEED_DERIVE) {
        struct scram_keys derived;
        assert_true(pw_scram_derive(c->job.password, c->job.salt, c->job.iterations, &derived));
        *client_says = pw_scram_client_resume(c, &derived, &up);
    }
    pw_buf_reset(&down);
    *server_says = pw_scram_server_feed(s, pw_buf_slice(&up), &down);
    if (*server_says == SCRAM_OK) {
        assert_memory_equal(&s->keys, &pencil, sizeof pencil);
        *client_says = pw_scram_client_feed(c, pw_buf_slice(&down), &up);
    }
out:
    pw_scram_server_wipe(s);
    pw_scram_client_wipe(c);
    pw_free(s);
    pw_free(c);
    pw_buf_free(&up);
    pw_buf_free(&down);
}

static void converse(const char *typed, const struct scram_keys *keys, bool doomed,
                     enum scram_result *server_says, enum scram_client_result *client_says)
{
    converse_over(&(struct channels){0}, typed, keys, doomed, server_says, client_says);
}

static void channel_binding(void **state)
{
    (void)state;
    const struct scram_binding ours = {{1, 2, 3}, 32}, other = {{1, 2, 4}, 32}, none = {{0}, 0};
    const struct {
        struct channels over;
        enum scram_result want;
    } rows[] = {
        {{ours, ours, true}, SCRAM_OK},    /* p= */
        {{ours, other, true}, SCRAM_FAIL}, /* somebody between has another certificate */
        {{ours, ours, false}, SCRAM_FAIL}, /* y: somebody between took the offer away */
        {{ours, none, true}, SCRAM_OK},    /* n: a client that cannot */
        {{none, ours, false}, SCRAM_OK},   /* y: TLS ends before us, and nothing was offered */
        {{none, ours, true}, SCRAM_FAIL},  /* p= though nothing was offered */
    };
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        enum scram_result s;
        enum scram_client_result c;
        converse_over(&rows[i].over, NULL, &pencil, false, &s, &c);
        assert_int_equal(s, rows[i].want);
        assert_int_equal(c == SCRAM_CLIENT_OK, rows[i].want == SCRAM_OK);
    }
}

/* Chosen SCRAM-SHA-256-PLUS. */
static enum scram_result first_bound_message(const char *text)
{
    struct scram_server s;
    struct buf out;
    pw_buf_init(&out, 4096);
    assert_true(pw_scram_server_init(&s, &pencil_verifier, false));
    pw_scram_server_bind(&s, &(struct scram_binding){{1}, 32}, true);
    enum scram_result r = pw_scram_server_feed(&s, pw_slice_str(text), &out);
    pw_buf_free(&out);
    return r;
}

static void first_bound_messages(void **state)
{
    (void)state;
    const char *const bad[] = {"n,,n=,r=abc",
                               "y,,n=,r=abc",
                               "p=tls-unique,,n=,r=abc",
                               "p=",
                               "p",
                               "p=tls-server-end-point",
                               "p=tls-server-end-point,",
                               "p=tls-server-end-point,a=x,n=,r=abc",
                               "p=tls-server-end-point,,"};
    assert_int_equal(first_bound_message("p=tls-server-end-point,,n=,r=abc"), SCRAM_MORE);
    for (size_t i = 0; i < PW_COUNT_OF(bad); i++)
        assert_int_equal(first_bound_message(bad[i]), SCRAM_FAIL);
}

static void both_machines(void **state)
{
    (void)state;
    enum scram_result s;
    enum scram_client_result c;
    converse("pencil", NULL, false, &s, &c);
    assert_true(s == SCRAM_OK && c == SCRAM_CLIENT_OK);
    converse(NULL, &pencil, false, &s, &c);
    assert_true(s == SCRAM_OK && c == SCRAM_CLIENT_OK);
    converse("pen", NULL, false, &s, &c);
    assert_int_equal(s, SCRAM_FAIL);
    converse("", NULL, false, &s, &c);
    assert_int_equal(s, SCRAM_FAIL);
    converse("pencil", NULL, true, &s, &c);
    assert_int_equal(s, SCRAM_FAIL);
}

static enum scram_result first_message(const char *text, size_t len)
{
    struct scram_server s;
    struct buf out;
    pw_buf_init(&out, 4096);
    assert_true(pw_scram_server_init(&s, &pencil_verifier, false));
    enum scram_result r = pw_scram_server_feed(&s, pw_slice(text, len), &out);
    assert_int_equal(r == SCRAM_FAIL, out.len == 0);
    pw_buf_free(&out);
    return r;
}

static void first_messages(void **state)
{
    (void)state;
    const char *const good[] = {"n,,n=,r=abc", "y,,n=x,r=abc", "n,,n=,r=abc,x=ext,y=more"};
    const char *const bad[] = {"",
                               "n",
                               "n,",
                               "n,,",
                               "n,,n=",
                               "n,,n=,r=",
                               "n,,n=,r=a b",
                               "p=tls-unique,,n=,r=abc",
                               "n,a=x,n=,r=abc",
                               "n,,m=x,n=,r=abc",
                               "n,,r=abc",
                               "x,,n=,r=abc",
                               "n,,n=,r=abc,x",
                               "n,,n=,r=\x7f",
                               "n,,n=,r=\xc3\xa4"};
    for (size_t i = 0; i < PW_COUNT_OF(good); i++)
        assert_int_equal(first_message(good[i], strlen(good[i])), SCRAM_MORE);
    for (size_t i = 0; i < PW_COUNT_OF(bad); i++)
        assert_int_equal(first_message(bad[i], strlen(bad[i])), SCRAM_FAIL);
    assert_int_equal(first_message("n,,n=,r=a\0b", 11), SCRAM_FAIL);
    /* Lengths around every bound, to far beyond (CVE-2026-6664). */
    char *big = malloc(70000);
    memset(big, 'x', 70000);
    memcpy(big, "n,,n=,r=", 8);
    assert_int_equal(first_message(big, 8 + SCRAM_NONCE_MAX), SCRAM_MORE);
    assert_int_equal(first_message(big, 8 + SCRAM_NONCE_MAX + 1), SCRAM_FAIL);
    assert_int_equal(first_message(big, 3 + SCRAM_MESSAGE_MAX), SCRAM_FAIL);
    assert_int_equal(first_message(big, 4 + SCRAM_MESSAGE_MAX), SCRAM_FAIL);
    assert_int_equal(first_message(big, 70000), SCRAM_FAIL);
    free(big);
}

static void final_messages(void **state)
{
    (void)state;
    for (size_t at = 0; at <= sizeof rfc_final; at++) {
        struct scram_server s;
        struct buf out, in;
        pw_buf_init(&out, 4096);
        pw_buf_init(&in, 4096);
        assert_true(pw_scram_server_init(&s, &pencil_verifier, false));
        strcpy(s.nonce, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        pw_buf_printf(&in, "n,,%s", rfc_first_bare);
        assert_int_equal(pw_scram_server_feed(&s, pw_buf_slice(&in), &out), SCRAM_MORE);
        /* One byte changed, or the end cut off, or a byte too many. */
        char text[sizeof rfc_final + 1];
        memcpy(text, rfc_final, sizeof rfc_final);
        size_t len = at == sizeof rfc_final ? sizeof rfc_final : sizeof rfc_final - 1;
        if (at < len)
            text[at] ^= 1;
        pw_buf_reset(&out);
        assert_int_equal(pw_scram_server_feed(&s, pw_slice(text, len), &out),
                         at == sizeof rfc_final - 1 ? SCRAM_OK : SCRAM_FAIL);
        pw_buf_free(&out);
        pw_buf_free(&in);
    }
}

/* What a lying server sends as its challenge; %s is our nonce. */
static enum scram_client_result challenge(const char *format, const char *tail)
{
    struct scram_client c;
    struct buf out, in;
    pw_buf_init(&out, 4096);
    pw_buf_init(&in, 1 << 20);
    assert_true(pw_scram_client_init(&c, PW_SLICE_LIT("pencil")));
    assert_int_equal(pw_scram_client_first(&c, &out), SCRAM_CLIENT_MORE);
    pw_buf_append_str(&in, "r=");
    pw_buf_append_str(&in, format ? c.nonce : "other");
    pw_buf_append_str(&in, format ? format : "");
    pw_buf_append_str(&in, tail);
    enum scram_client_result r = pw_scram_client_feed(&c, pw_buf_slice(&in), &out);
    pw_buf_free(&out);
    pw_buf_free(&in);
    return r;
}

static void challenges(void **state)
{
    (void)state;
    const char *ok = ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    assert_int_equal(challenge("srv", ok), SCRAM_CLIENT_NEED_DERIVE);
    assert_int_equal(challenge("srv", ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1,x=y"),
                     SCRAM_CLIENT_NEED_DERIVE);
    assert_int_equal(challenge(NULL, ok), SCRAM_CLIENT_FAIL);
    assert_int_equal(challenge("", ok), SCRAM_CLIENT_FAIL); /* nothing added to our nonce */
    const char *const bad[] = {"",
                               ",",
                               ",s=",
                               ",s=!!!!,i=4096",
                               ",s=,i=4096",
                               ",s=W22ZaJ0SNY7soEsUEjb6gQ==",
                               ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=",
                               ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
                               ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1",
                               ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096x",
                               ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2147483647"};
    for (size_t i = 0; i < PW_COUNT_OF(bad); i++)
        assert_int_equal(challenge("srv", bad[i]), SCRAM_CLIENT_FAIL);
    /* Endless nonce, endless salt (CVE-2026-6665). */
    char *big = calloc(1, 100001);
    memset(big, 'A', 100000);
    char *salt = pw_asprintf(",s=%s,i=4096", big);
    assert_int_equal(challenge(big, ok), SCRAM_CLIENT_FAIL);
    assert_int_equal(challenge("srv", salt), SCRAM_CLIENT_FAIL);
    pw_free(salt);
    for (size_t len = 330; len < 360; len += 2) {
        big[len] = 0;
        salt = pw_asprintf(",s=%s,i=4096", big);
        bool fits = len % 4 == 0 && len / 4 * 3 <= SCRAM_SALT_MAX;
        assert_int_equal(challenge("srv", salt),
                         fits ? SCRAM_CLIENT_NEED_DERIVE : SCRAM_CLIENT_FAIL);
        pw_free(salt);
        big[len] = 'A';
    }
    free(big);
}

static void server_must_prove_itself(void **state)
{
    (void)state;
    const char *const finals[] = {
        "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "e=invalid-proof", "", "v=", "x=y"};
    for (size_t i = 0; i < PW_COUNT_OF(finals); i++) {
        struct scram_client c;
        struct buf out, in;
        pw_buf_init(&out, 4096);
        pw_buf_init(&in, 4096);
        assert_true(pw_scram_client_init_keys(&c, &pencil));
        assert_int_equal(pw_scram_client_first(&c, &out), SCRAM_CLIENT_MORE);
        pw_buf_printf(&in, "r=%sz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", c.nonce);
        assert_int_equal(pw_scram_client_feed(&c, pw_buf_slice(&in), &out), SCRAM_CLIENT_MORE);
        assert_int_equal(pw_scram_client_feed(&c, pw_slice_str(finals[i]), &out),
                         SCRAM_CLIENT_FAIL);
        assert_non_null(c.reason);
        pw_buf_free(&out);
        pw_buf_free(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64),
        cmocka_unit_test(rfc7677_server),
        cmocka_unit_test(rfc7677_signature),
        cmocka_unit_test(verifier_text),
        cmocka_unit_test(mock_is_stable_and_secret),
        cmocka_unit_test(saslprep),
        cmocka_unit_test(both_machines),
        cmocka_unit_test(channel_binding),
        cmocka_unit_test(first_bound_messages),
        cmocka_unit_test(first_messages),
        cmocka_unit_test(final_messages),
        cmocka_unit_test(challenges),
        cmocka_unit_test(server_must_prove_itself),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
