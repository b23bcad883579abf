/* Loading tables, columns and foreign keys; look-ups. See inventory.h. */
#include "advisor/inventory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/inventory_load.h"

#define USER_SCHEMA                                                                                \
    " n.nspname <> 'information_schema' AND n.nspname !~ '^pg_(catalog|toast|temp)' "

static const char tables_sql[] =
    "SELECT c.oid, n.nspname, c.relname, c.relkind, greatest(c.reltuples, 0), c.relpages,"
    " CASE WHEN c.relkind = 'p' THEN 0 ELSE pg_table_size(c.oid) END,"
    " CASE WHEN c.relpages > 0 THEN c.relallvisible::float8 / c.relpages ELSE 0 END,"
    " s.n_tup_ins, s.n_tup_upd, s.n_tup_del, s.n_tup_hot_upd, s.n_dead_tup, s.n_live_tup,"
    " s.seq_scan, s.n_mod_since_analyze,"
    " s.last_analyze IS NULL AND s.last_autoanalyze IS NULL AND c.reltuples <= 0,"
    " s.last_vacuum IS NULL AND s.last_autovacuum IS NULL,"
    " coalesce(i.inhparent, 0), c.relispartition,"
    " EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
    "         AND d.objid = c.oid AND d.deptype = 'e')"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid"
    " LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND c.relispartition"
    " WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND" USER_SCHEMA
    " ORDER BY c.oid LIMIT 50000";

static const char columns_sql[] =
    "SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid,"
    " a.attcollation, a.attnotnull, t.typcategory, t.typlen, t.typalign,"
    " a.attcollation <> 0 AND coalesce(l.collname IN ('C', 'POSIX') OR (l.oid = 100 AND"
    "  (SELECT datcollate IN ('C', 'POSIX') FROM pg_database WHERE datname = current_database())),"
    "  false),"
    " s.null_frac, s.n_distinct, s.avg_width, s.correlation, left(s.most_common_vals::text, 4000),"
    " left(s.most_common_freqs::text, 4000), left(s.histogram_bounds::text, 4000)"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid"
    " LEFT JOIN pg_collation l ON l.oid = a.attcollation"
    " LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname"
    "  AND s.attname = a.attname AND s.inherited = (c.relkind = 'p')"
    " WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm')"
    " AND c.relpersistence <> 't' AND" USER_SCHEMA "ORDER BY a.attrelid, a.attnum LIMIT 500000";

static const char fks_sql[] =
    "SELECT k.conname, k.conrelid, k.confrelid, array_to_string(k.conkey, ' '),"
    " array_to_string(k.confkey, ' '), k.confdeltype, k.confupdtype FROM pg_constraint k"
    " JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE k.contype = 'f' AND k.conparentid = 0 AND" USER_SCHEMA
    "ORDER BY n.nspname, c.relname, k.conname LIMIT 50000";

static const char settings_sql[] =
    "SELECT current_setting('block_size'), current_setting('seq_page_cost'),"
    " current_setting('random_page_cost'), current_setting('cpu_tuple_cost'),"
    " current_setting('cpu_index_tuple_cost'), current_setting('cpu_operator_cost'),"
    " extract(epoch FROM now() - coalesce((SELECT stats_reset FROM pg_stat_database"
    "  WHERE datname = current_database()), pg_postmaster_start_time()))";

static const char extensions_sql[] =
    "SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace";

static bool load_tables(struct inventory *inv, struct side *s)
{
    struct pgresult *r = pw_side_rows(s, "tables", tables_sql, 0, NULL);
    if (!r)
        return false;
    int rows = pw_pgresult_rows(r);
    inv->tables = pw_mem(s->mem, (size_t)rows * sizeof(*inv->tables));
    inv->n_tables = (size_t)rows;
    for (int k = 0; k < rows; k++) {
        struct inv_table *t = &inv->tables[k];
        t->oid = (uint32_t)pw_cell_int(r, k, 0, 0);
        t->schema = pw_cell_str(s->mem, r, k, 1);
        t->name = pw_cell_str(s->mem, r, k, 2);
        t->full = pw_mem_printf(s->mem, "%s.%s", t->schema, t->name);
        t->kind = pw_cell(r, k, 3)[0];
        t->rows = pw_cell_num(r, k, 4, 0);
        t->pages = pw_cell_num(r, k, 5, 0);
        t->bytes = pw_cell_num(r, k, 6, 0);
        t->all_visible = pw_cell_num(r, k, 7, 0);
        t->n_ins = pw_cell_num(r, k, 8, 0);
        t->n_upd = pw_cell_num(r, k, 9, 0);
        t->n_del = pw_cell_num(r, k, 10, 0);
        t->n_hot = pw_cell_num(r, k, 11, 0);
        t->n_dead = pw_cell_num(r, k, 12, 0);
        t->n_live = pw_cell_num(r, k, 13, 0);
        t->seq_scan = pw_cell_num(r, k, 14, 0);
        t->mods_since_analyze = pw_cell_num(r, k, 15, 0);
        t->never_analyzed = pw_cell_bool(r, k, 16);
        t->never_vacuumed = pw_cell_bool(r, k, 17);
        t->parent = (uint32_t)pw_cell_int(r, k, 18, 0);
        t->is_partition = pw_cell_bool(r, k, 19);
        t->by_extension = pw_cell_bool(r, k, 20);
    }
    pw_pgresult_free(r);
    return true;
}

/* A partitioned table has no size of its own: it is the sum of its leaves. */
static void roll_up_partitions(struct inventory *inv)
{
    for (size_t k = 0; k < inv->n_tables; k++) {
        const struct inv_table *leaf = &inv->tables[k];
        if (leaf->kind == 'p')
            continue;
        int depth = 0;
        for (struct inv_table *p = pw_inventory_table(inv, leaf->parent); p && depth < 16;
             p = pw_inventory_table(inv, p->parent), depth++) {
            double pages = p->pages + leaf->pages;
            if (pages > 0)
                p->all_visible =
                    (p->all_visible * p->pages + leaf->all_visible * leaf->pages) / pages;
            p->pages = pages;
            p->bytes += leaf->bytes;
            p->n_live += leaf->n_live;
            p->n_ins += leaf->n_ins;
            p->n_upd += leaf->n_upd;
            p->n_del += leaf->n_del;
            p->n_hot += leaf->n_hot;
            p->seq_scan += leaf->seq_scan;
            if (p->rows < 1)
                p->never_analyzed = true;
        }
    }
    for (size_t k = 0; k < inv->n_tables; k++)
        if (inv->tables[k].kind == 'p' && inv->tables[k].rows < 1)
            inv->tables[k].rows = inv->tables[k].n_live;
}

static void read_column(struct arena *mem, const struct pgresult *r, int k, struct inv_column *c)
{
    c->attnum = (int)pw_cell_int(r, k, 1, 0);
    c->name = pw_cell_str(mem, r, k, 2);
    c->type = pw_cell_str(mem, r, k, 3);
    c->type_oid = (uint32_t)pw_cell_int(r, k, 4, 0);
    c->collation = (uint32_t)pw_cell_int(r, k, 5, 0);
    c->not_null = pw_cell_bool(r, k, 6);
    c->category = pw_cell(r, k, 7)[0];
    c->typlen = (int)pw_cell_int(r, k, 8, -1);
    c->typalign = pw_cell(r, k, 9)[0];
    c->collation_is_c = pw_cell_bool(r, k, 10);
    c->has_stats = pw_pgresult_get(r, k, 11) != NULL;
    c->null_frac = pw_cell_num(r, k, 11, 0);
    c->n_distinct = pw_cell_num(r, k, 12, 0);
    c->avg_width = pw_cell_num(r, k, 13, c->typlen > 0 ? c->typlen : 32);
    c->correlation = pw_cell_num(r, k, 14, NAN);
    c->mcv = pw_cell_str(mem, r, k, 15);
    c->mcf = pw_cell_str(mem, r, k, 16);
    c->histogram = pw_cell_str(mem, r, k, 17);
}

static void load_columns(struct inventory *inv, struct side *s)
{
    struct pgresult *r = pw_side_rows(s, "columns", columns_sql, 0, NULL);
    if (!r)
        return;
    int rows = pw_pgresult_rows(r);
    for (int k = 0; k < rows;) {
        uint32_t oid = (uint32_t)pw_cell_int(r, k, 0, 0);
        int end = k;
        while (end < rows && (uint32_t)pw_cell_int(r, end, 0, 0) == oid)
            end++;
        struct inv_table *t = pw_inventory_table(inv, oid);
        if (t) {
            t->n_columns = (size_t)(end - k);
            t->columns = pw_mem(s->mem, t->n_columns * sizeof(*t->columns));
            for (int c = k; c < end; c++) {
                read_column(s->mem, r, c, &t->columns[c - k]);
                inv->stats_visible |= t->columns[c - k].has_stats;
            }
        }
        k = end;
    }
    pw_pgresult_free(r);
}

int pw_inventory_numbers(const char *text, int *out, int max)
{
    int n = 0;
    char *end;
    for (const char *p = text; n < max; p = end) {
        long v = strtol(p, &end, 10);
        if (end == p)
            break;
        out[n++] = (int)v;
    }
    return n;
}

static void load_views(struct inventory *inv, struct side *s)
{
    struct pgresult *r = pw_side_rows(
        s, "views",
        "SELECT n.nspname, c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid ="
        " c.relnamespace WHERE c.relkind = 'v' AND c.relpersistence <> 't' AND" USER_SCHEMA
        "ORDER BY c.oid LIMIT 50000",
        0, NULL);
    int rows = r ? pw_pgresult_rows(r) : 0;
    inv->views = pw_mem(s->mem, (size_t)(rows + 1) * sizeof(*inv->views));
    for (int k = 0; k < rows; k++)
        inv->views[inv->n_views++] = (struct inv_view){.schema = pw_cell_str(s->mem, r, k, 0),
                                                       .name = pw_cell_str(s->mem, r, k, 1),
                                                       .oid = (uint32_t)pw_cell_int(r, k, 2, 0)};
    if (r)
        pw_pgresult_free(r);
}

static void load_fks(struct inventory *inv, struct side *s)
{
    struct pgresult *r = pw_side_rows(s, "foreign keys", fks_sql, 0, NULL);
    if (!r)
        return;
    int rows = pw_pgresult_rows(r);
    inv->fks = pw_mem(s->mem, (size_t)rows * sizeof(*inv->fks));
    for (int k = 0; k < rows; k++) {
        struct inv_fk *f = &inv->fks[inv->n_fks];
        f->name = pw_cell_str(s->mem, r, k, 0);
        f->child = pw_inventory_table(inv, (uint32_t)pw_cell_int(r, k, 1, 0));
        f->parent = pw_inventory_table(inv, (uint32_t)pw_cell_int(r, k, 2, 0));
        f->n_cols = pw_inventory_numbers(pw_cell(r, k, 3), f->child_cols, PW_INV_KEYS);
        pw_inventory_numbers(pw_cell(r, k, 4), f->parent_cols, PW_INV_KEYS);
        f->on_delete = pw_cell(r, k, 5)[0];
        f->on_update = pw_cell(r, k, 6)[0];
        if (f->child && f->parent && f->n_cols > 0)
            inv->n_fks++;
    }
    pw_pgresult_free(r);
}

static void load_settings(struct inventory *inv, struct side *s)
{
    struct pgresult *r = pw_side_rows(s, "settings", settings_sql, 0, NULL);
    inv->block_size = r ? pw_cell_num(r, 0, 0, 8192) : 8192;
    inv->seq_page_cost = r ? pw_cell_num(r, 0, 1, 1) : 1;
    inv->random_page_cost = r ? pw_cell_num(r, 0, 2, 4) : 4;
    inv->cpu_tuple_cost = r ? pw_cell_num(r, 0, 3, 0.01) : 0.01;
    inv->cpu_index_tuple_cost = r ? pw_cell_num(r, 0, 4, 0.005) : 0.005;
    inv->cpu_operator_cost = r ? pw_cell_num(r, 0, 5, 0.0025) : 0.0025;
    inv->stats_age_s = r ? pw_cell_num(r, 0, 6, NAN) : NAN;
    if (r)
        pw_pgresult_free(r);
    r = pw_side_rows(s, "extensions", extensions_sql, 0, NULL);
    for (int k = 0; r && k < pw_pgresult_rows(r); k++) {
        const char *name = pw_cell(r, k, 0), *schema = pw_cell_str(s->mem, r, k, 1);
        if (strcmp(name, "hypopg") == 0)
            inv->has_hypopg = true, inv->hypopg_schema = schema;
        else if (strcmp(name, "pg_trgm") == 0)
            inv->has_trgm = true, inv->trgm_schema = schema;
        else if (strcmp(name, "pgstattuple") == 0)
            inv->has_pgstattuple = true, inv->pgstattuple_schema = schema;
        else if (strcmp(name, "pg_stat_statements") == 0)
            inv->has_pgss = true, inv->pgss_schema = schema;
    }
    if (r)
        pw_pgresult_free(r);
}

bool pw_inventory_load(struct inventory *inv, struct side *s)
{
    memset(inv, 0, sizeof(*inv));
    load_settings(inv, s);
    if (!load_tables(inv, s))
        return false;
    load_columns(inv, s);
    roll_up_partitions(inv);
    pw_inventory_load_indexes(inv, s);
    load_views(inv, s);
    load_fks(inv, s);
    if (inv->n_tables && !inv->stats_visible)
        pw_side_note(s, "no column statistics are visible: run ANALYZE, or grant SELECT on the "
                        "tables to this role");
    return !s->lost;
}

struct inv_table *pw_inventory_table(const struct inventory *inv, uint32_t oid)
{
    size_t lo = 0, hi = inv->n_tables;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (inv->tables[mid].oid < oid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < inv->n_tables && inv->tables[lo].oid == oid ? &inv->tables[lo] : NULL;
}

struct inv_index *pw_inventory_index(const struct inventory *inv, uint32_t oid)
{
    size_t lo = 0, hi = inv->n_indexes;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (inv->indexes[mid].oid < oid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < inv->n_indexes && inv->indexes[lo].oid == oid ? &inv->indexes[lo] : NULL;
}

static bool named(const char *schema, size_t len, const char *name, const char *its_schema,
                  const char *its_name)
{
    return strlen(its_schema) == len && memcmp(its_schema, schema, len) == 0 &&
           strcmp(its_name, name) == 0;
}

static bool find_in(const struct inventory *inv, const char *schema, size_t len, const char *name,
                    struct inv_table **table, struct inv_view **view)
{
    for (size_t k = 0; k < inv->n_tables && !*table; k++)
        if (named(schema, len, name, inv->tables[k].schema, inv->tables[k].name))
            *table = &inv->tables[k];
    for (size_t k = 0; k < inv->n_views && !*table && !*view; k++)
        if (named(schema, len, name, inv->views[k].schema, inv->views[k].name))
            *view = &inv->views[k];
    return *table || *view;
}

/* One entry of a search_path: plain, or quoted with doubled quotes. Returns what follows it. */
static const char *path_entry(const char *p, char out[128])
{
    size_t n = 0;
    p += strspn(p, " ,");
    bool quoted = *p == '"';
    for (p += quoted; *p && (quoted || !strchr(" ,", *p)); p++) {
        if (quoted && *p == '"' && *++p != '"')
            break;
        if (n < 127)
            out[n++] = *p;
    }
    out[n] = 0;
    return p;
}

struct inv_table *pw_inventory_find(const struct inventory *inv, const char *search_path,
                                    const char *user, const char *schema, const char *name,
                                    struct inv_view **view)
{
    struct inv_table *t = NULL;
    struct inv_view *v = NULL;
    char entry[128];
    if (schema) {
        find_in(inv, schema, strlen(schema), name, &t, &v);
    } else {
        for (const char *p = search_path; *p && !t && !v;) {
            p = path_entry(p, entry);
            const char *in = strcmp(entry, "$user") == 0 ? user : entry;
            if (in && in[0])
                find_in(inv, in, strlen(in), name, &t, &v);
        }
    }
    if (view)
        *view = v;
    return t;
}

struct inv_column *pw_inventory_column(const struct inv_table *t, const char *name)
{
    for (size_t k = 0; k < t->n_columns; k++)
        if (strcmp(t->columns[k].name, name) == 0)
            return &t->columns[k];
    return NULL;
}

struct inv_column *pw_inventory_attnum(const struct inv_table *t, int attnum)
{
    for (size_t k = 0; k < t->n_columns; k++)
        if (t->columns[k].attnum == attnum)
            return &t->columns[k];
    return NULL;
}

double pw_inventory_rows(const struct inv_table *t)
{
    return t->rows > 0 ? t->rows : t->n_live;
}

double pw_inventory_distinct(const struct inv_table *t, const struct inv_column *c)
{
    if (!c->has_stats || c->n_distinct == 0)
        return fmax(t->rows, 1);
    double d = c->n_distinct < 0 ? -c->n_distinct * t->rows : c->n_distinct;
    return fmax(d, 1);
}
