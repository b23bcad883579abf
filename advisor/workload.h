/*
 * A workload: query families with how often each ran and samples with real values. Samples stay in
 * memory and are only ever sent to the server inside EXPLAIN; they are never logged or reported.
 * Built from a file, from pg_stat_statements, or family by family by the live proxy. Not
 * thread-safe; moved from the thread that builds it to the advisor's.
 */
#ifndef ADVISOR_WORKLOAD_H
#define ADVISOR_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/slice.h"

#define PW_WORKLOAD_SAMPLES  3
#define PW_WORKLOAD_FAMILIES 2000
#define PW_WORKLOAD_MAX_SQL  (32 * 1024)

struct pgsync;

/* A statement as a client sent it: text, and text values of its parameters (NULL entries = SQL
 * NULL). */
struct workload_sample {
    char *sql;     /* OWN */
    char *types;   /* OWN: "int4, unknown", as the client declared them; NULL: the server infers */
    char **params; /* OWN, OWN */
    int n_params;
    char *setup; /* OWN: the client's role and settings, as planner/sample.h has them; NULL: ours */
};

struct workload_family {
    uint64_t id;     /* libpg_query fingerprint; stable over runs */
    char *text;      /* OWN: normalized, no client's value */
    double calls;    /* weight: executions in the window */
    double total_ms; /* server time of those calls; NAN when not known */
    double rows;     /* rows returned by those calls; NAN when not known */
    uint32_t line;   /* in the workload file; 0 otherwise */
    bool guessed;    /* the values of the samples were drawn from pg_stats */
    struct workload_sample samples[PW_WORKLOAD_SAMPLES];
    size_t n_samples;
};

/* A statement that could not be used. No text: it may hold values. */
struct workload_skipped {
    uint32_t line; /* 0: not from a file */
    uint64_t family;
    char *reason; /* OWN */
};

struct workload {
    struct workload_family *families; /* OWN */
    size_t n_families, cap_families;
    struct workload_skipped *skipped; /* OWN */
    size_t n_skipped, cap_skipped;
    const char *source;      /* static: live, workload, pg_stat_statements, history */
    uint64_t from_us, to_us; /* wall; 0 unknown */
    size_t dropped;          /* families beyond PW_WORKLOAD_FAMILIES */
};

PW_MUSTUSE struct workload *pw_workload_new(const char *source);
void pw_workload_free(struct workload *w); /* NULL is allowed */

/* The live proxy hands over a family: text is normalized, calls in the window. A known id adds up.
 * Returns the family for pw_workload_add_sample, or NULL when the workload is full. */
struct workload_family *pw_workload_add(struct workload *w, uint64_t id, const char *text,
                                        double calls, double total_ms, double rows);
/* Copies. Beyond PW_WORKLOAD_SAMPLES or PW_WORKLOAD_MAX_SQL it is ignored. */
void pw_workload_add_sample(struct workload_family *f, struct slice sql, int n_params,
                            const char *const *params);
/* A statement that came by the proxy, with the lists of planner/sample.h (both NULL: its values are
 * not known, or in the text) and the setup. Copies; the same limits. */
void pw_workload_add_bound(struct workload_family *f, struct slice sql, const char *types,
                           const char *values, const char *setup);
void pw_workload_skip(struct workload *w, uint32_t line, uint64_t family, const char *reason);

/* These parse SQL: call them on a thread with a large stack (the advisor's). */
/* Statements separated by ';', an optional "-- weight: N" line before one. */
void pw_workload_add_file(struct workload *w, struct slice text);
/* Top families of the current database by total time. False: *error says why (OWN by caller). */
bool pw_workload_add_pgss(struct workload *w, struct pgsync *pg, char **error);

#endif
