/*
 * What it takes to plan a client's statement again elsewhere, with the client's own values, role
 * and settings: text for EXPLAIN's side connection (index_ask.c). In memory only; never shown,
 * never written. The advisor asks the same way (advisor/context.c). Pure; any thread.
 */
#ifndef PLANNER_SAMPLE_H
#define PLANNER_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

enum { SAMPLE_VALUES_MAX = 8192, SAMPLE_SETUP_MAX = 4096, SAMPLE_BEGIN_MAX = 8192 };

/* One parameter more: "int4, unknown" and "'5', NULL". type is 0 when the server infers it: bytes
 * are then kept as B'00000005', to be resolved. False: the value cannot be written as text (then
 * there is no sample of values). */
bool pw_sample_value(struct buf *types, struct buf *values, uint32_t type, bool is_binary,
                     const struct slice *value); /* NULL: SQL NULL */
/* Reads such a list of values back, one at a time: moves *list on. False at its end. *value is a
 * text (OWN), or NULL for SQL NULL. */
bool pw_sample_next(const char **list, char **value);
/* Has it no such bytes? Else pw_sample_next ends at the first of them. */
bool pw_sample_is_resolved(const char *values);
/* The list with its bytes as values of the types that the server has inferred, "23 25" (OWN); NULL:
 * they cannot be read. */
char *pw_sample_resolve(const char *values, const char *types);
/* A statement that sets name for the transaction, when plans depend on it. */
bool pw_sample_setting(struct buf *setup, const char *name, const char *value);
/* First the user that logged in, then the role it has set, if any. */
bool pw_sample_role(struct buf *setup, const char *role);
char *pw_sample_role_of(const char *setup); /* the first of them (OWN); NULL: none */
/* What a transaction that plans the statement begins with: the settings of that login, then setup
 * (may be NULL). */
bool pw_sample_begin(struct buf *sql, const char *setup);

#endif
