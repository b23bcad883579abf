/* Unused indexes, with every gate between "unused" and "may be dropped"; and foreign keys that lack
 * an index. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "advisor/rules.h"

#define FK_MIN_ROWS 1000

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

/* An index this very set advises to create. */
static bool fk_will_have_index(const struct advice_run *r, const struct inv_fk *f)
{
    for (size_t k = 0; k < r->n_created; k++) {
        const struct created_index *n = &r->created[k];
        bool serves = n->table == f->child && n->n_keys >= f->n_cols;
        for (int i = 0; serves && i < f->n_cols; i++) {
            bool found = false;
            for (int c = 0; c < f->n_cols; c++)
                found = found || n->attnums[i] == f->child_cols[c];
            serves = found;
        }
        if (serves)
            return true;
    }
    return false;
}

static bool fk_has_index(const struct advice_run *r, const struct inv_fk *f)
{
    for (size_t k = 0; k < r->inv.n_indexes; k++)
        if (!r->index_dropped[k] && pw_index_serves_fk(&r->inv.indexes[k], f))
            return true;
    return false;
}

static char *fk_column_list(struct advice_run *r, const struct inv_fk *f, struct advice *v)
{
    struct arena *mem = &r->set->mem;
    char *list = pw_mem_str(mem, "");
    for (int k = 0; k < f->n_cols; k++) {
        const struct inv_column *c = pw_inventory_attnum(f->child, f->child_cols[k]);
        const char *name = c ? c->name : "?";
        list = pw_mem_printf(mem, "%s%s%s", list, k ? ", " : "", pw_mem_ident(mem, name));
        pw_advice_column(r->set, v, name);
    }
    return list;
}

static void advise_fk(struct advice_run *r, const struct inv_fk *f, bool active)
{
    struct advice_set *s = r->set;
    struct inv_column *first = pw_inventory_attnum(f->child, f->child_cols[0]);
    char *name =
        pw_mem_printf(&s->mem, "%.40s_%.16s_fk_idx", f->child->name, first ? first->name : "fk");
    struct advice *v = pw_advice_add(s, ADVICE_FK_INDEX, f->child->full,
                                     pw_mem_printf(&s->mem, "%s.%s", f->child->schema, name));
    char *list = fk_column_list(r, f, v);
    pw_advice_identify(s, v, list);
    v->sql =
        f->child->kind == 'p'
            ? pw_mem_printf(&s->mem, "CREATE INDEX %s ON %s (%s);", pw_mem_ident(&s->mem, name),
                            pw_mem_qualified(&s->mem, f->child->schema, f->child->name), list)
            : pw_mem_printf(&s->mem, "CREATE INDEX CONCURRENTLY %s ON %s (%s);",
                            pw_mem_ident(&s->mem, name),
                            pw_mem_qualified(&s->mem, f->child->schema, f->child->name), list);
    v->undo_sql =
        pw_mem_printf(&s->mem, "DROP INDEX %s%s;", f->child->kind == 'p' ? "" : "CONCURRENTLY ",
                      pw_mem_qualified(&s->mem, f->child->schema, name));
    v->confidence = active ? ADVICE_HIGH : ADVICE_MEDIUM;
    v->reason = pw_mem_printf(
        &s->mem,
        "Each DELETE or key UPDATE of a row in %s reads all of %s (%.0f rows) to check foreign key "
        "%s, because no valid full index begins with its columns.",
        f->parent->full, f->child->full, f->child->rows, f->name);
    pw_advice_fact_text(s, v, "constraint", f->name);
    pw_advice_fact_text(s, v, "references", f->parent->full);
    pw_advice_fact_num(s, v, "rows", f->child->rows);
    pw_advice_fact_num(s, v, "parent_deletes_seen", f->parent->n_del);
    pw_advice_fact_num(s, v, "parent_updates_seen", f->parent->n_upd);
    double scan = f->child->pages * r->inv.seq_page_cost +
                  f->child->rows * (r->inv.cpu_tuple_cost + r->inv.cpu_operator_cost * f->n_cols);
    pw_advice_fact_num(s, v, "check_cost_now", scan);
}

void pw_rules_fk(struct advice_run *r)
{
    for (size_t k = 0; k < r->inv.n_fks; k++) {
        const struct inv_fk *f = &r->inv.fks[k];
        if (fk_has_index(r, f) || fk_will_have_index(r, f))
            continue;
        bool active = f->parent->n_del > 0;
        double rows = pw_inventory_rows(f->child);
        if (rows < FK_MIN_ROWS)
            pw_advice_refuse(r->set, f->name,
                             "foreign key without an index, but %s has only %.0f rows",
                             f->child->full, rows);
        else if (!active && f->parent->rows < 100 && f->parent->n_live < 100)
            pw_advice_refuse(r->set, f->name,
                             "foreign key without an index, but %s is a small table of which no "
                             "row was ever deleted",
                             f->parent->full);
        else
            advise_fk(r, f, active);
    }
}
