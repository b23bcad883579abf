/* A whole known reply for one request: which of its messages the request asked for, and its
 * identity (rule 2). */
#include <string.h>

#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/wire/front.h"

void pw_reply_shape(const struct ticket *t, struct reply_shape *shape)
{
    *shape = (struct reply_shape){0};
    if (t->is_simple) {
        shape->cacheable = t->n_ops == 1 && t->msgs.data[0] == FRONT_QUERY;
        return;
    }
    shape->is_extended = true;
    enum { START, PARSED, BOUND, DESCRIBED, EXECUTED, SYNCED } at = START;
    for (uint32_t i = 0; i < t->n_ops; i++) {
        const struct op *op = &t->ops[i];
        if (op->kind == EXPECT_PARSE && at == START && !op->is_duplicate) {
            shape->has_parse = true;
            at = PARSED;
        } else if (op->kind == EXPECT_BIND && (at == START || at == PARSED) && op->stmt &&
                   op->portal_len == 0 && (at == START || op->stmt == t->ops[0].stmt)) {
            shape->bind = op;
            shape->stmt = op->stmt;
            at = BOUND;
        } else if (op->kind == EXPECT_DESCRIBE_PORTAL && at == BOUND && !op->named) {
            shape->has_describe = true;
            at = DESCRIBED;
        } else if (op->kind == EXPECT_EXECUTE && (at == BOUND || at == DESCRIBED) && !op->named) {
            at = EXECUTED;
        } else if (op->kind == EXPECT_SYNC && at == EXECUTED) {
            at = SYNCED;
        } else {
            return;
        }
    }
    shape->cacheable = at == SYNCED;
}

void pw_reply_write(struct client *c, const struct reply_shape *shape,
                    const struct reply_parts *parts)
{
    static const char parse_bind[10] = {'1', 0, 0, 0, 4, '2', 0, 0, 0, 4};
    static const char ready[6] = {'Z', 0, 0, 0, 5, 'I'};
    if (shape->is_extended)
        pw_stream_write(c->stream, parse_bind + (shape->has_parse ? 0 : 5),
                        shape->has_parse ? 10 : 5);
    if (!shape->is_extended || shape->has_describe) {
        if (parts->description_ref)
            pw_stream_write_ref(c->stream, parts->description_ref, 0, parts->description_ref->len);
        else
            pw_stream_write(c->stream, parts->description.ptr, parts->description.len);
    }
    if (parts->rows_ref)
        pw_stream_write_ref(c->stream, parts->rows_ref, 0, parts->rows_ref->len);
    else
        pw_stream_write(c->stream, parts->rows.ptr, parts->rows.len);
    pw_stream_write(c->stream, parts->tag.ptr, parts->tag.len);
    pw_stream_write(c->stream, ready, sizeof ready);
}

static void append_part(struct buf *key, const void *data, size_t len)
{
    pw_buf_append_u32(key, (uint32_t)len);
    pw_buf_append(key, data, len);
}

/* Result formats that all say text are one spelling: then simple and extended requests share an
 * answer. */
static void append_formats(struct buf *key, const struct front_bind *b)
{
    bool all_text = true;
    for (uint16_t i = 0; i < b->nresult_formats; i++)
        all_text &= pw_front_bind_result_format(b, i) == 0;
    append_part(key, b->result_formats.ptr, all_text ? 0 : b->result_formats.len);
}

bool pw_reply_key(struct dispatch *d, struct ticket *t, const struct reply_shape *shape)
{
    (void)d;
    if (!shape->cacheable || !t->client)
        return false;
    struct client *c = t->client;
    struct buf *key = &t->key;
    pw_buf_reset(key);
    pw_buf_append_u32(key, c->pool->database_id);
    append_part(key, c->pool->user, strlen(c->pool->user));
    append_part(key, c->settings->bytes, c->settings->bytes_len);
    if (!shape->is_extended) {
        struct slice sql = pw_slice(t->msgs.data + FRAME_HEADER, t->msgs.len - FRAME_HEADER - 1);
        append_part(key, sql.ptr, sql.len);
        append_part(key, "\0\0", 2); /* no parameter types */
        append_part(key, "", 0);     /* parameter formats */
        append_part(key, "\0\0", 2); /* no parameter values */
        append_part(key, "", 0);     /* text results */
    } else {
        struct front_bind b;
        const struct op *op = shape->bind;
        if (!pw_front_bind(pw_slice(t->msgs.data + op->off + FRAME_HEADER, op->len - FRAME_HEADER),
                           &b))
            return false;
        struct slice text = pw_stmt_text(shape->stmt), types = pw_stmt_types(shape->stmt);
        append_part(key, text.ptr, text.len);
        append_part(key, types.ptr, types.len);
        append_part(key, b.param_formats.ptr, b.param_formats.len);
        pw_buf_append_u32(key, (uint32_t)(b.params.len + 2));
        pw_buf_append_u16(key, b.nparams);
        pw_buf_append(key, b.params.ptr, b.params.len);
        append_formats(key, &b);
    }
    if (key->failed) {
        pw_buf_reset(key);
        return false;
    }
    t->key_hash = pw_hash_bytes(key->data, key->len);
    return true;
}
