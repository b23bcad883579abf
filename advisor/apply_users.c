/* Whose plan uses an index: by EXPLAIN of their samples, nothing is executed. Advisor thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/apply.h"
#include "advisor/explain.h"
#include "advisor/plan_read.h"
#include "advisor/side.h"
#include "proxy/base/alloc.h"

enum uses { USES_UNKNOWN, USES_NOT, USES_IT };

/* "schema.name" as in outcome.object. */
static bool is_object(const struct plan_index *i, const char *object)
{
    size_t n = strlen(i->schema);
    return strncmp(object, i->schema, n) == 0 && object[n] == '.' &&
           strcmp(object + n + 1, i->name) == 0;
}

static enum uses uses_of(struct side *s, const struct workload_family *f, const char *object)
{
    enum uses out = USES_UNKNOWN;
    for (size_t k = 0; k < f->n_samples && out != USES_IT; k++) {
        const struct workload_sample *sample = &f->samples[k];
        struct plan_facts facts;
        struct pgresult *r = pw_explain_sample(s, "FORMAT JSON, VERBOSE", sample);
        if (pw_pgresult_ok(r) && pw_pgresult_rows(r) > 0 &&
            pw_plan_read(pw_pgresult_get(r, 0, 0), &facts)) {
            out = USES_NOT;
            for (int i = 0; i < facts.n_indexes; i++)
                if (is_object(&facts.indexes[i], object))
                    out = USES_IT;
        }
        pw_pgresult_free(r);
    }
    return out;
}

/* A partitioned index is used by other names: those of its partitions. */
static bool open_side(struct side *s, struct arena *mem, const char *conninfo, const char *object)
{
    char *error = NULL;
    pw_arena_init(mem, PW_MEM_MAX);
    bool ok = pw_side_open(s, mem, conninfo, &error);
    pw_free(error);
    if (!ok)
        return false;
    const char *params[] = {object};
    struct pgresult *r =
        pw_side_rows(s, NULL,
                     "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                     " WHERE n.nspname || '.' || c.relname = $1 AND c.relkind = 'i'",
                     1, params);
    ok = r && pw_pgresult_rows(r) > 0;
    if (r)
        pw_pgresult_free(r);
    if (ok)
        pw_side_exec(s, NULL, pw_mem_printf(mem, "SET search_path = %s", s->search_path));
    else
        pw_side_close(s);
    return ok;
}

void pw_applied_find_users(struct applied *x, const char *conninfo, const struct workload *w,
                           pw_family_latency latency, void *arg)
{
    struct side s;
    struct arena mem;
    if (open_side(&s, &mem, conninfo, x->outcome.object)) {
        for (size_t k = 0; k < w->n_families && x->n_families < PW_APPLY_FAMILIES; k++) {
            struct latency_moments m = {0, 0, 0};
            if (uses_of(&s, &w->families[k], x->outcome.object) != USES_IT)
                continue;
            if (latency)
                latency(arg, x->database, w->families[k].id, &m);
            x->families[x->n_families] = w->families[k].id;
            x->before[x->n_families++] = m;
        }
        pw_side_close(&s);
    }
    pw_arena_free(&mem);
}

static const struct workload_family *family_of(const struct workload *w, uint64_t id)
{
    for (size_t k = 0; k < w->n_families; k++)
        if (w->families[k].id == id)
            return &w->families[k];
    return NULL;
}

void pw_applied_keep_users(struct applied *x, const char *conninfo, const struct workload *w)
{
    struct side s;
    struct arena mem;
    if (open_side(&s, &mem, conninfo, x->outcome.object)) {
        size_t kept = 0;
        for (size_t k = 0; k < x->n_families; k++) {
            const struct workload_family *f = family_of(w, x->families[k]);
            if (f && uses_of(&s, f, x->outcome.object) == USES_NOT)
                continue;
            x->families[kept] = x->families[k];
            x->before[kept++] = x->before[k];
        }
        x->n_families = kept;
        pw_side_close(&s);
    }
    pw_arena_free(&mem);
}
