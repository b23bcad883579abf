/*
 * How long each query family took so far, for the advisor's before and after. Written by control,
 * read by the advisor's thread: a mutex, held for the copying only.
 */
#ifndef PROXY_CONTROL_LATENCIES_H
#define PROXY_CONTROL_LATENCIES_H

#include "advisor/advisor.h"

struct control;
struct families_snapshot;
struct latencies;

PW_MUSTUSE struct latencies *pw_latencies_new(void);
void pw_latencies_free(struct latencies *l);
/* Replaces what is known. Control thread. */
void pw_latencies_update(struct latencies *l, struct control *c, const struct families_snapshot *s);
bool pw_latencies_find(void *latencies, const char *database, uint64_t family,
                       struct latency_moments *out); /* pw_family_latency; any thread */

#endif
