/* A workload from SQL text: statements separated by ';', "-- weight: N" before one; and from
 * pg_stat_statements. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/side.h"
#include "advisor/workload.h"
#include "planner/ast.h"
#include "planner/parse.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/num.h"

struct splitter {
    const char *text;
    size_t len, at;
    uint32_t line;
    double weight; /* of the next statement; 0: none said */
    bool bad_weight;
};

static bool starts(const struct splitter *s, const char *word)
{
    size_t n = strlen(word);
    return s->len - s->at >= n && memcmp(s->text + s->at, word, n) == 0;
}

static void step(struct splitter *s)
{
    if (s->text[s->at++] == '\n')
        s->line++;
}

static void read_weight(struct splitter *s, const char *comment, size_t len)
{
    size_t k = 2;
    while (k < len && isspace((unsigned char)comment[k]))
        k++;
    if (len - k < 7 || strncmp(comment + k, "weight:", 7) != 0)
        return;
    k += 7;
    while (k < len && isspace((unsigned char)comment[k]))
        k++;
    while (len > k && isspace((unsigned char)comment[len - 1]))
        len--;
    double v;
    if (pw_num_parse_double(pw_slice(comment + k, len - k), &v) && v > 0)
        s->weight = v;
    else
        s->bad_weight = true;
}

static void skip_line_comment(struct splitter *s)
{
    size_t start = s->at;
    while (s->at < s->len && s->text[s->at] != '\n')
        s->at++;
    read_weight(s, s->text + start, s->at - start);
}

static void skip_block_comment(struct splitter *s)
{
    int depth = 0;
    while (s->at < s->len) {
        if (starts(s, "/*")) {
            depth++;
            s->at += 2;
        } else if (starts(s, "*/")) {
            s->at += 2;
            if (--depth == 0)
                return;
        } else {
            step(s);
        }
    }
}

static void skip_quoted(struct splitter *s, bool escapes)
{
    char q = s->text[s->at];
    step(s);
    while (s->at < s->len) {
        char c = s->text[s->at];
        if (escapes && c == '\\' && s->at + 1 < s->len) {
            step(s);
            step(s);
            continue;
        }
        step(s);
        if (c == q) {
            if (s->at < s->len && s->text[s->at] == q)
                step(s);
            else
                return;
        }
    }
}

/* At '$': skips $tag$ ... $tag$, or just the '$'. */
static void skip_dollar(struct splitter *s)
{
    size_t k = s->at + 1;
    while (k < s->len && (isalnum((unsigned char)s->text[k]) || s->text[k] == '_'))
        k++;
    bool digit = s->at + 1 < s->len && isdigit((unsigned char)s->text[s->at + 1]);
    if (k >= s->len || s->text[k] != '$' || digit) {
        s->at++;
        return;
    }
    size_t tag = k + 1 - s->at;
    const char *open = s->text + s->at;
    s->at += tag;
    while (s->at < s->len) {
        if (s->len - s->at >= tag && memcmp(s->text + s->at, open, tag) == 0) {
            s->at += tag;
            return;
        }
        step(s);
    }
}

/* The next statement's text; false at the end. Leading space and comments are left out. */
static bool next_statement(struct splitter *s, struct slice *out, uint32_t *line)
{
    size_t start = SIZE_MAX, end = 0;
    while (s->at < s->len) {
        char c = s->text[s->at];
        if (c == ';') {
            s->at++;
            if (start != SIZE_MAX)
                break;
            continue;
        }
        if (starts(s, "--")) {
            skip_line_comment(s);
            continue;
        }
        if (starts(s, "/*")) {
            skip_block_comment(s);
            continue;
        }
        if (isspace((unsigned char)c)) {
            step(s);
            continue;
        }
        if (start == SIZE_MAX) {
            start = s->at;
            *line = s->line;
        }
        bool escapes = (c == 'e' || c == 'E') && s->at + 1 < s->len && s->text[s->at + 1] == '\'';
        bool in_word =
            s->at > 0 && (isalnum((unsigned char)s->text[s->at - 1]) || s->text[s->at - 1] == '_');
        if (escapes && !in_word)
            s->at++;
        if (s->text[s->at] == '\'' || s->text[s->at] == '"')
            skip_quoted(s, escapes && !in_word);
        else if (c == '$' && !in_word)
            skip_dollar(s);
        else
            step(s);
        end = s->at;
    }
    if (start == SIZE_MAX)
        return false;
    *out = pw_slice(s->text + start, end - start);
    return true;
}

/* Why this statement can not be advised on, or NULL. */
static const char *unfit(const char *json)
{
    cJSON *tree = cJSON_Parse(json);
    const cJSON *stmts = pw_ast_get(tree, "stmts");
    const char *why = NULL, *name = "";
    if (pw_ast_count(stmts) != 1) {
        why = "not exactly one statement";
    } else {
        pw_ast_node(pw_ast_get(cJSON_GetArrayItem(stmts, 0), "stmt"), &name);
        if (strcmp(name, "SelectStmt") != 0 && strcmp(name, "InsertStmt") != 0 &&
            strcmp(name, "UpdateStmt") != 0 && strcmp(name, "DeleteStmt") != 0 &&
            strcmp(name, "MergeStmt") != 0)
            why = "not a SELECT, INSERT, UPDATE, DELETE or MERGE";
    }
    cJSON_Delete(tree);
    return why;
}

static struct workload_family *add_statement(struct workload *w, const char *sql, uint32_t line,
                                             double calls, double ms, double rows)
{
    struct parsed p;
    if (!pw_parse(sql, &p)) {
        pw_workload_skip(w, line, 0, "it does not parse");
        return NULL;
    }
    const char *why = unfit(p.json);
    struct workload_family *f = NULL;
    if (why)
        pw_workload_skip(w, line, p.fingerprint, why);
    else
        f = pw_workload_add(w, p.fingerprint, p.normalized ? p.normalized : "", calls, ms, rows);
    if (f && f->line == 0)
        f->line = line;
    pw_parsed_free(&p);
    return f;
}

void pw_workload_add_file(struct workload *w, struct slice text)
{
    struct splitter s = {.text = text.ptr, .len = text.len, .line = 1};
    struct slice sql;
    uint32_t line;
    while (next_statement(&s, &sql, &line)) {
        double weight = s.weight > 0 ? s.weight : 1;
        if (s.bad_weight)
            pw_workload_skip(w, line, 0, "its weight is not a positive number; 1 is taken");
        s.weight = 0;
        s.bad_weight = false;
        if (sql.len > PW_WORKLOAD_MAX_SQL || memchr(sql.ptr, 0, sql.len)) {
            pw_workload_skip(w, line, 0, "it is longer than 32 kB or holds a NUL byte");
            continue;
        }
        char *copy = pw_strndup(sql.ptr, sql.len);
        struct workload_family *f = add_statement(w, copy, line, weight, NAN, NAN);
        if (f)
            pw_workload_add_sample(f, sql, 0, NULL);
        pw_free(copy);
    }
}

static const char pgss_sql[] =
    "SELECT s.query, sum(s.calls), sum(s.%s), sum(s.rows) FROM %s.pg_stat_statements s"
    " WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND s.query ~* "
    "'^[[:space:](]*(/\\*.*\\*/[[:space:]]*)?(select|with|insert|update|delete|merge)'"
    " AND s.query !~* '(pg_catalog\\.|pg_stat_|pg_class|information_schema|hypopg)'"
    " GROUP BY s.query ORDER BY sum(s.%s) DESC LIMIT 1000";

bool pw_workload_add_pgss(struct workload *w, struct pgsync *pg, char **error)
{
    struct pgresult *r =
        pw_pgsync_query(pg,
                        "SELECT n.nspname, e.extversion FROM pg_extension e JOIN pg_namespace n"
                        " ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'",
                        0, NULL);
    if (!pw_pgresult_ok(r) || pw_pgresult_rows(r) == 0) {
        *error =
            pw_strdup(pw_pgresult_ok(r) ? "the extension pg_stat_statements is not installed in "
                                          "this database"
                                        : pw_pgresult_error(r));
        pw_pgresult_free(r);
        return false;
    }
    struct arena mem;
    pw_arena_init(&mem, PW_MEM_MAX);
    double version = strtod(pw_cell(r, 0, 1), NULL);
    bool old = strcmp(pw_cell(r, 0, 1), "1.7") == 0 || (version < 1.8 && version >= 1.2);
    const char *time = old ? "total_time" : "total_exec_time";
    char *sql = pw_mem_printf(&mem, pgss_sql, time, pw_mem_ident(&mem, pw_cell(r, 0, 0)), time);
    pw_pgresult_free(r);
    r = pw_pgsync_query(pg, sql, 0, NULL);
    bool ok = pw_pgresult_ok(r);
    if (!ok)
        *error = pw_strdup(pw_pgresult_error(r));
    for (int k = 0; ok && k < pw_pgresult_rows(r); k++) {
        const char *text = pw_cell(r, k, 0);
        if (strlen(text) > PW_WORKLOAD_MAX_SQL)
            continue;
        struct workload_family *f =
            add_statement(w, text, 0, pw_cell_num(r, k, 1, 1), pw_cell_num(r, k, 2, NAN),
                          pw_cell_num(r, k, 3, NAN));
        if (f)
            pw_workload_add_sample(f, pw_slice_str(text), 0, NULL);
    }
    w->to_us = pw_clock_wall_us();
    pw_pgresult_free(r);
    pw_arena_free(&mem);
    return ok;
}
