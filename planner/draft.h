/*
 * A plan while it is being made: what the classifier has found out so far. Effects of several
 * statements add up. Analysis thread only. pw_draft_finish turns it into an immutable plan.
 */
#ifndef PLANNER_DRAFT_H
#define PLANNER_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/plan.h"
#include "proxy/base/attrs.h"
#include "proxy/base/slice.h"

enum {
    DRAFT_SETS_MAX = 64,
    DRAFT_TABLES_MAX = 4096,
    DRAFT_KEYS_MAX = 4,
    DRAFT_COLUMNS_MAX = 1000,
    DRAFT_CALLS_MAX = 64,
    DRAFT_FUNCTIONS_MAX = 1000,
};

struct draft_call {
    char *name;      /* OWN */
    char volatility; /* 'i' 's' 'v', the worst that the name may mean; '?': unknown */
};

struct draft_columns {
    struct plan_column *list; /* OWN */
    size_t n, cap;
    bool overflow;
};
/* Once each; too many: overflow. */
void pw_draft_column(struct draft_columns *l, uint32_t table, int16_t attnum);

struct oid_list {
    uint32_t *oids; /* OWN */
    size_t n, cap;
};
bool pw_oid_list_add(struct oid_list *l, uint32_t oid); /* once; false: already there or full */
bool pw_oid_list_has(const struct oid_list *l, uint32_t oid);

struct draft {
    enum plan_class cls;
    uint32_t flags;
    enum plan_reason reason;       /* the first reason against the cache */
    enum plan_reason batch_reason; /* the first reason against sharing a connection */
    enum pin_reason pin_reason;    /* the first */
    uint32_t pins;                 /* PIN_BIT of each */
    const char *tag;               /* static */
    struct oid_list read, written;
    struct oid_list removed;   /* of written: rows may go or change, so that foreign keys act */
    struct oid_list opened;    /* of read: followed to their views, policies and children */
    struct oid_list functions; /* of users, whose effects are here already */
    struct oid_list views;     /* named in bodies, and tables with policies: the same */
    struct plan_set sets[DRAFT_SETS_MAX]; /* OWN the strings */
    uint32_t n_sets, n_statements;
    struct plan_keys *key_read;                     /* OWN */
    struct plan_keys *keys_written[DRAFT_KEYS_MAX]; /* OWN */
    uint32_t n_keys_written;
    struct draft_columns columns_read, columns_written;
    bool columns_known;
    uint32_t prepared_types[PLAN_PREPARED_MAX]; /* of each literal as a parameter */
    uint32_t n_prepared;                        /* 0: they have to stay literals */
    struct draft_call calls[DRAFT_CALLS_MAX];   /* functions and operators by name, OWN the names */
    uint32_t n_calls;
    bool user_code;     /* calls functions or operators that are not built in, or not known */
    bool needs_catalog; /* the answer depends on the catalog's generation */
    bool is_guess;      /* a function was taken to do anything because there is no catalog */
};

void pw_plan_keys_free(const struct plan_keys *k); /* plan.c; NULL is allowed */

void pw_draft_init(struct draft *d);
void pw_draft_free(struct draft *d);
void pw_draft_refuse(struct draft *d, enum plan_reason why);       /* not cacheable */
void pw_draft_refuse_batch(struct draft *d, enum plan_reason why); /* not to be pipelined */
void pw_draft_refuse_both(struct draft *d, enum plan_reason why);
void pw_draft_pin(struct draft *d, enum pin_reason why);
void pw_draft_writes_all(struct draft *d);
/* For people only: what the statement calls itself (not what is called from there). */
void pw_draft_call(struct draft *d, const char *name, char volatility);
/* name and value are copied; value may be NULL. When there are too many the session is pinned. */
void pw_draft_set(struct draft *d, enum plan_set_kind kind, struct slice name, const char *value);
void pw_draft_opaque(struct draft *d, enum plan_reason why); /* may do anything */

struct draft_identity {
    uint64_t generation, family;
    const char *family_text; /* copied */
    int8_t hint_cache, hint_batch;
    uint64_t hint_ttl_us;
};
/* A plan with one reference; takes over what the draft owns. */
struct plan *pw_draft_finish(struct draft *d, const struct draft_identity *id);

enum {
    DRAFT_OPAQUE_FLAGS = PLAN_F_WRITES | PLAN_F_WRITES_ALL | PLAN_F_CATALOG | PLAN_F_RIGHTS |
                         PLAN_F_PINS | PLAN_F_VOLATILE | PLAN_F_LOCKS | PLAN_F_SESSION_READ |
                         PLAN_F_SEQUENCE
};

#endif
