/*
 * The YAML file as untyped settings with line and column; the only user of libyaml. Events, not a
 * tree: the shape is fixed (sections of keys, databases of keys, a list of rules), anything else is
 * an error. A parser is one call long.
 */
#include <stdio.h>
#include <yaml.h>

#include "conf/raw.h"
#include "conf/suggest.h"
#include "proxy/base/alloc.h"

enum { DEPTH_MAX = 16 };

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one, deleted by next() */
    bool has_event;
    bool stopped; /* nothing more can be read: syntax error, end or too deep */
    const char *file_name;
    char *where; /* OWN: of the current event */
    struct raw *raw;
    struct conf_errors *errors;
};

static char *place(const struct reader *r, yaml_mark_t mark)
{
    return pw_asprintf("%s:%zu:%zu", r->file_name, mark.line + 1, mark.column + 1);
}

/* The type of the next event; YAML_NO_EVENT for ever once reading has stopped. */
static yaml_event_type_t next(struct reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
    if (r->stopped || r->errors->n >= CONF_ERRORS_MAX) /* enough is enough */
        return YAML_NO_EVENT;
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        char *where = place(r, r->parser.problem_mark);
        pw_conf_error(r->errors, where, "%s%s%s",
                      r->parser.problem ? r->parser.problem : "not YAML",
                      r->parser.context ? ", " : "", r->parser.context ? r->parser.context : "");
        pw_free(where);
        r->stopped = true;
        return YAML_NO_EVENT;
    }
    r->has_event = true;
    pw_free(r->where);
    r->where = place(r, r->event.start_mark);
    if (r->event.type == YAML_STREAM_END_EVENT)
        r->stopped = true;
    return r->event.type;
}

static void error(struct reader *r, const char *message)
{
    pw_conf_error(r->errors, r->where, "%s", message);
}

static bool opens(yaml_event_type_t type)
{
    return type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
}

static bool closes(yaml_event_type_t type)
{
    return type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
}

/* Passes over the rest of the value whose first event is the current one. */
static void skip(struct reader *r)
{
    size_t depth = 0;
    yaml_event_type_t type = r->event.type;
    for (;;) {
        if (opens(type) && ++depth > DEPTH_MAX) {
            error(r, "nested too deeply");
            r->stopped = true;
            return;
        }
        if (closes(type))
            depth--;
        if (depth == 0)
            return;
        type = next(r);
        if (type == YAML_NO_EVENT)
            return;
    }
}

static struct slice scalar(const struct reader *r)
{
    return pw_slice((const char *)r->event.data.scalar.value, r->event.data.scalar.length);
}

/* "key:" with nothing after it means the default, as if it were not there. */
static bool is_null(const struct reader *r)
{
    struct slice text = scalar(r);
    return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.len == 0 || pw_slice_is(text, "~") || pw_slice_is(text, "null"));
}

static bool text_is_clean(struct reader *r, struct slice text)
{
    if (memchr(text.ptr, '\0', text.len) == NULL)
        return true;
    error(r, "a NUL byte");
    return false;
}

static bool already_given(const struct reader *r, const struct conf_row *row, const char *database,
                          size_t rule)
{
    for (size_t i = 0; i < r->raw->n; i++) {
        const struct raw_entry *e = &r->raw->entries[i];
        if (e->row == row && e->rule == rule &&
            (database ? e->database && strcmp(e->database, database) == 0 : !e->database)) {
            pw_conf_error(r->errors, r->where, "%s given twice, first at %s",
                          row        ? row->key
                          : database ? database
                                     : "rule",
                          e->where);
            return true;
        }
    }
    return false;
}

static void read_list(struct reader *r, struct raw_entry *e)
{
    while (next(r) == YAML_SCALAR_EVENT) {
        struct slice text = scalar(r);
        if (e->n_values >= CONF_LIST_MAX) {
            error(r, "list too long");
            r->stopped = true;
            return;
        }
        if (text_is_clean(r, text))
            pw_raw_add_value(e, text);
    }
    while (r->has_event && r->event.type != YAML_SEQUENCE_END_EVENT) {
        error(r, "expected a text in this list");
        skip(r);
        while (next(r) == YAML_SCALAR_EVENT)
            ;
    }
}

/* The current event is the key of a known setting: reads its value. */
static void read_value(struct reader *r, const struct conf_row *row, const char *database,
                       size_t rule)
{
    bool duplicate = already_given(r, row, database, rule);
    yaml_event_type_t type = next(r);
    if (type == YAML_NO_EVENT)
        return;
    if (type == YAML_SEQUENCE_START_EVENT && row->kind == CONF_KIND_LIST && !duplicate) {
        read_list(r, pw_raw_add(r->raw, row, database, rule, CONF_FROM_FILE, r->where));
        return;
    }
    if (type != YAML_SCALAR_EVENT) {
        pw_conf_error(r->errors, r->where, "%s: expected a single value", row->key);
        skip(r);
        return;
    }
    if (duplicate || is_null(r) || !text_is_clean(r, scalar(r)))
        return;
    struct raw_entry *e = pw_raw_add(r->raw, row, database, rule, CONF_FROM_FILE, r->where);
    pw_raw_add_value(e, scalar(r));
}

/* The current event should be a mapping's key. False at the mapping's end, or when the key is no
 * text: then the pair has been reported and passed over, and *skipped is set. */
static bool at_key(struct reader *r, bool *skipped)
{
    *skipped = false;
    if (r->event.type == YAML_SCALAR_EVENT && text_is_clean(r, scalar(r)))
        return true;
    if (r->event.type == YAML_MAPPING_END_EVENT)
        return false;
    error(r, "expected a key");
    skip(r);
    if (next(r) != YAML_NO_EVENT)
        skip(r);
    *skipped = true;
    return true;
}

typedef void (*on_key)(struct reader *r, struct slice key, const void *arg);

/* Calls back at each key of the mapping whose start is the current event; a null counts as empty.
 */
static void read_mapping(struct reader *r, const char *what, on_key cb, const void *arg)
{
    bool skipped;
    if (r->event.type == YAML_SCALAR_EVENT && is_null(r))
        return;
    if (r->event.type != YAML_MAPPING_START_EVENT) {
        pw_conf_error(r->errors, r->where, "%s: expected \"key: value\" pairs", what);
        skip(r);
        return;
    }
    while (next(r) != YAML_NO_EVENT && at_key(r, &skipped)) {
        if (skipped)
            continue;
        char *key = pw_strndup(scalar(r).ptr, scalar(r).len);
        cb(r, pw_slice_str(key), arg);
        pw_free(key);
    }
}

static void skip_value(struct reader *r)
{
    if (next(r) != YAML_NO_EVENT)
        skip(r);
}

static void on_database_key(struct reader *r, struct slice key, const void *arg)
{
    const char *database = arg;
    const struct conf_row *row =
        pw_conf_row_find(pw_conf_database_rows, pw_conf_n_database_rows, NULL, key);
    if (row) {
        read_value(r, row, database, 0);
        return;
    }
    pw_raw_unknown_key(r->errors, r->where, pw_conf_database_rows, pw_conf_n_database_rows,
                       "databases", key);
    skip_value(r);
}

static size_t count_databases(const struct raw *raw)
{
    size_t n = 0;
    for (size_t i = 0; i < raw->n; i++)
        n += raw->entries[i].database && !raw->entries[i].row;
    return n;
}

static void on_database(struct reader *r, struct slice name, const void *arg)
{
    (void)arg;
    if (name.len == 0 || name.len > CONF_NAME_MAX)
        error(r, "a database name has 1 to 63 bytes");
    else if (count_databases(r->raw) >= CONF_DATABASES_MAX)
        error(r, "too many databases");
    else if (!already_given(r, NULL, name.ptr, 0)) {
        pw_raw_add(r->raw, NULL, name.ptr, 0, CONF_FROM_FILE, r->where);
        if (next(r) != YAML_NO_EVENT)
            read_mapping(r, name.ptr, on_database_key, name.ptr);
        return;
    }
    skip_value(r);
}

static void on_rule_key(struct reader *r, struct slice key, const void *arg)
{
    const struct conf_row *row =
        pw_conf_row_find(pw_conf_rule_rows, pw_conf_n_rule_rows, NULL, key);
    if (row) {
        read_value(r, row, NULL, *(const size_t *)arg);
        return;
    }
    pw_raw_unknown_key(r->errors, r->where, pw_conf_rule_rows, pw_conf_n_rule_rows, "cache.rules",
                       key);
    skip_value(r);
}

static void read_rules(struct reader *r)
{
    size_t rule = 0;
    yaml_event_type_t type = next(r);
    if (type == YAML_NO_EVENT || (type == YAML_SCALAR_EVENT && is_null(r)))
        return;
    if (type != YAML_SEQUENCE_START_EVENT) {
        error(r, "rules: expected a list of {match: ..., cache: ..., ttl: ...}");
        skip(r);
        return;
    }
    while ((type = next(r)) != YAML_NO_EVENT && type != YAML_SEQUENCE_END_EVENT) {
        if (++rule > CONF_RULES_MAX) {
            error(r, "too many rules");
            r->stopped = true;
            return;
        }
        pw_raw_add(r->raw, NULL, NULL, rule, CONF_FROM_FILE, r->where);
        read_mapping(r, "rule", on_rule_key, &rule);
    }
}

static void on_section_key(struct reader *r, struct slice key, const void *arg)
{
    const char *section = arg;
    const struct conf_row *row = pw_conf_row_find(pw_conf_rows, pw_conf_n_rows, section, key);
    if (row) {
        read_value(r, row, NULL, 0);
    } else if (strcmp(section, "cache") == 0 && pw_slice_is(key, "rules")) {
        read_rules(r);
    } else {
        pw_raw_unknown_key(r->errors, r->where, pw_conf_rows, pw_conf_n_rows, section, key);
        skip_value(r);
    }
}

static void unknown_section(struct reader *r, struct slice name)
{
    struct suggestion closest;
    pw_suggest_init(&closest, name);
    for (size_t i = 0; i < pw_conf_n_sections; i++)
        pw_suggest_offer(&closest, pw_conf_sections[i].name);
    int shown = (int)(name.len > CONF_NAME_MAX ? CONF_NAME_MAX : name.len);
    if (closest.best)
        pw_conf_error(r->errors, r->where, "unknown section \"%.*s\"; did you mean \"%s\"?", shown,
                      name.ptr, closest.best);
    else
        pw_conf_error(r->errors, r->where, "unknown section \"%.*s\"", shown, name.ptr);
}

static void on_section(struct reader *r, struct slice name, const void *arg)
{
    uint32_t *seen = (uint32_t *)(uintptr_t)arg;
    for (size_t i = 0; i < pw_conf_n_sections; i++) {
        const char *section = pw_conf_sections[i].name;
        if (!pw_slice_is(name, section))
            continue;
        if (*seen & (1u << i))
            error(r, "section given twice");
        *seen |= 1u << i;
        if (next(r) == YAML_NO_EVENT)
            return;
        if (strcmp(section, "databases") == 0)
            read_mapping(r, section, on_database, NULL);
        else
            read_mapping(r, section, on_section_key, section);
        return;
    }
    unknown_section(r, name);
    skip_value(r);
}

static void read_stream(struct reader *r)
{
    uint32_t seen = 0;
    next(r); /* stream start */
    if (next(r) != YAML_DOCUMENT_START_EVENT)
        return; /* an empty file is a configuration of defaults */
    if (next(r) == YAML_NO_EVENT)
        return;
    read_mapping(r, "configuration", on_section, &seen);
    if (next(r) == YAML_DOCUMENT_END_EVENT && next(r) == YAML_DOCUMENT_START_EVENT)
        error(r, "a second document; only one is read");
}

void pw_yaml_read(struct raw *raw, const char *text, size_t len, const char *file_name,
                  struct conf_errors *errors)
{
    struct reader r = {.file_name = file_name, .raw = raw, .errors = errors};
    if (!yaml_parser_initialize(&r.parser)) {
        pw_conf_error(errors, file_name, "out of memory");
        return;
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    read_stream(&r);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    pw_free(r.where);
}
