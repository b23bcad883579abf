/*
 * What PostgreSQL clients say that is no command of ours and deserves a polite answer: transaction
 * words, SET of PostgreSQL settings, SELECT 1, SELECT version(), SHOW server_version. One table of
 * words to tags, one of settings. Pure; any thread.
 */
#ifndef PROXY_ADMIN_PSQL_CANNED_H
#define PROXY_ADMIN_PSQL_CANNED_H

#include <stdbool.h>

#include "proxy/admin/table.h"
#include "proxy/base/slice.h"

struct psql_canned {
    const char *tag;     /* static; NULL: not ours to answer here */
    struct table *table; /* OWN by the caller; NULL when there are no rows */
    char status;         /* 'T' or 'I': the transaction status afterwards; 0: unchanged */
};

struct psql_canned pw_psql_canned(struct slice text, const char *user, const char *database);

#endif
