/* Invalid and redundant indexes. The exact rule: every key equal in column or expression, operator
 * class, collation and direction (or all directions flipped), same predicate, INCLUDE contained. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/rules.h"

const char *pw_index_untouchable(const struct inv_index *x)
{
    if (x->primary)
        return "it is the primary key";
    if (x->exclusion)
        return "it enforces an exclusion constraint";
    if (x->constraint)
        return "it backs a constraint";
    if (x->unique)
        return "it enforces uniqueness";
    if (x->replica_identity)
        return "it is the table's replica identity";
    if (x->fk_target)
        return "a foreign key references it";
    if (x->clustered)
        return "the table is clustered on it";
    if (x->parent)
        return "it is attached to a partitioned index: decide at the parent";
    if (x->by_extension || x->table->by_extension)
        return "it belongs to an extension";
    return NULL;
}

char *pw_index_drop_sql(struct arena *mem, const struct inv_index *x)
{
    return pw_mem_printf(mem, "DROP INDEX %s%s;", x->is_partitioned ? "" : "CONCURRENTLY ",
                         pw_mem_qualified(mem, x->schema, x->name));
}

char *pw_index_create_sql(struct arena *mem, const struct inv_index *x)
{
    const char *d = x->definition;
    const char *at = strstr(d, "INDEX ");
    if (x->is_partitioned || !at)
        return pw_mem_printf(mem, "%s;", d);
    return pw_mem_printf(mem, "%.*sINDEX CONCURRENTLY %s;", (int)(at - d), d, at + 6);
}

void pw_index_columns(struct advice_set *s, struct advice *a, const struct inv_index *x)
{
    for (int k = 0; k < x->n_keys; k++)
        pw_advice_column(s, a, x->keys[k].expr);
}

static bool same_text(const char *a, const char *b)
{
    return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static bool same_key(const struct inv_key *b, const struct inv_key *a, const char **why)
{
    if (b->attnum != a->attnum || (b->attnum == 0 && !same_text(b->expr, a->expr)))
        return false;
    if (b->opclass != a->opclass && !(b->opfamily == a->opfamily && b->opcintype == a->opcintype)) {
        *why = "its operator class differs";
        return false;
    }
    if (b->collation != a->collation) {
        *why = "its collation differs";
        return false;
    }
    return true;
}

/* INCLUDE(b) must be found among the keys and INCLUDE columns of a. */
static bool includes_covered(const struct inv_index *b, const struct inv_index *a)
{
    for (int i = b->n_keys; i < b->n_atts; i++) {
        bool found = false;
        for (int j = 0; j < a->n_atts && !found; j++)
            found = a->keys[j].attnum != 0 && a->keys[j].attnum == b->keys[i].attnum;
        if (!found)
            return false;
    }
    return true;
}

static bool keys_prefix(const struct inv_index *b, const struct inv_index *a, const char **why)
{
    bool straight = true, flipped = strcmp(a->am, "btree") == 0;
    for (int k = 0; k < b->n_keys; k++) {
        if (!same_key(&b->keys[k], &a->keys[k], why))
            return false;
        int x = b->keys[k].option & 3, y = a->keys[k].option & 3;
        straight = straight && x == y;
        flipped = flipped && x == (y ^ 3);
    }
    if (!straight && !flipped)
        *why = "its sort directions differ";
    return straight || flipped;
}

bool pw_index_redundant(const struct inv_index *b, const struct inv_index *a, const char **why_not)
{
    const char *ignored = NULL, **why = why_not ? why_not : &ignored;
    if (a == b || a->table != b->table || strcmp(a->am, b->am) != 0)
        return false;
    if (!a->valid || !a->ready || !a->live || !b->valid || !b->ready || !b->live)
        return false;
    if (a->is_partitioned != b->is_partitioned)
        return false;
    bool btree = strcmp(a->am, "btree") == 0;
    if (b->n_keys > a->n_keys || (!btree && b->n_keys != a->n_keys))
        return false;
    if (!keys_prefix(b, a, why))
        return false;
    if (!same_text(b->predicate, a->predicate)) {
        *why = b->predicate && !a->predicate
                   ? "it is partial: smaller than the full index that covers it"
                   : *why;
        return false;
    }
    if (!includes_covered(b, a)) {
        *why = "its INCLUDE columns are not in the other";
        return false;
    }
    if (b->unique &&
        !(a->unique && a->n_keys == b->n_keys && a->nulls_not_distinct == b->nulls_not_distinct)) {
        *why = "it enforces uniqueness which the other does not";
        return false;
    }
    return true;
}

/* May b go at all in favour of a? Uniqueness was settled by the exact rule. */
static const char *redundant_untouchable(const struct inv_index *b)
{
    if (!b->unique || b->constraint || b->primary)
        return pw_index_untouchable(b);
    struct inv_index plain = *b;
    plain.unique = false;
    return pw_index_untouchable(&plain);
}

/* Of two that cover each other: which one goes? The one a constraint needs stays, then the used
 * one, the compact one, the older one. */
static bool goes_first(const struct inv_index *b, const struct inv_index *a)
{
    bool keep_a = redundant_untouchable(a) != NULL, keep_b = redundant_untouchable(b) != NULL;
    if (keep_a != keep_b)
        return keep_a;
    if (a->unique != b->unique)
        return a->unique;
    if (a->scans != b->scans)
        return b->scans < a->scans;
    if (a->bytes != b->bytes)
        return b->bytes > a->bytes;
    return b->oid > a->oid;
}

static bool far_smaller_and_hot(const struct inv_index *b, const struct inv_index *a)
{
    return b->bytes > 0 && a->bytes > 4 * b->bytes && b->bytes >= 8 * 1024 * 1024 &&
           b->scans > a->scans;
}

static void advise_redundant(struct advice_run *r, struct inv_index *b, struct inv_index *a)
{
    struct advice_set *s = r->set;
    struct advice *v = pw_advice_add(s, ADVICE_DROP_REDUNDANT, b->table->full, b->full);
    pw_index_columns(s, v, b);
    v->sql = pw_index_drop_sql(&s->mem, b);
    v->undo_sql = pw_index_create_sql(&s->mem, b);
    v->size_bytes = b->bytes;
    bool equal = a->n_keys == b->n_keys && a->n_atts == b->n_atts;
    v->reason = pw_mem_printf(
        &s->mem, "Everything %s answers, %s answers too: %s.", b->full, a->full,
        equal ? "both have the same keys, operator classes, collations, directions and predicate"
              : "its keys begin with the same columns in the same order");
    pw_advice_fact_text(s, v, "covered_by", a->full);
    pw_advice_fact_text(s, v, "covered_by_definition", a->definition);
    pw_advice_fact_text(s, v, "definition", b->definition);
    pw_advice_fact_num(s, v, "scans", b->scans);
    pw_advice_fact_num(s, v, "covered_by_scans", a->scans);
    pw_advice_fact_num(s, v, "covered_by_bytes", a->bytes);
    if (b->bytes > 0)
        pw_advice_fact_num(s, v, "size_ratio", a->bytes / b->bytes);
    r->index_dropped[pw_run_index_no(r, b)] = true;
    r->index_kept[pw_run_index_no(r, a)] = true;
}

/* The index that stays for b, or NULL. */
static struct inv_index *cover_of(struct advice_run *r, struct inv_index *b)
{
    struct inv_index *best = NULL;
    for (size_t k = 0; k < r->inv.n_indexes; k++) {
        struct inv_index *a = &r->inv.indexes[k];
        const char *why = NULL;
        if (r->index_dropped[k] || a->table != b->table)
            continue;
        if (!pw_index_redundant(b, a, &why)) {
            if (why && redundant_untouchable(b) == NULL)
                pw_advice_refuse(r->set, b->full, "not redundant to %s: %s", a->full, why);
            continue;
        }
        if (pw_index_redundant(a, b, NULL) && !goes_first(b, a))
            continue;
        if (!best || a->n_keys > best->n_keys || (a->n_keys == best->n_keys && goes_first(best, a)))
            best = a;
    }
    return best;
}

static void judge_redundant(struct advice_run *r, struct inv_index *b)
{
    struct inv_index *a = cover_of(r, b);
    if (!a)
        return;
    const char *why = redundant_untouchable(b);
    if (b->parent)
        return; /* decided at the parent */
    if (why)
        pw_advice_refuse(r->set, b->full, "covered by %s, but %s", a->full, why);
    else if (far_smaller_and_hot(b, a))
        pw_advice_refuse(r->set, b->full,
                         "covered by %s, which is %.1f times as large and less used: dropping the "
                         "small one would cost cache",
                         a->full, a->bytes / b->bytes);
    else
        advise_redundant(r, b, a);
}

/* The widest first: of (a), (a,b) and (a,b,c) the last one stays for both others. */
void pw_rules_redundant(struct advice_run *r)
{
    for (int width = PW_INV_KEYS; width > 0; width--)
        for (size_t k = 0; k < r->inv.n_indexes; k++) {
            struct inv_index *b = &r->inv.indexes[k];
            if (b->n_keys == width && b->valid && !r->index_dropped[k])
                judge_redundant(r, b);
        }
}

/* "name_ccnew", "name_ccold1": what a failed REINDEX CONCURRENTLY leaves. */
static bool reindex_leftover(const char *name)
{
    const char *at = strstr(name, "_ccnew");
    if (!at)
        at = strstr(name, "_ccold");
    if (!at)
        return false;
    return strspn(at + 6, "0123456789") == strlen(at + 6);
}

static bool being_built(struct advice_run *r, const struct inv_index *x)
{
    char oid[16];
    snprintf(oid, sizeof(oid), "%u", x->oid);
    const char *params[] = {oid};
    struct pgresult *res = pw_side_rows(
        &r->side, "index builds in progress",
        "SELECT 1 FROM pg_stat_progress_create_index WHERE index_relid = $1::oid", 1, params);
    bool yes = res && pw_pgresult_rows(res) > 0;
    if (res)
        pw_pgresult_free(res);
    return yes;
}

void pw_rules_invalid(struct advice_run *r)
{
    struct advice_set *s = r->set;
    for (size_t k = 0; k < r->inv.n_indexes; k++) {
        struct inv_index *x = &r->inv.indexes[k];
        if (x->valid || x->by_extension)
            continue;
        if (x->is_partitioned) {
            pw_advice_refuse(s, x->full,
                             "invalid because not every partition has an attached index: create "
                             "and attach the missing ones");
            continue;
        }
        if (being_built(r, x)) {
            pw_advice_refuse(s, x->full, "invalid because it is being built at this moment");
            continue;
        }
        bool leftover = reindex_leftover(x->name);
        struct advice *v = pw_advice_add(s, ADVICE_DROP_INVALID, x->table->full, x->full);
        pw_index_columns(s, v, x);
        v->sql = pw_index_drop_sql(&s->mem, x);
        v->undo_sql = leftover ? "" : pw_index_create_sql(&s->mem, x);
        v->size_bytes = x->bytes;
        v->reason = leftover
                        ? "A REINDEX CONCURRENTLY failed and left this index behind: no query "
                          "uses it, but every write maintains it."
                        : "A CREATE INDEX CONCURRENTLY failed: no query can use this index, but "
                          "writes may maintain it; drop it, then create it again if it is "
                          "needed.";
        pw_advice_fact_text(s, v, "definition", x->definition);
        pw_advice_fact_bool(s, v, "maintained_by_writes", x->ready);
        r->index_dropped[k] = true;
    }
}
