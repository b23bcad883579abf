/* Interned contexts and database slots: equal keys give the same pointer, for ever (bounded). Any
 * thread. */
#include "planner/catalog.h"
#include "planner/state.h"
#include "proxy/base/alloc.h"

static struct db_slot *slot_locked(struct planner *p, uint32_t database_id)
{
    for (size_t i = 0; i < p->n_slots; i++) {
        if (p->slots[i]->id == database_id)
            return p->slots[i];
    }
    if (p->n_slots == PLANNER_SLOTS_MAX)
        return NULL;
    struct db_slot *s = pw_alloc(sizeof *s);
    s->id = database_id;
    s->planner = p;
    atomic_init(&s->generation, 1);
    PW_CHECK(uv_mutex_init(&s->lock) == 0);
    p->slots[p->n_slots++] = s;
    return s;
}

struct db_slot *pw_planner_slot(struct planner *p, uint32_t database_id)
{
    uv_mutex_lock(&p->lock);
    struct db_slot *s = slot_locked(p, database_id);
    uv_mutex_unlock(&p->lock);
    return s;
}

struct catalog *pw_slot_last_catalog(struct db_slot *s)
{
    uv_mutex_lock(&s->lock);
    struct catalog *c = s->last ? pw_catalog_ref(s->last) : NULL;
    uv_mutex_unlock(&s->lock);
    return c;
}

struct catalog *pw_slot_catalog(struct db_slot *s, uint64_t *generation, enum plan_reason *why_not)
{
    uv_mutex_lock(&s->lock);
    *generation = atomic_load_explicit(&s->generation, memory_order_relaxed);
    *why_not = s->pending ? PLAN_WHY_CATALOG_PENDING : PLAN_WHY_NO_CATALOG;
    struct catalog *c = s->catalog ? pw_catalog_ref(s->catalog) : NULL;
    uv_mutex_unlock(&s->lock);
    return c;
}

uint64_t pw_slot_wait_until(struct db_slot *s)
{
    uv_mutex_lock(&s->lock);
    uint64_t until = s->pending ? s->pending_since_us + pw_planner_catalog_wait(s->planner) : 0;
    uv_mutex_unlock(&s->lock);
    return until;
}

void pw_slot_publish(struct db_slot *s, struct catalog *catalog, bool pending)
{
    uv_mutex_lock(&s->lock);
    struct catalog *old = s->catalog;
    s->catalog = catalog;
    if (catalog) {
        pw_catalog_unref(s->last);
        s->last = pw_catalog_ref(catalog);
    }
    s->pending = pending;
    atomic_fetch_add_explicit(&s->generation, 1, memory_order_release);
    uv_mutex_unlock(&s->lock);
    pw_catalog_unref(old);
    pw_analysis_stir(s->planner->analysis);
}

static const char *login_of(const struct plan_context_key *k)
{
    return k->login ? k->login : k->user;
}

static uint64_t key_hash(const struct plan_context_key *k)
{
    const char *login = login_of(k);
    uint64_t h = pw_hash_bytes(k->user, strlen(k->user));
    h = pw_hash_mix(h, pw_hash_bytes(login, strlen(login)));
    if (k->search_path)
        h = pw_hash_mix(h, pw_hash_bytes(k->search_path, strlen(k->search_path)));
    uint64_t bits = (uint64_t)k->standard_conforming_strings << 1 | k->encoding_is_safe;
    return pw_hash_mix(h, (uint64_t)k->database_id << 2 | bits);
}

static bool key_is(const struct plan_context *c, const struct plan_context_key *k)
{
    return c->slot->id == k->database_id &&
           c->standard_conforming_strings == k->standard_conforming_strings &&
           c->encoding_is_safe == k->encoding_is_safe && strcmp(c->user, k->user) == 0 &&
           strcmp(c->login, login_of(k)) == 0 && !c->search_path == !k->search_path &&
           (!c->search_path || strcmp(c->search_path, k->search_path) == 0);
}

static const struct plan_context *intern_locked(struct planner *p, const struct plan_context_key *k)
{
    uint64_t hash = key_hash(k);
    for (struct hash_node *n = pw_hashmap_first(&p->contexts, hash); n; n = pw_hashmap_next(n)) {
        struct plan_context *c = PW_CONTAINER_OF(n, struct plan_context, node);
        if (key_is(c, k))
            return c;
    }
    struct db_slot *slot = slot_locked(p, k->database_id);
    if (!slot || p->contexts.count >= PLANNER_CONTEXTS_MAX)
        return &p->overflow;
    struct plan_context *c = pw_alloc(sizeof *c);
    c->slot = slot;
    c->user = pw_strdup(k->user);
    c->login = pw_strdup(login_of(k));
    c->search_path = k->search_path ? pw_strdup(k->search_path) : NULL;
    c->standard_conforming_strings = k->standard_conforming_strings;
    c->encoding_is_safe = k->encoding_is_safe;
    pw_hashmap_insert(&p->contexts, &c->node, hash);
    return c;
}

const struct plan_context *pw_plan_context(struct planner *p, const struct plan_context_key *key)
{
    uv_mutex_lock(&p->lock);
    const struct plan_context *c = intern_locked(p, key);
    uv_mutex_unlock(&p->lock);
    return c;
}
