/* Tables as text and JSON. Owns nothing. */
#include <string.h>

#include "proxy/admin/table.h"
#include "proxy/base/num.h"
#include "proxy/metrics/json.h"

enum { CELL_WIDTH_MAX = 200 }; /* wider cells are shown whole but do not push the others apart */

/* Columns a terminal uses for the text: characters, not bytes. */
static size_t width_of(struct slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return n;
}

static bool pad(struct buf *out, char with, size_t n)
{
    if (!pw_buf_reserve(out, n))
        return false;
    memset(out->data + out->len, with, n);
    out->len += n;
    return true;
}

/* One cell; control characters (an SQL text may hold line ends or escape sequences) become spaces,
 * so a row stays one line and cannot drive the terminal. */
static bool put_cell(struct buf *out, struct slice text, size_t width, bool right, bool last)
{
    size_t own = width_of(text);
    size_t fill = own < width ? width - own : 0;
    bool ok = !right || pad(out, ' ', fill);
    ok = ok && pw_buf_reserve(out, text.len);
    if (!ok)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        out->data[out->len++] = c < 0x20 || c == 0x7F ? ' ' : (char)c;
    }
    return right || last || pad(out, ' ', fill);
}

static void measure(const struct table *t, size_t *widths)
{
    for (size_t c = 0; c < pw_table_columns(t); c++) {
        widths[c] = width_of(pw_slice_str(pw_table_column(t, c)->name));
        for (size_t r = 0; r < pw_table_rows(t); r++) {
            struct slice text;
            if (!pw_table_cell(t, r, c, &text))
                continue;
            size_t w = width_of(text);
            if (w > widths[c])
                widths[c] = w < CELL_WIDTH_MAX ? w : CELL_WIDTH_MAX;
        }
    }
}

bool pw_table_render_text(const struct table *t, struct buf *out)
{
    size_t widths[PW_TABLE_COLUMNS_MAX], columns = pw_table_columns(t), rows = pw_table_rows(t);
    measure(t, widths);
    bool ok = true;
    for (size_t c = 0; c < columns && ok; c++)
        ok = put_cell(out, pw_slice_str(pw_table_column(t, c)->name), widths[c], false,
                      c + 1 == columns) &&
             pw_buf_append_str(out, c + 1 < columns ? " | " : "\n");
    for (size_t c = 0; c < columns && ok; c++)
        ok = pad(out, '-', widths[c]) && pw_buf_append_str(out, c + 1 < columns ? "-+-" : "\n");
    for (size_t r = 0; r < rows && ok; r++) {
        for (size_t c = 0; c < columns && ok; c++) {
            struct slice text = {"", 0};
            pw_table_cell(t, r, c, &text);
            ok = put_cell(out, text, widths[c], pw_table_column(t, c)->type != TABLE_TEXT,
                          c + 1 == columns) &&
                 pw_buf_append_str(out, c + 1 < columns ? " | " : "\n");
        }
    }
    return ok && pw_buf_printf(out, "(%zu row%s%s)\n", rows, rows == 1 ? "" : "s",
                               pw_table_truncated(t) ? ", there are more" : "");
}

static bool put_json_cell(const struct table *t, size_t row, size_t column, struct buf *out)
{
    struct slice text;
    double number;
    if (!pw_table_cell(t, row, column, &text))
        return pw_buf_append_str(out, "null");
    if (pw_table_column(t, column)->type != TABLE_TEXT && pw_num_parse_double(text, &number))
        return pw_buf_append(out, text.ptr, text.len);
    return pw_json_string(out, text);
}

static bool put_json_row(const struct table *t, size_t row, struct buf *out)
{
    bool ok = pw_buf_append_u8(out, '{');
    for (size_t c = 0; c < pw_table_columns(t) && ok; c++)
        ok = (c == 0 || pw_buf_append_u8(out, ',')) &&
             pw_json_string(out, pw_slice_str(pw_table_column(t, c)->name)) &&
             pw_buf_append_u8(out, ':') && put_json_cell(t, row, c, out);
    return ok && pw_buf_append_u8(out, '}');
}

bool pw_table_render_json_lines(const struct table *t, struct buf *out)
{
    bool ok = true;
    for (size_t r = 0; r < pw_table_rows(t) && ok; r++)
        ok = put_json_row(t, r, out) && pw_buf_append_u8(out, '\n');
    return ok;
}

bool pw_table_render_json(const struct table *t, struct buf *out)
{
    bool ok = pw_buf_append_u8(out, '[');
    for (size_t r = 0; r < pw_table_rows(t) && ok; r++)
        ok = (r == 0 || pw_buf_append_str(out, ",\n ")) && put_json_row(t, r, out);
    return ok && pw_buf_append_str(out, "]\n");
}
