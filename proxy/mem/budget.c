/* Byte accounts. Atomic, any thread. An account is owned by whoever embeds it. */
#include "proxy/mem/budget.h"

#include "proxy/base/check.h"

void pw_budget_init(struct budget *b, struct budget *parent, size_t limit)
{
    b->parent = parent;
    b->limit = limit;
    atomic_init(&b->used, 0);
}

static bool charge_one(struct budget *b, size_t bytes)
{
    size_t used = atomic_load_explicit(&b->used, memory_order_relaxed);
    do {
        if (used > b->limit || bytes > b->limit - used)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&b->used, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static void release_one(struct budget *b, size_t bytes)
{
    size_t before = atomic_fetch_sub_explicit(&b->used, bytes, memory_order_relaxed);
    PW_CHECK(before >= bytes);
}

bool pw_budget_try_charge(struct budget *b, size_t bytes)
{
    for (struct budget *at = b; at; at = at->parent) {
        if (charge_one(at, bytes))
            continue;
        /* Someone up the chain said no: those below give back what they had granted. */
        for (struct budget *undo = b; undo != at; undo = undo->parent)
            release_one(undo, bytes);
        return false;
    }
    return true;
}

void pw_budget_release(struct budget *b, size_t bytes)
{
    for (struct budget *at = b; at; at = at->parent)
        release_one(at, bytes);
}
