/* See parse.h. */
#include "planner/parse.h"

#include <pg_query.h>

#include "proxy/base/alloc.h"

uint64_t pw_parse_fingerprint(const char *sql)
{
    PgQueryFingerprintResult r = pg_query_fingerprint(sql);
    uint64_t print = r.error ? 0 : r.fingerprint;
    pg_query_free_fingerprint_result(r);
    return print;
}

bool pw_parse(const char *sql, struct parsed *out)
{
    *out = (struct parsed){0};
    PgQueryParseResult tree = pg_query_parse(sql);
    if (!tree.error && tree.parse_tree)
        out->json = pw_strdup(tree.parse_tree);
    pg_query_free_parse_result(tree);
    if (!out->json)
        return false;
    out->fingerprint = pw_parse_fingerprint(sql);
    PgQueryNormalizeResult normal = pg_query_normalize(sql);
    if (!normal.error && normal.normalized_query)
        out->normalized = pw_strdup(normal.normalized_query);
    pg_query_free_normalize_result(normal);
    return true;
}

/* libpg_query 15-4.0.0 forgets an empty string in every call: known, and not to be reported. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define LEAKS(on) ((on) ? __lsan_disable() : __lsan_enable())
#else
#define LEAKS(on) ((void)(on))
#endif

char *pw_parse_plpgsql(const char *sql)
{
    LEAKS(true);
    PgQueryPlpgsqlParseResult r = pg_query_parse_plpgsql(sql);
    LEAKS(false);
    char *json = !r.error && r.plpgsql_funcs ? pw_strdup(r.plpgsql_funcs) : NULL;
    pg_query_free_plpgsql_parse_result(r);
    return json;
}

void pw_parsed_free(struct parsed *p)
{
    PW_FREE(p->json);
    PW_FREE(p->normalized);
}

bool pw_parse_scans(const char *sql)
{
    PgQueryScanResult r = pg_query_scan(sql);
    bool ok = !r.error;
    pg_query_free_scan_result(r);
    return ok;
}
