/*
 * EXPLAIN CACHE sql, EXPLAIN BATCH sql: what the planner thinks of a statement, in words. Asked on
 * the thread that owns the memo (the control thread has one of its own for this); the answer comes
 * at once when the statement is known, else from the loop.
 */
#ifndef PLANNER_EXPLAIN_CACHE_H
#define PLANNER_EXPLAIN_CACHE_H

#include <stddef.h>

#include "planner/planner.h"

enum explain_what { EXPLAIN_CACHE, EXPLAIN_BATCH };

struct explain_row {
    char *item, *answer; /* OWN by the answer; "cacheable" -> "no: it calls a volatile function" */
};
enum { EXPLAIN_ROWS_MAX = 32 };
struct explain_answer {
    struct explain_row rows[EXPLAIN_ROWS_MAX];
    size_t n;
};

struct explain_request;
typedef void (*pw_on_explained)(void *arg,
                                const struct explain_answer *answer); /* BORROW during the call */
/* NULL: cb has already run. Otherwise cb runs later, unless it is cancelled (before the memo is
 * freed). sql is borrowed during the call. */
struct explain_request *pw_explain_ask(struct plan_memo *memo, const struct plan_context *ctx,
                                       struct slice sql, enum explain_what what, pw_on_explained cb,
                                       void *arg);
void pw_explain_cancel(struct explain_request *r); /* NULL is allowed */

/* Names of tables, "public.t, s.u", as the catalog of the context knows them; OWN. Any thread. */
char *pw_plan_table_names(const struct plan_context *ctx, const uint32_t *oids, size_t n);

#endif
