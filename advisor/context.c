/* See context.h. */
#include "advisor/context.h"

#include <string.h>

#include "planner/sample.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"

enum { CONTEXTS_MAX = 256 };

struct side_context {
    const char *setup;
    struct context is;
};

/* Whatever else a plan may depend on. The path is compared apart: ours is not set all the time. */
#define SETTINGS_SQL                                                                               \
    "(SELECT md5(string_agg(name || '=' || setting, ',' ORDER BY name)) FROM pg_settings"          \
    " WHERE name NOT IN ('search_path', 'transaction_read_only'))"
static const char look_sql[] = "SELECT current_user, current_setting('search_path'), " SETTINGS_SQL;

static bool begin(struct side *s, const char *setup)
{
    struct buf sql;
    pw_buf_init(&sql, SAMPLE_BEGIN_MAX + SAMPLE_SETUP_MAX);
    bool ok = pw_buf_append_str(&sql, "BEGIN READ ONLY; ") &&
              (!setup || pw_sample_begin(&sql, setup)) && pw_buf_append_u8(&sql, 0) &&
              pw_side_exec(s, NULL, sql.data);
    pw_buf_free(&sql);
    return ok;
}

static void note_role(struct side *s, const char *setup, const char *user)
{
    char *role = pw_sample_role_of(setup);
    if (role && strcmp(role, user) != 0 && strcmp(s->user, user) == 0)
        pw_side_note(s,
                     "statements of role %s are planned as %s, which is not a member of it: row "
                     "security and the role's rights are not seen (GRANT %s TO %s)",
                     role, s->user, pw_mem_ident(s->mem, role), pw_mem_ident(s->mem, s->user));
    pw_free(role);
}

static void look(struct side *s, const char *setup, struct context *out)
{
    const char *settings = pw_side_value(s, "settings", "SELECT " SETTINGS_SQL);
    struct pgresult *r = begin(s, setup) ? pw_side_rows(s, NULL, look_sql, 0, NULL) : NULL;
    if (r && settings) {
        out->user = pw_cell_str(s->mem, r, 0, 0);
        out->search_path = pw_cell_str(s->mem, r, 0, 1);
        out->differs = strcmp(out->user, s->user) != 0 ||
                       strcmp(out->search_path, s->search_path) != 0 ||
                       strcmp(pw_cell(r, 0, 2), settings) != 0;
        note_role(s, setup, out->user);
    } else {
        pw_side_note(s, "some statements are planned with our own role and settings: those of "
                        "their clients could not be taken on");
    }
    if (r)
        pw_pgresult_free(r);
    pw_context_leave(s);
}

const struct context *pw_context_of(struct side *s, const char *setup)
{
    for (size_t k = 0; k < s->n_contexts; k++)
        if (setup ? s->contexts[k].setup && strcmp(s->contexts[k].setup, setup) == 0
                  : !s->contexts[k].setup)
            return &s->contexts[k].is;
    if (setup && s->n_contexts >= CONTEXTS_MAX) {
        pw_side_note(s,
                     "more than %d combinations of roles and settings: the rest is planned with "
                     "ours",
                     CONTEXTS_MAX);
        return pw_context_of(s, NULL);
    }
    if (!s->contexts)
        s->contexts = pw_mem(s->mem, (CONTEXTS_MAX + 1) * sizeof(*s->contexts));
    struct side_context *c = &s->contexts[s->n_contexts++];
    c->setup = pw_mem_str(s->mem, setup);
    c->is = (struct context){.search_path = s->search_path, .user = s->user};
    if (setup && !s->lost)
        look(s, setup, &c->is);
    return &c->is;
}

bool pw_context_enter(struct side *s, const char *setup)
{
    bool differs = pw_context_of(s, setup)->differs;
    s->in_transaction = begin(s, differs ? setup : NULL);
    if (!s->in_transaction)
        pw_side_exec(s, NULL, "ROLLBACK");
    return s->in_transaction;
}

void pw_context_leave(struct side *s)
{
    s->in_transaction = false;
    pw_side_exec(s, NULL, "ROLLBACK");
}
