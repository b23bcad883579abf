/*
 * Settings sets: the GUC values a session has changed from its pool's defaults, as an interned
 * immutable list. Equal lists are the same pointer, so "does this server have what this client
 * needs?" is one comparison. Interned per pool (a pool is one database and user on one worker); not
 * thread-safe. application_name is not part of a set: it changes no answer, and follows the client
 * separately.
 */
#ifndef PROXY_POOL_SETTINGS_H
#define PROXY_POOL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/hashmap.h"
#include "proxy/base/slice.h"
#include "proxy/wire/params.h"

struct setting {
    char *name, *value; /* OWN */
};

struct settings_table;

struct settings {
    struct hash_node node;        /* LINK table->map */
    struct settings_table *table; /* BACK: the table outlives its sets */
    uint32_t refs;
    uint32_t n;
    struct setting *list; /* OWN, sorted by name */
    char *bytes;          /* OWN; length-prefixed pairs: identity, and part of every cache key */
    uint32_t bytes_len;
    bool welcome_known;
    struct params welcome;    /* what a server reports with these settings (for logins) */
    const void *plan_context; /* BORROW; set once by dispatch: the planner's interned context */
};

struct settings_table {
    struct hashmap map;
    struct settings *empty; /* REF; the pool's defaults */
};

enum { PW_SETTINGS_MAX = 64, PW_SETTING_VALUE_MAX = 8192 };

void pw_settings_table_init(struct settings_table *t);
void pw_settings_table_forget_welcomes(
    struct settings_table *t);                         /* the next login with each asks again */
void pw_settings_table_free(struct settings_table *t); /* all other references are gone */
struct settings *pw_settings_ref(struct settings *s);
void pw_settings_unref(struct settings *s); /* NULL is allowed */
/* A set like `base` with name changed (value NULL: back to the default). Returns a new reference,
 * or NULL when a limit is exceeded. */
struct settings *pw_settings_with(struct settings *base, const char *name, const char *value);
const char *pw_settings_get(const struct settings *s, const char *name); /* NULL: default */
/* What turns a server with `from` into one with `to`, in the order in which it has to be done: role
 * is undone first and set last (others may need the login role's rights), client_encoding comes
 * before the values that are written in it. */
struct setting_change {
    const char *name, *value; /* BORROW from the two sets; value NULL: RESET */
};
enum { PW_SETTINGS_DIFF_MAX = 2 * PW_SETTINGS_MAX + 2 };
uint32_t pw_settings_diff(const struct settings *from, const struct settings *to,
                          struct setting_change list[PW_SETTINGS_DIFF_MAX]);
void pw_settings_append_reset(struct buf *sql, const char *name); /* the statement, without its ; */
/* Appends one statement that sets name. */
void pw_settings_append_set(struct buf *sql, const char *name, const char *value);
/* Appends a string literal that means `text` whatever standard_conforming_strings says. */
bool pw_settings_append_literal(struct buf *sql, const char *text);

#endif
