/*
 * The live advisor: one thread (64 MB stack) with its own blocking connection, one run at a time,
 * so that /metrics and the console stay quick. Requests queue (bounded); callbacks run on the
 * advisor's thread: forward them by mailbox. All functions here may be called from any thread
 * unless said otherwise.
 */
#ifndef ADVISOR_ADVISOR_H
#define ADVISOR_ADVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "advisor/advice.h"
#include "advisor/workload.h"
#include "proxy/base/attrs.h"
#include "proxy/base/buf.h"

/* Copied by pw_advisor_new; strings BORROW during the call. Zero means the default in brackets. */
struct advisor_options {
    const char *state_dir;       /* history store lives here; NULL: no history */
    uint64_t budget_bytes;       /* for new indexes [no limit] */
    int max_columns;             /* of a new index [3] */
    uint64_t unused_after_us;    /* [7 days] */
    double rebuild_density;      /* percent [60] */
    uint64_t min_index_size;     /* drop and rebuild advice below this is not worth it [1 MB] */
    bool history;                /* keep usage, sizes and advice in SQLite */
    const char *const *standbys; /* conninfo of each standby to ask for index usage */
    size_t n_standbys;
};

/* Latency of one family since start, as the proxy measured it: sums over ln(microseconds). */
struct latency_moments {
    double n, sum, sum2;
};
/* False: not known. Any thread. */
typedef bool (*pw_family_latency)(void *arg, const char *database, uint64_t family,
                                  struct latency_moments *out);

struct advisor;
PW_MUSTUSE struct advisor *pw_advisor_new(const struct advisor_options *o,
                                          pw_family_latency latency, void *latency_arg);
void pw_advisor_configure(struct advisor *a, const struct advisor_options *o); /* reload */
void pw_advisor_free(
    struct advisor *a); /* waits for the current step; pending callbacks run with ok == false */

/* JIT executes reads, FUNCTIONS calls functions (read-only, with a time limit); the last is
 * FUNCTIONS without measuring. */
enum advise_what { ADVISE_INDEXES, ADVISE_JIT, ADVISE_FUNCTIONS, ADVISE_FUNCTIONS_UNMEASURED };

/* error is "" when ok; BORROW during the call. set is the database's latest (BORROW; ref to keep),
 * may be NULL. */
typedef void (*pw_on_advice)(void *arg, bool ok, const char *error, struct advice_set *set);

/* Takes over w (also when refused). False: the queue is full, on_done will not run. */
PW_MUSTUSE bool pw_advisor_run(struct advisor *a, enum advise_what what, const char *database,
                               const char *conninfo, struct workload *w, pw_on_advice on_done,
                               void *arg);
/* One piece of the latest advice by id: build it (CONCURRENTLY), check that it is valid, remember
 * it and the latencies before. w (taken over, may be NULL) has the samples by which is seen whose
 * plan changed: only those are judged. The verdict (helped, neutral, hurt) comes with
 * pw_advisor_outcomes. */
PW_MUSTUSE bool pw_advisor_apply(struct advisor *a, const char *id, const char *conninfo,
                                 struct workload *w, pw_on_advice on_done, void *arg);
PW_MUSTUSE bool pw_advisor_undo(struct advisor *a, const char *id, const char *conninfo,
                                pw_on_advice on_done, void *arg);

/* The latest set of a database (NULL: of any), referenced, or NULL. Unref it. */
PW_MUSTUSE struct advice_set *pw_advisor_latest(struct advisor *a, const char *database);
/* The database an advice id belongs to, copied into out; false: no such id. */
bool pw_advisor_find(struct advisor *a, const char *id, char *out, size_t size);

/* What the thread does now: "" when idle, else e.g. "app: what-if 120 of 640". Copied. */
void pw_advisor_progress(struct advisor *a, char *out, size_t size);

/* What became of applied advice. */
enum advice_verdict {
    ADVICE_MEASURING,
    ADVICE_HELPED,
    ADVICE_NEUTRAL,
    ADVICE_HURT,
    ADVICE_UNDONE,
    ADVICE_FAILED
};
const char *pw_advice_verdict_text(enum advice_verdict v);
struct advice_outcome {
    char id[16];
    char object[160];
    enum advice_verdict verdict;
    uint64_t applied_us; /* wall */
    double before_ms,
        after_ms;   /* geometric mean latency of the promised families; NAN: not measured */
    double p_value; /* Welch on log latency; NAN: not computed */
    double n_before, n_after;
};
/* Newest first; measures again what is still open. Returns how many were written. */
size_t pw_advisor_outcomes(struct advisor *a, struct advice_outcome *out, size_t max);

/* SHOW ADVICE: aligned rows for the console come from struct advice; this is one advice in full, as
 * text. */
bool pw_advice_render_one(const struct advice_set *s, const struct advice *a, struct buf *out);

#endif
