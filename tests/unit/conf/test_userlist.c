/* userlist.txt as PgBouncer writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf/userlist.h"

static struct conf_errors errors;

static struct userlist *parse(const char *text)
{
    return pw_userlist_parse(text, strlen(text), "u", &errors);
}

static void test_entries(void **state)
{
    (void)state;
    struct userlist *l = parse("; a comment\n\n"
                               "\"bob\" \"pa\"\"ss\" ignored\r\n"
                               "\"ann\"\t\"md5d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2\"\n"
                               "\"x \"\"y\" \"SCRAM-SHA-256$4096:c2FsdA==$a:b\"\n"
                               "\"none\" \"\"\n"
                               "\"notmd5\" \"md5short\"");
    assert_non_null(l);
    assert_int_equal(errors.n, 0);
    assert_int_equal(pw_userlist_count(l), 5);
    assert_string_equal(pw_userlist_find(l, "bob")->secret, "pa\"ss");
    assert_int_equal(pw_userlist_find(l, "bob")->kind, USERLIST_PLAIN);
    assert_int_equal(pw_userlist_find(l, "ann")->kind, USERLIST_MD5);
    assert_int_equal(pw_userlist_find(l, "x \"y")->kind, USERLIST_SCRAM);
    assert_int_equal(pw_userlist_find(l, "none")->kind, USERLIST_NONE);
    assert_int_equal(pw_userlist_find(l, "notmd5")->kind, USERLIST_PLAIN);
    assert_null(pw_userlist_find(l, "carl"));
    assert_string_equal(pw_userlist_at(l, 0)->user, "ann");
    assert_null(pw_userlist_at(l, 5));
    pw_userlist_free(l);
    pw_conf_errors_free(&errors);
}

static void fails(const char *text, const char *expected)
{
    assert_null(parse(text));
    assert_string_equal(errors.items[0].text, expected);
    pw_conf_errors_free(&errors);
}

static void test_errors(void **state)
{
    (void)state;
    fails("\"bob\" \"x\"\n\"ann\n", "u:2: user name: a quote is not closed");
    fails("\"bob\"\n", "u:1: expected \"user\" \"secret\"");
    fails("\"bob\" secret\n", "u:1: expected \"user\" \"secret\"");
    fails("\"bob\" \"secret\n", "u:1: expected \"user\" \"secret\": a quote is not closed");
    fails("\"\" \"secret\"\n", "u:1: expected \"user\" \"secret\"");
    assert_null(pw_userlist_load("/nonexistent", &errors));
    assert_string_equal(errors.items[0].text, "/nonexistent: No such file or directory");
    pw_conf_errors_free(&errors);
}

static void test_the_last_one_wins(void **state)
{
    (void)state;
    struct userlist *l = parse("\"a\" \"1\"\n\"b\" \"2\"\n\"a\" \"3\"\n");
    assert_int_equal(pw_userlist_count(l), 2);
    assert_string_equal(pw_userlist_find(l, "a")->secret, "3");
    assert_int_equal(errors.n_warnings, 1);
    assert_string_equal(errors.items[0].text,
                        "u:3: warning: user given again, first on line 1; this one counts");
    pw_userlist_free(l);
    pw_conf_errors_free(&errors);
    l = parse("");
    assert_null(pw_userlist_find(l, "a"));
    pw_userlist_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_the_last_one_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
