/* Compiler attributes and tiny helpers. No state. */
#ifndef PROXY_BASE_ATTRS_H
#define PROXY_BASE_ATTRS_H

#include <stddef.h>

#define PW_MUSTUSE                         __attribute__((warn_unused_result))
#define PW_PRINTF(a, b)                    __attribute__((format(printf, a, b)))
#define PW_NORETURN                        __attribute__((noreturn))
#define PW_UNUSED                          __attribute__((unused))
#define PW_LIKELY(x)                       __builtin_expect(!!(x), 1)
#define PW_UNLIKELY(x)                     __builtin_expect(!!(x), 0)
#define PW_COUNT_OF(a)                     (sizeof(a) / sizeof((a)[0]))
#define PW_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
