/* room: dispatch */
/* Any bytes as a DEALLOCATE: what is taken for its name is one, and the one that the parser sees.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pg_query.h>

#include "proxy/dispatch/dealloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ORACLE_BYTES = 200 }; /* the parser needs a deep stack for more */

/* The parser's name, when it is such a statement and the name needs no escapes in JSON. */
static char *name_by_parser(const char *sql, char out[DEALLOC_NAME_MAX])
{
    static const char mark[] = "{\"DeallocateStmt\":{\"name\":\"";
    PgQueryParseResult tree = pg_query_parse(sql);
    const char *at = tree.error ? NULL : strstr(tree.parse_tree, mark);
    char *found = NULL;
    if (at && !strstr(at + 1, "{\"stmt\"")) {
        at += sizeof mark - 1;
        size_t len =
            strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789 $");
        if (at[len] == '"' && len < DEALLOC_NAME_MAX) {
            memcpy(out, at, len);
            out[len] = '\0';
            found = out;
        }
    }
    pg_query_free_parse_result(tree);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[DEALLOC_NAME_MAX], oracle[DEALLOC_NAME_MAX], sql[ORACLE_BYTES + 1];
    if (!pw_dealloc_read_name(pw_slice((const char *)data, size), name))
        return 0;
    if (memchr(name, 0, sizeof name) == NULL || !name[0])
        abort();
    if (size > ORACLE_BYTES || memchr(data, 0, size))
        return 0;
    memcpy(sql, data, size);
    sql[size] = '\0';
    if (name_by_parser(sql, oracle) && strcmp(name, oracle) != 0) {
        fprintf(stderr, "read \"%s\", the parser says \"%s\"\n", name, oracle);
        abort();
    }
    return 0;
}
