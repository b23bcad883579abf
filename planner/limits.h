/* What is not even offered to the parser (DESIGN rule 9): its stack guard never fires and its
 * lexer is quadratic on operator runs and nested comments. */
#ifndef PLANNER_LIMITS_H
#define PLANNER_LIMITS_H

#include <stddef.h>

enum {
    LIMIT_SQL_BYTES = 32 * 1024,        /* of the template; planner.max_sql may only lower it */
    LIMIT_RAW_BYTES = 64 * 1024 * 1024, /* of the text as it came */
    LIMIT_OPERATOR_RUN = 64,
    LIMIT_NESTING = 200, /* ( and [ */
    LIMIT_SLOTS = 8192,
    LIMIT_STACK_BYTES = 64 * 1024 * 1024,
    LIMIT_QUEUE = 4096, /* templates waiting for analysis */
};

/* planner.max_sql as it is applied. */
size_t pw_limits_sql_bytes(size_t configured);

#endif
