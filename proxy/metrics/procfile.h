/* Reading small kernel files. Private to this room's samplers; any thread. */
#ifndef PROXY_METRICS_PROCFILE_H
#define PROXY_METRICS_PROCFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"

/* The whole file (cut off at size - 1) with a NUL; "" and false when it cannot be read. */
bool pw_procfile_read(char *out, size_t size, const char *fmt, ...) PW_PRINTF(3, 4);
/* The number after `key` at the start of a line ("VmRSS:"), or 0. */
uint64_t pw_procfile_number(const char *text, const char *key);
/* The next line of *text without its end, or NULL; writes a NUL into the text. */
char *pw_procfile_line(char **text);

#endif
