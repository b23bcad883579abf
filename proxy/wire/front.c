/* Decoding of frontend messages. Borrows everything; any thread. */
#include "proxy/wire/front.h"

bool pw_front_query(struct slice body, struct front_query *out)
{
    struct reader r = pw_reader(body);
    out->sql = pw_reader_cstr(&r);
    return pw_reader_done(&r);
}

bool pw_front_parse(struct slice body, struct front_parse *out)
{
    struct reader r = pw_reader(body);
    out->name = pw_reader_cstr(&r);
    out->sql = pw_reader_cstr(&r);
    out->nparams = pw_reader_u16(&r);
    out->oids = pw_reader_bytes(&r, 4 * (size_t)out->nparams);
    return pw_reader_done(&r);
}

/* One Int32 length and that many bytes; -1 is null; any other negative length is an error. */
static bool read_value(struct reader *r, struct wire_value *out)
{
    uint32_t len = pw_reader_u32(r);
    out->null = len == UINT32_MAX;
    out->bytes = pw_reader_bytes(r, out->null ? 0 : len);
    return r->ok;
}

static struct slice read_values(struct reader *r, uint16_t count)
{
    const char *start = r->at;
    struct wire_value v;
    for (uint16_t i = 0; i < count && read_value(r, &v); i++)
        ;
    return (struct slice){start, r->ok ? (size_t)(r->at - start) : 0};
}

bool pw_wire_value_next(struct slice *rest, struct wire_value *out)
{
    struct reader r = pw_reader(*rest);
    bool ok = read_value(&r, out);
    *rest = pw_reader_rest(&r);
    return ok;
}

bool pw_front_bind(struct slice body, struct front_bind *out)
{
    struct reader r = pw_reader(body);
    out->portal = pw_reader_cstr(&r);
    out->statement = pw_reader_cstr(&r);
    out->nparam_formats = pw_reader_u16(&r);
    out->param_formats = pw_reader_bytes(&r, 2 * (size_t)out->nparam_formats);
    out->nparams = pw_reader_u16(&r);
    out->params = read_values(&r, out->nparams);
    out->nresult_formats = pw_reader_u16(&r);
    out->result_formats = pw_reader_bytes(&r, 2 * (size_t)out->nresult_formats);
    return pw_reader_done(&r);
}

bool pw_front_target(struct slice body, struct front_target *out)
{
    struct reader r = pw_reader(body);
    out->kind = pw_reader_u8(&r);
    out->name = pw_reader_cstr(&r);
    return pw_reader_done(&r) && (out->kind == 'S' || out->kind == 'P');
}

bool pw_front_execute(struct slice body, struct front_execute *out)
{
    struct reader r = pw_reader(body);
    out->portal = pw_reader_cstr(&r);
    uint32_t rows = pw_reader_u32(&r);
    out->max_rows = rows > INT32_MAX ? 0 : rows;
    return pw_reader_done(&r);
}

bool pw_front_call(struct slice body, struct front_call *out)
{
    struct reader r = pw_reader(body);
    out->function_oid = pw_reader_u32(&r);
    out->nformats = pw_reader_u16(&r);
    out->formats = pw_reader_bytes(&r, 2 * (size_t)out->nformats);
    out->nargs = pw_reader_u16(&r);
    out->args = read_values(&r, out->nargs);
    out->result_format = pw_reader_u16(&r);
    return pw_reader_done(&r);
}

bool pw_front_copy_fail(struct slice body, struct slice *reason)
{
    struct reader r = pw_reader(body);
    *reason = pw_reader_cstr(&r);
    return pw_reader_done(&r);
}

bool pw_front_password(struct slice body, struct slice *password)
{
    return pw_front_copy_fail(body, password);
}

bool pw_front_sasl_initial(struct slice body, struct front_sasl_initial *out)
{
    struct reader r = pw_reader(body);
    struct wire_value v;
    out->mechanism = pw_reader_cstr(&r);
    bool ok = read_value(&r, &v);
    out->has_data = ok && !v.null;
    out->data = v.bytes;
    return ok && pw_reader_done(&r);
}

bool pw_front_two_names(struct slice body_part, struct slice *first, struct slice *second,
                        size_t *used)
{
    struct reader r = pw_reader(body_part);
    *first = pw_reader_cstr(&r);
    *second = pw_reader_cstr(&r);
    *used = body_part.len - pw_reader_left(&r);
    return r.ok;
}
