/* Between receive.c, which cuts the server's bytes into messages, and answer.c, which knows what a
 * message means. */
#ifndef PROXY_DISPATCH_RECEIVE_PRIV_H
#define PROXY_DISPATCH_RECEIVE_PRIV_H

#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/wire/frame.h"

enum verdict { PASS, DROP, HOLD, BROKEN }; /* HOLD: not all of it is here */

struct intake {
    struct dispatch *d;
    struct server *s;
    struct ticket *to; /* whose bytes the run is */
    size_t run;        /* bytes at the front of the input that go to `to` */
    /* What a ReadyForQuery leads to, once it has been consumed: the server may be handed on or
     * closed then. */
    enum {
        THEN_NOTHING,
        THEN_REPLAYED,
        THEN_RESTORE,
        THEN_ASK,
        THEN_ANSWERED,
        THEN_COMPLETE,
        THEN_AGAIN
    } then;
};

/* What is in the run goes to its client now. */
void pw_intake_flush(struct intake *r);
/* The next entry of the FIFO is answered. */
struct expect pw_intake_pop(struct server *s);
/* answer.c: what to do with a message (body: as much of it as is here) */
enum verdict pw_answer_message(struct intake *r, const struct frame *f, struct slice body);

/* After an error the server discards what it got up to Sync: none of that is answered. */
void pw_answer_drop_until_sync(struct server *s, struct ticket *t);

/* promote.c: an ErrorResponse to a promoted request of which nothing was answered so far. False: it
 * goes the usual way. True: it is dropped and, at the ReadyForQuery (THEN_AGAIN), */
bool pw_promote_refused(struct ticket *t, struct server *s, struct slice error);
/* ... the request is sent as it came. */
void pw_promote_again(struct dispatch *d, struct ticket *t, struct server *s);

#endif
