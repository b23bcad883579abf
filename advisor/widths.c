/* See widths.h. */
#include "advisor/widths.h"

#include <math.h>

#include "advisor/btsize.h"

#define ROWS      1500 /* about */
#define ROWS_MAX  3000
#define PAGES_MIN 30 /* neighbours are alike */

/* Fixed widths without NULLs are known already. */
static bool is_wanted(const struct inv_column *c)
{
    return c->typlen < 0 || (!c->not_null && (!c->has_stats || c->null_frac > 0));
}

static char *sample_sql(struct arena *mem, const struct inv_table *t)
{
    char *list = NULL;
    for (size_t k = 0; k < t->n_columns; k++)
        if (is_wanted(&t->columns[k]))
            list = pw_mem_printf(mem, "%s%spg_column_size(%s)", list ? list : "", list ? ", " : "",
                                 pw_mem_ident(mem, t->columns[k].name));
    double share = fmax(ROWS / fmax(pw_inventory_rows(t), 1), PAGES_MIN / fmax(t->pages, 1));
    return !list ? NULL
                 : pw_mem_printf(mem,
                                 "SELECT %s FROM %s TABLESAMPLE SYSTEM (%.6f) REPEATABLE (0)"
                                 " LIMIT %d",
                                 list, pw_mem_qualified(mem, t->schema, t->name),
                                 fmin(100, 100 * share), ROWS_MAX);
}

static int coprime(int n)
{
    int step = (int)(n * 0.618) | 1;
    for (int a = n, b = step; b != 1;) {
        int rest = a % b;
        a = b;
        b = rest;
        if (!rest) {
            a = n;
            b = ++step;
        }
    }
    return step;
}

/* Shuffled: an index has another order than its table, and neighbours may be alike. */
static const uint16_t *column_of(struct arena *mem, const struct pgresult *r, int col)
{
    int n = pw_pgresult_rows(r), step = coprime(n);
    uint16_t *out = pw_mem(mem, (size_t)n * sizeof(*out));
    for (int row = 0, at = 0; row < n; row++, at = (at + step) % n)
        out[at] = (uint16_t)fmin(pw_cell_num(r, row, col, PW_BT_NULL), PW_BT_NULL);
    return out;
}

void pw_widths_read(struct side *s, struct inv_table *t)
{
    char *sql = t->n_widths ? NULL : sample_sql(s->mem, t);
    struct pgresult *r = sql ? pw_side_rows(s, NULL, sql, 0, NULL) : NULL;
    int col = 0;
    for (size_t k = 0; r && pw_pgresult_rows(r) > 0 && k < t->n_columns; k++)
        if (is_wanted(&t->columns[k]))
            t->columns[k].widths = column_of(s->mem, r, col++);
    if (r) {
        t->n_widths = pw_pgresult_rows(r);
        pw_pgresult_free(r);
    }
}
