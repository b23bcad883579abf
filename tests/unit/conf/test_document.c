/* The sample file and the tables of the room's page are what the table of settings says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/document.h"
#include "conf/file.h"
#include "conf/suggest.h"

enum { DOCUMENT_MAX = 1 << 20 };

static char *read_repository_file(const char *name, size_t *len)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", PW_SOURCE_DIR, name);
    char *text = pw_file_read(path, DOCUMENT_MAX, len);
    if (!text)
        fail_msg("cannot read %s", path);
    return text;
}

static void test_sample_is_the_table(void **state)
{
    (void)state;
    struct buf out;
    size_t len;
    char *sample = read_repository_file("conf/pgweir.yaml", &len);
    pw_buf_init(&out, DOCUMENT_MAX);
    pw_document_defaults(&out);
    if (len != out.len || memcmp(sample, out.data, len) != 0)
        fail_msg("conf/pgweir.yaml is not what `pgweir config --defaults` prints");
    pw_buf_free(&out);
    free(sample);
}

static void test_readme_holds_the_tables(void **state)
{
    (void)state;
    struct buf out;
    size_t len;
    char *readme = read_repository_file("conf/README.md", &len);
    pw_buf_init(&out, DOCUMENT_MAX);
    pw_document_markdown(&out);
    pw_buf_append_u8(&out, 0);
    if (!strstr(readme, out.data))
        fail_msg("conf/README.md lacks what `pgweir config --markdown` prints");
    pw_buf_free(&out);
    free(readme);
}

static void on_change(void *arg, const char *key, const char *old_value, const char *new_value,
                      bool needs_restart)
{
    (void)arg, (void)needs_restart;
    fail_msg("%s: %s in the table, %s in the sample", key, old_value, new_value);
}

static void test_sample_loads_as_the_defaults(void **state)
{
    (void)state;
    struct pw_conf *expected = pw_conf_default("postgres://127.0.0.1:5432"), *conf;
    struct conf_sources sources = {0};
    struct conf_errors errors;
    struct buf out;
    pw_buf_init(&out, DOCUMENT_MAX);
    pw_document_defaults(&out);
    if (pw_conf_load_text(out.data, out.len, "sample", &sources, &conf, &errors) != PW_OK)
        fail_msg("%s", errors.items[0].text);
    assert_int_equal(errors.n, 0);
    pw_conf_diff(expected, conf, on_change, NULL);
    pw_conf_unref(expected);
    pw_conf_unref(conf);
    pw_conf_errors_free(&errors);
    pw_buf_free(&out);
}

static void test_suggestions(void **state)
{
    (void)state;
    static const char *const words[] = {"max", "delay", "depth", "pool_size"};
    static const char *const cases[][2] = {{"mx", "max"},      {"dealy", "delay"},
                                           {"detph", "depth"}, {"pool-siz", "pool_size"},
                                           {"MAX", "max"},     {"zebra", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct suggestion s;
        pw_suggest_init(&s, pw_slice_str(cases[i][0]));
        for (size_t w = 0; w < 4; w++)
            pw_suggest_offer(&s, words[w]);
        if (cases[i][1])
            assert_string_equal(s.best, cases[i][1]);
        else
            assert_null(s.best);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_is_the_table),
        cmocka_unit_test(test_readme_holds_the_tables),
        cmocka_unit_test(test_sample_loads_as_the_defaults),
        cmocka_unit_test(test_suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
