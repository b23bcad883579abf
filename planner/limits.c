/* See limits.h. Pure. */
#include "planner/limits.h"

size_t pw_limits_sql_bytes(size_t configured)
{
    return configured == 0 || configured > LIMIT_SQL_BYTES ? LIMIT_SQL_BYTES : configured;
}
