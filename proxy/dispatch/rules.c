#include "proxy/dispatch/rules.h"

#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "planner/explain_cache.h"
#include "proxy/base/alloc.h"
#include "proxy/base/hashmap.h"

enum { KNOWN_SLOTS = 1024 };

struct known {
    uint64_t family, generation;
    const struct plan_context *ctx;
    const struct conf_cache_rule *rule;
};

struct rules {
    const struct conf_cache_rule *list; /* BORROW */
    size_t n;
    regex_t *patterns; /* OWN; one per rule, used where the kind is regex */
    bool *usable;      /* OWN; the pattern compiled */
    struct known known[KNOWN_SLOTS];
};

struct rules *pw_rules_new(const struct pw_conf *conf)
{
    struct rules *r = pw_alloc(sizeof *r);
    r->list = conf->cache_rules;
    r->n = conf->n_cache_rules;
    r->patterns = pw_alloc((r->n + 1) * sizeof *r->patterns);
    r->usable = pw_alloc((r->n + 1) * sizeof *r->usable);
    for (size_t i = 0; i < r->n; i++)
        if (r->list[i].kind == CONF_RULE_REGEX)
            r->usable[i] =
                regcomp(&r->patterns[i], r->list[i].match, REG_EXTENDED | REG_NOSUB) == 0;
    return r;
}

void pw_rules_free(struct rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        if (r->usable[i])
            regfree(&r->patterns[i]);
    pw_free(r->patterns);
    pw_free(r->usable);
    pw_free(r);
}

/* names is "public.t, s.u"; match is "t" (in any schema) or "s.t". */
static bool names_have(const char *names, const char *match)
{
    size_t len = strlen(match);
    bool qualified = strchr(match, '.') != NULL;
    for (const char *at = names; at && *at;) {
        size_t item = strcspn(at, ",");
        const char *dot = memchr(at, '.', item);
        const char *name = qualified || !dot ? at : dot + 1;
        if ((size_t)(at + item - name) == len && !memcmp(name, match, len))
            return true;
        at += item;
        at += strspn(at, ", ");
    }
    return false;
}

static bool matches(const struct rules *r, size_t i, const struct plan_context *ctx,
                    const struct plan *plan)
{
    const struct conf_cache_rule *rule = &r->list[i];
    char family[32], *names;
    bool found = false;
    switch (rule->kind) {
    case CONF_RULE_FAMILY:
        snprintf(family, sizeof family, "%016" PRIx64, plan->family);
        return !strcmp(family, rule->match);
    case CONF_RULE_REGEX:
        return r->usable[i] && plan->family_text &&
               regexec(&r->patterns[i], plan->family_text, 0, NULL, 0) == 0;
    case CONF_RULE_TABLE:
        names = pw_plan_table_names(ctx, plan->tables_read, plan->n_read);
        found = names && names_have(names, rule->match);
        pw_free(names);
        return found;
    }
    return false;
}

const struct conf_cache_rule *pw_rules_find(struct rules *r, const struct plan_context *ctx,
                                            const struct plan *plan)
{
    if (r->n == 0)
        return NULL;
    struct known *k = &r->known[pw_hash_mix(plan->family, plan->generation) % KNOWN_SLOTS];
    if (k->family == plan->family && k->generation == plan->generation && k->ctx == ctx)
        return k->rule;
    *k = (struct known){plan->family, plan->generation, ctx, NULL};
    for (size_t i = 0; i < r->n && !k->rule; i++)
        if (matches(r, i, ctx, plan))
            k->rule = &r->list[i];
    return k->rule;
}
