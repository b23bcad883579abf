/*
 * Writes whose client is gone while the server was at work on them: they may still be committed.
 * What they touch counts as being written (nothing of it is cached) until the server has answered,
 * to nobody; when the server connection is lost too, for as long as a backend that does not know it
 * yet may reasonably go on. Worker's thread.
 */
#include "planner/planner.h"
#include "proxy/base/alloc.h"
#include "proxy/dispatch/dispatch_priv.h"

enum { LOST_US = 30 * 1000 * 1000 };

struct leftover {
    struct list_node link;       /* LINK dispatch->leftovers */
    const struct ticket *ticket; /* BACK: its end is the end; NULL: lost */
    uint64_t until_us;           /* when lost */
    uint32_t database_id;
    uint32_t *tables; /* OWN */
    uint32_t n_tables;
    uint32_t siblings[CLIENT_SIBLINGS_MAX], n_siblings;
    bool wrote_all, catalog, rights;
};

void pw_leftover_take(struct dispatch *d, struct client *c, const struct ticket *t)
{
    struct leftover *l = pw_alloc(sizeof *l);
    l->ticket = t;
    l->until_us = d->env.loop->now_us + LOST_US;
    l->database_id = c->pool->database_id;
    l->tables = c->txn_tables;
    l->n_tables = c->n_txn_tables;
    for (uint32_t i = 0; i < c->n_txn_siblings; i++)
        l->siblings[l->n_siblings++] = c->txn_siblings[i];
    l->wrote_all = c->txn_wrote_all;
    l->catalog = c->txn_catalog;
    l->rights = c->txn_rights;
    c->txn_tables = NULL;
    c->n_txn_tables = c->n_txn_siblings = 0;
    c->txn_wrote_all = c->txn_catalog = c->txn_rights = false;
    pw_list_push_back(&d->leftovers, &l->link);
}

static void changed(struct dispatch *d, const struct leftover *l, uint32_t database_id)
{
    if (l->catalog || l->rights)
        pw_planner_catalog_changed(d->shared->planner, database_id);
}

static void end(struct dispatch *d, struct leftover *l)
{
    struct cache *cache = d->shared->cache;
    pw_list_remove(&d->leftovers, &l->link);
    changed(d, l, l->database_id);
    if (l->rights)
        pw_cache_bump_all(cache);
    if (l->wrote_all) {
        pw_cache_bump_database(cache, l->database_id);
        pw_cache_write_end(cache, l->database_id, 0);
    }
    for (uint32_t i = 0; i < l->n_tables; i++) {
        pw_cache_bump_table(cache, l->database_id, l->tables[i]);
        pw_cache_write_end(cache, l->database_id, l->tables[i]);
    }
    for (uint32_t i = 0; i < l->n_siblings; i++) {
        changed(d, l, l->siblings[i]);
        pw_cache_bump_database(cache, l->siblings[i]);
        pw_cache_write_end(cache, l->siblings[i], 0);
    }
    pw_free(l->tables);
    pw_free(l);
}

void pw_leftover_ended(struct dispatch *d, const struct ticket *t, bool is_answered)
{
    PW_LIST_FOR(&d->leftovers, n, tmp)
    {
        struct leftover *l = PW_LIST_ENTRY(n, struct leftover, link);
        if (l->ticket != t)
            continue;
        l->ticket = NULL;
        l->until_us = d->env.loop->now_us + LOST_US;
        if (is_answered)
            end(d, l);
    }
}

void pw_leftover_expire(struct dispatch *d, uint64_t now_us)
{
    PW_LIST_FOR(&d->leftovers, n, tmp)
    {
        struct leftover *l = PW_LIST_ENTRY(n, struct leftover, link);
        if (!l->ticket && now_us >= l->until_us)
            end(d, l);
    }
}
