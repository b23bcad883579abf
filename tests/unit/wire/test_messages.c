/* What emit writes, front and back read again; every truncation and every trailing byte is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/wire/back.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/front.h"

static struct buf out;

static int setup(void **state)
{
    (void)state;
    pw_buf_init(&out, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pw_buf_free(&out);
    return 0;
}

static struct slice body_of(uint8_t type)
{
    struct frame f = {0};
    struct slice all = pw_buf_slice(&out);
    assert_int_equal(pw_frame_peek(all, &f), FRAME_OK);
    assert_int_equal(f.type, type);
    assert_int_equal(f.len, all.len);
    return pw_frame_body(all, &f);
}

/* The decoder must refuse every proper prefix of the body and the body with a byte more. */
#define REFUSES_OTHER_LENGTHS(decode, body, type)                                                  \
    do {                                                                                           \
        struct slice whole = (body);                                                               \
        type scratch;                                                                              \
        for (size_t cut = 0; cut < whole.len; cut++)                                               \
            assert_false(decode(pw_slice(whole.ptr, cut), &scratch));                              \
        struct buf longer;                                                                         \
        pw_buf_init(&longer, 1 << 20);                                                             \
        pw_buf_append(&longer, whole.ptr, whole.len);                                              \
        pw_buf_append_u8(&longer, 0);                                                              \
        assert_false(decode(pw_buf_slice(&longer), &scratch));                                     \
        pw_buf_free(&longer);                                                                      \
        assert_true(decode(whole, &scratch));                                                      \
    } while (0)

static void query(void **state)
{
    (void)state;
    struct front_query q;
    assert_true(pw_emit_query(&out, PW_SLICE_LIT("select 1")));
    assert_memory_equal(out.data, "Q\0\0\0\x0dselect 1\0", 14);
    REFUSES_OTHER_LENGTHS(pw_front_query, body_of('Q'), struct front_query);
    assert_true(pw_front_query(body_of('Q'), &q) && pw_slice_is(q.sql, "select 1"));
    size_t before = out.len;
    assert_false(pw_emit_query(&out, PW_SLICE_LIT("a\0b")));
    assert_int_equal(out.len, before);
}

static void parse(void **state)
{
    (void)state;
    const uint32_t oids[] = {23, 0, 0xffffffff};
    struct front_parse p;
    assert_true(pw_emit_parse(&out, PW_SLICE_LIT("st"), PW_SLICE_LIT("select $1"), oids, 3));
    REFUSES_OTHER_LENGTHS(pw_front_parse, body_of('P'), struct front_parse);
    assert_true(pw_front_parse(body_of('P'), &p));
    assert_true(pw_slice_is(p.name, "st") && pw_slice_is(p.sql, "select $1"));
    assert_int_equal(p.nparams, 3);
    assert_int_equal(pw_front_parse_oid(&p, 0), 23);
    assert_int_equal(pw_front_parse_oid(&p, 2), 0xffffffff);
    assert_int_equal(pw_front_parse_oid(&p, 3), 0);
    struct slice a, b, body = body_of('P');
    size_t used;
    for (size_t cut = 0; cut <= body.len; cut++) {
        assert_int_equal(pw_front_two_names(pw_slice(body.ptr, cut), &a, &b, &used), cut >= 13);
        if (cut >= 13)
            assert_true(used == 13 && pw_slice_is(a, "st") && pw_slice_is(b, "select $1"));
    }
}

static void bind(void **state)
{
    (void)state;
    const struct wire_value values[] = {{PW_SLICE_LIT("7"), false}, {{0}, true}, {{0}, false}};
    const uint16_t formats[] = {0, 1, 0}, results[] = {1};
    const struct emit_bind b = {.portal = PW_SLICE_LIT("po"),
                                .statement = PW_SLICE_LIT("st"),
                                .formats = formats,
                                .nformats = 3,
                                .values = values,
                                .nvalues = 3,
                                .result_formats = results,
                                .nresult_formats = 1};
    assert_true(pw_emit_bind(&out, &b));
    REFUSES_OTHER_LENGTHS(pw_front_bind, body_of('B'), struct front_bind);
    struct front_bind got;
    assert_true(pw_front_bind(body_of('B'), &got));
    assert_true(pw_slice_is(got.portal, "po") && pw_slice_is(got.statement, "st"));
    assert_int_equal(got.nparams, 3);
    assert_int_equal(pw_front_bind_format(&got, 1), 1);
    assert_int_equal(pw_front_bind_format(&got, 9), 0);
    assert_int_equal(pw_front_bind_result_format(&got, 9), 1);
    struct wire_value v;
    struct slice rest = got.params;
    assert_true(pw_wire_value_next(&rest, &v) && !v.null && pw_slice_is(v.bytes, "7"));
    assert_true(pw_wire_value_next(&rest, &v) && v.null);
    assert_true(pw_wire_value_next(&rest, &v) && !v.null && v.bytes.len == 0);
    assert_false(pw_wire_value_next(&rest, &v));
    /* A length of -2 is not null and not a length. */
    const char bad[] = "\0\0\0\0\0\1\xff\xff\xff\xfe\0\0";
    assert_false(pw_front_bind(pw_slice(bad, sizeof bad - 1), &got));
}

static void small_front(void **state)
{
    (void)state;
    struct front_target t;
    struct front_execute e;
    assert_true(pw_emit_describe(&out, 'S', PW_SLICE_LIT("st")));
    REFUSES_OTHER_LENGTHS(pw_front_target, body_of('D'), struct front_target);
    pw_buf_reset(&out);
    assert_true(pw_emit_close(&out, 'P', PW_SLICE_LIT("")));
    assert_true(pw_front_target(body_of('C'), &t) && t.kind == 'P' && t.name.len == 0);
    pw_buf_reset(&out);
    assert_false(pw_emit_close(&out, 'x', PW_SLICE_LIT("")));
    assert_int_equal(out.len, 0);
    assert_false(pw_front_target(PW_SLICE_LIT("x\0"), &t));
    assert_true(pw_emit_execute(&out, PW_SLICE_LIT("po"), 50));
    REFUSES_OTHER_LENGTHS(pw_front_execute, body_of('E'), struct front_execute);
    assert_true(pw_front_execute(body_of('E'), &e) && e.max_rows == 50);
    assert_true(pw_front_execute(PW_SLICE_LIT("\0\xff\xff\xff\xff"), &e) && e.max_rows == 0);
    pw_buf_reset(&out);
    assert_true(pw_emit_sync(&out) && pw_front_empty(body_of('S')));
    pw_buf_reset(&out);
    struct slice reason = {0};
    assert_true(pw_emit_copy_fail(&out, "no") && pw_front_copy_fail(body_of('f'), &reason));
    assert_true(pw_slice_is(reason, "no"));
    pw_buf_reset(&out);
    assert_true(pw_emit_password(&out, PW_SLICE_LIT("pw")));
    REFUSES_OTHER_LENGTHS(pw_front_password, body_of('p'), struct slice);
    pw_buf_reset(&out);
    struct front_sasl_initial si;
    assert_true(pw_emit_sasl_initial(&out, "SCRAM-SHA-256", PW_SLICE_LIT("n,,n=,r=x")));
    REFUSES_OTHER_LENGTHS(pw_front_sasl_initial, body_of('p'), struct front_sasl_initial);
    assert_true(pw_front_sasl_initial(body_of('p'), &si) && si.has_data);
    assert_true(pw_slice_is(si.mechanism, "SCRAM-SHA-256") && pw_slice_is(si.data, "n,,n=,r=x"));
    assert_true(pw_front_sasl_initial(PW_SLICE_LIT("X\0\xff\xff\xff\xff"), &si) && !si.has_data);
}

static void function_call(void **state)
{
    (void)state;
    const char body[] = "\0\0\1\0"
                        "\0\1\0\1"
                        "\0\2"
                        "\0\0\0\1x"
                        "\xff\xff\xff\xff"
                        "\0\1";
    struct front_call c;
    REFUSES_OTHER_LENGTHS(pw_front_call, pw_slice(body, sizeof body - 1), struct front_call);
    assert_true(pw_front_call(pw_slice(body, sizeof body - 1), &c));
    assert_true(c.function_oid == 256 && c.nargs == 2 && c.result_format == 1 && c.args.len == 9);
}

static void row_description(void **state)
{
    (void)state;
    const struct slice names[] = {PW_SLICE_LIT("a"), PW_SLICE_LIT("bee")};
    assert_true(pw_emit_text_rowdesc(&out, names, 2));
    REFUSES_OTHER_LENGTHS(pw_back_rowdesc, body_of('T'), struct back_rowdesc);
    struct back_rowdesc d;
    struct back_field f;
    assert_true(pw_back_rowdesc(body_of('T'), &d) && d.nfields == 2);
    struct slice rest = d.fields;
    assert_true(pw_back_field_next(&rest, &f) && pw_slice_is(f.name, "a") && f.type_oid == 25);
    assert_true(f.type_len == -1 && f.type_mod == -1 && f.format == 0);
    assert_true(pw_back_field_next(&rest, &f) && pw_slice_is(f.name, "bee"));
    assert_false(pw_back_field_next(&rest, &f));
}

static void data_row(void **state)
{
    (void)state;
    const struct wire_value row[] = {{PW_SLICE_LIT("x"), false}, {{0}, true}};
    struct back_datarow d;
    assert_true(pw_emit_datarow(&out, row, 2));
    REFUSES_OTHER_LENGTHS(pw_back_datarow, body_of('D'), struct back_datarow);
    assert_true(pw_back_datarow(body_of('D'), &d) && d.ncolumns == 2 && d.columns.len == 9);
}

static void login_messages(void **state)
{
    (void)state;
    struct back_auth a;
    assert_true(pw_emit_auth_md5(&out, (const uint8_t *)"salt"));
    REFUSES_OTHER_LENGTHS(pw_back_auth, body_of('R'), struct back_auth);
    pw_buf_reset(&out);
    assert_true(pw_emit_auth_sasl(&out, (const char *const[]){"SCRAM-SHA-256"}, 1));
    assert_memory_equal(out.data, "R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", 24);
    REFUSES_OTHER_LENGTHS(pw_back_auth, body_of('R'), struct back_auth);
    assert_true(pw_back_auth(body_of('R'), &a) && a.code == AUTH_CODE_SASL);
    assert_true(pw_back_auth_offers(&a, "SCRAM-SHA-256"));
    assert_false(pw_back_auth_offers(&a, "SCRAM-SHA-25"));
    pw_buf_reset(&out);
    assert_true(pw_emit_auth_ok(&out));
    REFUSES_OTHER_LENGTHS(pw_back_auth, body_of('R'), struct back_auth);
    pw_buf_reset(&out);
    struct name_value nv;
    assert_true(pw_emit_parameter_status(&out, PW_SLICE_LIT("TimeZone"), PW_SLICE_LIT("UTC")));
    REFUSES_OTHER_LENGTHS(pw_back_parameter_status, body_of('S'), struct name_value);
    assert_true(pw_back_parameter_status(body_of('S'), &nv) && pw_slice_is(nv.value, "UTC"));
    pw_buf_reset(&out);
    struct back_key k;
    assert_true(pw_emit_backend_key(&out, 9, PW_SLICE_LIT("\1\2\3\4")));
    assert_true(pw_back_key(body_of('K'), &k) && k.pid == 9 && k.key.len == 4);
    assert_false(pw_back_key(PW_SLICE_LIT("\0\0\0\1abc"), &k));
    pw_buf_reset(&out);
    char status;
    assert_true(pw_emit_ready(&out, 'T') && pw_back_ready(body_of('Z'), &status) && status == 'T');
    assert_false(pw_back_ready(PW_SLICE_LIT("x"), &status));
    assert_false(pw_back_ready(PW_SLICE_LIT(""), &status));
    assert_false(pw_back_ready(PW_SLICE_LIT("II"), &status));
    pw_buf_reset(&out);
    struct back_negotiate n;
    assert_true(pw_emit_negotiate(&out, 0, 2, PW_SLICE_LIT("_pq_.a\0_pq_.b\0")));
    REFUSES_OTHER_LENGTHS(pw_back_negotiate, body_of('v'), struct back_negotiate);
    assert_true(pw_back_negotiate(body_of('v'), &n) && n.noptions == 2);
}

static void other_back(void **state)
{
    (void)state;
    struct back_notification n;
    assert_true(pw_back_notification(PW_SLICE_LIT("\0\0\0\7ch\0pay\0"), &n));
    assert_true(n.pid == 7 && pw_slice_is(n.channel, "ch") && pw_slice_is(n.payload, "pay"));
    const uint32_t oids[] = {20, 1043};
    struct back_oids o;
    assert_true(pw_emit_parameter_description(&out, oids, 2));
    REFUSES_OTHER_LENGTHS(pw_back_oids, body_of('t'), struct back_oids);
    assert_true(pw_back_oids(body_of('t'), &o) && pw_back_oid(&o, 1) == 1043);
    struct back_copy c;
    assert_true(pw_back_copy(PW_SLICE_LIT("\1\0\2\0\1\0\1"), &c) && c.ncolumns == 2);
    assert_false(pw_back_copy(PW_SLICE_LIT("\1\0\2\0\1\0"), &c));
}

static void tags(void **state)
{
    (void)state;
    struct slice tag;
    uint64_t rows = 0;
    assert_true(pw_emit_command_complete(&out, "INSERT 0 12"));
    assert_true(pw_back_command_complete(body_of('C'), &tag));
    assert_true(pw_back_tag_rows(tag, &rows) && rows == 12);
    assert_true(pw_back_tag_rows(PW_SLICE_LIT("SELECT 0"), &rows) && rows == 0);
    assert_false(pw_back_tag_rows(PW_SLICE_LIT("CREATE TABLE"), &rows));
    assert_false(pw_back_tag_rows(PW_SLICE_LIT("X12"), &rows));
    assert_false(pw_back_tag_rows(PW_SLICE_LIT("12"), &rows));
    assert_false(pw_back_tag_rows(PW_SLICE_LIT(""), &rows));
    assert_false(pw_back_tag_rows(PW_SLICE_LIT("SELECT 99999999999999999999"), &rows));
}

static void full_buffer_keeps_whole_messages(void **state)
{
    (void)state;
    for (size_t max = 0; max < 40; max++) {
        struct buf small;
        pw_buf_init(&small, 256 + max);
        assert_true(pw_buf_reserve(&small, 256));
        small.len = 256;
        bool first = pw_emit_query(&small, PW_SLICE_LIT("select 1"));
        bool second = pw_emit_ready(&small, 'I') && first;
        assert_int_equal(first, max >= 14);
        assert_int_equal(second, max >= 20);
        assert_true(small.len == 256 || small.len == 270 || small.len == 276);
        assert_int_equal(small.failed, !second);
        pw_buf_free(&small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(query, setup, teardown),
        cmocka_unit_test_setup_teardown(parse, setup, teardown),
        cmocka_unit_test_setup_teardown(bind, setup, teardown),
        cmocka_unit_test_setup_teardown(small_front, setup, teardown),
        cmocka_unit_test_setup_teardown(function_call, setup, teardown),
        cmocka_unit_test_setup_teardown(row_description, setup, teardown),
        cmocka_unit_test_setup_teardown(data_row, setup, teardown),
        cmocka_unit_test_setup_teardown(login_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(other_back, setup, teardown),
        cmocka_unit_test_setup_teardown(tags, setup, teardown),
        cmocka_unit_test(full_buffer_keeps_whole_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
