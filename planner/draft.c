/* See draft.h. */
#include "planner/draft.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "planner/planner.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"

enum { CALLS_TEXT_MAX = 8192 };

bool pw_oid_list_has(const struct oid_list *l, uint32_t oid)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->oids[i] == oid)
            return true;
    }
    return false;
}

bool pw_oid_list_add(struct oid_list *l, uint32_t oid)
{
    if (l->n >= DRAFT_TABLES_MAX || pw_oid_list_has(l, oid))
        return false;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 8;
        l->oids = pw_realloc(l->oids, l->cap * sizeof *l->oids);
    }
    l->oids[l->n++] = oid;
    return true;
}

void pw_draft_init(struct draft *d)
{
    *d = (struct draft){.cls = PLAN_EMPTY, .tag = ""};
}

static void free_sets(struct draft *d)
{
    for (uint32_t i = 0; i < d->n_sets; i++) {
        pw_free((void *)(uintptr_t)d->sets[i].name);
        pw_free((void *)(uintptr_t)d->sets[i].value);
    }
    d->n_sets = 0;
}

void pw_draft_free(struct draft *d)
{
    free_sets(d);
    PW_FREE(d->read.oids);
    PW_FREE(d->written.oids);
    PW_FREE(d->removed.oids);
    PW_FREE(d->opened.oids);
    PW_FREE(d->functions.oids);
    PW_FREE(d->views.oids);
    pw_plan_keys_free(d->key_read);
    d->key_read = NULL;
    for (uint32_t i = 0; i < d->n_keys_written; i++)
        pw_plan_keys_free(d->keys_written[i]);
    d->n_keys_written = 0;
    for (uint32_t i = 0; i < d->n_calls; i++)
        pw_free(d->calls[i].name);
    d->n_calls = 0;
    PW_FREE(d->columns_read.list);
    PW_FREE(d->columns_written.list);
}

void pw_draft_call(struct draft *d, const char *name, char volatility)
{
    for (uint32_t i = 0; i < d->n_calls; i++) {
        if (strcmp(d->calls[i].name, name) != 0)
            continue;
        if (volatility > d->calls[i].volatility)
            d->calls[i].volatility = volatility;
        return;
    }
    if (d->n_calls < DRAFT_CALLS_MAX)
        d->calls[d->n_calls++] = (struct draft_call){pw_strdup(name), volatility};
}

/* "lower (immutable), now (stable)" */
static char *calls_text(const struct draft *d)
{
    struct buf b;
    pw_buf_init(&b, CALLS_TEXT_MAX);
    for (uint32_t i = 0; i < d->n_calls; i++) {
        char v = d->calls[i].volatility;
        pw_buf_printf(&b, "%s%s (%s)", i ? ", " : "", d->calls[i].name,
                      v == 'i'   ? "immutable"
                      : v == 's' ? "stable"
                      : v == 'v' ? "volatile"
                                 : "unknown");
    }
    char *text = pw_strndup(b.len ? b.data : "", b.len);
    pw_buf_free(&b);
    return text;
}

void pw_draft_column(struct draft_columns *l, uint32_t table, int16_t attnum)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->list[i].table == table && l->list[i].attnum == attnum)
            return;
    }
    if (l->n == DRAFT_COLUMNS_MAX) {
        l->overflow = true;
        return;
    }
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->list = pw_realloc(l->list, l->cap * sizeof *l->list);
    }
    l->list[l->n++] = (struct plan_column){table, attnum};
}

void pw_draft_refuse(struct draft *d, enum plan_reason why)
{
    if (d->reason == PLAN_WHY_NOT_NONE)
        d->reason = why;
}

void pw_draft_refuse_batch(struct draft *d, enum plan_reason why)
{
    if (d->batch_reason == PLAN_WHY_NOT_NONE)
        d->batch_reason = why;
}

void pw_draft_refuse_both(struct draft *d, enum plan_reason why)
{
    pw_draft_refuse(d, why);
    pw_draft_refuse_batch(d, why);
}

void pw_draft_pin(struct draft *d, enum pin_reason why)
{
    d->flags |= PLAN_F_PINS;
    d->pins |= PIN_BIT(why);
    if (d->pin_reason == PIN_NONE)
        d->pin_reason = why;
}

void pw_draft_writes_all(struct draft *d)
{
    d->flags |= PLAN_F_WRITES | PLAN_F_WRITES_ALL;
}

/* What pw_plan_context depends on; "*" is a name that is not known. */
bool pw_plan_is_context_setting(const char *name)
{
    static const char *const names[] = {"search_path",
                                        "role",
                                        "session_authorization",
                                        "standard_conforming_strings",
                                        "client_encoding",
                                        "backslash_quote",
                                        "*",
                                        ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

void pw_draft_set(struct draft *d, enum plan_set_kind kind, struct slice name, const char *value)
{
    if (d->n_sets == DRAFT_SETS_MAX) {
        pw_draft_pin(d, PIN_SET);
        return;
    }
    char *copy = pw_strndup(name.ptr ? name.ptr : "", name.len);
    for (char *p = copy; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
    if (pw_plan_is_context_setting(copy))
        d->flags |= PLAN_F_CONTEXT;
    d->sets[d->n_sets++] = (struct plan_set){kind, copy, value ? pw_strdup(value) : NULL};
}

void pw_draft_opaque(struct draft *d, enum plan_reason why)
{
    free_sets(d);
    d->cls = PLAN_OPAQUE;
    d->flags |= DRAFT_OPAQUE_FLAGS;
    d->flags &= ~(uint32_t)PLAN_F_SETS;
    pw_draft_refuse_both(d, why);
    pw_draft_pin(d, PIN_OPAQUE);
    if (!*d->tag)
        d->tag = "UNKNOWN";
}

static int compare_oids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t take_oids(struct oid_list *l, const uint32_t **out)
{
    if (l->n)
        qsort(l->oids, l->n, sizeof *l->oids, compare_oids);
    *out = l->oids;
    uint32_t n = (uint32_t)l->n;
    *l = (struct oid_list){0};
    return n;
}

static int compare_columns(const void *a, const void *b)
{
    const struct plan_column *x = a, *y = b;
    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return (x->attnum > y->attnum) - (x->attnum < y->attnum);
}

static uint32_t take_columns(struct draft_columns *l, const struct plan_column **out)
{
    if (l->n)
        qsort(l->list, l->n, sizeof *l->list, compare_columns);
    *out = l->list;
    uint32_t n = (uint32_t)l->n;
    *l = (struct draft_columns){0};
    return n;
}

static void take_keys(struct draft *d, struct plan *p)
{
    p->key_read = d->key_read;
    d->key_read = NULL;
    p->n_keys_written = d->n_keys_written;
    if (d->n_keys_written) {
        const struct plan_keys **list = pw_alloc(d->n_keys_written * sizeof *list);
        for (uint32_t i = 0; i < d->n_keys_written; i++)
            list[i] = d->keys_written[i];
        p->keys_written = list;
    }
    d->n_keys_written = 0;
    p->columns_known =
        d->columns_known && !d->columns_read.overflow && !d->columns_written.overflow;
    p->n_columns_read = take_columns(&d->columns_read, &p->columns_read);
    p->n_columns_written = take_columns(&d->columns_written, &p->columns_written);
}

/* What the hints say is decided by the reader of the plan, but a plan is only CACHEABLE or PIPELINE
 * when nothing at all spoke against it. */
static void set_verdicts(struct draft *d)
{
    if (d->n_statements > 1) {
        d->flags |= PLAN_F_MULTI;
        pw_draft_refuse_both(d, PLAN_WHY_MULTI);
    }
    if (d->read.n >= DRAFT_TABLES_MAX || d->written.n >= DRAFT_TABLES_MAX) {
        pw_draft_refuse(d, PLAN_WHY_UNSUPPORTED);
        if (d->flags & PLAN_F_WRITES)
            pw_draft_writes_all(d);
    }
    if (d->cls != PLAN_READ)
        pw_draft_refuse_both(d, PLAN_WHY_NOT_SELECT);
    if (d->flags & (PLAN_F_WRITES | PLAN_F_PINS | PLAN_F_SETS | PLAN_F_VOLATILE | PLAN_F_LOCKS |
                    PLAN_F_SESSION_READ | PLAN_F_SEQUENCE | PLAN_F_CURRVAL))
        pw_draft_refuse_both(d, PLAN_WHY_UNSUPPORTED);
    if (d->reason == PLAN_WHY_NOT_NONE)
        d->flags |= PLAN_F_CACHEABLE;
    if (d->batch_reason == PLAN_WHY_NOT_NONE)
        d->flags |= PLAN_F_PIPELINE;
}

struct plan *pw_draft_finish(struct draft *d, const struct draft_identity *id)
{
    set_verdicts(d);
    struct plan *p = pw_alloc(sizeof *p);
    atomic_init(&p->refs, 1);
    p->cls = d->cls;
    p->flags = d->flags;
    p->reason = d->reason;
    p->batch_reason = d->batch_reason;
    p->pin_reason = d->pin_reason;
    p->pins = d->pins;
    p->generation = d->needs_catalog ? id->generation : PLAN_ANY_GENERATION;
    p->family = id->family;
    p->family_text = pw_strdup(id->family_text);
    p->tag = d->tag;
    p->n_statements = d->n_statements;
    p->hint_cache = id->hint_cache;
    p->user_code = d->user_code || d->cls == PLAN_OPAQUE;
    p->hint_batch = id->hint_batch;
    p->hint_ttl_us = id->hint_ttl_us;
    p->n_read = take_oids(&d->read, &p->tables_read);
    p->n_written = take_oids(&d->written, &p->tables_written);
    take_keys(d, p);
    p->calls = calls_text(d);
    if (d->n_sets) {
        struct plan_set *sets = pw_alloc(d->n_sets * sizeof *sets);
        memcpy(sets, d->sets, d->n_sets * sizeof *sets);
        p->sets = sets;
        p->n_sets = d->n_sets;
        d->n_sets = 0;
    }
    return p;
}
