/* SHOW STATE, PLANS, REDIS, WAL: how the process and its helpers are. Control thread, except
 * collect. */
#include <stdio.h>
#include <string.h>

#include "conf/hba.h"
#include "planner/catalog.h"
#include "planner/state.h"
#include "proxy/base/clock.h"
#include "proxy/base/num.h"
#include "proxy/control/desk.h"
#include "proxy/control/profile.h"
#include "proxy/control/show.h"

static const struct table_column columns_state[] = {{"key", TABLE_TEXT}, {"value", TABLE_TEXT}};

static void put(struct table *t, const char *key, const char *value)
{
    if (!pw_table_row(t))
        return;
    pw_table_text(t, key);
    pw_table_text(t, value);
}

/* ---- consistency: what is configured, what is in force, and why ---- */

struct consistency {
    const char *configured, *in_force, *why;
};

static struct consistency consistency_of(const struct pw_conf *conf)
{
    static const char *const names[] = {
        [CONF_CACHE_AUTO] = "auto",   [CONF_CACHE_OFF] = "off",   [CONF_CACHE_TTL] = "ttl",
        [CONF_CACHE_PROXY] = "proxy", [CONF_CACHE_POLL] = "poll", [CONF_CACHE_WAL] = "wal"};
    enum conf_consistency wanted = conf->cache.consistency;
    struct consistency c = {names[wanted], "poll", NULL};
    if (wanted == CONF_CACHE_OFF || wanted == CONF_CACHE_TTL) {
        c.in_force = c.configured;
        c.why = wanted == CONF_CACHE_OFF ? "cache.consistency is off"
                                         : "only what a rule or hint marks is cached";
    } else if (!conf->cache.poll_interval_us) {
        c.in_force = "proxy";
        c.why = "cache.poll_interval is 0: writes that bypass pgweir are not seen";
    } else if (wanted == CONF_CACHE_AUTO || wanted == CONF_CACHE_WAL) {
        c.why = "this version has no WAL follower; other writers are seen by polling counters";
    } else {
        c.why = "other writers are seen by polling each table's modification counters";
    }
    return c;
}

/* May the planner prove anything about this database now? */
static const char *catalog_state(struct control *c, uint32_t id)
{
    struct db_slot *slot = pw_planner_slot(c->planner, id);
    enum plan_reason why_not = PLAN_WHY_NO_CATALOG;
    uint64_t generation;
    struct catalog *catalog = slot ? pw_slot_catalog(slot, &generation, &why_not) : NULL;
    if (!catalog)
        return pw_plan_reason_text(why_not);
    pw_catalog_unref(catalog);
    return "ready";
}

bool pw_catalogs_are_ready(struct control *c)
{
    for (uint32_t i = 0; i < c->n_catalogs; i++)
        if (c->catalogs[i] && strcmp(catalog_state(c, i + 1), "ready") != 0)
            return false;
    return true;
}

static void put_catalogs(struct control *c, struct table *t)
{
    char key[160];
    for (uint32_t i = 0; i < c->n_catalogs; i++) {
        if (!c->catalogs[i])
            continue;
        snprintf(key, sizeof key, "catalog.%s", pw_database_name(c, i + 1));
        put(t, key, catalog_state(c, i + 1));
    }
}

static void build_state(struct control *c, struct table *t, const struct admin_call *call)
{
    const struct pw_conf *conf = c->conf;
    struct consistency consistency = consistency_of(conf);
    char text[64], profile[96];
    (void)call;
    put(t, "active", c->paused || c->draining ? "no" : "yes");
    put(t, "paused", c->paused ? "yes" : "no");
    put(t, "suspended", "no");
    put(t, "draining", c->draining ? "yes" : "no");
    put(t, "mode", conf->pgweir.mode == CONF_MODE_OBSERVE ? "observe" : "optimize");
    snprintf(text, sizeof text, "%u", c->n_workers);
    put(t, "workers", text);
    put(t, "uptime",
        pw_num_print_duration((pw_clock_us() - c->started_us) / 1000000 * 1000000, text,
                              sizeof text));
    put(t, "consistency.configured", consistency.configured);
    put(t, "consistency.in_force", consistency.in_force);
    put(t, "consistency.why", consistency.why);
    put_catalogs(c, t);
    char rules[64] = "no rules: auth.type decides";
    if (conf->auth.hba)
        snprintf(rules, sizeof rules, "%zu rules", pw_hba_count(conf->auth.hba));
    put(t, "hba", rules);
    put(t, "wal", "not part of this version");
    put(t, "redis",
        conf->redis.url[0] ? "configured, but not part of this version" : "not configured");
    put(t, "http", c->http ? "listening" : "off");
    if (c->advice)
        put(t, "profile",
            pw_profile_desk_state(pw_advice_desk_profile(c->advice), profile, sizeof profile));
    put(t, "gpu",
        conf->metrics.gpu == CONF_GPU_OFF       ? "off"
        : pw_sampler_latest(c->sampler)->n_gpus ? "sampled"
                                                : "none found");
}

/* ---- PLANS ---- */

static const struct table_column columns_plans[] = {
    {"worker", TABLE_INT4}, {"entries", TABLE_INT8},     {"hits", TABLE_INT8},
    {"misses", TABLE_INT8}, {"hit_rate", TABLE_NUMERIC}, {"evictions", TABLE_INT8},
    {"opaque", TABLE_INT8}, {"waiting", TABLE_INT8}};

static void collect_plans(struct worker *w, struct table *t)
{
    struct plan_memo_stats m;
    pw_plan_memo_stats(pw_worker_dispatch(w)->memo, &m);
    if (!pw_table_row(t))
        return;
    pw_table_uint(t, pw_worker_index(w));
    pw_table_uint(t, m.entries);
    pw_table_uint(t, m.hits);
    pw_table_uint(t, m.misses);
    uint64_t asked = m.hits + m.misses;
    pw_table_num(t, asked ? (double)m.hits / (double)asked : 0, 4);
    pw_table_uint(t, m.evictions);
    pw_table_uint(t, m.opaque);
    pw_table_uint(t, m.waiting);
}

/* ---- the helpers this version does not have ---- */

static void build_redis(struct control *c, struct table *t, const struct admin_call *call)
{
    (void)call;
    put(t, "configured", c->conf->redis.url[0] ? "yes" : "no");
    put(t, "connected", "no");
    put(t, "why", "the Redis mirror is not part of this version; results are cached in memory");
}

static void build_wal(struct control *c, struct table *t, const struct admin_call *call)
{
    (void)c;
    (void)call;
    put(t, "following", "no");
    put(t, "why", "the WAL follower is not part of this version; modification counters are polled");
}

static const struct view views[] = {
    {PW_VIEW("SHOW STATE", NULL,
             "Is it active, which cache consistency is in force and why, how the helpers are.",
             columns_state),
     .build = build_state},
    {PW_VIEW("SHOW PLANS", NULL, "The memo of statement plans, per worker.", columns_plans),
     .collect = collect_plans},
    {PW_VIEW("SHOW REDIS", NULL, "The Redis mirror.", columns_state), .build = build_redis},
    {PW_VIEW("SHOW WAL", NULL, "The WAL follower.", columns_state), .build = build_wal},
};

void pw_show_register_state(struct control *c)
{
    pw_views_register(c, views, PW_COUNT_OF(views));
}
