/* The text of a DEALLOCATE. Pure function; any thread. */
#ifndef PROXY_DISPATCH_DEALLOC_H
#define PROXY_DISPATCH_DEALLOC_H

#include <stdbool.h>

#include "proxy/base/slice.h"

enum { DEALLOC_NAME_MAX = 64 }; /* NAMEDATALEN */

/* The name in DEALLOCATE [PREPARE] name, as PostgreSQL stores it. sql is known to be one such
 * statement. False: a name whose meaning is the server's to say (its encoding, U&"", longer than it
 * keeps). */
bool pw_dealloc_read_name(struct slice sql, char name[DEALLOC_NAME_MAX]);

#endif
