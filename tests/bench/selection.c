/*
 * Replays a published what-if cost cube (hyrise/index_selection_evaluation, AMPL data): cost(q, S)
 * is the least cost over the index combinations contained in S. Prints `budget cost_pct` per budget
 * in MB, where cost_pct is relative to the cost without indexes.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/select.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"

#define MAX_COMBO PW_SELECT_GROUP

struct combo_cost {
    uint32_t items[MAX_COMBO], n;
    double cost;
};

struct cube_query {
    double base;
    double *single;            /* OWN: per item, INFINITY when it does not help alone */
    struct combo_cost *combos; /* OWN: of two and more */
    size_t n_combos, cap_combos;
};

struct cube {
    uint32_t n_items, n_queries;
    double *size;
    char (*name)[160]; /* "a,b,c" for finding parents */
    uint32_t *parent;
    struct cube_query *queries;
    struct combo_cost *combos; /* by combination number */
    size_t n_combos;
    struct select_group *groups; /* the combinations of two and more */
    size_t n_groups;
    uint32_t **relevant, *n_relevant;
    double *weight;
};

static void fail(const char *what)
{
    fprintf(stderr, "selection: %s\n", what);
    exit(1);
}

static double cube_cost(void *arg, uint32_t q, const struct index_set *set)
{
    const struct cube_query *cq = &((struct cube *)arg)->queries[q];
    double best = cq->base;
    for (uint32_t k = 0; k < set->n; k++)
        best = fmin(best, cq->single[set->ids[k]]);
    for (size_t c = 0; c < cq->n_combos; c++) {
        const struct combo_cost *cc = &cq->combos[c];
        bool in = cc->cost < best;
        for (uint32_t k = 0; in && k < cc->n; k++)
            in = pw_set_has(set, cc->items[k]);
        if (in)
            best = cc->cost;
    }
    return best;
}

static double cube_cost_add(void *arg, uint32_t q, const struct index_set *set, uint32_t item,
                            double now)
{
    const struct cube_query *cq = &((struct cube *)arg)->queries[q];
    double best = fmin(now, cq->single[item]);
    for (size_t c = 0; c < cq->n_combos; c++) {
        const struct combo_cost *cc = &cq->combos[c];
        bool in = cc->cost < best;
        for (uint32_t k = 0; in && k < cc->n; k++)
            in = cc->items[k] == item || pw_set_has(set, cc->items[k]);
        if (in)
            best = cc->cost;
    }
    return best;
}

static void read_size(struct cube *c, const char *line)
{
    uint32_t id;
    double size;
    if (sscanf(line, "%" SCNu32 " %lf", &id, &size) != 2 || id == 0 || id > c->n_items)
        fail("bad size line");
    c->size[id - 1] = size;
    char *out = c->name[id - 1];
    size_t n = 0;
    const char *open = strchr(line, '[');
    for (const char *s = open ? open + 1 : ""; *s && *s != ']' && n < 158; s++)
        if (*s != '\'' && *s != ' ')
            out[n++] = *s;
    out[n] = 0;
}

static void read_combo(struct cube *c, const char *line)
{
    unsigned long number;
    const char *s = strstr(line, ":=");
    if (sscanf(line, "set indexes_per_combination[%lu]", &number) != 1 || number >= c->n_combos ||
        !s)
        fail("bad combination line");
    struct combo_cost *cc = &c->combos[number];
    char *end;
    for (s += 2; *s && *s != ';'; s = end) {
        unsigned long id = strtoul(s, &end, 10);
        if (end == s)
            break;
        if (id == 0 || id > c->n_items || cc->n == MAX_COMBO)
            fail("bad combination member");
        cc->items[cc->n++] = (uint32_t)id - 1;
    }
}

static void read_cost(struct cube *c, const char *line, uint32_t *numbers)
{
    uint32_t number, combo;
    double cost;
    if (sscanf(line, "%" SCNu32 " %" SCNu32 " %lf", &number, &combo, &cost) != 3 ||
        combo >= c->n_combos)
        fail("bad cost line");
    uint32_t q = 0;
    while (q < c->n_queries && numbers[q] != number)
        q++;
    if (q == c->n_queries)
        return; /* the cube lists costs of queries that its QUERIES set leaves out */
    struct cube_query *cq = &c->queries[q];
    const struct combo_cost *cc = &c->combos[combo];
    if (cc->n == 0) {
        cq->base = cost;
    } else if (cc->n == 1) {
        cq->single[cc->items[0]] = cost;
    } else {
        if (cq->n_combos == cq->cap_combos) {
            cq->cap_combos = cq->cap_combos ? cq->cap_combos * 2 : 64;
            cq->combos = pw_realloc(cq->combos, cq->cap_combos * sizeof(*cq->combos));
        }
        cq->combos[cq->n_combos] = *cc;
        cq->combos[cq->n_combos++].cost = cost;
    }
}

static uint32_t read_queries(const char *line, uint32_t **numbers)
{
    uint32_t n = 0, cap = 64;
    *numbers = pw_alloc(cap * sizeof(**numbers));
    char *end;
    for (const char *s = strstr(line, ":=") + 2;; s = end) {
        unsigned long v = strtoul(s, &end, 10);
        if (end == s)
            return n;
        if (n == cap)
            *numbers = pw_realloc(*numbers, (cap *= 2) * sizeof(**numbers));
        (*numbers)[n++] = (uint32_t)v;
    }
}

static void allocate(struct cube *c)
{
    if (c->n_items == 0 || c->n_items > PW_SELECT_ITEMS || c->n_combos > 1000000)
        fail("the cube is too large");
    c->size = pw_alloc(c->n_items * sizeof(*c->size));
    c->name = pw_alloc(c->n_items * sizeof(*c->name));
    c->parent = pw_alloc(c->n_items * sizeof(*c->parent));
    c->combos = pw_alloc(c->n_combos * sizeof(*c->combos));
    c->queries = pw_alloc(c->n_queries * sizeof(*c->queries));
    c->relevant = pw_alloc(c->n_items * sizeof(*c->relevant));
    c->n_relevant = pw_alloc(c->n_items * sizeof(*c->n_relevant));
    c->weight = pw_alloc(c->n_queries * sizeof(*c->weight));
    for (uint32_t q = 0; q < c->n_queries; q++) {
        c->weight[q] = 1;
        c->queries[q].single = pw_alloc(c->n_items * sizeof(double));
        for (uint32_t i = 0; i < c->n_items; i++)
            c->queries[q].single[i] = INFINITY;
    }
}

static bool helps(const struct cube_query *cq, uint32_t item)
{
    if (cq->single[item] < cq->base)
        return true;
    for (size_t c = 0; c < cq->n_combos; c++)
        for (uint32_t k = 0; k < cq->combos[c].n; k++)
            if (cq->combos[c].items[k] == item)
                return true;
    return false;
}

static void find_groups(struct cube *c)
{
    c->groups = pw_alloc((c->n_combos + 1) * sizeof(*c->groups));
    for (size_t k = 0; k < c->n_combos; k++) {
        if (c->combos[k].n < 2)
            continue;
        struct select_group *g = &c->groups[c->n_groups++];
        g->n = c->combos[k].n;
        memcpy(g->ids, c->combos[k].items, g->n * sizeof(g->ids[0]));
    }
}

static void finish(struct cube *c)
{
    find_groups(c);
    for (uint32_t i = 0; i < c->n_items; i++) {
        c->relevant[i] = pw_alloc(c->n_queries * sizeof(uint32_t));
        for (uint32_t q = 0; q < c->n_queries; q++)
            if (helps(&c->queries[q], i))
                c->relevant[i][c->n_relevant[i]++] = q;
        c->parent[i] = PW_SELECT_NONE;
        char cut[160];
        snprintf(cut, sizeof(cut), "%s", c->name[i]);
        char *comma = strrchr(cut, ',');
        if (!comma)
            continue;
        *comma = 0;
        for (uint32_t j = 0; j < c->n_items; j++)
            if (strcmp(c->name[j], cut) == 0)
                c->parent[i] = j;
    }
}

static void load(struct cube *c, const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        fail("cannot open the cube");
    char line[65536];
    uint32_t *numbers = NULL;
    enum { HEAD, SIZES, COMBOS, COSTS } part = HEAD;
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, "set QUERIES", 11) == 0)
            c->n_queries = read_queries(line, &numbers);
        else if (strncmp(line, "param NUMBER_OF_INDEXES", 23) == 0)
            c->n_items = (uint32_t)strtoul(strstr(line, ":=") + 2, NULL, 10);
        else if (strncmp(line, "param NUMBER_OF_INDEX_COMBINATIONS", 34) == 0)
            c->n_combos = strtoul(strstr(line, ":=") + 2, NULL, 10) + 1;
        else if (strncmp(line, "param size", 10) == 0)
            allocate(c), part = SIZES;
        else if (strncmp(line, "set indexes_per_combination", 27) == 0)
            read_combo(c, line);
        else if (strncmp(line, "param costs", 11) == 0)
            part = COSTS;
        else if (line[0] >= '0' && line[0] <= '9' && part == SIZES)
            read_size(c, line);
        else if (line[0] >= '0' && line[0] <= '9' && part == COSTS)
            read_cost(c, line, numbers);
    }
    fclose(f);
    pw_free(numbers);
    if (part != COSTS)
        fail("not a cost cube");
    finish(c);
}

static void release(struct cube *c)
{
    for (uint32_t i = 0; i < c->n_items; i++)
        pw_free(c->relevant[i]);
    for (uint32_t q = 0; q < c->n_queries; q++) {
        pw_free(c->queries[q].single);
        pw_free(c->queries[q].combos);
    }
    pw_free(c->relevant);
    pw_free(c->groups);
    pw_free(c->n_relevant);
    pw_free(c->size);
    pw_free(c->name);
    pw_free(c->parent);
    pw_free(c->combos);
    pw_free(c->queries);
    pw_free(c->weight);
}

int main(int argc, char **argv)
{
    bool baselines = argc > 1 && strcmp(argv[1], "--baselines") == 0;
    int first = baselines ? 2 : 1;
    if (argc < first + 2) {
        fprintf(stderr, "usage: selection [--baselines] CUBE BUDGET_MB...\n");
        return 2;
    }
    struct cube c = {0};
    load(&c, argv[first]);
    struct select_problem p = {
        .n_items = c.n_items,
        .n_queries = c.n_queries,
        .size = c.size,
        .weight = c.weight,
        .parent = c.parent,
        .relevant = (const uint32_t *const *)c.relevant,
        .n_relevant = c.n_relevant,
        .groups = c.groups,
        .n_groups = c.n_groups,
        .cost = cube_cost,
        .cost_add = cube_cost_add,
        .arg = &c,
        .max_regression = 0.1,
        .seeds = 300,
        .deep = true,
    };
    for (int k = first + 1; k < argc; k++) {
        char *end;
        double mb = strtod(argv[k], &end), budget = mb * 1000 * 1000;
        if (*end || !(mb > 0))
            fail("a budget is a number of megabytes");
        uint64_t start = pw_clock_us();
        struct select_result r;
        pw_select_run(&p, &budget, 1, &r);
        double seconds = (double)(pw_clock_us() - start) / 1e6;
        if (r.size > budget)
            fail("over the budget");
        printf("%s %.4f", argv[k], 100 * r.total / r.base_total);
        if (baselines) {
            struct select_result e;
            p.min_gain = 0.003;
            pw_select_extend(&p, budget, &e);
            p.min_gain = 0;
            printf(" extend %.4f", 100 * e.total / e.base_total);
        }
        printf("\n");
        fprintf(stderr, "# %s MB: %.3f s, %u indexes, %.1f MB\n", argv[k], seconds, r.set.n,
                r.size / 1e6);
    }
    release(&c);
    return 0;
}
