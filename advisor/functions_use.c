/*
 * What a function does to the statements that call it: it hides an index (FN-4), opens a
 * subtransaction at each call (FN-6), or keeps their plans from being parallel (FN-7). See
 * functions.h.
 */
#include <ctype.h>
#include <string.h>

#include "advisor/functions.h"

#define HOT_CALLS      1000                /* in the window, before a subtransaction each is said */
#define PARALLEL_BYTES (8.0 * 1024 * 1024) /* min_parallel_table_scan_size as it comes */

static void judge_hidden(struct advice_run *r, const struct function *f)
{
    struct advice_set *s = r->set;
    if (!f->hidden)
        return;
    struct advice *a = pw_function_advice(r, f, "FN-4 hides an index");
    a->reason = pw_mem_printf(
        &s->mem,
        "A condition on %s cannot use the index %s on the column by itself: compare the column, "
        "or %sindex the expression.",
        f->hidden_by, f->hidden->full,
        f->volatility == 'i' ? ""
                             : "make the function IMMUTABLE (only if its answer depends on its "
                               "arguments alone) and ");
    pw_advice_fact_text(s, a, "hidden_index", f->hidden->full);
    pw_advice_fact_text(s, a, "table", f->hidden->table->full);
    pw_advice_fact_num(s, a, "table_rows", f->hidden->table->rows);
}

/* Steps over a string, a quoted name or a comment; otherwise by one byte. */
static const char *step(const char *s)
{
    if (s[0] == '-' && s[1] == '-')
        return s + strcspn(s, "\n");
    if (s[0] == '/' && s[1] == '*') {
        const char *end = strstr(s + 2, "*/");
        return end ? end + 2 : s + strlen(s);
    }
    if (*s != '\'' && *s != '"')
        return s + 1;
    const char *end = strchr(s + 1, *s);
    return end ? end + 1 : s + strlen(s);
}

/* EXCEPTION WHEN, but not RAISE EXCEPTION. */
static bool catches(const char *source)
{
    bool exception = false;
    for (const char *s = source; *s;) {
        if (!isalpha((unsigned char)*s)) {
            const char *next = step(s);
            bool comment = next > s + 1 && *s != '\'' && *s != '"';
            exception = exception && (isspace((unsigned char)*s) || comment);
            s = next;
            continue;
        }
        size_t len = 0;
        while (isalnum((unsigned char)s[len]) || s[len] == '_')
            len++;
        if (exception && len == 4 && strncasecmp(s, "when", 4) == 0)
            return true;
        exception = len == 9 && strncasecmp(s, "exception", 9) == 0;
        s += len;
    }
    return false;
}

static void judge_subtransactions(struct advice_run *r, const struct function *f)
{
    struct advice_set *s = r->set;
    if (strcmp(f->language, "plpgsql") != 0 || f->calls < HOT_CALLS || !catches(f->source))
        return;
    struct advice *a = pw_function_advice(r, f, "FN-6 subtransactions");
    a->reason = pw_mem_printf(
        &s->mem,
        "Each call of %s opens a subtransaction for its EXCEPTION block, at least %.0f times in "
        "this window; one that writes takes a transaction number, and past 64 in one "
        "transaction every snapshot looks them up on disk. Test before acting (ON CONFLICT, IF "
        "NOT EXISTS), or catch once around many calls.",
        f->signature, f->calls);
}

/* Where an operator might hide something, nothing is promised. */
static bool operators_are_parallel(struct advice_run *r)
{
    char *v = pw_side_value(&r->side, "operators",
                            "SELECT count(*) FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode"
                            " WHERE p.proparallel <> 's' AND o.oid >= 16384");
    return v && strcmp(v, "0") == 0;
}

/* PARALLEL UNSAFE is the default; it is looked at before a function is inlined. */
static void judge_parallel(struct advice_run *r, const struct function *f, const struct body *b)
{
    struct advice_set *s = r->set;
    bool sql = strcmp(f->language, "sql") == 0;
    if (f->parallel != 'u' || f->table_bytes < PARALLEL_BYTES)
        return;
    if (sql ? !b->parsed || !b->only_select || b->parallel != 's' || b->worst == 'v'
            : !pw_function_only_reads(f->source))
        return;
    if (!operators_are_parallel(r))
        return;
    struct advice *a = pw_function_advice(r, f, "FN-7 parallel");
    pw_function_alter(r, a, f, "PARALLEL SAFE", "PARALLEL UNSAFE");
    if (!sql)
        a->confidence = ADVICE_LOW;
    a->reason = pw_mem_printf(
        &s->mem,
        "%s is PARALLEL UNSAFE (the default), so no statement that calls it gets a parallel plan, "
        "though one reads a table of %.0f MB; its body only reads. Not if it reads temporary "
        "tables%s.",
        f->signature, f->table_bytes / 1024 / 1024,
        sql ? "" : ", or calls a function that is not PARALLEL SAFE itself");
    pw_advice_fact_num(s, a, "largest_table_bytes", f->table_bytes);
}

void pw_function_judge_use(struct advice_run *r, const struct function *f, const struct body *b,
                           bool rewritten)
{
    judge_hidden(r, f);
    judge_subtransactions(r, f);
    if (!rewritten) /* one change at a time: a rewrite states all labels */
        judge_parallel(r, f, b);
}
