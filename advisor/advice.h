/*
 * A set of advice: what one run found, immutable once published, reference-counted, safe to read on
 * any thread. Everything inside lives in the set's own arena. A figure that was not computed is NAN
 * (null in JSON), never a constant. Texts hold normalized SQL and names only, no client's value.
 */
#ifndef ADVISOR_ADVICE_H
#define ADVISOR_ADVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/mem/arena.h"

enum advice_kind {
#define ADVICE_KIND(name, text, title) ADVICE_##name,
#include "advisor/advice_kinds.def"
#undef ADVICE_KIND
    ADVICE_KIND_COUNT
};

struct advice_set;
enum advice_confidence { ADVICE_HIGH, ADVICE_MEDIUM, ADVICE_LOW };

const char *pw_advice_kind_text(enum advice_kind k);  /* "create", "drop_unused", ... */
const char *pw_advice_kind_title(enum advice_kind k); /* for people */
const char *pw_advice_confidence_text(enum advice_confidence c);

/* "Nothing to change." of a set without advice, or that it is not known. */
const char *pw_advice_nothing_text(const struct advice_set *s);

/* One fact; value is JSON text (a number, a quoted string, an array). */
struct advice_fact {
    const char *name, *value;
};

struct advice_query {
    uint64_t family;
    const char *text; /* normalized */
    double calls, cost_before, cost_after;
};

struct advice {
    const char *id; /* stable: same kind, table and definition give the same id */
    enum advice_kind kind;
    const char *table, *object; /* "schema.name", unquoted, for people; object may be "" */
    const char **columns;
    const char *sql, *undo_sql; /* statements end in ';'; undo_sql may be "" */
    const char *reason;         /* one sentence */
    double size_bytes, benefit_pct;
    enum advice_confidence confidence;
    struct advice_fact *facts;
    struct advice_query *queries;
    size_t n_columns, n_facts, n_queries;
};

/* What was considered and refused, and why. */
struct advice_refused {
    const char *object, *reason;
};

struct advice_summary {
    double cost_before, cost_after,
        improvement_pct; /* of the workload, weighted; NAN: not computed */
    double index_bytes_added, index_bytes_freed, seconds;
    uint64_t whatif_calls;
};

struct advice_set {
    _Atomic uint32_t refs;
    struct arena mem;                      /* owns everything below */
    uint64_t generated_us;                 /* wall clock */
    const char *database, *source;         /* source: live, workload, pg_stat_statements, history */
    uint64_t window_from_us, window_to_us; /* wall; 0: not known */
    double window_queries;
    size_t window_families;
    struct advice_summary summary;
    struct advice *items; /* sorted: kind, then -benefit, then object */
    size_t n_items;
    struct advice_refused *refused;
    size_t n_refused;
    const char **notes; /* what could not be looked at, and why: the advice is partial */
    size_t n_notes;
    bool partial;
};

struct advice_set *pw_advice_set_ref(struct advice_set *s);
void pw_advice_set_unref(struct advice_set *s); /* NULL is allowed */
const struct advice *pw_advice_find(const struct advice_set *s, const char *id);
size_t pw_advice_count(const struct advice_set *s, enum advice_kind k);

/* Reports. False: the buffer's maximum was reached. */
bool pw_advice_render_text(const struct advice_set *s, struct buf *out);
bool pw_advice_render_json(const struct advice_set *s, struct buf *out);
bool pw_advice_render_html(const struct advice_set *s, struct buf *out); /* self-contained */
bool pw_advice_render_sql(const struct advice_set *s, struct buf *out);

#endif
