/*
 * A value in PostgreSQL's binary format, as a text that PostgreSQL reads back as exactly that value
 * whatever the session's settings are. Of untrusted bytes. Pure; any thread.
 */
#ifndef PLANNER_BINARY_TEXT_H
#define PLANNER_BINARY_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

/* Appends without a NUL; the text holds none. False: not a type that is known here, not a value of
 * it, or no room in out (whose contents are then undefined). */
bool pw_binary_text(struct buf *out, uint32_t type, struct slice value);
/* "int4", "numeric[]": of those types and some more; NULL: none of them. */
const char *pw_binary_type_name(uint32_t type);

#endif
