/* Values in binary format: what the server sends of a value, read as text here and given back to
 * the server as that text, is sent by it as the same bytes; under settings that change how it
 * reads. */
#include "live.h"
#include "planner/binary_text.h"
#include "planner/sample.h"
#include "proxy/base/alloc.h"

static const struct {
    const char *type, *send; /* the function that makes the bytes */
    const char *values;      /* a query */
} rows[] = {
    {"bool", "boolsend", "VALUES (true), (false)"},
    {"int2", "int2send", "VALUES (0), (-1), (-32768), (32767)"},
    {"int4", "int4send", "VALUES (0), (-1), (-2147483648), (2147483647)"},
    {"int8", "int8send", "VALUES (0), (-1), (-9223372036854775808), (9223372036854775807)"},
    {"oid", "oidsend", "VALUES (0), (4294967295)"},
    {"text", "textsend", "VALUES (''), ('it''s'), (E'a\\\\b\"c\\n'), ('grün')"},
    {"varchar", "varcharsend", "VALUES ('NULL'), ('{}')"},
    {"bpchar", "bpcharsend", "VALUES ('a  ')"},
    {"bytea", "byteasend", "VALUES (''), ('\\x00ff5c27'), ('\\xdeadbeef')"},
    {"uuid", "uuid_send", "SELECT gen_random_uuid() FROM generate_series(1, 10)"},
    {"json", "json_send", "VALUES ('{\"a\": [1, \"x\\\\y\"]}'), ('null')"},
    {"jsonb", "jsonb_send", "VALUES ('{\"a\": [1, \"x\\\\y\"], \"b\": 1.50}'), ('\"\"')"},
    {"float4", "float4send",
     "VALUES ('NaN'), ('Infinity'), ('-Infinity'), ('-0'), ('1e-45'), ('3.4028235e38'), ('0.1') "
     "UNION ALL SELECT ((random() - 0.5) * pow(10, i % 70 - 35))::text FROM generate_series(1, "
     "300) i"},
    {"float8", "float8send",
     "VALUES ('NaN'), ('Infinity'), ('-Infinity'), ('-0'), ('5e-324'), "
     "('1.7976931348623157e308'), ('0.1') UNION ALL SELECT ((random() - 0.5) * pow(10::float8, i % "
     "600 - 300))::text FROM generate_series(1, 600) i"},
    {"numeric", "numeric_send",
     "VALUES ('NaN'), ('Infinity'), ('-Infinity'), ('0'), ('0.000'), ('-1'), ('10000'), ('9999'), "
     "('100000000'), ('0.0001'), ('0.00001'), ('1e-20'), ('1e20'), ('-123456789.000010'), "
     "('10000.00010'), ('1.10'), ('12345678901234567890.12345678901234567890') "
     "UNION ALL SELECT round(((random() - 0.5) * pow(10, i % 30 - 12))::numeric, i % 17)::text "
     "FROM generate_series(1, 400) i"},
    {"inet", "inet_send",
     "VALUES ('10.0.0.1'), ('10.1.2.3/8'), ('0.0.0.0/0'), ('::1'), ('2001:db8::5/64'), "
     "('::ffff:1.2.3.4'), ('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')"},
    {"cidr", "cidr_send", "VALUES ('10.0.0.0/8'), ('192.168.100.128/25'), ('2001:db8::/32')"},
    {"date", "date_send",
     "VALUES ('infinity'), ('-infinity'), ('2000-01-01'), ('1999-12-31'), ('2024-02-29'), "
     "('1900-03-01'), ('4714-11-24 BC'), ('0001-12-31 BC'), ('0001-01-01'), ('0004-02-29'), "
     "('0005-02-28 BC'), ('9999-12-31'), ('10000-01-01'), ('5874897-12-31') UNION ALL "
     "SELECT (date '4714-11-24 BC' + (random() * 4e6)::int)::text FROM generate_series(1, 400) "
     "UNION ALL SELECT (date '1500-01-01' + (random() * 4e5)::int)::text FROM generate_series(1, "
     "400)"},
    {"time", "time_send", "VALUES ('00:00'), ('24:00'), ('23:59:59.999999'), ('01:02:03.000004')"},
    {"timetz", "timetz_send",
     "VALUES ('00:00+00'), ('24:00-12'), ('23:59:59.999999+05:30'), ('01:02:03-15:59:59'), "
     "('01:02:03+15:59:59')"},
    {"timestamp", "timestamp_send",
     "VALUES ('infinity'), ('-infinity'), ('2000-01-01 00:00'), ('1999-12-31 23:59:59.999999'), "
     "('4714-11-24 00:00 BC'), ('0044-03-15 12:00:00.5 BC'), ('294276-12-31 23:59:59.999999') "
     "UNION ALL SELECT (timestamp '0100-01-01 BC' + random() * interval '3000 years')::text FROM "
     "generate_series(1, 300)"},
    {"timestamptz", "timestamptz_send",
     "VALUES ('infinity'), ('-infinity'), ('2000-01-01 00:00+00'), ('4714-11-24 00:00+00 BC'), "
     "('294276-12-31 23:59:59.999999+00'), ('2024-03-31 02:30+01') "
     "UNION ALL SELECT (timestamptz '0100-01-01 00:00+00 BC' + random() * interval '3000 "
     "years')::text FROM generate_series(1, 300)"},
    {"interval", "interval_send",
     "VALUES ('0'), ('1 mon -3 days +00:00:01.5'), ('-1 mon 3 days -00:00:00.000001'), "
     "('-178000000 years'), ('2147483647 days'), ('-2147483648 days'), ('999999:59:59.999999'), "
     "('-14 mons')"},
    /* arrays */
    {"int4[]", "array_send", "VALUES ('{}'), ('{1,NULL,-3}'), ('{{1,2},{3,4}}'), ('[0:1]={5,6}')"},
    {"text[]", "array_send",
     "VALUES ('{NULL,\"NULL\",\"\",\"a,b\",\"q\\\"uote\",\"back\\\\slash\",\" x \"}')"},
    {"bytea[]", "array_send", "SELECT array['\\x5c22'::bytea, ''::bytea]::text"},
    {"numeric[]", "array_send", "VALUES ('{1.10,NaN,-0.5}')"},
    {"date[]", "array_send", "VALUES ('{infinity,2024-02-29}')"},
    {"timestamptz[]", "array_send", "VALUES ('{{\"2024-01-01 00:00:00+00\"},{-infinity}}')"},
    {"interval[]", "array_send", "VALUES ('{1 day,-3 mons}')"},
    {"jsonb[]", "array_send", "SELECT array['{\"a\": \"b\\\"c\"}'::jsonb]::text"},
    {"inet[]", "array_send", "VALUES ('{::1,10.0.0.1/8}')"},
    {"float8[]", "array_send", "VALUES ('{0.1,NULL,NaN}')"},
    {"uuid[]", "array_send", "VALUES ('{00000000-0000-0000-0000-000000000001}')"},
    {"bool[]", "array_send", "VALUES ('{t,f,NULL}')"},
};

static const char *const styles[][3] = {
    {"ISO, MDY", "postgres", "UTC"},
    {"SQL, DMY", "sql_standard", "America/St_Johns"},
    {"German", "iso_8601", "Asia/Kathmandu"},
    {"Postgres, YMD", "postgres_verbose", "+3"},
};

static size_t from_hex(const char *hex, char *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (char)byte;
    }
    return n;
}

static struct pgresult *ask(struct pgsync *pg, const char *sql, const char *param)
{
    struct pgresult *r = pw_pgsync_query(pg, sql, param ? 1 : 0, &param);
    if (!pw_pgresult_ok(r))
        fail_msg("%s (%s): %s", sql, param ? param : "", pw_pgresult_error(r));
    return r;
}

static void set_style(struct pgsync *pg, size_t i)
{
    static const char *const names[3] = {"datestyle", "intervalstyle", "timezone"};
    char sql[100];
    for (int k = 0; k < 3; k++) {
        snprintf(sql, sizeof sql, "SET %s = '%s'", names[k], styles[i][k]);
        pw_pgresult_free(ask(pg, sql, NULL));
    }
}

/* One value of the row's type, given as the server's bytes. */
static void check(struct pgsync *pg, size_t row, uint32_t oid, const char *hex)
{
    static char bytes[8192], sql[256];
    struct slice value = pw_slice(bytes, from_hex(hex, bytes));
    struct buf text;
    pw_buf_init(&text, 8192);
    if (!pw_binary_text(&text, oid, value))
        fail_msg("%s: %s is not read", rows[row].type, hex);
    pw_buf_append_u8(&text, 0);
    snprintf(sql, sizeof sql, "SELECT encode(%s($1::text::%s), 'hex')", rows[row].send,
             rows[row].type);
    struct pgresult *r = ask(pg, sql, text.data);
    if (strcmp(pw_pgresult_get(r, 0, 0), hex) != 0)
        fail_msg("%s: %s is read as %s, which is %s", rows[row].type, hex, text.data,
                 pw_pgresult_get(r, 0, 0));
    pw_pgresult_free(r);
    pw_buf_free(&text);
    /* None of its beginnings is a value that reads past its end: sanitizers tell. */
    for (size_t len = 0; len < value.len; len++) {
        char *part = pw_alloc(len ? len : 1);
        memcpy(part, bytes, len);
        pw_buf_init(&text, 8192);
        (void)pw_binary_text(&text, oid, pw_slice(part, len));
        pw_buf_free(&text);
        pw_free(part);
    }
}

static void test_values(void **state)
{
    (void)state;
    char *error = NULL, sql[2048];
    struct pgsync *pg = pw_pgsync_connect(live_url, 10000000, &error);
    assert_non_null(pg);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        set_style(pg, 0);
        snprintf(sql, sizeof sql, "SELECT '%s'::regtype::oid", rows[row].type);
        struct pgresult *r = ask(pg, sql, NULL);
        uint32_t oid = (uint32_t)strtoul(pw_pgresult_get(r, 0, 0), NULL, 10);
        pw_pgresult_free(r);
        assert_string_equal(pw_binary_type_name(oid), rows[row].type);
        snprintf(sql, sizeof sql, "SELECT encode(%s(v::text::%s), 'hex') FROM (%s) AS x (v)",
                 rows[row].send, rows[row].type, rows[row].values);
        r = ask(pg, sql, NULL);
        assert_true(pw_pgresult_rows(r) > 0);
        for (size_t style = 0; style < sizeof styles / sizeof styles[0]; style++) {
            set_style(pg, style);
            for (int i = 0; i < pw_pgresult_rows(r); i++)
                check(pg, row, oid, pw_pgresult_get(r, i, 0));
        }
        pw_pgresult_free(r);
    }
    pw_pgsync_free(pg);
}

/* What the server would not send: not a value. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t type;
        const char *hex;
    } bad[] = {
        {999999, "00"},
        {16, ""},
        {23, "0000000000"},
        {25, "6100"},
        {1082, "80000001"},                         /* before the first day */
        {1082, "7ffffffe"},                         /* after the last */
        {1114, "8000000000000001"},                 /* so with timestamps */
        {1083, "ffffffffffffffff"},                 /* before midnight */
        {1083, "7fffffffffffffff"},                 /* after it */
        {1266, "00000000000000007fffffff"},         /* no such zone */
        {1186, "7fffffffffffffff0000000000000000"}, /* more hours than are read */
        {1700, "000100000000ffff0001"},             /* scale */
        {1700, "00010000000000002710"},             /* digit */
        {1700, "00020000000000000001"},             /* digits missing */
        {1700, "00010000123400000001"},             /* sign */
        {1700, "0001ffff000000020001"},             /* more digits than its scale */
        {3802, "027b7d"},                           /* version */
        {869, "022100040a000001"},                  /* mask */
        {869, "0420000400000000"},                  /* family */
        {1007, "000000070000000000000017"},         /* dimensions */
        {1007, "000000010000000000000017ffffffff00000001"},
        {1007, "0000000100000000000000177fffffff0000000100000004"},
        {1007, "0000000100000000000000190000000100000001ffffffff"}, /* of another type */
        {1007, "00000001000000000000001700000001000000017ffffff0"},
        {1007, "0000000100000000000000170000000100000001ffffffff00"},
    };
    char bytes[100];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf text;
        pw_buf_init(&text, 8192);
        if (pw_binary_text(&text, bad[i].type, pw_slice(bytes, from_hex(bad[i].hex, bytes))))
            fail_msg("%u: %s", bad[i].type, bad[i].hex);
        pw_buf_free(&text);
    }
}

/* As a list that a statement can be executed with. */
static void test_sample(void **state)
{
    (void)state;
    struct buf types, values;
    pw_buf_init(&types, SAMPLE_VALUES_MAX);
    pw_buf_init(&values, SAMPLE_VALUES_MAX);
    const struct slice number = {"\0\1\0\0\0\0\0\2\0\3\0\0", 10}, quoted = {"it's \\", 6};
    assert_true(pw_sample_value(&types, &values, 1700, true, &number));
    assert_true(pw_sample_value(&types, &values, 25, true, &quoted));
    assert_true(pw_sample_value(&types, &values, 1231, false, NULL));
    assert_true(pw_sample_value(&types, &values, 600, false, &quoted));
    assert_false(pw_sample_value(&types, &values, 600, true, &quoted)); /* point */
    pw_buf_append_u8(&types, 0);
    pw_buf_append_u8(&values, 0);
    assert_string_equal(types.data, "numeric, text, numeric[], unknown, unknown");
    assert_string_equal(values.data, "'3.00',  E'it''s \\\\', NULL,  E'it''s \\\\', ");
    pw_buf_free(&types);
    pw_buf_free(&values);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    live_url = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_sample)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
