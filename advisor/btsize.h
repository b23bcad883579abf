/*
 * How large a freshly built btree is: leaves, inner pages and the meta page, with and without
 * deduplication, from column statistics and, where there is one, a sample of the widths of the
 * values. Pages are filled as nbtsort.c fills them. Pure arithmetic; used for sizes of proposed
 * indexes (HypoPG's are 1.2 to 4.5 times too large) and for bloat (real size against the fresh
 * one).
 */
#ifndef ADVISOR_BTSIZE_H
#define ADVISOR_BTSIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_BT_COLUMNS 32
#define PW_BT_MCV     100
#define PW_BT_NULL    UINT16_MAX

struct bt_column {
    double width;               /* average bytes, NULLs not counted */
    int align;                  /* 1, 2, 4, 8; of a varlena: with a long header */
    bool varlena;               /* up to 127 bytes it has a short header and is not aligned */
    const uint16_t *widths;     /* BORROW: of n_sample rows, PW_BT_NULL; or NULL */
    double null_frac, distinct; /* distinct: a count */
    double mcf[PW_BT_MCV];      /* frequencies of the most common values */
    int n_mcf;
};

struct bt_shape {
    double block_size, fillfactor, rows;
    struct bt_column columns[PW_BT_COLUMNS];
    int n_columns, n_keys; /* keys come first, then INCLUDE columns */
    int n_sample;          /* rows that the columns' widths are of */
    bool dedup;            /* allowed at all: see pw_size_may_dedup */
};

struct bt_size {
    double bytes, pages;             /* with deduplication where allowed */
    double plain_bytes, plain_pages; /* without */
    int height;                      /* levels above the leaves */
};

void pw_btree_size(const struct bt_shape *shape, struct bt_size *out);

#endif
