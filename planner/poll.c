/* See poll.h. */
#include "planner/poll.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/hashmap.h"
#include "proxy/net/pgconn.h"

struct poll_row {
    struct hash_node node;
    uint32_t oid;
    uint64_t state; /* counter and file, mixed */
    uint64_t round; /* when it was last seen */
};

struct poll_state {
    struct hashmap rows;
    uint64_t round;    /* 0: no baseline */
    uint32_t *changed; /* OWN */
    size_t n_changed, cap_changed;
};

struct poll_state *pw_poll_new(void)
{
    struct poll_state *s = pw_alloc(sizeof *s);
    pw_hashmap_init(&s->rows);
    return s;
}

void pw_poll_forget(struct poll_state *s)
{
    PW_HASHMAP_FOR(&s->rows, it, tmp)
    {
        pw_free(PW_CONTAINER_OF(it, struct poll_row, node));
    }
    pw_hashmap_free(&s->rows);
    pw_hashmap_init(&s->rows);
    s->round = 0;
}

void pw_poll_free(struct poll_state *s)
{
    if (!s)
        return;
    pw_poll_forget(s);
    pw_hashmap_free(&s->rows);
    pw_free(s->changed);
    pw_free(s);
}

bool pw_poll_has_baseline(const struct poll_state *s)
{
    return s->round > 0;
}

#define COUNTER                                                                                    \
    "pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + "                    \
    "pg_stat_get_tuples_deleted(c.oid)"

const char *pw_poll_sql(void)
{
    return "SELECT c.oid, " COUNTER ", c.relfilenode FROM pg_class c WHERE c.relkind IN ('r', 'm') "
           "AND c.oid >= 16384 AND c.relpersistence <> 't' "
           "UNION ALL SELECT 0, sum(" COUNTER
           ")::bigint, 0 FROM pg_class c WHERE c.relnamespace = 11 "
           "AND c.relkind = 'r' AND c.relname NOT IN ('pg_statistic', 'pg_statistic_ext_data', "
           "'pg_depend', 'pg_shdepend', 'pg_description', 'pg_shdescription', 'pg_largeobject', "
           "'pg_largeobject_metadata', 'pg_replication_origin', 'pg_subscription_rel')";
}

static struct poll_row *find(struct poll_state *s, uint32_t oid)
{
    for (struct hash_node *n = pw_hashmap_first(&s->rows, pw_hash_mix(oid, 0)); n;
         n = pw_hashmap_next(n)) {
        struct poll_row *row = PW_CONTAINER_OF(n, struct poll_row, node);
        if (row->oid == oid)
            return row;
    }
    return NULL;
}

static void note_changed(struct poll_state *s, uint32_t oid)
{
    if (s->n_changed == s->cap_changed) {
        s->cap_changed = s->cap_changed ? s->cap_changed * 2 : 64;
        s->changed = pw_realloc(s->changed, s->cap_changed * sizeof *s->changed);
    }
    s->changed[s->n_changed++] = oid;
}

/* True when it is another state than last time; a row never seen before counts as changed. */
static bool update(struct poll_state *s, uint32_t oid, uint64_t state)
{
    struct poll_row *row = find(s, oid);
    bool changed = !row || row->state != state;
    if (!row) {
        row = pw_alloc(sizeof *row);
        row->oid = oid;
        pw_hashmap_insert(&s->rows, &row->node, pw_hash_mix(oid, 0));
    }
    row->state = state;
    row->round = s->round;
    return changed;
}

static void drop_unseen(struct poll_state *s)
{
    PW_HASHMAP_FOR(&s->rows, it, tmp)
    {
        struct poll_row *row = PW_CONTAINER_OF(it, struct poll_row, node);
        if (row->round == s->round)
            continue;
        note_changed(s, row->oid);
        pw_hashmap_remove(&s->rows, it);
        pw_free(row);
    }
}

static uint64_t number(const struct pgresult *r, int row, int col)
{
    const char *v = pw_pgresult_get(r, row, col);
    return v ? strtoull(v, NULL, 10) : 0;
}

bool pw_poll_take(struct poll_state *s, const struct pgresult *r, struct poll_news *news)
{
    *news = (struct poll_news){0};
    if (!pw_pgresult_ok(r) || pw_pgresult_cols(r) != 3)
        return false;
    bool baseline = s->round++ == 0;
    s->n_changed = 0;
    for (int i = 0; i < pw_pgresult_rows(r); i++) {
        uint32_t oid = (uint32_t)number(r, i, 0);
        bool changed = update(s, oid, pw_hash_mix(number(r, i, 1), number(r, i, 2)));
        if (changed && oid)
            note_changed(s, oid);
        else if (changed)
            news->catalog_changed = true;
    }
    drop_unseen(s);
    if (baseline) {
        *news = (struct poll_news){0};
        return true;
    }
    news->oids = s->changed;
    news->n = s->n_changed;
    return true;
}
