/* Walking and rewriting error fields. Borrows everything; any thread. */
#include "proxy/wire/errfields.h"

#include "proxy/wire/emit.h"
#include "proxy/wire/reader.h"

bool pw_errfields_next(struct slice *rest, char *code, struct slice *value)
{
    struct reader r = pw_reader(*rest);
    *code = (char)pw_reader_u8(&r);
    if (*code == 0) {
        *value = (struct slice){0};
        return false;
    }
    *value = pw_reader_cstr(&r);
    *rest = pw_reader_rest(&r);
    return r.ok;
}

bool pw_errfields_find(struct slice body, char code, struct slice *value)
{
    char c;
    while (pw_errfields_next(&body, &c, value)) {
        if (c == code)
            return true;
    }
    *value = (struct slice){0};
    return false;
}

struct slice pw_errfields_sqlstate(struct slice body)
{
    struct slice value;
    if (pw_errfields_find(body, 'C', &value) && value.len == 5)
        return value;
    return PW_SLICE_LIT("XX000");
}

bool pw_errfields_is_fatal(struct slice body)
{
    struct slice value;
    if (!pw_errfields_find(body, 'V', &value) && !pw_errfields_find(body, 'S', &value))
        return false;
    return pw_slice_is(value, "FATAL") || pw_slice_is(value, "PANIC");
}

static void put(struct emit *e, char code, struct slice value)
{
    pw_buf_append_u8(e->out, (uint8_t)code);
    pw_emit_str(e, value);
}

/* Puts the fields that lead an error; each is the replacement, or what was there, or a default. */
static void put_lead(struct emit *e, struct slice body, char code, const char *replace,
                     const char *missing)
{
    struct slice value;
    if (replace)
        put(e, code, pw_slice_str(replace));
    else if (pw_errfields_find(body, code, &value))
        put(e, code, value);
    else
        put(e, code, pw_slice_str(missing));
}

bool pw_errfields_rewrite(struct buf *out, uint8_t type, struct slice body, const char *severity,
                          const char *message)
{
    struct emit e = pw_emit_begin(out, type);
    const char *level = type == BACK_ERROR_RESPONSE ? "ERROR" : "NOTICE";
    put_lead(&e, body, 'S', severity, level);
    put_lead(&e, body, 'V', severity, level);
    put_lead(&e, body, 'C', NULL, "XX000");
    put_lead(&e, body, 'M', message, "no message");
    char code;
    struct slice value;
    while (pw_errfields_next(&body, &code, &value)) {
        if (!strchr("SVCM", code))
            put(&e, code, value);
    }
    pw_buf_append_u8(out, 0);
    return pw_emit_end(&e);
}

/* What was there, then what is added. */
static void put_joined(struct emit *e, struct slice body, char code, const char *more)
{
    struct slice own;
    pw_buf_append_u8(e->out, (uint8_t)code);
    if (pw_errfields_find(body, code, &own) && own.len) {
        pw_buf_append(e->out, own.ptr, own.len);
        pw_buf_append_u8(e->out, '\n');
    }
    pw_emit_str(e, pw_slice_str(more));
}

bool pw_errfields_annotate(struct buf *out, struct slice body, const char *severity,
                           const char *detail, const char *hint)
{
    struct emit e = pw_emit_begin(out, BACK_ERROR_RESPONSE);
    put_lead(&e, body, 'S', severity, "ERROR");
    put_lead(&e, body, 'V', severity, "ERROR");
    put_lead(&e, body, 'C', NULL, "XX000");
    put_lead(&e, body, 'M', NULL, "no message");
    put_joined(&e, body, 'D', detail);
    put_joined(&e, body, 'H', hint);
    char code;
    struct slice value;
    while (pw_errfields_next(&body, &code, &value)) {
        if (!strchr("SVCMDH", code))
            put(&e, code, value);
    }
    pw_buf_append_u8(out, 0);
    return pw_emit_end(&e);
}
