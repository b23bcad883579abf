/*
 * Logging: one line per event, key=value, the object first:
 *   pw_log_warn("server=%u event=refused pool=%s/%s", ...)
 * Thread-safe; a line is one write(2). Text or JSON, to stderr or a file that USR1 reopens.
 * SQL and secrets are never passed here as they are: log the family and the length.
 */
#ifndef PROXY_BASE_LOG_H
#define PROXY_BASE_LOG_H

#include <stdbool.h>

#include "proxy/base/attrs.h"

enum pw_log_level { PW_LOG_ERROR, PW_LOG_WARN, PW_LOG_INFO, PW_LOG_DEBUG, PW_LOG_TRACE };

struct pw_log_options {
    enum pw_log_level level;
    bool json;
    const char *path; /* NULL or "": stderr. BORROW during the call */
};

void pw_log_configure(const struct pw_log_options *options); /* false paths fall back to stderr */
void pw_log_reopen(void);                                    /* after rotation */
bool pw_log_enabled(enum pw_log_level level);
void pw_log_write(enum pw_log_level level, const char *fmt, ...) PW_PRINTF(2, 3);
const char *pw_log_level_name(enum pw_log_level level);

#define pw_log_at(level, ...)                                                                      \
    do {                                                                                           \
        if (pw_log_enabled(level))                                                                 \
            pw_log_write(level, __VA_ARGS__);                                                      \
    } while (0)
#define pw_log_error(...) pw_log_at(PW_LOG_ERROR, __VA_ARGS__)
#define pw_log_warn(...)  pw_log_at(PW_LOG_WARN, __VA_ARGS__)
#define pw_log_info(...)  pw_log_at(PW_LOG_INFO, __VA_ARGS__)
#define pw_log_debug(...) pw_log_at(PW_LOG_DEBUG, __VA_ARGS__)
#define pw_log_trace(...) pw_log_at(PW_LOG_TRACE, __VA_ARGS__)

#endif
