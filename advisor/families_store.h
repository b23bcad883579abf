/*
 * The counters of query families over restarts, in the history store (SQLite under state_dir, the
 * file of advisor/history.h): normalized texts and counts, never a value. A broken store costs
 * memory of the past, never the work. One thread; a busy store is not waited for.
 */
#ifndef ADVISOR_FAMILIES_STORE_H
#define ADVISOR_FAMILIES_STORE_H

#include <stdbool.h>

#include "planner/families.h"
#include "proxy/base/attrs.h"

struct families_store;

/* NULL: *error says why (OWN by caller). */
PW_MUSTUSE struct families_store *pw_families_store_open(const char *state_dir, char **error);
void pw_families_store_close(struct families_store *s); /* NULL is allowed */

/* Names of databases to and from their numbers in this process. */
typedef const char *(*pw_families_name)(void *arg, uint32_t database_id); /* NULL or "": skip it */
typedef uint32_t (*pw_families_id)(void *arg, const char *database);

/* Replaces what is kept of each family by these counts. False: it did not work this time. */
bool pw_families_store_save(struct families_store *s, const struct families_snapshot *all,
                            pw_families_name name, void *arg);
/* All that is kept; OWN by caller. Never NULL. */
struct families_snapshot *pw_families_store_load(struct families_store *s, pw_families_id id,
                                                 void *arg);

#endif
