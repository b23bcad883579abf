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
/* True: wait for its ReadyForQuery (pw_ticket_replayed) before the request is sent. */
bool pw_replay_settings(struct dispatch *d, struct ticket *t, struct server *s);

/* Makes sure that op->stmt exists on the server, by a Parse of our own if need be. */
void pw_send_prepared(struct dispatch *d, struct server *s, struct ticket *t, struct op *op);

/* promote.c: the statement of a request that is about to be sent becomes one of ours, if that pays
 * and nobody can tell. */
void pw_promote(struct dispatch *d, struct ticket *t);
/* A simple query that was promoted. */
void pw_promote_send(struct dispatch *d, struct ticket *t, struct server *s, struct op *op);
/* Time to prepare it anew? */
bool pw_promote_is_worn(const struct server_stmt *known);

#endif
