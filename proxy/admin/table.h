/*
 * A command's answer: typed columns and rows. Cells are kept as text; numbers are formatted when
 * they are put in. Bounded: a row over the bounds is refused and `truncated` is set, so a command
 * that lists a million things answers with the first ones and says so.
 * Owned by whoever made it; may move between threads, is never shared.
 */
#ifndef PROXY_ADMIN_TABLE_H
#define PROXY_ADMIN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"
#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

enum table_type {                /* with PostgreSQL's type names and oids on the psql front */
                  TABLE_TEXT,    /* text, 25 */
                  TABLE_INT4,    /* int4, 23 */
                  TABLE_INT8,    /* int8, 20 */
                  TABLE_NUMERIC, /* numeric, 1700 */
};

struct table_column {
    const char *name; /* BORROW, must outlive the table (usually static) */
    enum table_type type;
};

enum {
    PW_TABLE_COLUMNS_MAX = 64,
    PW_TABLE_ROWS_MAX = 100000,
    PW_TABLE_BYTES_MAX = 64 * 1024 * 1024,
};

struct table;

/* columns is BORROW and must outlive the table. */
PW_MUSTUSE struct table *pw_table_new(const struct table_column *columns, size_t n);
void pw_table_free(struct table *t); /* NULL is allowed */

/* Starts a row whose cells are all NULL; false when the table is full (cells put in are ignored).
 */
bool pw_table_row(struct table *t);
/* Each puts the next cell of the row; what is left out at the end stays NULL. */
void pw_table_text(struct table *t, const char *text); /* NULL: a NULL cell */
void pw_table_slice(struct table *t, struct slice text);
void pw_table_printf(struct table *t, const char *fmt, ...) PW_PRINTF(2, 3);
void pw_table_int(struct table *t, int64_t v);
void pw_table_uint(struct table *t, uint64_t v);
void pw_table_num(struct table *t, double v, int decimals); /* not finite: NULL */
void pw_table_bool(struct table *t, bool v); /* "yes" or "no" in text columns, 1 or 0 */
void pw_table_null(struct table *t);

size_t pw_table_rows(const struct table *t);
size_t pw_table_columns(const struct table *t);
const struct table_column *pw_table_column(const struct table *t, size_t column);
bool pw_table_truncated(const struct table *t);
/* False when the cell is NULL. The text is BORROW until the next cell is put in. */
bool pw_table_cell(const struct table *t, size_t row, size_t column, struct slice *out);

/* Aligned text for people: header, rule, rows, "(n rows)". Numbers to the right. */
bool pw_table_render_text(const struct table *t, struct buf *out);
/* One JSON object per row and line; numbers are JSON numbers. */
bool pw_table_render_json_lines(const struct table *t, struct buf *out);
/* One array of the same objects, for HTTP. */
bool pw_table_render_json(const struct table *t, struct buf *out);
/* RowDescription, and DataRow for rows [from, to). binary is NULL for text, or says for each column
 * whether it is wanted in PostgreSQL's binary format. */
bool pw_table_emit_description(const struct table *t, const bool *binary, struct buf *out);
bool pw_table_emit_rows(const struct table *t, const bool *binary, size_t from, size_t to,
                        struct buf *out);

#endif
