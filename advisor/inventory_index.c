/* Loading indexes, their keys and their use; asking standbys. See inventory.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/inventory_load.h"

static const char indexes_sql[] =
    "SELECT x.indexrelid, x.indrelid, n.nspname, c.relname, am.amname, x.indnkeyatts, x.indnatts,"
    " x.indisunique, x.indisprimary, x.indisexclusion, x.indisreplident, x.indisclustered,"
    " x.indisvalid, x.indisready, x.indislive, pg_get_expr(x.indpred, x.indrelid),"
    " pg_get_indexdef(x.indexrelid), k.conname, k.contype,"
    " CASE WHEN c.relkind = 'I' THEN 0 ELSE pg_relation_size(c.oid) END, c.relpages,"
    " c.reltuples, coalesce((SELECT substr(o, 12)::float8 FROM unnest(c.reloptions) o"
    "  WHERE o ~ '^fillfactor='), 90),"
    " coalesce((SELECT NOT substr(o, 19)::bool FROM unnest(c.reloptions) o"
    "  WHERE o ~ '^deduplicate_items='), false),"
    " u.idx_scan, u.idx_tup_read, u.idx_tup_fetch, coalesce(i.inhparent, 0), c.relkind = 'I',"
    " EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
    "  AND d.objid = c.oid AND d.deptype = 'e'),"
    " x.indexprs IS NOT NULL, EXISTS (SELECT 1 FROM pg_stats st WHERE st.schemaname = n.nspname"
    "  AND st.tablename = c.relname),"
    " EXISTS (SELECT 1 FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = c.oid),"
    " %s, %s"
    " FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid"
    " JOIN pg_class t ON t.oid = x.indrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am am ON am.oid = c.relam"
    " LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = t.oid"
    "  AND k.contype IN ('p', 'u', 'x')"
    " LEFT JOIN pg_stat_all_indexes u ON u.indexrelid = c.oid"
    " LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"
    " WHERE t.relkind IN ('r', 'p', 'm') AND t.relpersistence <> 't'"
    " AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_(catalog|toast|temp)'"
    " ORDER BY c.oid LIMIT 100000";

static const char keys_sql[] =
    "SELECT x.indexrelid, g.n, x.indkey[g.n - 1], pg_get_indexdef(x.indexrelid, g.n, true),"
    " o.oid, o.opcfamily, o.opcintype, CASE WHEN pg_opclass_is_visible(o.oid) THEN"
    "  quote_ident(o.opcname) ELSE quote_ident(ns.nspname) || '.' || quote_ident(o.opcname) END,"
    " o.opcdefault, EXISTS (SELECT 1 FROM pg_amproc p WHERE p.amprocfamily = o.opcfamily"
    "  AND p.amproclefttype = o.opcintype AND p.amprocrighttype = o.opcintype"
    "  AND p.amprocnum = 4),"
    " x.indcollation[g.n - 1], coalesce(l.collisdeterministic, true), x.indoption[g.n - 1]"
    " FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid"
    " JOIN pg_class t ON t.oid = x.indrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " CROSS JOIN LATERAL generate_series(1, x.indnatts) g(n)"
    " LEFT JOIN pg_opclass o ON g.n <= x.indnkeyatts AND o.oid = x.indclass[g.n - 1]"
    " LEFT JOIN pg_namespace ns ON ns.oid = o.opcnamespace"
    " LEFT JOIN pg_collation l ON g.n <= x.indnkeyatts AND l.oid = x.indcollation[g.n - 1]"
    " WHERE t.relkind IN ('r', 'p', 'm') AND t.relpersistence <> 't'"
    " AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_(catalog|toast|temp)'"
    " ORDER BY x.indexrelid, g.n LIMIT 1000000";

static void read_index(struct inventory *inv, struct arena *mem, const struct pgresult *r, int k,
                       struct inv_index *x)
{
    x->oid = (uint32_t)pw_cell_int(r, k, 0, 0);
    x->table = pw_inventory_table(inv, (uint32_t)pw_cell_int(r, k, 1, 0));
    x->schema = pw_cell_str(mem, r, k, 2);
    x->name = pw_cell_str(mem, r, k, 3);
    x->full = pw_mem_printf(mem, "%s.%s", x->schema, x->name);
    x->am = pw_cell_str(mem, r, k, 4);
    x->n_keys = (int)pw_cell_int(r, k, 5, 0);
    x->n_atts = (int)pw_cell_int(r, k, 6, 0);
    x->unique = pw_cell_bool(r, k, 7);
    x->primary = pw_cell_bool(r, k, 8);
    x->exclusion = pw_cell_bool(r, k, 9);
    x->replica_identity = pw_cell_bool(r, k, 10);
    x->clustered = pw_cell_bool(r, k, 11);
    x->valid = pw_cell_bool(r, k, 12);
    x->ready = pw_cell_bool(r, k, 13);
    x->live = pw_cell_bool(r, k, 14);
    x->predicate = pw_cell_str(mem, r, k, 15);
    x->definition = pw_cell_str(mem, r, k, 16);
    x->constraint = pw_cell_str(mem, r, k, 17);
    x->constraint_type = pw_cell(r, k, 18)[0];
    x->bytes = pw_cell_num(r, k, 19, 0);
    x->pages = pw_cell_num(r, k, 20, 0);
    x->tuples = pw_cell_num(r, k, 21, 0);
    x->fillfactor = pw_cell_num(r, k, 22, 90);
    x->dedup_off = pw_cell_bool(r, k, 23);
    x->scans = pw_cell_num(r, k, 24, 0);
    x->tuples_read = pw_cell_num(r, k, 25, 0);
    x->tuples_fetched = pw_cell_num(r, k, 26, 0);
    x->parent = (uint32_t)pw_cell_int(r, k, 27, 0);
    x->is_partitioned = pw_cell_bool(r, k, 28);
    x->by_extension = pw_cell_bool(r, k, 29);
    x->has_expression = pw_cell_bool(r, k, 30);
    x->expression_stats = x->has_expression && pw_cell_bool(r, k, 31);
    x->fk_target = pw_cell_bool(r, k, 32);
    x->nulls_not_distinct = pw_cell_bool(r, k, 33);
    x->idle_s = pw_cell_num(r, k, 34, NAN);
    x->scans_standby = NAN;
}

static void read_key(struct arena *mem, const struct pgresult *r, int k, struct inv_key *key)
{
    key->attnum = (int)pw_cell_int(r, k, 2, 0);
    key->expr = pw_cell_str(mem, r, k, 3);
    key->opclass = (uint32_t)pw_cell_int(r, k, 4, 0);
    key->opfamily = (uint32_t)pw_cell_int(r, k, 5, 0);
    key->opcintype = (uint32_t)pw_cell_int(r, k, 6, 0);
    key->opcname = pw_cell_str(mem, r, k, 7);
    key->opc_default = pw_cell_bool(r, k, 8);
    key->opc_dedup = pw_cell_bool(r, k, 9);
    key->collation = (uint32_t)pw_cell_int(r, k, 10, 0);
    key->collation_deterministic = pw_cell_bool(r, k, 11);
    key->option = (int)pw_cell_int(r, k, 12, 0);
}

static void load_keys(struct inventory *inv, struct side *s)
{
    struct pgresult *r = pw_side_rows(s, "index keys", keys_sql, 0, NULL);
    for (int k = 0; r && k < pw_pgresult_rows(r); k++) {
        struct inv_index *x = pw_inventory_index(inv, (uint32_t)pw_cell_int(r, k, 0, 0));
        int64_t n = pw_cell_int(r, k, 1, 0);
        if (x && n >= 1 && n <= PW_INV_KEYS)
            read_key(s->mem, r, k, &x->keys[n - 1]);
    }
    if (r)
        pw_pgresult_free(r);
}

static const char expressions_sql[] =
    "SELECT c.oid, a.attnum, format_type(a.atttypid, a.atttypmod), t.typlen, t.typalign,"
    " s.null_frac, s.n_distinct, s.avg_width, left(s.most_common_freqs::text, 4000), a.atttypid,"
    " t.typcategory FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid"
    " JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname"
    "  AND s.attname = a.attname"
    " WHERE c.relkind IN ('i', 'I') AND n.nspname !~ '^pg_(catalog|toast|temp)' LIMIT 100000";

static void load_expressions(struct inventory *inv, struct side *s)
{
    struct pgresult *r = pw_side_rows(s, "statistics of expressions", expressions_sql, 0, NULL);
    for (int k = 0; r && k < pw_pgresult_rows(r); k++) {
        struct inv_index *x = pw_inventory_index(inv, (uint32_t)pw_cell_int(r, k, 0, 0));
        int64_t n = pw_cell_int(r, k, 1, 0);
        if (!x || n < 1 || n > x->n_keys)
            continue;
        struct inv_column *c = pw_mem(s->mem, sizeof(*c));
        c->name = x->keys[n - 1].expr;
        c->type = pw_cell_str(s->mem, r, k, 2);
        c->typlen = (int)pw_cell_int(r, k, 3, -1);
        c->typalign = pw_cell(r, k, 4)[0];
        c->has_stats = true;
        c->null_frac = pw_cell_num(r, k, 5, 0);
        c->n_distinct = pw_cell_num(r, k, 6, 0);
        c->avg_width = pw_cell_num(r, k, 7, 8);
        c->mcf = pw_cell_str(s->mem, r, k, 8);
        c->type_oid = (uint32_t)pw_cell_int(r, k, 9, 0);
        c->category = pw_cell(r, k, 10)[0];
        x->keys[n - 1].expr_stats = c;
    }
    if (r)
        pw_pgresult_free(r);
}

/* A partitioned index has no storage: sizes and scans are the sums over its leaves. */
static void roll_up(struct inventory *inv)
{
    for (size_t k = 0; k < inv->n_indexes; k++) {
        const struct inv_index *leaf = &inv->indexes[k];
        if (leaf->is_partitioned)
            continue;
        struct inv_index *p = pw_inventory_index(inv, leaf->parent);
        for (int depth = 0; p && depth < 16; p = pw_inventory_index(inv, p->parent), depth++) {
            p->bytes += leaf->bytes;
            p->pages += leaf->pages;
            p->tuples = (p->tuples > 0 ? p->tuples : 0) + (leaf->tuples > 0 ? leaf->tuples : 0);
            p->scans += leaf->scans;
            p->tuples_read += leaf->tuples_read;
            if (isnan(p->idle_s) || leaf->idle_s < p->idle_s)
                p->idle_s = leaf->idle_s;
        }
    }
}

void pw_inventory_load_indexes(struct inventory *inv, struct side *s)
{
    char *sql = pw_mem_printf(
        s->mem, indexes_sql, s->version >= 150000 ? "x.indnullsnotdistinct" : "false",
        s->version >= 160000 ? "extract(epoch FROM now() - u.last_idx_scan)" : "NULL::float8");
    struct pgresult *r = pw_side_rows(s, "indexes", sql, 0, NULL);
    if (!r)
        return;
    int rows = pw_pgresult_rows(r);
    inv->indexes = pw_mem(s->mem, (size_t)rows * sizeof(*inv->indexes));
    for (int k = 0; k < rows; k++) {
        struct inv_index *x = &inv->indexes[inv->n_indexes];
        read_index(inv, s->mem, r, k, x);
        bool again = inv->n_indexes > 0 && x[-1].oid == x->oid;
        if (x->table && x->n_atts <= PW_INV_KEYS && !again)
            inv->n_indexes++;
        else
            memset(x, 0, sizeof(*x));
    }
    pw_pgresult_free(r);
    load_keys(inv, s);
    load_expressions(inv, s);
    roll_up(inv);
}

void pw_inventory_ask_standby(struct inventory *inv, struct side *s, const char *conninfo)
{
    char *error = NULL;
    struct side other;
    if (!pw_side_open(&other, s->mem, conninfo, &error)) {
        pw_side_note(s, "a standby could not be asked for index usage: %s", error ? error : "?");
        free(error);
        return;
    }
    struct pgresult *r = pw_side_rows(
        &other, "index usage of a standby",
        "SELECT indexrelid, idx_scan FROM pg_stat_all_indexes ORDER BY indexrelid", 0, NULL);
    for (size_t k = 0; r && k < inv->n_indexes; k++)
        if (isnan(inv->indexes[k].scans_standby))
            inv->indexes[k].scans_standby = 0;
    for (int k = 0; r && k < pw_pgresult_rows(r); k++) {
        struct inv_index *x = pw_inventory_index(inv, (uint32_t)pw_cell_int(r, k, 0, 0));
        if (x)
            x->scans_standby += pw_cell_num(r, k, 1, 0);
    }
    if (r) {
        inv->n_standbys_asked++;
        pw_pgresult_free(r);
    }
    for (size_t k = 0; k < other.n_notes; k++)
        pw_side_note(s, "standby: %s", other.notes[k]);
    pw_side_close(&other);
}
