/* Writing JSON pieces into a buffer. No state; any thread. */
#ifndef PROXY_METRICS_JSON_H
#define PROXY_METRICS_JSON_H

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

/* A quoted string. Bytes that are not UTF-8 become U+FFFD, control characters \u00XX. */
bool pw_json_string(struct buf *out, struct slice text);
/* The shortest of 15 or 17 digits that reads back the same; null when not finite. */
bool pw_json_number(struct buf *out, double v);

#endif
