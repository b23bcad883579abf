/*
 * What EXPLAINs have taught about a family (index_log.h): the indexes of its plans, in how many of
 * them, and whether a plan is a new one. Control thread.
 *
 * A round looks at each distinct text that is kept of a family (family_text.h). Where there are
 * several, the plan may depend on the values: then the last few plans are all known ones, their
 * indexes are all uses, and calls are counted by each one's share of the plans seen.
 */
#include <string.h>

#include "planner/index_log_priv.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"

enum {
    INTERVAL_GROWTH = 8, /* an unchanged plan is looked at up to this much more rarely */
    ERRORS_MAX = 5,
    KINDS_TEXT_MAX = 200,
    ROUNDS_KNOWN = 8, /* a plan not seen for so long is a new one */
    LOOKS_MAX = 64,   /* then the older half of the looks is forgotten */
};

void pw_index_replace(char **text, const char *with)
{
    pw_free(*text);
    *text = pw_strdup(with);
}

static const char *const kinds[] = {"Index Scan",        "Index Only Scan",  "Bitmap Index Scan",
                                    "Unique Check",      "Conflict Arbiter", "Foreign Key Check",
                                    "Foreign Key Action"};

static unsigned kind_bit(const char *kind)
{
    for (unsigned i = 0; i < PW_COUNT_OF(kinds); i++) {
        if (strcmp(kind, kinds[i]) == 0)
            return 1u << i;
    }
    return 0; /* of a server we do not know: used all the same */
}

/* "Index Scan, Unique Check" */
void pw_index_put_kinds(struct buf *out, unsigned bits)
{
    const char *comma = "";
    for (unsigned i = 0; i < PW_COUNT_OF(kinds); i++) {
        if (!(bits >> i & 1))
            continue;
        pw_buf_printf(out, "%s%s", comma, kinds[i]);
        comma = ", ";
    }
}

static void note_kind(struct log_index *x, unsigned bit)
{
    struct buf text;
    if ((x->kinds | bit) == x->kinds)
        return;
    x->kinds |= bit;
    pw_buf_init(&text, KINDS_TEXT_MAX);
    pw_index_put_kinds(&text, x->kinds);
    pw_free(x->scan_kind);
    x->scan_kind = pw_strndup(text.data, text.len);
    pw_buf_free(&text);
}

void pw_index_note_kinds(struct log_index *x, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, ",");
        for (unsigned i = 0; i < PW_COUNT_OF(kinds); i++)
            if (len == strlen(kinds[i]) && memcmp(text, kinds[i], len) == 0)
                note_kind(x, 1u << i);
        text += len;
        text += strspn(text, ", ");
    }
}

/* ---- indexes ---- */

static void forget_uses(struct log_family *f)
{
    for (size_t i = 0; i < f->n_uses; i++)
        f->uses[i].index->families--;
    f->n_uses = 0;
    f->looks = 0;
}

static void forget_half(struct log_family *f)
{
    size_t kept = 0;
    f->looks /= 2;
    for (size_t i = 0; i < f->n_uses; i++) {
        struct log_use *u = &f->uses[i];
        u->hits /= 2;
        if (u->hits)
            f->uses[kept++] = *u;
        else
            u->index->families--;
    }
    f->n_uses = kept;
}

static void note_use(struct index_log *log, struct log_family *f, const struct index_plan_use *u)
{
    struct log_index *x = pw_index_of(log, f->database_id, u->index);
    size_t at = 0;
    while (at < f->n_uses && f->uses[at].index != x)
        at++;
    if (!x || at == INDEX_PLAN_USES_MAX)
        return;
    struct log_use *use = &f->uses[at];
    if (at == f->n_uses) {
        f->n_uses++;
        *use = (struct log_use){.index = x};
        x->families++;
        x->uses += f->looked_at == 1 ? f->calls : 0; /* the calls that made it worth a look */
    }
    if (use->last_look != f->looked_at)
        use->hits++;
    use->last_look = f->looked_at;
    use->kinds |= kind_bit(u->scan_kind);
    note_kind(x, kind_bit(u->scan_kind));
    pw_index_replace(&x->table, u->table);
    if (*u->cond)
        pw_index_replace(&x->cond, u->cond);
    x->last_used_us = pw_clock_wall_us();
}

void pw_index_count_uses(struct log_family *f, uint64_t calls)
{
    for (size_t i = 0; calls && f->looks && i < f->n_uses; i++) {
        struct log_use *u = &f->uses[i];
        u->owed += calls * u->hits;
        u->index->uses += u->owed / f->looks;
        if (u->owed >= f->looks)
            u->index->last_used_us = pw_clock_wall_us();
        u->owed %= f->looks;
    }
}

/* ---- plans ---- */

/* Also notes that it was seen in this round. */
static bool is_known_plan(struct log_family *f, uint64_t hash)
{
    uint64_t rounds = f->is_stale ? 1 : ROUNDS_KNOWN;
    struct log_plan *oldest = &f->plans[0];
    for (size_t i = 0; i < PW_COUNT_OF(f->plans); i++) {
        struct log_plan *p = &f->plans[i];
        if (p->hash == hash && p->round) {
            bool known = p->round + rounds >= f->round;
            p->round = f->round;
            return known;
        }
        if (p->round < oldest->round)
            oldest = p;
    }
    *oldest = (struct log_plan){hash, f->round};
    return false;
}

/* After DDL or a latency jump: a plan of the round before that no text has any more; 0: none. */
static uint64_t lost_plan(const struct log_family *f)
{
    for (size_t i = 0; f->round_stale && i < PW_COUNT_OF(f->plans); i++) {
        if (f->plans[i].round && f->plans[i].round + 1 == f->round)
            return f->plans[i].hash;
    }
    return 0;
}

static void end_round(const struct index_log *log, struct log_family *f)
{
    f->interval_us = f->round_changed ? log->interval_us : f->interval_us * 2;
    if (f->interval_us > log->interval_us * INTERVAL_GROWTH)
        f->interval_us = log->interval_us * INTERVAL_GROWTH;
    f->due_us = pw_clock_us() + f->interval_us;
    f->next_text = 0;
    f->round_changed = f->round_stale = false;
    f->round++;
}

void pw_index_learned(struct index_log *log, struct log_family *f, const struct index_plan *plan)
{
    bool first = f->looked_at++ == 0;
    if (first)
        f->round = 1;
    f->round_stale = f->round_stale || f->is_stale;
    uint64_t before = f->plan_hash;
    bool known = is_known_plan(f, plan->hash) || f->round == 1;
    bool same = plan->hash == before || (f->has_variants && known);
    if (log->question.is_last && same && !f->round_changed && lost_plan(f)) {
        before = lost_plan(f);
        same = false;
    }
    f->errors = 0;
    f->plan_hash = plan->hash;
    f->plan_changes += !first && !same;
    f->round_changed = f->round_changed || first || !same;
    if (!f->has_variants || f->is_stale)
        forget_uses(f);
    else if (f->looks >= LOOKS_MAX)
        forget_half(f);
    f->is_stale = false;
    f->looks++;
    for (size_t i = 0; i < plan->n; i++)
        note_use(log, f, &plan->uses[i]);
    pw_index_file_plan(log, f, plan, first || same ? 0 : before);
    if (log->question.is_last)
        end_round(log, f);
    else
        f->due_us = pw_clock_us(); /* the next text, after those that were never looked at */
}

void pw_index_failed(struct index_log *log, struct log_family *f)
{
    log->stats.errors++;
    f->errors++;
    f->next_text = 0;
    f->interval_us = (f->interval_us ? f->interval_us : log->interval_us) * 4;
    f->due_us = f->errors >= ERRORS_MAX ? UINT64_MAX : pw_clock_us() + f->interval_us;
}
