/* See workload.h. */
#include "advisor/workload.h"

#include <math.h>
#include <string.h>

#include "advisor/side.h"
#include "planner/sample.h"
#include "proxy/base/alloc.h"

#define SKIPPED_MAX 1000
#define PARAMS_MAX  1000

struct workload *pw_workload_new(const char *source)
{
    struct workload *w = pw_alloc(sizeof(*w));
    w->source = source;
    return w;
}

static void sample_free(struct workload_sample *s)
{
    PW_FREE(s->sql);
    PW_FREE(s->types);
    PW_FREE(s->setup);
    for (int k = 0; k < s->n_params; k++)
        pw_free(s->params[k]);
    PW_FREE(s->params);
}

void pw_workload_free(struct workload *w)
{
    if (!w)
        return;
    for (size_t k = 0; k < w->n_families; k++) {
        pw_free(w->families[k].text);
        for (size_t i = 0; i < w->families[k].n_samples; i++)
            sample_free(&w->families[k].samples[i]);
    }
    for (size_t k = 0; k < w->n_skipped; k++)
        pw_free(w->skipped[k].reason);
    pw_free(w->families);
    pw_free(w->skipped);
    pw_free(w);
}

struct workload_family *pw_workload_add(struct workload *w, uint64_t id, const char *text,
                                        double calls, double total_ms, double rows)
{
    for (size_t k = 0; k < w->n_families; k++) {
        struct workload_family *f = &w->families[k];
        if (f->id != id)
            continue;
        f->calls += calls;
        f->total_ms += total_ms;
        f->rows += rows;
        return f;
    }
    if (w->n_families >= PW_WORKLOAD_FAMILIES) {
        w->dropped++;
        return NULL;
    }
    if (w->n_families == w->cap_families) {
        w->cap_families = w->cap_families ? w->cap_families * 2 : 64;
        w->families = pw_realloc(w->families, w->cap_families * sizeof(*w->families));
    }
    struct workload_family *f = &w->families[w->n_families++];
    memset(f, 0, sizeof(*f));
    f->id = id;
    f->text = pw_strdup(text);
    f->calls = calls;
    f->total_ms = total_ms;
    f->rows = rows;
    return f;
}

void pw_workload_add_sample(struct workload_family *f, struct slice sql, int n_params,
                            const char *const *params)
{
    if (f->n_samples >= PW_WORKLOAD_SAMPLES || sql.len > PW_WORKLOAD_MAX_SQL || n_params < 0 ||
        n_params > PARAMS_MAX)
        return;
    struct workload_sample *s = &f->samples[f->n_samples++];
    s->sql = pw_strndup(sql.ptr, sql.len);
    s->types = s->setup = NULL;
    s->n_params = n_params;
    s->params = n_params ? pw_alloc((size_t)n_params * sizeof(*s->params)) : NULL;
    for (int k = 0; k < n_params; k++)
        s->params[k] = params[k] ? pw_strdup(params[k]) : NULL;
}

void pw_workload_add_bound(struct workload_family *f, struct slice sql, const char *types,
                           const char *values, const char *setup)
{
    size_t before = f->n_samples;
    char *params[PARAMS_MAX] = {NULL};
    int n = 0;
    while (types && values && n < PARAMS_MAX && pw_sample_next(&values, &params[n]))
        n++;
    pw_workload_add_sample(f, sql, n, (const char *const *)params);
    if (n && f->n_samples > before)
        f->samples[before].types = pw_strdup(types);
    if (setup && f->n_samples > before)
        f->samples[before].setup = pw_strdup(setup);
    while (n > 0)
        pw_free(params[--n]);
}

void pw_workload_skip(struct workload *w, uint32_t line, uint64_t family, const char *reason)
{
    if (w->n_skipped >= SKIPPED_MAX)
        return;
    if (w->n_skipped == w->cap_skipped) {
        w->cap_skipped = w->cap_skipped ? w->cap_skipped * 2 : 16;
        w->skipped = pw_realloc(w->skipped, w->cap_skipped * sizeof(*w->skipped));
    }
    w->skipped[w->n_skipped++] =
        (struct workload_skipped){.line = line, .family = family, .reason = pw_strdup(reason)};
}
