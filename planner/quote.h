/* SQL identifiers as PostgreSQL's quote_identifier writes them (search_path lists, our own
 * statements). */
#ifndef PLANNER_QUOTE_H
#define PLANNER_QUOTE_H

#include <stdbool.h>

#include "proxy/base/buf.h"

bool pw_quote_identifier(struct buf *out, const char *name);
bool pw_quote_literal(struct buf *out, const char *text);

#endif
