/* Owns the command table and the calls in flight. Control thread, except pw_admin_find. */
#include "proxy/admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "proxy/admin/parse.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"
#include "proxy/base/log.h"
#include "proxy/base/num.h"

enum { ROWS_MAX = 256, TEXT_SHOWN_MAX = 60 };

struct row {
    const struct admin_command *command; /* BORROW */
    void *arg;                           /* BORROW */
};

struct admin {
    struct row rows[ROWS_MAX];
    size_t n_rows;
    struct list calls; /* in flight; OWN */
};

struct admin *pw_admin_new(void)
{
    struct admin *a = pw_alloc(sizeof *a);
    pw_list_init(&a->calls);
    return a;
}

void pw_admin_free(struct admin *a)
{
    if (!a)
        return;
    PW_CHECK(pw_list_empty(&a->calls));
    pw_free(a);
}

void pw_admin_register(struct admin *a, const struct admin_command *rows, size_t n, void *arg)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        while (at < a->n_rows && strcmp(a->rows[at].command->words, rows[i].words) != 0)
            at++;
        PW_CHECK(at < ROWS_MAX);
        a->rows[at] = (struct row){&rows[i], arg};
        if (at == a->n_rows)
            a->n_rows++;
    }
}

const struct admin_command *pw_admin_command_at(const struct admin *a, size_t i)
{
    return i < a->n_rows ? a->rows[i].command : NULL;
}

size_t pw_admin_calls_in_flight(const struct admin *a)
{
    return a->calls.count;
}

/* ---- which command? ---------------------------------------------------------------------------
 */

struct found {
    const struct row *row; /* NULL: none or several */
    struct admin_match match;
    size_t candidates; /* rows that match equally well */
};

static bool is_better(struct admin_match a, struct admin_match b)
{
    return a.words != b.words ? a.words > b.words : a.exact > b.exact;
}

/* More words win ("SHOW CACHE ENTRIES" over "SHOW CACHE"), then more words spelled in full. Only
 * commands that look may be abbreviated: "sh" must never mean SHUTDOWN. */
static struct found find(const struct admin *a, const struct admin_tokens *tokens)
{
    struct found f = {0};
    for (size_t i = 0; i < a->n_rows; i++) {
        const struct admin_command *c = a->rows[i].command;
        struct admin_match m = pw_admin_match(tokens, c->words, c->level == ADMIN_STATS);
        if (m.words == 0 || (f.candidates && is_better(f.match, m)))
            continue;
        if (f.candidates && !is_better(m, f.match)) {
            f.candidates++;
            f.row = NULL;
        } else {
            f = (struct found){&a->rows[i], m, 1};
        }
    }
    return f;
}

const struct admin_command *pw_admin_find(const struct admin *a, struct slice text)
{
    struct admin_tokens tokens;
    pw_admin_tokenize(text, &tokens);
    struct found f = find(a, &tokens);
    return f.row ? f.row->command : NULL;
}

static const char *closest(const struct admin *a, const struct admin_tokens *tokens)
{
    const char *best = NULL;
    size_t best_distance = 0;
    for (size_t i = 0; i < a->n_rows; i++) {
        const char *words = a->rows[i].command->words;
        size_t distance = pw_admin_distance(tokens, words);
        if (!best || distance < best_distance) {
            best = words;
            best_distance = distance;
        }
    }
    return best && best_distance <= 1 + strlen(best) / 4 ? best : NULL;
}

static void list_candidates(const struct admin *a, const struct admin_tokens *tokens,
                            struct admin_match best, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < a->n_rows; i++) {
        const struct admin_command *c = a->rows[i].command;
        struct admin_match m = pw_admin_match(tokens, c->words, c->level == ADMIN_STATS);
        if (m.words != best.words || m.exact != best.exact)
            continue;
        int n = snprintf(out + len, size - len, "%s%s", len ? ", " : "", c->words);
        if (n < 0 || (size_t)n >= size - len)
            return; /* as many as fit */
        len += (size_t)n;
    }
}

/* ---- results ----------------------------------------------------------------------------------
 */

void pw_admin_result_clear(struct admin_result *r)
{
    pw_table_free(r->table);
    pw_free(r->notice);
    pw_free(r->error);
    pw_free(r->hint);
    *r = (struct admin_result){0};
}

static void set_error(struct admin_call *call, const char *sqlstate, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

static void set_error(struct admin_call *call, const char *sqlstate, const char *fmt, va_list args)
{
    char *text = NULL;
    pw_free(call->result.error);
    call->result.error = vasprintf(&text, fmt, args) >= 0 ? text : pw_strdup("out of memory");
    snprintf(call->result.sqlstate, sizeof call->result.sqlstate, "%s", sqlstate);
}

static void audit(const struct admin_call *call)
{
    if (!call->command || call->command->level != ADMIN_ADMIN)
        return;
    pw_log_info("console command=\"%s\" args=%zu user=%s source=%s event=%s", call->command->words,
                call->n_args, call->user, call->source, call->result.error ? "failed" : "done");
}

void pw_admin_finish(struct admin_call *call)
{
    if (call->result.tag[0] == '\0' && call->command)
        snprintf(call->result.tag, sizeof call->result.tag, "%.*s",
                 (int)strcspn(call->command->words, " "), call->command->words);
    call->result.format = call->format;
    audit(call);
    if (call->on_finished)
        call->on_finished(call, call->owner);
    if (call->gone)
        *call->gone = true;
    pw_list_remove(&call->admin->calls, &call->link);
    pw_admin_result_clear(&call->result);
    pw_free(call->text);
    pw_free(call->tokens);
    pw_free(call);
}

void pw_admin_finish_error(struct admin_call *call, const char *sqlstate, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    set_error(call, sqlstate, fmt, args);
    va_end(args);
    pw_admin_finish(call);
}

void pw_admin_finish_notice(struct admin_call *call, const char *fmt, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    pw_free(call->result.notice);
    call->result.notice = text;
    pw_admin_finish(call);
}

void pw_admin_finish_table(struct admin_call *call, struct table *table)
{
    pw_table_free(call->result.table);
    call->result.table = table;
    pw_admin_finish(call);
}

size_t pw_admin_arg_count(struct admin_call *call, size_t i, size_t otherwise, size_t max)
{
    uint64_t n;
    if (i >= call->n_args)
        return otherwise;
    if (pw_num_parse_u64(pw_slice_str(call->args[i]), &n) && n >= 1 && n <= max)
        return (size_t)n;
    pw_admin_finish_error(call, "22023", "%s: \"%s\" is not a number from 1 to %zu",
                          call->command->words, call->args[i], max);
    return 0;
}

/* ---- starting ---------------------------------------------------------------------------------
 */

/* How much of the text may be said again: a line of plain characters, so that no encoding is cut.
 */
static int shown(const char *text)
{
    int n = 0;
    while (n < TEXT_SHOWN_MAX && text[n] >= ' ' && text[n] <= '~')
        n++;
    return n;
}

static void refuse_unknown(struct admin_call *call, const struct admin_tokens *tokens,
                           struct found f)
{
    char names[400];
    const char *near = closest(call->admin, tokens);
    call->result.hint = pw_strdup("SHOW HELP lists the commands.");
    if (tokens->n == 0) {
        pw_admin_finish_error(call, "42601", "empty command");
    } else if (f.candidates > 1) {
        list_candidates(call->admin, tokens, f.match, names, sizeof names);
        pw_admin_finish_error(call, "42601", "ambiguous command, it may be: %s", names);
    } else if (near) {
        pw_admin_finish_error(call, "42601", "unknown command \"%.*s\", did you mean %s?",
                              shown(call->text), call->text, near);
    } else {
        pw_admin_finish_error(call, "42601", "unknown command \"%.*s\"", shown(call->text),
                              call->text);
    }
}

/* A command whose arguments are the word "sql" takes the rest of the text as it is. */
static bool takes_raw(const struct admin_command *c)
{
    return c->args && strcmp(c->args, "sql") == 0;
}

static void take_args(struct admin_call *call, const struct admin_tokens *tokens, size_t words)
{
    size_t last = words - 1;
    const char *after = tokens->items[last].raw.ptr + tokens->items[last].raw.len;
    call->rest = pw_admin_trim(pw_slice(after, strlen(after))).ptr;
    if (takes_raw(call->command)) {
        if (call->rest[0])
            call->args[call->n_args++] = call->rest;
        return;
    }
    char *out = call->tokens = pw_alloc(strlen(call->text) + PW_ADMIN_ARGS_MAX + 1);
    for (size_t i = words; i < tokens->n && call->n_args < PW_ADMIN_ARGS_MAX; i++) {
        size_t len = pw_admin_unquote(&tokens->items[i], out);
        out[len] = '\0';
        call->args[call->n_args++] = out;
        out += len + 1;
    }
}

static void run(struct admin_call *call)
{
    struct admin_tokens tokens;
    pw_admin_tokenize(pw_slice_str(call->text), &tokens);
    struct found f = find(call->admin, &tokens);
    if (!f.row) {
        refuse_unknown(call, &tokens, f);
        return;
    }
    call->command = f.row->command;
    call->arg = f.row->arg;
    if (call->command->level > call->level) {
        pw_admin_finish_error(call, "42501", "permission denied: %s is for admin users",
                              call->command->words);
        return;
    }
    if (tokens.open_quote && !takes_raw(call->command)) {
        pw_admin_finish_error(call, "42601", "a quote or comment does not end");
        return;
    }
    take_args(call, &tokens, f.match.words);
    bool too_many = tokens.more || tokens.n > f.match.words + PW_ADMIN_ARGS_MAX;
    if ((call->n_args && !call->command->args) || (too_many && !takes_raw(call->command)))
        pw_admin_finish_error(
            call, "42601", call->command->args ? "%s: too many arguments" : "%s takes no arguments",
            call->command->words);
    else
        call->command->run(call);
}

struct admin_call *pw_admin_start(struct admin *a, const struct admin_request *request,
                                  pw_on_admin_finished on_finished, void *owner)
{
    struct slice text = request->text;
    bool gone = false; /* set when the call finishes before this returns */
    struct admin_call *call = pw_alloc(sizeof *call);
    call->admin = a;
    call->gone = &gone;
    call->level = request->level;
    call->format = pw_admin_strip_format(&text) ? ADMIN_FORMAT_JSON : request->format;
    call->on_finished = on_finished;
    call->owner = owner;
    snprintf(call->user, sizeof call->user, "%s", request->user ? request->user : "");
    snprintf(call->source, sizeof call->source, "%s", request->source ? request->source : "");
    pw_list_push_back(&a->calls, &call->link);
    if (text.len > PW_ADMIN_TEXT_MAX) {
        pw_admin_finish_error(call, "54000", "the command is longer than %d bytes",
                              PW_ADMIN_TEXT_MAX);
        return NULL;
    }
    if (a->calls.count > PW_ADMIN_CALLS_MAX) {
        pw_admin_finish_error(call, "53400", "too many commands are running");
        return NULL;
    }
    call->text = pw_strndup(text.ptr ? text.ptr : "", text.len);
    run(call);
    if (gone)
        return NULL;
    call->gone = NULL;
    return call;
}

void pw_admin_detach(struct admin_call *call)
{
    call->on_finished = NULL;
    call->owner = NULL;
}
