/* Private to advisor.c and advisor_read.c: the service's state. */
#ifndef ADVISOR_ADVISOR_PRIV_H
#define ADVISOR_ADVISOR_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "advisor/advisor.h"
#include "advisor/apply.h"
#include "advisor/profile.h"
#include "proxy/base/list.h"

#define DATABASES_MAX 64
#define APPLIED_MAX   200

enum request_kind { REQUEST_RUN, REQUEST_APPLY, REQUEST_UNDO, REQUEST_READ };

struct request {
    struct list_node node;
    enum request_kind kind;
    enum advise_what what;
    char *database, *conninfo, *id; /* OWN; those that the kind needs */
    struct workload *w;             /* OWN */
    pw_on_advice on_done;
    pw_on_server_reading on_reading;
    void *arg;
};

struct advisor {
    pthread_t thread;
    pthread_mutex_t lock; /* everything below up to the blank line */
    pthread_cond_t wake;
    struct list queue; /* OWN: requests */
    bool stopping;
    struct advisor_options options; /* OWN strings */
    struct {
        char *database;         /* OWN */
        struct advice_set *set; /* one reference */
    } latest[DATABASES_MAX];
    size_t n_latest;
    struct applied *applied; /* OWN, APPLIED_MAX of them, oldest first */
    size_t n_applied;
    char progress[160];
    char *busy_conninfo; /* OWN: of the backend that applies now */
    int busy_pid;

    _Atomic bool cancel;
    pw_family_latency latency;
    void *latency_arg; /* BORROW */
};

/* The set that holds this id, referenced, or NULL; its database's name is copied. Any thread. */
struct advice_set *pw_advisor_set_with(struct advisor *a, const char *id, char *database,
                                       size_t size);

#endif
