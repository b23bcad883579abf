/*
 * What a function's body may do, judged by its words: not a parser, so that every language
 * construct is covered, and wrong only towards "may do more". Names are looked up in all schemas,
 * because a body runs under the search_path of its caller. Pure; analysis thread.
 */
#include <string.h>

#include "planner/catalog_priv.h"
#include "planner/effects.h"
#include "planner/scan.h"
#include "planner/template.h"

enum { WORD_MAX = 64 };

struct body {
    struct draft *d;
    const struct catalog *c;
    const char *p, *end;
    struct body_seen *seen;
    bool at_start; /* a statement may begin here */
    char word[WORD_MAX];
};

static bool is_in(const char *word, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(word, *list) == 0)
            return true;
    }
    return false;
}

/* A type whose text may say 'now', or one of a user's, which may be made of such a type. */
static bool names_date(const struct body *b)
{
    enum { FIRST_USER_OID = 16384 };
    uint64_t hash = pw_catalog_name_hash(b->word);
    for (struct hash_node *n = pw_hashmap_first(&b->c->types, hash); n; n = pw_hashmap_next(n)) {
        const struct cat_type *t = PW_CONTAINER_OF(n, struct cat_type, object.node);
        if (strcmp(t->object.name, b->word) == 0 && t->verdict != CAT_SAFE &&
            (t->verdict == CAT_DATELIKE || t->object.oid >= FIRST_USER_OID ||
             strcmp(b->word, "timetz") == 0))
            return true;
    }
    return false;
}

/* What a view or a policy calls is called where the relation is read. */
static void on_relation(const struct body *b)
{
    uint64_t hash = pw_catalog_name_hash(b->word);
    for (struct hash_node *n = pw_hashmap_first(&b->c->tables, hash); n; n = pw_hashmap_next(n)) {
        const struct cat_table *t = PW_CONTAINER_OF(n, struct cat_table, object.node);
        if (strcmp(t->object.name, b->word) == 0)
            pw_effects_relation(b->d, b->c, t);
    }
}

static void on_keyword(struct body *b)
{
    static const char *const writes[] = {"insert", "update", "delete",  "merge", "truncate",
                                         "copy",   "call",   "refresh", "do",    NULL};
    static const char *const schema[] = {"create", "drop",     "alter",  "grant",
                                         "revoke", "reassign", "import", NULL};
    static const char *const session[] = {"set",  "reset",   "discard",    "listen", "unlisten",
                                          "load", "prepare", "deallocate", NULL};
    static const char *const reads[] = {"from",   "perform", "into", "table",
                                        "values", "fetch",   NULL};
    static const char *const temporary[] = {"temp", "temporary", "pg_temp", NULL};
    /* Functions that are called without parentheses. */
    static const char *const moments[] = {"current_date",    "current_time",   "current_timestamp",
                                          "localtime",       "localtimestamp", "current_user",
                                          "current_catalog", "current_role",   "current_schema",
                                          "session_user",    "user",           NULL};
    if (is_in(b->word, writes)) {
        pw_draft_writes_all(b->d);
    } else if (is_in(b->word, schema)) {
        pw_draft_writes_all(b->d);
        b->d->flags |= PLAN_F_CATALOG | PLAN_F_RIGHTS;
    } else if (strcmp(b->word, "execute") == 0) {
        pw_draft_writes_all(b->d);
        b->d->flags |= PLAN_F_CATALOG | PLAN_F_RIGHTS | PLAN_F_SEQUENCE;
        pw_draft_pin(b->d, PIN_FUNCTION);
    } else if (b->at_start && is_in(b->word, session)) {
        pw_draft_pin(b->d, PIN_FUNCTION);
    } else if (is_in(b->word, temporary)) {
        pw_draft_pin(b->d, PIN_TEMP_TABLE);
    } else if (!is_in(b->word, reads) && !is_in(b->word, moments)) {
        return;
    }
    b->seen->impure = true;
}

/* word ( ... : when some schema has such a function, it may be called here. */
static void on_call(struct body *b)
{
    uint64_t hash = pw_catalog_name_hash(b->word);
    for (struct hash_node *n = pw_hashmap_first(&b->c->functions, hash); n;
         n = pw_hashmap_next(n)) {
        const struct cat_function *f = PW_CONTAINER_OF(n, struct cat_function, object.node);
        if (strcmp(f->object.name, b->word) != 0)
            continue;
        if (f->volatility != 'i')
            b->seen->impure = true;
        pw_effects_overload(b->d, b->c, f);
    }
}

static const char *or_end(const char *p, const char *end)
{
    return p ? p : end;
}

static bool is_comment(const char *p, const char *end)
{
    return end - p >= 2 && ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*'));
}

static bool skip_comment(struct body *b)
{
    const char *p = b->p;
    if (!is_comment(p, b->end))
        return false;
    b->p = or_end(*p == '-' ? pw_scan_line_comment(p, b->end) : pw_scan_block_comment(p, b->end),
                  b->end);
    return true;
}

static bool is_call_next(const struct body *b)
{
    struct body ahead = *b;
    while (ahead.p < ahead.end) {
        if (scan_class_of(*ahead.p) == SCAN_SPACE)
            ahead.p++;
        else if (!skip_comment(&ahead))
            return *ahead.p == '(';
    }
    return false;
}

static void take_word(struct body *b)
{
    static const char *const starts[] = {"begin", "then", "else", "loop", "declare", NULL};
    size_t n = 0;
    while (b->p < b->end && scan_is_word_part(*b->p)) {
        if (n + 1 < WORD_MAX)
            b->word[n++] = pw_scan_fold[(uint8_t)*b->p];
        b->p++;
    }
    b->word[n] = 0;
    b->seen->dates = b->seen->dates || names_date(b);
    on_keyword(b);
    on_relation(b);
    b->at_start = is_in(b->word, starts);
    if (is_call_next(b))
        on_call(b);
}

/* As PostgreSQL's lexer does: a comment ends an operator, and one that ends with + or - has a byte
 * that is in no operator of the standard. */
static size_t operator_length(const char *p, const char *end)
{
    static const char odd[] = "~!@#%^&|`?";
    size_t n = 0;
    bool is_odd = false;
    while (p + n < end && scan_class_of(p[n]) == SCAN_OP && !is_comment(p + n, end))
        is_odd = memchr(odd, p[n++], sizeof odd - 1) || is_odd;
    while (!is_odd && n > 1 && (p[n - 1] == '+' || p[n - 1] == '-'))
        n--;
    return n;
}

/* Operators of users call functions of users; those of PostgreSQL change nothing. */
static void take_operator(struct body *b)
{
    size_t n = operator_length(b->p, b->end), kept = n < WORD_MAX ? n : WORD_MAX - 1;
    memcpy(b->word, b->p, kept);
    b->word[kept] = 0;
    b->p += n;
    if (strcmp(b->word, "!=") == 0)
        memcpy(b->word, "<>", 2); /* another spelling */
    uint64_t hash = pw_catalog_name_hash(b->word);
    for (struct hash_node *h = pw_hashmap_first(&b->c->operators, hash); h;
         h = pw_hashmap_next(h)) {
        const struct cat_operator *o = PW_CONTAINER_OF(h, struct cat_operator, object.node);
        if (strcmp(o->object.name, b->word) != 0 || !o->code ||
            o->code->language == CAT_LANGUAGE_BUILTIN)
            continue;
        if (o->volatility != 'i')
            b->seen->impure = true;
        pw_effects_overload(b->d, b->c, o->code);
    }
    b->word[0] = 0;
}

/* := assigns, :: casts, a colon between bounds: no operator begins in any of them. */
static void take_colon(struct body *b)
{
    b->p++;
    if (b->p < b->end && (*b->p == '=' || *b->p == ':'))
        b->p++;
}

static void take_quoted(struct body *b)
{
    const char *start = b->p + 1, *close = pw_scan_quoted(start, b->end);
    if (!close) {
        b->p = b->end;
        return;
    }
    size_t n = (size_t)(close - 1 - start);
    n = n < WORD_MAX ? n : WORD_MAX - 1;
    memcpy(b->word, start, n);
    b->word[n] = 0;
    b->p = close;
    b->seen->dates = b->seen->dates || names_date(b);
    on_relation(b);
    if (is_call_next(b))
        on_call(b);
}

static void take_string(struct body *b, const char *text, const char *end)
{
    if (pw_template_is_special(pw_slice(text, (size_t)(end - text))))
        b->seen->impure = true;
}

/* Strings and comments hide nothing but moments: what is executed from a string needs EXECUTE. */
static bool skip_hidden(struct body *b)
{
    bool ignored = false;
    const char *text, *text_end, *p = b->p;
    if (skip_comment(b))
        return true;
    if (*p == '\'') {
        bool backslash = b->word[0] == 'e' && b->word[1] == 0; /* E'' */
        b->p = or_end(pw_scan_string(p + 1, b->end, backslash, &ignored, &ignored), b->end);
        take_string(b, p + 1, b->p);
    } else if (*p == '$') {
        const char *q = pw_scan_dollar(p, b->end, &text, &text_end);
        b->p = q == p ? p + 1 : or_end(q, b->end);
        if (q && q != p)
            take_string(b, text, text_end);
    } else {
        return false;
    }
    return true;
}

void pw_effects_body(struct draft *d, const struct catalog *c, const char *text,
                     struct body_seen *seen)
{
    struct body_seen ignored = {0};
    struct body b = {.d = d,
                     .c = c,
                     .p = text,
                     .end = text + strlen(text),
                     .seen = seen ? seen : &ignored,
                     .at_start = true};
    while (b.p < b.end) {
        enum scan_class k = scan_class_of(*b.p);
        if (k == SCAN_WORD) {
            take_word(&b);
        } else if (k == SCAN_DQUOTE) {
            take_quoted(&b);
            b.at_start = false;
        } else if (skip_hidden(&b)) {
            continue;
        } else if (k == SCAN_OP) {
            take_operator(&b);
            b.at_start = false;
        } else if (k == SCAN_COLON) {
            take_colon(&b);
            b.at_start = false;
            b.word[0] = 0;
        } else {
            if (k != SCAN_SPACE)
                b.at_start = k == SCAN_SEMI;
            b.word[0] = 0;
            b.p++;
        }
    }
}
