/* A throwaway PostgreSQL for the advisor's tests: own directory, own port, gone at the end. */
#ifndef TESTS_INTEGRATION_ADVISOR_FIXTURE_H
#define TESTS_INTEGRATION_ADVISOR_FIXTURE_H

#include "advisor/advice.h"
#include "advisor/run.h"
#include "proxy/net/pgconn.h"

struct fixture {
    char dir[64], conninfo[256];
    int port;
    struct pgsync *pg; /* OWN: superuser, database postgres */
    char what[128];    /* the last thing asked, for messages */
};

/* cmocka group set-up and tear-down: *state is a struct fixture. */
int pw_fixture_start(void **state);
int pw_fixture_start_with(void **state, const char *schema_sql); /* ... filled, and analyzed */
int pw_fixture_stop(void **state);
/* Runs statements (fails the test on an error). */
void pw_fixture_sql(struct fixture *f, const char *sql);
/* One value; "" for NULL or no row. Valid until the next call. */
const char *pw_fixture_value(struct fixture *f, const char *sql);
/* One advice run over a workload text (NULL: none; "pg_stat_statements": what the server recorded),
 * on a thread with a large stack. */
struct advice_set *pw_fixture_advise(struct fixture *f, const char *workload,
                                     const struct advise_job *options);
/* The same over families as the proxy hands them over; takes w. */
struct advice_set *pw_fixture_advise_live(struct fixture *f, struct workload *w,
                                          const struct advise_job *options);
/* By kind and object name without schema; NULL when absent. */
const struct advice *pw_fixture_find(const struct advice_set *s, enum advice_kind kind,
                                     const char *object);
void pw_fixture_print(const struct advice_set *s); /* for a failing test */

#endif
