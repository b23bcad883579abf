/* Owns the cells of a table: one growing text area and one array of (offset, length). */
#include "proxy/admin/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

struct cell {
    uint32_t offset, len; /* in t->text */
    bool set;
};

struct table {
    const struct table_column *columns; /* BORROW */
    size_t n_columns, n_rows, row_cap;
    size_t next;        /* column the next cell goes to */
    struct cell *cells; /* OWN, row by row */
    struct buf text;    /* OWN */
    bool truncated, ignoring;
};

struct table *pw_table_new(const struct table_column *columns, size_t n)
{
    PW_CHECK(n > 0 && n <= PW_TABLE_COLUMNS_MAX);
    struct table *t = pw_alloc(sizeof *t);
    t->columns = columns;
    t->n_columns = n;
    t->ignoring = true; /* until the first row */
    pw_buf_init(&t->text, PW_TABLE_BYTES_MAX);
    return t;
}

void pw_table_free(struct table *t)
{
    if (!t)
        return;
    pw_free(t->cells);
    pw_buf_free(&t->text);
    pw_free(t);
}

static bool refuse(struct table *t)
{
    t->truncated = t->ignoring = true;
    return false;
}

bool pw_table_row(struct table *t)
{
    if (t->n_rows >= PW_TABLE_ROWS_MAX || t->truncated)
        return refuse(t);
    if (t->n_rows == t->row_cap) {
        size_t cap = t->row_cap ? t->row_cap * 2 : 16;
        t->cells = pw_realloc(t->cells, cap * t->n_columns * sizeof *t->cells);
        t->row_cap = cap;
    }
    for (size_t i = 0; i < t->n_columns; i++)
        t->cells[t->n_rows * t->n_columns + i] = (struct cell){0};
    t->n_rows++;
    t->next = 0;
    t->ignoring = false;
    return true;
}

void pw_table_slice(struct table *t, struct slice text)
{
    if (t->ignoring)
        return;
    PW_CHECK(t->next < t->n_columns);
    size_t offset = t->text.len;
    if (!pw_buf_append(&t->text, text.ptr, text.len)) {
        t->n_rows--; /* a row is whole or not there */
        refuse(t);
        return;
    }
    t->cells[(t->n_rows - 1) * t->n_columns + t->next++] =
        (struct cell){(uint32_t)offset, (uint32_t)text.len, true};
}

void pw_table_null(struct table *t)
{
    if (t->ignoring)
        return;
    PW_CHECK(t->next < t->n_columns);
    t->next++;
}

void pw_table_text(struct table *t, const char *text)
{
    if (text)
        pw_table_slice(t, pw_slice_str(text));
    else
        pw_table_null(t);
}

void pw_table_printf(struct table *t, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0) {
        pw_table_null(t);
        return;
    }
    pw_table_slice(t, pw_slice(text, (size_t)len));
    pw_free(text);
}

void pw_table_int(struct table *t, int64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, v);
    pw_table_text(t, text);
}

void pw_table_uint(struct table *t, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, v);
    pw_table_text(t, text);
}

void pw_table_num(struct table *t, double v, int decimals)
{
    char text[400]; /* the longest double has 309 digits before the point */
    if (!isfinite(v)) {
        pw_table_null(t);
        return;
    }
    snprintf(text, sizeof text, "%.*f", decimals, v);
    pw_table_text(t, text);
}

void pw_table_bool(struct table *t, bool v)
{
    if (t->ignoring)
        return;
    PW_CHECK(t->next < t->n_columns);
    if (t->columns[t->next].type == TABLE_TEXT)
        pw_table_text(t, v ? "yes" : "no");
    else
        pw_table_text(t, v ? "1" : "0");
}

size_t pw_table_rows(const struct table *t)
{
    return t->n_rows;
}

size_t pw_table_columns(const struct table *t)
{
    return t->n_columns;
}

const struct table_column *pw_table_column(const struct table *t, size_t column)
{
    PW_CHECK(column < t->n_columns);
    return &t->columns[column];
}

bool pw_table_truncated(const struct table *t)
{
    return t->truncated;
}

bool pw_table_cell(const struct table *t, size_t row, size_t column, struct slice *out)
{
    PW_CHECK(row < t->n_rows && column < t->n_columns);
    const struct cell *c = &t->cells[row * t->n_columns + column];
    if (!c->set)
        return false;
    *out = pw_slice(t->text.data ? t->text.data + c->offset : "", c->len);
    return true;
}
