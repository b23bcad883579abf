/* See candidates.h. */
#include "advisor/candidates.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/btsize.h"
#include "advisor/candidates_build.h"
#include "advisor/size.h"

#define MIN_ROWS 500 /* smaller tables are read whole anyway */

static char *key_text(struct arena *mem, const struct inv_table *t, const struct cand_key *k)
{
    const struct inv_column *c = k->attnum ? pw_inventory_attnum(t, k->attnum) : NULL;
    const char *what = c ? pw_mem_ident(mem, c->name) : k->expr;
    const char *nulls = k->desc == k->nulls_first ? ""
                        : k->nulls_first          ? " NULLS FIRST"
                                                  : " NULLS LAST";
    return pw_mem_printf(mem, "%s%s%s%s%s", what, k->opclass ? " " : "",
                         k->opclass ? k->opclass : "", k->desc ? " DESC" : "", nulls);
}

static void describe(struct arena *mem, struct candidate *c)
{
    char *keys = NULL, *inc = NULL;
    for (int k = 0; k < c->n_keys; k++)
        keys = pw_mem_printf(mem, "%s%s%s", keys ? keys : "", keys ? ", " : "",
                             key_text(mem, c->table, &c->keys[k]));
    for (int k = 0; k < c->n_include; k++) {
        const struct inv_column *col = pw_inventory_attnum(c->table, c->include[k]);
        inc = pw_mem_printf(mem, "%s%s%s", inc ? inc : "", inc ? ", " : "",
                            pw_mem_ident(mem, col->name));
    }
    const char *using = strcmp(c->am, "btree") == 0 ? "" : pw_mem_printf(mem, "USING %s ", c->am);
    c->definition = pw_mem_printf(mem, "%s %s(%s)%s%s%s%s%s",
                                  pw_mem_qualified(mem, c->table->schema, c->table->name), using,
                                  keys, inc ? " INCLUDE (" : "", inc ? inc : "", inc ? ")" : "",
                                  c->predicate ? " WHERE " : "", c->predicate ? c->predicate : "");
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Does the text name this column, as a word of its own? */
static bool names_column(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
        if ((at == text || !is_word(at[-1])) && !is_word(at[n]))
            return true;
    return false;
}

/* "orders_customer_id_created_at_idx", cut to 63 bytes. */
static void name_it(struct arena *mem, struct candidate *c)
{
    char out[128];
    size_t n = (size_t)snprintf(out, sizeof(out), "%.30s", c->table->name);
    for (int k = 0; k < c->n_keys && n < 54; k++) {
        const struct inv_column *col =
            c->keys[k].attnum ? pw_inventory_attnum(c->table, c->keys[k].attnum) : NULL;
        n += (size_t)snprintf(out + n, sizeof(out) - n, "_%.16s", col ? col->name : "expr");
    }
    if (n > 54)
        n = 54;
    while (n > 0 && ((unsigned char)out[n] & 0xc0) == 0x80)
        n--; /* not inside a character */
    snprintf(out + n, sizeof(out) - n, "%s", c->predicate ? "_part_idx" : "_idx");
    c->name = pw_mem_str(mem, out);
}

/* An expression has about the widths and values of the only column in it (lower(), trim()), but not
 * of the document that it takes a part of. */
static struct inv_column guess_of(const struct candidate *c, int key)
{
    struct inv_column guess = {.typlen = -1, .typalign = 'i', .avg_width = 16};
    const char *expr = key < c->n_keys ? c->keys[key].expr : NULL;
    const struct inv_column *only = NULL;
    int n = 0;
    for (size_t k = 0; expr && k < c->table->n_columns; k++)
        if (names_column(expr, c->table->columns[k].name)) {
            only = &c->table->columns[k];
            n++;
        }
    if (n != 1 || only->category != 'S' || !only->has_stats)
        return guess;
    guess = *only;
    guess.mcv = guess.mcf = NULL;
    return guess;
}

/* Rough: per row, measured on texts (a posting of each of their trigrams) and small documents (an
 * entry per value). */
static double gin_bytes(const struct candidate *c, double width)
{
    const char *opclass = c->keys[0].opclass;
    return opclass && strstr(opclass, "trgm") ? (width + 2) * 3.4 : fmax(1, width / 16) * 50;
}

static void measure(const struct inventory *inv, struct candidate *c)
{
    double rows = pw_inventory_rows(c->table) * c->predicate_share;
    struct bt_shape shape = {.block_size = inv->block_size,
                             .fillfactor = 90,
                             .rows = rows,
                             .n_keys = c->n_keys,
                             .n_sample = c->table->n_widths,
                             .dedup = c->n_include == 0};
    c->entries = rows;
    c->distinct = 1;
    for (int k = 0; k < c->n_keys + c->n_include; k++) {
        int attnum = k < c->n_keys ? c->keys[k].attnum : c->include[k - c->n_keys];
        const struct inv_column *col = attnum ? pw_inventory_attnum(c->table, attnum) : NULL;
        struct inv_column guess = guess_of(c, k);
        pw_size_column(&shape.columns[shape.n_columns++], col ? col : &guess, rows,
                       c->predicate != NULL);
        shape.dedup = shape.dedup && (!col || pw_size_type_may_dedup(col));
        if (k < c->n_keys)
            c->distinct = fmin(rows, c->distinct * shape.columns[k].distinct);
    }
    struct bt_size size;
    pw_btree_size(&shape, &size);
    c->bytes = size.bytes;
    c->pages = size.pages;
    c->height = size.height;
    if (strcmp(c->am, "brin") == 0) {
        c->bytes = 3 * inv->block_size + c->table->pages / 128 * 24;
        c->pages = ceil(c->bytes / inv->block_size);
        c->height = 0;
    } else if (strcmp(c->am, "gin") == 0) {
        const struct inv_column *col =
            c->keys[0].attnum ? pw_inventory_attnum(c->table, c->keys[0].attnum) : NULL;
        c->bytes = fmax(3 * inv->block_size, rows * gin_bytes(c, col ? col->avg_width : 32));
        c->pages = ceil(c->bytes / inv->block_size);
    }
}

bool pw_candidate_touches(const struct candidate *c, int attnum)
{
    for (int k = 0; k < c->n_keys; k++)
        if (c->keys[k].attnum == attnum)
            return true;
    for (int k = 0; k < c->n_include; k++)
        if (c->include[k] == attnum)
            return true;
    const struct inv_column *col = pw_inventory_attnum(c->table, attnum);
    for (int k = 0; col && k < c->n_keys; k++)
        if (c->keys[k].expr && strstr(c->keys[k].expr, col->name))
            return true;
    return col && c->predicate && strstr(c->predicate, col->name) != NULL;
}

static bool same_key(const struct candidate *c, int k, const struct inv_key *key)
{
    const struct cand_key *mine = &c->keys[k];
    if (mine->attnum != key->attnum)
        return false;
    if (mine->attnum == 0 && strcmp(mine->expr, key->expr) != 0)
        return false;
    return mine->opclass ? strcmp(mine->opclass, key->opcname) == 0 : key->opc_default;
}

/* Does an index exist that answers everything the candidate would? */
static bool exists_already(const struct inventory *inv, const struct candidate *c)
{
    for (size_t i = 0; i < inv->n_indexes; i++) {
        const struct inv_index *x = &inv->indexes[i];
        if (x->table != c->table || !x->valid || strcmp(x->am, c->am) != 0 || x->n_keys < c->n_keys)
            continue;
        if (x->predicate && (!c->predicate || strcmp(x->predicate, c->predicate) != 0))
            continue;
        bool straight = true, flipped = true, covered = true;
        for (int k = 0; k < c->n_keys; k++) {
            int mine = (c->keys[k].desc ? 1 : 0) | (c->keys[k].nulls_first ? 2 : 0);
            covered = covered && same_key(c, k, &x->keys[k]);
            straight = straight && (x->keys[k].option & 3) == mine;
            flipped = flipped && (x->keys[k].option & 3) == (mine ^ 3);
        }
        for (int k = 0; covered && k < c->n_include; k++) {
            bool found = false;
            for (int j = 0; j < x->n_atts; j++)
                found = found || x->keys[j].attnum == c->include[k];
            covered = found;
        }
        if (covered && (straight || flipped))
            return true;
    }
    return false;
}

static uint32_t find_item(const struct candidates *all, const struct candidate *c)
{
    for (size_t k = 0; k < all->n; k++)
        if (all->items[k].table == c->table && strcmp(all->items[k].definition, c->definition) == 0)
            return (uint32_t)k;
    return PW_SELECT_NONE;
}

void pw_candidate_propose(struct builder *b, struct candidate *c)
{
    if (c->n_keys == 0 || c->n_keys > b->max_columns || c->n_keys > PW_CAND_KEYS)
        return;
    for (int i = 0; i < c->n_keys; i++)
        for (int j = 0; j < i; j++)
            if (c->keys[i].attnum && c->keys[i].attnum == c->keys[j].attnum)
                return;
    if (c->predicate_share <= 0)
        c->predicate_share = 1;
    describe(b->mem, c);
    uint32_t at = find_item(b->out, c);
    if (at == PW_SELECT_NONE) {
        if (exists_already(b->inv, c))
            return;
        if (b->out->n >= PW_SELECT_ITEMS) {
            b->out->overflow++;
            return;
        }
        name_it(b->mem, c);
        measure(b->inv, c);
        c->parent = PW_SELECT_NONE;
        b->out->items = pw_mem_push(b->mem, b->out->items, &b->out->n, sizeof(*c));
        at = (uint32_t)b->out->n - 1;
        b->out->items[at] = *c;
    }
    uint32_t *list = b->out->by_query[b->query];
    for (uint32_t k = 0; k < b->out->n_by_query[b->query]; k++)
        if (list[k] == at)
            return;
    if (b->out->n_by_query[b->query] < PW_CAND_PER_QUERY)
        list[b->out->n_by_query[b->query]++] = at;
    else
        b->out->overflow++;
}

static void link_parents(struct candidates *all)
{
    for (size_t k = 0; k < all->n; k++) {
        struct candidate *c = &all->items[k];
        for (size_t j = 0; j < all->n && c->parent == PW_SELECT_NONE; j++) {
            const struct candidate *p = &all->items[j];
            bool prefix = p->table == c->table && p->n_keys == c->n_keys - 1 && !p->n_include &&
                          !c->n_include && !p->predicate && !c->predicate;
            for (int i = 0; prefix && i < p->n_keys; i++)
                prefix = p->keys[i].attnum == c->keys[i].attnum && p->keys[i].attnum != 0;
            if (prefix)
                c->parent = (uint32_t)j;
        }
    }
}

/* A candidate found for one family may serve another: same table, and its first key is compared
 * there. */
static void share(struct candidates *all, const struct needs *needs)
{
    for (size_t q = 0; q < needs->n; q++)
        for (size_t k = 0; k < all->n; k++) {
            const struct candidate *c = &all->items[k];
            bool useful = false, known = false;
            for (size_t n = 0; n < needs->statements[q].n_needs && !useful; n++) {
                const struct need *need = &needs->statements[q].needs[n];
                if (need->table != c->table || c->keys[0].attnum == 0)
                    continue;
                for (int p = 0; p < need->n_preds && !useful; p++)
                    useful = need->preds[p].attnum == c->keys[0].attnum;
                for (int p = 0; p < need->n_sorts && !useful; p++)
                    useful = need->sorts[p].attnum == c->keys[0].attnum;
            }
            for (uint32_t i = 0; i < all->n_by_query[q] && !known; i++)
                known = all->by_query[q][i] == k;
            if (useful && !known && all->n_by_query[q] < PW_CAND_PER_QUERY)
                all->by_query[q][all->n_by_query[q]++] = (uint32_t)k;
        }
}

void pw_candidates_find(struct candidates *out, struct arena *mem, const struct inventory *inv,
                        const struct needs *needs, const struct workload *w, int max_columns)
{
    memset(out, 0, sizeof(*out));
    out->by_query = pw_mem(mem, (needs->n + 1) * sizeof(*out->by_query));
    out->n_by_query = pw_mem(mem, (needs->n + 1) * sizeof(*out->n_by_query));
    struct builder b = {.out = out,
                        .mem = mem,
                        .inv = inv,
                        .w = w,
                        .needs = needs,
                        .max_columns = max_columns < PW_CAND_KEYS ? max_columns : PW_CAND_KEYS};
    for (size_t q = 0; q < needs->n; q++) {
        b.query = q;
        out->by_query[q] = pw_mem(mem, PW_CAND_PER_QUERY * sizeof(**out->by_query));
        for (size_t n = 0; n < needs->statements[q].n_needs; n++) {
            const struct need *need = &needs->statements[q].needs[n];
            const struct inv_table *t = need->table;
            if (pw_inventory_rows(t) >= MIN_ROWS && !t->is_partition && !t->by_extension)
                pw_candidates_of_need(&b, need);
        }
    }
    link_parents(out);
    share(out, needs);
}

char *pw_candidate_hypo_sql(struct arena *mem, const struct candidate *c)
{
    return pw_mem_printf(mem, "CREATE INDEX ON %s", c->definition);
}
