#include "proxy/pool/hosts.h"

#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/log.h"

enum { HOST_RETRY_US_MIN = 500 * 1000, HOST_RETRY_US_MAX = 30 * 1000 * 1000 };

void pw_hosts_init(struct host_table *t)
{
    pw_list_init(&t->hosts);
}

void pw_hosts_free(struct host_table *t)
{
    for (struct list_node *n; (n = pw_list_pop_front(&t->hosts));) {
        struct host_state *h = PW_LIST_ENTRY(n, struct host_state, link);
        pw_free(h->host);
        pw_free(h);
    }
}

struct host_state *pw_hosts_get(struct host_table *t, const struct conf_host *host)
{
    PW_LIST_FOR(&t->hosts, n, tmp)
    {
        struct host_state *h = PW_LIST_ENTRY(n, struct host_state, link);
        if (h->port == host->port && !strcmp(h->host, host->host))
            return h;
    }
    struct host_state *h = pw_alloc(sizeof *h);
    h->host = pw_strdup(host->host);
    h->port = host->port;
    pw_list_push_back(&t->hosts, &h->link);
    return h;
}

static uint64_t back_off_us(uint32_t failures)
{
    uint64_t wait = (uint64_t)HOST_RETRY_US_MIN << (failures < 8 ? failures : 8);
    return wait < HOST_RETRY_US_MAX ? wait : HOST_RETRY_US_MAX;
}

void pw_host_failed(struct host_state *h, uint64_t now_us, const char *why)
{
    if (h->failures == 0)
        pw_log_warn("host=%s:%u event=host_down text=\"%s\"", h->host, h->port, why);
    h->retry_at_us = now_us + back_off_us(h->failures++);
    h->role_known = false; /* it may come back as something else */
}

void pw_host_is_up(struct host_state *h, bool role_known, bool standby, bool read_only)
{
    if (h->failures)
        pw_log_info("host=%s:%u event=host_up", h->host, h->port);
    if (role_known && h->role_known && h->standby != standby)
        pw_log_info("host=%s:%u event=role_changed role=%s", h->host, h->port,
                    standby ? "standby" : "primary");
    h->failures = 0;
    h->role_known = role_known;
    h->standby = standby;
    h->read_only = read_only;
}

/* ---- what is wanted */

enum session_attrs pw_session_attrs(const char *word)
{
    static const char *const words[] = {[ATTRS_ANY] = "any",
                                        [ATTRS_READ_WRITE] = "read-write",
                                        [ATTRS_READ_ONLY] = "read-only",
                                        [ATTRS_PRIMARY] = "primary",
                                        [ATTRS_STANDBY] = "standby",
                                        [ATTRS_PREFER_STANDBY] = "prefer-standby"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strcmp(word, words[i]))
            return (enum session_attrs)i;
    return ATTRS_ANY;
}

const char *pw_session_attrs_refusal(enum session_attrs attrs, bool standby, bool read_only)
{
    switch (attrs) {
    case ATTRS_ANY:
        return NULL;
    case ATTRS_READ_WRITE:
        return standby || read_only ? "session is read-only" : NULL;
    case ATTRS_READ_ONLY:
        return standby || read_only ? NULL : "session is not read-only";
    case ATTRS_PRIMARY:
        return standby ? "server is in hot standby mode" : NULL;
    case ATTRS_STANDBY:
    case ATTRS_PREFER_STANDBY:
        return standby ? NULL : "server is not in hot standby mode";
    }
    return NULL;
}

/* ---- the order */

enum rank { RANK_GOOD, RANK_WRONG_ROLE, RANK_DOWN, RANK_COUNT };

static enum rank rank_of(const struct host_state *h, enum session_attrs attrs, uint64_t now_us)
{
    if (h->failures && now_us < h->retry_at_us)
        return RANK_DOWN;
    bool wrong = h->role_known && pw_session_attrs_refusal(attrs, h->standby, h->read_only);
    return wrong ? RANK_WRONG_ROLE : RANK_GOOD;
}

size_t pw_hosts_order(struct host_table *t, const struct conf_upstream *up,
                      enum session_attrs attrs, uint64_t now_us,
                      struct host_choice out[HOST_ORDER_MAX])
{
    enum rank ranks[HOSTS_MAX];
    size_t n_hosts = up->n_hosts < HOSTS_MAX ? up->n_hosts : HOSTS_MAX, n = 0;
    for (size_t i = 0; i < n_hosts; i++) {
        struct host_state *h = pw_hosts_get(t, &up->hosts[i]);
        ranks[i] = rank_of(h, attrs, now_us);
        if (h->failures &&
            ranks[i] != RANK_DOWN) /* its one attempt: others do not wait for it meanwhile */
            h->retry_at_us = now_us + back_off_us(h->failures);
    }
    for (int rank = RANK_GOOD; rank < RANK_COUNT; rank++)
        for (size_t i = 0; i < n_hosts; i++)
            if (ranks[i] == (enum rank)rank)
                out[n++] = (struct host_choice){(uint8_t)i, false};
    if (attrs == ATTRS_PREFER_STANDBY)
        for (size_t i = 0; i < n_hosts; i++)
            out[n++] = (struct host_choice){out[i].index, true};
    return n;
}
