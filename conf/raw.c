/* The list of untyped settings and the list of errors; both only grow. See raw.h. */
#include "conf/raw.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/file.h"
#include "conf/suggest.h"
#include "proxy/base/alloc.h"

void pw_raw_init(struct raw *r)
{
    *r = (struct raw){0};
}

static void entry_free(struct raw_entry *e)
{
    for (size_t i = 0; i < e->n_values; i++)
        pw_free(e->values[i]);
    PW_FREE(e->values);
    PW_FREE(e->database);
    PW_FREE(e->where);
}

void pw_raw_free(struct raw *r)
{
    for (size_t i = 0; i < r->n; i++)
        entry_free(&r->entries[i]);
    PW_FREE(r->entries);
    r->n = r->capacity = 0;
}

struct raw_entry *pw_raw_add(struct raw *r, const struct conf_row *row, const char *database,
                             size_t rule, enum conf_source source, const char *where)
{
    if (r->n == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 32;
        r->entries = pw_realloc(r->entries, r->capacity * sizeof *r->entries);
    }
    struct raw_entry *e = &r->entries[r->n++];
    *e = (struct raw_entry){.row = row, .rule = rule, .source = source, .where = pw_strdup(where)};
    e->database = database ? pw_strdup(database) : NULL;
    return e;
}

void pw_raw_add_value(struct raw_entry *e, struct slice value)
{
    e->values = pw_realloc(e->values, (e->n_values + 1) * sizeof *e->values);
    e->values[e->n_values++] = pw_strndup(value.len ? value.ptr : "", value.len);
}

void pw_raw_copy(struct raw *to, const struct raw *from)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct raw_entry *e = &from->entries[i];
        struct raw_entry *copy = pw_raw_add(to, e->row, e->database, e->rule, e->source, e->where);
        for (size_t v = 0; v < e->n_values; v++)
            pw_raw_add_value(copy, pw_slice_str(e->values[v]));
    }
}

PW_PRINTF(4, 0)
static void add_error(struct conf_errors *errors, bool warning, const char *where, const char *fmt,
                      va_list args)
{
    if (errors->n >= CONF_ERRORS_MAX) {
        if (warning || errors->n > errors->n_warnings)
            return;
        pw_free(
            errors->items[--errors->n].text); /* the first error must never be lost to warnings */
        errors->n_warnings--;
    }
    char *message;
    if (vasprintf(&message, fmt, args) < 0)
        abort();
    errors->items = pw_realloc(errors->items, (errors->n + 1) * sizeof *errors->items);
    errors->items[errors->n++] = (struct conf_error){
        .text = pw_asprintf("%s: %s%s", where, warning ? "warning: " : "", message),
        .warning = warning};
    errors->n_warnings += warning;
    free(message);
}

void pw_conf_error(struct conf_errors *errors, const char *where, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_error(errors, false, where, fmt, args);
    va_end(args);
}

char *pw_conf_read_file(const char *path, size_t max, size_t *len, struct conf_errors *errors)
{
    *errors = (struct conf_errors){0};
    char *text = pw_file_read(path, max, len);
    if (!text)
        pw_conf_error(errors, path, "%s", strerror(errno));
    return text;
}

void pw_conf_errors_move(struct conf_errors *to, struct conf_errors *from)
{
    to->items = pw_realloc(to->items, (to->n + from->n + 1) * sizeof *to->items);
    for (size_t i = 0; i < from->n; i++)
        to->items[to->n++] = from->items[i];
    to->n_warnings += from->n_warnings;
    pw_free(from->items);
    *from = (struct conf_errors){0};
}

void pw_conf_warning(struct conf_errors *errors, const char *where, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_error(errors, true, where, fmt, args);
    va_end(args);
}

void pw_conf_errors_free(struct conf_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        pw_free(errors->items[i].text);
    PW_FREE(errors->items);
    errors->n = errors->n_warnings = 0;
}

void pw_raw_unknown_key(struct conf_errors *errors, const char *where, const struct conf_row *rows,
                        size_t n, const char *section, struct slice key)
{
    struct suggestion closest;
    pw_suggest_init(&closest, key);
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].section, section) == 0)
            pw_suggest_offer(&closest, rows[i].key);
    int shown = (int)(key.len > CONF_NAME_MAX ? CONF_NAME_MAX : key.len);
    if (closest.best) {
        pw_conf_error(errors, where, "unknown key \"%.*s\" in %s; did you mean \"%s\"?", shown,
                      key.ptr, section, closest.best);
        return;
    }
    for (size_t i = 0; i < pw_conf_n_rows; i++) /* at home in another section? */
        if (pw_slice_is(key, pw_conf_rows[i].key)) {
            pw_conf_error(errors, where, "unknown key \"%.*s\" in %s; it belongs to %s", shown,
                          key.ptr, section, pw_conf_rows[i].section);
            return;
        }
    pw_conf_error(errors, where, "unknown key \"%.*s\" in %s", shown, key.ptr, section);
}
