/*
 * EXPLAIN CACHE and EXPLAIN BATCH: the planner's words (planner/explain_cache.h), asked on a memo
 * of control's own, and what the settings make of them. Control thread.
 */
#include <strings.h>

#include "planner/explain_cache.h"
#include "proxy/base/alloc.h"
#include "proxy/base/num.h"
#include "proxy/control/explain.h"
#include "proxy/control/show.h"

enum { MEMO_ENTRIES = 1000 };

struct explain {
    struct list_node link; /* LINK explains->pending */
    struct explain_request *request;
    struct control *control; /* BORROW */
    struct admin_call *call; /* OWN until finished */
    char *database;          /* OWN */
    enum explain_what what;
    bool done; /* answered before pw_explain_ask returned */
};

struct explains {
    struct plan_memo *memo; /* OWN */
    struct list pending;    /* OWN */
};

struct explains *pw_explains_new(struct control *c)
{
    struct explains *all = pw_alloc(sizeof(*all));
    all->memo = pw_plan_memo_new(c->planner, &c->box, MEMO_ENTRIES);
    pw_list_init(&all->pending);
    return all;
}

static void release(struct explain *e)
{
    pw_free(e->database);
    pw_free(e);
}

void pw_explains_free(struct explains *all)
{
    for (struct list_node *n; (n = pw_list_pop_front(&all->pending));) {
        struct explain *e = PW_LIST_ENTRY(n, struct explain, link);
        pw_explain_cancel(e->request);
        pw_admin_finish_error(e->call, "57P01", "pgweir is shutting down");
        release(e);
    }
    pw_plan_memo_free(all->memo);
    pw_free(all);
}

/* ---- the answer ---- */

static const struct table_column columns[] = {{"item", TABLE_TEXT}, {"answer", TABLE_TEXT}};

static void put(struct table *t, const char *item, const char *answer)
{
    if (!pw_table_row(t))
        return;
    pw_table_text(t, item);
    pw_table_text(t, answer);
}

static void put_cache_settings(struct table *t, const struct pw_conf *conf)
{
    char ttl[32];
    put(t, "in force",
        conf->cache.consistency == CONF_CACHE_OFF   ? "no: cache.consistency is off"
        : conf->pgweir.mode == CONF_MODE_OBSERVE    ? "no, only counted: pgweir.mode is observe"
        : conf->cache.consistency == CONF_CACHE_TTL ? "only what a hint or rule marks: "
                                                      "cache.consistency is ttl"
                                                    : "yes");
    put(t, "kept for", pw_num_print_duration(conf->cache.ttl_us, ttl, sizeof ttl));
}

static void put_batch_settings(struct table *t, const struct pw_conf *conf, const char *database)
{
    const struct conf_database *db = pw_conf_database_find(conf, database);
    bool session = db && db->pool_mode == CONF_POOL_SESSION;
    put(t, "in force",
        session                                  ? "no: pool_mode is session"
        : conf->pgweir.mode == CONF_MODE_OBSERVE ? "no: pgweir.mode is observe"
                                                 : "yes");
    put(t, "batch.single_flight", conf->batch.single_flight ? "on" : "off");
    put(t, "batch.pipeline",
        conf->batch.pipeline ? "on, for families known to be faster than batch.slow" : "off");
}

static void on_explained(void *arg, const struct explain_answer *answer)
{
    struct explain *e = arg;
    struct table *t = pw_table_new(columns, PW_COUNT_OF(columns));
    put(t, "database", e->database);
    for (size_t i = 0; i < answer->n; i++)
        put(t, answer->rows[i].item, answer->rows[i].answer);
    if (e->what == EXPLAIN_CACHE)
        put_cache_settings(t, e->control->conf);
    else
        put_batch_settings(t, e->control->conf, e->database);
    pw_admin_finish_table(e->call, t);
    e->done = true;
    if (!pw_list_linked(&e->link))
        return; /* released by whoever asked */
    pw_list_remove(&e->control->show->explains->pending, &e->link);
    release(e);
}

/* ---- which database, which statement ---- */

/* The one that was used first; else the first with a row of its own; else what "*" leads to. */
static const char *first_database(struct control *c)
{
    const struct pool_row *oldest = NULL;
    for (struct pool_row *r = pw_databases_rows(c->databases); r; r = r->next)
        oldest = r;
    if (oldest)
        return oldest->database;
    const struct conf_database *db = c->conf->n_databases ? &c->conf->databases[0] : NULL;
    if (!db || strcmp(db->name, "*") != 0)
        return db ? db->name : NULL;
    return db->upstream.dbname[0] ? db->upstream.dbname : NULL;
}

/* "DATABASE name sql": takes the name off *sql. */
static char *take_database(const char **sql)
{
    static const char word[] = "DATABASE";
    const char *p = *sql;
    if (strncasecmp(p, word, sizeof word - 1) != 0 || !strchr(" \t\n", p[sizeof word - 1]))
        return NULL;
    p += sizeof word - 1;
    p += strspn(p, " \t\n");
    size_t len = strcspn(p, " \t\n");
    *sql = p + len + strspn(p + len, " \t\n");
    return pw_strndup(p, len);
}

static void start(struct admin_call *call, enum explain_what what)
{
    struct control *c = call->arg;
    const char *sql = call->rest;
    char *given = take_database(&sql);
    const char *name = given ? given : first_database(c);
    const struct conf_database *db = name ? pw_show_find_database(c, name) : NULL;
    if (!db || !*sql) {
        pw_admin_finish_error(call, db ? "42601" : "3D000", "%s: %s", call->command->words,
                              db      ? "a statement is missing"
                              : given ? "no such database, or not used yet"
                                      : "which database? say DATABASE name before the statement");
        pw_free(given);
        return;
    }
    struct explain *e = pw_alloc(sizeof(*e));
    *e = (struct explain){
        .control = c, .call = call, .database = given ? given : pw_strdup(name), .what = what};
    const struct plan_context_key key = {.database_id = pw_databases_id(c->databases, e->database),
                                         .user = db->upstream.user,
                                         .standard_conforming_strings = true,
                                         .encoding_is_safe = true};
    struct explains *all = c->show->explains;
    e->request = pw_explain_ask(all->memo, pw_plan_context(c->planner, &key), pw_slice_str(sql),
                                what, on_explained, e);
    if (e->done)
        release(e);
    else
        pw_list_push_back(&all->pending, &e->link);
}

static void run_cache(struct admin_call *call)
{
    start(call, EXPLAIN_CACHE);
}

static void run_batch(struct admin_call *call)
{
    start(call, EXPLAIN_BATCH);
}

static const struct admin_command commands[] = {
    {"EXPLAIN CACHE", ADMIN_STATS, "sql",
     "Would this statement be cached, and if not why not? DATABASE name before it says where.",
     run_cache},
    {"EXPLAIN BATCH", ADMIN_STATS, "sql",
     "Would this statement be coalesced with others, and if not why not?", run_batch},
};

void pw_show_register_explain(struct control *c)
{
    pw_admin_register(c->admin, commands, PW_COUNT_OF(commands), c);
}
