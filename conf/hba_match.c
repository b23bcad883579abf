/* Which rule is a client's? Pure. */
#include <netinet/in.h>
#include <string.h>

#include "conf/hba_rule.h"

enum answer { NO, YES, UNKNOWN };

static bool is_keyword(const struct hba_token *t, const char *word)
{
    return !t->quoted && strcmp(t->text, word) == 0;
}

static bool database_matches(const struct hba_names *names, const struct hba_client *c)
{
    for (size_t i = 0; i < names->n; i++) {
        const struct hba_token *t = &names->items[i];
        if (c->is_replication) { /* physical replication is only ever meant by its keyword */
            if (is_keyword(t, "replication"))
                return true;
            continue;
        }
        if (is_keyword(t, "all") ||
            (is_keyword(t, "sameuser") && strcmp(c->database, c->user) == 0))
            return true;
        if (!is_keyword(t, "replication") && !is_keyword(t, "sameuser") &&
            strcmp(t->text, c->database) == 0)
            return true;
    }
    return false;
}

static enum answer user_matches(const struct hba_names *names, const struct hba_client *c)
{
    enum answer answer = NO;
    for (size_t i = 0; i < names->n; i++) {
        const struct hba_token *t = &names->items[i];
        bool role = !t->quoted && t->text[0] == '+';
        if (is_keyword(t, "all") ||
            strcmp(t->text + role, c->user) == 0) /* a role is its own member */
            return YES;
        if (role && c->is_member && c->is_member(c->arg, c->user, t->text + 1))
            return YES;
        if (role && !c->is_member)
            answer = UNKNOWN;
    }
    return answer;
}

/* The address's family and bytes; an IPv4 address in an IPv6 socket is an IPv4 address. */
static int address_of(const struct sockaddr *addr, unsigned char bytes[16])
{
    if (addr && addr->sa_family == AF_INET) {
        memcpy(bytes, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
        return AF_INET;
    }
    if (!addr || addr->sa_family != AF_INET6)
        return 0;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6)) {
        memcpy(bytes, v6->s6_addr + 12, 4);
        return AF_INET;
    }
    memcpy(bytes, v6->s6_addr, 16);
    return AF_INET6;
}

static bool address_matches(const struct hba_address *a, const struct sockaddr *addr)
{
    unsigned char bytes[16] = {0};
    if (a->family == 0)
        return true;
    if (address_of(addr, bytes) != a->family)
        return false;
    for (size_t i = 0; i < (a->family == AF_INET ? 4 : 16); i++)
        if ((bytes[i] ^ a->bytes[i]) & a->mask[i])
            return false;
    return true;
}

static bool type_matches(enum hba_type type, const struct hba_client *c)
{
    switch (type) {
    case HBA_LOCAL:
        return c->is_local;
    case HBA_HOST:
        return !c->is_local;
    case HBA_HOSTSSL:
        return !c->is_local && c->is_tls;
    case HBA_HOSTNOSSL:
        return !c->is_local && !c->is_tls;
    case HBA_NEVER:
        return false;
    }
    return false;
}

struct hba_verdict pw_hba_decide(const struct hba *h, const struct hba_client *client)
{
    for (size_t i = 0; i < h->n; i++) {
        const struct hba_rule *rule = &h->rules[i];
        if (!type_matches(rule->type, client) || !database_matches(&rule->databases, client) ||
            (rule->type != HBA_LOCAL && !address_matches(&rule->address, client->addr)))
            continue;
        enum answer user = user_matches(&rule->users, client);
        if (user == YES)
            return (struct hba_verdict){.method = rule->method,
                                        .line = rule->line,
                                        .in_clear =
                                            rule->type == HBA_LOCAL || rule->type == HBA_HOSTNOSSL};
        if (user == UNKNOWN) /* neither this rule nor those after it can be trusted to be the right
                                one */
            return (struct hba_verdict){
                .method = HBA_REJECT, .line = rule->line, .unknown_role = true};
    }
    return (struct hba_verdict){.method = HBA_NO_MATCH};
}

enum hba_method pw_hba_match_client(const struct hba *h, const struct hba_client *client)
{
    return pw_hba_decide(h, client).method;
}

bool pw_hba_uses(const struct hba *h, enum hba_method m)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->rules[i].method == m)
            return true;
    return false;
}

enum hba_method pw_hba_match(const struct hba *h, bool is_local, bool is_tls,
                             const struct sockaddr *addr, const char *database, const char *user)
{
    struct hba_client client = {
        .is_local = is_local, .is_tls = is_tls, .addr = addr, .database = database, .user = user};
    return pw_hba_match_client(h, &client);
}

const char *pw_hba_method_name(enum hba_method m)
{
    static const char *const names[] = {
        [HBA_NO_MATCH] = "no rule", [HBA_REJECT] = "reject",       [HBA_TRUST] = "trust",
        [HBA_MD5] = "md5",          [HBA_SCRAM] = "scram-sha-256", [HBA_PASSWORD] = "password",
        [HBA_CERT] = "cert",
    };
    return names[m];
}
