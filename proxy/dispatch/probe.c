/* A login with settings never seen before: they are replayed on a server once, to learn whether it
 * takes them and what it reports (ParameterStatus) with them. Later logins with the same settings
 * need no server. */
#include "proxy/dispatch/dispatch_priv.h"

void pw_dispatch_probe(struct client *c)
{
    struct dispatch *d = c->dispatch;
    struct ticket *t = pw_ticket_new(&d->tickets, c, d->env.loop->now_us);
    c->ticket = t;
    t->is_probe = true;
    t->pool = c->pool;
    t->settings = pw_settings_ref(c->settings);
    pw_dispatch_enqueue(d, t);
}

void pw_probe_done(struct dispatch *d, struct ticket *t, struct server *s)
{
    struct client *c = t->client;
    bool ok = !t->failed;
    struct buf error = t->key; /* the error's body, taken over */
    pw_buf_init(&t->key, error.max);
    s->in_flight--;
    t->server = NULL;
    if (c) {
        c->ticket = NULL;
        c->server = NULL;
    }
    pw_ticket_enter(t, TICKET_DONE);
    pw_ticket_free(&d->tickets, t);
    pw_server_unhold(d, s);
    if (c)
        c->sink->on_probe_done(c, ok, pw_buf_slice(&error));
    pw_buf_free(&error);
}
