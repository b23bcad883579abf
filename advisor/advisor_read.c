/* What other threads ask of the service. See advisor.h. */
#include <stdio.h>
#include <string.h>

#include "advisor/advisor_priv.h"

struct advice_set *pw_advisor_set_with(struct advisor *a, const char *id, char *database,
                                       size_t size)
{
    struct advice_set *found = NULL;
    pthread_mutex_lock(&a->lock);
    for (size_t k = 0; k < a->n_latest && !found; k++)
        if (pw_advice_find(a->latest[k].set, id)) {
            found = pw_advice_set_ref(a->latest[k].set);
            snprintf(database, size, "%s", a->latest[k].database);
        }
    pthread_mutex_unlock(&a->lock);
    return found;
}

struct advice_set *pw_advisor_latest(struct advisor *a, const char *database)
{
    struct advice_set *out = NULL;
    pthread_mutex_lock(&a->lock);
    for (size_t k = 0; k < a->n_latest && !out; k++)
        if (!database || strcmp(a->latest[k].database, database) == 0)
            out = pw_advice_set_ref(a->latest[k].set);
    pthread_mutex_unlock(&a->lock);
    return out;
}

bool pw_advisor_find(struct advisor *a, const char *id, char *out, size_t size)
{
    struct advice_set *set = pw_advisor_set_with(a, id, out, size);
    bool found = set != NULL;
    pw_advice_set_unref(set);
    if (found)
        return true;
    pthread_mutex_lock(&a->lock);
    for (size_t k = 0; k < a->n_applied && !found; k++)
        if (strcmp(a->applied[k].outcome.id, id) == 0) {
            snprintf(out, size, "%s", a->applied[k].database);
            found = true;
        }
    pthread_mutex_unlock(&a->lock);
    return found;
}

void pw_advisor_progress(struct advisor *a, char *out, size_t size)
{
    pthread_mutex_lock(&a->lock);
    snprintf(out, size, "%s", a->progress);
    pthread_mutex_unlock(&a->lock);
}

size_t pw_advisor_outcomes(struct advisor *a, struct advice_outcome *out, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&a->lock);
    for (size_t k = a->n_applied; k-- > 0 && n < max;) {
        pw_applied_judge(&a->applied[k], a->latency, a->latency_arg);
        out[n++] = a->applied[k].outcome;
    }
    pthread_mutex_unlock(&a->lock);
    return n;
}
