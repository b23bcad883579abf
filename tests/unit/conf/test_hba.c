/* pg_hba.conf's format: what matches whom, and what is refused. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf/hba.h"

static struct conf_errors errors;

static struct hba *parse(const char *text)
{
    struct hba *h = pw_hba_parse(text, strlen(text), "h", &errors);
    if (!h)
        fail_msg("%s", errors.items[0].text);
    return h;
}

static enum hba_method match(const struct hba *h, const char *address, bool tls,
                             const char *database, const char *user)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (!address)
        return pw_hba_match(h, true, tls, NULL, database, user);
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return pw_hba_match(h, false, tls, (struct sockaddr *)&v4, database, user);
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return pw_hba_match(h, false, tls, (struct sockaddr *)&v6, database, user);
}

static void test_matching(void **state)
{
    (void)state;
    struct hba *h = parse("# comment\n"
                          "local   all             all                       trust\n"
                          "local   none            all                       reject\n"
                          "hostssl all  certuser   0.0.0.0/0                 cert map=x # rest\n"
                          "host    db1,\"all\"  u1, u2  10.1.0.0/16          md5\n"
                          "host    sameuser  all   192.168.1.0 255.255.255.128 password\n"
                          "hostnossl all   plain   all                       reject\n"
                          "host    all \\\n  v6     fe80::/10               scram-sha-256\n"
                          "host    replication all all                       trust\n");
    assert_int_equal(errors.n_warnings, 1);
    assert_string_equal(errors.items[0].text, "h:4: warning: option map=x is ignored");
    pw_conf_errors_free(&errors);
    assert_int_equal(pw_hba_count(h), 8);
    assert_int_equal(match(h, NULL, false, "none", "x"), HBA_TRUST);
    assert_int_equal(match(h, "1.2.3.4", true, "d", "certuser"), HBA_CERT);
    assert_int_equal(match(h, "1.2.3.4", false, "d", "certuser"), HBA_NO_MATCH);
    assert_int_equal(match(h, "10.1.255.1", false, "db1", "u2"), HBA_MD5);
    assert_int_equal(match(h, "10.2.0.1", false, "db1", "u2"), HBA_NO_MATCH);
    assert_int_equal(match(h, "10.1.0.1", false, "all", "u1"), HBA_MD5);
    assert_int_equal(match(h, "10.1.0.1", false, "other", "u1"), HBA_NO_MATCH);
    assert_int_equal(match(h, "::ffff:10.1.0.1", false, "db1", "u1"), HBA_MD5);
    assert_int_equal(match(h, "192.168.1.127", false, "eve", "eve"), HBA_PASSWORD);
    assert_int_equal(match(h, "192.168.1.128", false, "eve", "eve"), HBA_NO_MATCH);
    assert_int_equal(match(h, "192.168.1.1", false, "sameuser", "eve"), HBA_NO_MATCH);
    assert_int_equal(match(h, "::1", false, "d", "plain"), HBA_REJECT);
    assert_int_equal(match(h, "::1", true, "d", "plain"), HBA_NO_MATCH);
    assert_int_equal(match(h, "febf::1", true, "d", "v6"), HBA_SCRAM);
    assert_int_equal(match(h, "fec0::1", true, "d", "v6"), HBA_NO_MATCH);
    assert_int_equal(match(h, "1.1.1.1", true, "replication", "x"), HBA_NO_MATCH);
    struct hba_client walsender = {.is_replication = true, .database = "", .user = "x"};
    assert_int_equal(pw_hba_match_client(h, &walsender), HBA_TRUST);
    pw_hba_free(h);
}

static bool is_member(void *arg, const char *user, const char *role)
{
    (void)arg;
    return strcmp(user, "ann") == 0 && strcmp(role, "admins") == 0;
}

static void test_roles(void **state)
{
    (void)state;
    struct hba *h = parse("local all +admins md5\nlocal all all trust\n");
    struct hba_client c = {
        .is_local = true, .database = "d", .user = "ann", .is_member = is_member};
    assert_int_equal(pw_hba_match_client(h, &c), HBA_MD5);
    c.user = "bob";
    assert_int_equal(pw_hba_match_client(h, &c), HBA_TRUST);
    c.is_member = NULL; /* not knowing must not fall through to a weaker rule */
    assert_int_equal(pw_hba_match_client(h, &c), HBA_REJECT);
    c.user = "admins";
    assert_int_equal(pw_hba_match_client(h, &c), HBA_MD5);
    pw_hba_free(h);
}

static void test_verdicts(void **state)
{
    (void)state;
    struct hba *h = parse("\n# what decides, and where it is written\n"
                          "local all all password\n"
                          "hostnossl all clear all password\n"
                          "host all \\\n +admins all md5\n"
                          "host all all all password\n");
    const struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct hba_client c = {
        .is_local = true, .addr = (const struct sockaddr *)&v4, .database = "d", .user = "clear"};
    struct hba_verdict v = pw_hba_decide(h, &c);
    assert_true(v.method == HBA_PASSWORD && v.line == 3 && v.in_clear && !v.unknown_role);
    c.is_local = false;
    v = pw_hba_decide(h, &c);
    assert_true(v.method == HBA_PASSWORD && v.line == 4 && v.in_clear);
    c.is_tls = true;
    v = pw_hba_decide(h, &c);
    assert_true(v.method == HBA_REJECT && v.line == 5 && v.unknown_role);
    c.is_member = is_member;
    v = pw_hba_decide(h, &c);
    assert_true(v.method == HBA_PASSWORD && v.line == 7 && !v.in_clear);
    assert_true(pw_hba_uses(h, HBA_MD5) && !pw_hba_uses(h, HBA_CERT));
    struct hba *same = pw_hba_ref(h);
    pw_hba_free(h);
    assert_int_equal(pw_hba_count(same), 4);
    pw_hba_free(same);
}

/* However many warnings come first, an error is never lost: the rule it is about would be missing.
 */
static void test_error_after_many_warnings(void **state)
{
    (void)state;
    char text[16384] = "";
    for (size_t n = 0; n < 300; n++)
        strcat(text, "host all all all md5 a=b\n");
    strcat(text, "host all all all nonsense\nhost all all all trust\n");
    assert_null(pw_hba_parse(text, strlen(text), "h", &errors));
    assert_true(errors.n > errors.n_warnings);
    pw_conf_errors_free(&errors);
}

static void fails(const char *text, const char *expected)
{
    assert_null(pw_hba_parse(text, strlen(text), "h", &errors));
    assert_string_equal(errors.items[0].text, expected);
    pw_conf_errors_free(&errors);
}

static void test_errors(void **state)
{
    (void)state;
    fails("host all all db.example.com md5",
          "h:1: \"db.example.com\" is not an address; host names are not supported");
    fails("host all all 10.0.0.0/33 md5", "h:1: bad mask in \"10.0.0.0/33\"");
    fails("host all all 10.0.0.0 md5",
          "h:1: \"10.0.0.0\" needs a mask: ADDRESS/BITS, or ADDRESS MASK");
    fails("host all all 10.0.0.0 255.0.0.0", "h:1: the method is missing");
    fails("\n\nhost all all all", "h:3: expected host DATABASE USER ADDRESS METHOD");
    fails("local all all", "h:1: expected local DATABASE USER METHOD");
    fails("lokal all all md5",
          "h:1: unknown connection type \"lokal\"; expected local, host, hostssl or hostnossl");
    fails("local all all peer",
          "h:1: method \"peer\" is not supported; expected trust, reject, md5, "
          "scram-sha-256, password or cert");
    fails("host all all all cert", "h:1: method cert needs hostssl");
    fails("host samerole all all md5", "h:1: samerole is not supported: name the databases");
    fails("host all @admins all md5", "h:1: @file is not supported: @admins");
    fails("host all /^a all md5", "h:1: regular expressions are not supported: /^a");
    fails("host all all samenet md5", "h:1: samenet is not supported: write the address");
    fails("hostssl all all all md5 clientcert=verify-full",
          "h:1: clientcert=verify-full is not supported: use the method cert");
    fails("local all all md5 option", "h:1: expected option=value, got \"option\"");
    fails("local all \"all md5", "h:1: a quote is not closed");
    fails("include other.conf", "h:1: include is not supported: put the rules in this file");
    fails("x y z a\nlocal all all peer\n",
          "h:1: unknown connection type \"x\"; expected local, host, hostssl or hostnossl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching), cmocka_unit_test(test_roles),
        cmocka_unit_test(test_verdicts), cmocka_unit_test(test_error_after_many_warnings),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
