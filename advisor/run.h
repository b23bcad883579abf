/* One advice run: its inputs, its connection, what it has read, and the set it fills. Advisor
 * thread. */
#ifndef ADVISOR_RUN_H
#define ADVISOR_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "advisor/advice_build.h"
#include "advisor/advisor.h"
#include "advisor/inventory.h"
#include "advisor/side.h"
#include "advisor/workload.h"

struct needs;
struct whatif_query;
struct history;

/* How the set is chosen; the others are baselines for the bench. */
enum advise_baseline { ADVISE_PORTFOLIO, ADVISE_EXTEND, ADVISE_ANYTIME };

struct advise_job {
    struct advisor_options o; /* defaults already filled in */
    const char *conninfo;     /* BORROW */
    enum advise_what what;
    enum advise_baseline baseline;
    bool no_hypopg;
    void (*progress)(void *arg, const char *phase, size_t done, size_t total); /* may be NULL */
    void *progress_arg;
    const _Atomic bool *cancel; /* NULL: cannot be cancelled */
};

/* A full btree this set advises to create. */
struct created_index {
    const struct inv_table *table;
    int attnums[PW_INV_KEYS], n_keys;
};

struct advice_run {
    const struct advise_job *job;
    struct workload *w; /* BORROW; may be empty, never NULL */
    struct arena mem;   /* everything read */
    struct side side;
    struct inventory inv;
    const struct needs *needs;          /* in mem: what the statements need; NULL: not looked at */
    const struct whatif_query *planned; /* in mem: per family, how it is planned; NULL as above */
    struct advice_set *set;             /* being filled */
    struct history *history;            /* BORROW; NULL: none */
    bool *index_used;                   /* per inv.indexes: a plan of the workload uses it */
    bool *index_dropped;                /* per inv.indexes: this set advises to drop it */
    bool *index_kept;                   /* per inv.indexes: it replaces one that is dropped */
    struct created_index *created;
    size_t n_created;
};

/* Defaults for zero fields. */
void pw_advise_defaults(struct advisor_options *o);
/* Connects, reads, advises. Takes the workload's text from *w (which grows when job says
 * pg_stat_statements). Never NULL: on failure the set is partial and says so; *reached tells
 * whether the server answered at all. */
struct advice_set *pw_advise_run(const struct advise_job *job, struct workload *w,
                                 struct history *history, bool *reached);
void pw_run_progress(struct advice_run *r, const char *phase, size_t done, size_t total);
static inline size_t pw_run_index_no(const struct advice_run *r, const struct inv_index *x)
{
    return (size_t)(x - r->inv.indexes);
}

#endif
