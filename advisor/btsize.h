/*
 * How large a freshly built btree is: pages of leaves, inner pages and the meta page, with and
 * without deduplication, from column statistics. Pure arithmetic; used for sizes of proposed
 * indexes (HypoPG's are 1.2 to 4.5 times too large) and for bloat (real size against the fresh
 * one).
 */
#ifndef ADVISOR_BTSIZE_H
#define ADVISOR_BTSIZE_H

#include <stdbool.h>
#include <stddef.h>

#define PW_BT_COLUMNS 32
#define PW_BT_MCV     100

struct bt_column {
    double width;               /* average bytes, NULLs not counted */
    int align;                  /* 1, 2, 4, 8 */
    double null_frac, distinct; /* distinct: a count */
    double mcf[PW_BT_MCV];      /* frequencies of the most common values */
    int n_mcf;
};

struct bt_shape {
    double block_size, fillfactor, rows;
    struct bt_column columns[PW_BT_COLUMNS];
    int n_columns;
    bool dedup;      /* allowed at all: see pw_btree_may_dedup in bloat.c */
    double distinct; /* of all columns together, when known; 0: the product, at most rows */
};

struct bt_size {
    double bytes, pages;             /* with deduplication where allowed */
    double plain_bytes, plain_pages; /* without */
    int height;                      /* levels above the leaves */
    double density;                  /* share of leaf bytes used; informative */
};

void pw_btree_size(const struct bt_shape *shape, struct bt_size *out);

#endif
