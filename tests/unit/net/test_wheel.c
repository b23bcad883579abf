/* The wheel against a model that is too simple to be wrong, with a clock of its own. */
#include "tests/unit/net/world.h"

#include "proxy/net/wheel.h"

enum { TIMERS = 200, TICK_US = 10000, STEPS = 200000 };

struct model {
    struct wheel_timer t;
    bool is_set;
    uint64_t due_us;
    unsigned fired;
};

static struct model timers[TIMERS];
static struct wheel wheel;
static uint64_t now_us, rng;
static size_t set_count;

static void model_set(struct model *m, uint64_t due_us)
{
    pw_wheel_set(&wheel, &m->t, due_us);
    set_count += !m->is_set;
    m->is_set = true;
    m->due_us = due_us;
}

static void model_cancel(struct model *m)
{
    pw_wheel_cancel(&wheel, &m->t);
    set_count -= m->is_set;
    m->is_set = false;
}

/* Deadlines of all kinds: past, this tick, soon, in a later revolution, far away. */
static uint64_t random_due(void)
{
    uint64_t r = next_random(&rng);
    switch (r % 5) {
    case 0:
        return now_us > 5000000 ? now_us - (r >> 8) % 5000000 : 0;
    case 1:
        return now_us + (r >> 8) % TICK_US;
    case 2:
        return now_us + (r >> 8) % 1000000;
    case 3:
        return now_us + (r >> 8) % 40000000;
    default:
        return now_us + (r >> 8) % 4000000000;
    }
}

static void on_fire(struct wheel_timer *t)
{
    struct model *m = PW_CONTAINER_OF(t, struct model, t);
    assert_true(m->is_set);
    assert_true(m->due_us <= now_us); /* never early */
    assert_false(pw_wheel_is_set(t));
    m->is_set = false;
    set_count--;
    m->fired++;
    uint64_t r = next_random(&rng);
    struct model *other = &timers[(r >> 8) % TIMERS];
    if (r % 4 == 0)
        model_set(m, random_due()); /* also into the past: must not fire again in this run */
    else if (r % 4 == 1)
        model_cancel(other);
    else if (r % 4 == 2)
        model_set(other, random_due());
}

static void check_all(void)
{
    assert_int_equal(wheel.count, set_count);
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(pw_wheel_is_set(&timers[i].t), timers[i].is_set);
        /* Never late by more than the tick it was set in and the one it is rounded up to. */
        if (timers[i].is_set && timers[i].due_us + 2 * TICK_US < now_us)
            fail_msg("timer %zu is overdue", i);
    }
}

static void test_against_model(void **state)
{
    (void)state;
    uv_loop_t uv;
    uv_loop_init(&uv);
    now_us = 123456789;
    rng = 42;
    pw_wheel_init(&wheel, &uv, now_us);
    for (size_t i = 0; i < TIMERS; i++)
        pw_wheel_timer_init(&timers[i].t, on_fire);
    for (size_t step = 0; step < STEPS; step++) {
        struct model *m = &timers[next_random(&rng) % TIMERS];
        uint64_t r = next_random(&rng);
        if (r % 3 == 0)
            model_cancel(m);
        else
            model_set(m, random_due());
        if (r % 64 == 7)
            now_us += (r >> 8) % 30000000; /* a long sleep, over several revolutions at times */
        else
            now_us += (r >> 8) % 4000;
        pw_wheel_run(&wheel, now_us);
        if (step % 16 == 0) {
            /* What a callback set into the past is due at the next tick. */
            now_us += TICK_US;
            pw_wheel_run(&wheel, now_us);
            now_us += TICK_US;
            pw_wheel_run(&wheel, now_us);
            size_t overdue = 0;
            for (size_t i = 0; i < TIMERS; i++)
                overdue += timers[i].is_set && timers[i].due_us + 2 * TICK_US < now_us;
            if (overdue == 0)
                check_all();
            assert_true(overdue < TIMERS / 4); /* only what the last callbacks set anew */
        }
    }
    unsigned fired = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        fired += timers[i].fired;
        model_cancel(&timers[i]);
    }
    assert_true(fired > 1000);
    assert_int_equal(wheel.count, 0);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0); /* no timer set: nothing keeps the loop */
    pw_wheel_destroy(&wheel);
    assert_int_equal(uv_loop_close(&uv), 0);
}

/* The whole: a loop that only has timers wakes up by itself, in the order of the deadlines. */
struct alarm {
    struct wheel_timer t;
    bool fired;
    uint64_t at_us;
};

static struct world *alarm_world;

static void on_alarm(struct wheel_timer *t)
{
    struct alarm *a = PW_CONTAINER_OF(t, struct alarm, t);
    a->fired = true;
    a->at_us = alarm_world->loop.now_us;
}

static void test_wakes_the_loop(void **state)
{
    (void)state;
    struct world *w = alarm_world = pw_alloc(sizeof *w);
    world_init(w);
    struct alarm a[4];
    static const uint64_t delays[] = {60000, 5000, 30000, 3000000000};
    uint64_t start = w->loop.now_us;
    for (size_t i = 0; i < 4; i++) {
        a[i] = (struct alarm){0};
        pw_wheel_timer_init(&a[i].t, on_alarm);
        pw_wheel_set(&w->loop.wheel, &a[i].t, start + delays[i]);
    }
    run_until(w, &a[0].fired);
    assert_true(a[1].fired && a[2].fired && !a[3].fired);
    assert_true(a[1].at_us <= a[2].at_us && a[2].at_us <= a[0].at_us);
    for (size_t i = 0; i < 3; i++)
        assert_true(a[i].at_us >= start + delays[i]);
    pw_wheel_cancel(&w->loop.wheel, &a[3].t);
    world_free(w);
    pw_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_wakes_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
