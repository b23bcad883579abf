/* room: wire */
/* Every backend decoder on the body of every message of the stream, and the error fields. */
#include <stdint.h>

#include "proxy/base/check.h"
#include "proxy/wire/back.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/errfields.h"
#include "proxy/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_errors(struct slice body)
{
    struct slice value;
    char code;
    struct slice rest = body;
    while (pw_errfields_next(&rest, &code, &value))
        PW_CHECK(code != 0 && value.ptr[value.len] == 0);
    PW_CHECK(pw_errfields_sqlstate(body).len == 5);
    pw_errfields_is_fatal(body);
    struct buf out;
    pw_buf_init(&out, 1 << 24);
    PW_CHECK(pw_errfields_rewrite(&out, 'E', body, "FATAL", "replaced"));
    struct slice again = pw_slice(out.data + FRAME_HEADER, out.len - FRAME_HEADER);
    PW_CHECK(pw_errfields_is_fatal(again));
    PW_CHECK(pw_errfields_find(again, 'M', &value) && pw_slice_is(value, "replaced"));
    PW_CHECK(pw_slice_eq(pw_errfields_sqlstate(again), pw_errfields_sqlstate(body)));
    pw_buf_free(&out);
}

static void decode_rows(struct slice body)
{
    struct back_rowdesc d;
    struct back_field field;
    struct back_datarow row;
    struct wire_value v;
    if (pw_back_rowdesc(body, &d)) {
        for (uint16_t i = 0; i < d.nfields; i++)
            PW_CHECK(pw_back_field_next(&d.fields, &field));
        PW_CHECK(d.fields.len == 0);
    }
    if (pw_back_datarow(body, &row)) {
        for (uint16_t i = 0; i < row.ncolumns; i++)
            PW_CHECK(pw_wire_value_next(&row.columns, &v));
        PW_CHECK(row.columns.len == 0);
    }
}

static void decode_all(struct slice body)
{
    struct name_value nv;
    struct back_key key;
    struct back_auth auth;
    struct back_notification note;
    struct back_oids oids;
    struct back_copy copy;
    struct back_negotiate negotiate;
    struct slice tag;
    uint64_t rows;
    char status;
    decode_errors(body);
    decode_rows(body);
    pw_back_parameter_status(body, &nv);
    if (pw_back_key(body, &key))
        PW_CHECK(key.key.len <= CANCEL_KEY_MAX);
    pw_back_ready(body, &status);
    if (pw_back_command_complete(body, &tag))
        pw_back_tag_rows(tag, &rows);
    if (pw_back_auth(body, &auth))
        pw_back_auth_offers(&auth, "SCRAM-SHA-256");
    pw_back_notification(body, &note);
    if (pw_back_oids(body, &oids))
        pw_back_oid(&oids, (uint16_t)(oids.count - 1));
    pw_back_copy(body, &copy);
    pw_back_negotiate(body, &negotiate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = pw_slice((const char *)data, size);
    struct frame f = {0};
    while (pw_frame_peek_back(in, &f) == FRAME_OK && pw_frame_complete(in, &f)) {
        decode_all(pw_frame_body(in, &f));
        in = pw_slice(in.ptr + f.len, in.len - f.len);
    }
    return 0;
}
