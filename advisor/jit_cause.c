/* See jit_cause.h. */
#include "advisor/jit_cause.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "planner/ast.h"

#define PARTITIONS_MANY    50
#define FUNCTIONS_PER_NODE 10
#define OFF                100.0
#define OFF_ROWS           1000.0 /* an estimate of fewer rows makes no statement expensive */
#define EARLY              0.1    /* share of the cost below a LIMIT that it needs */

static double number(const cJSON *node, const char *field)
{
    const cJSON *v = pw_ast_get(node, field);
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

static void note_estimate(const cJSON *node, struct jit_cause *out)
{
    double expected = number(node, "Plan Rows"), seen = fmax(1, number(node, "Actual Rows"));
    if (number(node, "Actual Loops") < 1 || expected < OFF_ROWS ||
        (out->expected > 0 && expected / seen <= out->expected / out->seen))
        return;
    out->expected = expected;
    out->seen = seen;
    snprintf(out->node, sizeof(out->node), "%s", pw_ast_str(node, "Node Type"));
    snprintf(out->relation, sizeof(out->relation), "%s", pw_ast_str(node, "Relation Name"));
}

/* cut: below a node that may stop before its input ends: what came says nothing of estimates. */
static void walk(const cJSON *node, bool appended, bool cut, struct jit_cause *out, int depth)
{
    if (!node || depth > 200)
        return;
    const char *type = pw_ast_str(node, "Node Type");
    const cJSON *child, *plans = pw_ast_get(node, "Plans");
    bool limit = strcmp(type, "Limit") == 0;
    out->nodes++;
    out->partitions += appended && pw_ast_get(node, "Relation Name") != NULL;
    if (!cut && !limit)
        note_estimate(node, out);
    if (limit &&
        number(node, "Total Cost") < EARLY * number(cJSON_GetArrayItem(plans, 0), "Total Cost"))
        out->stops_early = true;
    bool append = strcmp(type, "Append") == 0 || strcmp(type, "Merge Append") == 0;
    bool scans = strstr(type, "Scan") != NULL;
    cut = cut || limit || strcmp(type, "Merge Join") == 0 || strcmp(type, "Nested Loop") == 0;
    cJSON_ArrayForEach(child, plans)
    {
        walk(child, append || (appended && !scans), cut, out, depth + 1);
    }
}

void pw_jit_cause_read(const cJSON *plan, struct jit_cause *out)
{
    memset(out, 0, sizeof(*out));
    walk(plan, false, false, out, 0);
}

bool pw_jit_cause_is_estimate(const struct jit_cause *c)
{
    return c->expected >= OFF * fmax(1, c->seen);
}

const char *pw_jit_cause_text(const struct jit_cause *c, double functions, struct arena *mem)
{
    char *out = pw_mem_str(mem, "");
    if (c->partitions > PARTITIONS_MANY)
        out = pw_mem_printf(mem,
                            "%s Its plan reads %.0f partitions, and the code for each is compiled "
                            "by itself: a condition on the partition key would leave most of them "
                            "out.",
                            out, c->partitions);
    else if (functions > FUNCTIONS_PER_NODE * c->nodes)
        out = pw_mem_printf(mem,
                            "%s %.0f functions for a plan of %.0f nodes: its expressions are "
                            "many, and each is compiled before the first row.",
                            out, functions, c->nodes);
    if (pw_jit_cause_is_estimate(c))
        out = pw_mem_printf(mem,
                            "%s The planner expects %.0f rows of a %s%s%s where %.0f come: it is "
                            "compiled because of that estimate; ANALYZE, or better statistics, "
                            "come first.",
                            out, c->expected, c->node, c->relation[0] ? " on " : "", c->relation,
                            c->seen);
    if (c->stops_early)
        out = pw_mem_printf(mem,
                            "%s Its LIMIT stops it early, but compiling is done before the first "
                            "row.",
                            out);
    return out;
}
