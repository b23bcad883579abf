/* Between send.c, which sends a request, and replay.c, which first makes the connection's settings
 * the session's. */
#ifndef PROXY_DISPATCH_SEND_PRIV_H
#define PROXY_DISPATCH_SEND_PRIV_H

#include "proxy/dispatch/dispatch_priv.h"

/* One entry of what the server owes. op NULL: a message of our own. */
void pw_send_expect(struct server *s, struct ticket *t, const struct op *op, uint8_t kind,
                    uint8_t action);
struct buf *pw_send_scratch(struct dispatch *d); /* empty; valid until the next call */
void pw_send_rest(struct dispatch *d, struct ticket *t,
                  struct server *s); /* the messages not sent so far */
/* replay.c: makes the connection's settings the ticket's. True: the request must wait
 * (pw_ticket_replayed); false: it follows at once. */
bool pw_replay_settings(struct dispatch *d, struct ticket *t, struct server *s);

/* Makes sure that op->stmt exists on the server, by a Parse of our own if need be. */
void pw_send_prepared(struct dispatch *d, struct server *s, struct ticket *t, struct op *op);

/* gate.c: settings that travel with the request. Open: may they? */
bool pw_gate_is_open(const struct ticket *t, const struct server *s);
struct gate_extras {
    const char *app_name; /* NULL: stays */
    bool discard_sequences;
};
/* extras: with these, and a Sync. NULL: the request follows, and is not executed when a setting is
 * refused. */
void pw_gate_send(struct dispatch *d, struct ticket *t, struct server *s,
                  const struct gate_extras *extras);
/* The reported value of a setting that was replayed for t: the client is told at its ReadyForQuery
 * (pw_gate_settle). */
bool pw_gate_hides(const struct ticket *t, struct slice name);
/* Appends what differs from what the client was told. False: nothing. */
bool pw_gate_settle(const struct ticket *t, const struct server *s, struct buf *out);
/* What the client was told, into a copy of what the server reported before the replay. */
void pw_gate_told(const struct ticket *t, struct params *told);

/* promote.c: the statement of a request that is about to be sent becomes one of ours, if that pays
 * and nobody can tell. */
void pw_promote(struct dispatch *d, struct ticket *t);
/* A simple query that was promoted. */
void pw_promote_send(struct dispatch *d, struct ticket *t, struct server *s, struct op *op);
/* Time to prepare it anew? */
bool pw_promote_is_worn(const struct server_stmt *known);

#endif
