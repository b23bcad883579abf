/*
 * A workload profile between two moments: hot families by server CPU and time in server, queue and
 * proxy, by blocks and temporary files, network bytes, the server's backends and totals, host, GPU
 * and proxy readings beside them, and the advice that concerns the hot families. The caller hands
 * in differences; a figure that is not known is NAN (null). One thread at a time; the readings of a
 * server are taken on the advisor's thread.
 */
#ifndef ADVISOR_PROFILE_H
#define ADVISOR_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "advisor/advice.h"
#include "advisor/advisor.h"
#include "proxy/base/attrs.h"
#include "proxy/base/buf.h"

/* What one family did in the window, as the proxy saw it. */
struct profile_family {
    uint64_t family;
    const char *database;
    const char *text; /* normalized; both texts are copied */
    double calls, rows, errors;
    double bytes;                        /* to clients */
    double total_ms, wait_ms, server_ms; /* sums; total - wait - server is the proxy's own part */
    double cache_hits, joined, merged;   /* of the calls */
};

struct profile;
PW_MUSTUSE struct profile *pw_profile_new(uint64_t from_us, uint64_t to_us); /* wall */
void pw_profile_free(struct profile *p);                                     /* NULL is allowed */
void pw_profile_add_family(struct profile *p, const struct profile_family *row);
/* Microseconds per call that were neither queue nor server, over all families; NAN without calls.
 */
double pw_profile_own_us(const struct profile *p);
/* A reading of the host, a GPU or the proxy: group "host", "gpu 0", "proxy", ...; mean (or the
 * window's total) and peak. */
void pw_profile_add_reading(struct profile *p, const char *group, const char *name,
                            const char *unit, double mean, double peak);
/* A curve over the window: v at seconds[] since its beginning; both are copied, at most
 * PW_PROFILE_POINTS are kept (averaged). */
enum { PW_PROFILE_POINTS = 300 };
void pw_profile_add_curve(struct profile *p, const char *name, const char *unit,
                          const double *seconds, const double *v, size_t n);
/* What could not be looked at, and why. */
void pw_profile_note(struct profile *p, const char *fmt, ...) PW_PRINTF(2, 3);

/* The server's counters at one moment: pg_stat_statements (and pg_stat_kcache) by family where they
 * are there, pg_stat_database, and the CPU time and memory of its backends from /proc when the
 * server runs on this host. */
struct server_reading;
void pw_server_reading_free(struct server_reading *r); /* NULL is allowed */
typedef void (*pw_on_server_reading)(void *arg, struct server_reading *r,
                                     const char *error); /* r: OWN by callee, or NULL */
/* Queued on the advisor's thread; the callback runs there. False: the queue is full. */
PW_MUSTUSE bool pw_advisor_read_server(struct advisor *a, const char *conninfo,
                                       pw_on_server_reading cb, void *arg);
/* Adds what happened in one database's server between two readings; after its families. */
void pw_profile_add_server(struct profile *p, const char *database,
                           const struct server_reading *before, const struct server_reading *after);
/* A database's advice, by reference to the set (ref taken). */
void pw_profile_add_advice(struct profile *p, struct advice_set *s);

/* Reports; families by server CPU, or time where that is not known. False: the buffer's maximum was
 * reached. */
bool pw_profile_render_text(struct profile *p, struct buf *out);
bool pw_profile_render_json(struct profile *p, struct buf *out);
bool pw_profile_render_html(struct profile *p, struct buf *out); /* self-contained */

#endif
