/* Unused indexes, with every gate between "unused" and "may be dropped". */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "advisor/rules.h"

bool pw_index_serves_fk(const struct inv_index *x, const struct inv_fk *f)
{
    if (x->table != f->child || !x->valid || x->predicate)
        return false;
    bool btree = strcmp(x->am, "btree") == 0;
    if (!btree && !(strcmp(x->am, "hash") == 0 && f->n_cols == 1))
        return false;
    if (x->n_keys < f->n_cols)
        return false;
    /* All comparisons are equalities, so the leading keys must be these columns in any order. */
    for (int k = 0; k < f->n_cols; k++) {
        bool found = false;
        for (int c = 0; c < f->n_cols && !found; c++)
            found = x->keys[k].attnum != 0 && x->keys[k].attnum == f->child_cols[c];
        if (!found)
            return false;
    }
    return true;
}

/* The foreign key for which x is the only index left, or NULL. */
static const struct inv_fk *sole_support(const struct advice_run *r, const struct inv_index *x)
{
    for (size_t f = 0; f < r->inv.n_fks; f++) {
        if (!pw_index_serves_fk(x, &r->inv.fks[f]))
            continue;
        bool other = false;
        for (size_t k = 0; k < r->inv.n_indexes && !other; k++)
            other = &r->inv.indexes[k] != x && !r->index_dropped[k] &&
                    pw_index_serves_fk(&r->inv.indexes[k], &r->inv.fks[f]);
        if (!other)
            return &r->inv.fks[f];
    }
    return NULL;
}

static bool standbys_exist(struct advice_run *r)
{
    char *n = pw_side_value(&r->side, NULL, "SELECT count(*) FROM pg_stat_replication");
    return n && strcmp(n, "0") != 0;
}

static double unused_for(const struct advice_run *r, const struct inv_index *x)
{
    if (x->scans > 0)
        return x->idle_s;
    /* Counters that were reset say less than what we remember. */
    return isnan(x->idle_s) ? r->inv.stats_age_s : fmax(x->idle_s, r->inv.stats_age_s);
}

static void advise_unused(struct advice_run *r, struct inv_index *x, double window, bool blind)
{
    struct advice_set *s = r->set;
    struct advice *v = pw_advice_add(s, ADVICE_DROP_UNUSED, x->table->full, x->full);
    pw_index_columns(s, v, x);
    v->sql = pw_index_drop_sql(&s->mem, x);
    v->undo_sql = pw_index_create_sql(&s->mem, x);
    v->size_bytes = x->bytes;
    double need = (double)r->job->o.unused_after_us / 1e6;
    bool long_enough = window >= need;
    v->confidence = !long_enough ? ADVICE_LOW : blind ? ADVICE_MEDIUM : ADVICE_HIGH;
    char age[48], wanted[48], size[32];
    pw_advice_age_text(window, age, sizeof(age));
    pw_advice_age_text(need, wanted, sizeof(wanted));
    pw_advice_size_text(x->bytes, size, sizeof(size));
    v->reason = pw_mem_printf(
        &s->mem, "No scan used it in %s, yet it takes %s and every write to %s maintains it%s%s.",
        age, size, x->table->full, long_enough ? "" : "; that is shorter than the window of ",
        long_enough ? (blind ? "; the standbys were not asked" : "")
                    : pw_mem_printf(&s->mem, "%s, so look again before dropping it", wanted));
    pw_advice_fact_text(s, v, "definition", x->definition);
    pw_advice_fact_num(s, v, "scans", x->scans);
    pw_advice_fact_num(s, v, "window_seconds", window);
    pw_advice_fact_num(s, v, "wanted_window_seconds", need);
    pw_advice_fact_num(s, v, "standbys_asked", (double)r->inv.n_standbys_asked);
    pw_advice_fact_num(s, v, "standby_scans", x->scans_standby);
    pw_advice_fact_num(s, v, "table_writes", x->table->n_ins + x->table->n_upd + x->table->n_del);
    pw_advice_fact_num(s, v, "workload_families_seen", (double)r->w->n_families);
    r->index_dropped[pw_run_index_no(r, x)] = true;
}

static void judge_unused(struct advice_run *r, struct inv_index *x, bool standbys)
{
    size_t no = pw_run_index_no(r, x);
    double need = (double)r->job->o.unused_after_us / 1e6, window = unused_for(r, x);
    bool idle = x->scans == 0 || (!isnan(x->idle_s) && x->idle_s >= need);
    if (!idle || x->parent)
        return; /* of an attached index its parent is judged */
    const char *why = pw_index_untouchable(x);
    const struct inv_fk *fk = why ? NULL : sole_support(r, x);
    if (why) {
        if (!x->primary && !x->unique)
            pw_advice_refuse(r->set, x->full, "unused, but %s", why);
    } else if (r->index_used[no]) {
        pw_advice_refuse(
            r->set, x->full,
            "no scan was counted, but the plan of a statement of this workload uses it");
    } else if (!isnan(x->scans_standby) && x->scans_standby > 0) {
        pw_advice_refuse(r->set, x->full, "unused here, but a standby used it %.0f times",
                         x->scans_standby);
    } else if (r->index_kept[no]) {
        pw_advice_refuse(r->set, x->full,
                         "unused, but it stands in for an index that is advised to be dropped");
    } else if (fk) {
        pw_advice_refuse(r->set, x->full,
                         "unused, but deletes and key updates of %s need it for foreign key %s",
                         fk->parent->full, fk->name);
    } else if (x->expression_stats) {
        pw_advice_refuse(r->set, x->full,
                         "unused, but it is on an expression whose statistics the planner uses: "
                         "first CREATE STATISTICS on the expression and ANALYZE");
    } else if (x->bytes < (double)r->job->o.min_index_size) {
        pw_advice_refuse(r->set, x->full, "unused, but too small (%.0f kB) to matter",
                         x->bytes / 1024);
    } else {
        advise_unused(r, x, window, standbys && isnan(x->scans_standby));
    }
}

void pw_rules_unused(struct advice_run *r)
{
    bool standbys = standbys_exist(r);
    for (size_t k = 0; k < r->inv.n_indexes; k++)
        if (r->inv.indexes[k].valid && !r->index_dropped[k])
            judge_unused(r, &r->inv.indexes[k], standbys);
}
