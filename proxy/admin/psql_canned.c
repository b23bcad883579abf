#include "proxy/admin/psql_canned.h"

#include <string.h>

#include "proxy/admin/parse.h"
#include "proxy/admin/psql_front.h"
#include "proxy/base/num.h"

static const struct {
    const char *words; /* the first words of the statement */
    const char *tag;
    char status;
} tags[] = {
    {"BEGIN", "BEGIN", 'T'},        {"START TRANSACTION", "START TRANSACTION", 'T'},
    {"COMMIT", "COMMIT", 'I'},      {"END", "COMMIT", 'I'},
    {"ROLLBACK TO", "ROLLBACK", 0}, {"ROLLBACK", "ROLLBACK", 'I'},
    {"ABORT", "ROLLBACK", 'I'},     {"SAVEPOINT", "SAVEPOINT", 0},
    {"RELEASE", "RELEASE", 0},      {"RESET", "RESET", 0},
    {"DISCARD", "DISCARD ALL", 0},  {"DEALLOCATE", "DEALLOCATE", 0},
    {"UNLISTEN", "UNLISTEN", 0},    {"CLOSE ALL", "CLOSE CURSOR ALL", 0},
};

/* "SHOW words" gives one row of one column. */
static const struct {
    const char *words;
    struct table_column column;
    const char *value;
} settings[] = {
    {"server_version", {"server_version", TABLE_TEXT}, PW_PSQL_SERVER_VERSION},
    {"server_version_num", {"server_version_num", TABLE_TEXT}, "150000"},
    {"server_encoding", {"server_encoding", TABLE_TEXT}, "UTF8"},
    {"client_encoding", {"client_encoding", TABLE_TEXT}, "UTF8"},
    {"standard_conforming_strings", {"standard_conforming_strings", TABLE_TEXT}, "on"},
    {"integer_datetimes", {"integer_datetimes", TABLE_TEXT}, "on"},
    {"DateStyle", {"DateStyle", TABLE_TEXT}, "ISO, MDY"},
    {"TimeZone", {"TimeZone", TABLE_TEXT}, "Etc/UTC"},
    {"search_path", {"search_path", TABLE_TEXT}, "public"},
    {"transaction_isolation", {"transaction_isolation", TABLE_TEXT}, "read committed"},
    {"TRANSACTION ISOLATION LEVEL", {"transaction_isolation", TABLE_TEXT}, "read committed"},
    {"transaction_read_only", {"transaction_read_only", TABLE_TEXT}, "off"},
    {"default_transaction_read_only", {"default_transaction_read_only", TABLE_TEXT}, "off"},
    {"in_hot_standby", {"in_hot_standby", TABLE_TEXT}, "off"},
};

enum select_value { VALUE_VERSION, VALUE_USER, VALUE_DATABASE, VALUE_SCHEMA, VALUE_RECOVERY };
static const struct {
    const char *text;
    struct table_column column;
    enum select_value value;
} selects[] = {
    {"version()", {"version", TABLE_TEXT}, VALUE_VERSION},
    {"current_user", {"current_user", TABLE_TEXT}, VALUE_USER},
    {"session_user", {"session_user", TABLE_TEXT}, VALUE_USER},
    {"user", {"user", TABLE_TEXT}, VALUE_USER},
    {"current_database()", {"current_database", TABLE_TEXT}, VALUE_DATABASE},
    {"current_catalog", {"current_catalog", TABLE_TEXT}, VALUE_DATABASE},
    {"current_schema()", {"current_schema", TABLE_TEXT}, VALUE_SCHEMA},
    {"pg_catalog.version()", {"version", TABLE_TEXT}, VALUE_VERSION},
    {"pg_is_in_recovery()", {"pg_is_in_recovery", TABLE_TEXT}, VALUE_RECOVERY},
};

static const struct table_column column_int = {"?column?", TABLE_INT4};

static struct psql_canned one_value(const struct table_column *column, const char *tag,
                                    const char *value)
{
    struct table *t = pw_table_new(column, 1);
    pw_table_row(t);
    pw_table_text(t, value);
    return (struct psql_canned){.tag = tag, .table = t};
}

static struct psql_canned canned_select(const struct admin_token *what, const char *user,
                                        const char *database)
{
    int64_t number;
    const char *values[] = {
        [VALUE_VERSION] = "PostgreSQL " PW_PSQL_SERVER_VERSION ", the console",
        [VALUE_USER] = user,
        [VALUE_DATABASE] = database,
        [VALUE_SCHEMA] = "public",
        [VALUE_RECOVERY] = "f",
    };
    for (size_t i = 0; i < PW_COUNT_OF(selects); i++)
        if (pw_admin_token_is(what, selects[i].text))
            return one_value(&selects[i].column, "SELECT 1", values[selects[i].value]);
    if (!pw_num_parse_i64(what->raw, &number) || number < INT32_MIN || number > INT32_MAX)
        return (struct psql_canned){0};
    struct table *t = pw_table_new(&column_int, 1);
    pw_table_row(t);
    pw_table_int(t, number);
    return (struct psql_canned){.tag = "SELECT 1", .table = t};
}

static struct psql_canned canned_show(const struct admin_tokens *tokens)
{
    struct admin_tokens what = {.n = tokens->n - 1};
    memcpy(what.items, tokens->items + 1, what.n * sizeof what.items[0]);
    for (size_t i = 0; i < PW_COUNT_OF(settings); i++)
        if (pw_admin_match(&what, settings[i].words, false).words == what.n)
            return one_value(&settings[i].column, "SHOW", settings[i].value);
    return (struct psql_canned){0};
}

struct psql_canned pw_psql_canned(struct slice text, const char *user, const char *database)
{
    struct admin_tokens tokens;
    pw_admin_tokenize(text, &tokens);
    if (tokens.n == 0)
        return (struct psql_canned){0};
    for (size_t i = 0; i < PW_COUNT_OF(tags); i++)
        if (pw_admin_match(&tokens, tags[i].words, false).words)
            return (struct psql_canned){.tag = tags[i].tag, .status = tags[i].status};
    if (tokens.n == 1)
        return (struct psql_canned){0};
    /* A name with a point is a setting of ours (SET batch.max = 10), any other is PostgreSQL's. */
    if (pw_admin_token_is(&tokens.items[0], "SET") &&
        !memchr(tokens.items[1].raw.ptr, '.', tokens.items[1].raw.len))
        return (struct psql_canned){.tag = "SET"};
    if (pw_admin_token_is(&tokens.items[0], "SELECT") && tokens.n == 2)
        return canned_select(&tokens.items[1], user, database);
    if (pw_admin_token_is(&tokens.items[0], "SHOW") && tokens.n <= 4)
        return canned_show(&tokens);
    return (struct psql_canned){0};
}
