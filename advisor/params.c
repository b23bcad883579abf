/* See params.h. */
#include "advisor/params.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Steps over one element of an array text; copies it when out is not NULL. Returns the next
 * position. */
static const char *element(const char *s, char *out)
{
    bool quoted = *s == '"';
    if (quoted)
        s++;
    while (*s && (quoted ? *s != '"' : *s != ',' && *s != '}')) {
        if (*s == '\\' && s[1])
            s++;
        if (out)
            *out++ = *s;
        s++;
    }
    if (out)
        *out = 0;
    if (quoted && *s)
        s++;
    return *s == ',' ? s + 1 : NULL;
}

size_t pw_params_count(const char *array)
{
    size_t n = 0;
    if (!array || array[0] != '{' || array[1] == '}' || !array[1])
        return 0;
    for (const char *s = array + 1; s && *s; s = element(s, NULL))
        n++;
    return n;
}

char *pw_params_element(struct arena *mem, const char *array, size_t n)
{
    const char *s = array && array[0] == '{' ? array + 1 : NULL;
    for (; s && *s && n > 0; n--)
        s = element(s, NULL);
    if (!s || !*s)
        return NULL;
    char *out = pw_mem(mem, strlen(s) + 1);
    element(s, out);
    return out;
}

/* A typical value: for an equality, one in the middle of the common ones or of the histogram; for a
 * range, the median. */
static char *typical(struct arena *mem, const struct inv_column *c, enum need_op op, int number)
{
    size_t bounds = pw_params_count(c->histogram), common = pw_params_count(c->mcv);
    if (bounds > 2) {
        size_t at = bounds / 2;
        if (op == NEED_RANGE)
            at = number % 2 ? bounds * 2 / 5 : bounds * 3 / 5;
        return pw_params_element(mem, c->histogram, at);
    }
    if (common)
        return pw_params_element(mem, c->mcv, op == NEED_RANGE ? common / 2 : (common - 1) / 2);
    return NULL;
}

static char *pattern_of(struct arena *mem, char *value, enum need_op op)
{
    if (!value)
        return NULL;
    size_t len = strlen(value);
    if (op == NEED_PREFIX)
        return pw_mem_printf(mem, "%.*s%%", (int)(len > 4 ? 4 : len), value);
    if (op == NEED_TRGM)
        return pw_mem_printf(mem, "%%%.*s%%", (int)(len > 4 ? 4 : len), value);
    return value;
}

/* An array with this one element, as PostgreSQL writes it. */
static char *array_of(struct arena *mem, const char *value)
{
    char *out = pw_mem(mem, 2 * strlen(value) + 5), *at = out;
    *at++ = '{';
    *at++ = '"';
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            *at++ = '\\';
        *at++ = *value;
    }
    *at++ = '"';
    *at = '}'; /* the memory is zeroed */
    return out;
}

static char *value_for(struct advice_run *r, const struct need_param *p,
                       const struct workload_family *f)
{
    if (p->is_limit) {
        /* What it returned on average is what its LIMIT let through; an OFFSET is taken as 0. */
        double rows = f->calls > 0 && !isnan(f->rows) ? ceil(f->rows / f->calls) : 100;
        return pw_mem_printf(&r->mem, "%.0f", p->op == NEED_RANGE ? 0 : fmax(1, rows));
    }
    char *v = typical(&r->mem, p->column, p->op, p->number);
    v = pattern_of(&r->mem, v, p->op);
    if (v && p->is_array)
        v = array_of(&r->mem, v);
    return v;
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* pg_stat_statements writes INTERVAL '1 day' as INTERVAL $1, which does not parse: $1::INTERVAL
 * does. */
static char *repair_typed_literals(struct arena *mem, const char *sql)
{
    static const char *const types[] = {"interval", "timestamptz", "timestamp", "date", "time"};
    char *out = pw_mem(mem, strlen(sql) * 2 + 1);
    size_t n = 0;
    for (const char *s = sql; *s;) {
        size_t len = 0;
        const char *param = NULL;
        for (size_t k = 0; k < PW_COUNT_OF(types) && !param; k++) {
            len = strlen(types[k]);
            if (strncasecmp(s, types[k], len) != 0 || (s > sql && word_char(s[-1])))
                continue;
            const char *p = s + len + strspn(s + len, " ");
            if (p > s + len && p[0] == '$' && isdigit((unsigned char)p[1]))
                param = p;
        }
        if (!param) {
            out[n++] = *s++;
            continue;
        }
        size_t digits = 1 + strspn(param + 1, "0123456789");
        memcpy(out + n, param, digits);
        memcpy(out + n + digits, "::", 2);
        memcpy(out + n + digits + 2, s, len);
        n += digits + 2 + len;
        out[n] = '\0';
        s = param + digits;
    }
    return out;
}

void pw_params_fill(struct advice_run *r, const struct need_statement *st,
                    const struct workload_family *f, struct whatif_query *q)
{
    for (size_t k = 0; k < f->n_samples; k++) {
        q->samples[k] = f->samples[k];
        if (f->samples[k].n_params >= st->max_param)
            continue;
        char **params = pw_mem(&r->mem, (size_t)st->max_param * sizeof(*params));
        for (size_t p = 0; p < st->n_params; p++)
            if (st->params[p].number <= st->max_param)
                params[st->params[p].number - 1] = value_for(r, &st->params[p], f);
        q->samples[k].types = NULL;
        q->samples[k].sql = repair_typed_literals(&r->mem, f->samples[k].sql);
        for (int p = 0; p < st->max_param; p++)
            q->generic = q->generic || !params[p];
        q->samples[k].params = params;
        q->samples[k].n_params = st->max_param;
        q->guessed = true;
    }
    q->n_samples = f->n_samples;
}
