/* The command line: what reaches `serve`, and the exit status of everything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/control/cli.h"

static int served, advised;

static int serve(const struct pw_conf *conf, const struct control_options *options)
{
    struct conf_errors errors;
    struct pw_conf *again;
    served++;
    assert_string_equal(conf->pgweir.listen, "127.0.0.1:7000");
    assert_int_equal(conf->batch.max, 5);
    assert_string_equal(conf->databases[0].upstream.user, "u");
    /* what a reload does: the same sources give the same settings */
    assert_int_equal(pw_conf_load(&options->sources, &again, &errors), PW_OK);
    assert_int_equal(again->batch.max, 5);
    assert_string_equal(again->databases[0].upstream.user, "u");
    pw_conf_unref(again);
    pw_conf_errors_free(&errors);
    return 42;
}

static char said[256]; /* to advise */

static int advise(int argc, char **argv)
{
    advised++;
    assert_string_equal(argv[0], "advise");
    said[0] = '\0';
    for (int i = 1; i < argc; i++) {
        strncat(said, " ", sizeof said - strlen(said) - 1);
        strncat(said, argv[i], sizeof said - strlen(said) - 1);
    }
    return 7;
}

static int run(int argc, ...)
{
    static const struct cli_entry_points entry = {serve, advise};
    char *argv[16] = {(char *)(uintptr_t) "pgweir"};
    va_list args;
    va_start(args, argc);
    for (int i = 1; i <= argc; i++)
        argv[i] = va_arg(args, char *);
    va_end(args);
    return pw_cli_main(argc + 1, argv, &entry);
}

static void test_serve(void **state)
{
    (void)state;
    served = 0;
    assert_int_equal(
        run(5, "--upstream", "postgres://u@h/d", "--listen", "127.0.0.1:7000", "--set=batch.max=5"),
        42);
    assert_int_equal(run(6, "serve", "--upstream=postgres://u@h/d", "--listen", "127.0.0.1:7000",
                         "--set", "batch.max=5"),
                     42);
    assert_int_equal(served, 2);
}

static void test_advise(void **state)
{
    (void)state;
    advised = 0;
    assert_int_equal(run(2, "advise", "--anything"), 7);
    assert_string_equal(said, " --anything");
    assert_int_equal(advised, 1);
    assert_int_equal(run(3, "advise", "--upstream=x", "--help"), CLI_OK);
    assert_int_equal(run(2, "advise", "-h"), CLI_OK);
    assert_int_equal(advised, 1);
    setenv("PGWEIR_PGWEIR_STATE_DIR", "/some/where", 1);
    assert_int_equal(run(3, "advise", "--upstream=x", "--history"), 7);
    assert_string_equal(said, " --state-dir /some/where --upstream=x --history");
    assert_int_equal(run(4, "advise", "--history", "--state-dir", "/else"), 7);
    assert_string_equal(said, " --history --state-dir /else");
    unsetenv("PGWEIR_PGWEIR_STATE_DIR");
}

static void test_exit_status(void **state)
{
    (void)state;
    served = 0;
    assert_int_equal(run(0), CLI_CONFIG); /* no database */
    assert_int_equal(run(1, "--help"), CLI_OK);
    assert_int_equal(run(1, "--version"), CLI_OK);
    assert_int_equal(run(2, "check", "--help"), CLI_OK);
    assert_int_equal(run(2, "config", "--defaults"), CLI_OK);
    assert_int_equal(run(1, "chekc"), CLI_USAGE);
    assert_int_equal(run(1, "--upstraem=x"), CLI_USAGE);
    assert_int_equal(run(1, "--upstream"), CLI_USAGE);
    assert_int_equal(run(2, "--set", "novalue"), CLI_USAGE);
    assert_int_equal(run(2, "serve", "extra"), CLI_USAGE);
    assert_int_equal(run(1, "check"), CLI_USAGE);
    assert_int_equal(run(3, "check", "-c", "/nonexistent"), CLI_CONFIG);
    assert_int_equal(run(2, "--upstream", "nonsense"), CLI_CONFIG);
    assert_int_equal(run(1, "import-pgbouncer"), CLI_USAGE);
    assert_int_equal(run(2, "import-pgbouncer", "/nonexistent"), CLI_CONFIG);
    assert_int_equal(run(2, "console", "/nonexistent/admin.sock"), CLI_UNREACHABLE);
    assert_int_equal(served, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serve),
        cmocka_unit_test(test_advise),
        cmocka_unit_test(test_exit_status),
    };
    unsetenv("PGWEIR_UPSTREAM"); /* of whoever runs the tests */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
