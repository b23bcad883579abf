/* Owns the queue of pending messages. Any thread sends; only the receiver's loop takes. */
#include "proxy/net/mailbox.h"

#include "proxy/base/check.h"

static struct mail *take_all(struct mailbox *b)
{
    uv_mutex_lock(&b->lock);
    struct mail *list = b->head;
    b->head = NULL;
    b->tail = &b->head;
    uv_mutex_unlock(&b->lock);
    return list;
}

/* Bound on one turn's work: what had been sent when the turn began. Later mail wakes the loop
 * again. */
static void on_wake(uv_async_t *async)
{
    struct mailbox *b = PW_CONTAINER_OF(async, struct mailbox, async);
    struct mail *m = take_all(b);
    while (m) {
        struct mail *next = m->next;
        /* Closed by a message before this one: the lock is not needed, only this thread closes. */
        if (b->closed)
            m->drop(m);
        else
            m->run(m);
        m = next;
    }
}

void pw_mailbox_init(struct mailbox *b, uv_loop_t *uv)
{
    PW_CHECK(uv_mutex_init(&b->lock) == 0);
    b->head = NULL;
    b->tail = &b->head;
    b->closed = false;
    PW_CHECK(uv_async_init(uv, &b->async, on_wake) == 0);
}

bool pw_mailbox_send(struct mailbox *b, struct mail *m)
{
    m->next = NULL;
    uv_mutex_lock(&b->lock);
    bool accepted = !b->closed;
    if (accepted) {
        bool was_empty = !b->head;
        *b->tail = m;
        b->tail = &m->next;
        /* Under the lock, so that the handle cannot be closed in between. */
        if (was_empty)
            uv_async_send(&b->async);
    }
    uv_mutex_unlock(&b->lock);
    if (!accepted)
        m->drop(m);
    return accepted;
}

void pw_mailbox_close(struct mailbox *b)
{
    uv_mutex_lock(&b->lock);
    bool was_closed = b->closed;
    b->closed = true;
    uv_mutex_unlock(&b->lock);
    if (was_closed)
        return;
    uv_close((uv_handle_t *)&b->async, NULL);
    struct mail *m = take_all(b);
    while (m) {
        struct mail *next = m->next;
        m->drop(m);
        m = next;
    }
}

void pw_mailbox_destroy(struct mailbox *b)
{
    PW_CHECK(b->closed && !b->head);
    uv_mutex_destroy(&b->lock);
}
