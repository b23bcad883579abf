/* Building a catalog from the answers to the queries of catalog_build.c, one part after the other,
 * in order. The thread that asks (control); nothing is shared before pw_catalog_build_finish. */
#ifndef PLANNER_CATALOG_BUILD_H
#define PLANNER_CATALOG_BUILD_H

#include <stdbool.h>

#include "planner/catalog.h"

struct pgresult;
struct catalog_builder;

enum { CATALOG_PARTS = 13 };
const char *pw_catalog_part_sql(int part);

struct catalog_builder *pw_catalog_build_new(void);
bool pw_catalog_build_part(struct catalog_builder *b, int part, const struct pgresult *r);
/* After the last part: the defaults of search_path that sessions of before may still have. before
 * may be NULL. */
bool pw_catalog_build_remember(struct catalog_builder *b, const struct catalog *before);
struct catalog *pw_catalog_build_finish(struct catalog_builder *b); /* one reference; b is gone */
void pw_catalog_build_free(struct catalog_builder *b); /* instead of finish; NULL is allowed */

#endif
