/*
 * Statistics advice, where an estimate is off: tables never analyzed or much changed; columns that
 * are compared together and depend on each other (asked of a small sample of the table: counts
 * only); and families that return far more or fewer rows than the planner expects.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "advisor/needs.h"
#include "advisor/rules.h"
#include "advisor/whatif.h"

#define STALE_SHARE 0.5 /* changed since the last ANALYZE */
#define MIN_ROWS    1000
#define OFF         10.0  /* an estimate that is off by less does no harm worth advice */
#define OFF_ROWS    100.0 /* nor one about so few rows */
#define MIN_CALLS   30
#define SAMPLE_ROWS 30000
#define PAIRS_MAX   50
/* With a list of common pairs that does not hold all of them, the planner takes the others for
 * independent, dependencies or not. */
#define MCV_PAIRS     100
#define TARGET_FACTOR 10
#define TARGET_LEAST  1000
#define TARGET_MOST   10000

/* Two columns compared (or grouped by) together. */
struct pair {
    const struct inv_table *table;
    const struct inv_column *a, *b;
    size_t families[20], n_families;
};

/* ---- tables ---- */

static bool is_stale(const struct inv_table *t)
{
    return t->kind != 'p' && t->rows >= MIN_ROWS && t->mods_since_analyze > STALE_SHARE * t->rows;
}

static bool has_statistics(const struct inv_table *t)
{
    for (size_t k = 0; k < t->n_columns; k++)
        if (t->columns[k].has_stats)
            return true;
    return false;
}

static void advise_analyze(struct advice_run *r, const struct inv_table *t, const char *reason)
{
    struct advice_set *s = r->set;
    struct advice *a = pw_advice_add(s, ADVICE_STATISTICS, t->full, t->full);
    a->sql = pw_mem_printf(&s->mem, "ANALYZE %s;", pw_mem_qualified(&s->mem, t->schema, t->name));
    a->reason = reason;
    pw_advice_fact_num(s, a, "rows", t->rows);
    pw_advice_fact_num(s, a, "live_rows_counted", t->n_live);
    pw_advice_fact_num(s, a, "modified_since_analyze", t->mods_since_analyze);
    pw_advice_fact_bool(s, a, "never_analyzed", t->never_analyzed);
}

static void judge_table(struct advice_run *r, const struct inv_table *t)
{
    struct arena *mem = &r->set->mem;
    if (t->n_live < MIN_ROWS || t->by_extension)
        return;
    if (!has_statistics(t) && t->never_analyzed)
        advise_analyze(r, t,
                       pw_mem_printf(mem,
                                     "%s was never analyzed: the planner guesses, and so does any "
                                     "advice on it.",
                                     t->full));
    else if (is_stale(t))
        advise_analyze(
            r, t,
            pw_mem_printf(mem,
                          "%.0f rows of %s changed since it was analyzed with %.0f rows: its "
                          "estimates are off.",
                          t->mods_since_analyze, t->full, t->rows));
}

/* ---- what came against what was expected ---- */

/* Rows per call as they came; NAN: not known, or of too few calls. */
static double rows_seen(const struct advice_run *r, size_t q)
{
    const struct workload_family *f = &r->w->families[q];
    return isnan(f->rows) || f->calls < MIN_CALLS ? NAN : f->rows / f->calls;
}

static bool is_off(double expected, double seen)
{
    if (isnan(expected) || isnan(seen) || fmax(expected, seen) < OFF_ROWS)
        return false;
    return fmax(expected, 1) / fmax(seen, 1) >= OFF || fmax(seen, 1) / fmax(expected, 1) >= OFF;
}

static void add_family(struct advice_run *r, struct advice *a, size_t q)
{
    const struct workload_family *f = &r->w->families[q];
    pw_advice_query(r->set, a, f->id, f->text, f->calls, r->planned[q].base, NAN);
    if (isnan(rows_seen(r, q)))
        return;
    pw_advice_fact_num(r->set, a, "rows_expected", r->planned[q].rows);
    pw_advice_fact_num(r->set, a, "rows_seen", rows_seen(r, q));
}

/* ---- columns that depend on each other ---- */

static bool is_covered(struct advice_run *r, const struct pair *p)
{
    char oid[16], a[16], b[16];
    snprintf(oid, sizeof(oid), "%u", p->table->oid);
    snprintf(a, sizeof(a), "%d", p->a->attnum);
    snprintf(b, sizeof(b), "%d", p->b->attnum);
    const char *params[] = {oid, a, b};
    struct pgresult *res = pw_side_rows(
        &r->side, NULL,
        "SELECT 1 FROM pg_statistic_ext WHERE stxrelid = $1::oid AND $2::int2 = ANY (stxkeys)"
        " AND $3::int2 = ANY (stxkeys) AND stxkind && '{d,f}'::\"char\"[]",
        3, params);
    bool covered = res && pw_pgresult_rows(res) > 0;
    if (res)
        pw_pgresult_free(res);
    return covered;
}

struct sample {
    double rows, a, b, both; /* counts: rows, and distinct values */
};

/* Reads about SAMPLE_ROWS rows of some pages; only counts leave the server. */
static bool take_sample(struct advice_run *r, const struct pair *p, struct sample *out)
{
    struct arena *mem = &r->mem;
    const char *a = pw_mem_ident(mem, p->a->name), *b = pw_mem_ident(mem, p->b->name);
    double percent = fmin(100, 120.0 * SAMPLE_ROWS / fmax(1, pw_inventory_rows(p->table)));
    char *sql = pw_mem_printf(
        mem,
        "SELECT count(*), count(DISTINCT %s), count(DISTINCT %s), count(DISTINCT (%s, %s)) FROM"
        " (SELECT %s, %s FROM %s TABLESAMPLE SYSTEM (%.6f) WHERE %s IS NOT NULL AND %s IS NOT NULL"
        " LIMIT %d) s",
        a, b, a, b, a, b, pw_mem_qualified(mem, p->table->schema, p->table->name), percent, a, b,
        SAMPLE_ROWS);
    struct pgresult *res = pw_side_rows(&r->side, NULL, sql, 0, NULL);
    bool ok = res && pw_pgresult_rows(res) == 1;
    if (ok)
        *out = (struct sample){pw_cell_num(res, 0, 0, 0), pw_cell_num(res, 0, 1, 0),
                               pw_cell_num(res, 0, 2, 0), pw_cell_num(res, 0, 3, 0)};
    if (res)
        pw_pgresult_free(res);
    return ok && out->rows >= MIN_ROWS;
}

/* The planner multiplies the two; how many rows does it expect of one pair, and how many are there?
 */
static bool depend(const struct pair *p, const struct sample *s, double *expected, double *likely)
{
    double rows = pw_inventory_rows(p->table), product = s->a * s->b;
    /* Pairs that independent columns would show in as many rows. */
    double independent = product * (1 - pow(1 - 1 / fmax(1, product), s->rows));
    *likely = rows / fmax(1, s->both);
    *expected = fmax(1, rows / fmax(1, product));
    return s->both < 0.5 * independent && s->both < 0.9 * s->rows && *likely >= OFF &&
           *likely / *expected >= OFF;
}

static void judge_pair(struct advice_run *r, const struct pair *p)
{
    struct advice_set *set = r->set;
    struct arena *mem = &set->mem;
    struct sample s;
    double expected, likely;
    const struct inv_table *t = p->table;
    if (is_covered(r, p) || !take_sample(r, p, &s) || !depend(p, &s, &expected, &likely))
        return;
    char *name = pw_mem_printf(mem, "%.24s_%.14s_%.14s_stat", t->name, p->a->name, p->b->name);
    const char *full = pw_mem_qualified(mem, t->schema, name);
    const char *table = pw_mem_qualified(mem, t->schema, t->name);
    struct advice *a = pw_advice_add(set, ADVICE_STATISTICS, t->full,
                                     pw_mem_printf(mem, "%s.%s", t->schema, name));
    pw_advice_identify(set, a, name);
    pw_advice_column(set, a, p->a->name);
    pw_advice_column(set, a, p->b->name);
    a->sql = pw_mem_printf(
        mem, "CREATE STATISTICS %s (ndistinct, dependencies%s) ON %s, %s FROM %s;\nANALYZE %s;",
        full, s.both <= MCV_PAIRS ? ", mcv" : "", pw_mem_ident(mem, p->a->name),
        pw_mem_ident(mem, p->b->name), table, table);
    a->undo_sql = pw_mem_printf(mem, "DROP STATISTICS %s;", full);
    a->confidence = ADVICE_MEDIUM;
    a->reason = pw_mem_printf(
        mem,
        "%s and %s of %s are asked for together and depend on each other, which the planner does "
        "not know: it expects %.0f rows of a pair where there are about %.0f.",
        p->a->name, p->b->name, t->full, expected, likely);
    pw_advice_fact_num(set, a, "sample_rows", s.rows);
    pw_advice_fact_num(set, a, "distinct_first", s.a);
    pw_advice_fact_num(set, a, "distinct_second", s.b);
    pw_advice_fact_num(set, a, "distinct_pairs", s.both);
    for (size_t k = 0; k < p->n_families; k++) {
        add_family(r, a, p->families[k]);
        if (is_off(r->planned[p->families[k]].rows, rows_seen(r, p->families[k])))
            a->confidence = ADVICE_HIGH; /* and the rows that came agree */
    }
}

static void note_pair(struct pair *pairs, size_t *n, const struct need *need, int x, int y,
                      size_t q)
{
    const struct inv_column *a = pw_inventory_attnum(need->table, x < y ? x : y);
    const struct inv_column *b = pw_inventory_attnum(need->table, x < y ? y : x);
    size_t k = 0;
    if (!a || !b || a == b)
        return;
    while (k < *n && (pairs[k].table != need->table || pairs[k].a != a || pairs[k].b != b))
        k++;
    if (k == PAIRS_MAX)
        return;
    if (k == *n)
        pairs[(*n)++] = (struct pair){.table = need->table, .a = a, .b = b};
    struct pair *p = &pairs[k];
    if (p->n_families < PW_COUNT_OF(p->families) &&
        (!p->n_families || p->families[p->n_families - 1] != q))
        p->families[p->n_families++] = q;
}

static void pairs_of(struct pair *pairs, size_t *n, const struct need *need, size_t q)
{
    int eq[PW_NEED_MAX], n_eq = 0;
    for (int k = 0; k < need->n_preds; k++) {
        const struct need_pred *p = &need->preds[k];
        if (p->op == NEED_EQ && p->attnum && !p->join && !p->in_or)
            eq[n_eq++] = p->attnum;
    }
    for (int i = 0; i < n_eq; i++)
        for (int j = 0; j < i; j++)
            note_pair(pairs, n, need, eq[i], eq[j], q);
    for (int i = 0; i < need->n_groups; i++)
        for (int j = 0; j < i; j++)
            note_pair(pairs, n, need, need->groups[i], need->groups[j], q);
}

static bool has_good_statistics(const struct inv_table *t)
{
    return !is_stale(t) && has_statistics(t) && pw_inventory_rows(t) >= MIN_ROWS;
}

static void judge_pairs(struct advice_run *r)
{
    struct pair *pairs = pw_mem(&r->mem, PAIRS_MAX * sizeof(*pairs));
    size_t n = 0;
    for (size_t q = 0; q < r->needs->n; q++)
        for (size_t k = 0; k < r->needs->statements[q].n_needs; k++)
            if (r->planned[q].usable && has_good_statistics(r->needs->statements[q].needs[k].table))
                pairs_of(pairs, &n, &r->needs->statements[q].needs[k], q);
    for (size_t k = 0; k < n && !r->side.lost; k++) {
        pw_run_progress(r, "statistics", k, n);
        judge_pair(r, &pairs[k]);
    }
}

/* ---- one column or expression whose estimate is off ---- */

static int target_of(struct advice_run *r, const struct inv_table *t, const struct inv_column *c)
{
    char oid[16], attnum[16];
    snprintf(oid, sizeof(oid), "%u", t->oid);
    snprintf(attnum, sizeof(attnum), "%d", c->attnum);
    const char *params[] = {oid, attnum};
    struct pgresult *res =
        pw_side_rows(&r->side, "statistics targets",
                     "SELECT CASE WHEN coalesce(attstattarget, -1) < 0 THEN"
                     " current_setting('default_statistics_target')::int ELSE attstattarget END"
                     " FROM pg_attribute WHERE attrelid = $1::oid AND attnum = $2::int2",
                     2, params);
    int out = res && pw_pgresult_rows(res) ? (int)pw_cell_int(res, 0, 0, 0) : 0;
    if (res)
        pw_pgresult_free(res);
    return out;
}

static bool advise_target(struct advice_run *r, const struct inv_table *t,
                          const struct inv_column *c, size_t q)
{
    struct advice_set *s = r->set;
    struct arena *mem = &s->mem;
    int now = target_of(r, t, c), then = now * TARGET_FACTOR;
    then = then < TARGET_LEAST ? TARGET_LEAST : then > TARGET_MOST ? TARGET_MOST : then;
    if (now <= 0 || now >= then)
        return false;
    const char *table = pw_mem_qualified(mem, t->schema, t->name);
    const char *column = pw_mem_ident(mem, c->name);
    const char *object = pw_mem_printf(mem, "%s.%s", t->full, c->name);
    for (size_t k = 0; k < s->n_items; k++)
        if (s->items[k].kind == ADVICE_STATISTICS && strcmp(s->items[k].object, object) == 0)
            return true; /* for another family */
    struct advice *a = pw_advice_add(s, ADVICE_STATISTICS, t->full, object);
    pw_advice_identify(s, a, "target");
    pw_advice_column(s, a, c->name);
    a->sql = pw_mem_printf(mem, "ALTER TABLE %s ALTER COLUMN %s SET STATISTICS %d;\nANALYZE %s;",
                           table, column, then, table);
    a->undo_sql =
        pw_mem_printf(mem, "ALTER TABLE %s ALTER COLUMN %s SET STATISTICS %d;", table, column, now);
    a->confidence = ADVICE_MEDIUM;
    a->reason = pw_mem_printf(
        mem,
        "The planner expects %.0f rows per call of a family that compares %s, but %.1f come: its "
        "statistics (of %d values) do not show how unevenly the values are spread.",
        r->planned[q].rows, object, rows_seen(r, q), now);
    add_family(r, a, q);
    return true;
}

static bool advise_expression(struct advice_run *r, const struct inv_table *t, const char *expr,
                              size_t q)
{
    struct advice_set *s = r->set;
    struct arena *mem = &s->mem;
    if (r->side.version < 140000)
        return false;
    for (size_t k = 0; k < s->n_items; k++)
        if (strcmp(s->items[k].table, t->full) == 0 && strstr(s->items[k].sql, expr))
            return true; /* an index on it, or statistics, are advised already */
    char *name = pw_mem_printf(mem, "%.40s_expr_stat", t->name);
    const char *full = pw_mem_qualified(mem, t->schema, name);
    const char *table = pw_mem_qualified(mem, t->schema, t->name);
    struct advice *a =
        pw_advice_add(s, ADVICE_STATISTICS, t->full, pw_mem_printf(mem, "%s.%s", t->schema, name));
    pw_advice_identify(s, a, expr);
    pw_advice_column(s, a, expr);
    a->sql = pw_mem_printf(mem, "CREATE STATISTICS %s ON (%s) FROM %s;\nANALYZE %s;", full, expr,
                           table, table);
    a->undo_sql = pw_mem_printf(mem, "DROP STATISTICS %s;", full);
    a->confidence = ADVICE_MEDIUM;
    a->reason = pw_mem_printf(
        mem,
        "The planner knows nothing of %s on %s and guesses %.0f rows per call where %.1f come.",
        expr, t->full, r->planned[q].rows, rows_seen(r, q));
    add_family(r, a, q);
    return true;
}

static bool is_explained(const struct advice_run *r, uint64_t family)
{
    for (size_t k = 0; k < r->set->n_items; k++) {
        const struct advice *a = &r->set->items[k];
        for (size_t i = 0; a->kind == ADVICE_STATISTICS && i < a->n_queries; i++)
            if (a->queries[i].family == family)
                return true;
    }
    return false;
}

static void judge_family(struct advice_run *r, size_t q)
{
    const struct need_statement *st = &r->needs->statements[q];
    const struct whatif_query *plan = &r->planned[q];
    const struct need *n = st->n_needs == 1 ? &st->needs[0] : NULL;
    if (!plan->usable || plan->guessed || st->verb != NEED_SELECT ||
        !is_off(plan->rows, rows_seen(r, q)) || is_explained(r, r->w->families[q].id))
        return;
    const struct need_pred *p = n && n->n_preds == 1 ? &n->preds[0] : NULL;
    const struct inv_column *c = p && p->attnum ? pw_inventory_attnum(n->table, p->attnum) : NULL;
    bool done = n && !has_good_statistics(n->table); /* ANALYZE is advised */
    if (c && !done)
        done = advise_target(r, n->table, c, q);
    else if (p && p->expr && !done)
        done = advise_expression(r, n->table, p->expr, q);
    if (!done)
        pw_advice_refuse(r->set, r->w->families[q].text,
                         "the planner expects %.0f rows per call and %.1f come, but no single "
                         "column, pair or expression explains it",
                         plan->rows, rows_seen(r, q));
}

void pw_rules_statistics(struct advice_run *r)
{
    for (size_t k = 0; k < r->inv.n_tables; k++)
        judge_table(r, &r->inv.tables[k]);
    if (!r->needs || !r->planned)
        return;
    judge_pairs(r);
    for (size_t q = 0; q < r->needs->n; q++)
        judge_family(r, q);
}
