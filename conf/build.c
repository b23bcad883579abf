/* From untyped settings to a snapshot: defaults, then every entry in order, so that the strongest
 * comes last. The box is private to the building thread until it is returned. */
#include <stdio.h>

#include "conf/box.h"
#include "conf/hba.h"
#include "conf/suggest.h"
#include "conf/url.h"
#include "proxy/base/alloc.h"
#include "proxy/base/check.h"

struct builder {
    struct conf_box *box;
    struct conf_errors *errors;
    struct conf_database *databases;
    bool *has_sslmode; /* per database: its URL names one */
    struct conf_cache_rule *rules;
};

void *pw_box_alloc(struct conf_box *box, size_t size)
{
    if (box->n_owned == box->owned_capacity) {
        box->owned_capacity = box->owned_capacity ? box->owned_capacity * 2 : 64;
        box->owned = pw_realloc(box->owned, box->owned_capacity * sizeof *box->owned);
    }
    return box->owned[box->n_owned++] = pw_alloc(size ? size : 1);
}

const char *pw_box_text(struct conf_box *box, struct slice text)
{
    if (text.len == 0)
        return "";
    char *copy = pw_box_alloc(box, text.len + 1);
    memcpy(copy, text.ptr, text.len);
    return copy;
}

void pw_box_free(struct conf_box *box)
{
    for (size_t i = 0; i < box->n_owned; i++)
        pw_free(box->owned[i]);
    pw_hba_free(box->pub.auth.hba);
    pw_free(box->owned);
    pw_raw_free(&box->raw);
    pw_free(box);
}

static void set_defaults(const struct conf_row *rows, size_t n, void *base)
{
    struct buf why;
    pw_buf_init(&why, 1024);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].kind == CONF_KIND_LIST || rows[i].kind == CONF_KIND_URL)
            continue;
        PW_CHECK(pw_conf_value_parse(&rows[i], pw_slice_str(rows[i].def), base, &why));
        if (rows[i].kind == CONF_KIND_TEXT || rows[i].kind == CONF_KIND_ADDRESS)
            memcpy((char *)base + rows[i].offset, &rows[i].def, sizeof rows[i].def);
    }
    pw_buf_free(&why);
}

static size_t database_index(const struct builder *b, const char *name)
{
    size_t i = 0;
    while (i < b->box->pub.n_databases && strcmp(b->databases[i].name, name) != 0)
        i++;
    return i;
}

static void make_database(struct builder *b, const char *name)
{
    struct conf_database *db = &b->databases[b->box->pub.n_databases++];
    set_defaults(pw_conf_database_rows, pw_conf_n_database_rows, db);
    db->name = pw_box_text(b->box, pw_slice_str(name));
}

/* One row per name in the order of the file, "*" last. */
static void make_databases(struct builder *b)
{
    const struct raw *raw = &b->box->raw;
    size_t most = 0;
    bool star = false;
    for (size_t i = 0; i < raw->n; i++)
        most += raw->entries[i].database && !raw->entries[i].row;
    b->databases = pw_box_alloc(b->box, (most + 1) * sizeof *b->databases);
    b->has_sslmode = pw_box_alloc(b->box, (most + 1) * sizeof *b->has_sslmode);
    b->box->pub.databases = b->databases;
    for (size_t i = 0; i < raw->n; i++) {
        const struct raw_entry *e = &raw->entries[i];
        if (!e->database || e->row)
            continue;
        star |= strcmp(e->database, "*") == 0;
        if (strcmp(e->database, "*") != 0 &&
            database_index(b, e->database) == b->box->pub.n_databases)
            make_database(b, e->database);
    }
    if (star)
        make_database(b, "*");
}

static void make_rules(struct builder *b)
{
    const struct raw *raw = &b->box->raw;
    size_t n = 0;
    for (size_t i = 0; i < raw->n; i++)
        if (raw->entries[i].rule > n)
            n = raw->entries[i].rule;
    b->rules = pw_box_alloc(b->box, n * sizeof *b->rules);
    b->box->pub.cache_rules = b->rules;
    b->box->pub.n_cache_rules = n;
    for (size_t i = 0; i < n; i++)
        set_defaults(pw_conf_rule_rows, pw_conf_n_rule_rows, &b->rules[i]);
}

static void *base_of(const struct builder *b, const struct raw_entry *e)
{
    if (e->database)
        return &b->databases[database_index(b, e->database)];
    return e->rule ? (void *)&b->rules[e->rule - 1] : (void *)&b->box->pub;
}

static void error_at(const struct builder *b, const struct raw_entry *e, const char *message)
{
    const char *key = e->row->key;
    if (e->database)
        pw_conf_error(b->errors, e->where, "databases.%s.%s: %s", e->database, key, message);
    else if (e->rule)
        pw_conf_error(b->errors, e->where, "cache.rules[%zu].%s: %s", e->rule, key, message);
    else
        pw_conf_error(b->errors, e->where, "%s.%s: %s", e->row->section, key, message);
}

static bool apply_url(struct builder *b, const struct raw_entry *e, struct buf *why)
{
    struct slice url = pw_slice_str(e->values[0]);
    if (e->database) {
        size_t i = database_index(b, e->database);
        struct conf_upstream *up = &b->databases[i].upstream;
        if (pw_url_parse_upstream(b->box, url, up, &b->has_sslmode[i], why))
            return true;
        *up = (struct conf_upstream){0}; /* half parsed: nothing may look at it */
        return false;
    }
    if (url.len)
        return pw_url_parse_redis(b->box, url, &b->box->pub.redis, why);
    b->box->pub.redis.url = "";
    return true;
}

static void apply_list(struct builder *b, const struct raw_entry *e, char *field)
{
    const char **items = pw_box_alloc(b->box, e->n_values * sizeof *items);
    for (size_t i = 0; i < e->n_values; i++)
        items[i] = pw_box_text(b->box, pw_slice_str(e->values[i]));
    memcpy(field, &items, sizeof items);
    memcpy(field + sizeof items, &e->n_values, sizeof e->n_values);
}

static void suggest_name(const struct conf_row *row, const char *typed, struct buf *why)
{
    struct suggestion closest;
    if (row->kind != CONF_KIND_ENUM)
        return;
    pw_suggest_init(&closest, pw_slice_str(typed));
    for (size_t i = 0; row->names[i]; i++)
        pw_suggest_offer(&closest, row->names[i]);
    if (closest.best)
        pw_buf_printf(why, "; did you mean \"%s\"?", closest.best);
}

static bool apply_value(struct builder *b, const struct raw_entry *e, struct buf *why)
{
    char *base = base_of(b, e);
    for (size_t i = 0; i < e->n_values; i++)
        if (!pw_conf_value_parse(e->row, pw_slice_str(e->values[i]), base, why)) {
            pw_buf_printf(why, ", got \"%.80s\"", e->values[i]);
            suggest_name(e->row, e->values[i], why);
            return false;
        }
    if (e->row->kind == CONF_KIND_LIST) {
        apply_list(b, e, base + e->row->offset);
    } else if (e->row->kind == CONF_KIND_TEXT || e->row->kind == CONF_KIND_ADDRESS) {
        bool off = e->row->kind == CONF_KIND_ADDRESS && strcmp(e->values[0], "off") == 0;
        const char *text = off ? "" : pw_box_text(b->box, pw_slice_str(e->values[0]));
        memcpy(base + e->row->offset, &text, sizeof text);
    }
    return true;
}

static void apply_all(struct builder *b)
{
    struct buf why;
    pw_buf_init(&why, 4096);
    for (size_t i = 0; i < b->box->raw.n; i++) {
        const struct raw_entry *e = &b->box->raw.entries[i];
        if (!e->row)
            continue;
        pw_buf_reset(&why);
        if (!(e->row->kind == CONF_KIND_URL ? apply_url(b, e, &why) : apply_value(b, e, &why))) {
            pw_buf_append_u8(&why, 0);
            error_at(b, e, why.data);
        }
    }
    pw_buf_free(&why);
}

static bool is_family(const char *text)
{
    return strlen(text) == 16 && strspn(text, "0123456789abcdefABCDEF") == 16;
}

static void finish_rule(struct builder *b, size_t index)
{
    struct conf_cache_rule *rule = &b->rules[index];
    size_t len = strlen(rule->match);
    rule->kind = is_family(rule->match) ? CONF_RULE_FAMILY : CONF_RULE_TABLE;
    if (len >= 2 && rule->match[0] == '/' && rule->match[len - 1] == '/') {
        rule->kind = CONF_RULE_REGEX;
        rule->match = pw_box_text(b->box, pw_slice(rule->match + 1, len - 2));
    }
    if (rule->ttl_us == 0)
        rule->ttl_us = b->box->pub.cache.ttl_us;
}

/* What one setting lends to another. */
static void finish(struct builder *b)
{
    struct pw_conf *conf = &b->box->pub;
    if (strcmp(conf->pgweir.state_dir, "auto") == 0 || !*conf->pgweir.state_dir)
        conf->pgweir.state_dir = b->box->state_dir;
    for (size_t i = 0; i < conf->n_cache_rules; i++)
        finish_rule(b, i);
    for (size_t i = 0; i < conf->n_databases; i++) {
        struct conf_upstream *up = &b->databases[i].upstream;
        if (!up->url)
            continue; /* reported by pw_conf_check */
        if (!b->has_sslmode[i])
            up->sslmode = conf->tls.server_mode;
        if (!*up->sslrootcert)
            up->sslrootcert = conf->tls.ca;
    }
}

static const char *print(struct conf_box *box, const struct conf_row *row, const void *base)
{
    struct buf text;
    pw_buf_init(&text, CONF_FILE_MAX);
    if (row->kind == CONF_KIND_URL && base == &box->pub)
        pw_url_mask(pw_slice_str(box->pub.redis.url), &text);
    else if (row->kind == CONF_KIND_URL)
        pw_buf_append_str(&text, ((const struct conf_database *)base)->upstream.masked);
    else
        pw_conf_value_print(row, base, &text);
    const char *kept = pw_box_text(box, pw_buf_slice(&text));
    pw_buf_free(&text);
    return kept;
}

static const char *exact_url(const struct conf_box *box, const void *base)
{
    return base == &box->pub ? box->pub.redis.url
                             : ((const struct conf_database *)base)->upstream.url;
}

static const char *print_range(struct conf_box *box, const struct conf_row *row)
{
    struct buf text;
    pw_buf_init(&text, 1024);
    pw_conf_row_range(row, &text);
    const char *kept = pw_box_text(box, pw_buf_slice(&text));
    pw_buf_free(&text);
    return kept;
}

static void describe(struct conf_box *box, struct conf_setting *s, const struct conf_row *row,
                     const char *prefix, const void *base, const void *defaults)
{
    struct buf key;
    pw_buf_init(&key, 1024);
    pw_buf_printf(&key, "%s.%s", prefix, row->key);
    s->key = pw_box_text(box, pw_buf_slice(&key));
    pw_buf_free(&key);
    s->value = print(box, row, base);
    box->exact[s - box->settings] = row->kind == CONF_KIND_URL ? exact_url(box, base) : s->value;
    s->default_value =
        row->kind == CONF_KIND_URL || row->kind == CONF_KIND_LIST || row->kind == CONF_KIND_TEXT
            ? row->def
            : print(box, row, defaults);
    s->type = pw_conf_row_type(row);
    s->range = print_range(box, row);
    s->help = row->help;
    s->reloadable = (row->flags & CONF_RELOAD) != 0;
}

/* The rows of SHOW CONFIG; printed once, so that asking costs nothing and needs no buffer. */
static void describe_all(struct builder *b)
{
    struct conf_box *box = b->box;
    struct pw_conf *defaults = pw_box_alloc(box, sizeof *defaults);
    struct conf_database *db_defaults = pw_box_alloc(box, sizeof *db_defaults);
    set_defaults(pw_conf_rows, pw_conf_n_rows, defaults);
    set_defaults(pw_conf_database_rows, pw_conf_n_database_rows, db_defaults);
    box->n_settings = pw_conf_n_rows + box->pub.n_databases * pw_conf_n_database_rows;
    box->settings = pw_box_alloc(box, box->n_settings * sizeof *box->settings);
    box->exact = pw_box_alloc(box, box->n_settings * sizeof *box->exact);
    struct conf_setting *s = box->settings;
    for (size_t i = 0; i < pw_conf_n_rows; i++)
        describe(box, s++, &pw_conf_rows[i], pw_conf_rows[i].section, &box->pub, defaults);
    for (size_t d = 0; d < box->pub.n_databases; d++) {
        char prefix[CONF_NAME_MAX + 16];
        snprintf(prefix, sizeof prefix, "databases.%s", b->databases[d].name);
        for (size_t i = 0; i < pw_conf_n_database_rows; i++)
            describe(box, s++, &pw_conf_database_rows[i], prefix, &b->databases[d], db_defaults);
    }
    for (size_t i = 0; i < box->raw.n; i++) {
        const struct raw_entry *e = &box->raw.entries[i];
        if (!e->row || e->rule)
            continue;
        size_t at = e->database ? pw_conf_n_rows +
                                      database_index(b, e->database) * pw_conf_n_database_rows +
                                      (size_t)(e->row - pw_conf_database_rows)
                                : (size_t)(e->row - pw_conf_rows);
        box->settings[at].source = e->source;
    }
}

static void init_unset_urls(struct pw_conf *conf)
{
    conf->redis.url = conf->redis.host = conf->redis.user = conf->redis.password = "";
}

/* The rules belong to the snapshot, so that every worker sees the same ones, and a file with an
 * error refuses the load as a whole. A SET keeps those in force: only a reload reads the file. */
static void take_rules(struct conf_box *box, const struct pw_conf *before,
                       struct conf_errors *errors)
{
    struct conf_auth *auth = &box->pub.auth;
    struct conf_errors own;
    if (!*auth->hba_file)
        return;
    if (before && before->auth.hba && strcmp(before->auth.hba_file, auth->hba_file) == 0) {
        auth->hba = pw_hba_ref(before->auth.hba);
        return;
    }
    auth->hba = pw_hba_load(auth->hba_file, &own);
    pw_conf_errors_move(errors, &own);
}

struct conf_box *pw_conf_build(struct raw *raw, const char *state_dir, bool upstream_optional,
                               const struct pw_conf *before, struct conf_errors *errors)
{
    struct conf_box *box = pw_alloc(sizeof *box);
    struct builder b = {.box = box, .errors = errors};
    box->raw = *raw;
    pw_raw_init(raw);
    atomic_init(&box->refs, 1);
    box->state_dir = pw_box_text(box, pw_slice_str(state_dir));
    init_unset_urls(&box->pub);
    set_defaults(pw_conf_rows, pw_conf_n_rows, &box->pub);
    make_databases(&b);
    make_rules(&b);
    apply_all(&b);
    finish(&b);
    take_rules(box, before, errors);
    pw_conf_check(box, upstream_optional, errors);
    if (errors->n > errors->n_warnings) {
        pw_box_free(box);
        return NULL;
    }
    describe_all(&b);
    return box;
}
