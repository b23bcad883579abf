/*
 * Many senders -> one loop. A message moves: after pw_mailbox_send the sender may not touch it.
 * Messages are run on the receiving loop in the order sent; the whole queue is drained per wake-up
 * (uv_async_send coalesces). After pw_mailbox_close, sends are refused and pending messages are
 * dropped through their drop function.
 */
#ifndef PROXY_NET_MAILBOX_H
#define PROXY_NET_MAILBOX_H

#include <stdbool.h>
#include <uv.h>

struct mail {
    struct mail *next;            /* LINK, private to the mailbox */
    void (*run)(struct mail *m);  /* on the receiver's thread; owns m */
    void (*drop)(struct mail *m); /* instead of run when the receiver is gone; owns m */
};

struct mailbox {
    uv_async_t async;
    uv_mutex_t lock; /* guards head, tail, closed */
    struct mail *head, **tail;
    bool closed;
};

void pw_mailbox_init(struct mailbox *b, uv_loop_t *uv);
/* Any thread. When the mailbox is closed the message is dropped at once and false is returned. */
bool pw_mailbox_send(struct mailbox *b, struct mail *m);
void pw_mailbox_close(struct mailbox *b);   /* receiver's thread; uv handle closes asynchronously */
void pw_mailbox_destroy(struct mailbox *b); /* after the loop has run the close */

#endif
