/*
 * The parse tree as libpg_query's JSON (read with cJSON): names of nodes, fields, lists. A node of
 * unknown type comes as {"Name": {fields}}; a field of one type comes as its fields only. Zero,
 * false and empty fields are left out. BORROW throughout: nothing here owns memory.
 */
#ifndef PLANNER_AST_H
#define PLANNER_AST_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

const cJSON *pw_ast_get(const cJSON *node,
                        const char *field); /* NULL when absent; NULL in: NULL out */
const char *pw_ast_str(const cJSON *node, const char *field); /* "" when absent */
bool pw_ast_bool(const cJSON *node, const char *field);
int pw_ast_int(const cJSON *node, const char *field);
/* {"Name": {...}} -> the fields, and the name; NULL when it is not of that form. */
const cJSON *pw_ast_node(const cJSON *wrapped, const char **name);
/* The fields when the wrapped node has this name, else NULL. */
const cJSON *pw_ast_is(const cJSON *wrapped, const char *name);
/* [{"String": ..}, ..]: the i-th from the end (0 = last), or NULL. */
const char *pw_ast_name_from_end(const cJSON *list, int i);
int pw_ast_count(const cJSON *list);
/* A_Const holding a string; NULL otherwise. */
const char *pw_ast_const_string(const cJSON *wrapped);

#endif
