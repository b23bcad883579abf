/*
 * Assertions on our own logic. Input from the network is never asserted: it is validated and
 * answered with a status. PW_CHECK is always on; a failure logs the place and aborts.
 */
#ifndef PROXY_BASE_CHECK_H
#define PROXY_BASE_CHECK_H

#include "proxy/base/attrs.h"

PW_NORETURN void pw_check_failed(const char *expr, const char *file, int line);

#define PW_CHECK(expr)                                                                             \
    do {                                                                                           \
        if (PW_UNLIKELY(!(expr)))                                                                  \
            pw_check_failed(#expr, __FILE__, __LINE__);                                            \
    } while (0)

#define PW_UNREACHABLE() pw_check_failed("unreachable", __FILE__, __LINE__)

#endif
