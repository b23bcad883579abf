/* Applying one piece of advice, taking it back, and judging what it did. Advisor thread for the
 * first two. */
#ifndef ADVISOR_APPLY_H
#define ADVISOR_APPLY_H

#include "advisor/advisor.h"

#define PW_APPLY_FAMILIES 20

/* What was applied, kept after its set is replaced. */
struct applied {
    struct advice_outcome outcome;
    char database[64];
    enum advice_kind kind;
    char *undo_sql; /* OWN */
    uint64_t families[PW_APPLY_FAMILIES];
    struct latency_moments before[PW_APPLY_FAMILIES]; /* until the build began */
    struct latency_moments start[PW_APPLY_FAMILIES];  /* when it was done */
    size_t n_families;
};

/* Told the backend's pid before the first statement and 0 after the last, so that another thread
 * can cancel. */
typedef void (*pw_on_backend)(void *arg, int pid);

/* Runs the statements (one per line) outside a transaction under an advisory lock; checks that what
 * was built is valid, removes a failed build. False: *error says why (OWN by caller). */
bool pw_apply_sql(const char *conninfo, const char *sql, const char *object, bool creates,
                  pw_on_backend on_backend, void *arg, char **error);
void pw_applied_start(struct applied *x, const struct advice *a, const char *database,
                      pw_family_latency latency, void *arg);
/* Before an index is dropped: the families whose plan uses it are the ones to watch. */
void pw_applied_find_users(struct applied *x, const char *conninfo, const struct workload *w,
                           pw_family_latency latency, void *arg);
/* After an index was built: of the families it was promised to, only those whose plan uses it are
 * judged (one that cannot be planned now stays). */
void pw_applied_keep_users(struct applied *x, const char *conninfo, const struct workload *w);
void pw_applied_done(struct applied *x, pw_family_latency latency, void *arg);
/* Compares the latencies since with those before; fills in the outcome. */
void pw_applied_judge(struct applied *x, pw_family_latency latency, void *arg);
void pw_applied_free(struct applied *x);

#endif
