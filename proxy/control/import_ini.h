/* PgBouncer's ini syntax: sections, key = value, the key=value words of a database's connection
 * string. Pure. */
#ifndef PROXY_CONTROL_IMPORT_INI_H
#define PROXY_CONTROL_IMPORT_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "proxy/base/slice.h"

struct ini_entry {
    char *section, *key, *value; /* OWN */
    size_t line;
};

struct ini {
    struct ini_entry *entries; /* OWN */
    size_t n;
};

/* False: errors hold "FILE:LINE: message"; *ini must be freed in any case. */
bool pw_ini_parse(struct slice text, const char *file_name, struct ini *ini,
                  struct conf_errors *errors);
void pw_ini_free(struct ini *ini);
/* The last value of a key, as PgBouncer reads it; NULL when it is not there. */
const char *pw_ini_get(const struct ini *ini, const char *section, const char *key);

/* Takes the next word=value off *rest ('' is a quote inside quotes) into key and value of `size`
 * bytes each. 1: taken, 0: nothing left, -1: malformed. */
int pw_ini_next_word(const char **rest, char *key, char *value, size_t size);

#endif
