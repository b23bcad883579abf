/*
 * Settings as text with where each came from, before they have types: what the file, the
 * environment and the command line are read into, weakest first, and what a snapshot keeps so that
 * SET can make a changed copy. Owns its strings. One thread.
 */
#ifndef CONF_RAW_H
#define CONF_RAW_H

#include "conf/conf.h"
#include "conf/table.h"
#include "proxy/base/slice.h"

enum {
    CONF_FILE_MAX = 1 << 20,
    CONF_DATABASES_MAX = 1000,
    CONF_RULES_MAX = 1000,
    CONF_LIST_MAX = 1000,
    CONF_NAME_MAX = 63, /* PostgreSQL's own bound on names */
    CONF_ERRORS_MAX = 100,
};

struct raw_entry {
    const struct conf_row
        *row;       /* BORROW, static; NULL: only says that the database or rule exists */
    char *database; /* OWN; NULL: not a database's setting */
    size_t rule;    /* of cache.rules, counted from 1; 0: not a rule's setting */
    char **values;  /* OWN: one, or a list's */
    size_t n_values;
    enum conf_source source;
    char *where; /* OWN: "FILE:LINE:COLUMN", "environment PGWEIR_...", "--set" */
};

struct raw {
    struct raw_entry *entries; /* OWN */
    size_t n, capacity;
};

void pw_raw_init(struct raw *r);
void pw_raw_free(struct raw *r);
/* A new entry; every text is copied. BORROW until the next add. */
struct raw_entry *pw_raw_add(struct raw *r, const struct conf_row *row, const char *database,
                             size_t rule, enum conf_source source, const char *where);
void pw_raw_add_value(struct raw_entry *e, struct slice value);
void pw_raw_copy(struct raw *to, const struct raw *from);

/* Errors: text as "where: message". Past CONF_ERRORS_MAX they are dropped. */
void pw_conf_error(struct conf_errors *errors, const char *where, const char *fmt, ...)
    PW_PRINTF(3, 4);
void pw_conf_warning(struct conf_errors *errors, const char *where, const char *fmt, ...)
    PW_PRINTF(3, 4);

/* A whole small file (OWN, see pw_file_read); NULL: errors, which is initialised, says why. */
PW_MUSTUSE char *pw_conf_read_file(const char *path, size_t max, size_t *len,
                                   struct conf_errors *errors);

/* Everything in from goes to the end of to; from is empty afterwards. */
void pw_conf_errors_move(struct conf_errors *to, struct conf_errors *from);

/* The readers of each source. */
void pw_yaml_read(struct raw *r, const char *text, size_t len, const char *file_name,
                  struct conf_errors *errors);
void pw_env_read(struct raw *r, char *const *environ_, struct conf_errors *errors);
/* "section.key" or "databases.NAME.key" and its text; lists are split at commas. where: for
 * messages. */
void pw_raw_read_pair(struct raw *r, const char *key, const char *value, enum conf_source source,
                      const char *where, struct conf_errors *errors);
void pw_raw_unknown_key(struct conf_errors *errors, const char *where, const struct conf_row *rows,
                        size_t n, const char *section, struct slice key);

#endif
