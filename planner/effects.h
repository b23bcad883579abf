/* What calling a function, using an operator or casting does to the verdicts of a plan. */
#ifndef PLANNER_EFFECTS_H
#define PLANNER_EFFECTS_H

#include <stdbool.h>

#include "planner/catalog.h"
#include "planner/draft.h"

/* Kinds of rows in functions.def. */
enum effect_kind {
    EFFECT_NONE,
    EFFECT_HARMLESS, /* volatile, but changes nothing we must know of */
    EFFECT_SEQUENCE, /* nextval, setval */
    EFFECT_CURRVAL,
    EFFECT_SETTING,  /* set_config */
    EFFECT_STATE,    /* leaves other session state */
    EFFECT_ADVISORY, /* session advisory locks */
    EFFECT_TRY_ADVISORY,
    EFFECT_UNLOCK,   /* of session advisory locks */
    EFFECT_LOCK,     /* transaction advisory locks */
    EFFECT_SESSION,  /* looks at the session */
    EFFECT_MOMENT,   /* stable, but depends on the moment or the role */
    EFFECT_RELOAD,   /* the defaults of settings change for everybody */
    EFFECT_TIMEZONE, /* AT TIME ZONE: proven unless a time with time zone is near */
};
enum effect_kind pw_effects_builtin(const char *name);
bool pw_effects_is_common(const char *name); /* a well-known side-effect-free built-in */

/* schema "" is the search path. view may be NULL: no catalog, so only built-ins are known. All
 * overloads count. */
void pw_effects_function(struct draft *d, const struct catalog_view *view, const char *schema,
                         const char *name);
void pw_effects_operator(struct draft *d, const struct catalog_view *view, const char *schema,
                         const char *name);
/* Of one overload and, when it is written in a language, of all that its body may call; each body
 * is looked into once for a draft. */
void pw_effects_overload(struct draft *d, const struct catalog *c, const struct cat_function *f);
/* A relation that a body may read: the functions in its query or its policies. */
void pw_effects_relation(struct draft *d, const struct catalog *c, const struct cat_table *t);
void pw_effects_trigger(struct draft *d, const struct catalog *c, const struct cat_function *f);

/* body_tables.c: adds the tables that a PL/pgSQL body names to d's tables read: for people and the
 * advisor. What the body may do is pw_effects_body's to say; nothing is concluded from a table that
 * is not found, or from a body that is not understood. */
void pw_effects_body_tables(struct draft *d, const struct catalog *c, const struct cat_function *f);

/* body.c: what SQL or PL/pgSQL text may do, judged by its words. Adds the effects to d. What it saw
 * is added to seen, which may be NULL. */
struct body_seen {
    bool impure; /* reads tables or the moment, writes, or calls anything that is not immutable */
    bool dates;  /* names a type whose text may say 'now' */
};
void pw_effects_body(struct draft *d, const struct catalog *c, const char *text,
                     struct body_seen *seen);

#endif
