/* See btsize.h. The numbers follow nbtree's page layout (nbtsort.c, nbtdedup.c, nbtutils.c). */
#include "advisor/btsize.h"

#include <math.h>

#define PAGE_OVERHEAD 40.0 /* page header 24 + btree special area 16 */
#define ITEM_ID       4.0
#define HEAP_TID      8.0 /* room that a page keeps for one in its high key */
#define INNER_FREE    0.30
#define TID           6.0
#define LOOKED_AT     512  /* rows that stand for all of them */
#define ITEMS_MAX     6000 /* filled into pages to see how full those get */
#define FEW           8.0  /* rows per value: their number varies as if drawn */

static double align8(double v)
{
    return 8 * ceil(v / 8);
}

/* ---- one tuple ---- */

/* Without a sample: NULLs as often as the statistics say, of each column by itself (the golden
 * ratio's multiples are spread evenly, and those of different columns independently). */
static bool is_null(const struct bt_column *c, int column, int row)
{
    if (c->widths)
        return c->widths[row] == PW_BT_NULL;
    double whole, x = modf(0.6180339887 * (row + 1) * (1 + column * 0.7548776662), &whole);
    return x < c->null_frac;
}

/* The first n columns of one row: header, a null bitmap where there is a NULL, aligned columns. */
static double tuple_bytes(const struct bt_shape *s, int n, int row)
{
    double data = 0;
    bool has_null = false;
    for (int k = 0; k < n; k++) {
        const struct bt_column *c = &s->columns[k];
        if (is_null(c, k, row)) {
            has_null = true;
            continue;
        }
        double width = c->widths && c->varlena ? c->widths[row] : c->width;
        if (!c->varlena || width > 127)
            data = c->align * ceil(data / c->align);
        data += width;
    }
    /* index_form_tuple aligns the header with its bitmap (4 bytes for up to 32 columns) to 8. */
    return align8((has_null ? align8(8 + 4) : 8) + data);
}

static int rows_of(const struct bt_shape *s)
{
    return s->n_sample > 0 ? s->n_sample : LOOKED_AT;
}

/* ---- filling pages ---- */

/* Items in the order of the index: the bytes they take, and how full pages of them get. */
struct filling {
    double block_size, free; /* free: what the fill factor leaves of each page */
    double on_page, n_on_page, last, last_tids;
    double bytes, pages; /* of those looked at; complete pages only */
};

/* As _bt_buildadd does it: a page is closed before the item that does not fit; its last item
 * becomes the first of the next one, and stays as a high key without its list of TIDs. */
static void fill(struct filling *f, double size, double tids)
{
    double item = size + ITEM_ID;
    double left = f->block_size - PAGE_OVERHEAD - 2 * ITEM_ID - f->on_page;
    if (f->n_on_page > 1 && (left < size + HEAP_TID || left + f->last_tids < f->free)) {
        f->bytes += f->on_page - f->last;
        f->pages++;
        f->on_page = f->last;
        f->n_on_page = 1;
    }
    f->on_page += item;
    f->n_on_page++;
    f->last = item;
    f->last_tids = tids;
}

/* Bytes of items per page, once pages are many; on the only page, all of them. */
static double per_page(const struct filling *f)
{
    return f->pages > 0 ? f->bytes / f->pages : f->on_page;
}

static struct filling leaves(const struct bt_shape *s)
{
    return (struct filling){.block_size = s->block_size,
                            .free = floor(s->block_size * (100 - s->fillfactor) / 100)};
}

/* ---- runs of equal keys ---- */

/* What is collected of the runs of an index: all their bytes, and the items of a part of them. */
struct runs {
    const struct bt_shape *s;
    struct filling f;
    double bytes, items; /* of all */
    double share;        /* of items that are filled into pages */
    double owed_items;
    double most; /* bytes of a posting list, at most */
    int row;     /* of the sample that comes next */
};

static void add_items(struct runs *r, double n, double size, double tids)
{
    r->bytes += n * (size + ITEM_ID);
    r->items += n;
    r->owed_items += n * r->share;
    for (; r->owed_items >= 1; r->owed_items--)
        fill(&r->f, size, tids);
}

/* n rows of one key whose tuple takes `base` bytes; `times` such runs. */
static void add_run(struct runs *r, double n, double base, double times)
{
    double most = floor((align8(r->most - 7) - base) / TID);
    double full = most >= 2 ? floor(n / most) : 0, rest = n - full * most;
    if (full > 0)
        add_items(r, times * full, align8(base + TID * most), TID * most);
    if (most >= 2 && rest >= 2)
        add_items(r, times, align8(base + TID * rest), TID * rest);
    else if (rest > 0)
        add_items(r, times * rest, base, 0);
}

static bool all_null(const struct bt_shape *s, int row)
{
    bool all = true;
    for (int k = 0; all && k < s->n_keys; k++)
        all = is_null(&s->columns[k], k, row);
    return all;
}

/* Of a row whose keys are not all NULL. */
static double next_base(struct runs *r)
{
    int n = rows_of(r->s);
    for (int k = 0; k < n && all_null(r->s, r->row); k++)
        r->row = (r->row + 1) % n;
    double base = tuple_bytes(r->s, r->s->n_columns, r->row);
    r->row = (r->row + 1) % n;
    return base;
}

/* Values with so few rows each that their numbers vary: as when rows draw their values. */
static void add_drawn(struct runs *r, double rows, double values)
{
    double mean = rows / values,
           lambda = mean; /* zero-truncated: lambda / (1 - e^-lambda) = mean */
    for (int k = 0; k < 200; k++)
        lambda = mean * (1 - exp(-lambda));
    double p = lambda / fmax(expm1(lambda), 1e-9); /* of one row */
    if (mean < 1.000001)
        p = 1;
    for (int n = 1; n <= 40; n++) {
        double times = values * p;
        int pieces = (int)fmin(rows_of(r->s), fmax(1, times)); /* so that many widths take part */
        for (int k = 0; times > 0 && k < pieces; k++)
            add_run(r, n, next_base(r), times / pieces);
        p *= lambda / (n + 1);
        if (mean < 1.000001)
            break;
    }
}

static void add_values(struct runs *r, double rows, double values)
{
    values = fmax(1, fmin(values, rows));
    if (rows < 1)
        return;
    if (rows / values < FEW) {
        add_drawn(r, rows, values);
        return;
    }
    int pieces = (int)fmin(values, rows_of(r->s));
    double n = floor(rows / values), one_more = rows / values - n;
    for (int k = 0; k < pieces; k++) {
        double base = next_base(r);
        add_run(r, n, base, values / pieces * (1 - one_more));
        add_run(r, n + 1, base, values / pieces * one_more);
    }
}

/* Share of rows whose keys are all NULL: they are one run. */
static double nulls_of(const struct bt_shape *s)
{
    double n = 0;
    for (int row = 0; row < rows_of(s); row++)
        n += all_null(s, row);
    return s->n_keys == 1 ? s->columns[0].null_frac : n / rows_of(s);
}

/* Runs of equal keys: NULLs, the most common values of a lone column, the rest. */
static void add_runs(struct runs *r)
{
    const struct bt_shape *s = r->s;
    double nulls = s->rows * nulls_of(s), left = s->rows - nulls, values = 1;
    if (nulls >= 1)
        add_run(r, nulls, align8(8 + 4), 1);
    for (int k = 0; k < s->n_keys; k++)
        values *= fmax(1, s->columns[k].distinct + (s->n_keys > 1 && s->columns[k].null_frac > 0));
    if (s->n_keys == 1) {
        const struct bt_column *c = &s->columns[0];
        for (int k = 0; k < c->n_mcf; k++) {
            double n = fmin(left, s->rows * c->mcf[k]);
            add_run(r, n, next_base(r), 1);
            left -= n;
        }
        values = fmax(1, values - c->n_mcf);
    }
    add_values(r, left, values);
}

static double plain_bytes(const struct bt_shape *s, struct filling *f)
{
    int n = rows_of(s), looked_at = (int)fmin(fmax(s->rows, 1), fmax(ITEMS_MAX, n));
    double sum = 0;
    for (int k = 0; k < looked_at; k++) {
        double size = tuple_bytes(s, s->n_columns, k % n);
        fill(f, size, 0);
        sum += size + ITEM_ID;
    }
    return s->rows * sum / looked_at;
}

/* Twice: to know how many items there are, and to look at so many of them. */
static double dedup_bytes(const struct bt_shape *s, struct filling *f)
{
    double most = floor(s->block_size * 0.10 / 8) * 8 - ITEM_ID;
    struct runs all = {.s = s, .most = most};
    add_runs(&all);
    struct runs some = {.s = s, .f = *f, .most = most, .share = fmin(1, ITEMS_MAX / all.items)};
    add_runs(&some);
    *f = some.f;
    return all.bytes;
}

/* ---- the levels above ---- */

/* A pivot keeps the columns that tell neighbours apart, and the TID where none does. */
static double pivot_bytes(const struct bt_shape *s)
{
    double values = 1, sum = 0;
    int kept = 0, n = rows_of(s) < 64 ? rows_of(s) : 64;
    while (kept < s->n_keys && values < 0.5 * s->rows)
        values *= fmax(1, s->columns[kept++].distinct);
    for (int row = 0; row < n; row++)
        sum += tuple_bytes(s, kept, row);
    return sum / n + (values < 0.5 * s->rows ? HEAP_TID : 0);
}

static double all_pages(const struct bt_shape *s, double bytes, const struct filling *f,
                        int *height)
{
    double level = ceil(fmax(1, bytes / fmax(per_page(f), 1))), pages = level;
    double room = s->block_size - PAGE_OVERHEAD - 2 * ITEM_ID - floor(s->block_size * INNER_FREE);
    double fanout = fmax(2, floor(room / (pivot_bytes(s) + ITEM_ID)));
    *height = 0;
    while (level > 1) {
        level = ceil(level / fanout);
        pages += level;
        (*height)++;
    }
    return pages + 1;
}

void pw_btree_size(const struct bt_shape *s, struct bt_size *out)
{
    struct filling plain = leaves(s), dense = leaves(s);
    double bytes = plain_bytes(s, &plain);
    out->plain_pages = all_pages(s, bytes, &plain, &out->height);
    out->pages = out->plain_pages;
    if (s->dedup && s->rows > 0) {
        bytes = dedup_bytes(s, &dense);
        out->pages = all_pages(s, bytes, &dense, &out->height);
    }
    out->plain_bytes = out->plain_pages * s->block_size;
    out->bytes = out->pages * s->block_size;
}
