/*
 * plan(bytes, session context): the one question every other room asks.
 *
 * Threads: struct planner is shared (its parts lock or are atomic); a plan_memo belongs to one
 * worker. A known template answers at once; a new one goes to the analysis thread and the answer
 * comes back through the worker's mailbox. The queue is bounded: when it is full the answer is the
 * opaque plan, at once.
 */
#ifndef PLANNER_PLANNER_H
#define PLANNER_PLANNER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "planner/plan.h"
#include "proxy/base/slice.h"
#include "proxy/net/mailbox.h"

struct pw_conf;
struct planner;
struct plan_memo;
struct plan_context;

/* Starts the analysis thread (64 MB stack). One per process. */
struct planner *pw_planner_new(const struct pw_conf *conf);
void pw_planner_free(struct planner *p); /* after all memos are gone */
void pw_planner_configure(struct planner *p, const struct pw_conf *conf); /* reload */

/* A database as the planner knows it: its catalog snapshot, read over libpq on `uv` (the control
 * thread's loop) with conninfo and kept fresh: at start, after pw_planner_catalog_changed, and by
 * polling (poll_interval_us). id is the database's number in the configuration and in cache keys.
 * Until the first snapshot is there nothing is cacheable. Control thread. */
struct planner_database;
struct planner_database *pw_planner_database_add(struct planner *p, uint32_t id, const char *name,
                                                 const char *conninfo, uv_loop_t *uv,
                                                 uint64_t poll_interval_us);
/* A database that was just mentioned: is it going to be added? Its first statements then wait for
 * its catalog as if it were being read already. Any thread. */
void pw_planner_database_expect(struct planner *p, uint32_t id, bool expected);
void pw_planner_database_remove(struct planner *p, struct planner_database *d);
/* Any thread: DDL or rights changed through the proxy. At once no plan of an older generation is
 * used; until a new snapshot is there nothing of this database is cacheable. */
void pw_planner_catalog_changed(struct planner *p, uint32_t database_id);
/* Called on the control thread when polling saw that tables were written by others (oids; n == 0:
 * all tables). */
typedef void (*pw_on_foreign_writes)(void *arg, uint32_t database_id, const uint32_t *oids,
                                     size_t n);
void pw_planner_on_foreign_writes(struct planner *p, pw_on_foreign_writes cb, void *arg);

/* What name resolution and lexing depend on. Interned: equal keys give the same pointer, for ever
 * (bounded). */
struct plan_context_key {
    uint32_t database_id;
    const char *user;        /* current role: what "$user" means */
    const char *login;       /* who logged in, whose defaults are in force; NULL: user */
    const char *search_path; /* as set, or NULL for the role's default */
    bool standard_conforming_strings;
    bool encoding_is_safe; /* client_encoding where no byte of a multibyte character can look like a
                              quote */
};
/* Any spelling that PostgreSQL takes; NULL is not known, hence not safe. */
bool pw_plan_encoding_is_safe(const char *client_encoding);
/* Fills in the key's last two from the settings as a client wrote them (standard_conforming_strings
 * NULL: on). What is not understood is not safe. */
void pw_plan_context_lexing(struct plan_context_key *key, const char *client_encoding,
                            const char *standard_conforming_strings);
/* Does setting this name change a context (PLAN_F_CONTEXT)? */
bool pw_plan_is_context_setting(const char *name);
/* Any thread. Never NULL; when the table of contexts is full, a context whose plans are all opaque.
 */
const struct plan_context *pw_plan_context(struct planner *p, const struct plan_context_key *key);

/* A worker's memo: template -> plan, LRU. */
struct plan_memo *pw_plan_memo_new(struct planner *p, struct mailbox *box, size_t max_entries);
void pw_plan_memo_free(struct plan_memo *m);

struct plan_waiter; /* embedded by the caller, lives until on_plan or cancel */
typedef void (*pw_on_plan)(struct plan_waiter *w,
                           const struct plan *plan); /* takes over one reference */
struct plan_waiter {
    pw_on_plan on_plan;
    /* Set by the caller: answer with what is known now. Else a plan that would have to assume the
     * worst of a function, only because the catalog is being read, waits for it: at most
     * planner.catalog_wait after the change that made it be read. */
    bool is_impatient;
    void *job; /* private to the planner; NULL when not waiting */
};

/* Known: returns the plan (BORROW until the next call on this memo; ref to keep). Not known yet:
 * returns NULL, and w->on_plan runs later on this worker's thread with a referenced plan. Text over
 * planner.max_sql, unsafe encodings and a full queue give an opaque plan at once. sql is borrowed
 * during the call only. */
const struct plan *pw_plan_get(struct plan_memo *m, const struct plan_context *ctx,
                               struct slice sql, struct plan_waiter *w);
void pw_plan_cancel(struct plan_waiter *w); /* on_plan will not run; no-op when not waiting */
/* The plan is of this context and of the current generation of its database? (A prepared statement
 * keeps its plan and asks this.) */
bool pw_plan_is_current(const struct plan_context *ctx, const struct plan *plan);
/* The plan for what cannot be known: opaque, static, never freed. */
const struct plan *pw_plan_opaque(void);

/* The literals of a text, for the values of plan_keys: as the last pw_plan_get on this memo saw
 * them (a plan that came later than its text: scan it again). Slot i is sql[off .. off + len).
 * BORROW until the next call. False: it has more literals than are kept, or was refused. */
struct template_slot;
bool pw_plan_slots(const struct plan_memo *m, const struct template_slot **slots, uint32_t *n);
bool pw_plan_scan_again(struct plan_memo *m, const struct plan_context *ctx, struct slice sql);

/* One column of a key in one request, as bytes that are equal when the values are. False: cannot be
 * told; whoever asks must then take the whole table. Integers, uuid and ASCII text of plain
 * deterministic columns; a NULL is never told. Pure; any thread. */
struct plan_key_bytes {
    char bytes[64];
    size_t len;
};
/* type: from Parse, 0 when the server infers it. */
bool pw_plan_key_param(const struct plan_key_column *column, uint32_t type, bool is_binary,
                       struct slice value, struct plan_key_bytes *out);
bool pw_plan_key_literal(const struct plan_key_column *column, const struct plan_value *v,
                         struct slice literal, struct plan_key_bytes *out);

/* May this parameter name a moment ('now', 'today', '[yesterday,)') when it is read as a date or
 * time? The plan cannot know: whoever binds a value to a cacheable statement asks, and does not
 * cache when it may. A binary value may be a string, too, that the statement casts. */
bool pw_plan_value_is_special(struct slice value, bool is_binary);

struct plan_memo_stats {
    uint64_t entries, hits, misses, evictions, opaque, waiting;
};
void pw_plan_memo_stats(const struct plan_memo *m,
                        struct plan_memo_stats *out); /* any thread, approximate */

#endif
