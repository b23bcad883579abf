/* The questions whose answers make a catalog (catalog_build.h), asked in one read-only transaction.
 * Names in pg_catalog need no prefix: the connection's search_path is pg_catalog. Works from
 * PostgreSQL 11 on. */
#include "planner/catalog_build.h"

#include "proxy/base/attrs.h"
#include "proxy/base/check.h"

#define USER_SCHEMAS                                                                               \
    "(SELECT oid FROM pg_namespace WHERE nspname NOT IN ('pg_catalog', 'information_schema') "     \
    "AND nspname !~ '^pg_(toast|temp)')"
/* What a function written in a language says of itself is believed only after a look into its body,
 * which nobody has when it is called through an aggregate or a cast. */
#define BELIEVED(p)                                                                                \
    "CASE WHEN " p ".provolatile = 'i' AND " p ".oid >= 16384 AND " p ".prolang NOT IN "           \
    "(SELECT oid FROM pg_language WHERE lanname IN ('internal', 'c')) THEN 's' "                   \
    "ELSE " p ".provolatile::text END"
#define AGGREGATE_PARTS                                                                            \
    "FROM pg_aggregate a JOIN pg_proc w ON w.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, " \
    "a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn) "             \
    "WHERE a.aggfnoid = p.oid"
/* Effective: an aggregate itself is always called immutable. */
#define VOLATILITY                                                                                 \
    "coalesce((SELECT max(" BELIEVED("w") ") " AGGREGATE_PARTS "), p.provolatile::text)"
/* An aggregate's are calls of its parts; of SQL in the standard's form only the tree is kept. */
#define SOURCE                                                                                     \
    "CASE WHEN p.oid < 16384 THEN NULL WHEN p.prokind = 'a' THEN (SELECT string_agg("              \
    "quote_ident(w.proname) || '()', ' ; ' ORDER BY w.oid) " AGGREGATE_PARTS                       \
    " AND w.oid >= 16384) WHEN l.lanname = 'sql' AND prosrc = '' THEN "                            \
    "substring(pg_get_functiondef(p.oid) from '(?:BEGIN ATOMIC|RETURN ).*') "                      \
    "WHEN l.lanname IN ('sql', 'plpgsql') AND length(prosrc) < 32000 THEN prosrc END"
/* A string, or an array of strings: cast to a date (or to dates) it is read like a literal. */
#define IS_TEXT(t)                                                                                 \
    "(" t ".typcategory IN ('S', 'X') OR " t ".typcategory = 'A' AND coalesce((SELECT "            \
    "e.typcategory FROM pg_type e WHERE e.oid = " t ".typelem), 'S') IN ('S', 'X', 'P'))"

static const char *const parts[CATALOG_PARTS] = {
    /* 0 schemas */
    "SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)' ORDER BY oid",
    /* 1 paths: the last row is the server's default, unless our own role has a path of its own */
    "SELECT coalesce(r.rolname, ''), (s.setdatabase <> 0)::int, substr(c, 13) "
    "FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(setconfig) c "
    "WHERE c LIKE 'search\\_path=%' AND s.setdatabase IN "
    "(0, (SELECT oid FROM pg_database WHERE datname = current_database())) "
    "UNION ALL SELECT '', 0, reset_val FROM pg_settings WHERE name = 'search_path' AND NOT EXISTS "
    "(SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole, unnest(setconfig) c "
    "WHERE r.rolname = session_user AND c LIKE 'search\\_path=%') ORDER BY 1, 2, 3",
    /* 2 relations */
    "SELECT c.oid, c.relnamespace, c.relname, c.relkind, (c.relpersistence = 't')::int, "
    "(c.oid < 16384 OR n.nspname IN ('pg_catalog', 'information_schema'))::int, "
    "c.relrowsecurity::int, c.relhasrules::int, "
    "CASE WHEN c.relkind = 'v' AND c.oid >= 16384 THEN pg_get_viewdef(c.oid) END, "
    "CASE WHEN c.oid >= 16384 THEN concat_ws(' ; ', "
    "(SELECT string_agg(pg_get_expr(adbin, adrelid), ' ; ' ORDER BY adnum) FROM pg_attrdef "
    "WHERE adrelid = c.oid), "
    "(SELECT string_agg(pg_get_constraintdef(k.oid), ' ; ' ORDER BY k.oid) FROM pg_constraint k "
    "WHERE k.conrelid = c.oid AND k.contype = 'c'), "
    "(SELECT string_agg(substring(pg_get_triggerdef(g.oid) from 'WHEN \\((.*)\\) EXECUTE '), ' ; ' "
    "ORDER BY g.oid) FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgqual "
    "IS NOT NULL), "
    "(SELECT string_agg(concat_ws(' ; ', pg_get_expr(polqual, polrelid), "
    "pg_get_expr(polwithcheck, polrelid)), ' ; ' ORDER BY oid) FROM pg_policy WHERE polrelid = "
    "c.oid)) END, "
    "(EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attidentity <> ''))::int, "
    "c.relacl::text " /* for the digest */
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_(toast|temp)' "
    "ORDER BY c.oid",
    /* 3 columns */
    "SELECT a.attrelid, a.attname, " IS_TEXT(
        "t") "::int, "
             "(t.oid IN (1266, 1270))::int, t.oid, a.attnum, (a.atttypmod <> -1)::int, "
             "(a.attcollation = 0 OR NOT EXISTS (SELECT FROM pg_collation k WHERE k.oid = "
             "a.attcollation "
             "AND (to_jsonb(k)->>'collisdeterministic') = 'false'))::int, concat(a.atttypmod, ' ', "
             "a.attacl) FROM pg_attribute a "
             "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid "
             "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped "
             "AND c.relnamespace IN " USER_SCHEMAS " ORDER BY a.attrelid, a.attnum",
    /* 4 inheritance */
    "SELECT inhparent, inhrelid FROM pg_inherits ORDER BY 1, 2",
    /* 5 foreign keys that act */
    "SELECT DISTINCT confrelid, conrelid FROM pg_constraint WHERE contype = 'f' AND "
    "(confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')) ORDER BY 1, 2",
    /* 6 types: 0 unsafe, 1 safe, 2 like a date */
    "SELECT t.oid, t.typnamespace, t.typname, CASE "
    "WHEN t.oid IN (1082, 1083, 1114, 1184, 1186, 1182, 1183, 1115, 1185, 1187) THEN 2 "
    "WHEN t.oid IN (790, 791) OR t.typtype = 'e' THEN 1 "
    "WHEN t.typtype IN ('r', 'm') THEN CASE WHEN t.oid < 16384 THEN 2 ELSE 0 END "
    "WHEN t.typtype <> 'b' THEN 0 "
    "WHEN i.provolatile = 'i' THEN 1 "
    "WHEN t.typelem <> 0 AND i.proname = 'array_in' AND (e.typtype = 'e' OR "
    "(e.typtype = 'b' AND ei.provolatile = 'i')) THEN 1 ELSE 0 END, " IS_TEXT(
        "t") "::int "
             "FROM pg_type t JOIN pg_proc i ON i.oid = t.typinput LEFT JOIN pg_type e ON e.oid = "
             "t.typelem "
             "LEFT JOIN pg_proc ei ON ei.oid = e.typinput "
             "WHERE t.typtype <> 'c' OR t.typnamespace IN " USER_SCHEMAS " ORDER BY t.oid",
    /* 7 functions */
    "SELECT p.oid, p.pronamespace, p.proname, " VOLATILITY ", "
    "CASE WHEN p.oid < 16384 THEN 'internal' ELSE l.lanname END, "
    "(p.pronargs - p.pronargdefaults <= 1 AND p.pronargs >= 1 AND (a.typtype = 'c' OR "
    "a.oid IN (2249, 2276, 2283, 2776, 5077, 5079)))::int, "
    "((" IS_TEXT(
        "r") " OR r.typcategory = 'P') AND p.prorettype <> 2278)::int, " SOURCE ", "
             "CASE WHEN p.oid >= 16384 AND l.lanname = 'plpgsql' AND p.prokind = 'f' "
             "THEN format('(%s) RETURNS %s', pg_get_function_arguments(p.oid), "
             "pg_get_function_result(p.oid)) END, "
             "CASE WHEN p.oid >= 16384 AND p.pronargdefaults > 0 THEN "
             "pg_get_expr(p.proargdefaults, 0) END, "
             "(p.oid >= 16384 AND EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) u JOIN pg_type "
             "g ON g.oid "
             "= u WHERE g.typcategory NOT IN ('N', 'B', 'D', 'T', 'E', 'I', 'G', 'V')))::int, "
             "(l.lanname <> 'plpgsql' OR r.typcategory IN ('N', 'B', 'S', 'E'))::int "
             "FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_type r ON r.oid = "
             "p.prorettype "
             "LEFT JOIN pg_type a ON a.oid = p.proargtypes[0] ORDER BY p.oid",
    /* 8 operators */
    "SELECT o.oid, o.oprnamespace, o.oprname, p.provolatile, (" IS_TEXT(
        "r") " OR "
             "r.typcategory = 'P')::int, CASE WHEN p.oid < 16384 THEN p.proname ELSE '' END, "
             "(o.oprleft < 16384 OR o.oprright < 16384)::int, p.oid FROM pg_operator o JOIN "
             "pg_proc p ON p.oid "
             "= o.oprcode "
             "JOIN pg_type r ON r.oid = o.oprresult ORDER BY o.oid",
    /* 9 triggers */
    "SELECT tgrelid, tgfoid FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D' ORDER BY "
    "1, 2",
    /* 10 what is called without being named: casts by something else than an immutable function;
     * checks of domains and those casts; event triggers; is anybody serializable by default? */
    "SELECT (SELECT count(*) FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc "
    "WHERE c.oid >= 16384 AND " BELIEVED(
        "p") " <> 'i'), concat_ws(' ; ', "
             "(SELECT string_agg(pg_get_constraintdef(k.oid), ' ; ' ORDER BY k.oid) FROM "
             "pg_constraint k "
             "WHERE k.contypid <> 0 AND k.oid >= 16384), (SELECT string_agg(quote_ident(p.proname) "
             "|| '()', "
             "' ; ' ORDER BY c.oid) FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc WHERE "
             "c.oid >= 16384 "
             "AND " BELIEVED(
                 "p") " <> 'i')), (SELECT count(*) FROM pg_event_trigger WHERE evtenabled "
                      "<> 'D'), "
                      "(SELECT count(*) FROM (SELECT unnest(setconfig) FROM pg_db_role_setting "
                      "UNION ALL "
                      "SELECT name || "
                      "'=' || reset_val FROM pg_settings WHERE name = "
                      "'default_transaction_isolation') s(v) "
                      "WHERE "
                      "lower(v) = 'default_transaction_isolation=serializable')",
    /* 11 rights and indexes, for the digest only */
    "SELECT (SELECT string_agg(concat_ws(' ', oid, rolname, rolsuper, rolinherit, rolbypassrls), "
    "',' ORDER BY oid) "
    "FROM pg_roles), (SELECT string_agg(concat_ws(' ', roleid, member), ',' ORDER BY roleid, "
    "member) "
    "FROM pg_auth_members), (SELECT string_agg(concat_ws(' ', oid, nspacl), ',' ORDER BY oid) FROM "
    "pg_namespace "
    "WHERE nspname !~ '^pg_(toast|temp)'), (SELECT string_agg(concat_ws(' ', oid, polname, polcmd, "
    "polroles), ',' "
    "ORDER BY oid) FROM pg_policy), (SELECT md5(string_agg(concat_ws(' ', indexrelid, indrelid, "
    "indisvalid, indkey), ',' ORDER BY indexrelid)) FROM pg_index WHERE indrelid >= 16384)",
    /* 12 keys: unique, whole, of plain columns, checked at once */
    "SELECT i.indrelid, i.indexrelid, i.indisprimary::int, "
    "array_to_string((i.indkey::int2[])[0:i.indnkeyatts - 1], ' ') FROM pg_index i "
    "WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL "
    "AND i.indexprs IS NULL AND i.indrelid >= 16384 AND NOT EXISTS (SELECT FROM pg_attribute a "
    "WHERE a.attrelid = i.indexrelid AND coalesce((SELECT to_jsonb(g)->>'attgenerated' FROM "
    "pg_attribute g WHERE g.attrelid = i.indrelid AND g.attnum = i.indkey[a.attnum - 1]), '') <> "
    "'') "
    "ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid",
};

const char *pw_catalog_part_sql(int part)
{
    PW_CHECK(part >= 0 && part < CATALOG_PARTS);
    return parts[part];
}
