/* What a client is told at login: the ParameterStatus values a server reported, sent on as our own.
 */
#ifndef PROXY_POOL_WELCOME_H
#define PROXY_POOL_WELCOME_H

#include "proxy/wire/params.h"

void pw_welcome_copy(struct params *to, const struct params *from);
/* One ParameterStatus message per value; application_name is the client's own. */
bool pw_welcome_emit(const struct params *p, const char *application_name, struct buf *out);
/* NULL when absent; BORROW until p changes. */
const char *pw_welcome_get(const struct params *p, const char *name);

#endif
