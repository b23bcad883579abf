/* Decoding of backend messages. Borrows everything; any thread. */
#include "proxy/wire/back.h"

#include "proxy/base/num.h"

static bool read_field(struct reader *r, struct back_field *f)
{
    f->name = pw_reader_cstr(r);
    f->table_oid = pw_reader_u32(r);
    f->column = pw_reader_u16(r);
    f->type_oid = pw_reader_u32(r);
    f->type_len = (int16_t)pw_reader_u16(r);
    f->type_mod = (int32_t)pw_reader_u32(r);
    f->format = pw_reader_u16(r);
    return r->ok;
}

bool pw_back_rowdesc(struct slice body, struct back_rowdesc *out)
{
    struct reader r = pw_reader(body);
    struct back_field f;
    out->nfields = pw_reader_u16(&r);
    const char *start = r.at;
    for (uint16_t i = 0; i < out->nfields && read_field(&r, &f); i++)
        ;
    out->fields = (struct slice){start, r.ok ? (size_t)(r.at - start) : 0};
    return pw_reader_done(&r);
}

bool pw_back_field_next(struct slice *rest, struct back_field *out)
{
    struct reader r = pw_reader(*rest);
    bool ok = read_field(&r, out);
    *rest = pw_reader_rest(&r);
    return ok;
}

bool pw_back_datarow(struct slice body, struct back_datarow *out)
{
    struct reader r = pw_reader(body);
    out->ncolumns = pw_reader_u16(&r);
    out->columns = pw_reader_rest(&r);
    struct slice rest = out->columns;
    struct wire_value v;
    for (uint16_t i = 0; i < out->ncolumns; i++) {
        if (!pw_wire_value_next(&rest, &v))
            return false;
    }
    return r.ok && rest.len == 0;
}

bool pw_back_parameter_status(struct slice body, struct name_value *out)
{
    struct reader r = pw_reader(body);
    out->name = pw_reader_cstr(&r);
    out->value = pw_reader_cstr(&r);
    return pw_reader_done(&r);
}

bool pw_back_key(struct slice body, struct back_key *out)
{
    struct reader r = pw_reader(body);
    out->pid = pw_reader_u32(&r);
    out->key = pw_reader_rest(&r);
    return r.ok && out->key.len >= CANCEL_KEY_MIN && out->key.len <= CANCEL_KEY_MAX;
}

bool pw_back_ready(struct slice body, char *status)
{
    *status = body.len ? body.ptr[0] : 0;
    return body.len == 1 && (*status == 'I' || *status == 'T' || *status == 'E');
}

bool pw_back_command_complete(struct slice body, struct slice *tag)
{
    struct reader r = pw_reader(body);
    *tag = pw_reader_cstr(&r);
    return pw_reader_done(&r);
}

bool pw_back_tag_rows(struct slice tag, uint64_t *rows)
{
    size_t at = tag.len;
    while (at > 0 && tag.ptr[at - 1] >= '0' && tag.ptr[at - 1] <= '9')
        at--;
    if (at == tag.len || at == 0 || tag.ptr[at - 1] != ' ')
        return false;
    return pw_num_parse_u64((struct slice){tag.ptr + at, tag.len - at}, rows);
}

/* `count` strings, or as many as come before an empty one, to the end of the message. */
static bool read_mechanisms(struct slice data)
{
    struct reader r = pw_reader(data);
    while (pw_reader_cstr(&r).len > 0)
        ;
    return pw_reader_done(&r);
}

bool pw_back_auth(struct slice body, struct back_auth *out)
{
    struct reader r = pw_reader(body);
    out->code = pw_reader_u32(&r);
    bool ok = r.ok;
    out->data = pw_reader_rest(&r);
    switch (out->code) {
    case AUTH_CODE_OK:
    case AUTH_CODE_CLEARTEXT:
        return ok && out->data.len == 0;
    case AUTH_CODE_MD5:
        return ok && out->data.len == 4;
    case AUTH_CODE_SASL:
        return ok && read_mechanisms(out->data);
    default:
        return ok;
    }
}

bool pw_back_auth_offers(const struct back_auth *a, const char *mechanism)
{
    struct reader r = pw_reader(a->data);
    for (struct slice m = pw_reader_cstr(&r); m.len > 0; m = pw_reader_cstr(&r)) {
        if (pw_slice_is(m, mechanism))
            return true;
    }
    return false;
}

bool pw_back_notification(struct slice body, struct back_notification *out)
{
    struct reader r = pw_reader(body);
    out->pid = pw_reader_u32(&r);
    out->channel = pw_reader_cstr(&r);
    out->payload = pw_reader_cstr(&r);
    return pw_reader_done(&r);
}

bool pw_back_oids(struct slice body, struct back_oids *out)
{
    struct reader r = pw_reader(body);
    out->count = pw_reader_u16(&r);
    out->oids = pw_reader_bytes(&r, 4 * (size_t)out->count);
    return pw_reader_done(&r);
}

bool pw_back_copy(struct slice body, struct back_copy *out)
{
    struct reader r = pw_reader(body);
    out->format = pw_reader_u8(&r);
    out->ncolumns = pw_reader_u16(&r);
    out->formats = pw_reader_bytes(&r, 2 * (size_t)out->ncolumns);
    return pw_reader_done(&r);
}

bool pw_back_negotiate(struct slice body, struct back_negotiate *out)
{
    struct reader r = pw_reader(body);
    out->minor = pw_reader_u32(&r);
    out->noptions = pw_reader_u32(&r);
    const char *start = r.at;
    for (uint32_t i = 0; r.ok && i < out->noptions; i++)
        pw_reader_cstr(&r);
    out->options = (struct slice){start, r.ok ? (size_t)(r.at - start) : 0};
    return pw_reader_done(&r);
}
