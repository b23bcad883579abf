/* See explain_cache.h. */
#include "planner/explain_cache.h"

#include "planner/catalog.h"
#include "planner/state.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"

enum { NAMES_BYTES_MAX = 64 * 1024 };

struct explain_request {
    struct plan_waiter waiter;
    const struct plan_context *ctx; /* BORROW, interned */
    enum explain_what what;
    pw_on_explained cb;
    void *arg;
};

char *pw_plan_table_names(const struct plan_context *ctx, const uint32_t *oids, size_t n)
{
    uint64_t generation;
    enum plan_reason why_not;
    struct catalog *c = pw_slot_catalog(ctx->slot, &generation, &why_not);
    struct buf b;
    pw_buf_init(&b, NAMES_BYTES_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct cat_table *t = c ? pw_catalog_table(c, oids[i]) : NULL;
        const char *comma = i ? ", " : "";
        if (t)
            pw_buf_printf(&b, "%s%s.%s", comma, pw_catalog_schema_name(c, t->object.schema),
                          t->object.name);
        else
            pw_buf_printf(&b, "%s%u", comma, oids[i]);
    }
    char *names = pw_strndup(b.len ? b.data : "", b.len);
    pw_buf_free(&b);
    pw_catalog_unref(c);
    return names;
}

static void add(struct explain_answer *a, const char *item, char *answer)
{
    if (a->n == EXPLAIN_ROWS_MAX) {
        pw_free(answer);
        return;
    }
    a->rows[a->n++] = (struct explain_row){pw_strdup(item), answer};
}

static void add_tables(struct explain_answer *a, const struct plan_context *ctx, const char *item,
                       const uint32_t *oids, size_t n)
{
    if (n)
        add(a, item, pw_plan_table_names(ctx, oids, n));
}

/* ---- columns and keys ---- */

static const char *column_name(const struct cat_table *t, int16_t attnum)
{
    for (uint32_t i = 0; t && i < t->n_columns; i++) {
        if (t->columns[i].attnum == attnum)
            return t->columns[i].name;
    }
    return "?";
}

/* "public.t (a, b), public.u (all)" */
static void add_columns(struct explain_answer *a, const struct plan_context *ctx, const char *item,
                        const struct plan_column *columns, uint32_t n)
{
    uint64_t generation;
    enum plan_reason why_not;
    struct catalog *c = n ? pw_slot_catalog(ctx->slot, &generation, &why_not) : NULL;
    struct buf b;
    pw_buf_init(&b, NAMES_BYTES_MAX);
    for (uint32_t i = 0; c && i < n;) {
        const struct cat_table *t = pw_catalog_table(c, columns[i].table);
        uint32_t oid = columns[i].table, first = i;
        char *name = pw_plan_table_names(ctx, &oid, 1);
        pw_buf_printf(&b, "%s%s (", i ? ", " : "", name);
        pw_free(name);
        if (columns[i].attnum == 0)
            pw_buf_append_str(&b, "all");
        for (; i < n && columns[i].table == oid; i++) {
            if (columns[first].attnum)
                pw_buf_printf(&b, "%s%s", i > first ? ", " : "", column_name(t, columns[i].attnum));
        }
        pw_buf_append_u8(&b, ')');
    }
    if (b.len)
        add(a, item, pw_strndup(b.data, b.len));
    pw_buf_free(&b);
    pw_catalog_unref(c);
}

static void put_value(struct buf *b, const struct plan_value *v)
{
    if (v->is_param)
        pw_buf_printf(b, "$%u", v->number);
    else
        pw_buf_printf(b, "%sliteral %u", v->is_negative ? "-" : "", v->number + 1);
}

/* "public.t where id = $1"; of many rows the first few. */
static void add_key(struct explain_answer *a, const struct plan_context *ctx, const char *item,
                    const struct plan_keys *k)
{
    enum { SHOWN = 3 };
    struct buf b;
    pw_buf_init(&b, NAMES_BYTES_MAX);
    char *table = pw_plan_table_names(ctx, &k->table, 1);
    pw_buf_printf(&b, "%s where ", table);
    pw_free(table);
    for (uint32_t row = 0; row < k->n_rows && row < SHOWN; row++) {
        for (uint32_t i = 0; i < k->n_columns; i++) {
            pw_buf_printf(&b, "%s%s = ", i ? " and " : row ? ", or " : "", k->columns[i].name);
            put_value(&b, &k->values[(size_t)row * k->n_columns + i]);
        }
    }
    if (k->n_rows > SHOWN)
        pw_buf_printf(&b, ", or %u more", k->n_rows - SHOWN);
    add(a, item, pw_strndup(b.data, b.len));
    pw_buf_free(&b);
}

static void add_keys(struct explain_answer *a, const struct plan_context *ctx, const struct plan *p)
{
    if (p->key_read)
        add_key(a, ctx, "reads by key", p->key_read);
    for (uint32_t i = 0; i < p->n_keys_written; i++)
        add_key(a, ctx, "writes only", p->keys_written[i]);
}

static void add_common(struct explain_answer *a, const struct plan_context *ctx,
                       const struct plan *p)
{
    static const char *const classes[] = {
        [PLAN_EMPTY] = "empty", [PLAN_READ] = "read",       [PLAN_WRITE] = "write",
        [PLAN_DDL] = "ddl",     [PLAN_TXN] = "transaction", [PLAN_SESSION] = "session",
        [PLAN_COPY] = "copy",   [PLAN_UTILITY] = "utility", [PLAN_OPAQUE] = "not understood",
    };
    add(a, "family", pw_asprintf("%016llx", (unsigned long long)p->family));
    add(a, "statement", pw_strdup(p->tag));
    add(a, "class", pw_strdup(classes[p->cls]));
    if (p->n_statements != 1)
        add(a, "statements", pw_asprintf("%u", p->n_statements));
    add(a, "text", pw_strdup(p->family_text));
    if (*p->calls)
        add(a, "calls", pw_strdup(p->calls));
    add_columns(a, ctx, "columns read", p->columns_read, p->columns_known ? p->n_columns_read : 0);
    add_columns(a, ctx, "columns written", p->columns_written,
                p->columns_known ? p->n_columns_written : 0);
    add_keys(a, ctx, p);
    if (p->user_code && (p->cls == PLAN_READ || p->cls == PLAN_WRITE))
        add(a, "index log",
            pw_strdup(
                "no: it may run functions of users, which are never planned under another role"));
}

static char *verdict(bool yes, enum plan_reason why)
{
    return yes ? pw_strdup("yes") : pw_asprintf("no: %s", pw_plan_reason_text(why));
}

static void add_cache(struct explain_answer *a, const struct plan_context *ctx,
                      const struct plan *p)
{
    static const char *const hints[] = {"", "on", "off", "force"};
    bool yes = pw_plan_has(p, PLAN_F_CACHEABLE);
    if (p->hint_cache == 2)
        add(a, "cacheable", verdict(false, PLAN_WHY_HINT_OFF));
    else if (p->hint_cache == 3 && !yes && p->cls == PLAN_READ)
        add(a, "cacheable",
            pw_asprintf("yes, but only because a hint says force: %s",
                        pw_plan_reason_text(p->reason)));
    else
        add(a, "cacheable", verdict(yes, p->reason));
    if (p->hint_cache > 0 && p->hint_cache <= 3)
        add(a, "hint", pw_strdup(hints[p->hint_cache]));
    add_tables(a, ctx, "depends on", p->tables_read, p->n_read);
    if (pw_plan_has(p, PLAN_F_WRITES_ALL))
        add(a, "invalidates", pw_strdup("every table of the database"));
    else
        add_tables(a, ctx, "invalidates", p->tables_written, p->n_written);
    if (yes)
        add(a, "key",
            pw_strdup("text and parameters with their types and formats, database, user "
                      "and role, search_path, every setting the session has"));
    if (yes)
        add(a, "note",
            pw_strdup("not inside a transaction block that has written; not when a text "
                      "parameter names a moment (now, today)"));
}

static void add_batch(struct explain_answer *a, const struct plan *p)
{
    bool pipeline = pw_plan_has(p, PLAN_F_PIPELINE);
    if (p->hint_batch == 2) {
        add(a, "shares a connection", verdict(false, PLAN_WHY_HINT_OFF));
        return;
    }
    add(a, "shares a connection", verdict(pipeline, p->batch_reason));
    add(a, "single flight",
        pipeline ? pw_strdup(pw_plan_has(p, PLAN_F_CACHEABLE)
                                 ? "yes: identical requests share one execution"
                                 : "yes, as long as it has not been sent")
                 : pw_strdup("no"));
    if (p->prepared)
        add(a, "promoted", pw_asprintf("also as a simple query, as: %s", p->prepared->text));
    if (pw_plan_has(p, PLAN_F_STEADY))
        add(a, "generic plan", pw_strdup("yes, when promoted: its answer cannot depend on that"));
}

/* What it leaves behind in the session. */
static void add_session(struct explain_answer *a, const struct plan *p)
{
    struct buf b;
    pw_buf_init(&b, NAMES_BYTES_MAX);
    for (uint32_t i = 0; i < p->n_sets; i++) {
        const char *name = p->sets[i].kind == PLAN_RESET_ALL     ? "RESET ALL"
                           : p->sets[i].kind == PLAN_DISCARD_ALL ? "DISCARD ALL"
                                                                 : p->sets[i].name;
        pw_buf_printf(&b, "%s%s%s", i ? ", " : "", name,
                      p->sets[i].kind == PLAN_SET_LOCAL ? " (for the transaction)" : "");
    }
    if (b.len)
        add(a, "sets", pw_strndup(b.data, b.len));
    pw_buf_free(&b);
    if (pw_plan_has(p, PLAN_F_PINS))
        add(a, "pins the session", pw_strdup(pw_pin_reason_text(p->pin_reason)));
}

static void answer(const struct explain_request *r, const struct plan *p)
{
    struct explain_answer a = {.n = 0};
    add_common(&a, r->ctx, p);
    if (r->what == EXPLAIN_CACHE)
        add_cache(&a, r->ctx, p);
    else
        add_batch(&a, p);
    add_session(&a, p);
    r->cb(r->arg, &a);
    for (size_t i = 0; i < a.n; i++) {
        pw_free(a.rows[i].item);
        pw_free(a.rows[i].answer);
    }
}

static void on_plan(struct plan_waiter *w, const struct plan *plan)
{
    struct explain_request *r = PW_CONTAINER_OF(w, struct explain_request, waiter);
    answer(r, plan);
    pw_plan_unref(plan);
    pw_free(r);
}

struct explain_request *pw_explain_ask(struct plan_memo *memo, const struct plan_context *ctx,
                                       struct slice sql, enum explain_what what, pw_on_explained cb,
                                       void *arg)
{
    struct explain_request *r = pw_alloc(sizeof *r);
    *r = (struct explain_request){.waiter = {.on_plan = on_plan, .is_impatient = true},
                                  .ctx = ctx,
                                  .what = what,
                                  .cb = cb,
                                  .arg = arg};
    const struct plan *p = pw_plan_get(memo, ctx, sql, &r->waiter);
    if (!p)
        return r;
    answer(r, p);
    pw_free(r);
    return NULL;
}

void pw_explain_cancel(struct explain_request *r)
{
    if (!r)
        return;
    pw_plan_cancel(&r->waiter);
    pw_free(r);
}
