/* Histograms: buckets, quantiles within their error, merging, and slots with several writers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "proxy/base/attrs.h"
#include "proxy/metrics/metrics.h"

static struct hist h;

static void buckets_are_in_order(void **state)
{
    size_t last = 0;
    (void)state;
    for (uint64_t v = 0; v < 2000000; v++) {
        size_t b = pw_hist_bucket(v);
        assert_true(b == last || b == last + 1);
        last = b;
    }
    assert_int_equal(pw_hist_bucket(UINT64_MAX), PW_HIST_BUCKETS - 1);
    assert_int_equal(pw_hist_bucket((1u << 30) - 1), PW_HIST_BUCKETS - 1);
    assert_true(pw_hist_bucket(1u << 29) < PW_HIST_BUCKETS - 1);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void quantiles_are_close(void **state)
{
    enum { N = 20000 };
    static uint64_t values[N];
    static struct hist_view v;
    uint64_t seed = 7;
    (void)state;
    pw_hist_clear(&h);
    for (size_t i = 0; i < N; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        values[i] = 1 + ((seed >> 33) % (uint64_t)(1u << (seed % 28)));
        pw_hist_add(&h, values[i]);
    }
    qsort(values, N, sizeof values[0], compare);
    pw_hist_read(&v, &h);
    assert_int_equal(v.count, N);
    assert_int_equal(v.max, values[N - 1]);
    const double qs[] = {0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1};
    for (size_t i = 0; i < PW_COUNT_OF(qs); i++) {
        double truth = (double)values[(size_t)(qs[i] * N) - 1];
        double got = pw_hist_quantile(&v, qs[i]);
        assert_true(got >= truth * 0.95 - 1 && got <= truth * 1.05 + 1);
    }
}

static void an_interval_is_a_difference(void **state)
{
    static struct hist_view before, after;
    (void)state;
    pw_hist_clear(&h);
    pw_hist_add(&h, 1000);
    pw_hist_read(&before, &h);
    assert_true(pw_hist_quantile(&before, 0.5) > 950);
    pw_hist_add(&h, 10);
    pw_hist_add(&h, 12);
    pw_hist_read(&after, &h);
    pw_hist_subtract(&after, &before);
    assert_int_equal(after.count, 2);
    assert_int_equal(after.sum, 22);
    assert_true(pw_hist_mean(&after) == 11);
    assert_true(pw_hist_quantile(&after, 1) == 12);
    assert_int_equal(pw_hist_count_until(&after, 10), 1);
    assert_int_equal(pw_hist_count_until(&after, 100), 2);
}

static void empty_is_zero(void **state)
{
    static struct hist_view v;
    (void)state;
    assert_true(pw_hist_quantile(&v, 0.5) == 0);
    assert_true(pw_hist_mean(&v) == 0);
}

enum { WRITERS = 4, ROUNDS = 50000 };

static void *write_slot(void *arg)
{
    struct metric_slot *s = pw_metrics_slot((int)(intptr_t)arg);
    for (int i = 0; i < ROUNDS; i++) {
        pw_metric_inc(s, PW_METRIC_REQUESTS);
        pw_metric_add(s, PW_METRIC_CLIENTS_OPEN, 1);
        pw_metric_observe(s, PW_HIST_QUERY, 100);
    }
    return NULL;
}

static void slots_add_up(void **state)
{
    pthread_t threads[WRITERS];
    static struct hist_view v;
    (void)state;
    for (intptr_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_slot, (void *)i), 0);
    pw_metric_read(PW_METRIC_REQUESTS); /* reading meanwhile is allowed (TSan watches) */
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(pw_metric_read(PW_METRIC_REQUESTS), WRITERS * ROUNDS);
    /* A gauge may be raised by one thread and lowered by another. */
    pw_metric_sub(pw_metrics_slot(PW_SLOT_CONTROL), PW_METRIC_CLIENTS_OPEN, WRITERS * ROUNDS - 3);
    assert_int_equal(pw_metric_read(PW_METRIC_CLIENTS_OPEN), 3);
    pw_metric_sub(pw_metrics_slot(PW_SLOT_CONTROL), PW_METRIC_CLIENTS_OPEN, 5);
    assert_int_equal(pw_metric_read(PW_METRIC_CLIENTS_OPEN), 0);
    pw_metric_hist_read(PW_HIST_QUERY, &v);
    assert_int_equal(v.count, WRITERS * ROUNDS);
}

static void slots_do_not_share_lines(void **state)
{
    (void)state;
    for (int i = PW_SLOT_ADVISOR; i < 4; i++)
        assert_int_equal((uintptr_t)pw_metrics_slot(i) % 64, 0);
    assert_int_equal(sizeof(struct metric_slot) % 64, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_in_order),
        cmocka_unit_test(quantiles_are_close),
        cmocka_unit_test(an_interval_is_a_difference),
        cmocka_unit_test(empty_is_zero),
        cmocka_unit_test(slots_add_up),
        cmocka_unit_test(slots_do_not_share_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
