/*
 * The role and the settings that a client's statement came with (planner/sample.h), taken on for
 * one READ ONLY transaction on the advisor's connection. Asked of the server once per distinct
 * setup; where they are just our own, no transaction is needed. What may not be taken on is noted,
 * and the statement is planned as ours. Advisor thread.
 */
#ifndef ADVISOR_CONTEXT_H
#define ADVISOR_CONTEXT_H

#include <stdbool.h>

#include "advisor/side.h"

struct context {
    const char *search_path, *user; /* that names are resolved with */
    bool differs;                   /* from our own */
};

/* setup NULL: ours. Valid as long as side's memory. */
const struct context *pw_context_of(struct side *s, const char *setup);
/* Begins a transaction with it, in any case. False: it could not be begun. */
bool pw_context_enter(struct side *s, const char *setup);
void pw_context_leave(struct side *s);

#endif
