/*
 * Prepared statements. A `stmt` is one definition (text, parameter types, and the settings it was
 * parsed under), interned per pool and shared by all clients that prepared the same; it has one
 * server-side name. A `server_stmts` says which definitions exist on one server connection, least
 * recently used first. Not thread-safe: all belong to one worker.
 */
#ifndef PROXY_POOL_STMTS_H
#define PROXY_POOL_STMTS_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/hashmap.h"
#include "proxy/base/list.h"
#include "proxy/base/slice.h"

struct settings;
struct stmt_table;

struct stmt {
    struct hash_node node;    /* LINK table->map, unless retired */
    struct stmt_table *table; /* BACK; the table outlives its statements */
    uint32_t refs;
    bool retired;       /* no longer handed out: its catalog is outdated */
    bool ours;          /* made from a simple query with literals: no client prepared it */
    bool builtin_types; /* its parameters are of PostgreSQL's own types, or it infers them */
    bool plain; /* no quoted constant in the text, no notice when it was parsed: what it means does
                   not depend on when it is parsed */
    uint32_t parses;           /* as the unnamed statement */
    struct settings *settings; /* REF */
    const void *plan;     /* owned through free_plan; set by dispatch, may be NULL while unknown */
    char server_name[24]; /* "pgweir_s<number>" */
    uint32_t text_len, types_len;
    char *body; /* OWN: text NUL, then the Parse message's parameter type part as it came */
};

enum { STMTS_RECENT = 64 };

struct stmt_table {
    struct hashmap map;
    struct stmt *recent[STMTS_RECENT]; /* REFs: the newest live on for a while though no name means
                                          them any more */
    uint32_t recent_at;
    uint64_t last_number;
    void (*free_plan)(const void *plan);
};

/* Names the server never sees from a client: a client's own use of the prefix is renamed. */
#define PW_STMT_NAME_PREFIX "pgweir_s"

void pw_stmt_table_init(struct stmt_table *t, void (*free_plan)(const void *plan));
void pw_stmt_table_free(struct stmt_table *t);
/* `types` is the tail of the Parse message: int16 count and the oids. Returns a reference. */
struct stmt *pw_stmt_get(struct stmt_table *t, struct settings *settings, struct slice text,
                         struct slice types);
/* The same for what no client prepared; never the same statement as a client's. */
struct stmt *pw_stmt_get_ours(struct stmt_table *t, struct settings *settings, struct slice text,
                              struct slice types);
struct stmt *pw_stmt_ref(struct stmt *s);
void pw_stmt_unref(struct stmt *s); /* NULL is allowed */
void pw_stmt_retire(struct stmt *s);
static inline struct slice pw_stmt_text(const struct stmt *s)
{
    return pw_slice(s->body, s->text_len);
}
static inline struct slice pw_stmt_types(const struct stmt *s)
{
    return pw_slice(s->body + s->text_len + 1, s->types_len);
}

/* ---- what one server knows */
struct server_stmt {
    struct hash_node node; /* LINK by stmt pointer */
    struct list_node lru;
    struct stmt *stmt; /* REF */
    uint32_t binds;    /* since it was prepared; the sender counts */
    bool confirmed;    /* ParseComplete has come */
};

struct server_stmts {
    struct hashmap map;
    struct list lru; /* oldest first */
};

void pw_server_stmts_init(struct server_stmts *s);
void pw_server_stmts_clear(struct server_stmts *s);
/* Makes it the newest; NULL: not known there. Both: BORROW until it is forgotten or evicted. */
struct server_stmt *pw_server_stmts_touch(struct server_stmts *s, const struct stmt *stmt);
struct server_stmt *pw_server_stmts_add(struct server_stmts *s, struct stmt *stmt);
void pw_server_stmts_confirm(struct server_stmts *s, const struct stmt *stmt);
void pw_server_stmts_forget(struct server_stmts *s, const struct stmt *stmt);
/* The oldest when there are more than max, for closing; returns a reference (and forgets it), or
 * NULL. */
struct stmt *pw_server_stmts_evict(struct server_stmts *s, size_t max, const struct stmt *keep);

#endif
