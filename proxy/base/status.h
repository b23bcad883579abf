/* One enum for errors; its rows live in status.def. Flow control is never a status. */
#ifndef PROXY_BASE_STATUS_H
#define PROXY_BASE_STATUS_H

#include <stdbool.h>

enum pw_status {
#define PW_STATUS(name, sqlstate, fatal, text) PW_##name,
#include "proxy/base/status.def"
#undef PW_STATUS
    PW_STATUS_COUNT
};

const char *pw_status_name(enum pw_status s);
const char *pw_status_sqlstate(enum pw_status s); /* five characters */
const char *pw_status_text(enum pw_status s);
bool pw_status_is_fatal(enum pw_status s); /* does the session end? */

#endif
