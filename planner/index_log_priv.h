/* What index_log.c (who, when, how often) and index_ask.c (the conversation with the server) share.
 */
#ifndef PLANNER_INDEX_LOG_PRIV_H
#define PLANNER_INDEX_LOG_PRIV_H

#include "planner/index_log.h"
#include "planner/index_plan.h"
#include "proxy/base/hashmap.h"

struct pgconn;

enum { INDEX_LOG_FAMILIES_MAX = 5000, INDEX_LOG_INDEXES_MAX = 5000, INDEX_LOG_DATABASES_MAX = 64 };

struct log_index { /* one index of one database */
    struct hash_node node;
    struct log_index *next; /* LINK log->indexes */
    uint32_t database_id;
    char *table, *index, *scan_kind, *cond; /* OWN */
    unsigned kinds;                         /* that scan_kind spells */
    uint64_t families, uses, last_used_us, own_scans;
};

enum { INDEX_LOG_PLANS_MAX = 6 };

struct log_plan {
    uint64_t hash, round; /* when it was last seen; 0: unused */
};

struct log_use {              /* an index, in plans of one family */
    struct log_index *index;  /* BORROW */
    unsigned kinds;           /* how: bits */
    uint32_t hits;            /* plans of the family's `looks` that use it */
    uint64_t last_look, owed; /* owed: calls times hits that were not counted yet */
};

struct log_family {
    struct hash_node node;
    uint32_t database_id;
    uint64_t family, calls, total_us; /* at the last take */
    uint64_t due_us, interval_us, plan_hash, mean_us;
    uint64_t generation; /* of the catalog, as its last statement was planned with */
    uint64_t statistics; /* of the database, as it was looked at with */
    uint64_t looked_at, plan_changes;
    unsigned errors;
    struct log_use uses[INDEX_PLAN_USES_MAX]; /* of the plans that count now */
    size_t n_uses;
    uint32_t looks; /* at how many plans that was */
    struct log_plan plans[INDEX_LOG_PLANS_MAX];
    uint64_t round;                            /* of looking at all its texts; the first is 1 */
    unsigned next_text;                        /* of the round: enum family_which */
    bool has_variants;                         /* it was seen with several texts */
    bool round_changed, round_stale, is_stale; /* stale: after DDL, ANALYZE or a latency jump */
};

/* What is asked about: a copy of the family's sample (families.h). OWN all. */
struct log_question {
    char *sql, *types, *values, *setup;
    bool is_prepared; /* and executed often enough for the server to think of a generic plan */
    char *write_oids, *write_attnums; /* "{1,2}": columns that it writes; attnum 0: all */
    struct index_plan plan;           /* once it is known */
    size_t next_write;
    bool is_generic, is_last; /* last: of the round */
};

struct log_database {
    uint32_t id;
    char *name, *conninfo; /* OWN; conninfo may hold a password */
    struct pgconn *conn;   /* OWN; NULL until the first question */
    /* Which statistics plans are made from: another number each time that they changed. */
    uint64_t statistics, analyzed, statistics_us;
};

struct index_log {
    uv_loop_t *uv; /* BORROW */
    uint64_t interval_us;
    double share;
    char *path; /* OWN */
    struct log_database databases[INDEX_LOG_DATABASES_MAX];
    size_t n_databases;
    struct hashmap families, by_name;
    struct log_index *indexes; /* OWN */
    size_t n_indexes;
    uint64_t server_us; /* observed so far */
    uint64_t last_start_us;
    struct index_log_stats stats;
    /* The one question under way. */
    struct log_database *asking; /* BORROW; NULL when idle */
    struct log_family *subject;  /* BORROW */
    struct log_question question;
    uint64_t started_us;
    bool has_failed, closing; /* closing: its connection is being freed */
};

/* Takes the question over. */
void pw_index_ask(struct index_log *log, struct log_database *db, struct log_family *f,
                  const struct log_question *question);
void pw_index_question_free(struct log_question *q);
/* Called by index_ask.c with what it learned. */
void pw_index_learned(struct index_log *log, struct log_family *f, const struct index_plan *plan);
void pw_index_analyzed(struct log_database *d, uint64_t count, uint64_t now_us);
void pw_index_failed(struct index_log *log, struct log_family *f);
struct log_index *pw_index_of(struct index_log *log, uint32_t database_id, const char *index);
/* index_learn.c */
void pw_index_replace(char **text, const char *with);
void pw_index_put_kinds(struct buf *out, unsigned bits); /* "Index Scan, Unique Check" */
void pw_index_note_kinds(struct log_index *x, const char *text);
void pw_index_count_uses(struct log_family *f, uint64_t calls);
void pw_index_own_scans(struct index_log *log, uint32_t database_id, const char *index, uint64_t n);
/* index_file.c: one JSON line for each thing a plan does; nothing when no file is asked for. */
void pw_index_file_plan(const struct index_log *log, const struct log_family *f,
                        const struct index_plan *plan, uint64_t plan_before);
/* Is this text one plain statement that may be given to EXPLAIN? n_params: its highest $n. */
bool pw_index_may_explain(const char *sample, unsigned *n_params);

#endif
