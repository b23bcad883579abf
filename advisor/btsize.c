/* See btsize.h. The numbers follow nbtree's page layout (nbtsort.c, nbtdedup.c). */
#include "advisor/btsize.h"

#include <math.h>

#define PAGE_OVERHEAD 40.0 /* page header 24 + btree special area 16 */
#define ITEM_ID       4.0
#define INNER_FILL    0.70

static double align8(double v)
{
    return 8 * ceil(v / 8);
}

/* Average bytes of one index tuple: the header, a null bitmap where there is one, aligned columns.
 */
static double tuple_bytes(const struct bt_shape *s)
{
    double data = 0, all_present = 1;
    for (int k = 0; k < s->n_columns; k++) {
        const struct bt_column *c = &s->columns[k];
        if (c->align > 1 && c->null_frac < 1)
            data = c->align * ceil(data / c->align);
        data += c->width * (1 - c->null_frac);
        all_present *= 1 - c->null_frac;
    }
    double without = align8(8 + data);
    /* index_form_tuple aligns the header with its bitmap (4 bytes for up to 32 columns) to 8. */
    double with = align8(align8(8 + 4) + data);
    return all_present * without + (1 - all_present) * with;
}

/* Bytes a run of `n` equal keys takes as posting lists. */
static double run_bytes(double n, double base, double most)
{
    double full = floor(n / most), rest = n - full * most;
    double bytes = full * (align8(base + 6 * most) + ITEM_ID);
    if (rest >= 2)
        bytes += align8(base + 6 * rest) + ITEM_ID;
    else
        bytes += rest * (base + ITEM_ID);
    return bytes;
}

/* Runs of equal keys: NULLs, most common values and the rest of the first column, split by the
 * others. */
static double dedup_bytes(const struct bt_shape *s, double base)
{
    double most_bytes = floor(s->block_size * 0.10 / 8) * 8 - ITEM_ID;
    double most = fmax(2, floor(4 * floor((most_bytes - base) / 8) / 3));
    if (most_bytes <= base + 16)
        return s->rows * (base + ITEM_ID);
    if (s->n_columns == 1) {
        const struct bt_column *c = &s->columns[0];
        double nulls = s->rows * c->null_frac, left = s->rows - nulls, bytes = 0;
        if (nulls > 0)
            bytes += run_bytes(nulls, base, most);
        for (int k = 0; k < c->n_mcf; k++) {
            double n = fmin(left, s->rows * c->mcf[k]);
            bytes += run_bytes(n, base, most);
            left -= n;
        }
        double others = fmax(1, c->distinct - c->n_mcf);
        if (left > 0)
            bytes +=
                others * run_bytes(left / fmin(others, left), base, most) * fmin(1, left / others);
        return bytes;
    }
    double groups = s->distinct;
    if (groups <= 0) {
        groups = 1;
        for (int k = 0; k < s->n_columns; k++)
            groups *= fmax(1, s->columns[k].distinct + (s->columns[k].null_frac > 0 ? 1 : 0));
    }
    groups = fmax(1, fmin(groups, s->rows));
    return groups * run_bytes(s->rows / groups, base, most);
}

static double all_pages(const struct bt_shape *s, double leaf_bytes, double base, int *height)
{
    double cap = s->block_size - PAGE_OVERHEAD - s->block_size * (100 - s->fillfactor) / 100;
    double per_page = floor(cap / (base + ITEM_ID)) * (base + ITEM_ID);
    if (leaf_bytes == s->rows * (base + ITEM_ID) && per_page > 0)
        cap = per_page; /* equal tuples: the rest of a page stays empty */
    double level = ceil(fmax(1, leaf_bytes / cap)), pages = level;
    double fanout = fmax(2, floor((s->block_size - PAGE_OVERHEAD) * INNER_FILL / (base + ITEM_ID)));
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
    double base = tuple_bytes(s), plain = s->rows * (base + ITEM_ID), used = plain;
    if (s->dedup && s->rows > 0)
        used = fmin(plain, dedup_bytes(s, base));
    int ignored;
    out->plain_pages = all_pages(s, plain, base, &ignored);
    out->pages = all_pages(s, used, base, &out->height);
    out->plain_bytes = out->plain_pages * s->block_size;
    out->bytes = out->pages * s->block_size;
    out->density = s->fillfactor / 100;
}
