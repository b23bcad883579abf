/* Selection: against every subset of small random problems, and its promises on larger ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "advisor/select.h"

#define ITEMS   12
#define QUERIES 10

struct toy {
    double cost[QUERIES][ITEMS], base[QUERIES],
        pair[QUERIES]; /* pair: items 2q%ITEMS and 2q+1 together */
    double upkeep[ITEMS];
    uint64_t asked;
};

static uint64_t seed;
static double draw(void)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (double)(seed >> 40) / (double)(1 << 24);
}

static double cost(void *arg, uint32_t q, const struct index_set *s)
{
    struct toy *t = arg;
    t->asked++;
    double best = t->base[q];
    for (uint32_t k = 0; k < s->n; k++)
        best = fmin(best, t->cost[q][s->ids[k]]);
    if (pw_set_has(s, 2 * q % ITEMS) && pw_set_has(s, (2 * q + 1) % ITEMS))
        best = fmin(best, t->pair[q]);
    if (q == 0) /* a write: every index costs it */
        for (uint32_t k = 0; k < s->n; k++)
            best += t->upkeep[s->ids[k]];
    return best;
}

static void make(struct toy *t, double *size)
{
    memset(t, 0, sizeof(*t));
    for (int q = 0; q < QUERIES; q++) {
        t->base[q] = 100 + 900 * draw();
        t->pair[q] = t->base[q] * 0.05;
        for (int i = 0; i < ITEMS; i++)
            t->cost[q][i] = draw() < 0.3 ? t->base[q] * draw() : t->base[q];
    }
    for (int i = 0; i < ITEMS; i++) {
        size[i] = 1 + floor(20 * draw());
        t->upkeep[i] = 0.5 * draw();
    }
}

struct problem {
    struct toy toy;
    double size[ITEMS], weight[QUERIES];
    uint32_t all[QUERIES], n_relevant[ITEMS];
    const uint32_t *relevant[ITEMS];
    struct select_group groups[QUERIES];
    struct select_problem p;
};

static void set_up(struct problem *x)
{
    make(&x->toy, x->size);
    for (uint32_t q = 0; q < QUERIES; q++) {
        x->all[q] = q;
        x->weight[q] = 1 + floor(5 * draw());
        x->groups[q] = (struct select_group){{2 * q % ITEMS, (2 * q + 1) % ITEMS}, 2};
    }
    for (int i = 0; i < ITEMS; i++) {
        x->relevant[i] = x->all;
        x->n_relevant[i] = QUERIES;
    }
    x->p = (struct select_problem){.n_items = ITEMS,
                                   .n_queries = QUERIES,
                                   .size = x->size,
                                   .weight = x->weight,
                                   .relevant = x->relevant,
                                   .n_relevant = x->n_relevant,
                                   .groups = x->groups,
                                   .n_groups = QUERIES,
                                   .cost = cost,
                                   .arg = &x->toy,
                                   .max_regression = 10,
                                   .seeds = ITEMS,
                                   .deep = true};
}

static double total(struct problem *x, const struct index_set *s)
{
    double sum = 0;
    for (uint32_t q = 0; q < QUERIES; q++)
        sum += x->weight[q] * cost(&x->toy, q, s);
    return sum;
}

static double optimum(struct problem *x, double budget)
{
    double best = INFINITY;
    for (uint32_t bits = 0; bits < 1u << ITEMS; bits++) {
        struct index_set s = {.n = 0};
        double bytes = 0;
        for (uint32_t i = 0; i < ITEMS; i++)
            if (bits >> i & 1) {
                pw_set_add(&s, i);
                bytes += x->size[i];
            }
        if (bytes <= budget)
            best = fmin(best, total(x, &s));
    }
    return best;
}

static void near_the_optimum_of_every_small_problem(void **state)
{
    (void)state;
    for (seed = 1; seed < 40; seed += 2) {
        struct problem x;
        set_up(&x);
        double budgets[] = {10, 25, 50, 100};
        struct select_result r[4];
        pw_select_run(&x.p, budgets, 4, r);
        for (int k = 0; k < 4; k++) {
            assert_true(r[k].size <= budgets[k]);
            assert_true(fabs(r[k].total - total(&x, &r[k].set)) < 1e-6);
            double gap = 100 * (r[k].total - optimum(&x, budgets[k])) / r[k].base_total;
            assert_true(gap < 2.0);
            if (k)
                assert_true(r[k].total <= r[k - 1].total + 1e-9);
        }
    }
}

static void the_same_answer_every_time(void **state)
{
    (void)state;
    struct problem x;
    struct select_result a, b;
    double budget = 40;
    seed = 77;
    set_up(&x);
    pw_select_run(&x.p, &budget, 1, &a);
    pw_select_run(&x.p, &budget, 1, &b);
    assert_memory_equal(&a.set, &b.set, sizeof(a.set));
}

static void no_query_gets_much_worse(void **state)
{
    (void)state;
    struct problem x;
    struct select_result r;
    double budget = 1000;
    seed = 5;
    set_up(&x);
    for (int i = 0; i < ITEMS; i++)
        x.toy.upkeep[i] = x.toy.base[0]; /* each index doubles the write */
    x.p.max_regression = 0.1;
    pw_select_run(&x.p, &budget, 1, &r);
    assert_int_equal(r.set.n, 0);
}

/* As the advisor asks, without the thorough exchange of pairs. */
static void no_baseline_is_ever_better(void **state)
{
    (void)state;
    for (uint64_t first = 1; first < 1500; first++) {
        struct problem x;
        struct select_result ours, extend, anytime;
        seed = first;
        set_up(&x);
        x.p.deep = false;
        double budget = 5 + (double)(first % 12) * 5;
        pw_select_run(&x.p, &budget, 1, &ours);
        pw_select_extend(&x.p, budget, &extend);
        pw_select_anytime(&x.p, budget, &anytime);
        assert_true(ours.total <= extend.total + 1e-6);
        assert_true(ours.total <= anytime.total + 1e-6);
    }
}

static void baselines_keep_the_budget(void **state)
{
    (void)state;
    struct problem x;
    struct select_result r;
    seed = 9;
    set_up(&x);
    pw_select_extend(&x.p, 20, &r);
    assert_true(r.size <= 20 && r.total <= r.base_total);
    pw_select_anytime(&x.p, 20, &r);
    assert_true(r.size <= 20 && r.total <= r.base_total);
}

static void sets_stay_sorted(void **state)
{
    (void)state;
    struct index_set s = {.n = 0};
    pw_set_add(&s, 9);
    pw_set_add(&s, 2047);
    pw_set_add(&s, 3);
    pw_set_add(&s, 9);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.ids[0], 3);
    assert_int_equal(s.ids[2], 2047);
    pw_set_remove(&s, 9);
    pw_set_remove(&s, 10);
    assert_int_equal(s.n, 2);
    assert_false(pw_set_has(&s, 9));
    assert_true(pw_set_has(&s, 2047));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_the_optimum_of_every_small_problem),
        cmocka_unit_test(the_same_answer_every_time),
        cmocka_unit_test(no_query_gets_much_worse),
        cmocka_unit_test(no_baseline_is_ever_better),
        cmocka_unit_test(baselines_keep_the_budget),
        cmocka_unit_test(sets_stay_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
