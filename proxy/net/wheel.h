/*
 * Timer wheel: thousands of coarse deadlines (resolution 10 ms or so) with O(1) set and cancel, one
 * uv_timer per loop. A timer node is embedded in its owner. Firing order among equal deadlines is
 * not defined. Callbacks run from pw_loop_tick (or from the wheel's own uv timer, when that is
 * first), never from inside set or cancel, and may set or cancel any timer, including their own.
 * A timer never fires before it is due; a deadline already past fires at the next tick.
 */
#ifndef PROXY_NET_WHEEL_H
#define PROXY_NET_WHEEL_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "proxy/base/list.h"

struct wheel_timer {
    struct list_node link; /* LINK wheel slot */
    uint64_t due_us;
    uint32_t slot; /* where `link` is, private to wheel.c */
    void (*fire)(struct wheel_timer *t);
};

enum { PW_WHEEL_SLOTS = 1024 };

struct wheel {
    struct list slots[PW_WHEEL_SLOTS];
    struct list firing;          /* due, and about to fire in this run */
    uint64_t tick_us, done_tick; /* resolution; last tick that was run */
    uint64_t armed_tick;         /* when the uv timer wakes us; UINT64_MAX: not armed */
    uint64_t *now_us; /* BORROW or NULL: a cached clock to refresh when the uv timer fires */
    bool *again;      /* BORROW or NULL: set when a timer fires */
    uv_timer_t timer; /* keeps the loop turning while any timer is set */
    size_t count;
};

void pw_wheel_init(struct wheel *w, uv_loop_t *uv, uint64_t now_us);
/* Forgets all timers. Not from inside uv_run: turns the loop until its uv handle is closed. */
void pw_wheel_destroy(struct wheel *w);
void pw_wheel_timer_init(struct wheel_timer *t, void (*fire)(struct wheel_timer *t));
void pw_wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t due_us); /* moves it if set */
void pw_wheel_cancel(struct wheel *w, struct wheel_timer *t);               /* no-op if not set */
bool pw_wheel_is_set(const struct wheel_timer *t);
void pw_wheel_run(struct wheel *w, uint64_t now_us); /* fires what is due */

#endif
