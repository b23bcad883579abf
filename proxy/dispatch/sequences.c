#include "proxy/dispatch/sequences.h"

#include "proxy/base/log.h"
#include "proxy/dispatch/dispatch_priv.h"

enum { NOBODYS = -1 }; /* of several clients: nobody may rely on it */

const char pw_sequences_lost_text[] = "currval or lastval: the server connection on which this "
                                      "session used the sequence is in use by others; call "
                                      "nextval and currval in one transaction, or use INSERT ... "
                                      "RETURNING (from now on pgweir keeps such sessions on their "
                                      "connection)";

static bool matters(const struct ticket *t)
{
    return t->client && t->translate && t->client->pin == PIN_NONE && (t->flags & PLAN_F_CURRVAL);
}

enum sequence_need pw_sequences_need(struct server_pool *p, const struct ticket *t,
                                     struct server **s)
{
    if (!matters(t) || !t->client->used_sequence)
        return SEQUENCE_ANY;
    PW_LIST_FOR(&p->by_state[SERVER_IDLE], n, tmp)
    {
        *s = PW_LIST_ENTRY(n, struct server, state_link);
        if ((*s)->sequences_of == t->client->id && !(*s)->cancels && !(*s)->eof && !(*s)->broken)
            return SEQUENCE_MINE;
    }
    PW_LIST_FOR(&p->by_state[SERVER_ACTIVE], n, tmp)
    {
        const struct server *busy = PW_LIST_ENTRY(n, struct server, state_link);
        if (busy->sequences_of == t->client->id)
            return SEQUENCE_WAIT;
    }
    PW_LIST_FOR(&p->by_state[SERVER_RESETTING], n, tmp)
    {
        const struct server *soon = PW_LIST_ENTRY(n, struct server, state_link);
        if (soon->sequences_of == t->client->id)
            return SEQUENCE_WAIT;
    }
    return SEQUENCE_LOST;
}

bool pw_sequences_fit(const struct ticket *t, const struct server *s)
{
    return !matters(t) || !t->client->used_sequence || s->sequences_of == t->client->id;
}

bool pw_sequences_clean(const struct ticket *t, struct server *s)
{
    if (!matters(t) || t->client->used_sequence || s->sequences_of == 0 || s->txn == 'E')
        return false;
    s->sequences_of = 0;
    return true;
}

/* What is not known to use a sequence, but may: functions of users, DO. */
static void note_doubt(struct server *s, uint64_t client)
{
    if (s->sequences_of != client)
        s->sequences_of = s->sequences_of == 0 ? client : (uint64_t)NOBODYS;
}

void pw_sequences_note(struct dispatch *d, struct ticket *t, const struct plan *plan)
{
    struct client *c = t->client;
    struct server *s = t->server;
    if (!s || c->pool->db->pool_mode == CONF_POOL_SESSION)
        return;
    if (pw_plan_has(plan, PLAN_F_SEQUENCE))
        s->sequences_of = c->id;
    else if (pw_plan_has(plan, PLAN_F_WRITES_ALL))
        note_doubt(s, c->id);
    else
        return;
    c->used_sequence = true;
    if (pw_databases_keep_sequences(d->shared->databases, c->pool->database_id, false))
        pw_client_pin(c, PIN_SEQUENCE);
}

void pw_sequences_learn(struct dispatch *d, const struct ticket *t)
{
    pw_databases_keep_sequences(d->shared->databases, t->pool->database_id, true);
    pw_log_warn("client=%llu database=%s event=sequence_lost text=\"%s\"",
                (unsigned long long)t->client->id, t->pool->database, pw_sequences_lost_text);
}
