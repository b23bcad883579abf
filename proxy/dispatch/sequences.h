/*
 * currval() and lastval() look at what nextval() did earlier in the same session; in transaction
 * mode that may have been on another server connection. A server remembers whose sequence values it
 * holds, and a request that asks for them is sent there, or is refused: never answered with
 * somebody else's number. After the first refusal, sessions of that database stay on their
 * connection once they have used a sequence. One worker's thread; all BORROW.
 */
#ifndef PROXY_DISPATCH_SEQUENCES_H
#define PROXY_DISPATCH_SEQUENCES_H

#include <stdbool.h>

struct dispatch;
struct plan;
struct server;
struct server_pool;
struct ticket;

enum sequence_need {
    SEQUENCE_ANY,  /* any connection will do */
    SEQUENCE_MINE, /* only *s, which is free */
    SEQUENCE_WAIT, /* the connection it needs is busy */
    SEQUENCE_LOST, /* no connection remembers: refuse */
};

/* Which idle connection of p this request needs. */
enum sequence_need pw_sequences_need(struct server_pool *p, const struct ticket *t,
                                     struct server **s);
/* May it run on the connection that its client holds? */
bool pw_sequences_fit(const struct ticket *t, const struct server *s);
/* Must the connection forget somebody else's values first (DISCARD SEQUENCES)? True: it is then
 * nobody's. */
bool pw_sequences_clean(const struct ticket *t, struct server *s);
/* The plan is sent to t->server now. */
void pw_sequences_note(struct dispatch *d, struct ticket *t, const struct plan *plan);
/* A request was refused: from now on sessions of this database are pinned by their first use of a
 * sequence. */
void pw_sequences_learn(struct dispatch *d, const struct ticket *t);

extern const char pw_sequences_lost_text[];

#endif
