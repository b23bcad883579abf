/*
 * PgBouncer's userlist.txt: "user" "secret" per line, "" for a quote inside quotes, the rest of a
 * line ignored, other lines (comments) ignored. Immutable once read; the owner frees it, secrets
 * are wiped. Never print a secret.
 */
#ifndef CONF_USERLIST_H
#define CONF_USERLIST_H

#include "conf/conf.h"

enum userlist_kind {
    USERLIST_PLAIN, /* the password itself */
    USERLIST_MD5,   /* "md5" and 32 hexadecimal digits */
    USERLIST_SCRAM, /* SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey */
    USERLIST_NONE,  /* empty: this user cannot log in with a password */
};

struct userlist_entry {
    char *user, *secret; /* OWN by the list */
    enum userlist_kind kind;
    size_t line;
};

struct userlist;

/* Errors are "FILE:LINE: message", all of them; NULL when there was one. A user given twice: the
 * last wins and a warning says so. *errors is initialised; free it in any case. */
PW_MUSTUSE struct userlist *pw_userlist_parse(const char *text, size_t len, const char *file_name,
                                              struct conf_errors *errors);
PW_MUSTUSE struct userlist *pw_userlist_load(const char *path,
                                             struct conf_errors *errors); /* up to 16 MB */
void pw_userlist_free(struct userlist *list);                             /* NULL is allowed */

const struct userlist_entry *pw_userlist_find(const struct userlist *list, const char *user);
size_t pw_userlist_count(const struct userlist *list);
const struct userlist_entry *pw_userlist_at(const struct userlist *list,
                                            size_t i); /* sorted by name */

#endif
