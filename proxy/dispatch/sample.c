/* Keeps, now and then, what it takes to EXPLAIN a family's statement with its client's own values,
 * role and settings. */
#include "planner/sample.h"

#include <string.h>

#include "planner/families.h"
#include "planner/planner.h"
#include "proxy/dispatch/dispatch_priv.h"
#include "proxy/pool/welcome.h"
#include "proxy/wire/frame.h"
#include "proxy/wire/front.h"

/* The bound statement of an extended cycle, whose text keeps its $n. */
static const struct op *bound(const struct ticket *t)
{
    for (uint32_t i = t->n_ops; i-- > 0;) {
        const struct op *op = &t->ops[i];
        if (op->kind == EXPECT_BIND && op->stmt && op->stmt->plan == t->plans[0])
            return op;
    }
    return NULL;
}

/* The type part of Parse: a count of two bytes, then four bytes each; 0 when the client left it to
 * the server. */
static uint32_t type_of(const struct stmt *stmt, uint16_t i)
{
    const uint8_t *types = (const uint8_t *)stmt->body + stmt->text_len + 1;
    size_t at = 2 + 4 * (size_t)i;
    if (stmt->types_len < at + 4)
        return 0;
    return (uint32_t)types[at] << 24 | (uint32_t)types[at + 1] << 16 |
           (uint32_t)types[at + 2] << 8 | types[at + 3];
}

static bool values_of(const struct ticket *t, const struct op *op, struct buf *types,
                      struct buf *values)
{
    struct front_bind b;
    if (op->len < FRAME_HEADER || op->off > t->msgs.len || op->len > t->msgs.len - op->off)
        return false; /* a long one, passed on in pieces */
    if (!pw_front_bind(pw_slice(t->msgs.data + op->off + FRAME_HEADER, op->len - FRAME_HEADER), &b))
        return false;
    struct slice rest = b.params;
    struct wire_value value;
    for (uint16_t i = 0; i < b.nparams; i++)
        if (!pw_wire_value_next(&rest, &value) ||
            !pw_sample_value(types, values, type_of(op->stmt, i), pw_front_bind_format(&b, i) == 1,
                             value.null ? NULL : &value.bytes))
            return false;
    return true;
}

static const char *text_of(struct buf *b)
{
    return b->len && pw_buf_append_u8(b, 0) ? b->data : NULL;
}

/* Where backslashes escape, EXPLAIN's connection would read another text. */
static bool quotes_are_standard(const struct ticket *t)
{
    struct plan_context_key key;
    const char *scs =
        t->settings ? pw_settings_get(t->settings, "standard_conforming_strings") : NULL;
    if (!scs)
        scs = pw_welcome_get(&t->pool->welcome, "standard_conforming_strings");
    pw_plan_context_lexing(&key, "UTF8", scs);
    return key.standard_conforming_strings && key.encoding_is_safe;
}

void pw_sample_offer(struct dispatch *d, const struct ticket *t, uint64_t now_us)
{
    uint64_t took_us = t->sent_us ? now_us - t->sent_us : 0;
    if (!pw_family_wants_sample(d->families, t->plans[0], t->pool->database_id, took_us, now_us) ||
        !quotes_are_standard(t))
        return;
    const struct op *op = bound(t);
    struct buf types, values, setup;
    pw_buf_init(&types, SAMPLE_VALUES_MAX);
    pw_buf_init(&values, SAMPLE_VALUES_MAX);
    pw_buf_init(&setup, SAMPLE_SETUP_MAX);
    struct family_offer offer = {.is_prepared = op && op->named, .took_us = took_us};
    if (op)
        offer.sql = pw_slice(op->stmt->body, op->stmt->text_len);
    else if (t->is_simple && t->n_ops == 1 && t->msgs.len > FRAME_HEADER + 1)
        offer.sql = pw_slice(t->msgs.data + FRAME_HEADER, t->msgs.len - FRAME_HEADER - 1);
    const char *role = t->settings ? pw_settings_get(t->settings, "role") : NULL;
    bool ok = pw_sample_role(&setup, t->pool->user);
    if (role && strcmp(role, "none") != 0)
        ok = ok && pw_sample_role(&setup, role);
    for (uint32_t i = 0; t->settings && i < t->settings->n; i++)
        ok = ok && pw_sample_setting(&setup, t->settings->list[i].name, t->settings->list[i].value);
    if (op && values_of(t, op, &types, &values)) {
        offer.types = text_of(&types);
        offer.values = text_of(&values);
    }
    offer.setup = ok ? text_of(&setup) : NULL;
    if (ok && offer.sql.len)
        pw_family_offer(d->families, t->plans[0], t->pool->database_id, &offer, now_us);
    pw_buf_free(&types);
    pw_buf_free(&values);
    pw_buf_free(&setup);
}
