/*
 * The advisor's own connection: read-only, short timeouts, JIT off, and the search path the role
 * would have. Failures become notes (what could not be looked at, and why), never values. Advisor
 * thread.
 */
#ifndef ADVISOR_SIDE_H
#define ADVISOR_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "advisor/mem.h"
#include "proxy/net/pgconn.h"

struct side_context;

struct side {
    struct pgsync *pg; /* OWN */
    struct arena *mem; /* BORROW: notes live here */
    int version;       /* 150018 */
    bool lost;         /* the connection broke */
    bool superuser, in_recovery;
    bool in_transaction;           /* one of context.h's */
    struct side_context *contexts; /* that were asked about: context.c's */
    size_t n_contexts;
    const char *database, *user, *search_path;
    uint64_t explains; /* plain EXPLAINs sent: they move idx_scan */
    const char **notes;
    size_t n_notes;
};

/* False: *error says why (OWN by caller). timeouts and read-only are set. */
bool pw_side_open(struct side *s, struct arena *mem, const char *conninfo, char **error);
void pw_side_close(struct side *s);
void pw_side_note(struct side *s, const char *fmt, ...) PW_PRINTF(2, 3);

/* A query of ours; on failure NULL and a note "what: error". Free with pw_pgresult_free. */
struct pgresult *pw_side_rows(struct side *s, const char *what, const char *sql, int n_params,
                              const char *const *params);
bool pw_side_exec(struct side *s, const char *what, const char *sql);
/* One value or NULL, in the arena. */
char *pw_side_value(struct side *s, const char *what, const char *sql);
bool pw_side_has_extension(struct side *s, const char *name);

/* Cells of a result, with NULL as the given default. */
const char *pw_cell(const struct pgresult *r, int row, int col);
char *pw_cell_str(struct arena *a, const struct pgresult *r, int row, int col); /* NULL for NULL */
double pw_cell_num(const struct pgresult *r, int row, int col, double otherwise);
int64_t pw_cell_int(const struct pgresult *r, int row, int col, int64_t otherwise);
bool pw_cell_bool(const struct pgresult *r, int row, int col);

#endif
