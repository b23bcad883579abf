/* Private to the inventory files. */
#ifndef ADVISOR_INVENTORY_LOAD_H
#define ADVISOR_INVENTORY_LOAD_H

#include "advisor/inventory.h"

void pw_inventory_load_indexes(struct inventory *inv, struct side *s);
/* "1 2 3" -> numbers; returns how many. */
int pw_inventory_numbers(const char *text, int *out, int max);

#endif
