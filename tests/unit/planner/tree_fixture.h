/* Two statements mean the same up to constants: their parse trees as text, without places and
 * values. */
#ifndef TESTS_UNIT_PLANNER_TREE_FIXTURE_H
#define TESTS_UNIT_PLANNER_TREE_FIXTURE_H

#include <cjson/cJSON.h>
#include <string.h>

#include "planner/parse.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"

static inline void tree_print(struct buf *out, const cJSON *node)
{
    const cJSON *child;
    if (cJSON_IsObject(node) || cJSON_IsArray(node)) {
        pw_buf_append_u8(out, '(');
        cJSON_ArrayForEach(child, node)
        {
            const char *key = child->string ? child->string : "";
            if (strcmp(key, "location") == 0 || strcmp(key, "stmt_location") == 0 ||
                strcmp(key, "stmt_len") == 0)
                continue;
            pw_buf_printf(out, "%s:", key);
            /* The payload of NOTIFY and the body of DO are constants without an A_Const. */
            if (strcmp(key, "payload") == 0 || strcmp(key, "DoStmt") == 0)
                continue;
            if (strcmp(key, "A_Const") == 0) {
                const cJSON *kind;
                cJSON_ArrayForEach(kind, child)
                {
                    if (strcmp(kind->string, "location") != 0)
                        pw_buf_printf(out, "<%s>", kind->string);
                }
            } else {
                tree_print(out, child);
            }
        }
        pw_buf_append_u8(out, ')');
    } else if (cJSON_IsString(node)) {
        pw_buf_printf(out, "'%s'", node->valuestring);
    } else if (cJSON_IsNumber(node)) {
        pw_buf_printf(out, "%g", node->valuedouble);
    } else {
        pw_buf_append_str(out, cJSON_IsTrue(node) ? "t" : "f");
    }
}

/* OWN; NULL when it does not parse (or is nested too deeply to compare). */
static inline char *tree_of(const char *sql)
{
    struct parsed p;
    if (!pw_parse(sql, &p))
        return NULL;
    cJSON *root = cJSON_Parse(p.json);
    char *text = NULL;
    if (root) {
        struct buf b;
        pw_buf_init(&b, 64 * 1024 * 1024);
        tree_print(&b, root);
        pw_buf_append_u8(&b, 0);
        text = pw_strdup(b.data);
        pw_buf_free(&b);
    }
    cJSON_Delete(root);
    pw_parsed_free(&p);
    return text;
}

#endif
