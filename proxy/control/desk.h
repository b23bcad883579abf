/* The advisor seen from control: what runs, what was found. Control thread. */
#ifndef PROXY_CONTROL_DESK_H
#define PROXY_CONTROL_DESK_H

#include "advisor/advisor.h"

struct advice_desk;
struct admin_call;
struct families_snapshot;
struct profile_desk;

struct advisor *pw_advice_desk_advisor(struct advice_desk *desk); /* NULL desk: NULL */
struct profile_desk *pw_advice_desk_profile(struct advice_desk *desk);
/* Latencies as of now, by which applied advice is judged. */
void pw_advice_desk_see(struct advice_desk *desk, const struct families_snapshot *s);
/* The live workload of one database. OWN by the caller. */
struct workload *pw_advice_workload(const struct families_snapshot *s, uint32_t database_id);
/* Open advice of every database, by kind. NULL desk: zeros. */
void pw_advice_desk_count(struct advice_desk *desk, uint64_t out[ADVICE_KIND_COUNT]);

/* Ends the call when the run, the change or its undoing is over. */
void pw_advice_desk_run(struct advice_desk *desk, struct admin_call *call, enum advise_what what);
void pw_advice_desk_change(struct advice_desk *desk, struct admin_call *call, bool undo);

/* Calls back for the latest set of each database that was advised on. */
void pw_advice_desk_each(struct advice_desk *desk,
                         void (*each)(void *arg, const char *database, struct advice_set *set),
                         void *arg);

#endif
