/* See ast.h. */
#include "planner/ast.h"

#include <string.h>

const cJSON *pw_ast_get(const cJSON *node, const char *field)
{
    return node ? cJSON_GetObjectItemCaseSensitive(node, field) : NULL;
}

const char *pw_ast_str(const cJSON *node, const char *field)
{
    const cJSON *v = pw_ast_get(node, field);
    return cJSON_IsString(v) ? v->valuestring : "";
}

bool pw_ast_bool(const cJSON *node, const char *field)
{
    return cJSON_IsTrue(pw_ast_get(node, field));
}

int pw_ast_int(const cJSON *node, const char *field)
{
    const cJSON *v = pw_ast_get(node, field);
    return cJSON_IsNumber(v) ? v->valueint : 0;
}

const cJSON *pw_ast_node(const cJSON *wrapped, const char **name)
{
    const cJSON *child = wrapped && cJSON_IsObject(wrapped) ? wrapped->child : NULL;
    if (!child || !child->string || child->string[0] < 'A' || child->string[0] > 'Z')
        return NULL;
    if (name)
        *name = child->string;
    return child;
}

const cJSON *pw_ast_is(const cJSON *wrapped, const char *name)
{
    const char *found;
    const cJSON *node = pw_ast_node(wrapped, &found);
    return node && strcmp(found, name) == 0 ? node : NULL;
}

int pw_ast_count(const cJSON *list)
{
    return list ? cJSON_GetArraySize(list) : 0;
}

const char *pw_ast_name_from_end(const cJSON *list, int i)
{
    int n = pw_ast_count(list);
    if (i >= n)
        return NULL;
    const cJSON *s = pw_ast_is(cJSON_GetArrayItem(list, n - 1 - i), "String");
    return s ? pw_ast_str(s, "sval") : NULL;
}

const char *pw_ast_const_string(const cJSON *wrapped)
{
    const cJSON *value = pw_ast_get(pw_ast_is(wrapped, "A_Const"), "sval");
    return value ? pw_ast_str(value, "sval") : NULL;
}
