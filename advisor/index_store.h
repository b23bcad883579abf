/*
 * Index uses over restarts, in the history store (SQLite under state_dir, the file of
 * advisor/history.h): names, counts and conditions with ? for literals. What our own EXPLAINs added
 * to the server's idx_scan is kept too, because the server keeps that. A broken store costs memory
 * of the past, never the work. One thread; a busy store is not waited for.
 */
#ifndef ADVISOR_INDEX_STORE_H
#define ADVISOR_INDEX_STORE_H

#include <stdbool.h>

#include "planner/index_log.h"
#include "proxy/base/attrs.h"

struct index_store;

/* NULL: *error says why (OWN by caller). */
PW_MUSTUSE struct index_store *pw_index_store_open(const char *state_dir, char **error);
void pw_index_store_close(struct index_store *s); /* NULL is allowed */

/* Names of databases to and from their numbers in this process. */
typedef const char *(*pw_index_store_name)(void *arg, uint32_t database_id); /* "": skip it */
typedef uint32_t (*pw_index_store_id)(void *arg, const char *database);

/* Replaces what is kept of each index by what the log knows. False: it did not work this time. */
bool pw_index_store_save(struct index_store *s, const struct index_log *log,
                         pw_index_store_name name, void *arg);
/* Gives the log what is kept. Once, before it learns anything. */
void pw_index_store_load(struct index_store *s, struct index_log *log, pw_index_store_id id,
                         void *arg);

#endif
