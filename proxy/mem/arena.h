/* Bump memory for one request: allocate, never free one by one, reset at the end. Not thread-safe.
 */
#ifndef PROXY_MEM_ARENA_H
#define PROXY_MEM_ARENA_H

#include <stddef.h>

#include "proxy/base/attrs.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* OWN, newest first */
    size_t used, max;           /* bytes handed out since the last reset, and their limit */
};

void pw_arena_init(struct arena *a, size_t max);
PW_MUSTUSE void *pw_arena_try_alloc(struct arena *a,
                                    size_t size); /* 16-byte aligned, may be NULL */
PW_MUSTUSE char *pw_arena_try_strndup(struct arena *a, const char *text, size_t len);
void pw_arena_reset(struct arena *a); /* keeps one block */
void pw_arena_free(struct arena *a);

#endif
