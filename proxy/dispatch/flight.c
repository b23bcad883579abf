/*
 * Single flight: identical requests that meet before the first of them was sent share one execution
 * (strict: nobody gets an answer that was computed before they asked). The leader's reply is
 * recorded only when somebody waits for it; if it cannot be shared (an error, a notice, too long),
 * each follower runs by itself.
 */
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/dispatch/dispatch_priv.h"

enum { FOLLOWERS_MAX = 1000, RECORD_MAX = 1 << 20 };

struct flight {
    struct hash_node node; /* LINK dispatch->flights until the leader is sent */
    struct ticket *leader; /* BACK */
    struct list followers; /* tickets by queue_link */
    struct buf description, rows, tag;
    bool open, spoiled;
};

static struct flight *find(struct dispatch *d, const struct ticket *t)
{
    for (struct hash_node *h = pw_hashmap_first(&d->flights, t->key_hash); h;
         h = pw_hashmap_next(h)) {
        struct flight *f = PW_CONTAINER_OF(h, struct flight, node);
        if (f->leader->settings == t->settings && f->leader->pool == t->pool &&
            pw_slice_eq(pw_buf_slice(&f->leader->key), pw_buf_slice(&t->key)))
            return f;
    }
    return NULL;
}

/* It will be sent at the end of this turn: there is hardly anybody who could join, and a flight
 * costs something. One whose reply the cache wants is worth it: many may want that reply at once.
 */
static bool leaves_at_once(const struct ticket *t)
{
    const struct server_pool *p = t->pool;
    return t->key.len == 0 && p->by_state[SERVER_IDLE].count > p->waiters.count;
}

bool pw_flight_join(struct dispatch *d, struct ticket *t)
{
    if (leaves_at_once(t))
        return false;
    if (!d->conf->batch.single_flight || t->no_join)
        return false;
    struct reply_shape shape;
    if (t->key.len == 0) {
        pw_reply_shape(t, &shape);
        if (!pw_reply_key(d, t, &shape))
            return false;
    }
    struct flight *f = find(d, t);
    if (f && d->conf->pgweir.mode == CONF_MODE_OBSERVE) { /* only said, not done */
        pw_metric_inc(d->env.metrics, PW_METRIC_BATCH_JOINED);
        return false;
    }
    if (f && f->followers.count < FOLLOWERS_MAX) {
        pw_ticket_enter(t, TICKET_JOINED);
        t->joined = f;
        t->queued_us = d->env.loop->now_us;
        pw_list_push_back(&f->followers, &t->queue_link);
        t->pool->joined++;
        return true;
    }
    if (f)
        return false;
    f = pw_alloc(sizeof *f);
    f->leader = t;
    f->open = true;
    pw_list_init(&f->followers);
    pw_buf_init(&f->description, RECORD_MAX);
    pw_buf_init(&f->rows, RECORD_MAX);
    pw_buf_init(&f->tag, 1024);
    pw_hashmap_insert(&d->flights, &f->node, t->key_hash);
    t->flight = f;
    return false;
}

static void close_door(struct dispatch *d, struct flight *f)
{
    if (f->open) {
        pw_hashmap_remove(&d->flights, &f->node);
        f->open = false;
    }
}

static void destroy(struct dispatch *d, struct ticket *t)
{
    struct flight *f = t->flight;
    close_door(d, f);
    pw_buf_free(&f->description);
    pw_buf_free(&f->rows);
    pw_buf_free(&f->tag);
    pw_free(f);
    t->flight = NULL;
}

void pw_flight_sent(struct dispatch *d, struct ticket *t)
{
    if (!t->flight)
        return;
    if (pw_list_empty(&t->flight->followers))
        destroy(d, t); /* alone: nothing to record */
    else
        close_door(d, t->flight);
}

bool pw_flight_has_followers(const struct ticket *t)
{
    return t->flight && !pw_list_empty(&t->flight->followers);
}

void pw_flight_spoil(struct ticket *t)
{
    if (t->flight)
        t->flight->spoiled = true;
}

void pw_flight_message(struct ticket *t, uint8_t type, struct slice part, bool first_part)
{
    struct flight *f = t->flight;
    (void)first_part;
    if (f->spoiled)
        return;
    struct buf *to = type == 'T'   ? &f->description
                     : type == 'D' ? &f->rows
                     : type == 'C' ? &f->tag
                                   : NULL;
    if (to)
        f->spoiled = !pw_buf_append(to, part.ptr, part.len);
    else if (type != '1' && type != '2' && type != 'Z')
        f->spoiled = true;
}

void pw_flight_leave(struct dispatch *d, struct ticket *t)
{
    struct flight *f = t->joined;
    pw_list_remove(&f->followers, &t->queue_link);
    t->pool->joined--;
    t->joined = NULL;
    struct ticket *leader = f->leader;
    if (!leader->client && pw_list_empty(&f->followers) && leader->state == TICKET_QUEUED)
        pw_ticket_fail(d, leader, PW_OK, NULL); /* nobody wants that answer any more */
}

static bool serve(struct dispatch *d, struct flight *f, struct ticket *t, uint64_t rows)
{
    struct reply_shape shape;
    pw_reply_shape(t, &shape);
    bool wants_description = !shape.is_extended || shape.has_describe;
    if (f->spoiled || f->tag.len == 0 || (wants_description && f->description.len == 0))
        return false;
    struct reply_parts parts = {.description = pw_buf_slice(&f->description),
                                .rows = pw_buf_slice(&f->rows),
                                .tag = pw_buf_slice(&f->tag)};
    pw_reply_write(t->client, &shape, &parts);
    t->bytes_out = f->description.len + f->rows.len + f->tag.len;
    t->rows = (uint32_t)rows;
    t->was_joined = true;
    pw_metric_inc(d->env.metrics, PW_METRIC_BATCH_JOINED);
    pw_ticket_finish(d, t);
    return true;
}

void pw_flight_done(struct dispatch *d, struct ticket *t)
{
    struct flight *f = t->flight;
    if (!f)
        return;
    close_door(d, f);
    pw_metric_observe(d->env.metrics, PW_HIST_BATCH_SIZE, f->followers.count + 1);
    struct list_node *n;
    while ((n = pw_list_pop_front(&f->followers))) {
        struct ticket *follower = PW_LIST_ENTRY(n, struct ticket, queue_link);
        follower->joined = NULL;
        follower->pool->joined--;
        if (!t->failed && serve(d, f, follower, t->rows))
            continue;
        follower->no_join = true;
        pw_dispatch_enqueue(d, follower);
    }
    destroy(d, t);
}
