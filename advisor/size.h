/* From the catalog's statistics to the arithmetic of btsize.h. */
#ifndef ADVISOR_SIZE_H
#define ADVISOR_SIZE_H

#include "advisor/btsize.h"
#include "advisor/inventory.h"

/* rows: of the index. partial: the statistics are those of the whole table, so frequencies do not
 * apply. */
void pw_size_column(struct bt_column *out, const struct inv_column *c, double rows, bool partial);
/* Would this existing index's keys be deduplicated in a fresh build? */
bool pw_size_may_dedup(const struct inv_index *x);
/* Would keys of this column's type, by its default operator class? */
bool pw_size_type_may_dedup(const struct inv_column *c);
/* "{0.1,0.05}" -> numbers; returns how many. */
int pw_size_numbers(const char *array, double *out, int max);

#endif
