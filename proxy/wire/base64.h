/* RFC 4648 base64, strict: padded, no blanks, no other characters. No state; any thread. */
#ifndef PROXY_WIRE_BASE64_H
#define PROXY_WIRE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

static inline size_t pw_base64_encoded_len(size_t len)
{
    return (len + 2) / 3 * 4;
}

bool pw_base64_encode(struct buf *out, const void *data, size_t len);
/* False when malformed or when it would not fit into `max` bytes. */
bool pw_base64_decode(struct slice text, void *out, size_t max, size_t *len);

#endif
