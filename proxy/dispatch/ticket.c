#include "proxy/dispatch/ticket.h"

#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/pool/pool.h"

enum {
    TICKET_BYTES_MAX =
        64 << 20, /* what may be held for one request; more is streamed by the session */
    TICKET_KEY_MAX = 1 << 20,
    KEEP_BYTES = 4096, /* recycled tickets keep small buffers */
    KEEP_OPS = 16,
    TICKETS_KEPT = 4096,
};

#define TO(name) (1u << TICKET_##name)
static const struct {
    const char *name;
    unsigned next;
} states[] = {
#define TICKET_STATE(name, text, next) {text, next},
#include "proxy/dispatch/ticket_states.def"
#undef TICKET_STATE
};

const char *pw_ticket_state_name(enum ticket_state s)
{
    return states[s].name;
}

void pw_ticket_enter(struct ticket *t, enum ticket_state to)
{
    PW_CHECK(states[t->state].next & (1u << to));
    t->state = to;
}

void pw_ticket_pool_init(struct ticket_pool *p)
{
    *p = (struct ticket_pool){0};
    pw_objpool_init(&p->objects, "tickets", sizeof(struct ticket), 0);
}

static void destroy(struct ticket_pool *p, struct ticket *t)
{
    pw_free(t->ops);
    pw_free(t->plans);
    pw_free(t->undo);
    pw_buf_free(&t->msgs);
    pw_buf_free(&t->key);
    pw_objpool_put(&p->objects, t);
}

void pw_ticket_pool_destroy(struct ticket_pool *p)
{
    while (p->free_list) {
        struct ticket *t = p->free_list;
        p->free_list = t->next_free;
        destroy(p, t);
    }
    pw_objpool_destroy(&p->objects);
}

struct ticket *pw_ticket_new(struct ticket_pool *p, struct client *client, uint64_t now_us)
{
    struct ticket *t = p->free_list;
    struct ticket fresh = {.client = client, .received_us = now_us};
    if (t) {
        p->free_list = t->next_free;
        p->free_count--;
        pw_stat_add(&p->objects.reused, 1);
        fresh.msgs = t->msgs;
        fresh.key = t->key;
        fresh.ops = t->ops;
        fresh.cap_ops = t->cap_ops;
        fresh.plans = t->plans;
        fresh.cap_plans = t->cap_plans;
        fresh.undo = t->undo;
        fresh.cap_undo = t->cap_undo;
    } else {
        t = pw_objpool_get(&p->objects);
        pw_buf_init(&fresh.msgs, TICKET_BYTES_MAX);
        pw_buf_init(&fresh.key, TICKET_KEY_MAX);
    }
    *t = fresh;
    return t;
}

static void keep_small(struct buf *b)
{
    if (b->cap > KEEP_BYTES)
        pw_buf_free(b);
    else
        pw_buf_reset(b);
}

void pw_ticket_free(struct ticket_pool *p, struct ticket *t)
{
    PW_CHECK(!pw_list_linked(&t->queue_link) && t->in_fifo == 0 && !t->fill && !t->flight);
    for (uint32_t i = 0; i < t->n_ops; i++)
        pw_stmt_unref(t->ops[i].stmt);
    for (uint32_t i = 0; i < t->n_undo; i++) {
        pw_undo_free_name(&t->undo[i]);
        pw_stmt_unref(t->undo[i].old);
    }
    for (uint32_t i = 0; i < t->n_plans; i++)
        pw_plan_unref(t->plans[i]);
    pw_settings_unref(t->settings);
    pw_settings_unref(t->replayed_from);
    if (t->is_reset)
        pw_params_free(&t->before);
    if (p->free_count >= TICKETS_KEPT || t->cap_ops > KEEP_OPS || t->cap_plans > KEEP_OPS ||
        t->cap_undo > KEEP_OPS) {
        destroy(p, t);
        return;
    }
    keep_small(&t->msgs);
    keep_small(&t->key);
    t->next_free = p->free_list;
    p->free_list = t;
    p->free_count++;
}

struct op *pw_ticket_add(struct ticket *t, struct slice message, uint8_t kind)
{
    if (t->n_ops >= TICKET_OPS_MAX || t->msgs.len + message.len > UINT32_MAX)
        return NULL;
    uint32_t off = (uint32_t)t->msgs.len;
    if (!pw_buf_append(&t->msgs, message.ptr, message.len))
        return NULL;
    if (t->n_ops == t->cap_ops) {
        t->cap_ops = t->cap_ops ? t->cap_ops * 2 : 4;
        t->ops = pw_realloc(t->ops, t->cap_ops * sizeof *t->ops);
    }
    struct op *op = &t->ops[t->n_ops++];
    *op = (struct op){.off = off, .len = (uint32_t)message.len, .kind = kind};
    return op;
}

void pw_ticket_add_plan(struct ticket *t, const struct plan *plan)
{
    if (t->n_plans == t->cap_plans) {
        t->cap_plans = t->cap_plans ? t->cap_plans * 2 : 2;
        t->plans = pw_realloc(t->plans, t->cap_plans * sizeof *t->plans);
    }
    t->plans[t->n_plans++] = pw_plan_ref(plan);
    t->flags |= plan->flags;
}

char pw_undo_unnamed[1];

struct undo *pw_ticket_push_undo(struct ticket *t, uint32_t op, struct slice name)
{
    if (t->n_undo == t->cap_undo) {
        t->cap_undo = t->cap_undo ? t->cap_undo * 2 : 2;
        t->undo = pw_realloc(t->undo, t->cap_undo * sizeof *t->undo);
    }
    char *copy = name.len ? pw_strndup(name.ptr, name.len) : pw_undo_unnamed;
    struct undo *u = &t->undo[t->n_undo++];
    *u = (struct undo){op, copy, NULL};
    return u;
}
