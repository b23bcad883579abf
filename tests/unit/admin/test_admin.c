/* The grammar, finding commands, rights, results, tables in every form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proxy/admin/admin.h"
#include "proxy/admin/commands_own.h"
#include "proxy/admin/parse.h"
#include "proxy/base/alloc.h"

static const struct table_column columns[] = {
    {"name", TABLE_TEXT}, {"n", TABLE_INT8}, {"x", TABLE_NUMERIC}};

static char seen[400];          /* what the last command was given */
static struct admin_call *held; /* a command that answers later */

static void run_echo(struct admin_call *call)
{
    size_t len = (size_t)snprintf(seen, sizeof seen, "%s", call->command->words);
    for (size_t i = 0; i < call->n_args; i++)
        len += (size_t)snprintf(seen + len, sizeof seen - len, "|%s", call->args[i]);
    struct table *t = pw_table_new(columns, PW_COUNT_OF(columns));
    pw_table_row(t);
    pw_table_text(t, call->user);
    pw_table_int(t, (int64_t)call->n_args);
    pw_admin_finish_table(call, t);
}

static void run_count(struct admin_call *call)
{
    size_t n = pw_admin_arg_count(call, 0, 10, 100);
    if (n)
        pw_admin_finish_notice(call, "n=%zu", n);
}

static void run_hold(struct admin_call *call)
{
    held = call;
}

static const struct admin_command rows[] = {
    {"SHOW POOLS", ADMIN_STATS, NULL, "Pools.", run_echo},
    {"SHOW STATS", ADMIN_STATS, NULL, "Stats.", run_echo},
    {"SHOW STATS_TOTALS", ADMIN_STATS, NULL, "Totals.", run_echo},
    {"SHOW CACHE", ADMIN_STATS, NULL, "Cache.", run_echo},
    {"SHOW CACHE ENTRIES", ADMIN_STATS, "[n]", "Entries.", run_count},
    {"SHOW CLIENTS", ADMIN_STATS, NULL, "Clients.", run_echo},
    {"EXPLAIN CACHE", ADMIN_STATS, "sql", "Would it be cached?", run_echo},
    {"SHUTDOWN", ADMIN_ADMIN, "[WAIT]", "End.", run_echo},
    {"SET", ADMIN_ADMIN, "key = value", "Set.", run_echo},
    {"ADVISE", ADMIN_ADMIN, "[NOW]", "Advise.", run_hold},
};

struct answer {
    int finished;
    enum admin_format format;
    struct admin_result result;
};

static void on_finished(struct admin_call *call, void *owner)
{
    struct answer *a = owner;
    a->finished++;
    a->format = call->format;
    a->result = call->result;
    call->result = (struct admin_result){0};
}

static struct admin *admin;

static struct admin_call *ask(const char *text, enum admin_level level, struct answer *a)
{
    const struct admin_request request = {
        .text = pw_slice_str(text), .level = level, .user = "me", .source = "test"};
    memset(a, 0, sizeof *a);
    seen[0] = '\0';
    return pw_admin_start(admin, &request, on_finished, a);
}

static void expect_seen(const char *text, const char *what)
{
    struct answer a;
    assert_null(ask(text, ADMIN_ADMIN, &a));
    assert_int_equal(a.finished, 1);
    if (a.result.error)
        fail_msg("%s: %s", text, a.result.error);
    assert_string_equal(seen, what);
    pw_admin_result_clear(&a.result);
}

static void expect_error(const char *text, enum admin_level level, const char *sqlstate,
                         const char *part)
{
    struct answer a;
    assert_null(ask(text, level, &a));
    assert_int_equal(a.finished, 1);
    assert_non_null(a.result.error);
    assert_string_equal(a.result.sqlstate, sqlstate);
    if (!strstr(a.result.error, part))
        fail_msg("%s: %s", text, a.result.error);
    pw_admin_result_clear(&a.result);
}

static int setup(void **state)
{
    (void)state;
    admin = pw_admin_new();
    pw_admin_register(admin, rows, PW_COUNT_OF(rows), NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pw_admin_free(admin);
    return 0;
}

static void commands_are_found(void **state)
{
    (void)state;
    expect_seen("SHOW POOLS", "SHOW POOLS");
    expect_seen("  show\tPools ; ", "SHOW POOLS");
    expect_seen("sh po", "SHOW POOLS");
    expect_seen("show stats", "SHOW STATS");
    expect_seen("show stats_", "SHOW STATS_TOTALS");
    expect_seen("/* a /* b */ ; */ show -- c\n pools", "SHOW POOLS");
    expect_seen("set batch.max=10", "SET|batch.max|=|10");
    expect_seen("SET x.y = 'it''s; \"a b\"'", "SET|x.y|=|it's; \"a b\"");
    expect_seen("explain cache SELECT 'a' || $$it's$$", "EXPLAIN CACHE|SELECT 'a' || $$it's$$");
    expect_seen("shutdown wait", "SHUTDOWN|wait");
}

static void wrong_commands_say_why(void **state)
{
    (void)state;
    expect_error("", ADMIN_ADMIN, "42601", "empty");
    expect_error("show pols", ADMIN_ADMIN, "42601", "did you mean SHOW POOLS?");
    expect_error("shutdwn", ADMIN_ADMIN, "42601", "did you mean SHUTDOWN?");
    expect_error("show c", ADMIN_ADMIN, "42601", "SHOW CACHE, SHOW CLIENTS");
    expect_error("select * from t", ADMIN_ADMIN, "42601", "unknown command");
    expect_error("sh", ADMIN_ADMIN, "42601", ""); /* never SHUTDOWN */
    expect_error("shut", ADMIN_ADMIN, "42601", "");
    expect_error("show pools x", ADMIN_ADMIN, "42601", "takes no arguments");
    expect_error("set a 'b", ADMIN_ADMIN, "42601", "quote");
    expect_error("set 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", ADMIN_ADMIN, "42601", "too many");
    expect_error("show cache entries 0", ADMIN_ADMIN, "22023", "1 to 100");
    expect_error("show cache entries 101", ADMIN_ADMIN, "22023", "1 to 100");
    expect_error("shutdown", ADMIN_STATS, "42501", "admin");
}

static void json_can_be_asked_for(void **state)
{
    static const char *const texts[] = {"show pools\\j", "show pools \\j;", "show pools; \\j",
                                        "SHOW POOLS FORMAT JSON", "show pools format  json ;"};
    struct answer a;
    (void)state;
    for (size_t i = 0; i < PW_COUNT_OF(texts); i++) {
        ask(texts[i], ADMIN_STATS, &a);
        assert_null(a.result.error);
        assert_int_equal(a.format, ADMIN_FORMAT_JSON);
        assert_string_equal(a.result.tag, "SHOW");
        pw_admin_result_clear(&a.result);
    }
}

static void a_command_may_answer_later(void **state)
{
    struct answer a;
    (void)state;
    struct admin_call *call = ask("advise", ADMIN_ADMIN, &a);
    assert_ptr_equal(call, held);
    assert_int_equal(a.finished, 0);
    assert_int_equal(pw_admin_calls_in_flight(admin), 1);
    pw_admin_finish_notice(held, "done");
    assert_int_equal(a.finished, 1);
    assert_string_equal(a.result.notice, "done");
    pw_admin_result_clear(&a.result);
    call = ask("advise", ADMIN_ADMIN, &a);
    pw_admin_detach(call);
    pw_admin_finish_error(held, "XX000", "nobody hears this");
    assert_int_equal(a.finished, 0);
    assert_int_equal(pw_admin_calls_in_flight(admin), 0);
}

static void calls_in_flight_are_bounded(void **state)
{
    static struct answer answers[PW_ADMIN_CALLS_MAX];
    struct admin_call *calls[PW_ADMIN_CALLS_MAX];
    (void)state;
    for (size_t i = 0; i < PW_ADMIN_CALLS_MAX; i++)
        assert_non_null(calls[i] = ask("advise", ADMIN_ADMIN, &answers[i]));
    expect_error("show pools", ADMIN_ADMIN, "53400", "too many");
    for (size_t i = 0; i < PW_ADMIN_CALLS_MAX; i++)
        pw_admin_finish(calls[i]);
}

static void statements_are_split(void **state)
{
    static const char *const expected[] = {"a 'x;y'", "", "b /* ; */ c", "\"d;\"\"\"", "-- ;\n e"};
    struct slice rest = pw_slice_str("a 'x;y';; b /* ; */ c ;\"d;\"\"\"; -- ;\n e"), statement;
    (void)state;
    for (size_t i = 0; i < PW_COUNT_OF(expected); i++) {
        assert_true(pw_admin_next_statement(&rest, &statement));
        assert_true(pw_slice_is(statement, expected[i]));
    }
    assert_false(pw_admin_next_statement(&rest, &statement));
}

static void tables_render(void **state)
{
    struct buf out;
    struct table *t = pw_table_new(columns, PW_COUNT_OF(columns));
    (void)state;
    pw_buf_init(&out, 10000);
    pw_table_row(t);
    pw_table_text(t, "\xc3\xa9\x1b[1m");
    pw_table_int(t, -5);
    pw_table_num(t, 2.5, 2);
    pw_table_row(t);
    pw_table_text(t, "longer");
    pw_table_null(t);
    pw_table_num(t, NAN, 2);
    assert_true(pw_table_render_text(t, &out));
    pw_buf_append_u8(&out, 0);
    assert_string_equal(out.data, "name   | n  | x\n-------+----+-----\n\xc3\xa9 [1m  | -5 | 2.50\n"
                                  "longer |    |     \n(2 rows)\n");
    pw_buf_reset(&out);
    pw_table_render_json_lines(t, &out);
    pw_buf_append_u8(&out, 0);
    assert_string_equal(out.data, "{\"name\":\"\xc3\xa9\\u001b[1m\",\"n\":-5,\"x\":2.50}\n"
                                  "{\"name\":\"longer\",\"n\":null,\"x\":null}\n");
    pw_buf_free(&out);
    pw_table_free(t);
}

static void tables_are_bounded(void **state)
{
    static const struct table_column one[] = {{"n", TABLE_INT8}};
    struct table *t = pw_table_new(one, 1);
    (void)state;
    for (size_t i = 0; i < PW_TABLE_ROWS_MAX; i++) {
        assert_true(pw_table_row(t));
        pw_table_uint(t, i);
    }
    assert_false(pw_table_row(t));
    pw_table_uint(t, 7); /* ignored */
    assert_true(pw_table_truncated(t));
    assert_int_equal(pw_table_rows(t), PW_TABLE_ROWS_MAX);
    pw_table_free(t);
}

static bool memory(void *arg, struct mem_pool_stats *out)
{
    (void)arg;
    *out =
        (struct mem_pool_stats){.total = 100, .used = 40, .available = 50, .fragmentation = 0.25};
    return true;
}

static void own_commands_answer(void **state)
{
    static const char *const texts[] = {"SHOW HELP", "HELP",        "SHOW VERSION", "SHOW CONFIG",
                                        "SHOW MEM",  "SHOW MEMORY", "SHOW OBJECTS", "SHOW HOST",
                                        "SHOW GPU",  "SHOW TREND"};
    const struct sampler_options options = {.history = 10};
    struct admin_own own = {.sampler = pw_sampler_new(&options), .memory = memory};
    struct answer a;
    struct slice cell;
    (void)state;
    pw_sampler_take((struct sampler *)(uintptr_t)own.sampler, 1, 1);
    pw_sampler_take((struct sampler *)(uintptr_t)own.sampler, 1000001, 1000001);
    pw_admin_register_own(admin, &own);
    for (size_t i = 0; i < PW_COUNT_OF(texts); i++) {
        ask(texts[i], ADMIN_STATS, &a);
        assert_int_equal(a.finished, 1);
        assert_non_null(a.result.table);
        pw_admin_result_clear(&a.result);
    }
    ask("SHOW MEMORY", ADMIN_STATS, &a);
    assert_true(pw_table_cell(a.result.table, 0, 3, &cell) && pw_slice_is(cell, "0.2500"));
    pw_admin_result_clear(&a.result);
    ask("SHOW VERSION;", ADMIN_STATS, &a);
    assert_int_equal(pw_table_columns(a.result.table), 1); /* exporters count */
    pw_admin_result_clear(&a.result);
    ask("HELP cache entries", ADMIN_STATS, &a);
    assert_int_equal(pw_table_rows(a.result.table), 1);
    pw_admin_result_clear(&a.result);
    pw_sampler_free((struct sampler *)(uintptr_t)own.sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_found),
        cmocka_unit_test(wrong_commands_say_why),
        cmocka_unit_test(json_can_be_asked_for),
        cmocka_unit_test(a_command_may_answer_later),
        cmocka_unit_test(calls_in_flight_are_bounded),
        cmocka_unit_test(statements_are_split),
        cmocka_unit_test(tables_render),
        cmocka_unit_test(tables_are_bounded),
        cmocka_unit_test(own_commands_answer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
