/* See sample.h. */
#include "planner/sample.h"

#include <stdlib.h>
#include <string.h>

#include "planner/binary_text.h"
#include "planner/quote.h"
#include "proxy/base/alloc.h"

enum { ONE_VALUE_MAX = 2000 };

/* Settings that plans depend on. */
static const char *const setting_begins[] = {"enable_", "cpu_", "geqo", "parallel_",
                                             "max_parallel_"};
static const char *const setting_names[] = {
    "search_path",
    "work_mem",
    "hash_mem_multiplier",
    "random_page_cost",
    "seq_page_cost",
    "effective_cache_size",
    "effective_io_concurrency",
    "from_collapse_limit",
    "join_collapse_limit",
    "constraint_exclusion",
    "cursor_tuple_fraction",
    "timezone",
    "datestyle",
    "intervalstyle",
    "plan_cache_mode",
    "default_text_search_config",
    "row_security",
    "force_parallel_mode",
};

/* A value as PostgreSQL's text format has it, with a NUL. */
static bool as_text(struct buf *out, uint32_t type, bool is_binary, struct slice v)
{
    if (is_binary)
        return pw_binary_text(out, type, v) && pw_buf_append_u8(out, 0);
    return !(v.len && memchr(v.ptr, 0, v.len)) && pw_buf_append(out, v.ptr, v.len) &&
           pw_buf_append_u8(out, 0);
}

/* B'0a0b': bytes of a type that only the server knows. */
static bool put_bytes(struct buf *values, struct slice v)
{
    bool ok = pw_buf_append_str(values, "B'");
    for (size_t i = 0; ok && i < v.len; i++)
        ok = pw_buf_printf(values, "%02x", (unsigned)(uint8_t)v.ptr[i]);
    return ok && pw_buf_append_u8(values, '\'');
}

bool pw_sample_value(struct buf *types, struct buf *values, uint32_t type, bool is_binary,
                     const struct slice *value)
{
    const char *name = pw_binary_type_name(type); /* of others the server infers what it can */
    struct buf text;
    if (types->len && (!pw_buf_append_str(types, ", ") || !pw_buf_append_str(values, ", ")))
        return false;
    if (!pw_buf_append_str(types, name ? name : "unknown"))
        return false;
    if (!value)
        return pw_buf_append_str(values, "NULL");
    if (!type && is_binary)
        return put_bytes(values, *value);
    pw_buf_init(&text, ONE_VALUE_MAX);
    bool ok = as_text(&text, type, is_binary, *value) && pw_quote_literal(values, text.data);
    pw_buf_free(&text);
    return ok;
}

/* The inverse of pw_quote_literal. Returns where it ended. */
static const char *unquote(const char *at, bool escapes, char *out)
{
    while (*at && (*at != '\'' || at[1] == '\'')) {
        if (*at == '\'' || (escapes && *at == '\\' && at[1]))
            at++;
        *out++ = *at++;
    }
    *out = 0;
    return *at ? at + 1 : at;
}

bool pw_sample_next(const char **list, char **value)
{
    const char *at = *list + strspn(*list, ", ");
    bool escapes = *at == 'E';
    *value = NULL;
    at += escapes;
    if (*at == '\'') {
        *value = pw_alloc(strlen(at) + 1);
        at = unquote(at + 1, escapes, *value);
    } else if (strncmp(at, "NULL", 4) == 0) {
        at += 4;
    } else {
        return false;
    }
    *list = at;
    return true;
}

static unsigned digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* From behind "B'" to behind the closing quote; *at is moved on. */
static bool resolve_bytes(struct buf *out, const char **at, uint32_t type)
{
    struct buf bytes, text;
    pw_buf_init(&bytes, SAMPLE_VALUES_MAX);
    pw_buf_init(&text, ONE_VALUE_MAX);
    const char *p = *at;
    bool ok = true;
    for (; ok && *p && *p != '\''; p += 2)
        ok = p[1] && pw_buf_append_u8(&bytes, (uint8_t)(digit(p[0]) << 4 | digit(p[1])));
    ok = ok && *p && as_text(&text, type, true, pw_slice(bytes.data, bytes.len)) &&
         pw_quote_literal(out, text.data);
    *at = p + 1;
    pw_buf_free(&bytes);
    pw_buf_free(&text);
    return ok;
}

static const char *item(const char *list)
{
    return list + strspn(list, ", ");
}

bool pw_sample_is_resolved(const char *values)
{
    char *value;
    while (pw_sample_next(&values, &value))
        pw_free(value);
    return !*item(values);
}

char *pw_sample_resolve(const char *values, const char *types)
{
    struct buf out;
    char *end = (char *)(uintptr_t)types, *value;
    bool ok = true;
    pw_buf_init(&out, SAMPLE_VALUES_MAX);
    for (const char *at = item(values); ok && *at; at = item(at)) {
        uint32_t type = (uint32_t)strtoul(end, &end, 10);
        const char *begin = at;
        ok = !out.len || pw_buf_append_str(&out, ", ");
        if (ok && at[0] == 'B' && at[1] == '\'') {
            at += 2;
            ok = resolve_bytes(&out, &at, type);
        } else if (ok) {
            ok = pw_sample_next(&at, &value);
            if (ok)
                pw_free(value);
            ok = ok && pw_buf_append(&out, begin, (size_t)(at - begin));
        }
    }
    char *text = ok ? pw_strndup(out.len ? out.data : "", out.len) : NULL;
    pw_buf_free(&out);
    return text;
}

static bool counts_for_plans(const char *name)
{
    bool counts = false;
    for (size_t i = 0; i < PW_COUNT_OF(setting_begins); i++)
        counts = counts || strncmp(name, setting_begins[i], strlen(setting_begins[i])) == 0;
    for (size_t i = 0; i < PW_COUNT_OF(setting_names); i++)
        counts = counts || strcmp(name, setting_names[i]) == 0;
    return counts;
}

bool pw_sample_setting(struct buf *setup, const char *name, const char *value)
{
    return !counts_for_plans(name) ||
           (pw_buf_append_str(setup, "SELECT pg_catalog.set_config(") &&
            pw_quote_literal(setup, name) && pw_buf_append_str(setup, ", ") &&
            pw_quote_literal(setup, value) && pw_buf_append_str(setup, ", true); "));
}

/* Only when we may: what is planned has no code of users in it, so our own role is as good. */
static const char role_sql[] = "SELECT pg_catalog.set_config('role', rolname, true) FROM "
                               "pg_catalog.pg_roles WHERE rolname = ";

bool pw_sample_role(struct buf *setup, const char *role)
{
    return pw_buf_append_str(setup, role_sql) && pw_quote_literal(setup, role) &&
           pw_buf_append_str(setup, " AND rolname <> current_user AND "
                                    "pg_catalog.pg_has_role(session_user, oid, 'MEMBER'); ");
}

char *pw_sample_role_of(const char *setup)
{
    char *role = NULL;
    const char *at = setup ? setup : "";
    if (strncmp(at, role_sql, strlen(role_sql)) == 0) {
        at += strlen(role_sql);
        pw_sample_next(&at, &role);
    }
    return role;
}

/* The settings that a login starts with and SET ROLE leaves alone, the most specific one last:
 * those of the database, of the role, of the role in this database. */
static bool put_login(struct buf *sql, const char *user)
{
    bool ok = pw_buf_append_str(
        sql, "SELECT pg_catalog.set_config(n, v, true) FROM (SELECT pg_catalog.lower("
             "pg_catalog.split_part(c, '=', 1)) AS n, pg_catalog.substr(c, pg_catalog.strpos(c, "
             "'=') + 1) AS v FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(setconfig) c "
             "WHERE setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ");
    ok = ok && pw_quote_literal(sql, user) &&
         pw_buf_append_str(sql, ")) AND setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database "
                                "WHERE datname = pg_catalog.current_database())) "
                                "ORDER BY setrole <> 0, setdatabase <> 0 OFFSET 0) x WHERE n IN (");
    for (size_t i = 0; ok && i < PW_COUNT_OF(setting_names); i++)
        ok = pw_buf_append_str(sql, i ? ", " : "") && pw_quote_literal(sql, setting_names[i]);
    ok = ok && pw_buf_append_str(sql, ")");
    for (size_t i = 0; ok && i < PW_COUNT_OF(setting_begins); i++)
        ok = pw_buf_append_str(sql, " OR pg_catalog.starts_with(n, ") &&
             pw_quote_literal(sql, setting_begins[i]) && pw_buf_append_str(sql, ")");
    return ok && pw_buf_append_str(sql, "; ");
}

bool pw_sample_begin(struct buf *sql, const char *setup)
{
    char *user = pw_sample_role_of(setup);
    bool ok = pw_buf_append_str(sql, "SET LOCAL search_path TO DEFAULT; ") &&
              (!user || put_login(sql, user)) && pw_buf_append_str(sql, setup ? setup : "");
    pw_free(user);
    return ok;
}
