/* See classify.h. */
#include "planner/classify.h"

#include <string.h>

#include "planner/ast.h"

/* Which class speaks for a text of several statements. */
static int strength(enum plan_class cls)
{
    static const enum plan_class order[] = {PLAN_EMPTY,   PLAN_READ, PLAN_UTILITY,
                                            PLAN_SESSION, PLAN_TXN,  PLAN_COPY,
                                            PLAN_WRITE,   PLAN_DDL,  PLAN_OPAQUE};
    for (int i = 0; i < (int)PW_COUNT_OF(order); i++) {
        if (order[i] == cls)
            return i;
    }
    return (int)PW_COUNT_OF(order);
}

void pw_classify_as(struct classify *c, enum plan_class cls, const char *tag)
{
    if (strength(cls) > strength(c->d->cls))
        c->d->cls = cls;
    if (!*c->d->tag)
        c->d->tag = tag;
}

static void classify_statement(struct classify *c, const cJSON *wrapped)
{
    const char *name;
    const cJSON *node = pw_ast_node(wrapped, &name);
    if (!node) {
        pw_draft_opaque(c->d, PLAN_WHY_NOT_PARSED);
        return;
    }
    c->stmt = node;
    c->n_relations = c->n_casts = 0;
    c->has_derived = c->uses_timezone = c->saw_timetz = c->reads_timetz = c->casts_unsafely = false;
    if (pw_classify_is_query(name))
        pw_classify_query(c, name, node);
    else if (!pw_classify_session(c, name, node) && !pw_classify_utility(c, name, node))
        pw_draft_opaque(c->d, PLAN_WHY_UNSUPPORTED);
    pw_classify_judge(c);
    if (c->is_only && c->view && pw_classify_is_query(name)) {
        pw_classify_keys(c, name, node);
        pw_classify_columns(c, name, node);
    }
}

/* A text that sets something and also ends or begins transactions: what remains of the settings
 * depends on where it fails. */
static void check_mixture(struct draft *d)
{
    if (d->n_statements < 2)
        return;
    d->flags &= ~(uint32_t)PLAN_F_UNPINS;
    if ((d->flags & PLAN_F_CONTEXT) && (d->flags & PLAN_F_WRITES))
        pw_draft_writes_all(d); /* the tables were looked up as if nothing had been set */
    if (d->n_sets && (d->flags & (PLAN_F_TXN_BEGIN | PLAN_F_TXN_END)))
        pw_draft_pin(d, PIN_SET);
    if (d->cls != PLAN_SESSION)
        d->flags &= ~(uint32_t)PLAN_F_SETS; /* "only effect" does not hold; sets[] still tells */
}

void pw_classify(struct classify *c, const cJSON *root)
{
    const cJSON *stmts = pw_ast_get(root, "stmts"), *each;
    c->is_only = pw_ast_count(stmts) == 1;
    cJSON_ArrayForEach(each, stmts)
    {
        c->d->n_statements++;
        classify_statement(c, pw_ast_get(each, "stmt"));
    }
    check_mixture(c->d);
}
