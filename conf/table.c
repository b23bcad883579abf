/* conf.def as arrays: static, read by any thread. */
#include "conf/table.h"

#include <stddef.h>

#include "proxy/base/attrs.h"

static const char *const names_mode[] = {"optimize", "observe", NULL};
static const char *const names_auto[] = {"auto", NULL};
static const char *const names_log_level[] = {"error", "warn", "info", "debug", "trace", NULL};
static const char *const names_log_format[] = {"text", "json", NULL};
static const char *const names_pool_mode[] = {"transaction", "session", "statement", NULL};
static const char *const names_auth_type[] = {"upstream", "scram-sha-256", "md5",
                                              "trust",    "cert",          NULL};
static const char *const names_tls_client[] = {"disable", "allow", "require", "verify-full", NULL};
static const char *const names_tls_server[] = {"disable",   "prefer",      "require",
                                               "verify-ca", "verify-full", NULL};
static const char *const names_consistency[] = {"auto", "off", "ttl", "proxy", "poll", "wal", NULL};
static const char *const names_rule_cache[] = {"on", "off", "force", NULL};
static const char *const names_gpu[] = {"auto", "off", NULL};

#define ROW_OF(type, section_, key_, path, kind_, names_, def_, min_, max_, flags_, help_)         \
    {.section = section_,                                                                          \
     .key = #key_,                                                                                 \
     .kind = CONF_KIND_##kind_,                                                                    \
     .offset = offsetof(type, path),                                                               \
     .size = sizeof(((type *)0)->path),                                                            \
     .names = names_,                                                                              \
     .def = def_,                                                                                  \
     .min = min_,                                                                                  \
     .max = max_,                                                                                  \
     .flags = CONF_##flags_,                                                                       \
     .help = help_},
#define NOTHING_ROW(...)

const struct conf_row pw_conf_rows[] = {
#define CONF_SECTION      NOTHING_ROW
#define CONF_DATABASE_ROW NOTHING_ROW
#define CONF_RULE_ROW     NOTHING_ROW
#define CONF_ROW(section, key, field, ...)                                                         \
    ROW_OF(struct pw_conf, #section, key, section.field, __VA_ARGS__)
#include "conf/conf.def"
};

const struct conf_row pw_conf_database_rows[] = {
#define CONF_SECTION  NOTHING_ROW
#define CONF_ROW      NOTHING_ROW
#define CONF_RULE_ROW NOTHING_ROW
#define CONF_DATABASE_ROW(key, field, ...)                                                         \
    ROW_OF(struct conf_database, "databases", key, field, __VA_ARGS__)
#include "conf/conf.def"
};

const struct conf_row pw_conf_rule_rows[] = {
#define CONF_SECTION      NOTHING_ROW
#define CONF_ROW          NOTHING_ROW
#define CONF_DATABASE_ROW NOTHING_ROW
#define CONF_RULE_ROW(key, field, ...)                                                             \
    ROW_OF(struct conf_cache_rule, "cache.rules", key, field, __VA_ARGS__)
#include "conf/conf.def"
};

const struct conf_section pw_conf_sections[] = {
#define CONF_ROW                 NOTHING_ROW
#define CONF_DATABASE_ROW        NOTHING_ROW
#define CONF_RULE_ROW            NOTHING_ROW
#define CONF_SECTION(name, help) {#name, help},
#include "conf/conf.def"
};

const size_t pw_conf_n_rows = PW_COUNT_OF(pw_conf_rows);
const size_t pw_conf_n_database_rows = PW_COUNT_OF(pw_conf_database_rows);
const size_t pw_conf_n_rule_rows = PW_COUNT_OF(pw_conf_rule_rows);
const size_t pw_conf_n_sections = PW_COUNT_OF(pw_conf_sections);

bool pw_conf_section_exists(struct slice name)
{
    for (size_t i = 0; i < pw_conf_n_sections; i++)
        if (pw_slice_is(name, pw_conf_sections[i].name))
            return true;
    return false;
}

const struct conf_row *pw_conf_row_find(const struct conf_row *rows, size_t n, const char *section,
                                        struct slice key)
{
    for (size_t i = 0; i < n; i++)
        if ((!section || strcmp(rows[i].section, section) == 0) && pw_slice_is(key, rows[i].key))
            return &rows[i];
    return NULL;
}
