/* See depend.h. */
#include "planner/depend.h"

#include <string.h>

#include "planner/ast.h"
#include "planner/effects.h"
#include "planner/parse.h"

/* ---- reading ---- */

static bool shows_the_session(const char *name)
{
    static const char *const names[] = {"pg_settings",
                                        "pg_prepared_statements",
                                        "pg_cursors",
                                        "pg_stat_activity",
                                        "pg_locks",
                                        "pg_stat_ssl",
                                        "pg_stat_gssapi",
                                        "pg_prepared_xacts",
                                        "pg_stat_xact_all_tables",
                                        "pg_stat_xact_user_tables",
                                        "pg_stat_xact_user_functions",
                                        "pg_backend_memory_contexts",
                                        "pg_db_role_setting"};
    for (size_t i = 0; i < PW_COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static void note_session_read(struct draft *d)
{
    d->flags |= PLAN_F_SESSION_READ;
    pw_draft_refuse_both(d, PLAN_WHY_SYSTEM_TABLE);
}

/* Is there a WITH query of this name somewhere in the statement? */
static bool has_cte(const cJSON *node, const char *name)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        if (cJSON_IsString(child) && child->string && strcmp(child->string, "ctename") == 0 &&
            strcmp(child->valuestring, name) == 0)
            return true;
        if ((cJSON_IsObject(child) || cJSON_IsArray(child)) && has_cte(child, name))
            return true;
    }
    return false;
}

static void read_table(struct classify *c, const struct cat_table *t);

/* The query of a view, names resolved as the server printed them: everything outside pg_catalog is
 * qualified. */
static void read_view(struct classify *c, const struct cat_table *t)
{
    struct parsed parsed = {0};
    if (!t->view_text || c->depth >= CLASSIFY_VIEW_DEPTH || !pw_parse(t->view_text, &parsed)) {
        pw_draft_refuse_both(c->d, PLAN_WHY_SPECIAL_VIEW);
        return;
    }
    cJSON *root = cJSON_Parse(parsed.json);
    const struct catalog *catalog = pw_catalog_view_catalog(c->view);
    struct catalog_view *names =
        pw_catalog_view_new((struct catalog *)(uintptr_t)catalog, "", "", "pg_catalog");
    struct classify inner = {.d = c->d,
                             .sql = t->view_text,
                             .view = names,
                             .no_catalog = c->no_catalog,
                             .depth = c->depth + 1};
    const cJSON *stmt = pw_ast_get(cJSON_GetArrayItem(pw_ast_get(root, "stmts"), 0), "stmt");
    const cJSON *select = pw_ast_is(stmt, "SelectStmt");
    if (select) {
        inner.stmt = select;
        pw_classify_query(&inner, "SelectStmt", select);
        pw_classify_judge(&inner);
    } else {
        pw_draft_refuse_both(c->d, PLAN_WHY_SPECIAL_VIEW);
    }
    pw_catalog_view_free(names);
    cJSON_Delete(root);
    pw_parsed_free(&parsed);
}

static void read_children(struct classify *c, const struct cat_table *t)
{
    const struct catalog *catalog = pw_catalog_view_catalog(c->view);
    for (uint32_t i = 0; i < t->n_children; i++) {
        const struct cat_table *child = pw_catalog_table(catalog, t->children[i]);
        if (child)
            read_table(c, child);
        else
            pw_draft_refuse(c->d, PLAN_WHY_UNKNOWN_TABLE);
    }
}

static void check_columns(struct classify *c, const struct cat_table *t)
{
    for (uint32_t i = 0; i < t->n_columns; i++)
        c->reads_timetz = c->reads_timetz || t->columns[i].is_timetz;
    c->saw_timetz = c->saw_timetz || c->reads_timetz;
}

static void read_table(struct classify *c, const struct cat_table *t)
{
    struct draft *d = c->d;
    check_columns(c, t);
    if (t->is_system) {
        pw_draft_refuse(d, PLAN_WHY_SYSTEM_TABLE);
        if (shows_the_session(t->object.name))
            note_session_read(d);
        return;
    }
    (void)pw_oid_list_add(&d->read, t->object.oid); /* it may be there because a body names it */
    if (!pw_oid_list_add(&d->opened, t->object.oid))
        return; /* seen before */
    if (t->is_temporary)
        pw_draft_refuse_both(d, PLAN_WHY_TEMP_TABLE);
    if (t->kind == 'f')
        pw_draft_refuse(d, PLAN_WHY_FOREIGN_TABLE);
    if (t->kind == 'S')
        pw_draft_refuse_both(d, PLAN_WHY_UNSUPPORTED);
    if (t->row_security) {
        d->user_code = true; /* policies */
        pw_draft_refuse(d, PLAN_WHY_ROW_SECURITY);
        pw_effects_body(d, pw_catalog_view_catalog(c->view), t->write_text ? t->write_text : "",
                        NULL);
    }
    if (t->kind == 'v')
        read_view(c, t);
    read_children(c, t);
}

void pw_depend_read(struct classify *c, const cJSON *rangevar)
{
    const char *schema = pw_ast_str(rangevar, "schemaname"),
               *name = pw_ast_str(rangevar, "relname");
    c->d->needs_catalog = true;
    if (!c->view) {
        pw_draft_refuse(c->d, c->no_catalog);
        if (shows_the_session(name))
            note_session_read(c->d);
        return;
    }
    if (strncmp(schema, "pg_temp", 7) == 0) {
        pw_draft_refuse_both(c->d, PLAN_WHY_TEMP_TABLE);
        return;
    }
    const struct cat_table *t = NULL;
    bool found = false;
    while ((t = pw_view_table(c->view, schema, name, t))) {
        found = true;
        if (c->n_relations < CLASSIFY_RELATIONS_MAX)
            c->relations[c->n_relations++] = t;
        else
            c->has_derived = true;
        read_table(c, t);
    }
    if (!found && (*schema || !has_cte(c->stmt, name)))
        pw_draft_refuse_both(c->d, PLAN_WHY_UNKNOWN_TABLE);
}

/* ---- writing ---- */

static void write_table(struct classify *c, const struct cat_table *t, bool may_remove)
{
    const struct catalog *catalog = pw_catalog_view_catalog(c->view);
    struct draft *d = c->d;
    if (t->is_system) {
        pw_draft_writes_all(d);
        d->flags |= PLAN_F_CATALOG | PLAN_F_RIGHTS;
        return;
    }
    if (t->kind == 'v' || t->has_rules)
        pw_draft_writes_all(d); /* rules and triggers decide what is really written */
    d->flags |= t->has_serial || t->kind == 'v' ? PLAN_F_SEQUENCE : 0;
    /* An INSERT may have been here before, which starts no cascades. */
    bool is_new = pw_oid_list_add(&d->written, t->object.oid);
    bool may_cascade = may_remove && pw_oid_list_add(&d->removed, t->object.oid);
    if (!is_new && !may_cascade)
        return;
    if (is_new && t->write_text && *t->write_text)
        pw_effects_body(d, catalog, t->write_text, NULL);
    for (uint32_t i = 0; is_new && i < t->n_triggers; i++)
        pw_effects_trigger(d, catalog, t->triggers[i]);
    for (uint32_t i = 0; i < t->n_children; i++) {
        const struct cat_table *child = pw_catalog_table(catalog, t->children[i]);
        if (child)
            write_table(c, child, may_remove);
        else
            pw_draft_writes_all(d);
    }
    for (uint32_t i = 0; may_cascade && i < t->n_cascades; i++) {
        const struct cat_table *other = pw_catalog_table(catalog, t->cascades[i]);
        if (other)
            write_table(c, other, true);
        else
            pw_draft_writes_all(d);
    }
}

void pw_depend_write(struct classify *c, const cJSON *rangevar, bool may_remove)
{
    const char *schema = pw_ast_str(rangevar, "schemaname"),
               *name = pw_ast_str(rangevar, "relname");
    c->d->needs_catalog = true;
    c->d->flags |= PLAN_F_WRITES;
    if (!c->view) {
        pw_draft_writes_all(c->d);
        c->d->flags |= PLAN_F_SEQUENCE;
        return;
    }
    if (strncmp(schema, "pg_temp", 7) == 0) {
        pw_draft_writes_all(c->d); /* nobody else sees it, but it may have triggers */
        return;
    }
    const struct cat_table *t = NULL;
    bool found = false;
    while ((t = pw_view_table(c->view, schema, name, t))) {
        found = true;
        write_table(c, t, may_remove);
    }
    if (!found)
        pw_draft_writes_all(c->d);
}
