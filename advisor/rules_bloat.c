/*
 * Fragmented btrees: the real size against a fresh build. Two numbers: an estimate (deduplication
 * as it would happen) and a floor (as if nothing were deduplicated), so that a fresh index is never
 * accused. Where pgstatindex is there and the index is small enough, it is measured before anything
 * is said.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/btsize.h"
#include "advisor/rules.h"
#include "advisor/size.h"
#include "advisor/widths.h"

#define MEASURE_MAX   (1024.0 * 1024 * 1024) /* bytes of one index read by pgstatindex */
#define MEASURE_TOTAL (4 * MEASURE_MAX)      /* bytes read in one run */
#define LOOK_PCT      5.0                    /* worth a look at the widths of its values */
#define SUSPECT_PCT   15.0                   /* worth measuring */
#define FLOOR_PCT     40.0 /* certain without measuring: fuller than that, splits explain it */
#define ESTIMATE_PCT  50.0

struct bloat {
    struct bt_size fresh;
    double estimate_pct, floor_pct;
    const char *caveat; /* why the figures cannot be trusted, or NULL */
    bool measured;
    double density, fragmentation, empty_pct; /* pgstatindex */
};

bool pw_index_fresh_size(const struct inventory *inv, const struct inv_index *x,
                         struct bt_size *out, const char **why_not)
{
    struct bt_shape shape = {.block_size = inv->block_size,
                             .fillfactor = x->fillfactor,
                             .rows = x->tuples,
                             .n_keys = x->n_keys,
                             .n_sample = x->table->n_widths,
                             .dedup = pw_size_may_dedup(x)};
    if (x->n_atts > PW_BT_COLUMNS) {
        *why_not = "too many columns";
        return false;
    }
    for (int k = 0; k < x->n_atts; k++) {
        const struct inv_key *key = &x->keys[k];
        const struct inv_column *c =
            key->attnum ? pw_inventory_attnum(x->table, key->attnum) : key->expr_stats;
        if (!c || !c->has_stats) {
            *why_not = "no statistics of its columns";
            return false;
        }
        pw_size_column(&shape.columns[shape.n_columns++], c, x->tuples, x->predicate != NULL);
    }
    pw_btree_size(&shape, out);
    return true;
}

static const char *row_count_caveat(const struct inv_index *x)
{
    if (x->tuples < 0 || (x->tuples == 0 && x->pages > 1))
        return "its table was never analyzed";
    if (x->predicate)
        return NULL;
    double a = x->tuples, b = x->table->rows, c = x->table->n_live;
    double lo = fmin(a, b), hi = fmax(a, b);
    if (c > 0) {
        lo = fmin(lo, c);
        hi = fmax(hi, c);
    }
    return hi > 1000 && lo < 0.8 * hi ? "the counts of rows disagree: ANALYZE first" : NULL;
}

static void estimate(const struct advice_run *r, const struct inv_index *x, struct bloat *b)
{
    const char *why = NULL;
    b->estimate_pct = b->floor_pct = NAN;
    b->density = b->fragmentation = b->empty_pct = NAN;
    if (!pw_index_fresh_size(&r->inv, x, &b->fresh, &why)) {
        b->fresh.bytes = NAN;
        b->caveat = why;
        return;
    }
    b->caveat = row_count_caveat(x);
    b->estimate_pct = 100 * (x->bytes - b->fresh.bytes) / x->bytes;
    b->floor_pct = fmax(0, 100 * (x->bytes - b->fresh.plain_bytes) / x->bytes);
}

static bool measure(struct advice_run *r, const struct inv_index *x, struct bloat *b)
{
    char *sql = pw_mem_printf(&r->mem,
                              "SELECT avg_leaf_density, leaf_fragmentation, leaf_pages,"
                              " empty_pages + deleted_pages FROM %s.pgstatindex(%u::regclass)",
                              pw_mem_ident(&r->mem, r->inv.pgstattuple_schema), x->oid);
    struct pgresult *res =
        pw_side_rows(&r->side, "measuring an index with pgstatindex", sql, 0, NULL);
    if (!res)
        return false;
    b->measured = true;
    b->density = pw_cell_num(res, 0, 0, NAN);
    b->fragmentation = pw_cell_num(res, 0, 1, NAN);
    double leaves = pw_cell_num(res, 0, 2, 0), gone = pw_cell_num(res, 0, 3, 0);
    b->empty_pct = leaves + gone > 0 ? 100 * gone / (leaves + gone) : 0;
    pw_pgresult_free(res);
    return true;
}

/* Keys in random order settle near ln 2 of a full page. */
static bool random_key(const struct inv_index *x)
{
    const struct inv_column *c = x->keys[0].attnum
                                     ? pw_inventory_attnum(x->table, x->keys[0].attnum)
                                     : x->keys[0].expr_stats;
    return c &&
           (strcmp(c->type, "uuid") == 0 || (!isnan(c->correlation) && c->has_stats &&
                                             c->n_distinct < -0.9 && fabs(c->correlation) < 0.05));
}

static const char horizon_sql[] = "SELECT greatest((SELECT max(age(backend_xmin)) FROM "
                                  "pg_stat_activity WHERE pid <> pg_backend_pid()),"
                                  " (SELECT max(age(xmin)) FROM pg_replication_slots),"
                                  " (SELECT max(age(transaction)) FROM pg_prepared_xacts))";

static char *cause_of(struct advice_run *r, const struct inv_index *x, double horizon)
{
    struct arena *mem = &r->set->mem;
    const struct inv_table *t = x->table;
    char *out = pw_mem_str(mem, "");
    if (random_key(x))
        out = pw_mem_printf(mem,
                            "%sits keys arrive in random order, so pages settle near 69 %% full "
                            "again and a rebuild will not last; ",
                            out);
    if (t->n_del > 0.3 * fmax(t->n_live, 1))
        out = pw_mem_printf(mem, "%srows are deleted in bulk (%.0f deleted, %.0f live); ", out,
                            t->n_del, t->n_live);
    if (t->n_upd > 1000 && t->n_hot < 0.5 * t->n_upd)
        out = pw_mem_printf(mem,
                            "%sonly %.0f %% of the updates are heap-only, so most updates insert "
                            "into every index; ",
                            out, 100 * t->n_hot / t->n_upd);
    if (t->n_dead > 0.2 * fmax(t->n_live, 1))
        out = pw_mem_printf(mem, "%s%.0f dead rows await VACUUM; ", out, t->n_dead);
    if (horizon > 1e6)
        out = pw_mem_printf(mem,
                            "%san old transaction, slot or prepared transaction holds back VACUUM "
                            "(%.0f transactions); ",
                            out, horizon);
    size_t len = strlen(out);
    return len ? pw_mem_strn(mem, out, len - 2) : pw_mem_str(mem, "not evident from the counters");
}

static void rebuild_sql(struct advice_run *r, const struct inv_index *x, struct advice *v)
{
    struct arena *mem = &r->set->mem;
    const char *name = pw_mem_qualified(mem, x->schema, x->name);
    v->sql = pw_mem_printf(mem, "REINDEX INDEX %s%s;", x->exclusion ? "" : "CONCURRENTLY ", name);
    pw_advice_fact_text(
        r->set, v, "caveats",
        x->exclusion
            ? "an exclusion constraint's index cannot be rebuilt CONCURRENTLY: this locks out "
              "writes while it runs"
            : "not inside a transaction; needs room for a second copy and writes as much "
              "WAL; if it fails, drop the leftover index ending in _ccnew");
}

static void advise_rebuild(struct advice_run *r, const struct inv_index *x, const struct bloat *b,
                           double horizon)
{
    struct advice_set *s = r->set;
    struct advice *v = pw_advice_add(s, ADVICE_REBUILD, x->table->full, x->full);
    pw_index_columns(s, v, x);
    v->size_bytes = x->bytes;
    v->confidence = b->measured ? ADVICE_HIGH : ADVICE_MEDIUM;
    double fresh = b->fresh.bytes;
    if (b->measured && !isnan(b->density) && (isnan(fresh) || b->caveat))
        fresh = x->bytes * (1 - b->empty_pct / 100) * b->density / x->fillfactor;
    double freed = fmax(0, x->bytes - fresh);
    char now[32], then[32];
    pw_advice_size_text(x->bytes, now, sizeof(now));
    pw_advice_size_text(fresh, then, sizeof(then));
    const char *cause = cause_of(r, x, horizon);
    const char *what =
        b->measured
            ? pw_mem_printf(&s->mem,
                            "its leaf pages are %.0f %% full and %.0f %% of its pages are empty",
                            b->density, b->empty_pct)
            : pw_mem_printf(&s->mem, "at least %.0f %% of it is empty space", b->floor_pct);
    v->reason =
        pw_mem_printf(&s->mem, "It takes %s where a fresh build takes about %s: %s; cause: %s.",
                      now, then, what, cause);
    rebuild_sql(r, x, v);
    pw_advice_fact_num(s, v, "fresh_bytes", fresh);
    pw_advice_fact_num(s, v, "reclaimable_bytes", freed);
    pw_advice_fact_num(s, v, "bloat_estimate_pct", b->estimate_pct);
    pw_advice_fact_num(s, v, "bloat_floor_pct", b->floor_pct);
    pw_advice_fact_num(s, v, "avg_leaf_density", b->density);
    pw_advice_fact_num(s, v, "leaf_fragmentation", b->fragmentation);
    pw_advice_fact_num(s, v, "empty_pages_pct", b->empty_pct);
    pw_advice_fact_text(s, v, "cause", cause);
    pw_advice_fact_bool(s, v, "will_not_last", random_key(x));
    if (b->caveat)
        pw_advice_fact_text(s, v, "caveat", b->caveat);
    s->summary.index_bytes_freed += freed;
}

static bool eligible(const struct advice_run *r, const struct inv_index *x)
{
    return x->valid && x->ready && strcmp(x->am, "btree") == 0 && !x->is_partitioned &&
           !x->by_extension && x->bytes >= (double)r->job->o.min_index_size &&
           !r->index_dropped[pw_run_index_no(r, x)];
}

static void judge(struct advice_run *r, struct inv_index *x, double *budget, double horizon)
{
    struct bloat b = {0};
    estimate(r, x, &b);
    if (b.estimate_pct >= LOOK_PCT) {
        pw_widths_read(&r->side, x->table);
        estimate(r, x, &b);
    }
    bool suspect = b.caveat || b.estimate_pct >= SUSPECT_PCT || b.floor_pct >= SUSPECT_PCT;
    if (!suspect)
        return;
    if (r->inv.has_pgstattuple && x->bytes <= fmin(*budget, MEASURE_MAX) && measure(r, x, &b))
        *budget -= x->bytes;
    bool bad = b.measured ? b.density < fmin(r->job->o.rebuild_density, x->fillfactor * 0.9) ||
                                b.empty_pct > 20
                          : !b.caveat && b.floor_pct >= FLOOR_PCT;
    double wasted = b.measured ? x->bytes : x->bytes * b.floor_pct / 100;
    if (bad && wasted >= (double)r->job->o.min_index_size / 4)
        advise_rebuild(r, x, &b, horizon);
    else if (b.measured && b.estimate_pct >= FLOOR_PCT)
        pw_advice_refuse(r->set, x->full,
                         "looks %.0f %% bloated by its statistics, but pgstatindex measured leaf "
                         "pages %.0f %% full",
                         b.estimate_pct, b.density);
    else if (!b.measured && b.estimate_pct >= ESTIMATE_PCT)
        pw_advice_refuse(
            r->set, x->full,
            "may be %.0f %% bloated, which is not certain (%s): install pgstattuple to "
            "have it measured",
            b.estimate_pct, b.caveat ? b.caveat : "it depends on deduplication");
}

void pw_rules_bloat(struct advice_run *r)
{
    if (r->side.version >= 140000 && r->side.version < 140004) {
        pw_side_note(&r->side, "no rebuild advice: REINDEX CONCURRENTLY may corrupt indexes on "
                               "PostgreSQL 14.0 to 14.3; upgrade first");
        return;
    }
    char *age = pw_side_value(&r->side, "the oldest snapshot", horizon_sql);
    double horizon = age ? strtod(age, NULL) : 0, budget = MEASURE_TOTAL;
    for (size_t k = 0; k < r->inv.n_indexes; k++) {
        if (k % 64 == 0)
            pw_run_progress(r, "fragmentation", k, r->inv.n_indexes);
        if (eligible(r, &r->inv.indexes[k]))
            judge(r, &r->inv.indexes[k], &budget, horizon);
    }
}
