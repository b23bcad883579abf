/*
 * A small ordered list of names and values, as ParameterStatus reports them: bounded, no
 * duplicates, names compared without regard to case (as PostgreSQL's settings). Owns copies. One
 * thread.
 */
#ifndef PROXY_WIRE_PARAMS_H
#define PROXY_WIRE_PARAMS_H

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"
#include "proxy/wire/startup.h"

enum { PARAMS_COUNT_MAX = 128, PARAMS_BYTES_MAX = 16384 };

struct params {
    struct buf text; /* OWN: name NUL value NUL ... */
    size_t count;
};

void pw_params_init(struct params *p);
void pw_params_free(struct params *p);
/* Sets or replaces; false (and unchanged) when the list is full, or for an empty name or a NUL. */
bool pw_params_set(struct params *p, struct slice name, struct slice value);
bool pw_params_find(const struct params *p, const char *name, struct slice *value);
/* To walk: struct slice rest = pw_params_all(p); while (pw_startup_next(&rest, &nv)) */
static inline struct slice pw_params_all(const struct params *p)
{
    return pw_buf_slice(&p->text);
}

#endif
