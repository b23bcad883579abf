/* Decoding of the untyped first packet. Borrows everything; any thread. */
#include "proxy/wire/startup.h"

enum frame_result pw_startup_peek(struct slice in, uint32_t *len)
{
    if (in.len < 4)
        return FRAME_MORE;
    uint32_t n = pw_load_u32(in.ptr);
    if (n < STARTUP_HEADER || n > STARTUP_LEN_MAX)
        return FRAME_BAD;
    *len = n;
    return FRAME_OK;
}

/* Pairs of strings, then one NUL that is the last byte of the packet. */
static bool decode_params(struct reader *r, struct startup *out)
{
    const char *start = r->at;
    for (;;) {
        const char *pair = r->at;
        struct slice name = pw_reader_cstr(r);
        if (!r->ok)
            return false;
        if (name.len == 0) {
            out->params = (struct slice){start, (size_t)(pair - start)};
            return pw_reader_done(r);
        }
        pw_reader_cstr(r);
    }
}

bool pw_startup_decode(struct slice packet, struct startup *out)
{
    *out = (struct startup){0};
    struct reader r = pw_reader(packet);
    uint32_t len = pw_reader_u32(&r), code = pw_reader_u32(&r);
    if (!r.ok || len != packet.len || len > STARTUP_LEN_MAX)
        return false;
    switch (code) {
    case STARTUP_CODE_SSL:
        out->kind = STARTUP_SSL;
        return pw_reader_done(&r);
    case STARTUP_CODE_GSSENC:
        out->kind = STARTUP_GSSENC;
        return pw_reader_done(&r);
    case STARTUP_CODE_CANCEL:
        out->kind = STARTUP_CANCEL;
        out->pid = pw_reader_u32(&r);
        out->key = pw_reader_rest(&r);
        return r.ok && out->key.len >= CANCEL_KEY_MIN && out->key.len <= CANCEL_KEY_MAX;
    default:
        out->kind = STARTUP_MESSAGE;
        out->major = (uint16_t)(code >> 16);
        out->minor = (uint16_t)code;
        /* Another major version may be laid out in another way; the caller refuses it by number. */
        return out->major != 3 || decode_params(&r, out);
    }
}

bool pw_startup_next(struct slice *rest, struct name_value *out)
{
    struct reader r = pw_reader(*rest);
    out->name = pw_reader_cstr(&r);
    out->value = pw_reader_cstr(&r);
    *rest = pw_reader_rest(&r);
    return r.ok;
}

bool pw_startup_find(const struct startup *s, const char *name, struct slice *value)
{
    struct slice rest = s->params;
    struct name_value nv;
    bool found = false;
    while (pw_startup_next(&rest, &nv)) {
        if (pw_slice_is(nv.name, name)) {
            *value = nv.value;
            found = true;
        }
    }
    return found;
}

bool pw_startup_is_extension(struct slice name)
{
    return name.len >= 5 && memcmp(name.ptr, "_pq_.", 5) == 0;
}

/* ---- the options parameter ---- */

/* isspace() of the C locale, which is what the postmaster runs in. */
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word, unescaped, into scratch. False at the end or when scratch is full. */
static bool next_word(struct options_iter *it)
{
    struct slice *in = &it->rest;
    while (in->len && is_blank(in->ptr[0])) {
        in->ptr++;
        in->len--;
    }
    if (in->len == 0)
        return false;
    pw_buf_reset(it->scratch);
    bool escaped = false;
    while (in->len && (escaped || !is_blank(in->ptr[0]))) {
        if (!escaped && in->ptr[0] == '\\') {
            escaped = true;
        } else {
            escaped = false;
            if (!pw_buf_append(it->scratch, in->ptr, 1))
                return false;
        }
        in->ptr++;
        in->len--;
    }
    return true;
}

static enum options_result split_pair(char *text, size_t len, struct name_value *out)
{
    char *eq = len ? memchr(text, '=', len) : NULL;
    if (!eq || eq == text)
        return OPTIONS_BAD;
    for (char *p = text; p < eq; p++)
        *p = *p == '-' ? '_' : *p;
    out->name = (struct slice){text, (size_t)(eq - text)};
    out->value = (struct slice){eq + 1, len - out->name.len - 1};
    return OPTIONS_PAIR;
}

enum options_result pw_startup_options_next(struct options_iter *it, struct name_value *out)
{
    if (!next_word(it))
        return it->rest.len ? OPTIONS_BAD : OPTIONS_END;
    struct buf *s = it->scratch;
    if (s->len < 2 || s->data[0] != '-' || (s->data[1] != 'c' && s->data[1] != '-'))
        return OPTIONS_BAD;
    if (s->len > 2)
        return split_pair(s->data + 2, s->len - 2, out);
    if (s->data[1] == '-' || !next_word(it))
        return OPTIONS_BAD;
    return split_pair(s->data, s->len, out);
}
