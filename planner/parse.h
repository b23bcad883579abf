/* libpg_query behind one door: the only user of pg_query.h. Analysis thread only (DESIGN rule 9):
 * needs a large stack, and leaks one pthread key per thread that ever parses. */
#ifndef PLANNER_PARSE_H
#define PLANNER_PARSE_H

#include <stdbool.h>
#include <stdint.h>

struct parsed {
    char *json;       /* OWN; the parse tree, NULL when it did not parse */
    char *normalized; /* OWN; constants as $n, NULL when it did not parse */
    uint64_t fingerprint;
};
bool pw_parse(const char *sql, struct parsed *out); /* false: not parsed; out is empty */
void pw_parsed_free(struct parsed *p);
/* CREATE FUNCTION ... LANGUAGE plpgsql ... -> its statements as JSON; OWN, NULL when not parsed. It
 * loses a few dozen bytes a call: not for every statement. */
char *pw_parse_plpgsql(const char *sql);
uint64_t pw_parse_fingerprint(const char *sql); /* 0: not parsed */
/* The scanner alone says this is a sequence of tokens (the oracle of the template's tests). */
bool pw_parse_scans(const char *sql);

#endif
