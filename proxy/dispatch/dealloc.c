/*
 * DEALLOCATE as SQL of statements that the protocol prepared: psycopg, PDO, DBD::Pg and
 * ActiveRecord do that. The name leaves the client's map when the request is read, and comes back
 * when the server refuses it. On the server the definition has a name of ours and stays for others;
 * the server is given an empty statement under the client's name, so that what it answers is its
 * own. A name that the client does not have is deallocated as it is: error 26000. Worker's thread.
 */
#include "proxy/dispatch/dealloc.h"

#include <string.h>
#include <strings.h>

#include "planner/limits.h"
#include "planner/scan.h"
#include "proxy/base/alloc.h"
#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/pool/stmts.h"

static const char *skip_blank(const char *p, const char *end)
{
    while (p < end) {
        const char *from = p;
        if (scan_class_of(*p) == SCAN_SPACE)
            p++;
        else if (end - p >= 2 && p[0] == '-' && p[1] == '-')
            p = pw_scan_line_comment(p, end);
        else if (end - p >= 2 && p[0] == '/' && p[1] == '*')
            p = pw_scan_block_comment(p, end);
        if (!p)
            return end;
        if (p == from)
            break;
    }
    return p;
}

/* An identifier as PostgreSQL would store it. False: none, or one whose meaning depends on the
 * server (its encoding). */
static bool read_word(const char **at, const char *end, char out[DEALLOC_NAME_MAX])
{
    const char *p = *at;
    size_t n = 0;
    bool quoted = p < end && *p == '"';
    for (p += quoted; p < end; p++) {
        bool doubled = quoted && *p == '"' && p + 1 < end && p[1] == '"';
        if (quoted ? *p == '"' && !doubled : !scan_is_word_part(*p))
            break;
        p += doubled;
        if (n == DEALLOC_NAME_MAX - 1 || !*p || (!quoted && (uint8_t)*p > 127))
            return false;
        out[n++] = quoted ? *p : pw_scan_fold[(uint8_t)*p];
    }
    if (n == 0 || (quoted && p == end) || (!quoted && p < end && *p == '&'))
        return false;
    out[n] = '\0';
    *at = p + quoted;
    return true;
}

bool pw_dealloc_read_name(struct slice sql, char name[DEALLOC_NAME_MAX])
{
    const char *end = sql.ptr + sql.len, *p = skip_blank(sql.ptr, end);
    if (!read_word(&p, end, name) || strcmp(name, "deallocate") != 0)
        return false;
    p = skip_blank(p, end);
    bool plain = p < end && *p != '"';
    if (!read_word(&p, end, name))
        return false;
    const char *next = skip_blank(p, end);
    if (plain && !strcmp(name, "prepare") && next < end && *next != ';')
        return read_word(&next, end, name);
    return true;
}

static void forget_all(struct client *c, struct ticket *t)
{
    size_t n = 0;
    char **list = pw_alloc((c->stmts.map.count + 1) * sizeof *list);
    struct names_walk walk = {0};
    struct slice name;
    while (pw_names_next(&c->stmts, &walk, &name))
        list[n++] = pw_strndup(name.ptr, name.len);
    for (size_t i = 0; i < n; i++) {
        pw_client_set_name(c, t, pw_slice_str(list[i]), NULL);
        pw_free(list[i]);
    }
    pw_free(list);
}

/* The server has the statement under the client's own name: only the map is ours to keep. */
static void add_own(struct client *c, struct ticket *t, struct op *op, const char *name)
{
    op->dealloc = DEALLOC_OWN;
    if (pw_names_get(&c->stmts, pw_slice_str(name)))
        pw_client_set_name(c, t, pw_slice_str(name), NULL);
}

void pw_dealloc_add(struct client *c, struct ticket *t, struct op *op, const struct plan *plan,
                    struct slice sql)
{
    static const size_t prefix = sizeof PW_STMT_NAME_PREFIX - 1;
    char name[DEALLOC_NAME_MAX];
    if (plan->cls != PLAN_SESSION || plan->n_statements != 1)
        return;
    if (!strcmp(plan->tag, "DEALLOCATE ALL") || !strcmp(plan->tag, "DISCARD ALL")) {
        op->dealloc = c->translate ? DEALLOC_ALL : DEALLOC_OWN;
        forget_all(c, t);
    } else if (!strcmp(plan->tag, "DEALLOCATE")) {
        if (!pw_dealloc_read_name(sql, name) || !strncmp(name, PW_STMT_NAME_PREFIX, prefix))
            return; /* the session keeps its server: see pw_dealloc_needs_names */
        if (!c->translate) {
            add_own(c, t, op, name);
            return;
        }
        t->n_deallocs++;
        struct stmt *stmt = pw_names_get(&c->stmts, pw_slice_str(name));
        if (!stmt)
            return;
        op->dealloc = DEALLOC_ONE;
        pw_client_set_name(c, t, pw_slice_str(name), NULL);
    }
}

const char *pw_dealloc_name(const struct ticket *t, const struct op *op)
{
    uint32_t at = (uint32_t)(op - t->ops);
    for (uint32_t i = 0; i < t->n_undo; i++)
        if (t->undo[i].op == at)
            return t->undo[i].name;
    return "";
}

static bool has_deallocate(struct slice text)
{
    static const char word[] = "deallocate";
    const size_t n = sizeof word - 1;
    for (size_t i = 0; i + n <= text.len; i++)
        if ((text.ptr[i] | 0x20) == 'd' && !strncasecmp(text.ptr + i, word, n))
            return true;
    return false;
}

/* Several statements, and a DEALLOCATE among them. */
static bool deallocates_among_others(const struct ticket *t)
{
    if (!(t->flags & PLAN_F_MULTI) || !(t->flags & PLAN_F_UNDOES))
        return false;
    for (uint32_t i = 0; i < t->n_ops; i++)
        if (t->ops[i].kind == EXPECT_BIND && t->ops[i].stmt &&
            has_deallocate(pw_stmt_text(t->ops[i].stmt)))
            return true;
    return has_deallocate(pw_buf_slice(&t->msgs));
}

bool pw_dealloc_needs_names(const struct ticket *t)
{
    const struct client *c = t->client;
    bool has_names = t->n_undo || (c && c->stmts.map.count);
    uint32_t n = 0;
    if (has_names && deallocates_among_others(t))
        return true;
    for (uint32_t i = 0; i < t->n_plans; i++) {
        const struct plan *plan = t->plans[i];
        if (plan->pins & PIN_BIT(PIN_SQL_PREPARE))
            return true;
        n += plan->cls == PLAN_SESSION && !strcmp(plan->tag, "DEALLOCATE");
    }
    return n > t->n_deallocs;
}

enum { VIEW_SCAN_MAX = 2 * LIMIT_SQL_BYTES }; /* longer texts are opaque: hardly for that view */

/* Names may be written in capitals, and "pg_prepared_statement" is the function below the view. */
static bool mentions_the_view(struct slice text)
{
    static const char view[] = "pg_prepared_statement";
    const size_t n = sizeof view - 1, before = 2; /* what stands before its first '_' */
    const char *end = text.ptr + (text.len < VIEW_SCAN_MAX ? text.len : VIEW_SCAN_MAX);
    for (const char *p = text.ptr; (p = memchr(p, '_', (size_t)(end - p))); p++)
        if ((size_t)(p - text.ptr) >= before && (size_t)(end - p) >= n - before &&
            !strncasecmp(p - before, view, n))
            return true;
    return false;
}

bool pw_dealloc_shows_names(const struct ticket *t)
{
    if (!(t->flags & PLAN_F_SESSION_READ))
        return false;
    if (mentions_the_view(pw_buf_slice(&t->msgs)))
        return true;
    for (uint32_t i = 0; i < t->n_ops; i++) /* parsed by an earlier request */
        if (t->ops[i].kind == EXPECT_BIND && t->ops[i].stmt &&
            mentions_the_view(pw_stmt_text(t->ops[i].stmt)))
            return true;
    return false;
}
