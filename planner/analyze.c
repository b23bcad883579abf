/* One template -> one plan, on the analysis thread: render, parse, classify. See state.h. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "planner/catalog.h"
#include "planner/classify.h"
#include "planner/limits.h"
#include "planner/parse.h"
#include "planner/scan.h"
#include "planner/state.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"

/* The length of the word at p when it is this one. */
static size_t word_at(const char *p, const char *word)
{
    size_t n = strlen(word);
    return strncmp(p, word, n) == 0 && !scan_is_word_part(p[n]) ? n : 0;
}

static size_t blanks_at(const char *p)
{
    return strspn(p, " ");
}

/* "set my.token to abc": p is just past "set". Where the value begins, or NULL. Only settings with
 * a dot in their name hold what an application likes; the words of the others are PostgreSQL's. */
static char *bare_value(char *p)
{
    p += blanks_at(p);
    size_t n = word_at(p, "session") + word_at(p, "local");
    p += n;
    p += blanks_at(p);
    size_t name = strcspn(p, " =;()");
    if (!memchr(p, '.', name))
        return NULL;
    p += name;
    p += blanks_at(p);
    n = *p == '=' ? 1 : word_at(p, "to");
    if (!n)
        return NULL;
    p += n;
    return p + blanks_at(p);
}

/* Values that are spelled like names. */
static void hide_bare_values(char *text)
{
    for (char *p = text; *p; p++) {
        size_t n = p == text || !scan_is_word_part(p[-1]) ? word_at(p, "set") : 0;
        char *value = n ? bare_value(p + n) : NULL;
        size_t len = value ? strcspn(value, ";()") : 0;
        if (!len || word_at(value, "default"))
            continue;
        *value = '?';
        memmove(value + 1, value + len, strlen(value + len) + 1);
    }
}

/* A text that people may see: every literal, also the kept ones, becomes a question mark. OWN. */
static char *redact(const char *sql)
{
    size_t len = strlen(sql);
    struct template t = {.cap = len + 64};
    t.text = pw_alloc(t.cap);
    struct template_options options = {.standard_conforming_strings = true, .keep_nothing = true};
    char *out;
    if (pw_template_scan(&t, pw_slice(sql, len), &options) == TEMPLATE_OK) {
        for (size_t i = 0; i < t.len; i++) {
            if (t.text[i] > 0 && t.text[i] <= SLOT_HEXBITS)
                t.text[i] = '?';
        }
        out = pw_strndup(t.text, t.len);
        hide_bare_values(out);
    } else {
        out = pw_strdup("<not analysed>");
    }
    pw_free(t.text);
    return out;
}

static bool is_plain_query(const struct draft *d)
{
    return (d->cls == PLAN_READ || d->cls == PLAN_WRITE || d->cls == PLAN_EMPTY) &&
           d->n_statements <= 1 &&
           (strcmp(d->tag, "SELECT") == 0 || strcmp(d->tag, "INSERT") == 0 ||
            strcmp(d->tag, "UPDATE") == 0 || strcmp(d->tag, "DELETE") == 0 ||
            strcmp(d->tag, "MERGE") == 0);
}

static void classify(struct draft *d, const char *sql, const struct parsed *parsed,
                     const struct catalog_view *view, enum plan_reason no_catalog,
                     const struct classify_slots *slots)
{
    cJSON *root = cJSON_Parse(parsed->json);
    if (!root) { /* nested deeper than cJSON reads */
        d->n_statements = 1;
        pw_draft_opaque(d, PLAN_WHY_UNSUPPORTED);
        return;
    }
    struct classify c = {
        .d = d, .sql = sql, .view = view, .no_catalog = no_catalog, .slots = slots};
    pw_classify(&c, root);
    cJSON_Delete(root);
}

/* The text with parameters, when PostgreSQL's own parser takes it for the same statement. OWN */
static struct plan_prepared *prepare(const struct draft *d, struct slice template_text,
                                     uint64_t fingerprint)
{
    size_t cap = pw_template_render_max(template_text.len);
    struct plan_prepared *out = pw_alloc(sizeof *out + cap);
    out->n_values = d->n_prepared;
    out->text_len = (uint32_t)pw_template_render_params(template_text, out->text, cap);
    out->types[1] = (char)d->n_prepared;
    for (uint32_t i = 0; i < d->n_prepared; i++)
        for (uint32_t byte = 0; byte < 4; byte++)
            out->types[2 + 4 * i + byte] = (char)(d->prepared_types[i] >> (24 - 8 * byte));
    if (pw_parse_fingerprint(out->text) != fingerprint)
        PW_FREE(out);
    return out;
}

struct plan *pw_analyze(const struct plan_context *ctx, const struct analyze_input *in)
{
    size_t cap = pw_template_render_max(in->template_text.len);
    char *sql = pw_alloc(cap);
    pw_template_render(in->template_text, sql, cap);
    uint64_t generation;
    enum plan_reason no_catalog;
    struct catalog *catalog = pw_slot_catalog(ctx->slot, &generation, &no_catalog);
    struct catalog_view *view =
        catalog ? pw_catalog_view_new(catalog, ctx->login, ctx->user, ctx->search_path) : NULL;
    struct draft d;
    pw_draft_init(&d);
    struct parsed parsed;
    if (pw_parse(sql, &parsed)) {
        struct classify_slots slots;
        slots.n = pw_template_slot_offsets(in->template_text, slots.offsets, slots.kinds,
                                           CLASSIFY_SLOTS_MAX);
        classify(&d, sql, &parsed, view, no_catalog, &slots);
    } else {
        d.n_statements = 1;
        pw_draft_opaque(&d, PLAN_WHY_NOT_PARSED);
    }
    bool use_normalized = parsed.normalized && is_plain_query(&d);
    char *text = use_normalized ? pw_strdup(parsed.normalized) : redact(sql);
    struct draft_identity id = {.generation = generation,
                                .family = parsed.fingerprint ? parsed.fingerprint : in->hash_lo,
                                .family_text = text,
                                .hint_cache = in->hint_cache,
                                .hint_batch = in->hint_batch,
                                .hint_ttl_us = in->hint_ttl_us};
    struct plan *plan = pw_draft_finish(&d, &id);
    plan->context = ctx;
    if (d.n_prepared && pw_plan_has(plan, PLAN_F_CACHEABLE))
        plan->prepared = prepare(&d, in->template_text, parsed.fingerprint);
    plan->is_provisional = d.is_guess && !catalog && no_catalog == PLAN_WHY_CATALOG_PENDING;
    pw_draft_free(&d);
    pw_free(text);
    pw_parsed_free(&parsed);
    pw_catalog_view_free(view);
    pw_catalog_unref(catalog);
    pw_free(sql);
    return plan;
}
