/*
 * What one database contains, as far as the meaning of SQL depends on it: schemas, tables and what
 * they are made of, functions, operators, types. Immutable once built (catalog_build.h),
 * reference-counted, replaced whole. Any thread, through a reference; all pointers live as long as
 * it does.
 */
#ifndef PLANNER_CATALOG_H
#define PLANNER_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/hashmap.h"

struct catalog;

/* Every object: found by name, then by schema. */
struct cat_object {
    struct hash_node node;
    const char *name;
    uint32_t oid, schema;
};

struct cat_column {
    const char *name;
    uint32_t type;
    int16_t attnum;
    bool is_text;          /* of a string type or an array of them: may hold 'now' */
    bool is_timetz;        /* time with time zone: its arithmetic depends on the moment */
    bool has_typmod;       /* varchar(3), numeric(4, 1): a stored value may differ from the given */
    bool is_deterministic; /* equal means equal bytes, as far as the collation goes */
};

/* A unique index on plain columns, whole and checked at once. */
struct cat_key {
    uint32_t index;
    bool is_primary;
    const int16_t *columns; /* attnums */
    uint32_t n_columns;
};

struct cat_table {
    struct cat_object object;
    struct hash_node by_oid;
    char kind; /* pg_class.relkind */
    bool is_temporary, is_system, row_security, has_rules, has_serial, has_parent;
    const char *view_text;  /* of a view: its query, every name qualified; NULL: unknown */
    const char *write_text; /* expressions that a write evaluates: defaults, checks, policies */
    const uint32_t *children, *cascades; /* oids: inheritance; foreign keys with an action */
    const struct cat_function *const *triggers;
    const struct cat_column *columns; /* in their order */
    const struct cat_key *keys;       /* the primary key first */
    uint32_t n_children, n_cascades, n_triggers, n_columns, n_keys;
};

enum cat_language {
    CAT_LANGUAGE_BUILTIN,
    CAT_LANGUAGE_C,
    CAT_LANGUAGE_SQL,
    CAT_LANGUAGE_PLPGSQL,
    CAT_LANGUAGE_OTHER
};

struct cat_function {
    struct cat_object object;
    char volatility; /* 'i' 's' 'v'; of an aggregate: the worst of its parts */
    enum cat_language language;
    bool takes_row;        /* may be called as row.name */
    bool returns_text;     /* a string type, or one that is known only at the call */
    bool takes_text;       /* an argument that is a string or may hold one */
    bool converts_result;  /* plpgsql: what it returns may be made from a string */
    const char *source;    /* sql, plpgsql; of an aggregate the calls of its parts; or NULL */
    const char *defaults;  /* of its arguments, when they have some */
    const char *signature; /* of plpgsql: "(a integer) RETURNS trigger"; NULL for the others */
};

struct cat_operator {
    struct cat_object object;
    char volatility;
    bool returns_text;
    bool takes_builtin; /* an operand of a built-in type: may stand in for a built-in operator */
    const char *function;
    const struct cat_function *code; /* the same; NULL: not known */
};

/* May a value of this type be made from text without asking the clock or the catalog? */
enum cat_verdict { CAT_UNSAFE, CAT_SAFE, CAT_DATELIKE /* unless it says 'now' */ };

struct cat_type {
    struct cat_object object;
    enum cat_verdict verdict;
    bool is_text;
};

struct catalog *pw_catalog_ref(struct catalog *c);
void pw_catalog_unref(struct catalog *c);            /* any thread; NULL is allowed */
uint64_t pw_catalog_digest(const struct catalog *c); /* of everything that was read */
const struct cat_table *pw_catalog_table(const struct catalog *c, uint32_t oid); /* or NULL */
const char *pw_catalog_schema_name(const struct catalog *c, uint32_t oid);       /* or "" */
/* A cast made by a user calls something else than an immutable function: nothing is proven any
 * more. */
bool pw_catalog_has_odd_casts(const struct catalog *c);
/* What is called without being named in a statement: the checks of domains, volatile casts. "" or
 * SQL. */
const char *pw_catalog_unnamed_calls(const struct catalog *c);
/* Some role's, the database's or the server's default_transaction_isolation. */
bool pw_catalog_is_serializable(const struct catalog *c);
/* DDL of any kind may run functions. */
bool pw_catalog_has_event_triggers(const struct catalog *c);

/* The catalog as one role with one search_path sees it (NULL: the default of who logged in, which
 * may not be known: then every schema counts. A session keeps the default of its beginning, so
 * those of before count too). Takes a reference of its own. */
struct catalog_view;
struct catalog_view *pw_catalog_view_new(struct catalog *c, const char *login, const char *user,
                                         const char *search_path);
void pw_catalog_view_free(struct catalog_view *v); /* NULL is allowed */
const struct catalog *pw_catalog_view_catalog(const struct catalog_view *v);

/* All objects that the name may mean (several: overloads; or a path whose schemas the role may not
 * all use). Start with NULL. schema "": the search path. */
const struct cat_table *pw_view_table(const struct catalog_view *v, const char *schema,
                                      const char *name, const struct cat_table *after);
const struct cat_function *pw_view_function(const struct catalog_view *v, const char *schema,
                                            const char *name, const struct cat_function *after);
const struct cat_operator *pw_view_operator(const struct catalog_view *v, const char *schema,
                                            const char *name, const struct cat_operator *after);
const struct cat_type *pw_view_type(const struct catalog_view *v, const char *schema,
                                    const char *name, const struct cat_type *after);

#endif
