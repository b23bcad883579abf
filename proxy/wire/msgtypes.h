/*
 * The message types of the v3 protocol, from the one table msgtypes.def. The same byte means
 * different things in the two directions, so there are two enums and two look-ups.
 * Constant data; any thread.
 */
#ifndef PROXY_WIRE_MSGTYPES_H
#define PROXY_WIRE_MSGTYPES_H

#include <stdbool.h>
#include <stdint.h>

enum front_type {
#define PW_FRONT(byte, name, class, stream) FRONT_##name = (byte),
#define PW_BACK(byte, name, class, stream)
#include "proxy/wire/msgtypes.def"
#undef PW_FRONT
#undef PW_BACK
};

enum back_type {
#define PW_FRONT(byte, name, class, stream)
#define PW_BACK(byte, name, class, stream) BACK_##name = (byte),
#include "proxy/wire/msgtypes.def"
#undef PW_FRONT
#undef PW_BACK
};

enum msg_class_max {
    MSG_MAX_SMALL = 10000,
    MSG_MAX_AUTH = 65535,
    MSG_MAX_META = 16 << 20,
    MSG_MAX_LARGE = 0x3fffffff,
};

struct msgtype {
    const char *name; /* NULL: no such message */
    uint32_t max;     /* of the length field: includes itself, not the type byte */
    bool stream;      /* may be forwarded in pieces once its head has been read */
};

/* NULL when the byte is not a message of that direction. */
const struct msgtype *pw_msgtype_front(uint8_t type);
const struct msgtype *pw_msgtype_back(uint8_t type);

#endif
