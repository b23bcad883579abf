/*
 * The literal-stripping scan against libpg_query: over ten thousand statements made by combination,
 * the statement rendered from the template must have the same parse tree as the original up to
 * constants, or both must fail to parse. Then the rules one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "planner/limits.h"
#include "planner/template.h"
#include "tree_fixture.h"

static char scratch[LIMIT_SQL_BYTES];
static struct template_slot slots[LIMIT_SLOTS];

static enum template_refusal scan_with(struct template *t, const char *sql, bool scs)
{
    *t = (struct template){
        .text = scratch, .cap = sizeof scratch, .slots = slots, .cap_slots = LIMIT_SLOTS};
    return pw_template_scan(t, pw_slice_str(sql),
                            &(struct template_options){.standard_conforming_strings = scs});
}

static enum template_refusal scan(struct template *t, const char *sql)
{
    return scan_with(t, sql, true);
}

static char *render(const struct template *t)
{
    size_t cap = pw_template_render_max(t->len);
    char *out = pw_alloc(cap);
    size_t n = pw_template_render(pw_slice(t->text, t->len), out, cap);
    assert_true(n < cap);
    return out;
}

/* Far from the end of the text the scan goes another way (template_run.c): to the same template. */
static void check_far_from_the_end(const char *sql)
{
    static char far[4096];
    struct template t;
    size_t n = strlen(sql);
    bool ok = scan(&t, sql) == TEMPLATE_OK;
    char *first = pw_strndup(t.text, t.len);
    size_t len = t.len, n_slots = t.n_slots;
    unsigned n_statements = t.n_statements;
    assert_true(n + 300 < sizeof far);
    memcpy(far, sql, n);
    memset(far + n, ' ', 280);
    far[n] = '\n';
    far[n + 280] = 0;
    if ((scan(&t, far) == TEMPLATE_OK) != ok)
        fail_msg("refused or not: %s", sql);
    if (ok && (t.len != len || memcmp(t.text, first, len) != 0 || t.n_slots != n_slots ||
               t.n_statements != n_statements))
        fail_msg("another template far from the end: %s", sql);
    pw_free(first);
}

/* How many blanks stand between two words, and where, changes nothing: at every place of a long
 * statement, every number of them, so that runs end before, on and behind the borders of the blocks
 * that template_run.c looks at. */
static void test_blanks(void **state)
{
    static const char sql[] =
        "select a, bb, ccc, dddd from t where x = 1 and yyyyyyyyyyyyy = 2 and "
        "z in (select id from other where name = 'n' and deleted is null) "
        "and wwwwwwwwwwwwwwww < 3 order by a, bb limit 10";
    enum { MOST = 140, TAIL = 300 };
    static char text[sizeof sql + MOST + TAIL];
    struct template t;
    (void)state;
    assert_int_equal(scan(&t, sql), TEMPLATE_OK);
    char *first = pw_strndup(t.text, t.len);
    size_t len = t.len;
    for (const char *blank = strchr(sql, ' '); blank; blank = strchr(blank + 1, ' ')) {
        for (int n = 1; n <= MOST; n++) {
            int before = (int)(blank - sql);
            snprintf(text, sizeof text, "%.*s%*s%s%*s", before, sql, n, "", blank + 1, TAIL, "");
            assert_int_equal(scan(&t, text), TEMPLATE_OK);
            if (t.len != len || memcmp(t.text, first, len) != 0)
                fail_msg("%d blanks at %d: %.*s", n, before, (int)t.len, t.text);
        }
    }
    pw_free(first);
}

/* Returns 1 when the statement parsed. */
static int check_same(const char *sql)
{
    struct template t;
    check_far_from_the_end(sql);
    if (scan(&t, sql) != TEMPLATE_OK) {
        char *tree = tree_of(sql);
        /* The one thing that is valid and refused: a bit string in two lines. */
        if (tree && !strstr(sql, "b'1'"))
            fail_msg("refused: %s", sql);
        pw_free(tree);
        return 0;
    }
    char *text = render(&t), *before = tree_of(sql), *after = tree_of(text);
    if (!before != !after || (before && strcmp(before, after) != 0))
        fail_msg("%s\nrendered: %s\nbefore: %s\nafter: %s", sql, text, before, after);
    /* The rendered statement has the same template. */
    char *first = pw_strndup(t.text, t.len);
    size_t len = t.len;
    uint64_t hash = t.hash_lo;
    if (!t.hint_cache && !t.hint_batch && !t.hint_ttl_us) {
        assert_int_equal(scan(&t, text), TEMPLATE_OK);
        if (t.len != len || memcmp(t.text, first, len) != 0)
            fail_msg("not stable: %s", sql);
        assert_true(t.hash_lo == hash);
    }
    int parsed = before != NULL;
    pw_free(first);
    pw_free(text);
    pw_free(before);
    pw_free(after);
    return parsed;
}

static const char *const literals[] = {
    "1",
    "0",
    "007",
    "2147483647",
    "2147483648",
    "9223372036854775808",
    "1.5",
    ".5",
    "5.",
    "1e10",
    "1.5E-3",
    "-1",
    "- 2147483648",
    "+5",
    "'a'",
    "''",
    "'it''s'",
    "'a' ",
    "'now'",
    "' Today '",
    "e'a\\'b'",
    "E'\\n\\x41'",
    "U&'d\\0061t'",
    "U&'d!0061t' UESCAPE '!'",
    "B'101'",
    "x'1F'",
    "n'abc'",
    "$$a$$",
    "$t$ ' $$ $t$",
    "'a'\n'b'",
    "'a' /* c */ 'b'",
    "'a'  'b'",
    "$1",
    "$1+$2",
    "null",
    "true",
    "date '2020-01-01'",
    "date 'today'",
    "interval '1' day",
    "interval '1 day'",
    "interval(3) '1'",
    "'1'::int",
    "'x'::varchar(10)",
    "cast('1' as numeric(10,2))",
    "1::float(24)",
    "1::float(25)",
    "'a'::pg_catalog.varchar(3)",
    "array[1,2,'3']",
    "(1,2)",
    "row(1,'a')",
    "1 a",
    "1a",
    "0x1F",
    "1_000",
    "1..2",
    "\"q\"\"q\"",
    "U&\"d\\0061t\"",
    "a$1",
    "t.a",
    "'\\'",
    "e'\\\\'",
    "time(3) with time zone '10:00'",
    "1.5.6",
    "\303\251",
    "'\303\251'",
    "@-1",
    "1/*x*/+/*y*/2",
    "1--x\n",
    "1+-2",
    "1 operator(pg_catalog.+) 2",
    "current_date",
    "'epoch'",
    "char 'x'",
    "bit '1'",
    "(select 1)",
    "f(1,'a')",
    "1 between 0 and 2",
    "'a' like 'b' escape '\\'",
    "extract(year from date '2020-01-01')",
    "substring('abc' from 2 for 1)",
    "case 1 when 2 then 'a' else 'b' end",
    "x'1'",
    "'a' || $$b$$",
    "a[1]",
    "a[1:2]",
    "1 is null",
    "(t).a",
    "\"set_config\"('a','b',false)",
    "set_config('a','b',false)",
};

static const char *const contexts[] = {
    "select %s",
    "SELECT %s AS x",
    "select * from t where a = %s",
    "select * from t order by %s",
    "select a, b from t group by %s, 2 order by 1, %s desc",
    "select distinct on (%s) a from t",
    "values (%s),(%s)",
    "insert into t values (%s, 1)",
    "insert into t(a) select %s on conflict do nothing",
    "update t set a = %s where b = %s",
    "delete from t where a in (%s, 2)",
    "with x as (select %s) select * from x where y = %s",
    "select * from t limit 5 offset 1",
    "select count(*) filter (where a > %s) over (partition by b order by c rows 1 preceding)",
    "select %s; select 2",
    "select %s;",
    "; ; select %s",
    "set x to %s",
    "SET SESSION x.y = %s",
    "create table q(a varchar(10) default %s)",
    "explain select %s",
    "prepare p as select %s",
    "execute p(%s)",
    "call p(%s)",
    "do %s",
    "notify c, %s",
    "copy (select %s) to stdout",
    "select * from f(%s) as g(a int, b numeric(3,1))",
    "select * from t tablesample bernoulli(%s)",
    "select %s union all select 2 order by 1 limit 1",
    "select a from t for update",
    "(select %s)",
    "((values (%s)))",
    "select sum(a) over w from t window w as (order by %s)",
    "select %s from t group by rollup(1, 2)",
    "merge into t using s on a = %s when matched then delete",
    "select a as b, %s as as_ from t as u(a, b) where u.a = %s",
    "select cast(%s as int)",
    "lock table t",
    "select * from t fetch first 3 rows only",
    "alter role r password %s",
    "comment on table t is %s",
    "declare c cursor for select %s",
    "select xmlparse(document %s)",
};

static const char *const blanks[] = {" ", "\n\t ", "/* c */", " -- c '\n",
                                     "/* /* n */ ' \" $$ */ "};

/* Fills %s with the literal and blanks with another kind of blank. */
static void fill(char *out, size_t size, const char *context, const char *literal,
                 const char *blank)
{
    size_t n = 0;
    for (const char *p = context; *p && n + 1 < size; p++) {
        const char *piece = p[0] == '%' ? literal : *p == ' ' ? blank : NULL;
        if (piece) {
            n += (size_t)snprintf(out + n, size - n, "%s", piece);
            p += p[0] == '%';
        } else {
            out[n++] = *p;
        }
    }
    out[n] = 0;
}

static void test_oracle(void **state)
{
    (void)state;
    char sql[2048];
    int n = 0, parsed = 0;
    for (size_t l = 0; l < sizeof literals / sizeof literals[0]; l++) {
        for (size_t c = 0; c < sizeof contexts / sizeof contexts[0]; c++) {
            for (size_t b = 0; b < sizeof blanks / sizeof blanks[0]; b++) {
                fill(sql, sizeof sql, contexts[c], literals[l], blanks[b]);
                parsed += check_same(sql);
                n++;
            }
        }
    }
    printf("%d statements, %d of them valid\n", n, parsed);
    assert_true(n >= 10000);
    assert_true(parsed >= 8000);
}

/* All pairs of short pieces, with nothing between them: where one token ends is the whole question.
 */
static void test_oracle_neighbours(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "1",     "1.",    ".5", "e1",   "a",  "'x'", "e'x'", "b'1'", "$1", "$$x$$", "$a$x$a$",
        "\"q\"", "(",     ")",  ",",    "+",  "-",   "--\n", "/*",   "*/", "*",     "/",
        "::",    ":",     "=",  ":=",   "=>", "<",   ">",    "[",    "]",  ";",     ".",
        "..",    "u&'x'", "x",  "n'x'", "\n", "?",   "@",    "!",
    };
    enum { N = sizeof pieces / sizeof pieces[0] };
    char sql[256];
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) {
            for (size_t k = 0; k < N; k++) {
                snprintf(sql, sizeof sql, "select 2 %s%s%s", pieces[i], pieces[j], pieces[k]);
                check_same(sql);
            }
        }
    }
}

static void assert_same_template(const char *a, const char *b, bool same)
{
    struct template t;
    assert_int_equal(scan(&t, a), TEMPLATE_OK);
    char *first = pw_strndup(t.text, t.len);
    size_t len = t.len;
    assert_int_equal(scan(&t, b), TEMPLATE_OK);
    if ((t.len == len && memcmp(first, t.text, len) == 0) != same)
        fail_msg("%s\n%s\nshould be %s", a, b, same ? "one template" : "two templates");
    pw_free(first);
}

static void test_what_is_one_template(void **state)
{
    (void)state;
    assert_same_template("select 1", "SELECT  2 ", true);
    assert_same_template("select * from t where a = 'x' and b = 5",
                         "select * from t where a='' and b=6", false);
    assert_same_template("select * from t where a = 'x'",
                         "select  *\nfrom t /* c */ where a = $$long$$", true);
    assert_same_template("select 1", "select 3000000000", false);
    assert_same_template("select 1", "select 1.0", false);
    assert_same_template("select 'now'", "select 'then'", false);
    assert_same_template("select 'now'", "select ' TODAY 10:00'", true);
    assert_same_template("select \"A\"", "select \"a\"", false);
    assert_same_template("select A", "select a", true);
    assert_same_template("select a from t order by 1", "select a from t order by 2", false);
    assert_same_template("select a from t limit 1", "select a from t limit 2", true);
    assert_same_template("select a::varchar(1)", "select a::varchar(2)", false);
    assert_same_template("select cast(a as s.geometry(1))", "select cast(a as s.geometry(2))",
                         false);
    assert_same_template("set x to 1", "set x to 2", false);
    assert_same_template("select set_config('a', 'b', false)", "select set_config('a', 'c', false)",
                         false);
    assert_same_template("select U&\"d!0061\" uescape '!'", "select U&\"d!0061\" uescape '?'",
                         false);
    /* One string in two lines; libpg_query does not know that a comment may stand between. */
    assert_same_template("select 'a' -- c\n 'b'", "select 'now'", true);
    assert_same_template("select 1 /* pgweir: cache=off */", "select 1", false);
    assert_same_template("/* pgweir: cache=on ttl=3s */ select 1",
                         "select 2 -- pgweir: ttl=3s cache=on", true);
}

static void test_slots(void **state)
{
    (void)state;
    const char *sql =
        "select * from t where a = 'x''y' and b > -5 and c = 1.5 and d = $$q$$ limit 10";
    static const struct {
        const char *text;
        enum slot_kind kind;
    } want[] = {{"'x''y'", SLOT_STRING},
                {"5", SLOT_INT4},
                {"1.5", SLOT_NUMERIC},
                {"$$q$$", SLOT_STRING},
                {"10", SLOT_INT4}};
    struct template t;
    assert_int_equal(scan(&t, sql), TEMPLATE_OK);
    assert_int_equal(t.n_slots, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(slots[i].kind, want[i].kind);
        assert_int_equal(slots[i].len, strlen(want[i].text));
        assert_memory_equal(sql + slots[i].off, want[i].text, slots[i].len);
    }
}

static void test_hints(void **state)
{
    (void)state;
    struct template t;
    assert_int_equal(scan(&t, "/* pgweir: cache=force ttl=1500ms batch=off */ select 1"),
                     TEMPLATE_OK);
    assert_int_equal(t.hint_cache, 3);
    assert_int_equal(t.hint_batch, 2);
    assert_int_equal(t.hint_ttl_us, 1500000);
    assert_int_equal(scan(&t, "select ' /* pgweir: cache=off */ '"), TEMPLATE_OK);
    assert_int_equal(t.hint_cache, 0);
}

static void test_statements_are_counted(void **state)
{
    (void)state;
    struct template t;
    static const struct {
        const char *sql;
        unsigned n;
    } rows[] = {{"", 0},
                {";;", 0},
                {"select 1", 1},
                {"select 1;", 1},
                {"select 1; select ';'", 2},
                {"begin; /*;*/ commit;;", 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(scan(&t, rows[i].sql), TEMPLATE_OK);
        assert_int_equal(t.n_statements, rows[i].n);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct template t;
    assert_int_equal(scan(&t, "select 'a"), TEMPLATE_UNTERMINATED);
    assert_int_equal(scan(&t, "select $a$ $b$"), TEMPLATE_UNTERMINATED);
    assert_int_equal(scan(&t, "select /* /* */"), TEMPLATE_UNTERMINATED);
    assert_int_equal(scan(&t, "select \"a"), TEMPLATE_UNTERMINATED);
    assert_int_equal(scan(&t, "select \x01"), TEMPLATE_BAD_BYTE);
    assert_int_equal(scan(&t, "select \"\x04\""), TEMPLATE_BAD_BYTE);
    assert_int_equal(scan(&t, "set x to '\x04'"), TEMPLATE_BAD_BYTE);
    assert_int_equal(scan(&t, "select '\x04'"), TEMPLATE_OK);
    assert_int_equal(scan(&t, "select \\"), TEMPLATE_BAD_BYTE);
    char long_operator[200] = "select 1 ";
    memset(long_operator + 9, '+', 65);
    assert_int_equal(scan(&t, long_operator), TEMPLATE_LIMIT);
    static char nested[2 * LIMIT_NESTING + 10];
    memset(nested, '(', LIMIT_NESTING + 1);
    assert_int_equal(scan(&t, nested), TEMPLATE_LIMIT);
    size_t n = LIMIT_SQL_BYTES + 2;
    char *wide = pw_alloc(n + 1);
    memset(wide, 'a', n);
    assert_int_equal(scan(&t, wide), TEMPLATE_TOO_LONG);
    /* ... but a long literal collapses. */
    memcpy(wide, "select '", 8);
    wide[n - 1] = '\'';
    assert_int_equal(scan(&t, wide), TEMPLATE_OK);
    assert_int_equal(t.len, 8);
    pw_free(wide);
}

static void test_backslash_in_plain_strings(void **state)
{
    (void)state;
    struct template t;
    assert_int_equal(scan_with(&t, "select 'a\\'; drop table t; --'", true), TEMPLATE_OK);
    assert_int_equal(t.n_statements, 2);
    assert_int_equal(scan_with(&t, "select 'a\\'; drop table t; --'", false), TEMPLATE_OK);
    assert_int_equal(t.n_statements, 1);
    /* What is kept is read under the other rules. */
    assert_int_equal(scan_with(&t, "set a.b to 'a\\'; drop table t; --'", false),
                     TEMPLATE_BAD_BYTE);
    assert_int_equal(scan_with(&t, "select set_config('a.b', 'a\\b', false)", false),
                     TEMPLATE_BAD_BYTE);
    assert_int_equal(scan_with(&t, "set a.b to E'a\\b', 'it''s'", false), TEMPLATE_OK);
}

static void test_special_values(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "now", " NOW ", "today", "tomorrow 10:00", "{yesterday}", "[2020-01-01,now)", "\tToday"};
    static const char *const no[] = {"",      "nowhere",  "know",   "2020-01-01",
                                     "epoch", "infinity", "to day", "toda"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(pw_template_is_special(pw_slice_str(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(pw_template_is_special(pw_slice_str(no[i])));
    char long_text[400];
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text, "now ", 4);
    assert_false(pw_template_is_special(pw_slice(long_text, sizeof long_text)));
    long_text[0] = '{';
    memcpy(long_text + 300, " now ", 5);
    assert_true(pw_template_is_special(pw_slice(long_text, sizeof long_text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blanks),
        cmocka_unit_test(test_oracle),
        cmocka_unit_test(test_oracle_neighbours),
        cmocka_unit_test(test_what_is_one_template),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_statements_are_counted),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_backslash_in_plain_strings),
        cmocka_unit_test(test_special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
