/* One planner, one memo, one loop: a plan for a text, waited for by running the loop. */
#ifndef TESTS_UNIT_PLANNER_FIXTURE_H
#define TESTS_UNIT_PLANNER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/planner.h"

struct fixture {
    uv_loop_t uv;
    struct mailbox box;
    struct planner *planner;
    struct plan_memo *memo;
    const struct plan_context *ctx;
};

struct fixture_waiter {
    struct plan_waiter waiter;
    const struct plan *plan;
};

static inline void fixture_init(struct fixture *f, size_t memo_entries)
{
    assert_int_equal(uv_loop_init(&f->uv), 0);
    pw_mailbox_init(&f->box, &f->uv);
    f->planner = pw_planner_new(NULL);
    f->memo = pw_plan_memo_new(f->planner, &f->box, memo_entries);
    f->ctx =
        pw_plan_context(f->planner, &(struct plan_context_key){.database_id = 1,
                                                               .user = "u",
                                                               .standard_conforming_strings = true,
                                                               .encoding_is_safe = true});
}

static inline void fixture_free(struct fixture *f)
{
    pw_plan_memo_free(f->memo);
    pw_mailbox_close(&f->box);
    uv_run(&f->uv, UV_RUN_DEFAULT);
    pw_mailbox_destroy(&f->box);
    pw_planner_free(f->planner);
    assert_int_equal(uv_loop_close(&f->uv), 0);
}

static inline void fixture_on_plan(struct plan_waiter *w, const struct plan *plan)
{
    ((struct fixture_waiter *)(void *)w)->plan = plan;
}

/* A referenced plan. */
static inline const struct plan *fixture_plan(struct fixture *f, const char *sql, size_t len)
{
    struct fixture_waiter w = {.waiter = {.on_plan = fixture_on_plan}};
    const struct plan *p = pw_plan_get(f->memo, f->ctx, pw_slice(sql, len), &w.waiter);
    if (p)
        return pw_plan_ref(p);
    while (!w.plan)
        uv_run(&f->uv, UV_RUN_ONCE);
    return w.plan;
}

#endif
