/* Which host is tried first: roles, back-off, the URL's order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/pool/hosts.h"

enum { SEC = 1000 * 1000 };

static const struct conf_host three[] = {{"a", 5432}, {"b", 5432}, {"a", 5433}};
static const struct conf_upstream up = {.hosts = three, .n_hosts = 3};

static struct host_table table;

static int setup(void **state)
{
    (void)state;
    pw_hosts_init(&table);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pw_hosts_free(&table);
    return 0;
}

static struct host_state *host(size_t i)
{
    return pw_hosts_get(&table, &three[i]);
}

/* The order as digits, "x" after those of which any role will do. */
static const char *order(enum session_attrs attrs, uint64_t now_us)
{
    static char text[2 * HOST_ORDER_MAX + 1];
    struct host_choice choices[HOST_ORDER_MAX];
    size_t n = pw_hosts_order(&table, &up, attrs, now_us, choices), at = 0;
    for (size_t i = 0; i < n; i++) {
        text[at++] = (char)('0' + choices[i].index);
        if (choices[i].any_role)
            text[at++] = 'x';
    }
    text[at] = '\0';
    return text;
}

static void a_host_is_name_and_port(void **state)
{
    (void)state;
    const struct conf_host again = {"b", 5432};
    assert_ptr_equal(pw_hosts_get(&table, &again), host(1));
    assert_ptr_not_equal(host(0), host(2));
}

static void unknown_hosts_in_the_urls_order(void **state)
{
    (void)state;
    assert_string_equal(order(ATTRS_ANY, 0), "012");
    assert_string_equal(order(ATTRS_READ_WRITE, 0), "012");
    assert_string_equal(order(ATTRS_PREFER_STANDBY, 0), "0120x1x2x");
}

static void the_wrong_role_comes_later_but_comes(void **state)
{
    (void)state;
    pw_host_is_up(host(0), true, true, true); /* a standby */
    pw_host_is_up(host(1), true, false, false);
    assert_string_equal(order(ATTRS_PRIMARY, 0), "120");
    assert_string_equal(order(ATTRS_READ_WRITE, 0), "120");
    assert_string_equal(order(ATTRS_STANDBY, 0), "021");
    assert_string_equal(order(ATTRS_READ_ONLY, 0), "021");
    assert_string_equal(order(ATTRS_PREFER_STANDBY, 0), "0210x2x1x");
    assert_string_equal(order(ATTRS_ANY, 0), "012");
    pw_host_is_up(host(0), true, false, false); /* promoted */
    assert_string_equal(order(ATTRS_PRIMARY, 0), "012");
}

static void a_host_that_is_down_comes_last(void **state)
{
    (void)state;
    pw_host_failed(host(0), 0, "test");
    assert_string_equal(order(ATTRS_ANY, 1), "120");
    pw_host_failed(host(1), 0, "test");
    pw_host_failed(host(2), 0, "test");
    assert_string_equal(order(ATTRS_ANY, 1), "012"); /* nothing better is left */
}

static void it_is_tried_again_once_and_less_and_less_often(void **state)
{
    (void)state;
    uint64_t now_us = 0, before = 0;
    for (int i = 0; i < 12; i++) {
        pw_host_failed(host(0), now_us, "test");
        uint64_t wait = host(0)->retry_at_us - now_us;
        assert_in_range(wait, before, 30 * SEC);
        assert_string_equal(order(ATTRS_ANY, host(0)->retry_at_us - 1), "120");
        before = wait;
        now_us = host(0)->retry_at_us;
        assert_string_equal(order(ATTRS_ANY, now_us), "012"); /* its turn */
        assert_string_equal(order(ATTRS_ANY, now_us), "120"); /* but one attempt only finds out */
    }
    assert_int_equal(before, 30 * SEC);
    pw_host_is_up(host(0), false, false, false);
    assert_string_equal(order(ATTRS_ANY, now_us), "012");
}

static void a_host_that_failed_may_be_anything(void **state)
{
    (void)state;
    pw_host_is_up(host(0), true, true, true);
    assert_string_equal(order(ATTRS_PRIMARY, 0), "120");
    pw_host_failed(host(0), 0, "test");
    assert_string_equal(order(ATTRS_PRIMARY, host(0)->retry_at_us), "012");
}

/* libpq's table: fe-connect.c, CONNECTION_CHECK_TARGET. */
static void words_mean_what_libpq_means(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        bool primary, standby, read_only_primary;
    } want[] = {
        {"any", true, true, true},        {"read-write", true, false, false},
        {"read-only", false, true, true}, {"primary", true, false, true},
        {"standby", false, true, false},  {"prefer-standby", false, true, false}, /* first round */
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        enum session_attrs attrs = pw_session_attrs(want[i].word);
        assert_int_equal(!pw_session_attrs_refusal(attrs, false, false), want[i].primary);
        assert_int_equal(!pw_session_attrs_refusal(attrs, true, false), want[i].standby);
        assert_int_equal(!pw_session_attrs_refusal(attrs, false, true), want[i].read_only_primary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_host_is_name_and_port, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_hosts_in_the_urls_order, setup, teardown),
        cmocka_unit_test_setup_teardown(the_wrong_role_comes_later_but_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_is_down_comes_last, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_tried_again_once_and_less_and_less_often, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_host_that_failed_may_be_anything, setup, teardown),
        cmocka_unit_test_setup_teardown(words_mean_what_libpq_means, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
