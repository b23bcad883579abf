/* Tables as protocol messages. Owns nothing. */
#include <string.h>

#include "proxy/admin/table.h"
#include "proxy/base/num.h"
#include "proxy/wire/emit.h"

static const struct {
    uint32_t oid;
    int16_t size;
} types[] = {
    [TABLE_TEXT] = {25, -1},
    [TABLE_INT4] = {23, 4},
    [TABLE_INT8] = {20, 8},
    [TABLE_NUMERIC] = {1700, -1},
};

enum { NUMERIC_GROUPS_MAX = 120, VALUE_MAX = 8 + 2 * NUMERIC_GROUPS_MAX };

bool pw_table_emit_description(const struct table *t, const bool *binary, struct buf *out)
{
    struct emit e = pw_emit_begin(out, 'T');
    pw_buf_append_u16(out, (uint16_t)pw_table_columns(t));
    for (size_t c = 0; c < pw_table_columns(t); c++) {
        const struct table_column *column = pw_table_column(t, c);
        pw_emit_str(&e, pw_slice_str(column->name));
        pw_buf_append_u32(out, 0); /* no table, no attribute number */
        pw_buf_append_u16(out, 0);
        pw_buf_append_u32(out, types[column->type].oid);
        pw_buf_append_u16(out, (uint16_t)types[column->type].size);
        pw_buf_append_u32(out, UINT32_MAX); /* no type modifier */
        pw_buf_append_u16(out, binary && binary[c]);
    }
    return pw_emit_end(&e);
}

/* ---- binary values ----------------------------------------------------------------------------
 */

static size_t put_be(char *out, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)(v >> (8 * (bytes - 1 - i)));
    return bytes;
}

/* The digit `at` places left of the decimal point (negative: right of it), 0 outside the text. */
static unsigned digit_at(struct slice whole, struct slice fraction, long at)
{
    if (at >= 0)
        return (size_t)at < whole.len ? (unsigned)(whole.ptr[whole.len - 1 - (size_t)at] - '0') : 0;
    size_t i = (size_t)(-at - 1);
    return i < fraction.len ? (unsigned)(fraction.ptr[i] - '0') : 0;
}

/* PostgreSQL's numeric: base 10,000 groups around the decimal point. 0: not a plain number. */
static size_t put_numeric(struct slice text, char *out)
{
    bool negative = text.len && text.ptr[0] == '-';
    struct slice whole = pw_slice(text.ptr + negative, text.len - negative);
    for (size_t i = 0; i < whole.len; i++)
        if ((whole.ptr[i] < '0' || whole.ptr[i] > '9') && whole.ptr[i] != '.')
            return 0;
    const char *point = memchr(whole.ptr, '.', whole.len);
    struct slice fraction = {"", 0};
    if (point) {
        fraction = pw_slice(point + 1, (size_t)(whole.ptr + whole.len - point - 1));
        whole.len = (size_t)(point - whole.ptr);
    }
    long high = (long)((whole.len + 3) / 4), low = -(long)((fraction.len + 3) / 4);
    if (high - low > NUMERIC_GROUPS_MAX || whole.len + fraction.len == 0)
        return 0;
    size_t at = put_be(out, (uint64_t)(high - low), 2);
    at += put_be(out + at, (uint64_t)(uint16_t)(high - 1), 2);
    at += put_be(out + at, negative ? 0x4000 : 0, 2);
    at += put_be(out + at, fraction.len, 2);
    for (long group = high - 1; group >= low; group--) {
        unsigned v = 0;
        for (long d = 3; d >= 0; d--)
            v = v * 10 + digit_at(whole, fraction, group * 4 + d);
        at += put_be(out + at, v, 2);
    }
    return at;
}

/* False: the cell cannot be said in binary (a number column that holds other text). */
static bool to_binary(enum table_type type, struct slice text, char *space,
                      struct wire_value *value)
{
    int64_t number = 0;
    size_t len = text.len;
    if (type == TABLE_TEXT) {
        *value = (struct wire_value){.bytes = text};
        return true;
    }
    if (type == TABLE_NUMERIC)
        len = put_numeric(text, space);
    else if (pw_num_parse_i64(text, &number))
        len = put_be(space, (uint64_t)number, type == TABLE_INT4 ? 4 : 8);
    else
        return false;
    *value = (struct wire_value){.bytes = pw_slice(space, len)};
    return len > 0;
}

bool pw_table_emit_rows(const struct table *t, const bool *binary, size_t from, size_t to,
                        struct buf *out)
{
    struct wire_value values[PW_TABLE_COLUMNS_MAX];
    char space[PW_TABLE_COLUMNS_MAX][VALUE_MAX];
    size_t columns = pw_table_columns(t);
    for (size_t r = from; r < to; r++) {
        for (size_t c = 0; c < columns; c++) {
            struct slice text = {NULL, 0};
            bool set = pw_table_cell(t, r, c, &text);
            values[c] = (struct wire_value){.bytes = text, .null = !set};
            if (set && binary && binary[c] &&
                !to_binary(pw_table_column(t, c)->type, text, space[c], &values[c]))
                values[c].null = true;
        }
        if (!pw_emit_datarow(out, values, (uint16_t)columns))
            return false;
    }
    return true;
}
