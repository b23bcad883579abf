/*
 * The attributes of SCRAM messages, "x=value" joined by commas. Internal to the room. Borrows the
 * text; any thread.
 */
#ifndef PROXY_WIRE_SCRAM_ATTR_H
#define PROXY_WIRE_SCRAM_ATTR_H

#include <stdbool.h>

#include "proxy/base/slice.h"
#include "proxy/wire/scram.h"

/* Takes "x=value" up to the next comma or the end off *rest; false when it is not one. */
bool pw_scram_attr_any(struct slice *rest, char *name, struct slice *value);
/* The same, and it must be this attribute. */
bool pw_scram_attr(struct slice *rest, char name, struct slice *value);
/* Printable ASCII without commas, not empty, at most SCRAM_NONCE_MAX long. */
bool pw_scram_nonce_valid(struct slice nonce);
/* A fresh nonce of SCRAM_NONCE_OURS characters and a NUL. */
bool pw_scram_nonce_new(char out[SCRAM_NONCE_MAX + 1]);
/* Keeps a copy; false when it does not fit. */
bool pw_scram_text_set(struct scram_text *t, struct slice text);

/* GS2 header of a client's first message: "n,,", "y,,", "p=tls-server-end-point,,". */
const char *pw_scram_gs2_header(char flag);
/* What "c=" has to say in the final message: the header, and when bound the channel, as base64. */
bool pw_scram_append_binding(struct buf *out, char flag, const struct scram_binding *b);

static inline struct slice pw_scram_text_slice(const struct scram_text *t)
{
    return (struct slice){t->text, t->len};
}

#endif
