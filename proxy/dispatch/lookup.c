/* The cache's side of a request: may it be answered from there, and may its answer be kept? */
#include <strings.h>

#include "proxy/base/clock.h"
#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/dispatch/rules.h"
#include "proxy/wire/frame.h"
#include "proxy/wire/front.h"

/* What hint and rule say: 0 nothing, 1 on, 2 off, 3 force. A hint wins over a rule (CONTRACT
 * section 3). */
static int mark_of(struct dispatch *d, const struct ticket *t, uint64_t *ttl_us)
{
    const struct plan *plan = t->plans[0];
    static const int marks[] = {[CONF_RULE_ON] = 1, [CONF_RULE_OFF] = 2, [CONF_RULE_FORCE] = 3};
    const struct conf_cache_rule *rule =
        pw_rules_find(d->rules, pw_client_plan_context(t->client), plan);
    *ttl_us = plan->hint_ttl_us ? plan->hint_ttl_us : rule ? rule->ttl_us : d->conf->cache.ttl_us;
    return plan->hint_cache ? plan->hint_cache : rule ? marks[rule->cache] : 0;
}

/* What is read is part of what PostgreSQL proves then: it has to see the reading. */
static bool is_serializable(const struct ticket *t)
{
    const char *level = pw_settings_get(t->settings, "default_transaction_isolation");
    return level && !strcasecmp(level, "serializable");
}

static bool may_use(struct dispatch *d, struct ticket *t)
{
    const struct plan *plan = t->n_plans == 1 ? t->plans[0] : NULL;
    if (!plan || is_serializable(t))
        return false;
    int mark = mark_of(d, t, &t->fill_ttl_us);
    if (mark == 2 || (mark == 0 && d->conf->cache.consistency == CONF_CACHE_TTL))
        return false;
    if (!pw_plan_has(plan, PLAN_F_CACHEABLE) && mark != 3) {
        pw_cache_reason_count(d->shared->cache, (int)plan->reason);
        return false;
    }
    return pw_plan_is_current(pw_client_plan_context(t->client), plan);
}

/* 'now' and kin as a parameter: the plan cannot see them. */
static bool binds_a_moment(const struct ticket *t, const struct reply_shape *shape)
{
    if (!shape->is_extended)
        return false;
    struct front_bind b;
    const struct op *op = shape->bind;
    if (!pw_front_bind(pw_slice(t->msgs.data + op->off + FRAME_HEADER, op->len - FRAME_HEADER), &b))
        return true;
    struct slice rest = b.params;
    struct wire_value value;
    for (uint16_t i = 0; i < b.nparams && pw_wire_value_next(&rest, &value); i++)
        if (!value.null && pw_plan_value_is_special(value.bytes, pw_front_bind_format(&b, i) != 0))
            return true;
    return false;
}

bool pw_lookup_try_hit(struct dispatch *d, struct ticket *t)
{
    struct reply_shape shape;
    if (d->conf->cache.consistency == CONF_CACHE_OFF || !may_use(d, t))
        return false;
    pw_reply_shape(t, &shape);
    if (!shape.cacheable || binds_a_moment(t, &shape) || !pw_reply_key(d, t, &shape))
        return false;
    t->may_fill = true;
    struct cache_entry *e =
        pw_cache_get(d->shared->cache, pw_buf_slice(&t->key), t->key_hash, d->env.loop->now_us);
    if (!e)
        return false;
    const struct cache_reply *reply = pw_cache_entry_reply(e);
    bool lacks_description = (!shape.is_extended || shape.has_describe) && !reply->description;
    if (lacks_description || d->conf->pgweir.mode == CONF_MODE_OBSERVE) {
        pw_cache_entry_unref(e);
        return false; /* observing: the counters say what a hit would have saved */
    }
    struct reply_parts parts = {.description_ref = reply->description,
                                .rows_ref = reply->rows,
                                .tag = pw_slice(reply->tag->data, reply->tag->len),
                                .n_rows = reply->n_rows};
    struct client *c = t->client;
    size_t before = c->stream->out_bytes;
    pw_reply_write(c, &shape, &parts);
    t->bytes_out = c->stream->out_bytes - before;
    t->rows = (uint32_t)reply->n_rows;
    t->cache_hit = true;
    pw_cache_entry_unref(e);
    if (!shape.is_extended || !shape.stmt)
        pw_names_clear(&c->portals);
    pw_metric_add(d->env.metrics, PW_METRIC_CACHE_SAVED, pw_speed_us(d, t->plans[0]->family));
    if (pw_stats_sampled(d)) /* from when the turn's work began */
        pw_metric_observe(d->env.metrics, PW_HIST_CACHE_HIT, pw_clock_us() - d->env.loop->now_us);
    pw_ticket_finish(d, t);
    return true;
}

void pw_lookup_begin_fill(struct dispatch *d, struct ticket *t)
{
    if (!t->may_fill || t->fill || !t->client)
        return;
    const struct plan *plan = t->plans[0];
    struct cache_stamp stamp;
    if (!pw_cache_stamp_take(d->shared->cache, &stamp, t->pool->database_id, plan->tables_read,
                             plan->n_read) ||
        !pw_plan_is_current(pw_client_plan_context(t->client), plan))
        return;
    t->fill = pw_cache_fill_new(d->shared->cache, &stamp, pw_buf_slice(&t->key), t->key_hash,
                                d->env.loop->now_us);
}

void pw_lookup_commit(struct dispatch *d, struct ticket *t)
{
    if (!t->fill)
        return;
    uint64_t now_us = d->env.loop->now_us;
    if (t->end_status == 'I' && pw_plan_is_current(t->settings->plan_context, t->plans[0]))
        pw_cache_fill_commit(t->fill, t->rows, now_us - t->sent_us, t->fill_ttl_us,
                             t->plans[0]->family, now_us);
    else
        pw_cache_fill_abandon(t->fill);
    t->fill = NULL;
}
