/*
 * Promotion: an unnamed statement that is parsed again and again lives on the server under a name
 * of ours, so that PostgreSQL parses it once for several requests (batch.promote). The client must
 * not be able to tell. So:
 *
 * Only one autocommit read without effects, with the usual messages, whose text has no quoted
 * constant: 'now', 'today' or a name of an enum's value get their meaning when they are parsed. The
 * definition belongs to the settings it was parsed under and to one generation of the catalog
 * (struct stmt).
 *
 * An error in the place of BindComplete may be about the definition (a table was changed since:
 * plancache.c, RevalidateCachedQuery). Then nothing was told to the client yet and nothing was
 * executed: the request is sent once more, as it came, and the server says what it says.
 *
 * What is unnamed is planned for its values each time, and that can be told: 1 / $1 in a branch
 * that is never reached fails when it is planned with 0. What is prepared is planned for its values
 * five times (plancache.c, choose_custom_plan) and perhaps for any values after that. So after five
 * Binds it is prepared anew.
 */
#include "proxy/dispatch/receive_priv.h"
#include "proxy/dispatch/send_priv.h"

enum { PROMOTE_AFTER = 5, CUSTOM_PLANS = 5 };

static bool has_usual_messages(const struct ticket *t)
{
    if (t->n_ops < 4 || t->ops[0].kind != EXPECT_PARSE || t->ops[1].kind != EXPECT_BIND ||
        t->ops[1].stmt != t->ops[0].stmt)
        return false;
    for (uint32_t i = 0; i < t->n_ops; i++)
        if (t->ops[i].named || (i > 1 && t->ops[i].stmt))
            return false;
    return true;
}

void pw_promote(struct dispatch *d, struct ticket *t)
{
    if (!t->shareable || t->is_simple || t->again || t->sent_ops > 0 || !d->conf->batch.promote ||
        d->conf->pgweir.mode != CONF_MODE_OPTIMIZE || !has_usual_messages(t))
        return;
    struct stmt *stmt = t->ops[0].stmt;
    if (!stmt->plain || stmt->parses <= PROMOTE_AFTER ||
        !pw_plan_has(t->plans[0], PLAN_F_CACHEABLE))
        return;
    t->ops[0].named = t->ops[1].named = true;
    t->promoted = true;
    pw_metric_inc(d->env.metrics, PW_METRIC_BATCH_PROMOTED);
}

bool pw_promote_is_worn(const struct server_stmt *known)
{
    return known->binds >= CUSTOM_PLANS;
}

bool pw_promote_refused(struct ticket *t, struct server *s)
{
    if (!t->promoted || !t->client)
        return false;
    pw_stmt_retire(t->ops[0].stmt);
    pw_answer_drop_until_sync(s, t);
    pw_expect_head(&s->expects)->action = EXPECT_SKIP;
    t->promoted = false;
    t->again = true;
    t->ops[0].named = t->ops[1].named = false;
    return true;
}

void pw_promote_again(struct dispatch *d, struct ticket *t, struct server *s)
{
    t->sent_ops = 0;
    pw_send_rest(d, t, s);
}
