/*
 * What a request does beyond its answer: table versions (rule 4), catalog generations, settings,
 * pins, and the transaction they belong to. A write is announced before it is forwarded and again
 * when its transaction ends, before the writer hears of it.
 */
#include <stdio.h>
#include <string.h>

#include "planner/planner.h"
#include "proxy/base/alloc.h"
#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/dispatch/sequences.h"

enum { WRITE_FLAGS = PLAN_F_WRITES | PLAN_F_WRITES_ALL | PLAN_F_CATALOG | PLAN_F_RIGHTS };

static void bump_plan(struct dispatch *d, const struct client *c, const struct plan *plan)
{
    struct cache *cache = d->shared->cache;
    uint32_t db = c->pool->database_id;
    if (pw_plan_has(plan, PLAN_F_RIGHTS))
        pw_cache_bump_all(cache);
    else if (pw_plan_has(plan, PLAN_F_WRITES_ALL | PLAN_F_CATALOG))
        pw_cache_bump_database(cache, db);
    else
        for (uint32_t i = 0; i < plan->n_written; i++)
            pw_cache_bump_table(cache, db, plan->tables_written[i]);
}

static void remember_all(struct dispatch *d, struct client *c)
{
    if (c->txn_wrote_all)
        return;
    c->txn_wrote_all = true;
    pw_cache_write_begin(d->shared->cache, c->pool->database_id, 0);
}

/* What the open transaction touches: under way from now on, and announced again at its end. */
static void remember(struct dispatch *d, struct client *c, const struct plan *plan)
{
    struct cache *cache = d->shared->cache;
    uint32_t db = c->pool->database_id;
    c->txn_rights |= pw_plan_has(plan, PLAN_F_RIGHTS);
    c->txn_catalog |= pw_plan_has(plan, PLAN_F_CATALOG);
    if (pw_plan_has(plan, PLAN_F_WRITES_ALL | PLAN_F_CATALOG | PLAN_F_RIGHTS) ||
        c->n_txn_tables + plan->n_written > CLIENT_TXN_TABLES_MAX)
        remember_all(d, c);
    if (c->txn_wrote_all)
        return;
    if (!c->txn_tables)
        c->txn_tables = pw_alloc(CLIENT_TXN_TABLES_MAX * sizeof *c->txn_tables);
    for (uint32_t i = 0; i < plan->n_written; i++) {
        pw_cache_write_begin(cache, db, plan->tables_written[i]);
        c->txn_tables[c->n_txn_tables++] = plan->tables_written[i];
    }
}

/* SET search_path and kin, and then something that was planned before it took effect: in one
 * request. */
static bool is_misled(const struct ticket *t, uint32_t plan)
{
    for (uint32_t i = 0; i < plan; i++)
        if (pw_plan_has(t->plans[i], PLAN_F_CONTEXT))
            return true;
    return false;
}

/* Unqualified names are created in pg_temp when the search_path begins with it. */
static bool creates_in_temp(const struct client *c, const struct plan *plan)
{
    const char *path =
        pw_settings_get(c->txn_settings ? c->txn_settings : c->settings, "search_path");
    bool temp = path && strstr(path, "pg_temp");
    for (uint32_t i = 0; i < plan->n_sets; i++)
        temp |= plan->sets[i].value && strstr(plan->sets[i].value, "pg_temp");
    return temp;
}

static void note_pins(struct client *c, const struct plan *plan)
{
    uint32_t pins = plan->pins;
    if (pw_plan_has(plan, PLAN_F_CATALOG) && creates_in_temp(c, plan))
        pins |= PIN_BIT(PIN_TEMP_TABLE);
    if (pins & PIN_BIT(PIN_SQL_PREPARE)) {
        /* PREPARE said what EXECUTE may leave behind, under the catalog of its time. */
        if (c->prepared && !pw_plan_is_current(pw_client_plan_context(c), c->prepared))
            pins |= PIN_BIT(PIN_FUNCTION);
        if (!c->prepared || c->prepared->generation == PLAN_ANY_GENERATION) {
            pw_plan_unref(c->prepared);
            c->prepared = pw_plan_ref(plan);
        }
    }
    if (pins)
        pw_client_set_pins(c, c->pins | pins);
}

/* Names mean something else to this session than the planner knows: temporary tables stand before
 * others, search_path or role was changed by a function. What is written may be any table then, by
 * whatever function is really called. */
static bool goes_elsewhere(const struct client *c, const struct plan *plan)
{
    enum {
        UNSURE = PIN_BIT(PIN_TEMP_TABLE) | PIN_BIT(PIN_FUNCTION) | PIN_BIT(PIN_OPAQUE) |
                 PIN_BIT(PIN_CONTEXT)
    };
    return (c->pins & UNSURE) && plan->generation != PLAN_ANY_GENERATION &&
           (pw_plan_has(plan, PLAN_F_WRITES) || plan->user_code ||
            (c->pins & PIN_BIT(PIN_CONTEXT)));
}

/* The same under the other names of this database, as a whole. */
static void reach_siblings(struct dispatch *d, struct client *c, const struct plan *plan)
{
    struct cache *cache = d->shared->cache;
    uint32_t ids[CLIENT_SIBLINGS_MAX];
    size_t n =
        pw_databases_siblings(d->shared->databases, c->pool->database_id, ids, CLIENT_SIBLINGS_MAX);
    if (n > CLIENT_SIBLINGS_MAX) {
        c->txn_rights = true; /* everything, at the end too */
        pw_cache_bump_all(cache);
    }
    for (size_t i = 0; i < n && i < CLIENT_SIBLINGS_MAX; i++) {
        bool known = false;
        for (uint32_t k = 0; k < c->n_txn_siblings; k++)
            known |= c->txn_siblings[k] == ids[i];
        if (!known && c->n_txn_siblings < CLIENT_SIBLINGS_MAX) {
            c->txn_siblings[c->n_txn_siblings++] = ids[i];
            pw_cache_write_begin(cache, ids[i], 0);
        }
        pw_cache_bump_database(cache, ids[i]);
        if (pw_plan_has(plan, PLAN_F_CATALOG | PLAN_F_RIGHTS))
            pw_planner_catalog_changed(d->shared->planner, ids[i]);
    }
}

void pw_effects_anything(struct dispatch *d, struct client *c)
{
    remember(d, c, pw_plan_opaque());
    bump_plan(d, c, pw_plan_opaque());
    pw_planner_catalog_changed(d->shared->planner, c->pool->database_id);
    reach_siblings(d, c, pw_plan_opaque());
}

void pw_effects_begin(struct dispatch *d, struct ticket *t)
{
    struct client *c = t->client;
    if (!c)
        return;
    for (; t->n_plans_begun < t->n_plans; t->n_plans_begun++) {
        const struct plan *plan = t->plans[t->n_plans_begun];
        if (pw_plan_has(plan, WRITE_FLAGS)) {
            remember(d, c, plan);
            bump_plan(d, c, plan);
            if (pw_plan_has(plan, PLAN_F_CATALOG | PLAN_F_RIGHTS))
                pw_planner_catalog_changed(d->shared->planner, c->pool->database_id);
        }
        if (pw_plan_has(plan, WRITE_FLAGS) || goes_elsewhere(c, plan))
            reach_siblings(d, c, plan);
        pw_sequences_note(d, t, plan);
        if (is_misled(t, t->n_plans_begun))
            remember_all(d, c);
        if (goes_elsewhere(c, plan)) {
            remember_all(d, c);
            pw_cache_bump_database(d->shared->cache, c->pool->database_id);
        }
        note_pins(c, plan);
    }
}

bool pw_effects_has_written(const struct client *c)
{
    return c->n_txn_tables || c->n_txn_siblings || c->txn_wrote_all || c->txn_catalog ||
           c->txn_rights;
}

/* Also to names that were first used since the write began. */
static void announce_to_siblings(struct dispatch *d, const struct client *c)
{
    uint32_t ids[CLIENT_SIBLINGS_MAX];
    size_t n =
        pw_databases_siblings(d->shared->databases, c->pool->database_id, ids, CLIENT_SIBLINGS_MAX);
    if (n > CLIENT_SIBLINGS_MAX)
        pw_cache_bump_all(d->shared->cache);
    for (size_t i = 0; i < n && i < CLIENT_SIBLINGS_MAX; i++) {
        pw_cache_bump_database(d->shared->cache, ids[i]);
        if (c->txn_catalog || c->txn_rights)
            pw_planner_catalog_changed(d->shared->planner, ids[i]);
    }
}

static void announce(struct dispatch *d, struct client *c)
{
    struct cache *cache = d->shared->cache;
    uint32_t db = c->pool->database_id;
    if (c->txn_catalog || c->txn_rights)
        pw_planner_catalog_changed(d->shared->planner, db);
    if (c->txn_rights)
        pw_cache_bump_all(cache);
    else if (c->txn_wrote_all)
        pw_cache_bump_database(cache, db);
    for (uint32_t i = 0; i < c->n_txn_tables; i++)
        pw_cache_bump_table(cache, db, c->txn_tables[i]);
    if (pw_effects_has_written(c))
        announce_to_siblings(d, c);
}

/* An autocommitted statement is visible to others before its CommandComplete arrives. */
void pw_effects_progress(struct dispatch *d, struct ticket *t)
{
    if ((t->flags & WRITE_FLAGS) && t->client)
        announce(d, t->client);
}

static void drop_sets(struct client *c)
{
    for (uint32_t i = 0; i < c->n_txn_sets; i++) {
        pw_free(c->txn_sets[i].name);
        pw_free(c->txn_sets[i].value);
    }
    PW_FREE(c->txn_sets);
    c->n_txn_sets = 0;
}

static void forget_txn(struct dispatch *d, struct client *c)
{
    struct cache *cache = d->shared->cache;
    uint32_t db = c->pool->database_id;
    if (c->txn_wrote_all)
        pw_cache_write_end(cache, db, 0);
    for (uint32_t i = 0; i < c->n_txn_tables; i++)
        pw_cache_write_end(cache, db, c->txn_tables[i]);
    for (uint32_t i = 0; i < c->n_txn_siblings; i++)
        pw_cache_write_end(cache, c->txn_siblings[i], 0);
    c->n_txn_siblings = 0;
    c->txn_wrote_all = c->txn_catalog = c->txn_rights = false;
    c->n_txn_tables = 0;
    PW_FREE(c->txn_tables);
    pw_settings_unref(c->txn_settings);
    c->txn_settings = NULL;
    drop_sets(c);
}

void pw_effects_abort(struct dispatch *d, struct client *c)
{
    if (pw_effects_has_written(c))
        announce(d, c);
    forget_txn(d, c);
}

/* ---- settings */

/* value NULL: the default, which for the session is what it logged in with. */
static void apply_name(struct client *c, struct server *s, const char *value)
{
    snprintf(c->app_name, sizeof c->app_name, "%s", value ? value : c->login_app_name);
    snprintf(s->app_name, sizeof s->app_name, "%s", value ? value : "");
}

bool pw_effects_is_reset(const struct ticket *t)
{
    const struct client *c = t->client;
    if (!c || c->txn == 'E' || (!c->login_settings->n && !c->login_app_name[0]))
        return false;
    for (uint32_t i = 0; i < t->n_plans; i++)
        for (uint32_t k = 0; k < t->plans[i]->n_sets; k++)
            if (t->plans[i]->sets[k].kind == PLAN_SET_DEFAULT ||
                t->plans[i]->sets[k].kind == PLAN_RESET_ALL ||
                t->plans[i]->sets[k].kind == PLAN_DISCARD_ALL)
                return true;
    return false;
}

/* Values are bytes in the encoding that the session had then: in another one they cannot be
 * replayed. */
static bool is_tied_to_encoding(const struct settings *set)
{
    for (uint32_t i = 0; i < set->n; i++)
        for (const char *p = set->list[i].value; *p; p++)
            if ((uint8_t)*p > 127)
                return true;
    return false;
}

/* name has this value now, on the server and for the session. value NULL: the default, which for
 * the session is what it logged in with. */
static void apply_set(struct client *c, struct server *s, const char *name, const char *value)
{
    if (!strcmp(name, "application_name")) {
        apply_name(c, s, value);
        return;
    }
    const char *at_login = pw_settings_get(c->login_settings, name);
    if (!strcmp(name, "client_encoding") && is_tied_to_encoding(c->settings))
        pw_client_pin(c, PIN_SET);
    struct settings *mine = pw_settings_with(c->settings, name, value ? value : at_login);
    struct settings *its = pw_settings_with(s->settings, name, value);
    if (!mine || !its) { /* too long or too many: not replayed, so the session stays where it is */
        pw_settings_unref(mine);
        pw_settings_unref(its);
        pw_client_pin(c, PIN_SET);
        return;
    }
    pw_client_set_settings(c, mine);
    pw_settings_unref(s->settings);
    s->settings = its;
}

static void reset_all(struct client *c, struct server *s, bool role_too)
{
    const char *role = role_too ? NULL : pw_settings_get(c->settings, "role");
    struct settings *empty = pw_settings_ref(c->pool->settings.empty);
    struct settings *mine = pw_settings_ref(c->login_settings);
    if (role) {
        struct settings *with = pw_settings_with(mine, "role", role);
        struct settings *its = pw_settings_with(empty, "role", role);
        pw_settings_unref(mine);
        pw_settings_unref(empty);
        mine = with;
        empty = its;
    }
    pw_client_set_settings(c, mine);
    pw_settings_unref(s->settings);
    s->settings = empty;
}

static void push_set(struct client *c, const char *name, const char *value)
{
    if (c->n_txn_sets == CLIENT_TXN_SETS_MAX) {
        pw_client_pin(c, PIN_SET);
        return;
    }
    if (!c->txn_sets)
        c->txn_sets = pw_alloc(CLIENT_TXN_SETS_MAX * sizeof *c->txn_sets);
    c->txn_sets[c->n_txn_sets++] =
        (struct txn_set){pw_strdup(name), value ? pw_strdup(value) : NULL};
}

/* Names and quotes mean something else for the rest of the transaction. */
static void note_txn_context(struct dispatch *d, struct client *c, const struct plan_set *set)
{
    static const char *const names[] = {"search_path", "role", "standard_conforming_strings",
                                        "client_encoding"};
    struct settings *base = c->txn_settings ? c->txn_settings : c->settings, *with = NULL;
    bool known = false;
    for (size_t i = 0; i < PW_COUNT_OF(names); i++)
        known |= !strcmp(set->name, names[i]);
    if (known && set->value)
        with = pw_settings_with(base, set->name, set->value);
    else if (known && set->kind == PLAN_SET_DEFAULT)
        with = pw_settings_with(base, set->name, pw_settings_get(c->login_settings, set->name));
    if (with) {
        pw_settings_unref(c->txn_settings);
        c->txn_settings = with;
        return;
    }
    remember_all(d, c); /* a value that is not known, or another name */
    pw_client_pin(c, PIN_SET);
}

static void note_sets(struct dispatch *d, struct client *c, struct server *s,
                      const struct plan *plan, bool in_txn)
{
    for (uint32_t i = 0; in_txn && pw_plan_has(plan, PLAN_F_CONTEXT) && i < plan->n_sets; i++)
        if (pw_plan_is_context_setting(plan->sets[i].name))
            note_txn_context(d, c, &plan->sets[i]);
    for (uint32_t i = 0; i < plan->n_sets; i++) {
        const struct plan_set *set = &plan->sets[i];
        const char *value = set->kind == PLAN_SET_VALUE ? set->value : NULL;
        switch (set->kind) {
        case PLAN_SET_VALUE:
        case PLAN_SET_DEFAULT:
            if (in_txn)
                push_set(c, set->name, value);
            else
                apply_set(c, s, set->name, value);
            break;
        case PLAN_RESET_ALL:
            if (in_txn)
                pw_client_pin(c, PIN_SET);
            else {
                reset_all(c, s, false);
                apply_name(c, s, NULL);
            }
            break;
        case PLAN_DISCARD_ALL:
            reset_all(c, s, true);
            apply_name(c, s, NULL);
            break;
        case PLAN_SET_LOCAL:
            break; /* ends with the transaction */
        }
    }
}

static void end_txn_sets(struct client *c, struct server *s, bool committed)
{
    for (uint32_t i = 0; committed && i < c->n_txn_sets; i++)
        apply_set(c, s, c->txn_sets[i].name, c->txn_sets[i].value);
    drop_sets(c);
}

/* COMMIT AND CHAIN, or COMMIT and BEGIN in one message: what was SET stays, what was SET LOCAL is
 * over. */
static void chain(struct client *c, struct server *s)
{
    end_txn_sets(c, s, true);
    pw_settings_unref(c->txn_settings);
    c->txn_settings = NULL;
}

/* What came in the same request behind the last DISCARD ALL. */
static uint32_t pins_after_discard(const struct ticket *t)
{
    uint32_t pins = 0;
    for (uint32_t i = 0; i < t->n_plans; i++)
        pins = pw_plan_has(t->plans[i], PLAN_F_UNPINS) ? 0 : pins | t->plans[i]->pins;
    return pins;
}

/* The session has PREPAREd, UNLISTENed, dropped, ended a transaction: are its pins still needed? */
static void doubt_pins(struct client *c, const struct ticket *t, bool in_txn)
{
    bool maybe_not_done = in_txn || t->failed || (t->flags & PLAN_F_TXN_END);
    if ((t->flags & PLAN_F_UNDOES) || t->closes_unknown || (t->pins_added && maybe_not_done))
        c->pins_doubtful = true;
    if (t->n_plans == 1 && !t->failed && !strcmp(t->plans[0]->tag, "DISCARD SEQUENCES") &&
        t->plans[0]->n_statements == 1)
        pw_client_set_pins(c, c->pins & ~PIN_BIT(PIN_SEQUENCE));
}

/* One statement that set something and did nothing else: what is reported now, any server would
 * report. */
static void learn_from(struct client *c, const struct ticket *t, const struct server *s)
{
    if ((t->flags & PLAN_F_SETS) && !(t->flags & PLAN_F_MULTI) && t->n_plans == 1 && !t->failed &&
        c->pin == PIN_NONE && s->txn == 'I')
        pw_welcome_learn(c->settings, s);
}

void pw_effects_end(struct dispatch *d, struct ticket *t, struct server *s)
{
    struct client *c = t->client;
    if (!c)
        return;
    bool was_in_txn = c->txn != 'I', in_txn = s->txn != 'I';
    bool mixed =
        (t->flags & PLAN_F_SETS) && (t->flags & (PLAN_F_TXN_BEGIN | PLAN_F_TXN_END)) && t->n_plans;
    if (mixed) /* SET between BEGIN and COMMIT in one message: which of them lasts is not worth
                  guessing */
        pw_client_pin(c, PIN_SET);
    else if (!t->failed)
        for (uint32_t i = 0; i < t->n_plans; i++)
            if (t->plans[i]->n_sets)
                note_sets(d, c, s, t->plans[i], in_txn);
    /* A syntax error, or an unknown name: nothing of the message was run, so nothing was left
     * behind. */
    bool ran_nothing = t->ran_nothing || (t->n_plans == 1 && !strcmp(t->sqlstate, "42601"));
    if (t->pins_added && c->translate && ran_nothing)
        pw_client_set_pins(c, c->pins & ~t->pins_added);
    bool in_part = (in_txn && t->txn_tag == 'R') ||
                   t->n_txn_tags > 1; /* as ROLLBACK TO; or several ends in one message */
    if (in_part && in_txn && c->txn_settings)
        remember_all(d, c);
    if (in_part && c->n_txn_sets) { /* which of them were undone? */
        pw_client_pin(c, PIN_SET);
        drop_sets(c);
    }
    if (in_txn && t->txn_tag == 'C' && !in_part)
        chain(c, s);
    if (!in_txn) {
        if (c->n_txn_sets)
            end_txn_sets(c, s, t->txn_tag == 'C');
        if (pw_effects_has_written(c))
            announce(d, c);
        forget_txn(d, c);
        pw_names_clear(&c->portals);
        pw_stat_add(&c->pool->stats->xacts, 1);
        pw_metric_inc(d->env.metrics, PW_METRIC_TRANSACTIONS);
        uint64_t took = d->env.loop->now_us - (was_in_txn ? c->txn_start_us : t->sent_us);
        pw_stat_add(&c->pool->stats->xact_us, took);
        if (was_in_txn)
            pw_metric_observe(d->env.metrics, PW_HIST_TRANSACTION, took);
        if ((t->flags & PLAN_F_UNPINS) && !t->failed) {
            pw_client_set_pins(c, pins_after_discard(t));
            if (!c->translate && c->stmts.map.count && s->needs_reset == SERVER_RESET_NOTHING)
                s->needs_reset =
                    SERVER_RESET_STATEMENTS; /* prepared behind it under its own names */
            c->translate = c->pool->db->pool_mode != CONF_POOL_SESSION;
        }
    } else if (!was_in_txn) {
        c->txn_start_us = t->sent_us;
    }
    doubt_pins(c, t, in_txn);
    c->txn = s->txn;
    learn_from(c, t, s);
}
