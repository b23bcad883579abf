/* See size.h. */
#include "advisor/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int pw_size_numbers(const char *array, double *out, int max)
{
    int n = 0;
    char *end;
    for (const char *p = array && *array == '{' ? array + 1 : ""; *p && n < max; p = end + 1) {
        double v = strtod(p, &end);
        if (end == p)
            break;
        out[n++] = v;
        if (*end != ',')
            break;
    }
    return n;
}

void pw_size_column(struct bt_column *out, const struct inv_column *c, double rows, bool partial)
{
    memset(out, 0, sizeof(*out));
    out->width = c->typlen > 0 ? c->typlen : fmax(c->avg_width, 1);
    out->varlena = c->typlen < 0;
    out->widths = c->widths;
    out->null_frac = c->null_frac;
    switch (c->typalign) {
    case 'd':
        out->align = 8;
        break;
    case 'i':
        out->align = 4;
        break;
    case 's':
        out->align = 2;
        break;
    default:
        out->align = 1;
    }
    out->distinct = c->n_distinct < 0 ? -c->n_distinct * rows : c->n_distinct;
    if (out->distinct <= 0)
        out->distinct = rows;
    if (!partial)
        out->n_mcf = pw_size_numbers(c->mcf, out->mcf, PW_BT_MCV);
    out->distinct = fmax(1, fmin(out->distinct, rows));
}

/* Equal values of these may differ in their bytes: float4, float8, interval, numeric, jsonb, and
 * what contains others. */
bool pw_size_type_may_dedup(const struct inv_column *c)
{
    static const uint32_t never[] = {700, 701, 1186, 1700, 3802};
    for (size_t k = 0; k < PW_COUNT_OF(never); k++)
        if (c->type_oid == never[k])
            return false;
    return c->category != 'A' && c->category != 'R';
}

bool pw_size_may_dedup(const struct inv_index *x)
{
    if (x->unique || x->dedup_off || x->n_atts != x->n_keys)
        return false;
    for (int k = 0; k < x->n_keys; k++)
        if (!x->keys[k].opc_dedup || !x->keys[k].collation_deterministic)
            return false;
    return true;
}
