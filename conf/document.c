/* The table as YAML and as Markdown; see document.h. Pure. */
#include "conf/document.h"

#include "conf/table.h"

enum { VALUE_WIDTH_MAX = 48 }; /* a longer value moves its own line only */

static void restrictions(const struct conf_row *row, struct buf *out)
{
    struct buf range;
    pw_buf_init(&range, 4096);
    pw_conf_row_range(row, &range);
    if (range.len)
        pw_buf_append(out, range.data, range.len);
    else
        pw_buf_append_str(out, pw_conf_row_type(row));
    pw_buf_free(&range);
}

/* Plain where YAML allows it, in quotes where a reader of YAML would stumble. */
static void yaml_value(const struct conf_row *row, struct buf *out)
{
    bool quotes =
        row->kind == CONF_KIND_TEXT || row->kind == CONF_KIND_URL || row->kind == CONF_KIND_ADDRESS;
    if (quotes && strcmp(row->def, "auto") != 0)
        pw_buf_printf(out, "\"%s\"", row->def);
    else
        pw_buf_append_str(out, row->def);
}

static void yaml_row(const struct conf_row *row, const char *indent, struct buf *out)
{
    pw_buf_printf(out, "%s# %s (", indent, row->help);
    restrictions(row, out);
    pw_buf_printf(out, "%s)\n%s%s: ", row->flags & CONF_RELOAD ? "" : "; restart", indent,
                  row->key);
    yaml_value(row, out);
    pw_buf_append_str(out, "\n");
}

static void yaml_databases(struct buf *out)
{
    pw_buf_append_str(out, "  \"*\":\n");
    for (size_t i = 0; i < pw_conf_n_database_rows; i++) {
        const struct conf_row *row = &pw_conf_database_rows[i];
        if (row->kind != CONF_KIND_URL)
            yaml_row(row, "    ", out);
        else
            pw_buf_printf(out, "    # %s\n    %s: \"postgres://127.0.0.1:5432\"\n", row->help,
                          row->key);
    }
}

static void yaml_rules(struct buf *out)
{
    pw_buf_append_str(out, "  # The first rule that matches wins: rules: [{match: public.users, "
                           "cache: on, ttl: 30s}]\n");
    for (size_t i = 0; i < pw_conf_n_rule_rows; i++) {
        const struct conf_row *row = &pw_conf_rule_rows[i];
        pw_buf_printf(out, "  #   %s: %s (", row->key, row->help);
        restrictions(row, out);
        pw_buf_append_str(out, ")\n");
    }
    pw_buf_append_str(out, "  rules: []\n");
}

void pw_document_defaults(struct buf *out)
{
    pw_buf_append_str(out, "# Every setting of pgweir with its default; this file is what `pgweir "
                           "config --defaults` prints.\n"
                           "# Most files need three lines: databases, a name and its upstream. "
                           "Durations: us ms s m h d; sizes: B kB\n"
                           "# MB GB. Settings marked \"restart\" cannot change on a reload. "
                           "PGWEIR_SECTION_KEY in the environment and\n"
                           "# --set SECTION.KEY=VALUE are stronger than this file.\n");
    for (size_t s = 0; s < pw_conf_n_sections; s++) {
        const char *section = pw_conf_sections[s].name;
        pw_buf_printf(out, "\n# %s\n%s:\n", pw_conf_sections[s].help, section);
        if (strcmp(section, "databases") == 0)
            yaml_databases(out);
        for (size_t i = 0; i < pw_conf_n_rows; i++)
            if (strcmp(pw_conf_rows[i].section, section) == 0)
                yaml_row(&pw_conf_rows[i], "  ", out);
        if (strcmp(section, "cache") == 0)
            yaml_rules(out);
    }
}

static void markdown_text(const char *text, struct buf *out)
{
    for (; *text; text++)
        if (*text == '|')
            pw_buf_append_str(out, "\\|");
        else
            pw_buf_append(out, text, 1);
}

static void markdown_row(const struct conf_row *row, struct buf *out)
{
    struct buf cell;
    pw_buf_init(&cell, 4096);
    restrictions(row, &cell);
    pw_buf_append_u8(&cell, 0);
    pw_buf_printf(out, "| `%s` | %s%s%s | ", row->key, *row->def ? "`" : "", row->def,
                  *row->def ? "`" : "");
    markdown_text(cell.data, out);
    pw_buf_printf(out, " | %s | ", row->flags & CONF_RELOAD ? "yes" : "no");
    markdown_text(row->help, out);
    pw_buf_append_str(out, " |\n");
    pw_buf_free(&cell);
}

static void markdown_table(const char *name, const char *help, const struct conf_row *rows,
                           size_t n, struct buf *out)
{
    pw_buf_printf(out,
                  "### %s\n\n%s.\n\n| key | default | values | reload | |\n|---|---|---|---|---|\n",
                  name, help);
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].section, name) == 0)
            markdown_row(&rows[i], out);
    pw_buf_append_str(out, "\n");
}

void pw_document_markdown(struct buf *out)
{
    for (size_t s = 0; s < pw_conf_n_sections; s++) {
        const struct conf_section *section = &pw_conf_sections[s];
        if (strcmp(section->name, "databases") == 0)
            markdown_table(section->name, section->help, pw_conf_database_rows,
                           pw_conf_n_database_rows, out);
        else
            markdown_table(section->name, section->help, pw_conf_rows, pw_conf_n_rows, out);
        if (strcmp(section->name, "cache") == 0)
            markdown_table("cache.rules", "A list; the first rule that matches wins",
                           pw_conf_rule_rows, pw_conf_n_rule_rows, out);
    }
}

void pw_document_settings(const struct pw_conf *conf, struct buf *out)
{
    struct conf_setting s;
    size_t key = 0, value = 0; /* widths */
    for (size_t i = 0; pw_conf_setting(conf, i, &s); i++) {
        size_t key_len = strlen(s.key), len = strlen(s.value);
        if (key_len > key)
            key = key_len;
        if (len > value && len <= VALUE_WIDTH_MAX)
            value = len;
    }
    pw_buf_printf(out, "%-*s  %-*s  %-12s  %s\n", (int)key, "key", (int)value, "value", "from",
                  "values; default");
    for (size_t i = 0; pw_conf_setting(conf, i, &s); i++)
        pw_buf_printf(out, "%-*s  %-*s  %-12s  %s; %s\n", (int)key, s.key, (int)value, s.value,
                      pw_conf_source_name(s.source), *s.range ? s.range : s.type,
                      *s.default_value ? s.default_value : "\"\"");
}
