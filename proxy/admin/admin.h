/*
 * The console's one command table. Rooms that know something register rows of commands; the fronts
 * (line, psql) give a line of text and get an answer. Commands run on the control thread, and
 * answer at once or later on that thread.
 *
 * Threads: register before the first front exists, then the registry is read-only and pw_admin_find
 * may be called from any thread; everything else belongs to the control thread.
 */
#ifndef PROXY_ADMIN_ADMIN_H
#define PROXY_ADMIN_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/admin/table.h"
#include "proxy/base/attrs.h"
#include "proxy/base/list.h"
#include "proxy/base/slice.h"

struct admin;
struct admin_call;

enum admin_level {
    ADMIN_STATS, /* only looks: SHOW, EXPLAIN; may be abbreviated, may run twice */
    ADMIN_ADMIN, /* changes something: never abbreviated, runs exactly once */
};
enum admin_format { ADMIN_FORMAT_TEXT, ADMIN_FORMAT_JSON };

enum {
    PW_ADMIN_LINE_MAX = 4096,      /* bytes of one command on the line front */
    PW_ADMIN_TEXT_MAX = 32 * 1024, /* bytes of one command anywhere */
    PW_ADMIN_ARGS_MAX = 16,
    PW_ADMIN_CALLS_MAX = 64, /* in flight, all sessions together */
};

struct admin_command {
    const char *words; /* "SHOW CACHE ENTRIES", upper case, one space between words */
    enum admin_level level;
    const char *args; /* for the help text: "[n]"; NULL: none; "sql": the rest as typed */
    const char *help; /* one sentence */
    void (*run)(struct admin_call *call); /* ends in pw_admin_finish, now or later, exactly once */
};

/* What a command leaves behind. Moves between threads. */
struct admin_result {
    struct table *table;      /* OWN; NULL when there are no rows to show */
    char *notice;             /* OWN; text for people, may have several lines; NULL when none */
    char *error;              /* OWN; NULL when it worked */
    char *hint;               /* OWN; only with an error */
    char sqlstate[6];         /* with an error */
    char tag[32];             /* CommandComplete: "SHOW", "PAUSE" */
    enum admin_format format; /* how the asker wants the table */
};
void pw_admin_result_clear(struct admin_result *r);

struct admin_call {
    struct admin *admin;                 /* BORROW */
    const struct admin_command *command; /* BORROW */
    void *arg;                           /* BORROW, given at registration */
    enum admin_level level;              /* of the user who asks */
    enum admin_format format;
    char user[64], source[64]; /* who asks and from where, for the log */
    size_t n_args;
    const char *args[PW_ADMIN_ARGS_MAX]; /* unquoted; OWN by the call */
    const char *rest;                    /* everything after the command's words, as typed; OWN */
    struct admin_result result;
    void *state; /* for a command that answers later */

    /* private to admin.c */
    struct list_node link;
    char *text;   /* OWN, `rest` points into it */
    char *tokens; /* OWN, args point into it */
    void (*on_finished)(struct admin_call *call, void *owner);
    void *owner;
    bool *gone; /* BORROW from pw_admin_start while it runs */
};

PW_MUSTUSE struct admin *pw_admin_new(void);
void pw_admin_free(struct admin *a); /* no call may be in flight */
/* rows are BORROW (static). A row with the words of an earlier one replaces it. */
void pw_admin_register(struct admin *a, const struct admin_command *rows, size_t n, void *arg);

struct admin_request {
    struct slice text; /* one statement; BORROW during the call */
    enum admin_level level;
    enum admin_format format; /* unless the text says otherwise */
    const char *user, *source;
};
/* Parses and runs. on_finished is called exactly once, possibly before this returns; it may take
 * the parts of call->result (and must clear what it takes); the call is released after it. Returns
 * the call while it is in flight, else NULL. */
typedef void (*pw_on_admin_finished)(struct admin_call *call, void *owner);
struct admin_call *pw_admin_start(struct admin *a, const struct admin_request *request,
                                  pw_on_admin_finished on_finished, void *owner);
/* The asker went away: the command goes on, its result is dropped. */
void pw_admin_detach(struct admin_call *call);
size_t pw_admin_calls_in_flight(const struct admin *a);

/* ---- for commands -------------------------------------------------------------------------------
 * Ends the call; it must not be touched afterwards. The tag defaults to the first word. */
void pw_admin_finish(struct admin_call *call);
/* The three usual endings in one call each. */
void pw_admin_finish_error(struct admin_call *call, const char *sqlstate, const char *fmt, ...)
    PW_PRINTF(3, 4);
void pw_admin_finish_notice(struct admin_call *call, const char *fmt, ...) PW_PRINTF(2, 3);
void pw_admin_finish_table(struct admin_call *call, struct table *table); /* takes it over */
/* args[i] as a number 1..max, or `otherwise` when there is no such argument; a bad one finishes the
 * call with an error and gives 0. */
size_t pw_admin_arg_count(struct admin_call *call, size_t i, size_t otherwise, size_t max);

/* ---- looking ----------------------------------------------------------------------------------
 */
/* The command that `text` names, or NULL (unknown, ambiguous or empty). Any thread. */
const struct admin_command *pw_admin_find(const struct admin *a, struct slice text);
/* Rows in help order; NULL past the end. */
const struct admin_command *pw_admin_command_at(const struct admin *a, size_t i);

#endif
