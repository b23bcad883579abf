/* server_login against a real PostgreSQL: every method, and hashes as the server stores them. */
#include "tests/unit/wire/live.h"

static struct login_credentials password(const char *text)
{
    return (struct login_credentials){LOGIN_PASSWORD, pw_slice_str(text), NULL};
}

static void passwords(void **state)
{
    (void)state;
    const struct {
        const char *user, *password;
        bool works;
    } rows[] = {{"u_scram", "pencil", true},
                {"u_scram", "pen", false},
                {"u_md5", "pencil", true},
                {"u_md5", "pen", false},
                {"u_clear", "pencil", true},
                {"u_clear", "pen", false},
                {"u_trust", "any", true},
                {"u_prep", "IX IX", true},
                {"u_raw",
                 "\xd8\xa7"
                 "1",
                 true},
                {"u_nopw", "x", false}};
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        struct login_credentials c = password(rows[i].password);
        struct leg leg = log_in(rows[i].user, &c);
        assert_int_equal(leg.says, rows[i].works ? LOGIN_DONE : LOGIN_FAIL);
        if (rows[i].works) {
            char *me = ask(&leg, "select current_user || current_setting('work_mem') || "
                                 "current_setting('statement_timeout')");
            char *want = pw_asprintf("%s77kB99s", rows[i].user);
            assert_string_equal(me, want);
            pw_free(me);
            pw_free(want);
        } else {
            struct slice sqlstate = pw_errfields_sqlstate(pw_buf_slice(&leg.login->error));
            assert_true(pw_slice_is(sqlstate, "28P01"));
        }
        leave(&leg);
    }
}

static void parameters_and_key(void **state)
{
    (void)state;
    struct login_credentials none = {LOGIN_NOTHING, {0}, NULL};
    struct leg leg = log_in("u_trust", &none);
    struct slice v;
    assert_int_equal(leg.says, LOGIN_DONE);
    assert_true(leg.login->params.count >= 10);
    assert_true(pw_params_find(&leg.login->params, "application_name", &v));
    assert_true(pw_slice_is(v, "wire test"));
    assert_true(pw_params_find(&leg.login->params, "server_encoding", &v));
    assert_true(pw_slice_is(v, "UTF8"));
    char *pid = ask(&leg, "select pg_backend_pid()::text");
    assert_int_equal((uint32_t)strtoul(pid, NULL, 10), leg.login->pid);
    assert_true(leg.login->key_len >= 4);
    pw_free(pid);
    leave(&leg);
    leg = log_in("u_scram", &none);
    assert_int_equal(leg.says, LOGIN_FAIL);
    assert_string_equal(leg.login->reason,
                        "server asks for SCRAM-SHA-256, but no password is known");
    leave(&leg);
}

static void hashes_are_those_of_the_server(void **state)
{
    (void)state;
    char *md5 = stored("u_md5"), *scram = stored("u_scram");
    struct md5_text mine;
    assert_true(pw_md5_hash(PW_SLICE_LIT("pencil"), PW_SLICE_LIT("u_md5"), &mine));
    assert_string_equal(mine.text, md5);
    struct login_credentials c = {LOGIN_MD5, pw_slice_str(md5), NULL};
    struct leg leg = log_in("u_md5", &c);
    assert_int_equal(leg.says, LOGIN_DONE);
    leave(&leg);
    struct scram_verifier theirs, ours;
    struct scram_keys keys;
    struct buf text;
    pw_buf_init(&text, 1024);
    assert_true(pw_scram_verifier_parse(pw_slice_str(scram), &theirs));
    struct slice salt = pw_slice((char *)theirs.salt, theirs.salt_len);
    assert_true(pw_scram_derive(PW_SLICE_LIT("pencil"), salt, theirs.iterations, &keys));
    assert_true(pw_scram_verifier_from_keys(&keys, salt, theirs.iterations, &ours));
    assert_true(pw_scram_verifier_print(&ours, &text));
    assert_true(pw_slice_is(pw_buf_slice(&text), scram));
    pw_buf_free(&text);
    pw_free(md5);
    pw_free(scram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords),
        cmocka_unit_test(parameters_and_key),
        cmocka_unit_test(hashes_are_those_of_the_server),
    };
    if (!find_server()) {
        fprintf(stderr, "no PostgreSQL server on this machine\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
