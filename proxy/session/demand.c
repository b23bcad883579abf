/* By which method must this client prove who it is? auth.hba_file's first rule that matches, else
 * auth.type. */
#include <stdio.h>
#include <string.h>

#include "conf/hba.h"
#include "proxy/base/log.h"
#include "proxy/session/session_priv.h"

static enum demand by_type(enum conf_auth_type type)
{
    switch (type) {
    case CONF_AUTH_UPSTREAM:
        return DEMAND_UPSTREAM;
    case CONF_AUTH_SCRAM:
        return DEMAND_SCRAM;
    case CONF_AUTH_MD5:
        return DEMAND_MD5;
    case CONF_AUTH_TRUST:
        return DEMAND_TRUST;
    case CONF_AUTH_CERT:
        return DEMAND_CERT;
    }
    return DEMAND_SCRAM;
}

/* As PostgreSQL says it, with our file's name, so that nobody looks for the rule at the server. */
static void refuse_by_rules(struct session *s, const struct hba_verdict *v)
{
    char host[64], text[400], why[500];
    int port;
    pw_stream_peer(&s->stream, host, sizeof host, &port);
    bool none = v->method == HBA_NO_MATCH;
    snprintf(text, sizeof text, "%s host \"%s\", user \"%s\", database \"%s\", %s%s",
             none ? "no pg_hba.conf entry for" : "pg_hba.conf rejects connection for",
             s->stream.is_pipe ? "[local]" : host, s->user,
             s->login->is_walsender ? "replication" : s->database,
             pw_stream_is_tls(&s->stream) ? "SSL encryption" : "no encryption",
             " (pgweir's auth.hba_file)");
    const char *unknown = s->login->roles_why ? s->login->roles_why : "";
    snprintf(why, sizeof why, "%s line %zu%s%s", none ? "no rule matches;" : "rule in", v->line,
             v->unknown_role ? ": the members of its +role could not be looked up: " : "",
             v->unknown_role ? unknown : "");
    pw_refuse(s, none ? REFUSED_NO_RULE : REFUSED_RULE_REJECTS, text,
              none ? "no rule matches" : why);
}

static bool is_member(void *arg, const char *user, const char *role)
{
    const struct login *l = arg;
    const char *end = l->roles_len ? l->roles + l->roles_len : NULL;
    (void)user; /* they are its own */
    for (const char *name = l->roles; name < end; name += strlen(name) + 1)
        if (!strcmp(name, role))
            return true;
    return false;
}

static enum decision by_rules(struct session *s, const struct hba *hba)
{
    struct login *l = s->login;
    struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
    pw_stream_peer_address(&s->stream, &addr);
    const struct hba_client client = {.is_local = s->stream.is_pipe,
                                      .is_tls = pw_stream_is_tls(&s->stream),
                                      .is_replication = l->is_walsender,
                                      .addr = (const struct sockaddr *)&addr,
                                      .database = s->database,
                                      .user = s->user,
                                      .is_member = l->roles_known ? is_member : NULL,
                                      .arg = l};
    struct hba_verdict v = pw_hba_decide(hba, &client);
    if (v.unknown_role && !l->roles_asked)
        return DECIDE_ROLES;
    l->ruled = true;
    l->hba_line = v.line;
    switch (v.method) {
    case HBA_NO_MATCH:
    case HBA_REJECT:
        refuse_by_rules(s, &v);
        return DECIDE_REFUSED;
    case HBA_TRUST:
        l->demand = DEMAND_TRUST;
        return DECIDED;
    case HBA_CERT:
        l->demand = DEMAND_CERT;
        return DECIDED;
    case HBA_MD5:
        l->demand = DEMAND_MD5;
        return DECIDED;
    case HBA_SCRAM:
        l->demand = DEMAND_SCRAM;
        return DECIDED;
    case HBA_PASSWORD:
        break;
    }
    l->demand = DEMAND_PASSWORD;
    if (client.is_tls || v.in_clear)
        return DECIDED;
    pw_refuse(s, REFUSED_RULE_CLEARTEXT,
              "a password would have to be sent unencrypted, which no rule asks for", NULL);
    return DECIDE_REFUSED;
}

enum decision pw_demand_decide(struct session *s)
{
    const struct conf_auth *auth = &s->env->dispatch->conf->auth;
    s->login->demand = by_type(auth->type);
    return auth->hba ? by_rules(s, auth->hba) : DECIDED;
}
