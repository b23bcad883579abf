/*
 * Writes by others, seen in the statistics counters of the server: inserted, updated and deleted
 * rows and the file (TRUNCATE makes a new one) of every user table, and the same of the system
 * catalogs as one sum. On PostgreSQL 15 a backend reports its counts up to a second late, one that
 * goes idle at once up to ten. Owned by one planner_database; its thread.
 */
#ifndef PLANNER_POLL_H
#define PLANNER_POLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgresult;
struct poll_state;

struct poll_news {
    const uint32_t *oids; /* BORROW until the next call: tables written since the last time */
    size_t n;
    bool catalog_changed;
};

struct poll_state *pw_poll_new(void);
void pw_poll_free(struct poll_state *s);
const char *pw_poll_sql(void);
bool pw_poll_take(struct poll_state *s, const struct pgresult *r, struct poll_news *news);
bool pw_poll_has_baseline(const struct poll_state *s);
void pw_poll_forget(struct poll_state *s); /* the next answer is a new baseline */

#endif
