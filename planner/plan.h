/*
 * What one SQL text means: immutable, reference-counted, valid for one catalog generation. Every
 * other room asks for a plan (planner/planner.h) and trusts it. "Unknown" always means the careful
 * answer.
 */
#ifndef PLANNER_PLAN_H
#define PLANNER_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum plan_class {
    PLAN_EMPTY,   /* no statement */
    PLAN_READ,    /* SELECT, VALUES, TABLE: changes no data by itself */
    PLAN_WRITE,   /* INSERT, UPDATE, DELETE, MERGE, writable CTE, SELECT INTO, COPY FROM ... */
    PLAN_DDL,     /* CREATE, ALTER, DROP, GRANT, REVOKE, TRUNCATE, COMMENT ... */
    PLAN_TXN,     /* BEGIN, COMMIT, ROLLBACK, SAVEPOINT, PREPARE TRANSACTION ... */
    PLAN_SESSION, /* SET, RESET, DISCARD, PREPARE, LISTEN, DECLARE ... WITH HOLD, LOAD ... */
    PLAN_COPY,    /* COPY TO STDOUT, COPY FROM STDIN (then also WRITE effects) */
    PLAN_UTILITY, /* SHOW, EXPLAIN, VACUUM, CHECKPOINT, LOCK, FETCH ... */
    PLAN_OPAQUE,  /* not understood: may do anything */
};

enum plan_flag {
    PLAN_F_CACHEABLE = 1 << 0,  /* proven (rule 3); reason is PLAN_WHY_NOT_NONE */
    PLAN_F_PIPELINE = 1 << 1,   /* one autocommit read without side effects or session state: may
                                   share a server connection and be joined while unsent */
    PLAN_F_WRITES = 1 << 2,     /* may change data: see tables_written */
    PLAN_F_WRITES_ALL = 1 << 3, /* which tables cannot be known: every table of the database */
    PLAN_F_CATALOG = 1 << 4,    /* may change the catalog: a new generation must be read */
    PLAN_F_RIGHTS = 1 << 5, /* may change who may read what: flush (of all databases for roles) */
    PLAN_F_TXN_BEGIN = 1 << 6,
    PLAN_F_TXN_END = 1 << 7,
    PLAN_F_PINS = 1 << 8,   /* leaves session state behind: see pin_reason */
    PLAN_F_UNPINS = 1 << 9, /* DISCARD ALL as the only statement: clean again */
    PLAN_F_SETS = 1 << 10,  /* only effect on the session: the settings listed in sets[] */
    PLAN_F_MULTI = 1 << 11, /* more than one statement */
    PLAN_F_COPY_IN = 1 << 12,
    PLAN_F_VOLATILE = 1 << 13, /* calls a volatile or unknown function */
    PLAN_F_LOCKS = 1 << 14,    /* FOR UPDATE and kin */
    PLAN_F_SESSION_READ =
        1 << 15, /* looks at the session itself (pg_settings, SHOW, pg_backend_pid...) */
    PLAN_F_SEQUENCE = 1 << 16, /* may call nextval/setval (serial columns included) */
    PLAN_F_CURRVAL = 1 << 17,  /* calls currval or lastval */
    /* Sets what names or quotes mean from then on (search_path, role, client_encoding ...): what
     * was planned before it took effect and runs after it was understood wrongly. */
    PLAN_F_CONTEXT = 1 << 18,
    PLAN_F_UNDOES = 1 << 19, /* may undo what pins: DEALLOCATE, UNLISTEN, DROP, CLOSE, unlocking */
    PLAN_F_STEADY = 1 << 20, /* its answer does not depend on when and for what it was planned */
};

/* Why a statement is not cacheable; rows in reasons.def with a sentence each. */
enum plan_reason {
#define PLAN_REASON(name, text) PLAN_WHY_##name,
#include "planner/reasons.def"
#undef PLAN_REASON
    PLAN_REASON_COUNT
};
const char *pw_plan_reason_text(enum plan_reason r);

/* Why a session is pinned; rows in pins.def. */
enum pin_reason {
#define PIN_REASON(name, text) PIN_##name,
#include "planner/pins.def"
#undef PIN_REASON
    PIN_REASON_COUNT
};
#define PIN_BIT(reason) (1u << (reason))
const char *pw_pin_reason_text(enum pin_reason r);

enum plan_set_kind {
    PLAN_SET_VALUE,   /* SET [SESSION] name TO value: value is the text set_config() would take */
    PLAN_SET_DEFAULT, /* RESET name, SET name TO DEFAULT */
    PLAN_SET_LOCAL,   /* SET LOCAL: ends with the transaction */
    PLAN_RESET_ALL,
    PLAN_DISCARD_ALL,
};

/* The generation of plans that depend on no catalog. */
#define PLAN_ANY_GENERATION UINT64_MAX

struct plan_set {
    enum plan_set_kind kind;
    const char *name;  /* lower case GUC name; OWN by the plan */
    const char *value; /* PLAN_SET_VALUE and _LOCAL */
};

/* ---- keys: which rows of a table a statement is about ---- */

/* Where the value is in the request: literal `number` of the text (0 is the first; see
 * pw_plan_slots) or parameter $number. */
struct plan_value {
    uint32_t number;
    bool is_param, is_negative; /* negative: a minus sign stands before the literal */
};

enum plan_key_kind { /* how values of the column are compared; see pw_plan_key_value */
                     PLAN_KEY_OTHER, /* equal values may have different bytes: no tag can be made */
                     PLAN_KEY_INTEGER,
                     PLAN_KEY_TEXT,
                     PLAN_KEY_UUID,
};

struct plan_key_column {
    const char *name; /* OWN by the plan */
    uint32_t type;    /* oid */
    int16_t attnum;
    enum plan_key_kind kind;
};

/* The rows of `table` whose whole key is one of n_rows values. The key is a primary key, or a
 * unique index without condition or expression (`index`). */
struct plan_keys {
    uint32_t table, index, n_columns, n_rows;
    const struct plan_key_column *columns; /* OWN, in the order of the index */
    const struct plan_value *values;       /* OWN, n_columns of each row */
};

/* The same statement with a parameter in place of each literal: $1 for the first, and so on. */
enum { PLAN_PREPARED_MAX = 8 };
struct plan_prepared {
    uint32_t n_values, text_len;
    char types[2 + 4 * PLAN_PREPARED_MAX]; /* as a Parse message ends: their number, the oids */
    char text[];
};

/* Columns that a statement mentions; attnum 0: all of the table's. */
struct plan_column {
    uint32_t table;
    int16_t attnum;
};

struct plan {
    _Atomic uint32_t refs;
    enum plan_class cls;
    uint32_t flags; /* enum plan_flag */
    enum plan_reason reason;
    enum plan_reason batch_reason; /* why PLAN_F_PIPELINE is absent */
    enum pin_reason pin_reason;    /* the first */
    uint32_t pins;                 /* all of them, PIN_BIT each */
    uint64_t generation;           /* of the catalog it was made from */
    const void *context;           /* BORROW: the struct plan_context it was made for */
    uint64_t family;             /* libpg_query fingerprint; hash of the template when not parsed */
    const char *family_text;     /* normalized: no literal of a client; OWN */
    const char *tag;             /* "SELECT", "INSERT", ... for statistics; static */
    const uint32_t *tables_read; /* oids, sorted; OWN. For WRITE plans too */
    const uint32_t *tables_written; /* oids, closure over cascades, triggers, partitions; OWN */
    uint32_t n_read, n_written, n_sets, n_statements;
    const struct plan_set *sets; /* in order; OWN */
    /* A read of one table where every column of a key equals a literal or parameter: what it
     * answers depends on no row but that one. NULL: not of that shape. One row. OWN. */
    const struct plan_keys *key_read;
    /* Of a write to one table: for each key listed, rows whose value for it is none of these are
     * not touched in that table (others in tables_written may be, as a whole). Nothing is known of
     * keys that are not listed. OWN. */
    const struct plan_keys *const *keys_written;
    uint32_t n_keys_written;
    /* Sorted; OWN. A superset: what cannot be told apart counts as all columns. Only when
     * columns_known; else assume all columns of all tables. */
    const struct plan_column *columns_read, *columns_written;
    uint32_t n_columns_read, n_columns_written;
    bool columns_known;
    /* Answers the same bytes with its literals as values (a string's without its quotes); only
     * PLAN_F_STEADY ones. NULL: not known to. OWN */
    const struct plan_prepared *prepared;
    /* "lower (immutable), now (stable)": functions and operators that the text calls, as this
     * server declares them; for people. OWN */
    const char *calls;
    int8_t hint_cache;    /* 0 none, 1 on, 2 off, 3 force */
    int8_t hint_batch;    /* 0 none, 2 off */
    uint64_t hint_ttl_us; /* 0 none */
    /* Assumes the worst of a function because the catalog was being read. */
    bool is_provisional;
    bool user_code; /* may run functions that are not PostgreSQL's own: never planned under another
                       role */
};

/* What is kept of a plan over restarts, for people to read: a plan that nothing is executed by. The
 * reasons are given by their sentence. One reference. */
struct plan_memory {
    uint64_t family;
    const char *text, *cache_reason, *batch_reason;
    bool cacheable, pipeline;
    const uint32_t *tables_read, *tables_written;
    uint32_t n_read, n_written;
};
const struct plan *pw_plan_remembered(const struct plan_memory *m);

const struct plan *pw_plan_ref(const struct plan *p);
void pw_plan_unref(const struct plan *p); /* any thread; NULL is allowed */
static inline bool pw_plan_has(const struct plan *p, uint32_t flag)
{
    return (p->flags & flag) != 0;
}

#endif
