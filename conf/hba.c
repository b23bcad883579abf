/* Reader of pg_hba.conf; see hba.h. Matching is in hba_match.c. */
#include "conf/hba.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/file.h"
#include "conf/hba_rule.h"
#include "conf/raw.h"
#include "proxy/base/alloc.h"
#include "proxy/base/num.h"

enum { FILE_MAX_BYTES = 1 << 20, RULES_MAX = 10000, FIELDS_MAX = 32, LINE_MAX_BYTES = 16384 };

/* One line as PostgreSQL's lexer has it: fields of comma-separated tokens. */
struct fields {
    struct hba_token tokens[1024]; /* BORROW: text points into `text` */
    size_t first[FIELDS_MAX + 1];  /* tokens[first[i]] .. tokens[first[i + 1] - 1] are field i */
    size_t n;
    char text[LINE_MAX_BYTES];
    size_t text_len;
};

struct parser {
    struct hba *hba;
    struct fields fields;
    const char *where;
    struct conf_errors *errors;
    size_t line;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum lexed { LEX_END, LEX_TOKEN, LEX_OPEN_QUOTE };

/* A token, quoted or not, from *at; LEX_END: at the end of the line or at a comment. */
static enum lexed take_token(struct fields *f, struct slice line, size_t *at,
                             struct hba_token *token, bool *comma)
{
    bool in_quotes = false;
    char *out = f->text + f->text_len;
    size_t i = *at, n = 0;
    while (i < line.len && (is_blank(line.ptr[i]) || line.ptr[i] == ','))
        i++;
    *token = (struct hba_token){.text = out};
    size_t start = i;
    for (; i < line.len; i++) {
        char c = line.ptr[i];
        if (!in_quotes && (is_blank(c) || c == ',' || c == '#'))
            break;
        if (c == '"') {
            token->quoted = true;
            if (in_quotes && i + 1 < line.len && line.ptr[i + 1] == '"')
                out[n++] = line.ptr[i++]; /* "" inside quotes */
            else
                in_quotes = !in_quotes;
            continue;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    f->text_len += n + 1;
    *comma = i < line.len && line.ptr[i] == ',';
    *at = i;
    return in_quotes ? LEX_OPEN_QUOTE : i > start ? LEX_TOKEN : LEX_END;
}

static const char *split_line(struct fields *f, struct slice line)
{
    size_t at = 0, n_tokens = 0;
    bool comma = false;
    enum lexed lexed = LEX_TOKEN;
    f->n = f->text_len = 0;
    if (line.len >= LINE_MAX_BYTES / 2)
        return "line too long";
    if (line.len && memchr(line.ptr, '\0', line.len))
        return "a NUL byte";
    while (lexed == LEX_TOKEN) {
        if (n_tokens == PW_COUNT_OF(f->tokens) || f->n == FIELDS_MAX)
            return "too many words";
        bool continues = comma && f->n > 0; /* a comma joins the next token to this field */
        lexed = take_token(f, line, &at, &f->tokens[n_tokens], &comma);
        if (lexed == LEX_TOKEN && !continues)
            f->first[f->n++] = n_tokens;
        n_tokens += lexed == LEX_TOKEN;
    }
    if (lexed == LEX_OPEN_QUOTE)
        return "a quote is not closed";
    f->first[f->n] = n_tokens;
    return NULL;
}

static bool fail(const struct parser *p, const char *fmt, ...) PW_PRINTF(2, 3);

static bool fail(const struct parser *p, const char *fmt, ...)
{
    char message[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    pw_conf_error(p->errors, p->where, "%s", message);
    return false;
}

static bool parse_type(const struct parser *p, const char *word, struct hba_rule *rule)
{
    static const struct {
        const char *word;
        enum hba_type type;
    } types[] = {{"local", HBA_LOCAL},       {"host", HBA_HOST},
                 {"hostssl", HBA_HOSTSSL},   {"hostnossl", HBA_HOSTNOSSL},
                 {"hostnogssenc", HBA_HOST}, {"hostgssenc", HBA_NEVER}};
    for (size_t i = 0; i < PW_COUNT_OF(types); i++)
        if (strcmp(word, types[i].word) == 0) {
            rule->type = types[i].type;
            return true;
        }
    if (strncmp(word, "include", 7) == 0)
        return fail(p, "%.60s is not supported: put the rules in this file", word);
    return fail(p, "unknown connection type \"%.60s\"; expected local, host, hostssl or hostnossl",
                word);
}

static bool parse_names(const struct parser *p, size_t field, bool users, struct hba_names *out)
{
    const struct fields *f = &p->fields;
    size_t n = f->first[field + 1] - f->first[field];
    out->items = pw_alloc(n * sizeof *out->items);
    for (size_t i = 0; i < n; i++) {
        struct hba_token t = f->tokens[f->first[field] + i];
        if (!t.quoted && t.text[0] == '@')
            return fail(p, "@file is not supported: %.60s", t.text);
        if (!t.quoted && t.text[0] == '/')
            return fail(p, "regular expressions are not supported: %.60s", t.text);
        if (!t.quoted && !users && (!strcmp(t.text, "samerole") || !strcmp(t.text, "samegroup")))
            return fail(p, "%.60s is not supported: name the databases", t.text);
        t.text = pw_strdup(t.text);
        out->items[out->n++] = t;
    }
    return true;
}

static bool parse_ip(const char *text, struct hba_address *a)
{
    a->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    return inet_pton(a->family, text, a->bytes) == 1;
}

static void mask_from_length(struct hba_address *a, size_t bits)
{
    memset(a->mask, 0, sizeof a->mask);
    for (size_t bit = 0; bit < bits; bit++)
        a->mask[bit / 8] = (unsigned char)(a->mask[bit / 8] | 0x80u >> bit % 8);
}

/* Sets *used to the fields an address takes: one, or two with a mask of its own. */
static bool parse_address(const struct parser *p, size_t field, struct hba_address *a, size_t *used)
{
    const struct fields *f = &p->fields;
    char text[80];
    *used = 1;
    const struct hba_token *token = &f->tokens[f->first[field]];
    if (f->first[field + 1] - f->first[field] != 1 || strlen(token->text) >= sizeof text)
        return fail(p, "one address at a time: %.60s", token->text);
    if (!token->quoted && strcmp(token->text, "all") == 0)
        return true; /* family 0: any */
    if (!token->quoted && (!strcmp(token->text, "samehost") || !strcmp(token->text, "samenet")))
        return fail(p, "%.60s is not supported: write the address", token->text);
    memcpy(text, token->text, strlen(token->text) + 1);
    char *slash = strchr(text, '/');
    if (slash)
        *slash++ = '\0';
    if (!parse_ip(text, a))
        return fail(p, "\"%.60s\" is not an address; host names are not supported", token->text);
    if (slash) {
        uint64_t bits;
        if (!pw_num_parse_u64(pw_slice_str(slash), &bits) ||
            bits > (a->family == AF_INET ? 32 : 128))
            return fail(p, "bad mask in \"%.60s\"", token->text);
        mask_from_length(a, (size_t)bits);
        return true;
    }
    struct hba_address mask = {0};
    const char *mask_text = field + 1 < f->n ? f->tokens[f->first[field + 1]].text : "";
    if (!parse_ip(mask_text, &mask) || mask.family != a->family)
        return fail(p, "\"%.60s\" needs a mask: ADDRESS/BITS, or ADDRESS MASK", token->text);
    memcpy(a->mask, mask.bytes, sizeof a->mask);
    *used = 2;
    return true;
}

static bool parse_method(const struct parser *p, const char *word, struct hba_rule *rule)
{
    for (enum hba_method m = HBA_REJECT; m <= HBA_CERT; m++)
        if (strcmp(word, pw_hba_method_name(m)) == 0) {
            rule->method = m;
            if (m != HBA_CERT || rule->type == HBA_HOSTSSL)
                return true;
            return fail(p, "method %.60s needs hostssl", word);
        }
    return fail(p,
                "method \"%.60s\" is not supported; expected trust, reject, md5, scram-sha-256, "
                "password or cert",
                word);
}

static bool parse_options(const struct parser *p, size_t field)
{
    const struct fields *f = &p->fields;
    for (; field < f->n; field++) {
        const char *option = f->tokens[f->first[field]].text;
        if (!strchr(option, '='))
            return fail(p, "expected option=value, got \"%.60s\"", option);
        if (strncmp(option, "clientcert=", 11) == 0)
            return fail(p, "%.60s is not supported: use the method cert", option);
        pw_conf_warning(p->errors, p->where, "option %.60s is ignored", option);
    }
    return true;
}

static bool parse_rule(const struct parser *p, struct hba_rule *rule)
{
    const struct fields *f = &p->fields;
    size_t at = 3, used = 0;
    if (f->first[1] - f->first[0] != 1)
        return fail(p, "one connection type at a time");
    if (!parse_type(p, f->tokens[0].text, rule))
        return false;
    size_t least = rule->type == HBA_LOCAL ? 4 : 5;
    if (f->n < least)
        return fail(p, "expected %s",
                    least == 4 ? "local DATABASE USER METHOD"
                               : "host DATABASE USER ADDRESS METHOD");
    if (!parse_names(p, 1, false, &rule->databases) || !parse_names(p, 2, true, &rule->users))
        return false;
    if (rule->type != HBA_LOCAL && !parse_address(p, at, &rule->address, &used))
        return false;
    at += used;
    if (at >= f->n)
        return fail(p, "the method is missing");
    return parse_method(p, f->tokens[f->first[at]].text, rule) && parse_options(p, at + 1);
}

static void names_free(struct hba_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        pw_free((char *)(uintptr_t)names->items[i].text);
    PW_FREE(names->items);
    names->n = 0;
}

static void rule_free(struct hba_rule *rule)
{
    names_free(&rule->databases);
    names_free(&rule->users);
}

static void add_rule(struct parser *p, struct slice line)
{
    struct hba_rule rule = {.line = p->line};
    const char *why = split_line(&p->fields, line);
    if (why) {
        fail(p, "%s", why);
    } else if (p->fields.n == 0) {
        return; /* blank or a comment */
    } else if (p->hba->n == RULES_MAX) {
        fail(p, "too many rules");
    } else if (parse_rule(p, &rule)) {
        p->hba->rules = pw_realloc(p->hba->rules, (p->hba->n + 1) * sizeof *p->hba->rules);
        p->hba->rules[p->hba->n++] = rule;
        return;
    }
    rule_free(&rule);
}

/* A backslash at a line's end joins the next line to it. OWN */
static char *join_lines(struct slice *rest, size_t *len, size_t *lines)
{
    struct slice line;
    char *joined = NULL;
    *len = *lines = 0;
    while (pw_file_next_line(rest, &line)) {
        bool more = line.len && line.ptr[line.len - 1] == '\\';
        line.len -= more;
        joined = pw_realloc(joined, *len + line.len + 1);
        memcpy(joined + *len, line.len ? line.ptr : "", line.len);
        *len += line.len;
        ++*lines;
        if (!more)
            break;
    }
    return joined;
}

struct hba *pw_hba_parse(const char *text, size_t len, const char *file_name,
                         struct conf_errors *errors)
{
    struct parser *p = pw_alloc(sizeof *p);
    struct slice rest = pw_slice(text, len);
    char where[CONF_WHERE_MAX], *line;
    size_t line_len, lines;
    *errors = (struct conf_errors){0};
    *p = (struct parser){.hba = pw_alloc(sizeof *p->hba), .where = where, .errors = errors};
    atomic_init(&p->hba->refs, 1);
    for (size_t number = 1; (line = join_lines(&rest, &line_len, &lines)) != NULL;
         number += lines) {
        snprintf(where, sizeof where, "%s:%zu", file_name, number);
        p->line = number;
        add_rule(p, pw_slice(line, line_len));
        pw_free(line);
    }
    struct hba *hba = p->hba;
    pw_free(p);
    if (errors->n == errors->n_warnings)
        return hba;
    pw_hba_free(hba);
    return NULL;
}

struct hba *pw_hba_load(const char *path, struct conf_errors *errors)
{
    size_t len;
    char *text = pw_conf_read_file(path, FILE_MAX_BYTES, &len, errors);
    if (!text)
        return NULL;
    struct hba *hba = pw_hba_parse(text, len, path, errors);
    pw_free(text);
    return hba;
}

struct hba *pw_hba_ref(const struct hba *h)
{
    struct hba *counted = (struct hba *)(uintptr_t)h; /* only the count changes */
    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return counted;
}

void pw_hba_free(const struct hba *h)
{
    struct hba *mine = (struct hba *)(uintptr_t)h;
    if (!h || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < mine->n; i++)
        rule_free(&mine->rules[i]);
    pw_free(mine->rules);
    pw_free(mine);
}

size_t pw_hba_count(const struct hba *h)
{
    return h->n;
}
