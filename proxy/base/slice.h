/* {ptr, len} of borrowed bytes; never assumed to end in NUL. */
#ifndef PROXY_BASE_SLICE_H
#define PROXY_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *ptr; /* BORROW from whoever made the slice */
    size_t len;
};

#define PW_SLICE_LIT(text) ((struct slice){(text), sizeof(text) - 1})

static inline struct slice pw_slice(const char *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

static inline struct slice pw_slice_str(const char *text)
{
    return (struct slice){text, text ? strlen(text) : 0};
}

static inline bool pw_slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool pw_slice_is(struct slice a, const char *text)
{
    return pw_slice_eq(a, pw_slice_str(text));
}

#endif
