/*
 * The fields of an ErrorResponse or NoticeResponse. Any field may be missing, repeated or cut short
 * (CVE-2026-6666): a missing one is simply not found. Borrows the body; any thread.
 */
#ifndef PROXY_WIRE_ERRFIELDS_H
#define PROXY_WIRE_ERRFIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

/* Walks the fields: start with a copy of the body; false at the end or at damage. */
bool pw_errfields_next(struct slice *rest, char *code, struct slice *value);
/* The first field with this code; false and an empty slice when there is none. */
bool pw_errfields_find(struct slice body, char code, struct slice *value);
/* The SQLSTATE, or "XX000" when it is missing or not five characters. */
struct slice pw_errfields_sqlstate(struct slice body);
/* V if there (never translated), else S, is FATAL or PANIC: the server is closing. */
bool pw_errfields_is_fatal(struct slice body);

/*
 * Appends the same error again with another severity and/or message text (NULL: unchanged); what is
 * missing is added, all other fields are kept. type is BACK_ERROR_RESPONSE or BACK_NOTICE_RESPONSE.
 */
bool pw_errfields_rewrite(struct buf *out, uint8_t type, struct slice body, const char *severity,
                          const char *message);
/* An ErrorResponse with another severity, and with detail and hint said after the error's own ones,
 * if it has any. */
bool pw_errfields_annotate(struct buf *out, struct slice body, const char *severity,
                           const char *detail, const char *hint);

#endif
