/* Rendering: families stay together, labels are escaped, promtool accepts the text, JSON parses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/metrics/json.h"
#include "proxy/metrics/sampler.h"

static void collect_first(struct metric_writer *w, void *arg)
{
    (void)arg;
    pw_metric_family(w, "pgweir_queries_total", FAMILY_COUNTER, "Queries \\ by\nuser.");
    pw_metric_sample(w, PW_LABELS({"database", "a\"b\\c\nd"}, {"user", "x"}), 7);
    pw_metric_family(w, "pgweir_clients", FAMILY_GAUGE, "Clients.");
    pw_metric_sample(w, PW_LABELS({"state", "active"}), 2.5);
}

static void collect_second(struct metric_writer *w, void *arg)
{
    static struct hist h;
    struct hist_view v;
    pw_hist_clear(&h);
    for (uint64_t i = 1; i <= 1000; i++)
        pw_hist_add(&h, i * 100);
    pw_hist_read(&v, &h);
    (void)arg;
    pw_metric_family(w, "pgweir_queries_total", FAMILY_COUNTER, "ignored");
    pw_metric_sample(w, PW_LABELS({"database", "z"}, {"user", "y"}), 1);
    pw_metric_family(w, "pgweir_test_seconds", FAMILY_HISTOGRAM, "A labelled histogram.");
    pw_metric_sample_hist(w, PW_LABELS({"database", "z"}), &v, PW_UNIT_US);
}

static struct sampler *sampler;
static struct buf text;

static int setup(void **state)
{
    const struct sampler_options options = {.history = 10, .gpu = true};
    (void)state;
    pw_collector_add(collect_first, NULL);
    pw_collector_add(collect_second, NULL);
    sampler = pw_sampler_new(&options);
    pw_sampler_take(sampler, pw_clock_us(), pw_clock_wall_us());
    pw_collector_add(pw_sampler_collect, sampler);
    pw_metric_add(pw_metrics_slot(0), PW_METRIC_REQUESTS, 5);
    pw_metric_add(pw_metrics_slot(1), PW_METRIC_SERVER_TIME, 2500000);
    pw_metric_observe(pw_metrics_slot(0), PW_HIST_BATCH_SIZE, 17);
    pw_buf_init(&text, PW_METRICS_TEXT_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pw_collector_remove(pw_sampler_collect, sampler);
    pw_sampler_free(sampler);
    pw_buf_free(&text);
    return 0;
}

static const char *render(void)
{
    pw_buf_reset(&text);
    assert_true(pw_metrics_render_text(&text));
    assert_true(pw_buf_append_u8(&text, 0));
    text.len--;
    return text.data;
}

static void families_stay_together(void **state)
{
    const char *all = render();
    (void)state;
    const char *head =
        strstr(all, "# HELP pgweir_queries_total Queries \\\\ by\\nuser.\n"
                    "# TYPE pgweir_queries_total counter\n"
                    "pgweir_queries_total{database=\"a\\\"b\\\\c\\nd\",user=\"x\"} 7\n"
                    "pgweir_queries_total{database=\"z\",user=\"y\"} 1\n");
    assert_non_null(head);
    assert_null(strstr(strstr(head, "# TYPE") + 1, "# TYPE pgweir_queries_total"));
    assert_non_null(strstr(all, "\npgweir_clients{state=\"active\"} 2.5\n"));
    assert_non_null(strstr(all, "\npgweir_requests_total 5\n"));
    assert_non_null(strstr(all, "\npgweir_server_busy_seconds_total 2.5\n"));
}

static void histograms_are_cumulative(void **state)
{
    const char *all = render();
    (void)state;
    assert_non_null(strstr(all, "pgweir_test_seconds_bucket{database=\"z\",le=\"+Inf\"} 1000\n"));
    assert_non_null(strstr(all, "pgweir_test_seconds_count{database=\"z\"} 1000\n"));
    assert_non_null(strstr(all, "pgweir_test_seconds_sum{database=\"z\"} 50.05\n"));
    double last = 0;
    for (const char *at = strstr(all, "pgweir_test_seconds_bucket"); at;
         at = strstr(at + 1, "pgweir_test_seconds_bucket")) {
        double n = strtod(strchr(at, ' '), NULL);
        assert_true(n >= last);
        last = n;
    }
    assert_non_null(strstr(all, "pgweir_batch_size_bucket{le=\"16\"} 0\n"));
    assert_non_null(strstr(all, "pgweir_batch_size_bucket{le=\"32\"} 1\n"));
}

static void promtool_accepts_it(void **state)
{
    (void)state;
    if (system("command -v promtool >/dev/null 2>&1") != 0)
        skip();
    render();
    FILE *tool = popen("promtool check metrics", "w");
    assert_non_null(tool);
    assert_int_equal(fwrite(text.data, 1, text.len, tool), text.len);
    int status = pclose(tool);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void json_has_the_same_numbers(void **state)
{
    (void)state;
    pw_buf_reset(&text);
    assert_true(pw_metrics_render_json(&text));
    assert_true(pw_buf_append_u8(&text, 0));
    assert_non_null(strstr(text.data, "\"pgweir_requests_total\":[{\"labels\":{},\"value\":5}]"));
    assert_non_null(strstr(text.data,
                           "{\"labels\":{\"database\":\"a\\\"b\\\\c\\nd\",\"user\":\"x\"},"
                           "\"value\":7}"));
    assert_non_null(strstr(text.data, "\"pgweir_test_seconds\":[{\"labels\":{\"database\":\"z\"},"
                                      "\"count\":1000,\"sum\":50.05,"));
}

static void json_strings_are_valid_utf8(void **state)
{
    (void)state;
    pw_buf_reset(&text);
    assert_true(pw_json_string(&text, PW_SLICE_LIT("a\xc3\xa9\xff\xc0\x80\x01\xed\xa0\x80z")));
    assert_true(pw_buf_append_u8(&text, 0));
    assert_string_equal(text.data,
                        "\"a\xc3\xa9\\ufffd\\ufffd\\ufffd\\u0001\\ufffd\\ufffd\\ufffdz\"");
    pw_buf_reset(&text);
    pw_json_number(&text, 0.1);
    pw_buf_append_u8(&text, ' ');
    pw_json_number(&text, 1.0 / 0.0);
    pw_buf_append_u8(&text, 0);
    assert_string_equal(text.data, "0.1 null");
}

static void a_full_buffer_is_reported(void **state)
{
    struct buf small;
    (void)state;
    pw_buf_init(&small, 1000);
    assert_false(pw_metrics_render_text(&small));
    pw_buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_stay_together),      cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(promtool_accepts_it),         cmocka_unit_test(json_has_the_same_numbers),
        cmocka_unit_test(json_strings_are_valid_utf8), cmocka_unit_test(a_full_buffer_is_reported),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
