/* The environment and the command line as untyped settings, and the loader that puts all sources in
 * order. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/box.h"
#include "conf/file.h"
#include "conf/suggest.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

static struct slice trimmed(struct slice s)
{
    while (s.len && isspace((unsigned char)s.ptr[0]))
        s = pw_slice(s.ptr + 1, s.len - 1);
    while (s.len && isspace((unsigned char)s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* "a, b" or "[a, b]". */
static void add_list(struct raw_entry *e, struct slice text)
{
    text = trimmed(text);
    if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
        text = pw_slice(text.ptr + 1, text.len - 2);
    while (text.len && e->n_values < CONF_LIST_MAX) {
        const char *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
        struct slice item = trimmed(pw_slice(text.ptr, len));
        if (item.len)
            pw_raw_add_value(e, item);
        text = comma ? pw_slice(comma + 1, text.len - len - 1) : pw_slice(NULL, 0);
    }
}

static void add_value(struct raw *r, const struct conf_row *row, const char *database,
                      const char *value, enum conf_source source, const char *where)
{
    struct raw_entry *e = pw_raw_add(r, row, database, 0, source, where);
    if (row->kind == CONF_KIND_LIST)
        add_list(e, pw_slice_str(value));
    else
        pw_raw_add_value(e, pw_slice_str(value));
}

/* databases.NAME.key: the name may hold dots, the key has none. */
static void read_database_pair(struct raw *r, const char *rest, const char *value,
                               enum conf_source source, const char *where,
                               struct conf_errors *errors)
{
    const char *dot = strrchr(rest, '.');
    if (!dot || dot == rest || dot - rest > CONF_NAME_MAX) {
        pw_conf_error(errors, where, "expected databases.NAME.KEY");
        return;
    }
    const struct conf_row *row = pw_conf_row_find(pw_conf_database_rows, pw_conf_n_database_rows,
                                                  NULL, pw_slice_str(dot + 1));
    if (!row) {
        pw_raw_unknown_key(errors, where, pw_conf_database_rows, pw_conf_n_database_rows,
                           "databases", pw_slice_str(dot + 1));
        return;
    }
    char *name = pw_strndup(rest, (size_t)(dot - rest));
    pw_raw_add(r, NULL, name, 0, source, where);
    add_value(r, row, name, value, source, where);
    pw_free(name);
}

static void unknown_section(const char *key, size_t len, const char *where,
                            struct conf_errors *errors)
{
    struct suggestion closest;
    pw_suggest_init(&closest, pw_slice(key, len));
    for (size_t i = 0; i < pw_conf_n_sections; i++)
        pw_suggest_offer(&closest, pw_conf_sections[i].name);
    int shown = (int)(len > CONF_NAME_MAX ? CONF_NAME_MAX : len);
    pw_conf_error(errors, where, "unknown section \"%.*s\"%s%s%s", shown, key,
                  closest.best ? "; did you mean \"" : "", closest.best ? closest.best : "",
                  closest.best ? "\"?" : "");
}

void pw_raw_read_pair(struct raw *r, const char *key, const char *value, enum conf_source source,
                      const char *where, struct conf_errors *errors)
{
    size_t len = strcspn(key, ".");
    if (!key[len] || !key[len + 1]) {
        pw_conf_error(errors, where, "expected SECTION.KEY, got \"%.80s\"", key);
        return;
    }
    const char *rest = key + len + 1;
    if (!pw_conf_section_exists(pw_slice(key, len))) {
        unknown_section(key, len, where, errors);
    } else if (strncmp(key, "databases.", 10) == 0) {
        read_database_pair(r, rest, value, source, where, errors);
    } else {
        char *section = pw_strndup(key, len);
        const struct conf_row *row =
            pw_conf_row_find(pw_conf_rows, pw_conf_n_rows, section, pw_slice_str(rest));
        if (row)
            add_value(r, row, NULL, value, source, where);
        else
            pw_raw_unknown_key(errors, where, pw_conf_rows, pw_conf_n_rows, section,
                               pw_slice_str(rest));
        pw_free(section);
    }
}

/* Is `name` (after PGWEIR_) the row's SECTION_KEY in capitals? */
static bool env_names_row(struct slice name, const struct conf_row *row)
{
    size_t section = strlen(row->section), key = strlen(row->key);
    if (name.len != section + 1 + key || name.ptr[section] != '_')
        return false;
    for (size_t i = 0; i < section; i++)
        if (name.ptr[i] != toupper((unsigned char)row->section[i]))
            return false;
    for (size_t i = 0; i < key; i++)
        if (name.ptr[section + 1 + i] != toupper((unsigned char)row->key[i]))
            return false;
    return true;
}

static const struct conf_row *env_row(struct slice name)
{
    for (size_t i = 0; i < pw_conf_n_rows; i++)
        if (env_names_row(name, &pw_conf_rows[i]))
            return &pw_conf_rows[i];
    return NULL;
}

/* PGWEIR_BTACH_MAX deserves a word; PGWEIR_SERVICE_HOST, which Kubernetes makes, none. Never an
 * error: other software sets variables too. */
static void env_unknown(struct slice name, const char *where, struct conf_errors *errors)
{
    struct suggestion closest;
    char words[64][80];
    pw_suggest_init(&closest, name);
    closest.distance = closest.distance > 3 ? 3 : closest.distance;
    for (size_t i = 0; i < pw_conf_n_rows && i < PW_COUNT_OF(words); i++) {
        snprintf(words[i], sizeof words[i], "%s_%s", pw_conf_rows[i].section, pw_conf_rows[i].key);
        for (char *c = words[i]; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        pw_suggest_offer(&closest, words[i]);
    }
    if (closest.best)
        pw_conf_warning(errors, where, "no such setting; did you mean PGWEIR_%s?", closest.best);
}

static void add_upstream(struct raw *r, const char *url, enum conf_source source, const char *where)
{
    const struct conf_row *row = pw_conf_row_find(pw_conf_database_rows, pw_conf_n_database_rows,
                                                  NULL, PW_SLICE_LIT("upstream"));
    PW_CHECK(row);
    pw_raw_add(r, NULL, "*", 0, source, where);
    add_value(r, row, "*", url, source, where);
}

void pw_env_read(struct raw *r, char *const *environ_, struct conf_errors *errors)
{
    for (; environ_ && *environ_; environ_++) {
        const char *equals = strchr(*environ_, '=');
        if (!equals || strncmp(*environ_, "PGWEIR_", 7) != 0 || equals - *environ_ > 100)
            continue;
        struct slice name = pw_slice(*environ_ + 7, (size_t)(equals - *environ_ - 7));
        const struct conf_row *row = env_row(name);
        char where[128];
        snprintf(where, sizeof where, "environment PGWEIR_%.*s", (int)name.len, name.ptr);
        if (pw_slice_is(name, "UPSTREAM"))
            add_upstream(r, equals + 1, CONF_FROM_ENVIRONMENT, where);
        else if (row)
            add_value(r, row, NULL, equals + 1, CONF_FROM_ENVIRONMENT, where);
        else
            env_unknown(name, where, errors);
    }
}

static const char *env_get(char *const *environ_, const char *name)
{
    size_t len = strlen(name);
    for (; environ_ && *environ_; environ_++)
        if (strncmp(*environ_, name, len) == 0 && (*environ_)[len] == '=')
            return *environ_ + len + 1;
    return "";
}

/* What pgweir.state_dir: auto means here. OWN. */
static char *default_state_dir(char *const *environ_)
{
    static const char system_dir[] = "/var/lib/pgweir";
    const char *systemd =
        env_get(environ_, "STATE_DIRECTORY"); /* may be a list; the first is ours */
    const char *xdg = env_get(environ_, "XDG_STATE_HOME"), *home = env_get(environ_, "HOME");
    if (*systemd)
        return pw_strndup(systemd, strcspn(systemd, ":"));
    if (geteuid() == 0 || access(system_dir, W_OK) == 0)
        return pw_strdup(system_dir);
    if (*xdg)
        return pw_asprintf("%s/pgweir", xdg);
    return *home ? pw_asprintf("%s/.local/state/pgweir", home) : pw_strdup(system_dir);
}

static enum pw_status load(struct raw *raw, const struct conf_sources *sources,
                           struct pw_conf **conf, struct conf_errors *errors)
{
    pw_env_read(raw, sources->environ_, errors);
    if (sources->upstream)
        add_upstream(raw, sources->upstream, CONF_FROM_COMMAND_LINE, "--upstream");
    for (size_t i = 0; i < sources->n_sets; i++) {
        char where[160];
        snprintf(where, sizeof where, "--set %.140s", sources->sets[i].key);
        pw_raw_read_pair(raw, sources->sets[i].key, sources->sets[i].value, CONF_FROM_COMMAND_LINE,
                         where, errors);
    }
    char *state_dir = default_state_dir(sources->environ_);
    struct conf_box *box = pw_conf_build(raw, state_dir, sources->upstream_optional, NULL, errors);
    pw_free(state_dir);
    *conf = box ? &box->pub : NULL;
    return box ? PW_OK : PW_CONFIG;
}

/* ---- errors in the order of the file: what has no line comes last ---- */

struct place {
    struct conf_error error;
    unsigned long line, column;
    size_t order;
};

static struct place place_of(struct conf_error error, const char *file_name, size_t order)
{
    struct place p = {error, ULONG_MAX, 0, order};
    size_t len = strlen(file_name);
    if (strncmp(error.text, file_name, len) == 0 && error.text[len] == ':') {
        char *end;
        p.line = strtoul(error.text + len + 1, &end, 10);
        p.column = *end == ':' ? strtoul(end + 1, NULL, 10) : 0;
    }
    return p;
}

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void sort_errors(struct conf_errors *errors, const char *file_name)
{
    struct place *places = pw_alloc((errors->n + 1) * sizeof(*places));
    for (size_t i = 0; i < errors->n; i++)
        places[i] = place_of(errors->items[i], file_name, i);
    qsort(places, errors->n, sizeof(*places), by_place);
    for (size_t i = 0; i < errors->n; i++)
        errors->items[i] = places[i].error;
    pw_free(places);
}

enum pw_status pw_conf_load_text(const char *text, size_t len, const char *file_name,
                                 const struct conf_sources *sources, struct pw_conf **conf,
                                 struct conf_errors *errors)
{
    struct raw raw;
    pw_raw_init(&raw);
    *errors = (struct conf_errors){0};
    if (len > CONF_FILE_MAX)
        pw_conf_error(errors, file_name, "larger than 1 MB");
    else
        pw_yaml_read(&raw, text, len, file_name, errors);
    enum pw_status status = load(&raw, sources, conf, errors);
    sort_errors(errors, file_name);
    return status;
}

enum pw_status pw_conf_load(const struct conf_sources *sources, struct pw_conf **conf,
                            struct conf_errors *errors)
{
    size_t len = 0;
    *errors = (struct conf_errors){0};
    *conf = NULL;
    if (!sources->file)
        return pw_conf_load_text("", 0, "default", sources, conf, errors);
    char *text = pw_file_read(sources->file, CONF_FILE_MAX, &len);
    if (!text) {
        pw_conf_error(errors, sources->file, "%s",
                      errno == EFBIG ? "larger than 1 MB" : strerror(errno));
        return PW_CONFIG;
    }
    enum pw_status status = pw_conf_load_text(text, len, sources->file, sources, conf, errors);
    pw_free(text);
    return status;
}

struct pw_conf *pw_conf_default(const char *upstream)
{
    struct conf_sources sources = {.upstream = upstream, .upstream_optional = true};
    struct conf_errors errors;
    struct pw_conf *conf;
    PW_CHECK(pw_conf_load(&sources, &conf, &errors) == PW_OK);
    pw_conf_errors_free(&errors);
    return conf;
}
