/* The only callers of malloc and free outside libraries; see alloc.h for the two policies. */
#include "proxy/base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static PW_NORETURN void out_of_memory(size_t size)
{
    fprintf(stderr, "pgweir: out of memory asking for %zu bytes\n", size);
    abort();
}

void *pw_alloc(size_t size)
{
    void *ptr = calloc(1, size ? size : 1);
    if (!ptr)
        out_of_memory(size);
    return ptr;
}

void *pw_realloc(void *old, size_t size)
{
    void *ptr = realloc(old, size ? size : 1);
    if (!ptr)
        out_of_memory(size);
    return ptr;
}

void *pw_try_alloc(size_t size)
{
    return malloc(size ? size : 1);
}

char *pw_strndup(const char *text, size_t len)
{
    char *copy = pw_alloc(len + 1);
    memcpy(copy, text, len);
    return copy;
}

char *pw_strdup(const char *text)
{
    return pw_strndup(text, strlen(text));
}

char *pw_asprintf(const char *fmt, ...)
{
    va_list args;
    char *out = NULL;
    va_start(args, fmt);
    int len = vasprintf(&out, fmt, args);
    va_end(args);
    if (len < 0)
        out_of_memory(0);
    return out;
}

void pw_free(void *ptr)
{
    free(ptr);
}
