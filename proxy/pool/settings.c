#include "proxy/pool/settings.h"

#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

/* role is handled last and undone first: other settings may need the login role's rights. */
static const char role_name[] = "role";

static struct settings *intern(struct settings_table *t, struct setting *list, uint32_t n)
{
    struct buf bytes;
    pw_buf_init(&bytes, (size_t)PW_SETTINGS_MAX * (PW_SETTING_VALUE_MAX + 256));
    for (uint32_t i = 0; i < n; i++) {
        pw_buf_append_u32(&bytes, (uint32_t)strlen(list[i].name));
        pw_buf_append_str(&bytes, list[i].name);
        pw_buf_append_u32(&bytes, (uint32_t)strlen(list[i].value));
        pw_buf_append_str(&bytes, list[i].value);
    }
    PW_CHECK(!bytes.failed);
    uint64_t hash = pw_hash_bytes(bytes.len ? bytes.data : "", bytes.len);
    for (struct hash_node *h = pw_hashmap_first(&t->map, hash); h; h = pw_hashmap_next(h)) {
        struct settings *known = PW_CONTAINER_OF(h, struct settings, node);
        if (known->bytes_len == bytes.len &&
            (bytes.len == 0 || memcmp(known->bytes, bytes.data, bytes.len) == 0)) {
            for (uint32_t i = 0; i < n; i++) {
                pw_free(list[i].name);
                pw_free(list[i].value);
            }
            pw_free(list);
            pw_buf_free(&bytes);
            return pw_settings_ref(known);
        }
    }
    struct settings *s = pw_alloc(sizeof *s);
    s->table = t;
    s->refs = 1;
    pw_params_init(&s->welcome);
    s->n = n;
    s->list = list;
    s->bytes = bytes.data;
    s->bytes_len = (uint32_t)bytes.len;
    pw_hashmap_insert(&t->map, &s->node, hash);
    return s;
}

void pw_settings_table_init(struct settings_table *t)
{
    pw_hashmap_init(&t->map);
    t->empty = intern(t, NULL, 0);
}

void pw_settings_table_free(struct settings_table *t)
{
    pw_settings_unref(t->empty);
    t->empty = NULL;
    PW_CHECK(t->map.count == 0);
    pw_hashmap_free(&t->map);
}

void pw_settings_table_forget_welcomes(struct settings_table *t)
{
    PW_HASHMAP_FOR(&t->map, h, tmp)
    PW_CONTAINER_OF(h, struct settings, node)->welcome_known = false;
}

struct settings *pw_settings_ref(struct settings *s)
{
    s->refs++;
    return s;
}

void pw_settings_unref(struct settings *s)
{
    if (!s || --s->refs > 0)
        return;
    pw_hashmap_remove(&s->table->map, &s->node);
    for (uint32_t i = 0; i < s->n; i++) {
        pw_free(s->list[i].name);
        pw_free(s->list[i].value);
    }
    pw_free(s->list);
    pw_free(s->bytes);
    pw_params_free(&s->welcome);
    pw_free(s);
}

struct settings *pw_settings_with(struct settings *base, const char *name, const char *value)
{
    if (strlen(name) > 200 || (value && strlen(value) > PW_SETTING_VALUE_MAX))
        return NULL;
    struct setting *list = pw_alloc((base->n + 1) * sizeof *list);
    uint32_t n = 0;
    bool placed = value == NULL;
    for (uint32_t i = 0; i < base->n; i++) {
        int order = strcmp(base->list[i].name, name);
        if (order >= 0 && !placed) {
            list[n++] = (struct setting){pw_strdup(name), pw_strdup(value)};
            placed = true;
        }
        if (order != 0)
            list[n++] =
                (struct setting){pw_strdup(base->list[i].name), pw_strdup(base->list[i].value)};
    }
    if (!placed)
        list[n++] = (struct setting){pw_strdup(name), pw_strdup(value)};
    if (n > PW_SETTINGS_MAX) {
        for (uint32_t i = 0; i < n; i++) {
            pw_free(list[i].name);
            pw_free(list[i].value);
        }
        pw_free(list);
        return NULL;
    }
    return intern(base->table, list, n);
}

const char *pw_settings_get(const struct settings *s, const char *name)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (!strcmp(s->list[i].name, name))
            return s->list[i].value;
    return NULL;
}

bool pw_settings_append_literal(struct buf *sql, const char *text)
{
    pw_buf_append_str(sql, "E'");
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            pw_buf_append_u8(sql, (uint8_t)*text);
        pw_buf_append_u8(sql, (uint8_t)*text);
    }
    return pw_buf_append_str(sql, "'");
}

void pw_settings_append_set(struct buf *sql, const char *name, const char *value)
{
    pw_buf_append_str(sql, "SELECT pg_catalog.set_config(");
    pw_settings_append_literal(sql, name);
    pw_buf_append_str(sql, ",");
    pw_settings_append_literal(sql, value);
    pw_buf_append_str(sql, ",false);");
}

void pw_settings_append_reset(struct buf *sql, const char *name)
{
    pw_buf_append_str(sql, "RESET ");
    for (const char *part = name; *part;) { /* "a.b" is two identifiers */
        size_t len = strcspn(part, ".");
        pw_buf_append_str(sql, "\"");
        for (size_t i = 0; i < len; i++) {
            if (part[i] == '"')
                pw_buf_append_u8(sql, '"');
            pw_buf_append_u8(sql, (uint8_t)part[i]);
        }
        pw_buf_append_str(sql, "\"");
        part += len;
        if (*part == '.') {
            pw_buf_append_str(sql, ".");
            part++;
        }
    }
}

/* When it is the turn of a setting that differs. */
enum turn { TURN_ENCODING, TURN_RESET, TURN_SET, TURNS };

static enum turn turn_of(const char *name, const char *value)
{
    if (!strcmp(name, "client_encoding"))
        return TURN_ENCODING;
    return value ? TURN_SET : TURN_RESET;
}

uint32_t pw_settings_diff(const struct settings *from, const struct settings *to,
                          struct setting_change list[PW_SETTINGS_DIFF_MAX])
{
    uint32_t n = 0;
    const char *role = pw_settings_get(to, role_name);
    if (from == to)
        return 0;
    if (pw_settings_get(from, role_name))
        list[n++] = (struct setting_change){role_name, NULL};
    for (int turn = 0; turn < TURNS; turn++) {
        for (uint32_t i = 0; i < from->n; i++) {
            const char *name = from->list[i].name;
            if (strcmp(name, role_name) != 0 && !pw_settings_get(to, name) &&
                (int)turn_of(name, NULL) == turn)
                list[n++] = (struct setting_change){name, NULL};
        }
        for (uint32_t i = 0; i < to->n; i++) {
            const char *name = to->list[i].name, *value = to->list[i].value;
            const char *old = pw_settings_get(from, name);
            if (strcmp(name, role_name) != 0 && (!old || strcmp(old, value) != 0) &&
                (int)turn_of(name, value) == turn)
                list[n++] = (struct setting_change){name, value};
        }
    }
    if (role)
        list[n++] = (struct setting_change){role_name, role};
    return n;
}
