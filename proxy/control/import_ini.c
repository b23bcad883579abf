/* See import_ini.h. */
#include "proxy/control/import_ini.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/file.h"
#include "conf/raw.h"
#include "proxy/base/alloc.h"

enum { ENTRIES_MAX = 20000 };

static struct slice trimmed(struct slice s)
{
    while (s.len && isspace((unsigned char)s.ptr[0]))
        s = pw_slice(s.ptr + 1, s.len - 1);
    while (s.len && isspace((unsigned char)s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* A key: a word, or a quoted name with "" for a quote. The rest of the line is left in *line. */
static char *take_key(struct slice *line)
{
    char *key = pw_alloc(line->len + 1);
    size_t n = 0, i = 0;
    if (line->ptr[0] == '"') {
        for (i = 1; i < line->len; i++) {
            if (line->ptr[i] == '"' && (++i == line->len || line->ptr[i] != '"'))
                break;
            key[n++] = line->ptr[i];
        }
    } else {
        while (i < line->len && line->ptr[i] != '=' && !isspace((unsigned char)line->ptr[i]))
            key[n++] = line->ptr[i++];
    }
    *line = trimmed(pw_slice(line->ptr + i, line->len - i));
    return key;
}

static const char *add_line(struct ini *ini, struct slice line, const char *section, size_t number)
{
    if (!*section)
        return "a setting before any [section]";
    if (ini->n == ENTRIES_MAX)
        return "too many lines";
    char *key = take_key(&line);
    if (!*key || line.len == 0 || line.ptr[0] != '=') {
        pw_free(key);
        return "expected key = value";
    }
    line = trimmed(pw_slice(line.ptr + 1, line.len - 1));
    ini->entries = pw_realloc(ini->entries, (ini->n + 1) * sizeof *ini->entries);
    ini->entries[ini->n++] = (struct ini_entry){
        pw_strdup(section), key, pw_strndup(line.len ? line.ptr : "", line.len), number};
    return NULL;
}

bool pw_ini_parse(struct slice text, const char *file_name, struct ini *ini,
                  struct conf_errors *errors)
{
    char section[64] = "", where[CONF_WHERE_MAX];
    struct slice line;
    *ini = (struct ini){0};
    for (size_t number = 1; pw_file_next_line(&text, &line); number++) {
        const char *why = NULL;
        line = trimmed(line);
        if (line.len == 0 || line.ptr[0] == ';' || line.ptr[0] == '#')
            continue;
        if (memchr(line.ptr, '\0', line.len))
            why = "a NUL byte";
        else if (line.ptr[0] == '%')
            why = "%include is not followed: import the files one by one, or join them";
        else if (line.ptr[0] == '[' && line.len > 2 && line.len < sizeof section &&
                 line.ptr[line.len - 1] == ']')
            snprintf(section, sizeof section, "%.*s", (int)line.len - 2, line.ptr + 1);
        else
            why = add_line(ini, line, section, number);
        snprintf(where, sizeof where, "%s:%zu", file_name, number);
        if (why)
            pw_conf_error(errors, where, "%s", why);
    }
    return errors->n == errors->n_warnings;
}

void pw_ini_free(struct ini *ini)
{
    for (size_t i = 0; i < ini->n; i++) {
        pw_free(ini->entries[i].section);
        pw_free(ini->entries[i].key);
        pw_free(ini->entries[i].value);
    }
    PW_FREE(ini->entries);
    ini->n = 0;
}

const char *pw_ini_get(const struct ini *ini, const char *section, const char *key)
{
    for (size_t i = ini->n; i > 0; i--)
        if (strcmp(ini->entries[i - 1].section, section) == 0 &&
            strcmp(ini->entries[i - 1].key, key) == 0)
            return ini->entries[i - 1].value;
    return NULL;
}

int pw_ini_next_word(const char **rest, char *key, char *value, size_t size)
{
    const char *at = *rest;
    size_t n = 0;
    while (isspace((unsigned char)*at))
        at++;
    if (!*at)
        return 0;
    size_t len = strcspn(at, "= \t");
    const char *equals = at + len + strspn(at + len, " \t");
    if (*equals != '=' || len == 0 || len >= size)
        return -1;
    memcpy(key, at, len);
    key[len] = '\0';
    at = equals + 1 + strspn(equals + 1, " \t");
    bool quoted = *at == '\'';
    at += quoted;
    while (*at && n + 1 < size && (quoted || !isspace((unsigned char)*at))) {
        if (quoted && *at == '\'' && *++at != '\'')
            break;
        value[n++] = *at++;
    }
    value[n] = '\0';
    bool open = (quoted && at[-1] != '\'') || n + 1 >= size;
    *rest = at;
    return open ? -1 : 1;
}
