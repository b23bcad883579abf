/*
 * What a worker knows of the hosts its upstreams name: which are down and when to try them again,
 * and which is a primary. The order in which a connection attempt goes through an upstream's hosts
 * comes from here. Facts only: nothing connects by itself. Owner: one table per worker, shared by
 * its pools. Worker's thread. Times are loop time in us.
 */
#ifndef PROXY_POOL_HOSTS_H
#define PROXY_POOL_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/base/list.h"

/* target_session_attrs, as libpq has it. */
enum session_attrs {
    ATTRS_ANY,
    ATTRS_READ_WRITE,
    ATTRS_READ_ONLY,
    ATTRS_PRIMARY,
    ATTRS_STANDBY,
    ATTRS_PREFER_STANDBY,
};

enum { HOSTS_MAX = 32, HOST_ORDER_MAX = 2 * HOSTS_MAX };

struct host_state {
    struct list_node link; /* LINK host_table.hosts */
    char *host;            /* OWN */
    uint16_t port;
    uint32_t failures;    /* in a row; 0: it is up, as far as we know */
    uint64_t retry_at_us; /* while failures > 0: not tried before, unless there is nothing better */
    bool role_known, standby, read_only;
};

struct host_table {
    struct list hosts; /* OWN; never shrinks: bounded by what configurations name */
};

/* One step of an attempt. */
struct host_choice {
    uint8_t index; /* into upstream.hosts */
    bool any_role; /* prefer-standby, second round: a primary will do */
};

void pw_hosts_init(struct host_table *t);
void pw_hosts_free(struct host_table *t);
struct host_state *pw_hosts_get(struct host_table *t, const struct conf_host *host);

void pw_host_failed(struct host_state *h, uint64_t now_us, const char *why);
/* It let us in; standby and read_only as it reports them. */
void pw_host_is_up(struct host_state *h, bool role_known, bool standby, bool read_only);

enum session_attrs pw_session_attrs(const char *word); /* a word that conf has checked */
/* NULL when such a server will do, else why not (libpq's words). */
const char *pw_session_attrs_refusal(enum session_attrs attrs, bool standby, bool read_only);

/* The hosts in the order to try them: up and not known to have the wrong role, then wrong role,
 * then down; in the URL's order within each. A host whose back-off is over counts as up for one
 * attempt. Returns how many. */
size_t pw_hosts_order(struct host_table *t, const struct conf_upstream *up,
                      enum session_attrs attrs, uint64_t now_us,
                      struct host_choice out[HOST_ORDER_MAX]);

#endif
