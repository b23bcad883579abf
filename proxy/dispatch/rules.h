/* cache.rules: which rule of the configuration a family falls under. The worker's; answers are
 * remembered per family. */
#ifndef PROXY_DISPATCH_RULES_H
#define PROXY_DISPATCH_RULES_H

#include "conf/conf.h"
#include "planner/planner.h"

struct rules;

struct rules *
pw_rules_new(const struct pw_conf *conf); /* borrows conf's rules: make anew on reload */
void pw_rules_free(struct rules *r);      /* NULL is allowed */
/* The first rule that matches the plan, or NULL. A hint in the statement is stronger: the caller
 * looks there first. */
const struct conf_cache_rule *pw_rules_find(struct rules *r, const struct plan_context *ctx,
                                            const struct plan *plan);

#endif
