/* EXPLAIN of a sample: with its own values, or as the plan for unknown ones. Nothing is executed.
 */
#include <stdio.h>
#include <string.h>

#include "advisor/explain.h"
#include "advisor/whatif.h"

static const char options[] = "FORMAT JSON, VERBOSE, COSTS";

/* The plan out of an answer, which is freed. */
static char *plan_of(struct advice_run *r, struct pgresult *res, char sqlstate[6])
{
    char *out = NULL;
    r->side.explains++;
    if (pw_pgresult_ok(res) && pw_pgresult_rows(res) > 0)
        out = strdup(pw_cell(res, 0, 0));
    else if (sqlstate)
        snprintf(sqlstate, 6, "%s", pw_pgresult_sqlstate(res));
    if (!pw_pgresult_ok(res) && strncmp(pw_pgresult_sqlstate(res), "08", 2) == 0 && !r->side.lost) {
        r->side.lost = true;
        pw_side_note(&r->side, "the connection to the server was lost while planning statements");
    }
    pw_pgresult_free(res);
    return out;
}

char *pw_whatif_explain(struct advice_run *r, const struct workload_sample *s, char sqlstate[6])
{
    return plan_of(r, pw_explain_sample(&r->side, options, s), sqlstate);
}

char *pw_whatif_explain_query(struct advice_run *r, const struct whatif_query *q, size_t sample,
                              char sqlstate[6])
{
    const struct workload_sample *s = &q->samples[sample];
    return plan_of(r,
                   q->generic ? pw_explain_generic(&r->side, options, s)
                              : pw_explain_sample(&r->side, options, s),
                   sqlstate);
}
