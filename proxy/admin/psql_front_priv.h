/* What psql_front.c (Query, turns) and psql_names.c (the extended protocol) share. */
#ifndef PROXY_ADMIN_PSQL_FRONT_PRIV_H
#define PROXY_ADMIN_PSQL_FRONT_PRIV_H

#include "proxy/admin/psql_front.h"

enum psql_wait { /* what the command that runs elsewhere was for */
                 PSQL_WAIT_NOTHING,
                 PSQL_WAIT_QUERY,
                 PSQL_WAIT_DESCRIBE_STATEMENT,
                 PSQL_WAIT_DESCRIBE_PORTAL,
                 PSQL_WAIT_EXECUTE,
};

struct psql_statement {
    char *name, *text; /* OWN; name is NULL in a free slot */
};

struct psql_portal {
    char *name, *text; /* OWN; name is NULL in a free slot */
    size_t n_formats;
    bool binary[PW_TABLE_COLUMNS_MAX]; /* as many as the Bind said */
    bool described;                    /* with a row description (or NoData) */
    bool described_rows;
    bool has_result;
    struct admin_result result; /* OWN while has_result */
    size_t sent;                /* rows already sent */
};

struct psql_front {
    const struct admin *registry; /* BORROW */
    char *user, *database;        /* OWN */
    pw_on_psql_command on_command;
    void *arg;     /* BORROW */
    char status;   /* of ReadyForQuery */
    bool skipping; /* after an error of the extended protocol, until Sync */
    enum psql_wait wait;
    char *query;       /* OWN; the Query being worked on */
    struct slice rest; /* of query, not run yet */
    struct psql_statement statements[PW_PSQL_NAMES_MAX];
    struct psql_portal portals[PW_PSQL_NAMES_MAX];
    size_t current;    /* the portal or statement that waits */
    uint32_t max_rows; /* of the Execute that waits */
};

/* psql_front.c */
/* Answers at once in *now (true), or hands the text to on_command and waits (false). */
bool pw_psql_run(struct psql_front *f, struct slice text, struct admin_result *now,
                 enum psql_wait wait);
void pw_psql_error(struct buf *out, const char *sqlstate, const char *message, const char *hint);
void pw_psql_notice(const struct admin_result *r, struct buf *out);
void pw_psql_result_adapt(struct admin_result *r); /* FORMAT JSON becomes a text column */
bool pw_psql_is_empty(struct slice text);

/* psql_names.c */
enum pw_status pw_psql_names_feed(struct psql_front *f, uint8_t type, struct slice body,
                                  struct buf *out);
void pw_psql_names_result(struct psql_front *f, enum psql_wait wait, struct admin_result *result,
                          struct buf *out);
void pw_psql_portals_clear(struct psql_front *f);
void pw_psql_names_clear(struct psql_front *f);

#endif
