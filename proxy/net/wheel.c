/*
 * The timer wheel. Owns its slots and one uv_timer; borrows the timers in them. Thread: the loop's.
 * A timer sits in slot (due tick % PW_WHEEL_SLOTS); one that is due in a later revolution is passed
 * over until its tick has come. The uv_timer is armed for the earliest tick that is known and
 * referenced only while a timer is set; cancelling never touches it (an early wake-up is harmless).
 */
#include "proxy/net/wheel.h"

#include "proxy/base/check.h"
#include "proxy/base/clock.h"

enum { TICK_US = 10000, SLOT_FIRING = PW_WHEEL_SLOTS };

static uint64_t due_tick(const struct wheel *w, const struct wheel_timer *t)
{
    return t->due_us / w->tick_us + (t->due_us % w->tick_us != 0);
}

static struct list *list_of(struct wheel *w, const struct wheel_timer *t)
{
    return t->slot == SLOT_FIRING ? &w->firing : &w->slots[t->slot];
}

static void on_timer(uv_timer_t *timer)
{
    struct wheel *w = PW_CONTAINER_OF(timer, struct wheel, timer);
    uint64_t now_us = pw_clock_us();
    if (w->now_us)
        *w->now_us = now_us;
    pw_wheel_run(w, now_us);
}

static void arm(struct wheel *w, uint64_t tick)
{
    uint64_t now_us = pw_clock_us(), at_us = tick * w->tick_us;
    uint64_t wait_ms = at_us > now_us ? (at_us - now_us + 999) / 1000 : 0;
    /* libuv counts from its cached time, which may be long ago: uv_update_time is one vDSO call. */
    uv_update_time(w->timer.loop);
    PW_CHECK(uv_timer_start(&w->timer, on_timer, wait_ms, 0) == 0);
    w->armed_tick = tick;
}

void pw_wheel_init(struct wheel *w, uv_loop_t *uv, uint64_t now_us)
{
    for (size_t i = 0; i < PW_WHEEL_SLOTS; i++)
        pw_list_init(&w->slots[i]);
    pw_list_init(&w->firing);
    w->tick_us = TICK_US;
    w->done_tick = now_us / TICK_US;
    w->armed_tick = UINT64_MAX;
    w->count = 0;
    w->now_us = NULL;
    w->again = NULL;
    PW_CHECK(uv_timer_init(uv, &w->timer) == 0);
    uv_unref((uv_handle_t *)&w->timer);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct wheel *w = PW_CONTAINER_OF((uv_timer_t *)handle, struct wheel, timer);
    w->count = SIZE_MAX;
}

void pw_wheel_destroy(struct wheel *w)
{
    for (size_t i = 0; i < PW_WHEEL_SLOTS; i++)
        while (pw_list_pop_front(&w->slots[i]))
            ;
    w->count = 0;
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
    while (w->count != SIZE_MAX)
        uv_run(w->timer.loop, UV_RUN_NOWAIT);
    w->count = 0;
}

void pw_wheel_timer_init(struct wheel_timer *t, void (*fire)(struct wheel_timer *t))
{
    *t = (struct wheel_timer){.fire = fire};
}

bool pw_wheel_is_set(const struct wheel_timer *t)
{
    return pw_list_linked(&t->link);
}

static void unlink_timer(struct wheel *w, struct wheel_timer *t)
{
    pw_list_remove(list_of(w, t), &t->link);
    w->count--;
}

void pw_wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t due_us)
{
    bool was_set = pw_wheel_is_set(t);
    if (was_set)
        unlink_timer(w, t);
    t->due_us = due_us;
    uint64_t tick = due_tick(w, t);
    if (tick <= w->done_tick)
        tick = w->done_tick + 1;
    t->slot = (uint32_t)(tick % PW_WHEEL_SLOTS);
    pw_list_push_back(&w->slots[t->slot], &t->link);
    if (w->count++ == 0 && !was_set)
        uv_ref((uv_handle_t *)&w->timer);
    if (tick < w->armed_tick)
        arm(w, tick);
}

void pw_wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
    if (!pw_wheel_is_set(t))
        return;
    unlink_timer(w, t);
    if (w->count == 0)
        uv_unref((uv_handle_t *)&w->timer);
}

/* Moves what is due at now_tick from one slot to the firing list. */
static void collect(struct wheel *w, struct list *slot, uint64_t now_tick)
{
    PW_LIST_FOR(slot, it, tmp)
    {
        struct wheel_timer *t = PW_LIST_ENTRY(it, struct wheel_timer, link);
        if (due_tick(w, t) > now_tick)
            continue;
        pw_list_remove(slot, it);
        t->slot = SLOT_FIRING;
        pw_list_push_back(&w->firing, it);
    }
}

/* The next tick at which something is due, or one revolution from now when nothing is nearer. */
static uint64_t next_tick(const struct wheel *w)
{
    for (uint64_t tick = w->done_tick + 1; tick < w->done_tick + PW_WHEEL_SLOTS; tick++) {
        const struct list *slot = &w->slots[tick % PW_WHEEL_SLOTS];
        PW_LIST_FOR(slot, it, tmp)
        if (due_tick(w, PW_LIST_ENTRY(it, struct wheel_timer, link)) <= tick)
            return tick;
    }
    return w->done_tick + PW_WHEEL_SLOTS;
}

void pw_wheel_run(struct wheel *w, uint64_t now_us)
{
    uint64_t now_tick = now_us / w->tick_us;
    if (now_tick > w->done_tick) {
        uint64_t span = now_tick - w->done_tick;
        uint64_t first = w->done_tick + 1;
        w->done_tick = now_tick; /* what a callback sets from here on lands in a later tick */
        for (uint64_t i = 0; w->count > 0 && i < span && i < PW_WHEEL_SLOTS; i++)
            collect(w, &w->slots[(first + i) % PW_WHEEL_SLOTS], now_tick);
        struct list_node *n;
        if (w->again && !pw_list_empty(&w->firing))
            *w->again = true;
        while ((n = pw_list_first(&w->firing))) {
            struct wheel_timer *t = PW_LIST_ENTRY(n, struct wheel_timer, link);
            pw_wheel_cancel(w, t);
            t->fire(t);
        }
    }
    if (w->armed_tick <= w->done_tick || !uv_is_active((uv_handle_t *)&w->timer)) {
        if (w->count > 0) {
            arm(w, next_tick(w));
        } else {
            uv_timer_stop(&w->timer);
            w->armed_tick = UINT64_MAX;
        }
    }
}
