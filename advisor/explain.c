/* See explain.h. Texts are built on the heap: there are thousands of EXPLAINs in a run. */
#include "advisor/explain.h"

#include "advisor/context.h"
#include "planner/quote.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"

enum { TEXT_MAX = 4 * PW_WORKLOAD_MAX_SQL, VALUES_MAX = 1 << 20 };

/* Takes what b holds, empty when it did not fit (the server will refuse that). */
static struct pgresult *submit(struct side *s, struct buf *b, bool fits)
{
    fits = fits && pw_buf_append_u8(b, 0);
    struct pgresult *r = pw_pgsync_query(s->pg, fits ? b->data : "", 0, NULL);
    pw_buf_free(b);
    return r;
}

/* A fresh one each time: a kept generic plan does not see new indexes. DEALLOCATE comes first,
 * because it would fail after an error in a transaction. */
static struct pgresult *prepare(struct side *s, const struct workload_sample *x)
{
    struct buf b;
    pw_buf_init(&b, TEXT_MAX);
    bool ok = pw_buf_append_str(&b, "DEALLOCATE ALL; PREPARE pw_sample");
    if (x->types)
        ok = ok && pw_buf_printf(&b, " (%s)", x->types);
    ok = ok && pw_buf_append_str(&b, " AS ") && pw_buf_append_str(&b, x->sql);
    return submit(s, &b, ok);
}

static struct pgresult *explain_prepared(struct side *s, const char *options,
                                         const struct workload_sample *x, bool with_values)
{
    struct pgresult *r = prepare(s, x);
    if (!pw_pgresult_ok(r))
        return r;
    pw_pgresult_free(r);
    struct buf b;
    pw_buf_init(&b, VALUES_MAX);
    bool ok = pw_buf_printf(&b, "EXPLAIN (%s) EXECUTE pw_sample", options);
    for (int k = 0; k < x->n_params; k++) {
        ok = ok && pw_buf_append_str(&b, k ? ", " : "(");
        ok = ok && (with_values && x->params[k] ? pw_quote_literal(&b, x->params[k])
                                                : pw_buf_append_str(&b, "NULL"));
    }
    return submit(s, &b, ok && (!x->n_params || pw_buf_append_str(&b, ")")));
}

/* In a transaction of its own where the client's role and settings are not ours. */
static bool enter(struct side *s, const struct workload_sample *x)
{
    return !s->in_transaction && pw_context_of(s, x->setup)->differs &&
           pw_context_enter(s, x->setup);
}

struct pgresult *pw_explain_sample(struct side *s, const char *options,
                                   const struct workload_sample *x)
{
    bool entered = enter(s, x);
    struct pgresult *r;
    if (x->types) {
        r = explain_prepared(s, options, x, true);
    } else {
        char *sql = pw_asprintf("EXPLAIN (%s) %s", options, x->sql);
        r = pw_pgsync_query(s->pg, sql, x->n_params, (const char *const *)x->params);
        pw_free(sql);
    }
    if (entered)
        pw_context_leave(s);
    return r;
}

struct pgresult *pw_explain_generic(struct side *s, const char *options,
                                    const struct workload_sample *x)
{
    bool entered = enter(s, x);
    pw_side_exec(s, NULL, "SET plan_cache_mode = force_generic_plan");
    struct pgresult *r = explain_prepared(s, options, x, false);
    if (entered)
        pw_context_leave(s); /* which takes the mode back, too */
    else
        pw_side_exec(s, NULL, "SET plan_cache_mode = force_custom_plan");
    return r;
}
