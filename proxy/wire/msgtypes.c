/* Two tables of 256 rows, from msgtypes.def. Constant data; any thread. */
#include "proxy/wire/msgtypes.h"

#include <stddef.h>

static const struct msgtype front_types[256] = {
#define PW_FRONT(byte, name, class, stream) [(byte)] = {#name, MSG_MAX_##class, stream},
#define PW_BACK(byte, name, class, stream)
#include "proxy/wire/msgtypes.def"
#undef PW_FRONT
#undef PW_BACK
};

static const struct msgtype back_types[256] = {
#define PW_FRONT(byte, name, class, stream)
#define PW_BACK(byte, name, class, stream) [(byte)] = {#name, MSG_MAX_##class, stream},
#include "proxy/wire/msgtypes.def"
#undef PW_FRONT
#undef PW_BACK
};

const struct msgtype *pw_msgtype_front(uint8_t type)
{
    return front_types[type].name ? &front_types[type] : NULL;
}

const struct msgtype *pw_msgtype_back(uint8_t type)
{
    return back_types[type].name ? &back_types[type] : NULL;
}
