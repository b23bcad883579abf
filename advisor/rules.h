/* The rules over the inventory; each adds advice (and what it refused) to the run's set. Advisor
 * thread. */
#ifndef ADVISOR_RULES_H
#define ADVISOR_RULES_H

#include "advisor/run.h"

/* In this order: later rules respect what earlier ones decided. */
void pw_rules_invalid(struct advice_run *r);
void pw_rules_redundant(struct advice_run *r);
void pw_rules_unused(struct advice_run *r);
void pw_rules_fk(struct advice_run *r);
void pw_rules_bloat(struct advice_run *r);

/* On command only: these two look at the workload's statements. The first executes reads, the
 * second calls of functions whose bodies are inert (in READ ONLY transactions, with time limits).
 */
void pw_rules_jit(struct advice_run *r);
void pw_rules_functions(struct advice_run *r);
/* Where an estimate is off and statistics would help. */
void pw_rules_statistics(struct advice_run *r);

/* Is b redundant to a by the exact rule? why_not (may be NULL) gets the reason when it is nearly
 * so. */
bool pw_index_redundant(const struct inv_index *b, const struct inv_index *a, const char **why_not);
/* Can x serve the foreign key's checks on the referencing side? */
bool pw_index_serves_fk(const struct inv_index *x, const struct inv_fk *f);
/* Constraint, unique, replica identity, ...: NULL when x may be dropped, else why not. */
const char *pw_index_untouchable(const struct inv_index *x);
/* Size of a fresh build; false (and why) when statistics are missing. */
struct bt_size;
bool pw_index_fresh_size(const struct inventory *inv, const struct inv_index *x,
                         struct bt_size *out, const char **why_not);
/* "DROP INDEX CONCURRENTLY s.i;" (plain DROP for a partitioned parent). */
char *pw_index_drop_sql(struct arena *mem, const struct inv_index *x);
/* The definition again, CONCURRENTLY, ending in ';'. */
char *pw_index_create_sql(struct arena *mem, const struct inv_index *x);
void pw_index_columns(struct advice_set *s, struct advice *a, const struct inv_index *x);

#endif
