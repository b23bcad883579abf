/* See json.h. */
#include "advisor/json.h"

#include <inttypes.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/metrics/json.h"

/* A comma unless it is the first in its bracket or in the buffer. */
static void begin(struct buf *b, const char *name)
{
    if (b->len && !strchr("{[", b->data[b->len - 1]))
        pw_buf_append_u8(b, ',');
    if (!name)
        return;
    pw_json_string(b, pw_slice_str(name));
    pw_buf_append_u8(b, ':');
}

void pw_json_open(struct buf *b, const char *name, char bracket)
{
    begin(b, name);
    pw_buf_append_u8(b, (uint8_t)bracket);
}

void pw_json_close(struct buf *b, char bracket)
{
    pw_buf_append_u8(b, (uint8_t)bracket);
}

void pw_json_text(struct buf *b, const char *name, const char *value)
{
    begin(b, name);
    if (value)
        pw_json_string(b, pw_slice_str(value));
    else
        pw_buf_append_str(b, "null");
}

void pw_json_num(struct buf *b, const char *name, double value)
{
    begin(b, name);
    pw_json_number(b, value);
}

void pw_json_bool(struct buf *b, const char *name, bool value)
{
    pw_json_raw(b, name, value ? "true" : "false");
}

void pw_json_raw(struct buf *b, const char *name, const char *json)
{
    begin(b, name);
    pw_buf_append_str(b, json);
}

void pw_json_family(struct buf *b, uint64_t family)
{
    begin(b, "family");
    pw_buf_printf(b, "\"%016" PRIx64 "\"", family);
}

void pw_json_moment(struct buf *b, const char *name, uint64_t wall_us)
{
    char iso[32];
    pw_json_text(b, name, wall_us ? pw_clock_iso(wall_us, iso, sizeof(iso)) : NULL);
}

void pw_json_texts(struct buf *b, const char *name, const char *const *values, size_t n)
{
    pw_json_open(b, name, '[');
    for (size_t k = 0; k < n; k++)
        pw_json_text(b, NULL, values[k]);
    pw_json_close(b, ']');
}
