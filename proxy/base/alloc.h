/*
 * Allocation with two policies, visible in the name: pw_alloc and friends abort when memory is
 * exhausted (start-up and small fixed sizes); pw_try_alloc may return NULL and the caller answers
 * with a status (anything whose size a peer decides). Memory is released with free() via pw_free.
 */
#ifndef PROXY_BASE_ALLOC_H
#define PROXY_BASE_ALLOC_H

#include <stddef.h>

#include "proxy/base/attrs.h"

PW_MUSTUSE void *pw_alloc(size_t size);              /* zeroed, never NULL */
PW_MUSTUSE void *pw_realloc(void *ptr, size_t size); /* never NULL; new bytes are not zeroed */
PW_MUSTUSE void *pw_try_alloc(size_t size);          /* not zeroed, may be NULL */
PW_MUSTUSE char *pw_strdup(const char *text);        /* never NULL; text must not be NULL */
PW_MUSTUSE char *pw_strndup(const char *text, size_t len);
PW_MUSTUSE char *pw_asprintf(const char *fmt, ...) PW_PRINTF(1, 2);
void pw_free(void *ptr); /* NULL is allowed */

/* Free and clear on one line: no reachable pointer may dangle. */
#define PW_FREE(ptr)                                                                               \
    do {                                                                                           \
        pw_free(ptr);                                                                              \
        (ptr) = NULL;                                                                              \
    } while (0)

#endif
