/* Conversations with the psql front, message by message: simple, extended, polite answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/admin/psql_front.h"
#include "proxy/base/alloc.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/reader.h"

static const struct table_column columns[] = {
    {"name", TABLE_TEXT}, {"small", TABLE_INT4}, {"big", TABLE_INT8}, {"exact", TABLE_NUMERIC}};

static int runs; /* of any command */

static void run_pools(struct admin_call *call)
{
    struct table *t = pw_table_new(columns, PW_COUNT_OF(columns));
    runs++;
    for (int i = 0; i < 3; i++) {
        pw_table_row(t);
        pw_table_text(t, "x");
        pw_table_int(t, i);
        pw_table_int(t, -i);
        pw_table_num(t, -12345.5, 2);
    }
    pw_admin_finish_table(call, t);
}

static void run_pause(struct admin_call *call)
{
    runs++;
    pw_admin_finish_notice(call, "paused");
}

static void run_advise(struct admin_call *call)
{
    run_pools(call);
}

static const struct admin_command rows[] = {
    {"SHOW POOLS", ADMIN_STATS, NULL, "Pools.", run_pools},
    {"PAUSE", ADMIN_ADMIN, "[db]", "Pause.", run_pause},
    {"ADVISE", ADMIN_ADMIN, NULL, "Advise.", run_advise},
    {"SET", ADMIN_ADMIN, "key = value", "Set.", run_pause},
};

static struct admin *admin;
static struct psql_front *front;
static struct buf out, message;
static char wanted[1000]; /* the text handed to on_command, not answered yet */
static bool waiting;

static void on_command(void *arg, struct slice text)
{
    (void)arg;
    assert_false(waiting);
    waiting = true;
    snprintf(wanted, sizeof wanted, "%.*s", (int)text.len, text.ptr);
}

static void on_finished(struct admin_call *call, void *owner)
{
    *(struct admin_result *)owner = pw_psql_result_take(call);
}

/* Feeds one message and answers the commands it leads to. */
static void feed(uint8_t type, struct slice body)
{
    assert_int_equal(pw_psql_front_feed(front, type, body, &out), PW_OK);
    while (waiting) {
        struct admin_result result = {0};
        const struct admin_request request = {
            .text = pw_slice_str(wanted), .level = ADMIN_ADMIN, .user = "u", .source = "test"};
        assert_true(pw_psql_front_is_busy(front));
        assert_null(pw_admin_start(admin, &request, on_finished, &result));
        waiting = false;
        assert_int_equal(pw_psql_front_result(front, &result, &out), PW_OK);
    }
    assert_false(pw_psql_front_is_busy(front));
}

/* Feeds the message built in `message`. */
static void feed_built(void)
{
    struct slice all = pw_buf_slice(&message);
    feed((uint8_t)all.ptr[0], pw_slice(all.ptr + 5, all.len - 5));
    pw_buf_reset(&message);
}

static void query(const char *sql)
{
    pw_emit_query(&message, pw_slice_str(sql));
    feed_built();
}

/* The types of the messages so far, and forgets them. */
static const char *types(void)
{
    static char text[400];
    size_t n = 0;
    for (size_t at = 0; at < out.len && n + 1 < sizeof text;) {
        text[n++] = out.data[at];
        at += 1 + pw_load_u32(out.data + at + 1);
    }
    text[n] = '\0';
    pw_buf_reset(&out);
    return text;
}

static void expect(const char *sql, const char *want)
{
    query(sql);
    const char *got = types();
    if (strcmp(got, want) != 0)
        fail_msg("%s: got %s, want %s", sql, got, want);
}

static void parse(const char *name, const char *sql)
{
    pw_emit_parse(&message, pw_slice_str(name), pw_slice_str(sql), NULL, 0);
    feed_built();
}

static void bind(const char *portal, const char *statement, bool binary)
{
    const uint16_t format = 1;
    const struct emit_bind b = {.portal = pw_slice_str(portal),
                                .statement = pw_slice_str(statement),
                                .result_formats = &format,
                                .nresult_formats = binary};
    pw_emit_bind(&message, &b);
    feed_built();
}

static void describe(char kind, const char *name)
{
    pw_emit_describe(&message, kind, pw_slice_str(name));
    feed_built();
}

static void execute(const char *portal, uint32_t max)
{
    pw_emit_execute(&message, pw_slice_str(portal), max);
    feed_built();
}

static void sync(void)
{
    pw_emit_sync(&message);
    feed_built();
}

static int setup(void **state)
{
    (void)state;
    admin = pw_admin_new();
    pw_admin_register(admin, rows, PW_COUNT_OF(rows), NULL);
    front = pw_psql_front_new(admin, "u", "pgbouncer", on_command, NULL);
    pw_buf_init(&out, 1 << 20);
    pw_buf_init(&message, 1 << 20);
    runs = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pw_psql_front_free(front);
    pw_admin_free(admin);
    pw_buf_free(&out);
    pw_buf_free(&message);
    return 0;
}

static void simple_queries(void **state)
{
    (void)state;
    expect("SHOW POOLS", "TDDDCZ");
    expect("SHOW POOLS;", "TDDDCZ");
    expect("show pools; show pools", "TDDDCTDDDCZ");
    expect("PAUSE", "NCZ");
    expect("", "IZ");
    expect(" ; -- nothing\n", "IZ");
    expect("nonsense; show pools", "EZ"); /* the rest is skipped */
    expect("show pools; nonsense", "TDDDCEZ");
    expect("SELECT c.relname FROM pg_catalog.pg_class c", "EZ");
    expect("show pools format json", "TDDDCZ");
}

static void polite_answers(void **state)
{
    (void)state;
    expect("SELECT 1", "TDCZ");
    expect("select version()", "TDCZ");
    expect("SHOW server_version", "TDCZ");
    expect("show transaction isolation level", "TDCZ");
    expect("SET extra_float_digits = 3", "CZ");
    expect("set client_encoding to 'utf-8'", "CZ");
    expect("SET application_name = 'x'; SELECT 1", "CTDCZ");
    expect("DISCARD ALL", "CZ");
    assert_int_equal(runs, 0);
    expect("SET batch.max = 10", "NCZ"); /* ours */
    assert_int_equal(runs, 1);
    query("BEGIN");
    assert_int_equal(out.data[out.len - 1], 'T');
    pw_buf_reset(&out);
    query("COMMIT");
    assert_int_equal(out.data[out.len - 1], 'I');
}

static void extended_protocol(void **state)
{
    (void)state;
    parse("", "SHOW POOLS");
    bind("", "", false);
    describe('P', "");
    execute("", 0);
    sync();
    assert_string_equal(types(), "12TDDDCZ");
    assert_int_equal(runs, 1); /* what Describe ran, Execute sends */
    parse("s", "show pools");
    describe('S', "s");
    sync();
    assert_string_equal(types(), "1tTZ");
    for (int i = 0; i < 2; i++) {
        bind("", "s", true);
        execute("", 0);
        sync();
        assert_string_equal(types(), "2DDDCZ");
    }
    parse("e", "");
    bind("", "e", false);
    describe('P', "");
    execute("", 0);
    sync();
    assert_string_equal(types(), "12nIZ");
    parse("", "SELECT 1");
    describe('S', "");
    bind("", "", false);
    execute("", 0);
    sync();
    assert_string_equal(types(), "1tT2DCZ");
}

static void changes_run_once(void **state)
{
    (void)state;
    parse("", "PAUSE db");
    describe('S', "");
    bind("", "", false);
    describe('P', "");
    execute("", 0);
    sync();
    assert_string_equal(types(), "1tn2nNCZ");
    assert_int_equal(runs, 1);
    parse("", "ADVISE"); /* has rows nobody announced: they come as a notice */
    bind("", "", false);
    execute("", 0);
    sync();
    assert_string_equal(types(), "12NCZ");
}

static void portals_are_fetched_in_parts(void **state)
{
    (void)state;
    query("BEGIN");
    parse("", "SHOW POOLS");
    bind("p", "", false);
    execute("p", 2);
    sync();
    execute("p", 2);
    sync();
    assert_string_equal(types(), "CZ12DDsZDCZ");
    assert_int_equal(runs, 1);
    bind("q", "", false);
    execute("q", 1);
    describe('P', "q"); /* after the first part: described, not run again */
    execute("q", 0);
    sync();
    assert_string_equal(types(), "2DsTDDCZ");
    assert_int_equal(runs, 2);
    query("COMMIT");
    sync();
    execute("p", 0); /* gone with its transaction */
    sync();
    assert_string_equal(types(), "CZZEZ");
}

static void errors_skip_to_sync(void **state)
{
    (void)state;
    bind("", "missing", false);
    execute("", 0);
    describe('P', "");
    sync();
    assert_string_equal(types(), "EZ");
    parse("", "nonsense");
    describe('S', "");
    sync();
    assert_string_equal(types(), "1EZ");
    parse("", "show pools; show pools");
    sync();
    assert_string_equal(types(), "EZ");
    parse("a", "show pools");
    parse("a", "show pools");
    sync();
    assert_string_equal(types(), "1EZ");
    for (int i = 0; i < PW_PSQL_NAMES_MAX + 1; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        parse(name, "show pools");
    }
    sync();
    const char *got = types();
    assert_string_equal(got + strlen(got) - 2, "EZ");
}

static void binary_values(void **state)
{
    (void)state;
    parse("", "SHOW POOLS");
    bind("", "", true);
    execute("", 1);
    /* -12345.50: groups 1, 2345, 5000; weight 1; negative; scale 2 */
    static const char row[] = "D\0\0\0\x35\0\4\0\0\0\1x\0\0\0\4\0\0\0\0\0\0\0\x8\0\0\0\0\0\0\0\0"
                              "\0\0\0\xe\0\3\0\1\x40\0\0\2\0\1\x9\x29\x13\x88";
    const char *at = memchr(out.data, 'D', out.len);
    assert_non_null(at);
    assert_int_equal(pw_load_u32(at + 1), sizeof row - 2);
    assert_memory_equal(at + 5, row + 5, sizeof row - 6);
    pw_buf_reset(&out);
}

static void malformed_messages_end_it(void **state)
{
    (void)state;
    assert_int_equal(pw_psql_front_feed(front, 'Q', pw_slice("abc", 3), &out), PW_PROTOCOL);
    assert_int_equal(pw_psql_front_feed(front, 'P', pw_slice("", 0), &out), PW_PROTOCOL);
    assert_int_equal(pw_psql_front_feed(front, 'B', pw_slice("a\0b", 3), &out), PW_PROTOCOL);
    assert_int_equal(pw_psql_front_feed(front, 'y', pw_slice("", 0), &out), PW_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(simple_queries, setup, teardown),
        cmocka_unit_test_setup_teardown(polite_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(extended_protocol, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_run_once, setup, teardown),
        cmocka_unit_test_setup_teardown(portals_are_fetched_in_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_skip_to_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(binary_values, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed_messages_end_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
