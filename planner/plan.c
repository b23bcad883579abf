/* struct plan: texts of the reasons, references, and the one static plan for what cannot be known.
 */
#include "planner/plan.h"

#include <string.h>

#include "planner/draft.h"
#include "planner/planner.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

static const char *const reason_texts[] = {
#define PLAN_REASON(name, text) text,
#include "planner/reasons.def"
#undef PLAN_REASON
};

static const char *const pin_texts[] = {
#define PIN_REASON(name, text) text,
#include "planner/pins.def"
#undef PIN_REASON
};

const char *pw_plan_reason_text(enum plan_reason r)
{
    return (unsigned)r < PLAN_REASON_COUNT ? reason_texts[r] : "unknown";
}

const char *pw_pin_reason_text(enum pin_reason r)
{
    return (unsigned)r < PIN_REASON_COUNT ? pin_texts[r] : "unknown";
}

static struct plan opaque = {
    .refs = 1,
    .cls = PLAN_OPAQUE,
    .flags = DRAFT_OPAQUE_FLAGS,
    .reason = PLAN_WHY_NOT_PARSED,
    .batch_reason = PLAN_WHY_NOT_PARSED,
    .pin_reason = PIN_OPAQUE,
    .pins = PIN_BIT(PIN_OPAQUE),
    .generation = PLAN_ANY_GENERATION,
    .family_text = "<not analysed>",
    .calls = "",
    .tag = "UNKNOWN",
    .n_statements = 1,
    .user_code = true,
};

const struct plan *pw_plan_opaque(void)
{
    return &opaque;
}

static enum plan_reason reason_of(const char *text)
{
    for (int i = 0; i < PLAN_REASON_COUNT; i++) {
        if (strcmp(reason_texts[i], text) == 0)
            return (enum plan_reason)i;
    }
    return PLAN_WHY_NOT_PARSED;
}

static const uint32_t *copy_oids(const uint32_t *oids, uint32_t n)
{
    uint32_t *copy = n ? pw_alloc(n * sizeof *copy) : NULL;
    if (n)
        memcpy(copy, oids, n * sizeof *copy);
    return copy;
}

const struct plan *pw_plan_remembered(const struct plan_memory *m)
{
    struct plan *p = pw_alloc(sizeof *p);
    atomic_init(&p->refs, 1);
    p->cls = PLAN_OPAQUE;
    p->flags = DRAFT_OPAQUE_FLAGS | (m->cacheable ? PLAN_F_CACHEABLE : 0) |
               (m->pipeline ? PLAN_F_PIPELINE : 0);
    p->reason = reason_of(m->cache_reason);
    p->batch_reason = reason_of(m->batch_reason);
    p->pin_reason = PIN_OPAQUE;
    p->pins = PIN_BIT(PIN_OPAQUE);
    p->family = m->family;
    p->family_text = pw_strdup(m->text);
    p->calls = pw_strdup("");
    p->tag = "";
    p->tables_read = copy_oids(m->tables_read, m->n_read);
    p->tables_written = copy_oids(m->tables_written, m->n_written);
    p->n_read = m->n_read;
    p->n_written = m->n_written;
    p->user_code = true;
    return p;
}

const struct plan *pw_plan_ref(const struct plan *p)
{
    if (p != &opaque)
        atomic_fetch_add_explicit(&((struct plan *)(uintptr_t)p)->refs, 1, memory_order_relaxed);
    return p;
}

void pw_plan_keys_free(const struct plan_keys *k)
{
    if (!k)
        return;
    for (uint32_t i = 0; i < k->n_columns; i++)
        pw_free((void *)(uintptr_t)k->columns[i].name);
    pw_free((void *)(uintptr_t)k->columns);
    pw_free((void *)(uintptr_t)k->values);
    pw_free((void *)(uintptr_t)k);
}

void pw_plan_unref(const struct plan *p)
{
    if (!p || p == &opaque)
        return;
    struct plan *mine = (struct plan *)(uintptr_t)p;
    uint32_t before = atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel);
    PW_CHECK(before > 0);
    if (before != 1)
        return;
    for (uint32_t i = 0; i < mine->n_sets; i++) {
        pw_free((void *)(uintptr_t)mine->sets[i].name);
        pw_free((void *)(uintptr_t)mine->sets[i].value);
    }
    pw_free((void *)(uintptr_t)mine->sets);
    pw_plan_keys_free(mine->key_read);
    for (uint32_t i = 0; i < mine->n_keys_written; i++)
        pw_plan_keys_free(mine->keys_written[i]);
    pw_free((void *)(uintptr_t)mine->keys_written);
    pw_free((void *)(uintptr_t)mine->prepared);
    pw_free((void *)(uintptr_t)mine->columns_read);
    pw_free((void *)(uintptr_t)mine->columns_written);
    pw_free((void *)(uintptr_t)mine->tables_read);
    pw_free((void *)(uintptr_t)mine->tables_written);
    pw_free((void *)(uintptr_t)mine->family_text);
    pw_free((void *)(uintptr_t)mine->calls);
    pw_free(mine);
}
