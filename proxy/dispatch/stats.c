/* What a finished request adds to counters, histograms and its query family; and how fast families
 * are. */
#include "planner/families.h"
#include "planner/slow.h"
#include "proxy/base/clock.h"
#include "proxy/dispatch/dispatch_priv.h"

enum { SPEED_MIN_CALLS = 2, MEASURE_ONE_IN = 64 };

static struct family_speed *speed_slot(const struct dispatch *d, uint64_t family)
{
    const struct family_speed *slot = &d->speed[pw_hash_mix(family, 0) % SPEED_SLOTS];
    return (struct family_speed *)(uintptr_t)slot;
}

bool pw_speed_is_fast(const struct dispatch *d, uint64_t family)
{
    const struct family_speed *slot = speed_slot(d, family);
    return slot->family == family && slot->count >= SPEED_MIN_CALLS &&
           slot->ewma_us < d->conf->batch.slow_us;
}

uint32_t pw_speed_us(const struct dispatch *d, uint64_t family)
{
    const struct family_speed *slot = speed_slot(d, family);
    return slot->family == family ? slot->ewma_us : 0;
}

bool pw_stats_sampled(struct dispatch *d)
{
    return d->measured++ % MEASURE_ONE_IN == 0;
}

void pw_speed_record(struct dispatch *d, uint64_t family, uint64_t server_us)
{
    struct family_speed *slot = speed_slot(d, family);
    uint32_t us = server_us > UINT32_MAX / 8 ? UINT32_MAX / 8 : (uint32_t)server_us;
    if (slot->family != family) {
        *slot = (struct family_speed){family, us, 1};
        return;
    }
    slot->ewma_us = (slot->ewma_us * 7 + us) / 8;
    if (slot->count < UINT32_MAX)
        slot->count++;
}

static enum family_outcome outcome_of(const struct ticket *t)
{
    return t->cache_hit    ? FAMILY_CACHE_HIT
           : t->was_joined ? FAMILY_JOINED
           : t->pipelined  ? FAMILY_PIPELINED
                           : FAMILY_SERVER;
}

void pw_stats_done(struct dispatch *d, struct ticket *t)
{
    if (t->is_probe)
        return;
    uint64_t now_us = d->env.loop->now_us, total_us = now_us - t->received_us;
    struct metric_slot *m = d->env.metrics;
    pw_metric_inc(m, PW_METRIC_REQUESTS);
    if (t->failed)
        pw_metric_inc(m, PW_METRIC_REQUEST_ERRORS);
    pw_metric_observe(m, PW_HIST_QUERY, total_us);
    uint64_t server_us = t->sent_us ? now_us - t->sent_us : 0;
    if (t->overhead_us)
        pw_metric_observe(m, PW_HIST_OVERHEAD, t->overhead_us - 1 + pw_clock_us() - now_us);
    if (t->sent_us) {
        pw_metric_observe(m, PW_HIST_SERVER_QUERY, server_us);
        if (t->shareable)
            pw_metric_inc(m, PW_METRIC_BATCH_EXECUTIONS);
    }
    if (t->n_plans != 1)
        return;
    uint64_t wait_us = !t->queued_us ? 0 : (t->sent_us ? t->sent_us : now_us) - t->queued_us;
    struct family_sample sample = {
        .database_id = t->pool->database_id,
        .outcome = outcome_of(t),
        .rows = t->rows,
        .bytes = t->bytes_out,
        .wait_us = wait_us,
        .server_us = server_us,
        .total_us = total_us,
        .now_us = now_us,
        .sqlstate = t->sqlstate[0] ? t->sqlstate : NULL,
    };
    pw_family_record(d->families, t->plans[0], &sample);
    if (d->conf->planner.slow_query_us && total_us >= d->conf->planner.slow_query_us)
        pw_slow_log(&d->slow, t->plans[0], &sample, t->pool->database, t->pool->user);
    pw_sample_offer(d, t, now_us);
}
