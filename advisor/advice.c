/* See advice.h and advice_build.h. */
#include "advisor/advice.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/advice_build.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/clock.h"

#define REFUSED_MAX 500

static const char *const kind_texts[] = {
#define ADVICE_KIND(name, text, title) text,
#include "advisor/advice_kinds.def"
#undef ADVICE_KIND
};

static const char *const kind_titles[] = {
#define ADVICE_KIND(name, text, title) title,
#include "advisor/advice_kinds.def"
#undef ADVICE_KIND
};

const char *pw_advice_kind_text(enum advice_kind k)
{
    return kind_texts[k];
}

const char *pw_advice_kind_title(enum advice_kind k)
{
    return kind_titles[k];
}

const char *pw_advice_confidence_text(enum advice_confidence c)
{
    static const char *const texts[] = {"high", "medium", "low"};
    return texts[c];
}

struct advice_set *pw_advice_set_new(const char *source)
{
    struct advice_set *s = pw_alloc(sizeof(*s));
    atomic_init(&s->refs, 1);
    pw_arena_init(&s->mem, PW_MEM_MAX);
    s->generated_us = pw_clock_wall_us();
    s->source = pw_mem_str(&s->mem, source);
    s->database = "";
    s->window_queries = NAN;
    s->summary = (struct advice_summary){.cost_before = NAN,
                                         .cost_after = NAN,
                                         .improvement_pct = NAN,
                                         .index_bytes_added = 0,
                                         .index_bytes_freed = 0,
                                         .seconds = NAN};
    return s;
}

struct advice_set *pw_advice_set_ref(struct advice_set *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void pw_advice_set_unref(struct advice_set *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    pw_arena_free(&s->mem);
    pw_free(s);
}

const struct advice *pw_advice_find(const struct advice_set *s, const char *id)
{
    for (size_t k = 0; k < s->n_items; k++)
        if (strcmp(s->items[k].id, id) == 0)
            return &s->items[k];
    return NULL;
}

size_t pw_advice_count(const struct advice_set *s, enum advice_kind k)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_items; i++)
        n += s->items[i].kind == k;
    return n;
}

struct advice *pw_advice_add(struct advice_set *s, enum advice_kind kind, const char *table,
                             const char *object)
{
    s->items = pw_mem_push(&s->mem, s->items, &s->n_items, sizeof(*s->items));
    struct advice *a = &s->items[s->n_items - 1];
    *a = (struct advice){.kind = kind,
                         .table = pw_mem_str(&s->mem, table),
                         .object = pw_mem_str(&s->mem, object),
                         .id = "",
                         .sql = "",
                         .undo_sql = "",
                         .reason = "",
                         .size_bytes = NAN,
                         .benefit_pct = NAN,
                         .confidence = ADVICE_HIGH};
    pw_advice_identify(s, a, object);
    return a;
}

/* FNV-1a: ids must be the same in every process, so the seeded hash will not do. */
static uint64_t fnv(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return (h ^ 0xff) * UINT64_C(1099511628211);
}

void pw_advice_identify(struct advice_set *s, struct advice *a, const char *identity)
{
    static const char *const prefixes[] = {
        [ADVICE_CREATE] = "c",         [ADVICE_FK_INDEX] = "k",    [ADVICE_DROP_INVALID] = "i",
        [ADVICE_DROP_REDUNDANT] = "d", [ADVICE_DROP_UNUSED] = "u", [ADVICE_REBUILD] = "r",
        [ADVICE_STATISTICS] = "s",     [ADVICE_JIT] = "j",         [ADVICE_FUNCTION] = "f"};
    uint64_t h = fnv(fnv(fnv(UINT64_C(14695981039346656037), s->database), a->table), identity);
    h ^= h >> 32;
    a->id = pw_mem_printf(&s->mem, "%s-%06x", prefixes[a->kind], (unsigned)(h & 0xffffff));
    for (size_t k = 0; k < s->n_items; k++)
        if (&s->items[k] != a && strcmp(s->items[k].id, a->id) == 0)
            a->id = pw_mem_printf(&s->mem, "%s-%08x", prefixes[a->kind],
                                  (unsigned)((h * 31 + k) & 0xffffffff));
}

void pw_advice_column(struct advice_set *s, struct advice *a, const char *name)
{
    a->columns = pw_mem_push(&s->mem, a->columns, &a->n_columns, sizeof(*a->columns));
    a->columns[a->n_columns - 1] = pw_mem_str(&s->mem, name);
}

void pw_advice_fact_json(struct advice_set *s, struct advice *a, const char *name, const char *json)
{
    a->facts = pw_mem_push(&s->mem, a->facts, &a->n_facts, sizeof(*a->facts));
    a->facts[a->n_facts - 1] =
        (struct advice_fact){pw_mem_str(&s->mem, name), pw_mem_str(&s->mem, json)};
}

void pw_advice_fact_num(struct advice_set *s, struct advice *a, const char *name, double value)
{
    char text[40];
    if (!isfinite(value))
        snprintf(text, sizeof(text), "null");
    else if (value == floor(value) && fabs(value) < 1e15)
        snprintf(text, sizeof(text), "%.0f", value);
    else
        snprintf(text, sizeof(text), "%.4g", value);
    pw_advice_fact_json(s, a, name, text);
}

void pw_advice_fact_text(struct advice_set *s, struct advice *a, const char *name,
                         const char *value)
{
    pw_advice_fact_json(s, a, name, pw_mem_json(&s->mem, value));
}

void pw_advice_fact_bool(struct advice_set *s, struct advice *a, const char *name, bool value)
{
    pw_advice_fact_json(s, a, name, value ? "true" : "false");
}

void pw_advice_query(struct advice_set *s, struct advice *a, uint64_t family, const char *text,
                     double calls, double before, double after)
{
    a->queries = pw_mem_push(&s->mem, a->queries, &a->n_queries, sizeof(*a->queries));
    a->queries[a->n_queries - 1] =
        (struct advice_query){family, pw_mem_str(&s->mem, text), calls, before, after};
}

PW_PRINTF(2, 0)
static char *vformat(struct arena *mem, const char *fmt, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof(text), fmt, args);
    return pw_mem_str(mem, text);
}

const char *pw_advice_nothing_text(const struct advice_set *s)
{
    if (!s->database || !s->database[0])
        return "No advice: nothing could be looked at.";
    return s->partial ? "Nothing to change, as far as could be looked at." : "Nothing to change.";
}

void pw_advice_refuse(struct advice_set *s, const char *object, const char *fmt, ...)
{
    for (size_t k = 0; k < s->n_refused; k++)
        if (strcmp(s->refused[k].object, object) == 0)
            return; /* the first reason was reason enough */
    if (s->n_refused >= REFUSED_MAX)
        return;
    s->refused = pw_mem_push(&s->mem, s->refused, &s->n_refused, sizeof(*s->refused));
    va_list args;
    va_start(args, fmt);
    s->refused[s->n_refused - 1] =
        (struct advice_refused){pw_mem_str(&s->mem, object), vformat(&s->mem, fmt, args)};
    va_end(args);
}

void pw_advice_note(struct advice_set *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = vformat(&s->mem, fmt, args);
    va_end(args);
    for (size_t k = 0; k < s->n_notes; k++)
        if (strcmp(s->notes[k], text) == 0)
            return;
    s->notes = pw_mem_push(&s->mem, s->notes, &s->n_notes, sizeof(*s->notes));
    s->notes[s->n_notes - 1] = text;
}

static double known(double v)
{
    return isnan(v) ? -1 : v;
}

static int compare_advice(const void *x, const void *y)
{
    const struct advice *a = x, *b = y;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (known(a->benefit_pct) != known(b->benefit_pct))
        return known(a->benefit_pct) > known(b->benefit_pct) ? -1 : 1;
    int by_table = strcmp(a->table, b->table);
    return by_table ? by_table : strcmp(a->object, b->object);
}

void pw_advice_set_finish(struct advice_set *s)
{
    if (s->n_items)
        qsort(s->items, s->n_items, sizeof(*s->items), compare_advice);
}

static void copy_item(struct advice_set *s, const struct advice *from)
{
    struct advice *a = pw_advice_add(s, from->kind, from->table, from->object);
    a->id = pw_mem_str(&s->mem, from->id);
    a->sql = pw_mem_str(&s->mem, from->sql);
    a->undo_sql = pw_mem_str(&s->mem, from->undo_sql);
    a->reason = pw_mem_str(&s->mem, from->reason);
    a->size_bytes = from->size_bytes;
    a->benefit_pct = from->benefit_pct;
    a->confidence = from->confidence;
    for (size_t k = 0; k < from->n_columns; k++)
        pw_advice_column(s, a, from->columns[k]);
    for (size_t k = 0; k < from->n_facts; k++)
        pw_advice_fact_json(s, a, from->facts[k].name, from->facts[k].value);
    for (size_t k = 0; k < from->n_queries; k++) {
        const struct advice_query *q = &from->queries[k];
        pw_advice_query(s, a, q->family, q->text, q->calls, q->cost_before, q->cost_after);
    }
}

static bool has_note(const struct advice_set *s, const char *text)
{
    for (size_t k = 0; k < s->n_notes; k++)
        if (strcmp(s->notes[k], text) == 0)
            return true;
    return false;
}

static bool has_refused(const struct advice_set *s, const struct advice_refused *r)
{
    for (size_t k = 0; k < s->n_refused; k++)
        if (strcmp(s->refused[k].object, r->object) == 0 &&
            strcmp(s->refused[k].reason, r->reason) == 0)
            return true;
    return false;
}

static void copy_rest(struct advice_set *to, const struct advice_set *from)
{
    for (size_t k = 0; k < from->n_refused; k++)
        if (!has_refused(to, &from->refused[k]))
            pw_advice_refuse(to, from->refused[k].object, "%s", from->refused[k].reason);
    for (size_t k = 0; k < from->n_notes; k++)
        if (!has_note(to, from->notes[k]))
            pw_advice_note(to, "%s", from->notes[k]);
    to->partial = to->partial || from->partial;
}

struct advice_set *pw_advice_set_merge(struct advice_set *old, struct advice_set *fresh,
                                       unsigned kinds)
{
    bool indexes = kinds & (1u << ADVICE_CREATE);
    const struct advice_set *head = indexes ? fresh : old;
    struct advice_set *s = pw_advice_set_new(head->source);
    s->database = pw_mem_str(&s->mem, head->database);
    s->window_from_us = head->window_from_us;
    s->window_to_us = head->window_to_us;
    s->window_queries = head->window_queries;
    s->window_families = head->window_families;
    s->summary = head->summary;
    for (size_t k = 0; k < old->n_items; k++)
        if (!(kinds & (1u << old->items[k].kind)))
            copy_item(s, &old->items[k]);
    for (size_t k = 0; k < fresh->n_items; k++)
        copy_item(s, &fresh->items[k]);
    if (!indexes)
        copy_rest(s, old);
    copy_rest(s, fresh);
    pw_advice_set_finish(s);
    pw_advice_set_unref(old);
    pw_advice_set_unref(fresh);
    return s;
}

char *pw_advice_size_text(double bytes, char *out, size_t size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t u = 0;
    while (fabs(bytes) >= 1024 && u + 1 < PW_COUNT_OF(units)) {
        bytes /= 1024;
        u++;
    }
    if (isnan(bytes))
        snprintf(out, size, "?");
    else
        snprintf(out, size, u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
    return out;
}

char *pw_advice_age_text(double seconds, char *out, size_t size)
{
    if (isnan(seconds))
        snprintf(out, size, "an unknown time");
    else if (seconds >= 86400)
        snprintf(out, size, "%.1f days", seconds / 86400);
    else if (seconds >= 3600)
        snprintf(out, size, "%.1f hours", seconds / 3600);
    else if (seconds >= 60)
        snprintf(out, size, "%.0f minutes", seconds / 60);
    else
        snprintf(out, size, "%.0f seconds", seconds);
    return out;
}
