/* The advice as JSON (CONTRACT section 6). */
#include "advisor/advice.h"
#include "advisor/json.h"

static void query(struct buf *b, const struct advice_query *q)
{
    pw_json_open(b, NULL, '{');
    pw_json_family(b, q->family);
    pw_json_text(b, "text", q->text);
    pw_json_num(b, "calls", q->calls);
    pw_json_num(b, "cost_before", q->cost_before);
    pw_json_num(b, "cost_after", q->cost_after);
    pw_json_close(b, '}');
}

static void item(struct buf *b, const struct advice *a)
{
    pw_json_open(b, NULL, '{');
    pw_json_text(b, "id", a->id);
    pw_json_text(b, "kind", pw_advice_kind_text(a->kind));
    pw_json_text(b, "table", a->table);
    pw_json_text(b, "object", a->object);
    pw_json_texts(b, "columns", a->columns, a->n_columns);
    pw_json_text(b, "sql", a->sql);
    pw_json_text(b, "undo_sql", a->undo_sql);
    pw_json_num(b, "size_bytes", a->size_bytes);
    pw_json_num(b, "benefit_pct", a->benefit_pct);
    pw_json_text(b, "confidence", pw_advice_confidence_text(a->confidence));
    pw_json_text(b, "reason", a->reason);
    pw_json_open(b, "evidence", '{');
    for (size_t k = 0; k < a->n_facts; k++)
        pw_json_raw(b, a->facts[k].name, a->facts[k].value);
    pw_json_close(b, '}');
    pw_json_open(b, "queries", '[');
    for (size_t k = 0; k < a->n_queries; k++)
        query(b, &a->queries[k]);
    pw_json_close(b, ']');
    pw_json_close(b, '}');
}

static void summary(struct buf *b, const struct advice_set *s)
{
    size_t drop = pw_advice_count(s, ADVICE_DROP_UNUSED) +
                  pw_advice_count(s, ADVICE_DROP_REDUNDANT) +
                  pw_advice_count(s, ADVICE_DROP_INVALID);
    size_t create = pw_advice_count(s, ADVICE_CREATE) + pw_advice_count(s, ADVICE_FK_INDEX);
    size_t rebuild = pw_advice_count(s, ADVICE_REBUILD);
    pw_json_open(b, "summary", '{');
    pw_json_num(b, "drop", (double)drop);
    pw_json_num(b, "create", (double)create);
    pw_json_num(b, "rebuild", (double)rebuild);
    pw_json_num(b, "other", (double)(s->n_items - drop - create - rebuild));
    pw_json_num(b, "cost_before", s->summary.cost_before);
    pw_json_num(b, "cost_after", s->summary.cost_after);
    pw_json_num(b, "estimated_improvement_pct", s->summary.improvement_pct);
    pw_json_num(b, "index_bytes_added", s->summary.index_bytes_added);
    pw_json_num(b, "index_bytes_freed", s->summary.index_bytes_freed);
    pw_json_num(b, "seconds", s->summary.seconds);
    pw_json_num(b, "whatif_calls", (double)s->summary.whatif_calls);
    pw_json_close(b, '}');
}

bool pw_advice_render_json(const struct advice_set *s, struct buf *b)
{
    pw_json_open(b, NULL, '{');
    pw_json_moment(b, "generated_at", s->generated_us);
    pw_json_text(b, "database", s->database);
    pw_json_text(b, "source", s->source);
    pw_json_open(b, "window", '{');
    pw_json_moment(b, "from", s->window_from_us);
    pw_json_moment(b, "to", s->window_to_us);
    pw_json_num(b, "queries", s->window_queries);
    pw_json_num(b, "families", (double)s->window_families);
    pw_json_close(b, '}');
    summary(b, s);
    pw_json_open(b, "advice", '[');
    for (size_t k = 0; k < s->n_items; k++)
        item(b, &s->items[k]);
    pw_json_close(b, ']');
    pw_json_open(b, "refused", '[');
    for (size_t k = 0; k < s->n_refused; k++) {
        pw_json_open(b, NULL, '{');
        pw_json_text(b, "object", s->refused[k].object);
        pw_json_text(b, "reason", s->refused[k].reason);
        pw_json_close(b, '}');
    }
    pw_json_close(b, ']');
    pw_json_bool(b, "partial", s->partial);
    pw_json_texts(b, "notes", s->notes, s->n_notes);
    pw_json_close(b, '}');
    pw_buf_append_u8(b, '\n');
    return !b->failed;
}
