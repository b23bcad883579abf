/* The advice for reading in a terminal, and as an SQL script. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "advisor/advice.h"
#include "advisor/advice_build.h"
#include "advisor/advisor.h"
#include "proxy/base/clock.h"

static void wrapped(struct buf *b, const char *indent, const char *text)
{
    size_t width = 96 - strlen(indent), at = 0;
    pw_buf_append_str(b, indent);
    while (*text) {
        size_t word = strcspn(text, " \n");
        if (at && at + 1 + word > width) {
            pw_buf_printf(b, "\n%s", indent);
            at = 0;
        }
        if (at) {
            pw_buf_append_u8(b, ' ');
            at++;
        }
        pw_buf_append(b, text, word);
        at += word;
        text += word;
        text += strspn(text, " \n");
    }
    pw_buf_append_u8(b, '\n');
}

static void sql_lines(struct buf *b, const char *indent, const char *sql)
{
    while (*sql) {
        size_t n = strcspn(sql, "\n");
        pw_buf_printf(b, "%s%.*s\n", indent, (int)n, sql);
        sql += n + (sql[n] == '\n');
    }
}

bool pw_advice_render_one(const struct advice_set *s, const struct advice *a, struct buf *b)
{
    (void)s;
    char size[32];
    pw_buf_printf(b, "%s  %s", a->id, a->object[0] ? a->object : a->table);
    if (a->object[0] && a->table[0])
        pw_buf_printf(b, " on %s", a->table);
    if (!isnan(a->size_bytes))
        pw_buf_printf(b, ", %s", pw_advice_size_text(a->size_bytes, size, sizeof(size)));
    if (!isnan(a->benefit_pct))
        pw_buf_printf(b, ", saves %.1f %% of the workload", a->benefit_pct);
    pw_buf_printf(b, " (%s confidence)\n", pw_advice_confidence_text(a->confidence));
    wrapped(b, "    ", a->reason);
    sql_lines(b, "    ", a->sql);
    if (a->undo_sql[0]) {
        pw_buf_append_str(b, "    -- undo:\n");
        sql_lines(b, "    -- ", a->undo_sql);
    }
    for (size_t k = 0; k < a->n_queries && k < 5; k++) {
        const struct advice_query *q = &a->queries[k];
        pw_buf_printf(b, "      %016" PRIx64 "  %.0f calls", q->family, q->calls);
        if (!isnan(q->cost_before) && !isnan(q->cost_after))
            pw_buf_printf(b, "  cost %.2f -> %.2f", q->cost_before, q->cost_after);
        pw_buf_printf(b, "  %.70s\n", q->text);
    }
    if (a->n_queries > 5)
        pw_buf_printf(b, "      ... and %zu more families\n", a->n_queries - 5);
    for (size_t k = 0; k < a->n_facts; k++)
        pw_buf_printf(b, "      %s: %s\n", a->facts[k].name, a->facts[k].value);
    return !b->failed;
}

static void head(const struct advice_set *s, struct buf *b)
{
    char iso[32], added[32], freed[32];
    pw_buf_printf(b, "Index advice for database \"%s\", %s, from %s\n", s->database,
                  pw_clock_iso(s->generated_us, iso, sizeof(iso)), s->source);
    pw_buf_printf(b, "%zu query families, %.0f executions\n", s->window_families,
                  isnan(s->window_queries) ? 0 : s->window_queries);
    if (!isnan(s->summary.cost_before))
        pw_buf_printf(b, "Planner cost of this workload: %.0f -> %.0f (%.1f %% less)\n",
                      s->summary.cost_before, s->summary.cost_after, s->summary.improvement_pct);
    pw_buf_printf(b, "Index space: %s added, %s freed; %.1f s, %" PRIu64 " what-if calls\n",
                  pw_advice_size_text(s->summary.index_bytes_added, added, sizeof(added)),
                  pw_advice_size_text(s->summary.index_bytes_freed, freed, sizeof(freed)),
                  s->summary.seconds, s->summary.whatif_calls);
}

bool pw_advice_render_text(const struct advice_set *s, struct buf *b)
{
    head(s, b);
    for (int kind = 0; kind < ADVICE_KIND_COUNT; kind++) {
        if (!pw_advice_count(s, (enum advice_kind)kind))
            continue;
        pw_buf_printf(b, "\n%s\n\n", pw_advice_kind_title((enum advice_kind)kind));
        for (size_t k = 0; k < s->n_items; k++)
            if ((int)s->items[k].kind == kind)
                pw_advice_render_one(s, &s->items[k], b);
    }
    if (!s->n_items)
        pw_buf_printf(b, "\n%s\n", pw_advice_nothing_text(s));
    if (s->n_refused)
        pw_buf_append_str(b, "\nConsidered and refused\n\n");
    for (size_t k = 0; k < s->n_refused; k++)
        pw_buf_printf(b, "  %s: %s\n", s->refused[k].object, s->refused[k].reason);
    if (s->n_notes)
        pw_buf_append_str(b, "\nNot looked at, or with care\n\n");
    for (size_t k = 0; k < s->n_notes; k++)
        pw_buf_printf(b, "  %s\n", s->notes[k]);
    return !b->failed;
}

static void sql_comment(struct buf *b, const char *text)
{
    pw_buf_append_str(b, "-- ");
    for (; *text; text++)
        pw_buf_append_u8(b, (uint8_t)(*text == '\n' || *text == '\r' ? ' ' : *text));
    pw_buf_append_u8(b, '\n');
}

/* One statement per line, none inside a transaction. What is not certain is commented out. */
bool pw_advice_render_sql(const struct advice_set *s, struct buf *b)
{
    pw_buf_append_str(
        b,
        "-- Run with psql outside a transaction (not with --single-transaction): CONCURRENTLY is "
        "refused inside one.\n"
        "-- A short lock_timeout would cancel a concurrent build while it waits for old "
        "transactions and leave an INVALID index.\n"
        "\\set ON_ERROR_STOP on\nSET statement_timeout = 0;\nSET lock_timeout = 0;\n");
    for (size_t k = 0; k < s->n_items; k++) {
        const struct advice *a = &s->items[k];
        pw_buf_printf(b, "\n-- %s: %s (%s confidence)\n", a->id, pw_advice_kind_title(a->kind),
                      pw_advice_confidence_text(a->confidence));
        sql_comment(b, a->reason);
        bool sure = a->confidence != ADVICE_LOW || a->kind == ADVICE_CREATE;
        if (!sure)
            pw_buf_append_str(b, "-- Not certain: check, then remove the leading --\n");
        sql_lines(b, sure ? "" : "-- ", a->sql);
        if (a->undo_sql[0]) {
            pw_buf_append_str(b, "-- undo:\n");
            sql_lines(b, "--   ", a->undo_sql);
        }
    }
    pw_buf_append_str(b, "\n-- After a build: no row here means every index is valid.\n"
                         "SELECT indexrelid::regclass AS invalid_index FROM pg_index WHERE NOT "
                         "indisvalid;\n");
    return !b->failed;
}
