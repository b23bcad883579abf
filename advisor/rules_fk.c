/* Foreign keys that lack an index on the referencing side, which deletes of the other side need. */
#include <math.h>
#include <string.h>

#include "advisor/btsize.h"
#include "advisor/build_sql.h"
#include "advisor/needs.h"
#include "advisor/rules.h"
#include "advisor/size.h"
#include "advisor/widths.h"

#define FK_MIN_ROWS 1000

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

/* Executions in the workload that delete rows of the parent, or change their keys. */
static double checks_of(const struct advice_run *r, const struct inv_fk *f)
{
    double calls = 0;
    for (size_t q = 0; r->needs && q < r->needs->n; q++) {
        const struct need_statement *st = &r->needs->statements[q];
        bool checks = st->verb == NEED_DELETE;
        for (int k = 0; k < st->n_written && st->verb == NEED_UPDATE; k++)
            for (int c = 0; c < f->n_cols; c++)
                checks = checks || st->written[k] == f->parent_cols[c];
        if (checks && st->target == f->parent)
            calls += r->w->families[q].calls;
    }
    return calls;
}

static double size_of(struct advice_run *r, const struct inv_fk *f)
{
    struct bt_shape shape = {.block_size = r->inv.block_size,
                             .fillfactor = 90,
                             .rows = pw_inventory_rows(f->child),
                             .n_keys = f->n_cols,
                             .dedup = true};
    pw_widths_read(&r->side, f->child);
    shape.n_sample = f->child->n_widths;
    for (int k = 0; k < f->n_cols; k++) {
        const struct inv_column *c = pw_inventory_attnum(f->child, f->child_cols[k]);
        if (!c || !c->has_stats)
            return NAN;
        pw_size_column(&shape.columns[shape.n_columns++], c, shape.rows, false);
        shape.dedup = shape.dedup && pw_size_type_may_dedup(c);
    }
    struct bt_size size;
    pw_btree_size(&shape, &size);
    return size.bytes;
}

static void advise_fk(struct advice_run *r, const struct inv_fk *f, double checks)
{
    struct advice_set *s = r->set;
    const struct inv_table *t = f->child;
    const struct inv_column *first = pw_inventory_attnum(t, f->child_cols[0]);
    const char *name = pw_build_name(
        r, t->schema,
        pw_mem_printf(&s->mem, "%.40s_%.14s_fk_idx", t->name, first ? first->name : "fk"));
    struct advice *v = pw_advice_add(s, ADVICE_FK_INDEX, t->full,
                                     pw_mem_printf(&s->mem, "%s.%s", t->schema, name));
    char *list = fk_column_list(r, f, v);
    pw_advice_identify(s, v, list);
    v->sql = pw_build_sql(r, t, name, pw_mem_printf(&s->mem, " (%s)", list));
    v->undo_sql = pw_build_undo_sql(r, t, name);
    v->confidence = f->parent->n_del > 0 || checks > 0 ? ADVICE_HIGH : ADVICE_MEDIUM;
    v->size_bytes = size_of(r, f);
    s->summary.index_bytes_added += isnan(v->size_bytes) ? 0 : v->size_bytes;
    v->reason = pw_mem_printf(
        &s->mem,
        "Each DELETE or key UPDATE of a row in %s reads all of %s (%.0f rows) to check foreign key "
        "%s, because no valid full index begins with its columns%s.",
        f->parent->full, t->full, t->rows, f->name,
        checks > 0 ? pw_mem_printf(&s->mem, "; this workload does that %.0f times", checks) : "");
    pw_advice_fact_text(s, v, "constraint", f->name);
    pw_advice_fact_text(s, v, "references", f->parent->full);
    pw_advice_fact_num(s, v, "rows", t->rows);
    pw_advice_fact_num(s, v, "parent_deletes_seen", f->parent->n_del);
    pw_advice_fact_num(s, v, "parent_updates_seen", f->parent->n_upd);
    pw_advice_fact_num(s, v, "workload_checks", checks);
    double scan = t->pages * r->inv.seq_page_cost +
                  t->rows * (r->inv.cpu_tuple_cost + r->inv.cpu_operator_cost * f->n_cols);
    pw_advice_fact_num(s, v, "check_cost_now", scan);
}

void pw_rules_fk(struct advice_run *r)
{
    for (size_t k = 0; k < r->inv.n_fks; k++) {
        const struct inv_fk *f = &r->inv.fks[k];
        if (fk_has_index(r, f) || fk_will_have_index(r, f))
            continue;
        double checks = checks_of(r, f);
        bool active = f->parent->n_del > 0 || checks > 0;
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
            advise_fk(r, f, checks);
    }
}
