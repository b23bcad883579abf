/* Query families of earlier runs (families_past.c). Control thread; NULL stands for no past. */
#ifndef PROXY_CONTROL_FAMILIES_PAST_H
#define PROXY_CONTROL_FAMILIES_PAST_H

#include <stdint.h>

struct control;
struct families_past;
struct families_snapshot;

struct index_log;

/* log: whose index uses are kept too; BORROW, outlives this. */
struct families_past *pw_families_past_new(struct control *c, struct index_log *log);
void pw_families_past_free(struct families_past *p); /* saves */
/* Every second or so: what the workers have counted in this run. Saves when it is time. */
void pw_families_past_take(struct families_past *p, const struct families_snapshot *live);
/* What a worker that ended has counted, instead of what was taken before; takes it over. */
void pw_families_past_final(struct families_past *p, struct families_snapshot *of_worker);
/* Adds the past's counts to live's, and sorts. */
void pw_families_past_add(const struct families_past *p, struct families_snapshot *live);
const char *pw_families_past_database(const struct families_past *p, uint32_t id); /* or "" */

#endif
