/*
 * The history store: one SQLite file under state_dir, opened once by each of the parts that keep
 * something in it (history.c, families_store.c, index_store.c), each with tables of its own. A
 * handle belongs to one thread.
 */
#ifndef ADVISOR_STORE_H
#define ADVISOR_STORE_H

#include <sqlite3.h>
#include <stdint.h>

#include "proxy/base/attrs.h"

/* Opens the file and runs schema_sql (CREATE TABLE IF NOT EXISTS ...); another writer is waited for
 * busy_ms at most, on every later statement too. NULL: *error says why (OWN by caller). Close with
 * sqlite3_close. */
PW_MUSTUSE sqlite3 *pw_store_open(const char *state_dir, const char *schema_sql, int busy_ms,
                                  char **error);

/* SQLite's integers are signed; parameters count from 1, columns from 0. */
void pw_store_bind_text(sqlite3_stmt *st, int at, const char *text);
void pw_store_bind_u64(sqlite3_stmt *st, int at, uint64_t v);
const char *pw_store_text(sqlite3_stmt *st, int at); /* "" for NULL; BORROW until the next step */
uint64_t pw_store_u64(sqlite3_stmt *st, int at);     /* 0 for what is negative */

#endif
