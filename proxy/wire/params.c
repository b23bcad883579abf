/* Names and values in one buffer: there are a dozen of them. Owns it; one thread. */
#include "proxy/wire/params.h"

#include <strings.h>

void pw_params_init(struct params *p)
{
    *p = (struct params){0};
    pw_buf_init(&p->text, PARAMS_BYTES_MAX);
}

void pw_params_free(struct params *p)
{
    pw_buf_free(&p->text);
    p->count = 0;
}

/* Walks to the name; *at is the offset of its entry. */
static bool locate(const struct params *p, struct slice name, size_t *at, struct name_value *nv)
{
    struct slice rest = pw_params_all(p);
    *at = 0;
    while (pw_startup_next(&rest, nv)) {
        if (nv->name.len == name.len && strncasecmp(nv->name.ptr, name.ptr, name.len) == 0)
            return true;
        *at = p->text.len - rest.len;
    }
    return false;
}

static bool put(struct buf *b, struct slice name, struct slice value)
{
    return pw_buf_append(b, name.ptr, name.len) && pw_buf_append_u8(b, 0) &&
           pw_buf_append(b, value.ptr, value.len) && pw_buf_append_u8(b, 0);
}

bool pw_params_set(struct params *p, struct slice name, struct slice value)
{
    if (name.len == 0 || memchr(name.ptr, 0, name.len) ||
        (value.len && memchr(value.ptr, 0, value.len)))
        return false;
    struct name_value old;
    size_t at, removed = 0;
    bool found = locate(p, name, &at, &old);
    if (found && pw_slice_eq(old.value, value))
        return true;
    if (found)
        removed = old.name.len + old.value.len + 2;
    else if (p->count == PARAMS_COUNT_MAX)
        return false;
    if (name.len > PARAMS_BYTES_MAX || value.len > PARAMS_BYTES_MAX ||
        p->text.len - removed + name.len + value.len + 2 > PARAMS_BYTES_MAX)
        return false;
    /* The new list is built beside the old one, because name and value may point into that. */
    struct buf next;
    pw_buf_init(&next, PARAMS_BYTES_MAX);
    bool ok = pw_buf_append(&next, p->text.data, at) && put(&next, name, value) &&
              pw_buf_append(&next, p->text.data ? p->text.data + at + removed : NULL,
                            p->text.len - at - removed);
    if (!ok) {
        pw_buf_free(&next);
        return false;
    }
    pw_buf_free(&p->text);
    p->text = next;
    p->count += !found;
    return true;
}

bool pw_params_find(const struct params *p, const char *name, struct slice *value)
{
    struct name_value nv;
    size_t at;
    if (!locate(p, pw_slice_str(name), &at, &nv))
        return false;
    *value = nv.value;
    return true;
}
