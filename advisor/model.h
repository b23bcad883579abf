/* Our own cost model for servers without HypoPG: what one table reference would cost through a
 * candidate, from pg_stats. Lower confidence by nature. */
#ifndef ADVISOR_MODEL_H
#define ADVISOR_MODEL_H

#include "advisor/whatif.h"

/* Cost of the statement's plan with the candidates of the mask; used tells which of them matter. */
double pw_model_cost(struct whatif *w, uint32_t query, const struct whatif_mask *m,
                     struct whatif_mask *used);

/* What a candidate that the server cannot imagine (GIN, GiST) saves on a full scan with this cost
 * that returns so many rows, of t: its table or a partition of it; 0 when nothing. */
double pw_model_bitmap_saving(const struct inventory *inv, const struct candidate *c,
                              const struct inv_table *t, double scan_cost, double rows);

/* The same for an index whose keys' selectivity we know something of, by the statement's needs. */
double pw_model_index_saving(const struct inventory *inv, const struct candidate *c,
                             const struct inv_table *t, const struct need_statement *st,
                             double scan_cost);
/* Of a plan with this cost that sorts all rows to return so many nearest ones. */
double pw_model_nearest_saving(const struct inventory *inv, const struct candidate *c,
                               double plan_cost, double rows);

#endif
