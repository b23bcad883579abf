/*
 * Inside of the planner: what planner.h keeps opaque. Shared by all threads; who guards what is
 * said at each field.
 */
#ifndef PLANNER_STATE_H
#define PLANNER_STATE_H

#include <stdatomic.h>
#include <uv.h>

#include "planner/analysis.h"
#include "planner/planner.h"
#include "planner/template.h"
#include "proxy/base/check.h"
#include "proxy/base/hashmap.h"

enum { PLANNER_SLOTS_MAX = 1024, PLANNER_CONTEXTS_MAX = 16384 };

struct catalog;

/* A database id as plans see it; made on first mention, lives as long as the planner. */
struct db_slot {
    uint32_t id;
    struct planner *planner;     /* BORROW */
    _Atomic uint64_t generation; /* plans of another one are not current */
    uv_mutex_t lock;             /* guards the rest */
    struct catalog *catalog;     /* OWN a reference; NULL: none or not usable now */
    struct catalog *last;        /* OWN a reference; the last one there was, usable or not */
    bool pending;                /* changed since it was read, or being read for the first time */
    uint64_t pending_since_us;   /* the first of the changes since */
    uint64_t changes;            /* pw_planner_catalog_changed so far */
    struct planner_database *database; /* BORROW; NULL when none is configured */
};

struct plan_context {
    struct hash_node node;
    struct db_slot *slot;             /* BORROW from the planner */
    char *user, *login, *search_path; /* OWN; search_path NULL: the default of who logged in */
    bool standard_conforming_strings, encoding_is_safe, is_overflow;
};

struct planner {
    struct analysis *analysis; /* OWN */
    _Atomic size_t max_sql_bytes;
    _Atomic uint64_t catalog_wait_us; /* so long after it became pending a catalog is waited for */
    uv_mutex_t lock;                  /* guards slots and contexts */
    struct db_slot *slots[PLANNER_SLOTS_MAX]; /* OWN; n_slots used */
    size_t n_slots;
    struct hashmap contexts; /* OWN struct plan_context */
    struct plan_context overflow;
    pw_on_foreign_writes on_foreign_writes; /* control thread */
    void *on_foreign_writes_arg;
};

struct db_slot *pw_planner_slot(struct planner *p, uint32_t database_id); /* NULL: too many */
uint64_t pw_planner_catalog_wait(const struct planner *p);
/* A reference to the catalog to plan with, or NULL and why there is none; and its generation. */
struct catalog *pw_slot_catalog(struct db_slot *s, uint64_t *generation, enum plan_reason *why_not);
struct catalog *pw_slot_last_catalog(struct db_slot *s); /* a reference, or NULL */
/* Until when waiting for the catalog is worth it (pw_clock_us); 0: it is not being read. Any
 * thread. */
uint64_t pw_slot_wait_until(struct db_slot *s);
/* Replaces the catalog (takes the reference over; NULL: none) under a new generation. */
void pw_slot_publish(struct db_slot *s, struct catalog *catalog, bool pending);

/* What the analysis thread does with one template (analyze.c). */
struct analyze_input {
    struct slice template_text;
    uint64_t hash_lo;
    int8_t hint_cache, hint_batch;
    uint64_t hint_ttl_us;
};
struct plan *pw_analyze(const struct plan_context *ctx, const struct analyze_input *in);

#endif
