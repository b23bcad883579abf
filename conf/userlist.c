/* Reader of userlist.txt; see userlist.h. */
#include "conf/userlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/file.h"
#include "conf/raw.h"
#include "proxy/base/alloc.h"

enum { FILE_MAX_BYTES = 16 << 20, USER_MAX = 127, SECRET_MAX = 2048 };

struct userlist {
    struct userlist_entry *entries; /* OWN, sorted by user */
    size_t n, capacity;
};

/* The field that starts at *at, a quote. OWN; NULL: no closing quote, or longer than max. */
static char *take_field(struct slice line, size_t *at, size_t max, const char **why)
{
    char *out = pw_alloc(line.len + 1); /* zeroed: the text ends in NUL */
    size_t n = 0, i = *at + 1;
    while (i < line.len && (line.ptr[i] != '"' || (i + 1 < line.len && line.ptr[i + 1] == '"'))) {
        i += line.ptr[i] == '"';
        out[n++] = line.ptr[i++];
    }
    if (i < line.len && n <= max && strlen(out) == n) {
        *at = i + 1;
        return out;
    }
    *why = i >= line.len ? "a quote is not closed" : n > max ? "too long" : "a NUL byte";
    explicit_bzero(out, n);
    pw_free(out);
    return NULL;
}

static enum userlist_kind kind_of(const char *secret)
{
    if (!*secret)
        return USERLIST_NONE;
    if (strncmp(secret, "md5", 3) == 0 && strlen(secret) == 35 &&
        strspn(secret + 3, "0123456789abcdefABCDEF") == 32)
        return USERLIST_MD5;
    return strncmp(secret, "SCRAM-SHA-256$", 14) == 0 ? USERLIST_SCRAM : USERLIST_PLAIN;
}

static void entry_free(struct userlist_entry *e)
{
    explicit_bzero(e->secret, strlen(e->secret));
    pw_free(e->secret);
    pw_free(e->user);
}

static void add(struct userlist *list, struct userlist_entry e)
{
    if (list->n == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 16;
        list->entries = pw_realloc(list->entries, list->capacity * sizeof *list->entries);
    }
    list->entries[list->n++] = e;
}

static void parse_line(struct userlist *list, struct slice line, const char *where, size_t number,
                       struct conf_errors *errors)
{
    const char *why = NULL;
    size_t at = 0;
    char *user = take_field(line, &at, USER_MAX, &why);
    if (!user) {
        pw_conf_error(errors, where, "user name: %s", why);
        return;
    }
    while (at < line.len && (line.ptr[at] == ' ' || line.ptr[at] == '\t'))
        at++;
    char *secret =
        at < line.len && line.ptr[at] == '"' ? take_field(line, &at, SECRET_MAX, &why) : NULL;
    if (!secret || !*user) {
        pw_conf_error(errors, where, "expected \"user\" \"secret\"%s%s", why ? ": " : "",
                      why ? why : "");
        pw_free(secret);
        pw_free(user);
        return;
    }
    add(list, (struct userlist_entry){user, secret, kind_of(secret), number});
}

static int by_user_then_line(const void *a, const void *b)
{
    const struct userlist_entry *x = a, *y = b;
    int order = strcmp(x->user, y->user);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* Sorted, one entry per user: the last one given. */
static void settle(struct userlist *list, const char *file_name, struct conf_errors *errors)
{
    size_t kept = 0;
    if (list->n)
        qsort(list->entries, list->n, sizeof *list->entries, by_user_then_line);
    for (size_t i = 0; i < list->n; i++) {
        if (kept && strcmp(list->entries[kept - 1].user, list->entries[i].user) == 0) {
            char where[CONF_WHERE_MAX];
            snprintf(where, sizeof where, "%s:%zu", file_name, list->entries[i].line);
            pw_conf_warning(errors, where, "user given again, first on line %zu; this one counts",
                            list->entries[kept - 1].line);
            entry_free(&list->entries[--kept]);
        }
        list->entries[kept++] = list->entries[i];
    }
    list->n = kept;
}

struct userlist *pw_userlist_parse(const char *text, size_t len, const char *file_name,
                                   struct conf_errors *errors)
{
    struct userlist *list = pw_alloc(sizeof *list);
    struct slice rest = pw_slice(text, len), line;
    *errors = (struct conf_errors){0};
    for (size_t number = 1; pw_file_next_line(&rest, &line); number++) {
        char where[CONF_WHERE_MAX];
        if (line.len == 0 || line.ptr[0] != '"')
            continue;
        snprintf(where, sizeof where, "%s:%zu", file_name, number);
        parse_line(list, line, where, number, errors);
    }
    settle(list, file_name, errors);
    if (errors->n == errors->n_warnings)
        return list;
    pw_userlist_free(list);
    return NULL;
}

struct userlist *pw_userlist_load(const char *path, struct conf_errors *errors)
{
    size_t len;
    char *text = pw_conf_read_file(path, FILE_MAX_BYTES, &len, errors);
    if (!text)
        return NULL;
    struct userlist *list = pw_userlist_parse(text, len, path, errors);
    explicit_bzero(text, len);
    pw_free(text);
    return list;
}

void pw_userlist_free(struct userlist *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++)
        entry_free(&list->entries[i]);
    pw_free(list->entries);
    pw_free(list);
}

static int compare_user(const void *key, const void *entry)
{
    return strcmp(key, ((const struct userlist_entry *)entry)->user);
}

const struct userlist_entry *pw_userlist_find(const struct userlist *list, const char *user)
{
    return list->n ? bsearch(user, list->entries, list->n, sizeof *list->entries, compare_user)
                   : NULL;
}

size_t pw_userlist_count(const struct userlist *list)
{
    return list->n;
}

const struct userlist_entry *pw_userlist_at(const struct userlist *list, size_t i)
{
    return i < list->n ? &list->entries[i] : NULL;
}
