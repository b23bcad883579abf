/*
 * SHOW INDEXES: every index of the databases in use with the server's own counters, asked over
 * libpq when the command is given. Control thread. Bounded: one query per database, one answer at
 * a time, each with a limit in rows and time.
 */
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/num.h"
#include "proxy/control/show.h"
#include "proxy/net/pgconn.h"

enum { CONNECT_TIMEOUT_US = 5000000, QUERY_TIMEOUT_US = 10000000 };

static const struct table_column columns[] = {
    {"table", TABLE_TEXT},    {"index", TABLE_TEXT},        {"families", TABLE_INT8},
    {"uses", TABLE_INT8},     {"last_used", TABLE_TEXT},    {"scan_kind", TABLE_TEXT},
    {"idx_scan", TABLE_INT8}, {"idx_tup_read", TABLE_INT8}, {"size", TABLE_INT8},
    {"database", TABLE_TEXT}};

static const char sql[] =
    "SELECT s.schemaname || '.' || s.relname, s.schemaname || '.' || s.indexrelname, s.idx_scan, "
    "s.idx_tup_read, pg_catalog.pg_relation_size(s.indexrelid) "
    "FROM pg_catalog.pg_stat_user_indexes s ORDER BY s.idx_scan DESC, 1, 2 LIMIT 10000";

struct asking {
    struct list_node link; /* LINK show_state->asking */
    struct control *control;
    struct admin_call *call; /* OWN until finished */
    struct table *table;     /* OWN until finished */
    struct pool_row *row;    /* BORROW: the database being asked */
    struct pgconn *conn;     /* OWN; NULL between databases */
    char *error;             /* OWN: of the first database that did not answer */
    size_t n_asked, n_failed;
};

static void finish(struct asking *a)
{
    pw_list_remove(&a->control->show->asking, &a->link);
    if (a->control->stopped)
        pw_admin_finish_error(a->call, "57P01", "pgweir is shutting down");
    else if (a->n_failed && a->n_failed == a->n_asked)
        pw_admin_finish_error(a->call, "08001", "%s", a->error);
    else {
        if (a->n_failed)
            a->call->result.notice = pw_asprintf("not every database answered: %s", a->error);
        pw_admin_finish_table(a->call, a->table);
        a->table = NULL;
    }
    pw_table_free(a->table);
    pw_free(a->error);
    pw_free(a);
}

/* The server's count without our own EXPLAINs, which it may not have heard of yet. */
static void put_scans(struct table *t, const char *idx_scan, uint64_t own)
{
    uint64_t n;
    if (idx_scan && pw_num_parse_u64(pw_slice_str(idx_scan), &n))
        pw_table_uint(t, n > own ? n - own : 0);
    else
        pw_table_null(t);
}

static void put_row(struct asking *a, const struct pgresult *r, int row)
{
    struct table *t = a->table;
    if (!pw_table_row(t))
        return;
    pw_table_text(t, pw_pgresult_get(r, row, 0));
    pw_table_text(t, pw_pgresult_get(r, row, 1));
    uint64_t own = pw_index_use_put(a->control, t, a->row->database_id, pw_pgresult_get(r, row, 1));
    put_scans(t, pw_pgresult_get(r, row, 2), own);
    for (int column = 3; column <= 4; column++)
        pw_table_text(t, pw_pgresult_get(r, row, column));
    pw_table_text(t, a->row->database);
}

static void ask_next(struct asking *a);

static void on_answer(void *arg, const struct pgresult *r)
{
    struct asking *a = arg;
    a->n_asked++;
    if (pw_pgresult_ok(r)) {
        for (int row = 0; row < pw_pgresult_rows(r); row++)
            put_row(a, r, row);
    } else if (a->n_failed++ == 0) {
        a->error = pw_asprintf("%s: %s", a->row->database, pw_pgresult_error(r));
    }
    pw_pgconn_free(a->conn);
    a->conn = NULL;
    a->row = a->row->next;
    ask_next(a);
}

static bool is_first(struct control *c, const struct pool_row *r)
{
    const struct pool_row *o = pw_databases_rows(c->databases);
    while (o != r && strcmp(o->database, r->database) != 0)
        o = o->next;
    return o == r;
}

static void ask_next(struct asking *a)
{
    struct control *c = a->control;
    for (; a->row && !c->stopped; a->row = a->row->next) {
        const struct conf_database *db = pw_conf_database_find(c->conf, a->row->database);
        if (!db || !is_first(c, a->row))
            continue;
        char *conninfo =
            pw_conninfo_for(&db->upstream, pw_conf_database_dbname(db, a->row->database));
        a->conn = pw_pgconn_new(&c->uv, conninfo, CONNECT_TIMEOUT_US);
        pw_free(conninfo);
        pw_pgconn_query(a->conn, sql, 0, NULL, QUERY_TIMEOUT_US, on_answer, a);
        return;
    }
    finish(a);
}

static void run_indexes(struct admin_call *call)
{
    struct control *c = call->arg;
    struct asking *a = pw_alloc(sizeof(*a));
    a->control = c;
    a->call = call;
    a->table = pw_table_new(columns, PW_COUNT_OF(columns));
    a->row = pw_databases_rows(c->databases);
    pw_list_push_back(&c->show->asking, &a->link);
    ask_next(a);
}

void pw_index_end_asking(struct control *c)
{
    PW_LIST_FOR(&c->show->asking, n, tmp)
    pw_pgconn_free(PW_LIST_ENTRY(n, struct asking, link)->conn); /* answers: "closed" */
}

static const struct admin_command commands[] = {
    {"SHOW INDEXES", ADMIN_STATS, NULL,
     "Index use: by which query families, as sampled, and the server's own counters.", run_indexes},
};

void pw_show_register_indexes(struct control *c)
{
    pw_admin_register(c->admin, commands, PW_COUNT_OF(commands), c);
}
