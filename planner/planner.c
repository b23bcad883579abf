/* The planner as a whole: its thread, its limits, its end. See planner.h. */
#include "planner/planner.h"

#include "conf/conf.h"
#include "planner/catalog.h"
#include "planner/limits.h"
#include "planner/state.h"
#include "proxy/base/alloc.h"

void pw_planner_configure(struct planner *p, const struct pw_conf *conf)
{
    size_t max = pw_limits_sql_bytes(conf ? (size_t)conf->planner.max_sql_bytes : 0);
    atomic_store_explicit(&p->max_sql_bytes, max, memory_order_relaxed);
    atomic_store_explicit(&p->catalog_wait_us, conf ? conf->planner.catalog_wait_us : 0,
                          memory_order_relaxed);
}

uint64_t pw_planner_catalog_wait(const struct planner *p)
{
    return atomic_load_explicit(&p->catalog_wait_us, memory_order_relaxed);
}

struct planner *pw_planner_new(const struct pw_conf *conf)
{
    struct planner *p = pw_alloc(sizeof *p);
    PW_CHECK(uv_mutex_init(&p->lock) == 0);
    pw_hashmap_init(&p->contexts);
    p->overflow.is_overflow = true;
    p->overflow.slot = pw_planner_slot(p, UINT32_MAX);
    pw_planner_configure(p, conf);
    p->analysis = pw_analysis_new(LIMIT_QUEUE);
    return p;
}

void pw_planner_free(struct planner *p)
{
    if (!p)
        return;
    pw_analysis_free(p->analysis);
    PW_HASHMAP_FOR(&p->contexts, it, tmp)
    {
        struct plan_context *c = PW_CONTAINER_OF(it, struct plan_context, node);
        pw_free(c->user);
        pw_free(c->login);
        pw_free(c->search_path);
        pw_free(c);
    }
    pw_hashmap_free(&p->contexts);
    for (size_t i = 0; i < p->n_slots; i++) {
        pw_catalog_unref(p->slots[i]->catalog);
        pw_catalog_unref(p->slots[i]->last);
        uv_mutex_destroy(&p->slots[i]->lock);
        pw_free(p->slots[i]);
    }
    uv_mutex_destroy(&p->lock);
    pw_free(p);
}

void pw_planner_on_foreign_writes(struct planner *p, pw_on_foreign_writes cb, void *arg)
{
    p->on_foreign_writes = cb;
    p->on_foreign_writes_arg = arg;
}
