/* A planner with one live database, a loop, and a blocking connection to change things with. */
#ifndef TESTS_INTEGRATION_PLANNER_LIVE_H
#define TESTS_INTEGRATION_PLANNER_LIVE_H

#include <stdlib.h>

#include "proxy/base/buf.h"
#include "proxy/net/pgconn.h"
#include "tests/unit/planner/planner_fixture.h"

static const char *live_url; /* argv[1] */

struct live {
    struct fixture f;
    struct planner_database *db;
    struct pgsync *pg;
    uint32_t oids[64]; /* reported as written by others */
    size_t n_oids;
    bool all_written;
};

static void live_on_writes(void *arg, uint32_t database_id, const uint32_t *oids, size_t n)
{
    struct live *l = arg;
    assert_int_equal(database_id, 1);
    l->all_written = l->all_written || n == 0;
    for (size_t i = 0; i < n && l->n_oids < 64; i++)
        l->oids[l->n_oids++] = oids[i];
}

static inline void live_sql(struct live *l, const char *sql)
{
    struct pgresult *r = pw_pgsync_query(l->pg, sql, 0, NULL);
    if (!pw_pgresult_ok(r))
        fail_msg("%s: %s", sql, pw_pgresult_error(r));
    pw_pgresult_free(r);
}

/* A write or DDL by another: a backend that goes idle at once would report its counts only up to
 * ten seconds later. */
static inline void live_foreign(struct live *l, const char *sql)
{
    live_sql(l, sql);
    live_sql(l, "SELECT pg_stat_force_next_flush()");
}

static inline uint32_t live_number(struct live *l, const char *sql)
{
    struct pgresult *r = pw_pgsync_query(l->pg, sql, 0, NULL);
    if (!pw_pgresult_ok(r) || pw_pgresult_rows(r) != 1)
        fail_msg("%s: %s", sql, pw_pgresult_error(r));
    const char *v = pw_pgresult_get(r, 0, 0);
    uint32_t n = v ? (uint32_t)strtoul(v, NULL, 10) : 0;
    pw_pgresult_free(r);
    return n;
}

static inline const struct plan *live_plan(struct live *l, const char *sql)
{
    return fixture_plan(&l->f, sql, strlen(sql));
}

/* Turns the loop until a plan of this statement has (or has no more) this reason. */
static inline void live_wait_reason(struct live *l, const char *sql, enum plan_reason why, bool is)
{
    for (;;) {
        const struct plan *p = live_plan(l, sql);
        bool done = (p->reason == why) == is;
        pw_plan_unref(p);
        if (done)
            return;
        uv_run(&l->f.uv, UV_RUN_ONCE);
    }
}

static inline bool live_is_settled(struct live *l)
{
    const struct plan *p = live_plan(l, "select * from pg_catalog.pg_class");
    bool settled = p->reason == PLAN_WHY_SYSTEM_TABLE;
    pw_plan_unref(p);
    return settled;
}

static inline uint64_t live_plan_generation(struct live *l, const char *sql)
{
    const struct plan *p = live_plan(l, sql);
    uint64_t generation = p->generation;
    pw_plan_unref(p);
    return generation;
}

static inline void live_settle(struct live *l)
{
    while (!live_is_settled(l))
        uv_run(&l->f.uv, UV_RUN_ONCE);
}

static inline void live_init(struct live *l, const char *const *setup, size_t n)
{
    char *error = NULL;
    memset(l, 0, sizeof *l);
    l->pg = pw_pgsync_connect(live_url, 10000000, &error);
    assert_non_null(l->pg);
    for (size_t i = 0; i < n; i++)
        live_sql(l, setup[i]);
    fixture_init(&l->f, 1000);
    pw_planner_on_foreign_writes(l->f.planner, live_on_writes, l);
    l->db = pw_planner_database_add(l->f.planner, 1, "postgres", live_url, &l->f.uv, 20000);
    assert_non_null(l->db);
    live_settle(l);
}

static inline void live_free(struct live *l)
{
    pw_planner_database_remove(l->f.planner, l->db);
    fixture_free(&l->f);
    pw_pgsync_free(l->pg);
}

#endif
