/* A blocking connection with a limit on how long connecting may take, for the command line's tools.
 */
#ifndef PROXY_CONTROL_DIAL_H
#define PROXY_CONTROL_DIAL_H

#include "proxy/base/attrs.h"

/* target: "host:port", "[v6]:port" or the path of a Unix socket. A descriptor that blocks, with the
 * same limit on each later send; or -1 and *error (OWN). */
PW_MUSTUSE int pw_dial(const char *target, int timeout_ms, char **error);

#endif
