/* room: planner */
/*
 * The literal-stripping scan with libpg_query as the oracle: the first byte chooses
 * standard_conforming_strings, the rest is SQL. Whatever the bytes, the scan stays inside its
 * scratch; and where it accepts short text that parses, the statement rendered from the template
 * parses to the same tree up to constants, and scans to the same template.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/limits.h"
#include "planner/template.h"
#include "tests/unit/planner/tree_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ORACLE_BYTES = 400 }; /* the parser needs a deep stack for more */

static void must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static void check_slots(const struct template *t, size_t size)
{
    uint32_t end = 0, n = t->n_slots < t->cap_slots ? t->n_slots : t->cap_slots;
    for (uint32_t i = 0; i < n; i++) {
        must(t->slots[i].off >= end && t->slots[i].len > 0, "slots overlap");
        end = t->slots[i].off + t->slots[i].len;
        must(end <= size, "slot outside of the text");
    }
}

/* The parser refuses what the scan does not look at: the value of an escape, and (unlike the
 * server) a comment between the lines of a continued string. */
static int may_be_refused(const char *sql)
{
    return strstr(sql, "--") || strchr(sql, '\\');
}

static void check_oracle(const char *sql, struct template *t)
{
    size_t cap = pw_template_render_max(t->len);
    char *text = malloc(cap), *first = malloc(t->len + 1);
    must(text && first, "no memory");
    pw_template_render(pw_slice(t->text, t->len), text, cap);
    size_t len = t->len;
    memcpy(first, t->text, len);
    char *before = tree_of(sql), *after = tree_of(text);
    if (before || !may_be_refused(sql))
        must(!before == !after && (!before || strcmp(before, after) == 0), "another tree");
    struct template_options options = {.standard_conforming_strings = true};
    if (before && !memchr(first, TEMPLATE_HINT_MARK, len)) {
        must(pw_template_scan(t, pw_slice_str(text), &options) == TEMPLATE_OK, "rendered: refused");
        must(t->len == len && memcmp(t->text, first, len) == 0, "rendered: another template");
    }
    free(before);
    free(after);
    free(text);
    free(first);
}

/* Far from the end of the text the scan takes another way, to the same template. */
static void check_far_from_the_end(const struct template *t, struct slice sql,
                                   const struct template_options *options)
{
    enum { BLANKS = 300 };
    static char text[LIMIT_SQL_BYTES + 1];
    struct template far = *t;
    char *longer = malloc(sql.len + BLANKS);
    must(longer != NULL, "no memory");
    memcpy(longer, sql.ptr, sql.len);
    memset(longer + sql.len, ' ', BLANKS);
    longer[sql.len] = '\n'; /* ends a comment */
    far.text = text;
    far.cap_slots = 0;
    must(pw_template_scan(&far, pw_slice(longer, sql.len + BLANKS), options) == TEMPLATE_OK,
         "refused far from the end");
    must(far.len == t->len && memcmp(far.text, t->text, t->len) == 0,
         "another template far from the end");
    must(far.n_statements == t->n_statements, "another number of statements");
    free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 100000)
        return 0;
    static char scratch[LIMIT_SQL_BYTES];
    static struct template_slot slots[64];
    struct template t = {.text = scratch, .cap = sizeof scratch, .slots = slots, .cap_slots = 64};
    struct template_options options = {.standard_conforming_strings = (data[0] & 1) == 0};
    char *sql = malloc(size);
    must(sql != NULL, "no memory");
    memcpy(sql, data + 1, size - 1);
    sql[size - 1] = 0;
    pw_template_is_special(pw_slice(sql, size - 1));
    if (pw_template_scan(&t, pw_slice(sql, size - 1), &options) == TEMPLATE_OK) {
        check_slots(&t, size - 1);
        check_far_from_the_end(&t, pw_slice(sql, size - 1), &options);
        /* The protocol ends a text at its first NUL: the oracle sees no further. */
        if (options.standard_conforming_strings && size <= ORACLE_BYTES && strlen(sql) == size - 1)
            check_oracle(sql, &t);
    }
    free(sql);
    return 0;
}
