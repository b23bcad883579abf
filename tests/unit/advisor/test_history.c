/* What is remembered: unused-since across resets of the server's statistics, families without
 * values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "advisor/history.h"
#include "advisor/inventory.h"
#include "advisor/workload.h"
#include "proxy/base/alloc.h"
#include "proxy/base/hashmap.h"

#define HOUR UINT64_C(3600000000)

static struct history *open_in(const char *dir)
{
    char *error = NULL;
    struct history *h = pw_history_open(dir, &error);
    if (!h)
        fail_msg("%s", error);
    return h;
}

/* One run at this hour: the counter before it, and what our EXPLAINs left it at. */
static double idle_after(struct history *h, uint64_t hour, double scans, double left_at)
{
    struct inv_index x = {
        .full = "s.i", .definition = "CREATE INDEX i", .scans = scans, .idle_s = NAN};
    struct inventory inv = {.indexes = &x, .n_indexes = 1};
    pw_history_before(h, "d", &inv, hour * HOUR);
    pw_history_after(h, "d", &inv, &left_at, 5, hour * HOUR);
    return x.idle_s;
}

static void unused_since_survives_resets_and_restarts(void **state)
{
    const char *dir = *state;
    struct history *h = open_in(dir);
    assert_true(isnan(idle_after(h, 100, 7, 7)));   /* first seen; used some time before */
    assert_true(idle_after(h, 110, 7, 9) == 36000); /* our EXPLAINs moved it by two */
    assert_true(idle_after(h, 120, 9, 9) == 72000); /* so that was no use */
    pw_history_close(h);
    h = open_in(dir);
    assert_true(idle_after(h, 130, 0, 0) == 108000); /* statistics reset, the proxy restarted */
    assert_true(idle_after(h, 140, 1, 1) == 0);      /* used */
    assert_true(idle_after(h, 150, 1, 1) == 36000);
    assert_true(idle_after(h, 160, 1, 20) ==
                72000); /* more than five EXPLAINs can do: used meanwhile */
    assert_true(idle_after(h, 170, 20, 20) == 36000);
    pw_history_close(h);
}

static void families_add_up_by_what_is_new(void **state)
{
    struct history *h = open_in(*state);
    const double seen[] = {100, 150, 20}; /* it began again before the third */
    for (int k = 0; k < 3; k++) {
        struct workload *w = pw_workload_new("live");
        pw_workload_add(w, 42, "SELECT $1", seen[k], seen[k] * 2, NAN);
        pw_history_families(h, "d", w, (uint64_t)time(NULL) * 1000000);
        pw_workload_free(w);
    }
    struct workload *w = pw_workload_new("history");
    assert_true(pw_history_workload(h, "d", 2, w));
    assert_int_equal(w->n_families, 1);
    assert_true(w->families[0].calls == 170);
    assert_true(w->families[0].total_ms == 340);
    assert_true(isnan(w->families[0].rows));
    assert_int_equal(w->families[0].n_samples, 1);
    assert_int_equal(w->families[0].samples[0].n_params, 0);
    pw_workload_free(w);
    w = pw_workload_new("history");
    assert_true(pw_history_workload(h, "other", 2, w));
    assert_int_equal(w->n_families, 0);
    pw_workload_free(w);
    pw_history_close(h);
}

static void a_broken_store_is_said(void **state)
{
    (void)state;
    char *error = NULL;
    assert_null(pw_history_open("/nonexistent/nowhere", &error));
    assert_non_null(error);
    pw_free(error);
}

static int start(void **state)
{
    char *dir = pw_strdup("/tmp/pw-history-XXXXXX");
    *state = dir;
    pw_hash_seed_init();
    return mkdtemp(dir) ? 0 : -1;
}

static int stop(void **state)
{
    static const char *const files[] = {"advisor.sqlite", "advisor.sqlite-wal",
                                        "advisor.sqlite-shm"};
    for (size_t k = 0; k < PW_COUNT_OF(files); k++) {
        char *path = pw_asprintf("%s/%s", (char *)*state, files[k]);
        unlink(path);
        pw_free(path);
    }
    rmdir(*state);
    pw_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unused_since_survives_resets_and_restarts),
        cmocka_unit_test(families_add_up_by_what_is_new),
        cmocka_unit_test(a_broken_store_is_said),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
