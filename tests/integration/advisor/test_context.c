/*
 * Statements of clients with a role, a search_path and settings of their own are advised about as
 * they are planned for those clients: the same text is about another table, or another plan. The
 * setups are made by the functions that the proxy makes them with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "planner/sample.h"

static const char schema_sql[] =
    "CREATE EXTENSION hypopg;"
    "CREATE ROLE app LOGIN; CREATE ROLE beta; CREATE ROLE adviser LOGIN;"
    "CREATE SCHEMA tenant; CREATE SCHEMA shop; CREATE SCHEMA beta;"
    "ALTER ROLE app SET search_path = shop, public;"
    "CREATE TABLE public.t AS SELECT i AS a, i % 7 AS b FROM generate_series(1, 30000) i;"
    "CREATE TABLE tenant.t AS TABLE public.t; CREATE TABLE shop.t AS TABLE public.t;"
    "CREATE TABLE beta.t AS TABLE public.t;"
    "GRANT USAGE ON SCHEMA tenant, shop, beta TO PUBLIC;"
    "GRANT SELECT ON public.t, tenant.t, shop.t, beta.t TO PUBLIC";

static int start(void **state)
{
    return pw_fixture_start_with(state, schema_sql);
}

struct session {
    const char *user, *role;    /* role: by SET ROLE */
    const char *settings[3][2]; /* by SET */
    const char *table;          /* that advice must be about; NULL: no advice */
};

static const struct session sessions[] = {
    {.user = "postgres", .table = "public.t"},
    {.user = "postgres", .settings = {{"search_path", "tenant, public"}}, .table = "tenant.t"},
    /* what the role logs in with, and what it then says itself */
    {.user = "app", .table = "shop.t"},
    {.user = "app", .settings = {{"search_path", "public"}}, .table = "public.t"},
    /* "$user" is the role that was set */
    {.user = "postgres", .role = "beta", .table = "beta.t"},
    /* settings that no index helps against */
    {.user = "postgres",
     .settings = {{"enable_indexscan", "off"},
                  {"enable_bitmapscan", "off"},
                  {"enable_indexonlyscan", "off"}}},
};

static struct advice_set *advise(struct fixture *f, const struct session *x, const char *conninfo)
{
    struct advise_job job = {.conninfo = conninfo};
    struct workload *w = pw_workload_new("live");
    struct workload_family *family = pw_workload_add(w, 0x77, "a family", 1000, 5000, 1000);
    struct buf setup;
    pw_buf_init(&setup, SAMPLE_SETUP_MAX);
    assert_true(pw_sample_role(&setup, x->user));
    assert_true(!x->role || pw_sample_role(&setup, x->role));
    for (int k = 0; k < 3 && x->settings[k][0]; k++)
        assert_true(pw_sample_setting(&setup, x->settings[k][0], x->settings[k][1]));
    pw_buf_append_u8(&setup, 0);
    pw_workload_add_bound(family, pw_slice_str("SELECT b FROM t WHERE a = $1"), "int4", "'5'",
                          setup.data);
    pw_buf_free(&setup);
    return pw_fixture_advise_live(f, w, &job);
}

static void it_is_the_clients_table(void **state)
{
    for (size_t k = 0; k < sizeof(sessions) / sizeof(sessions[0]); k++) {
        const struct session *x = &sessions[k];
        struct advice_set *s = advise(*state, x, NULL);
        const struct advice *create = NULL;
        for (size_t i = 0; i < s->n_items; i++)
            create = s->items[i].kind == ADVICE_CREATE ? &s->items[i] : create;
        if ((create != NULL) != (x->table != NULL) || s->n_notes)
            pw_fixture_print(s);
        assert_int_equal(s->n_notes, 0);
        assert_int_equal(create != NULL, x->table != NULL);
        if (create)
            assert_string_equal(create->table, x->table);
        pw_advice_set_unref(s);
    }
}

/* The settings are known all the same; only row security and rights are not. */
static void a_role_that_may_not_be_taken_on_is_said(void **state)
{
    struct fixture *f = *state;
    char conninfo[300];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d user=adviser dbname=postgres",
             f->port);
    struct advice_set *s = advise(f, &sessions[2], conninfo);
    bool said = false;
    for (size_t k = 0; k < s->n_notes; k++)
        said = said || strstr(s->notes[k], "GRANT app TO adviser");
    assert_true(said || (pw_fixture_print(s), false));
    assert_int_equal(pw_advice_count(s, ADVICE_CREATE), 1);
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_CREATE)
            assert_string_equal(s->items[k].table, "shop.t");
    pw_advice_set_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_clients_table),
        cmocka_unit_test(a_role_that_may_not_be_taken_on_is_said),
    };
    return cmocka_run_group_tests(tests, start, pw_fixture_stop);
}
