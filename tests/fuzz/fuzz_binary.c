/* room: planner */
/* The first byte chooses a type, the rest are a value of it in binary format: what is read is a
 * text without NUL, within its bounds, and the same every time. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/binary_text.h"
#include "planner/sample.h"
#include "proxy/base/alloc.h"
#include "proxy/base/attrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 4096 };

static const uint32_t types[] = {
#define BINARY_TYPE(oid, array, name, read) oid, array,
#include "planner/binary_types.def"
#undef BINARY_TYPE
    0,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    uint32_t type = types[data[0] % PW_COUNT_OF(types)];
    const struct slice value = pw_slice((const char *)data + 1, size - 1);
    struct buf text, again, list;
    pw_buf_init(&text, ROOM);
    pw_buf_init(&again, ROOM);
    pw_buf_init(&list, SAMPLE_VALUES_MAX);
    bool ok = pw_binary_text(&text, type, value);
    if (ok && (text.len > ROOM || (text.len && memchr(text.data, 0, text.len))))
        abort();
    if (ok != pw_binary_text(&again, type, value) ||
        (ok &&
         (again.len != text.len || (text.len && memcmp(again.data, text.data, text.len) != 0))))
        abort();
    pw_buf_reset(&again);
    if (type && pw_sample_value(&again, &list, type, true, &value) && pw_buf_append_u8(&list, 0)) {
        const char *at = list.data;
        char *back;
        if (!ok || !pw_sample_next(&at, &back) || !back || strlen(back) != text.len ||
            (text.len && memcmp(back, text.data, text.len) != 0))
            abort(); /* the list gives back what was put in */
        pw_free(back);
    }
    /* The same when the type is only known later. */
    char type_text[16], *resolved;
    pw_buf_reset(&again);
    pw_buf_reset(&list);
    if (pw_sample_value(&again, &list, 0, true, &value) && pw_buf_append_u8(&list, 0)) {
        if (pw_sample_is_resolved(list.data))
            abort();
        snprintf(type_text, sizeof type_text, "%u", (unsigned)type);
        resolved = pw_sample_resolve(list.data, type_text);
        const char *at = resolved;
        char *back = NULL;
        if (resolved &&
            (!pw_sample_is_resolved(resolved) || !pw_sample_next(&at, &back) || !back ||
             strlen(back) != text.len || (text.len && memcmp(back, text.data, text.len) != 0)))
            abort();
        pw_free(back);
        pw_free(resolved);
    }
    pw_buf_free(&text);
    pw_buf_free(&again);
    pw_buf_free(&list);
    return 0;
}
