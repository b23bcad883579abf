/* Reading small text files whole and line by line. Pure but for the reading. */
#ifndef CONF_FILE_H
#define CONF_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/attrs.h"
#include "proxy/base/slice.h"

enum { CONF_WHERE_MAX = 4200 }; /* a path, a line, a column */

/* OWN, with a NUL after its len bytes; NULL and errno: EISDIR, EFBIG past max, ... */
PW_MUSTUSE char *pw_file_read(const char *path, size_t max, size_t *len);
/* Takes one line off *rest, without its "\n" or "\r\n"; false at the end. */
bool pw_file_next_line(struct slice *rest, struct slice *line);

#endif
