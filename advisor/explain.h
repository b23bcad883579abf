/*
 * EXPLAIN of a workload's sample on the advisor's connection, as the client's own statement would
 * be planned: with its values, and with the parameter types the client declared. Advisor thread.
 */
#ifndef ADVISOR_EXPLAIN_H
#define ADVISOR_EXPLAIN_H

#include "advisor/side.h"
#include "advisor/workload.h"

/* "EXPLAIN (options) sample". OWN by the caller (pw_pgresult_free); never NULL, an error when the
 * server refused. Nothing is executed unless options say ANALYZE. */
struct pgresult *pw_explain_sample(struct side *s, const char *options,
                                   const struct workload_sample *sample);
/* The same for values that are not known: the generic plan. */
struct pgresult *pw_explain_generic(struct side *s, const char *options,
                                    const struct workload_sample *sample);

#endif
