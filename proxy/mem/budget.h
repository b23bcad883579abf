/*
 * Byte accounts that can say no. Accounts form a chain (ticket < session < worker < process):
 * a charge succeeds only if every account up the chain has room. Atomic, any thread.
 */
#ifndef PROXY_MEM_BUDGET_H
#define PROXY_MEM_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/attrs.h"

struct budget {
    struct budget *parent; /* BORROW, outlives this account; NULL at the top */
    size_t limit;
    _Atomic size_t used;
};

void pw_budget_init(struct budget *b, struct budget *parent, size_t limit);
PW_MUSTUSE bool pw_budget_try_charge(struct budget *b, size_t bytes);
void pw_budget_release(struct budget *b, size_t bytes);

#endif
