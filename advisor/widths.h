/*
 * How wide the values of a table are on disk, one by one: an average hides where the padding to
 * eight bytes falls, and which NULLs meet. A small sample of pages is read; only sizes leave the
 * server. Advisor thread.
 */
#ifndef ADVISOR_WIDTHS_H
#define ADVISOR_WIDTHS_H

#include "advisor/inventory.h"

/* Once per table; where it may not be read, the averages have to do. */
void pw_widths_read(struct side *s, struct inv_table *t);

#endif
