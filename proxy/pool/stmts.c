#include "proxy/pool/stmts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/pool/settings.h"
#include "proxy/wire/reader.h"

enum { RECENT_BYTES_MAX = 8192, FIRST_USER_OID = 16384 };

void pw_stmt_table_init(struct stmt_table *t, void (*free_plan)(const void *plan))
{
    *t = (struct stmt_table){.free_plan = free_plan};
    pw_hashmap_init(&t->map);
}

void pw_stmt_table_free(struct stmt_table *t)
{
    for (uint32_t i = 0; i < STMTS_RECENT; i++)
        pw_stmt_unref(t->recent[i]);
    PW_CHECK(t->map.count == 0);
    pw_hashmap_free(&t->map);
}

/* No 'text' and no $tag$text$tag$: all that begins with a dollar is $1. Too strict with what stands
 * in names. */
static bool has_no_quoted_constant(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], next = i + 1 < text.len ? text.ptr[i + 1] : '\0';
        if (c == '\'' || (c == '$' && (next < '0' || next > '9')))
            return false;
    }
    return true;
}

static void keep_recent(struct stmt_table *t, struct stmt *s)
{
    if (s->text_len + s->types_len > RECENT_BYTES_MAX)
        return;
    uint32_t at = t->recent_at++ % STMTS_RECENT;
    pw_stmt_unref(t->recent[at]);
    t->recent[at] = pw_stmt_ref(s);
}

static bool are_builtin(struct slice types)
{
    for (size_t i = 2; i + 4 <= types.len; i += 4)
        if (pw_load_u32(types.ptr + i) >= FIRST_USER_OID)
            return false;
    return true;
}

static struct stmt *get(struct stmt_table *t, struct settings *settings, struct slice text,
                        struct slice types, bool ours)
{
    uint64_t hash =
        pw_hash_mix(pw_hash_bytes(text.ptr, text.len), pw_hash_bytes(types.ptr, types.len));
    hash = pw_hash_mix(hash, (uint64_t)(uintptr_t)settings + ours);
    for (struct hash_node *h = pw_hashmap_first(&t->map, hash); h; h = pw_hashmap_next(h)) {
        struct stmt *known = PW_CONTAINER_OF(h, struct stmt, node);
        if (known->settings == settings && known->ours == ours &&
            pw_slice_eq(pw_stmt_text(known), text) && pw_slice_eq(pw_stmt_types(known), types))
            return pw_stmt_ref(known);
    }
    struct stmt *s = pw_alloc(sizeof *s);
    s->table = t;
    s->refs = 1;
    s->settings = pw_settings_ref(settings);
    snprintf(s->server_name, sizeof s->server_name, PW_STMT_NAME_PREFIX "%" PRIu64,
             ++t->last_number);
    s->text_len = (uint32_t)text.len;
    s->types_len = (uint32_t)types.len;
    s->body = pw_alloc(text.len + 1 + types.len);
    memcpy(s->body, text.ptr, text.len);
    memcpy(s->body + text.len + 1, types.ptr, types.len);
    s->ours = ours;
    s->plain = has_no_quoted_constant(text);
    s->builtin_types = are_builtin(types);
    pw_hashmap_insert(&t->map, &s->node, hash);
    keep_recent(t, s);
    return s;
}

struct stmt *pw_stmt_get(struct stmt_table *t, struct settings *settings, struct slice text,
                         struct slice types)
{
    return get(t, settings, text, types, false);
}

struct stmt *pw_stmt_get_ours(struct stmt_table *t, struct settings *settings, struct slice text,
                              struct slice types)
{
    return get(t, settings, text, types, true);
}

struct stmt *pw_stmt_ref(struct stmt *s)
{
    s->refs++;
    return s;
}

void pw_stmt_retire(struct stmt *s)
{
    if (s->retired)
        return;
    s->retired = true;
    pw_hashmap_remove(&s->table->map, &s->node);
}

void pw_stmt_unref(struct stmt *s)
{
    if (!s || --s->refs > 0)
        return;
    pw_stmt_retire(s);
    if (s->plan)
        s->table->free_plan(s->plan);
    pw_settings_unref(s->settings);
    pw_free(s->body);
    pw_free(s);
}

void pw_server_stmts_init(struct server_stmts *s)
{
    pw_hashmap_init(&s->map);
    pw_list_init(&s->lru);
}

static uint64_t key_of(const struct stmt *stmt)
{
    return pw_hash_mix((uint64_t)(uintptr_t)stmt, 0);
}

static struct server_stmt *find(const struct server_stmts *s, const struct stmt *stmt)
{
    for (struct hash_node *h = pw_hashmap_first(&s->map, key_of(stmt)); h; h = pw_hashmap_next(h)) {
        struct server_stmt *known = PW_CONTAINER_OF(h, struct server_stmt, node);
        if (known->stmt == stmt)
            return known;
    }
    return NULL;
}

static void drop(struct server_stmts *s, struct server_stmt *known)
{
    pw_hashmap_remove(&s->map, &known->node);
    pw_list_remove(&s->lru, &known->lru);
    pw_stmt_unref(known->stmt);
    pw_free(known);
}

void pw_server_stmts_clear(struct server_stmts *s)
{
    while (!pw_list_empty(&s->lru))
        drop(s, PW_LIST_ENTRY(pw_list_first(&s->lru), struct server_stmt, lru));
    pw_hashmap_free(&s->map);
}

struct server_stmt *pw_server_stmts_touch(struct server_stmts *s, const struct stmt *stmt)
{
    struct server_stmt *known = find(s, stmt);
    if (known) {
        pw_list_remove(&s->lru, &known->lru);
        pw_list_push_back(&s->lru, &known->lru);
    }
    return known;
}

struct server_stmt *pw_server_stmts_add(struct server_stmts *s, struct stmt *stmt)
{
    struct server_stmt *known = pw_server_stmts_touch(s, stmt);
    if (known)
        return known;
    struct server_stmt *fresh = pw_alloc(sizeof *fresh);
    fresh->stmt = pw_stmt_ref(stmt);
    pw_hashmap_insert(&s->map, &fresh->node, key_of(stmt));
    pw_list_push_back(&s->lru, &fresh->lru);
    return fresh;
}

void pw_server_stmts_confirm(struct server_stmts *s, const struct stmt *stmt)
{
    struct server_stmt *known = find(s, stmt);
    if (known)
        known->confirmed = true;
}

void pw_server_stmts_forget(struct server_stmts *s, const struct stmt *stmt)
{
    struct server_stmt *known = find(s, stmt);
    if (known)
        drop(s, known);
}

struct stmt *pw_server_stmts_evict(struct server_stmts *s, size_t max, const struct stmt *keep)
{
    if (s->lru.count <= max)
        return NULL;
    struct server_stmt *oldest = PW_LIST_ENTRY(pw_list_first(&s->lru), struct server_stmt, lru);
    if (oldest->stmt == keep)
        return NULL;
    struct stmt *victim = pw_stmt_ref(oldest->stmt);
    drop(s, oldest);
    return victim;
}
