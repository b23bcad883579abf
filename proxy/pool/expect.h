/*
 * What a server still owes: one entry per message sent that is answered, in order. FORWARD goes to
 * the ticket's client, SKIP was our own idea, FAKE was never sent: it is answered locally when its
 * turn comes.
 */
#ifndef PROXY_POOL_EXPECT_H
#define PROXY_POOL_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

struct stmt;

enum expect_kind {
    EXPECT_QUERY, /* simple Query or FunctionCall: everything up to ReadyForQuery */
    EXPECT_PARSE,
    EXPECT_BIND,
    EXPECT_CLOSE,
    EXPECT_DESCRIBE_STMT,
    EXPECT_DESCRIBE_PORTAL,
    EXPECT_EXECUTE,
    EXPECT_SYNC,
};

enum expect_action { EXPECT_FORWARD, EXPECT_SKIP, EXPECT_FAKE };

struct expect {
    void *ticket;      /* BORROW: whose reply; NULL for our own */
    struct stmt *stmt; /* PARSE: REF, the definition that will exist; else NULL */
    uint8_t kind, action;
    uint16_t op;  /* number of the ticket's operation */
    bool unnamed; /* PARSE: of the unnamed statement */
};

struct expect_queue {
    struct expect *ring;       /* OWN */
    uint32_t head, count, cap; /* cap is a power of two */
};

enum { EXPECT_MAX = 1 << 16 };

static inline struct expect *pw_expect_head(struct expect_queue *q)
{
    return q->count ? &q->ring[q->head & (q->cap - 1)] : NULL;
}

static inline struct expect *pw_expect_at(struct expect_queue *q, uint32_t i)
{
    return &q->ring[(q->head + i) & (q->cap - 1)];
}

static inline void pw_expect_push(struct expect_queue *q, struct expect e)
{
    if (q->count == q->cap) {
        uint32_t cap = q->cap ? q->cap * 2 : 16;
        struct expect *ring = pw_alloc(cap * sizeof *ring);
        for (uint32_t i = 0; i < q->count; i++)
            ring[i] = *pw_expect_at(q, i);
        pw_free(q->ring);
        q->ring = ring;
        q->head = 0;
        q->cap = cap;
    }
    q->ring[(q->head + q->count++) & (q->cap - 1)] = e;
}

static inline struct expect pw_expect_pop(struct expect_queue *q)
{
    PW_CHECK(q->count > 0);
    q->count--;
    return q->ring[q->head++ & (q->cap - 1)];
}

#endif
