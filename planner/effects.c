/* See effects.h. */
#include "planner/effects.h"

#include <stdlib.h>
#include <string.h>

enum effect_kind pw_effects_builtin(const char *name)
{
    static const struct {
        const char *name;
        enum effect_kind kind;
    } rows[] = {
#define FUNCTION(name, kind) {name, kind},
#include "planner/functions.def"
#undef FUNCTION
    };
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++) {
        if (strcmp(name, rows[i].name) == 0)
            return rows[i].kind;
    }
    return EFFECT_NONE;
}

bool pw_effects_is_common(const char *name)
{
    static const char *const names[] = {
#define COMMON(name) name,
#include "planner/common.def"
#undef COMMON
    };
    for (size_t i = 0; i < PW_COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static void locks(struct draft *d, uint32_t flags)
{
    d->flags |= PLAN_F_VOLATILE | PLAN_F_LOCKS | flags;
    pw_draft_refuse_both(d, PLAN_WHY_VOLATILE_FUNCTION);
}

static void apply(struct draft *d, enum effect_kind kind)
{
    switch (kind) {
    case EFFECT_NONE:
        break;
    case EFFECT_HARMLESS:
        d->flags |= PLAN_F_VOLATILE;
        pw_draft_refuse_both(d, PLAN_WHY_VOLATILE_FUNCTION);
        break;
    case EFFECT_SEQUENCE:
        d->flags |= PLAN_F_VOLATILE | PLAN_F_SEQUENCE;
        pw_draft_refuse_both(d, PLAN_WHY_VOLATILE_FUNCTION);
        break;
    case EFFECT_CURRVAL:
        d->flags |= PLAN_F_VOLATILE | PLAN_F_CURRVAL | PLAN_F_SESSION_READ;
        pw_draft_pin(d, PIN_SEQUENCE);
        pw_draft_refuse_both(d, PLAN_WHY_VOLATILE_FUNCTION);
        break;
    case EFFECT_SETTING: /* its values are seen by classify_session, which comes first */
        d->flags |= PLAN_F_VOLATILE | PLAN_F_CONTEXT;
        pw_draft_pin(d, PIN_SET);
        pw_draft_pin(d, PIN_CONTEXT); /* it may be search_path */
        pw_draft_refuse_both(d, PLAN_WHY_VOLATILE_FUNCTION);
        break;
    case EFFECT_TIMEZONE: /* judged by the classifier, which sees the types near it */
        break;
    case EFFECT_STATE:
        d->flags |= PLAN_F_VOLATILE;
        pw_draft_writes_all(d);
        pw_draft_pin(d, PIN_FUNCTION);
        pw_draft_refuse_both(d, PLAN_WHY_VOLATILE_FUNCTION);
        break;
    case EFFECT_RELOAD:
        d->flags |= PLAN_F_VOLATILE | PLAN_F_CATALOG | PLAN_F_RIGHTS;
        pw_draft_writes_all(d);
        pw_draft_refuse_both(d, PLAN_WHY_VOLATILE_FUNCTION);
        break;
    case EFFECT_ADVISORY:
        pw_draft_pin(d, PIN_ADVISORY_LOCK);
        locks(d, 0);
        break;
    case EFFECT_TRY_ADVISORY: /* it may not have got the lock */
        pw_draft_pin(d, PIN_ADVISORY_LOCK);
        locks(d, PLAN_F_UNDOES);
        break;
    case EFFECT_UNLOCK:
        locks(d, PLAN_F_UNDOES);
        break;
    case EFFECT_LOCK:
        locks(d, 0);
        break;
    case EFFECT_SESSION:
        d->flags |= PLAN_F_SESSION_READ;
        pw_draft_refuse_both(d, PLAN_WHY_SPECIAL_VALUE);
        break;
    case EFFECT_MOMENT:
        pw_draft_refuse(d, PLAN_WHY_SPECIAL_VALUE);
        break;
    }
}

static void unknown_function(struct draft *d, enum plan_reason why)
{
    d->user_code = true;
    d->flags |= PLAN_F_VOLATILE;
    pw_draft_writes_all(d);
    pw_draft_pin(d, PIN_FUNCTION);
    pw_draft_refuse_both(d, why);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

static bool is_reviewed(const char *name)
{
    static const char *const names[] = {
#include "planner/stable.def"
    };
    return bsearch(name, names, PW_COUNT_OF(names), sizeof names[0], compare_names) != NULL;
}

/* ---- functions ---- */

enum { FIRST_USER_OID = 16384, PARSED_BODIES_MAX = 64 };

/* True: look into it. What was looked into before has said all it has to say to this draft, so that
 * bodies that call each other cost no more than their length. */
static bool is_first_time(struct draft *d, struct oid_list *seen, const struct cat_object *o)
{
    if (pw_oid_list_has(seen, o->oid))
        return false;
    if (seen->n < DRAFT_FUNCTIONS_MAX)
        return pw_oid_list_add(seen, o->oid);
    unknown_function(d, PLAN_WHY_UNKNOWN_FUNCTION);
    return false;
}

static bool is_new(struct draft *d, const struct cat_function *f)
{
    return f->object.oid < FIRST_USER_OID || is_first_time(d, &d->functions, &f->object);
}

void pw_effects_relation(struct draft *d, const struct catalog *c, const struct cat_table *t)
{
    const char *text = t->kind == 'v' ? t->view_text : t->row_security ? t->write_text : NULL;
    if (text && !t->is_system && is_first_time(d, &d->views, &t->object))
        pw_effects_body(d, c, text, NULL);
}

static void look_into(struct draft *d, const struct catalog *c, const struct cat_function *f,
                      struct body_seen *seen)
{
    pw_effects_body(d, c, f->source, seen);
    if (d->functions.n <= PARSED_BODIES_MAX) /* for people only */
        pw_effects_body_tables(d, c, f);
}

/* Aggregates of users are here too: they bear no name of ours. */
static void builtin_function(struct draft *d, const struct catalog *c, const struct cat_function *f)
{
    if (f->source)
        pw_effects_body(d, c, f->source, NULL);
    bool is_ours = f->object.oid < FIRST_USER_OID;
    enum effect_kind kind = is_ours ? pw_effects_builtin(f->object.name) : EFFECT_NONE;
    if (kind != EFFECT_NONE) {
        apply(d, kind);
    } else if (f->volatility == 'v') {
        d->flags |= PLAN_F_VOLATILE;
        pw_draft_writes_all(d);
        pw_draft_refuse_both(d, PLAN_WHY_VOLATILE_FUNCTION);
    } else if (f->volatility == 's' && !(is_ours && is_reviewed(f->object.name))) {
        pw_draft_refuse(d, PLAN_WHY_STABLE_FUNCTION);
    }
}

/* Native code: what it declares is believed; volatile may be anything, unless it is a known one. */
static void native_function(struct draft *d, const struct cat_function *f)
{
    enum effect_kind kind = pw_effects_builtin(f->object.name);
    if (f->volatility == 'v' && kind == EFFECT_HARMLESS)
        apply(d, kind);
    else if (f->volatility == 'v')
        unknown_function(d, PLAN_WHY_VOLATILE_FUNCTION);
    else if (f->volatility == 's' || f->language == CAT_LANGUAGE_OTHER)
        pw_draft_refuse(d, PLAN_WHY_STABLE_FUNCTION);
}

/* The defaults of arguments are evaluated at the call, whatever the function itself is. */
static void use_defaults(struct draft *d, const struct catalog *c, const struct cat_function *f)
{
    struct body_seen seen = {0};
    pw_effects_body(d, c, f->defaults, &seen);
    if (seen.impure)
        pw_draft_refuse(d, PLAN_WHY_STABLE_FUNCTION);
}

static void written_function(struct draft *d, const struct catalog *c, const struct cat_function *f)
{
    struct body_seen seen = {0};
    if (!f->source || !*f->source) {
        /* One that says it changes nothing may call another that does. */
        unknown_function(d, f->volatility == 'v' ? PLAN_WHY_VOLATILE_FUNCTION
                                                 : PLAN_WHY_UNKNOWN_FUNCTION);
        return;
    }
    look_into(d, c, f, &seen);
    bool reads_dates = f->takes_text && (seen.dates || f->converts_result);
    if (f->volatility == 'v') {
        d->flags |= PLAN_F_VOLATILE;
        pw_draft_refuse_both(d, PLAN_WHY_VOLATILE_FUNCTION);
    } else if (f->volatility == 's' || seen.impure || reads_dates) {
        pw_draft_refuse(d, PLAN_WHY_STABLE_FUNCTION);
    }
}

void pw_effects_overload(struct draft *d, const struct catalog *c, const struct cat_function *f)
{
    d->user_code = d->user_code || f->language != CAT_LANGUAGE_BUILTIN;
    if (!is_new(d, f))
        return;
    if (f->defaults)
        use_defaults(d, c, f);
    switch (f->language) {
    case CAT_LANGUAGE_BUILTIN:
        builtin_function(d, c, f);
        break;
    case CAT_LANGUAGE_SQL:
    case CAT_LANGUAGE_PLPGSQL:
        written_function(d, c, f);
        break;
    case CAT_LANGUAGE_C:
    case CAT_LANGUAGE_OTHER:
        native_function(d, f);
        break;
    }
}

/* A trigger's own volatility says nothing: it is always called for its effects. */
void pw_effects_trigger(struct draft *d, const struct catalog *c, const struct cat_function *f)
{
    if (f && f->source && *f->source) {
        if (is_new(d, f))
            look_into(d, c, f, NULL);
    } else if (!f || f->language != CAT_LANGUAGE_BUILTIN)
        pw_draft_writes_all(d);
}

static void without_catalog(struct draft *d, const char *schema, const char *name)
{
    enum effect_kind kind = pw_effects_builtin(name);
    d->user_code = true;
    bool may_be_builtin = !*schema || strcmp(schema, "pg_catalog") == 0;
    if (kind != EFFECT_NONE)
        apply(d, kind);
    else if (!may_be_builtin || !pw_effects_is_common(name)) {
        unknown_function(d, PLAN_WHY_UNKNOWN_FUNCTION);
        d->is_guess = true;
    }
    pw_draft_refuse_both(d, PLAN_WHY_NO_CATALOG);
}

void pw_effects_function(struct draft *d, const struct catalog_view *view, const char *schema,
                         const char *name)
{
    d->needs_catalog = true;
    if (!view) {
        without_catalog(d, schema, name);
        return;
    }
    const struct cat_function *f = NULL;
    bool found = false;
    while ((f = pw_view_function(view, schema, name, f))) {
        found = true;
        pw_draft_call(d, name, f->volatility);
        pw_effects_overload(d, pw_catalog_view_catalog(view), f);
    }
    if (found)
        return;
    pw_draft_call(d, name, '?');
    unknown_function(d, PLAN_WHY_UNKNOWN_FUNCTION);
}

/* ---- operators ---- */

/* What a user's function says of itself is believed as far as when it is called by name. */
static void use_code(struct draft *d, const struct catalog_view *view, const struct cat_operator *o)
{
    enum plan_reason before = d->reason;
    pw_effects_overload(d, pw_catalog_view_catalog(view), o->code);
    if (before == PLAN_WHY_NOT_NONE && d->reason == PLAN_WHY_STABLE_FUNCTION)
        d->reason = PLAN_WHY_UNKNOWN_OPERATOR;
}

void pw_effects_operator(struct draft *d, const struct catalog_view *view, const char *schema,
                         const char *name)
{
    d->needs_catalog = true;
    if (!view) {
        pw_draft_refuse(d, PLAN_WHY_NO_CATALOG);
        return;
    }
    const struct cat_operator *o = NULL;
    bool found = false;
    while ((o = pw_view_operator(view, schema, name, o))) {
        found = true;
        d->user_code = d->user_code || !o->function || !*o->function;
        pw_draft_call(d, name, o->volatility);
        if (o->code && o->code->language != CAT_LANGUAGE_BUILTIN) {
            use_code(d, view, o);
            continue;
        }
        if (o->volatility == 'i' ||
            (o->volatility == 's' && o->function && is_reviewed(o->function)))
            continue;
        if (o->volatility == 'v')
            unknown_function(d, PLAN_WHY_VOLATILE_FUNCTION);
        pw_draft_refuse(d, PLAN_WHY_UNKNOWN_OPERATOR);
    }
    if (!found)
        pw_draft_refuse_both(d, PLAN_WHY_UNKNOWN_OPERATOR);
}
