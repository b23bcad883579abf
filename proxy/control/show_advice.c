/* SHOW ADVICE, ADVISE, APPLY, UNDO: the console's side of the advice desk. Control thread. */
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/control/desk.h"
#include "proxy/control/profile.h"
#include "proxy/control/show.h"

enum { OUTCOMES_MAX = 200, TEXT_MAX_BYTES = 1 << 20 };

static const struct table_column columns_advice[] = {{"id", TABLE_TEXT},
                                                     {"kind", TABLE_TEXT},
                                                     {"table", TABLE_TEXT},
                                                     {"object", TABLE_TEXT},
                                                     {"benefit_pct", TABLE_NUMERIC},
                                                     {"size", TABLE_INT8},
                                                     {"confidence", TABLE_TEXT},
                                                     {"sql", TABLE_TEXT},
                                                     {"reason", TABLE_TEXT},
                                                     {"undo_sql", TABLE_TEXT},
                                                     {"database", TABLE_TEXT},
                                                     {"applied", TABLE_TEXT}};

struct listing {
    struct table *table;
    const struct advice_outcome *outcomes; /* BORROW; newest first */
    size_t n_outcomes;
};

static const char *verdict_of(const struct listing *l, const char *id)
{
    for (size_t i = 0; i < l->n_outcomes; i++)
        if (strcmp(l->outcomes[i].id, id) == 0)
            return pw_advice_verdict_text(l->outcomes[i].verdict);
    return "";
}

static void put_advice(const struct listing *l, const char *database, const struct advice *a)
{
    struct table *t = l->table;
    if (!pw_table_row(t))
        return;
    pw_table_text(t, a->id);
    pw_table_text(t, pw_advice_kind_text(a->kind));
    pw_table_text(t, a->table);
    pw_table_text(t, a->object);
    pw_table_num(t, a->benefit_pct, 2);
    pw_table_num(t, a->size_bytes, 0);
    pw_table_text(t, pw_advice_confidence_text(a->confidence));
    pw_table_text(t, a->sql);
    pw_table_text(t, a->reason);
    pw_table_text(t, a->undo_sql);
    pw_table_text(t, database);
    pw_table_text(t, verdict_of(l, a->id));
}

static void put_set(void *arg, const char *database, struct advice_set *set)
{
    for (size_t i = 0; i < set->n_items; i++)
        put_advice(arg, database, &set->items[i]);
}

static const struct table_column columns_text[] = {{"advice", TABLE_TEXT}};

struct search {
    const char *id;
    struct buf text;
    bool found;
};

static void look(void *arg, const char *database, struct advice_set *set)
{
    struct search *s = arg;
    const struct advice *a = s->found ? NULL : pw_advice_find(set, s->id);
    (void)database;
    s->found = s->found || (a && pw_advice_render_one(set, a, &s->text));
}

static void put_outcome(struct buf *out, const struct advice_outcome *o)
{
    pw_buf_printf(out, "Applied: %s", pw_advice_verdict_text(o->verdict));
    if (o->before_ms > 0 && o->after_ms > 0)
        pw_buf_printf(out, " (%.3f ms before, %.3f ms after, p = %.3g)", o->before_ms, o->after_ms,
                      o->p_value);
    pw_buf_append_str(out, "\n");
}

/* One row per line of the text. */
static void finish_text(struct admin_call *call, struct slice text)
{
    struct table *t = pw_table_new(columns_text, PW_COUNT_OF(columns_text));
    while (text.len && pw_table_row(t)) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len;
        pw_table_slice(t, pw_slice(text.ptr, len));
        size_t used = end ? len + 1 : len;
        text = pw_slice(text.ptr + used, text.len - used);
    }
    pw_admin_finish_table(call, t);
}

static void run_one(struct admin_call *call, const struct listing *l)
{
    struct control *c = call->arg;
    struct search s = {.id = call->args[0]};
    pw_buf_init(&s.text, TEXT_MAX_BYTES);
    pw_advice_desk_each(c->advice, look, &s);
    for (size_t i = 0; i < l->n_outcomes && s.found; i++)
        if (strcmp(l->outcomes[i].id, s.id) == 0)
            put_outcome(&s.text, &l->outcomes[i]);
    if (s.found)
        finish_text(call, pw_buf_slice(&s.text));
    else
        pw_admin_finish_error(call, "42704", "no advice has the id \"%s\"", s.id);
    pw_buf_free(&s.text);
}

static bool has_desk(struct admin_call *call)
{
    struct control *c = call->arg;
    if (c->advice && !c->stopped)
        return true;
    pw_admin_finish_error(call, "57P01", "pgweir is shutting down");
    return false;
}

/* The families' latencies are fresh now: what was applied is judged by them. */
static void show_now(struct control *c, struct families_snapshot *s, void *arg)
{
    struct admin_call *call = arg;
    if (!s || !has_desk(call)) {
        if (s)
            pw_families_snapshot_free(s);
        else
            pw_admin_finish_error(call, "57P01", "pgweir is shutting down");
        return;
    }
    pw_advice_desk_see(c->advice, s);
    pw_families_snapshot_free(s);
    struct advice_outcome *outcomes = pw_alloc(OUTCOMES_MAX * sizeof(*outcomes));
    struct listing l = {.outcomes = outcomes};
    l.n_outcomes = pw_advisor_outcomes(pw_advice_desk_advisor(c->advice), outcomes, OUTCOMES_MAX);
    if (call->n_args) {
        run_one(call, &l);
    } else {
        l.table = pw_table_new(columns_advice, PW_COUNT_OF(columns_advice));
        pw_advice_desk_each(c->advice, put_set, &l);
        pw_admin_finish_table(call, l.table);
    }
    pw_free(outcomes);
}

static void run_show(struct admin_call *call)
{
    if (has_desk(call))
        pw_families_gather(call->arg, show_now, call);
}

static void run_advise(struct admin_call *call)
{
    struct control *c = call->arg;
    if (has_desk(call))
        pw_advice_desk_run(c->advice, call, ADVISE_INDEXES);
}

static void run_advise_jit(struct admin_call *call)
{
    struct control *c = call->arg;
    if (has_desk(call))
        pw_advice_desk_run(c->advice, call, ADVISE_JIT);
}

static void run_advise_functions(struct admin_call *call)
{
    struct control *c = call->arg;
    if (has_desk(call))
        pw_advice_desk_run(c->advice, call, ADVISE_FUNCTIONS);
}

static void change(struct admin_call *call, bool undo)
{
    struct control *c = call->arg;
    if (call->n_args != 1)
        pw_admin_finish_error(call, "42601", "usage: %s id (of SHOW ADVICE)", call->command->words);
    else if (has_desk(call))
        pw_advice_desk_change(c->advice, call, undo);
}

static void run_apply(struct admin_call *call)
{
    change(call, false);
}

static void run_undo(struct admin_call *call)
{
    change(call, true);
}

static const struct admin_command commands[] = {
    {"SHOW ADVICE", ADMIN_STATS, "[id]", "What the advisor found; with an id, all of its evidence.",
     run_show},
    {"ADVISE", ADMIN_ADMIN, "[database]", "The same as ADVISE NOW.", run_advise},
    {"ADVISE NOW", ADMIN_ADMIN, "[database]",
     "Runs the advisor on the queries seen so far, in every database used or in one.", run_advise},
    {"ADVISE JIT", ADMIN_ADMIN, "[database]", "Asks where JIT compilation helps or hurts.",
     run_advise_jit},
    {"ADVISE FUNCTIONS", ADMIN_ADMIN, "[database]",
     "Asks which function definitions keep queries from being fast, and measures it.",
     run_advise_functions},
    {"APPLY", ADMIN_ADMIN, "id", "Carries out one piece of advice, CONCURRENTLY.", run_apply},
    {"UNDO", ADMIN_ADMIN, "id", "Takes back what APPLY did.", run_undo},
};

void pw_show_register_advice(struct control *c)
{
    pw_admin_register(c->admin, commands, PW_COUNT_OF(commands), c);
    pw_show_register_profile(c);
}
